"""Places in a cell's output, each of which can be filled anew after the cell has run.

What a run sends goes into the first place, the next one, and so on; there are as many as the
longest run has needed. Front ends replace what stands in a place without moving the page.
"""

from __future__ import annotations

import uuid
from typing import Any

from pgcellar_kernel import display

_STREAMS = {
    "stdout": "application/vnd.jupyter.stdout",
    "stderr": "application/vnd.jupyter.stderr",
}
_EMPTY = {"text/plain": ""}


class Slots:
    """Satisfies `display.Send`: takes what a run shows."""

    def __init__(self, send: display.Send) -> None:
        self._send = send
        self._ids: list[str] = []
        self._next = 0

    def __call__(self, kind: str, content: dict[str, Any]) -> None:
        """Show a message of a run. An error is shown as one, but is no `error` message."""
        if kind == "clear_output":
            # Only what stands for as long as one waits is ever cleared, and it comes first.
            self._next = 0
        elif kind == "stream":
            self._fill(_text(content["name"], content["text"]))
        elif kind == "error":
            self._fill(_text("stderr", "\n".join(content["traceback"])))
        else:
            self._fill(content["data"])

    def begin(self) -> None:
        """Another run begins; what the one before has shown stays until it is replaced."""
        self._next = 0

    def end(self) -> None:
        """The run is over: what it did not replace is of the one before."""
        last = self._next
        for _ in self._ids[last:]:
            self._fill(_EMPTY)
        self._next = last

    def _fill(self, data: dict[str, Any]) -> None:
        kind = "update_display_data"
        if self._next == len(self._ids):
            kind = "display_data"
            self._ids.append(uuid.uuid4().hex)
        transient = {"display_id": self._ids[self._next]}
        self._next += 1
        self._send(kind, {"data": data, "metadata": {}, "transient": transient})


def _text(stream: str, text: str) -> dict[str, Any]:
    return {_STREAMS[stream]: text, "text/plain": text}
