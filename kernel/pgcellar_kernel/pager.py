"""Buttons that page through a long result, in its place; imported when a front end can show them.

The table that was shown first stays in the notebook, or the page that took its place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import ipywidgets

from pgcellar.api import errors, records, rendering
from pgcellar_kernel import controls, display

logger = logging.getLogger(__name__)

#: Gives the page that begins with a row.
GetPage = Callable[[int], Awaitable[records.Page]]


class Pager:
    """The buttons of one result."""

    def __init__(self, cut: display.Cut, send: display.Send, page: GetPage) -> None:
        self._cut = cut
        self._send = send
        self._page = page
        self._count = cut.result.row_count or 0
        self._size = max(1, len(cut.result.rows))
        self._offset = 0
        self._task: asyncio.Task[None] | None = None
        self._first = self._button("First page", "angle-double-left", lambda: 0)
        self._back = self._button(
            "Page before", "angle-left", lambda: max(0, self._offset - self._size)
        )
        self._next = self._button("Next page", "angle-right", lambda: self._offset + self._size)
        self._last = self._button(
            "Last page", "angle-double-right", lambda: (self._count - 1) // self._size * self._size
        )
        self._label = ipywidgets.Label()
        self._tell(self._size)
        self._box = ipywidgets.HBox([self._first, self._back, self._next, self._last, self._label])

    @property
    def view(self) -> dict[str, Any]:
        """The MIME bundle of the buttons, which go below the table."""
        # Where there are no widgets the table itself says as much.
        return {"text/plain": "", **controls.view(self._box)}

    def close(self) -> None:
        """The cell runs anew."""
        controls.close(self._box)

    def _button(self, says: str, icon: str, offset: Callable[[], int]) -> ipywidgets.Button:
        button = ipywidgets.Button(tooltip=says, icon=icon, layout=ipywidgets.Layout(width="2.5em"))
        button.on_click(lambda _: self._go(offset()))
        return button

    def _go(self, offset: int) -> None:
        if self._task is None:
            self._task = asyncio.ensure_future(self._turn(offset))

    async def _turn(self, offset: int) -> None:
        try:
            page = await self._page(offset)
        except errors.PgcellarError as exc:
            self._label.value = " ".join(filter(None, (exc.message, exc.hint)))
            return
        except Exception:
            logger.exception("paging")
            self._label.value = "The kernel met an error it did not foresee; its log has it."
            return
        finally:
            self._task = None
        self._offset, self._count = page.offset, page.row_count
        result = rendering.Result(
            command=self._cut.result.command,
            columns=page.columns,
            rows=page.rows,
            row_count=page.row_count,
            tabular=True,
            offset=page.offset,
        )
        self._tell(len(page.rows))
        bundle = rendering.mime_bundle(result)
        # Front ends that know it have a grid of their own.
        del bundle[rendering.MIME]
        content = {
            "data": bundle, "metadata": {}, "transient": {"display_id": self._cut.display_id}
        }  # fmt: skip
        self._send("update_display_data", content)

    def _tell(self, rows: int) -> None:
        self._label.value = f"rows {self._offset + 1:,}–{self._offset + rows:,} of {self._count:,}"
        self._first.disabled = self._back.disabled = self._offset == 0
        self._next.disabled = self._last.disabled = self._offset + rows >= self._count
