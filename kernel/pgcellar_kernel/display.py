"""From the events of a run to Jupyter's messages.

Results are `display_data`, never `execute_result`, which nbgrader would take for a grade; notices
go to stdout, since any text on stderr costs a graded cell all its points.
"""

from __future__ import annotations

import dataclasses
import html
import uuid
from collections.abc import Callable
from typing import Any, Protocol

from pgcellar.api import printing, records, rendering

#: Characters of what is shown again when something is waited for below it.
_MOST_KEPT = 100_000

#: Sends one message on the IOPub channel: its type and its content.
Send = Callable[[str, dict[str, Any]], None]


class Shown(Protocol):
    """Where a run is shown."""

    def show(self, event: records.Event) -> None:
        """Show what an event completes."""

    def clear(self) -> None:
        """Take back what was only shown for as long as one had to wait."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A result of which not all rows are shown, and by what its display is known."""

    display_id: str
    statement: int
    result: rendering.Result


#: The MIME bundle that goes below such a result, if any does.
ShowCut = Callable[[Cut], dict[str, Any] | None]


class Display:
    """Shows one run as it goes; `cut` says what goes below a result that is shown in part."""

    def __init__(self, send: Send, cut: ShowCut | None = None) -> None:
        self._send = send
        self._cut = cut
        self._results = rendering.Results()
        self._waiting = False
        self._begun = False
        #: What has been shown, as long as it is little: it is shown again above what is waited for.
        self._kept: list[tuple[str, dict[str, Any]]] | None = []
        self._size = 0

    def show(self, event: records.Event) -> None:
        """Show what an event completes."""
        if isinstance(event, records.Progress):
            self._show_progress(event)
            return
        result = self._results.take(event)
        if isinstance(event, records.Notice | records.Text):
            text = rendering.render_notice(event) + "\n"
            self._replace("stream", {"name": "stdout", "text": text})
        elif result is not None:
            self._show_result(event, result)

    def _show_result(self, event: records.Event, result: rendering.Result) -> None:
        content = _data(rendering.mime_bundle(result))
        tabular = result.truncated and result.tabular and not result.expanded
        if self._cut is None or not tabular or not isinstance(event, records.Completed):
            self._replace("display_data", content)
            return
        cut = Cut(display_id=uuid.uuid4().hex, statement=event.statement, result=result)
        self._replace("display_data", {**content, "transient": {"display_id": cut.display_id}})
        below = self._cut(cut)
        if below is not None:
            self._replace("display_data", _data(below))

    def clear(self) -> None:
        """Take back what was only shown for as long as one had to wait."""
        if self._waiting:
            self._waiting = False
            self._take_back(wait=self._begun)

    def _take_back(self, *, wait: bool) -> None:
        """Clear what is waited with, and nothing else."""
        self._send("clear_output", {"wait": wait})
        for kind, content in self._kept or ():
            self._send(kind, content)

    def _replace(self, kind: str, content: dict[str, Any]) -> None:
        """Show output, in the place of what was waited with; the page doesn't jump."""
        if self._waiting:
            self._waiting = False
            self._take_back(wait=True)
        self._begun = True
        self._send(kind, content)
        self._size += len(content.get("text") or content["data"]["text/plain"])
        if self._size > _MOST_KEPT:
            self._kept = None
        if self._kept is not None:
            self._kept.append((kind, content))

    def _show_progress(self, event: records.Progress) -> None:
        # Only what says how far it is is worth it that what stands above is shown anew.
        if self._begun and (self._kept is None or event.what in (None, "replay")):
            return
        left = f" ({event.left} cells left)" if event.left > 1 and event.what is None else ""
        if self._waiting or self._begun:
            self._take_back(wait=True)
        self._waiting = True
        text = f"{event.message}{left}"
        shown = f'<span style="opacity:.7">{html.escape(text)}</span>'
        if event.total and event.done is not None:
            text = f"{text} {event.done * 100 // event.total} %"
            shown = f"{_bar(event)} {shown}"
        self._send("display_data", _data({"text/plain": text, "text/html": shown}))


def _bar(event: records.Progress) -> str:
    """How far something is; numbers alone go into it, and the message is escaped."""
    return (
        f'<progress max="{int(event.total or 0)}" value="{int(event.done or 0)}"'
        f' aria-label="{html.escape(event.message)}"'
        ' style="accent-color:var(--jp-brand-color1,#1976d2);vertical-align:middle"></progress>'
    )


def _data(bundle: dict[str, Any]) -> dict[str, Any]:
    return {"data": bundle, "metadata": {}, "transient": {}}


def error_content(
    error: records.SqlError, cells: tuple[records.Cell, ...], head: int
) -> dict[str, Any]:
    """The content of an `error` message: in the manner of psql, against the cell it belongs to."""
    lines: list[str] = []
    source = cells[head].source
    for number, cell in enumerate(cells[:head], start=1):
        if cell.id == error.cell:
            source = cell.source
            first = next((line for line in source.splitlines() if line.strip()), "").strip()
            lines = [
                f"Cell {number} above failed, so this cell did not run. It begins: {first[:60]}"
            ]
    lines += rendering.render_error(error, source).splitlines()
    message = printing.printable(error.message)
    return {"ename": error.sqlstate, "evalue": message, "traceback": lines}
