"""Comms, for a kernel that is not IPython's: ipykernel gives those to that one alone."""

from __future__ import annotations

from typing import Any

import comm
from ipykernel.comm import comm as kernel_comm
from ipykernel.comm import manager

MESSAGES = ("comm_open", "comm_msg", "comm_close")


def manage() -> manager.CommManager:
    """The manager of this process's comms; whoever makes one, as ipywidgets do, finds it."""
    made = manager.CommManager()  # type: ignore[no-untyped-call]  # ipykernel is untyped

    def create(*args: Any, **kwargs: Any) -> kernel_comm.BaseComm:
        return kernel_comm.BaseComm(*args, **kwargs)  # type: ignore[no-untyped-call]  # as above

    comm.create_comm = create
    comm.get_comm_manager = lambda: made
    return made
