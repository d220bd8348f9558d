"""From the events of a run to Jupyter's messages.

Results are `display_data`, never `execute_result`, which nbgrader would take for a grade; notices
go to stdout, since any text on stderr costs a graded cell all its points.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pgcellar.api import records, rendering

#: Sends one message on the IOPub channel: its type and its content.
Send = Callable[[str, dict[str, Any]], None]


class Display:
    """Shows one run as it goes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._results = rendering.Results()
        self._waiting = False

    def show(self, event: records.Event) -> None:
        """Show what an event completes."""
        if isinstance(event, records.Progress):
            self._show_progress(event)
            return
        if not isinstance(event, records.Started):
            self.clear()
        if isinstance(event, records.Notice):
            text = rendering.render_notice(event) + "\n"
            self._send("stream", {"name": "stdout", "text": text})
            return
        result = self._results.take(event)
        if result is not None:
            data = rendering.mime_bundle(result)
            self._send("display_data", {"data": data, "metadata": {}, "transient": {}})

    def clear(self) -> None:
        """Take back what was only shown for as long as one had to wait."""
        if self._waiting:
            self._waiting = False
            self._send("clear_output", {"wait": False})

    def _show_progress(self, event: records.Progress) -> None:
        left = f" ({event.left} cells left)" if event.left > 1 else ""
        text = f"{event.message}{left}"
        if self._waiting:
            self._send("clear_output", {"wait": True})
        self._waiting = True
        data = {"text/plain": text}
        self._send("display_data", {"data": data, "metadata": {}, "transient": {}})


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
    return {"ename": error.sqlstate, "evalue": error.message, "traceback": lines}
