"""From the events of a run to Jupyter's messages.

Results are `display_data`, never `execute_result`, which nbgrader would take for a grade; notices
go to stdout, since any text on stderr costs a graded cell all its points.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any, Protocol

from pgcellar.api import printing, records, rendering

#: Sends one message on the IOPub channel: its type and its content.
Send = Callable[[str, dict[str, Any]], None]


class Shown(Protocol):
    """Where a run is shown."""

    def show(self, event: records.Event) -> None:
        """Show what an event completes."""

    def clear(self) -> None:
        """Take back what was only shown for as long as one had to wait."""


class Display:
    """Shows one run as it goes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._results = rendering.Results()
        self._waiting = False
        self._begun = False

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
            self._replace("display_data", _data(rendering.mime_bundle(result)))

    def clear(self) -> None:
        """Take back what was only shown for as long as one had to wait."""
        if self._waiting:
            self._waiting = False
            self._send("clear_output", {"wait": False})

    def _replace(self, kind: str, content: dict[str, Any]) -> None:
        """Show output, in the place of what was waited with; the page doesn't jump."""
        if self._waiting:
            self._waiting = False
            self._send("clear_output", {"wait": True})
        self._begun = True
        self._send(kind, content)

    def _show_progress(self, event: records.Progress) -> None:
        # Clearing it away would clear away what has been shown above it.
        if self._begun:
            return
        left = f" ({event.left} cells left)" if event.left > 1 else ""
        if self._waiting:
            self._send("clear_output", {"wait": True})
        self._waiting = True
        text = f"{event.message}{left}"
        shown = f'<span style="opacity:.7">{html.escape(text)}</span>'
        self._send("display_data", _data({"text/plain": text, "text/html": shown}))


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
