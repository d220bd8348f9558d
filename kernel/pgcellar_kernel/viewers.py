"""Front ends that show widgets: each opens a comm by which it asks which widgets there are.

It closes the comm when it has been answered: what counts is that it was opened. Answered here as
long as there are none, so that ipywidgets is not imported before it is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

#: The comm's target; ipywidgets' own name for it.
TARGET = "jupyter.widget.control"


class Viewers:
    """See the module."""

    def __init__(self) -> None:
        self._clients: set[str] = set()

    def shows(self, client: str) -> bool:
        """Whether the client of a session shows widgets."""
        return client in self._clients

    def open(self, comm: Any, opened: Mapping[str, Any]) -> None:
        """A front end that shows widgets is there."""
        self._clients.add(str(opened["header"]["session"]))

        def receive(message: Mapping[str, Any]) -> None:
            _answer(comm, opened, message)
            # ipywidgets has taken it over; the next message may be another front end's, though.
            comm.on_msg(receive)

        comm.on_msg(receive)


def _answer(comm: Any, opened: Mapping[str, Any], message: Mapping[str, Any]) -> None:
    if "ipywidgets" not in sys.modules:
        comm.send({"method": "update_states", "states": {}, "buffer_paths": []}, buffers=[])
        return
    import ipywidgets

    ipywidgets.Widget.handle_control_comm_opened(comm, opened)
    comm.handle_msg(message)
