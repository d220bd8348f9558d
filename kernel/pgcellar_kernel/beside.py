"""What is taken beside a cell that runs: comm messages, and what front ends ask while one types."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import zmq
from ipykernel.kernelbase import Kernel

#: Requests that neither change anything nor need the cell's session.
ASKED = frozenset({"complete_request", "inspect_request"})
COMMS = frozenset({"comm_open", "comm_msg", "comm_close"})
#: What ipykernel takes for a message that ends aborting, where the shell channel has a thread.
_STOP_ABORTING = b"stop aborting"


class BesideKernel(Kernel):
    """ipykernel's, which takes comm messages beside a cell; this one answers `ASKED`, too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]  # ipykernel is untyped
        #: Whose request the cell that runs is, and the request.
        self._executing: tuple[Any, Any] | None = None
        #: How many messages have their turn, or wait for it.
        self._turns = 0

    async def execute_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Know what runs."""
        self._executing = (ident, parent)
        try:
            await super().execute_request(stream, ident, parent)  # type: ignore[no-untyped-call]  # as above
        finally:
            self._executing = None

    async def shell_main(self, subshell_id: str | None, msg: Any) -> None:
        """Take a message in a context of its own.

        ipykernel keeps whose outputs come in a context that all messages share. A comm message
        that is taken while a cell runs puts back that cell when it is done: by then the next one
        may run, whose outputs, and whose end, would be told of the cell before it.
        """
        await asyncio.create_task(self._take(subshell_id, msg), context=contextvars.copy_context())

    async def _take(self, subshell_id: str | None, msg: Any) -> None:
        kind = self._kind(msg)
        if self._executing is not None and kind in ASKED:
            await self._answer(msg)
        elif self._turns and kind in COMMS:
            # ipykernel does so only while a cell runs: one that came between two cells would wait
            # behind all that were sent, and be overtaken by the comm messages after it.
            await self._overhear(msg)
        else:
            self._turns += 1
            try:
                await super().shell_main(subshell_id, msg)
            finally:
                self._turns -= 1

    async def _overhear(self, msg: Any) -> None:
        """Take a comm message while others have their turn."""
        await self.dispatch_shell(msg, concurrent=True)
        if self._executing is not None:
            self.set_parent(*self._executing)  # type: ignore[no-untyped-call]  # as above

    def _abort_queues(self, subshell_id: str | None = None) -> None:
        """A cell failed: abort those that were sent after it and wait.

        Without a thread for the shell channel, ipykernel stops in the loop's next turn, by when one
        of them has had its own. So the end of it waits behind them, as it does with a thread.
        """
        self._aborting = True
        assert self.shell_stream is not None
        self.shell_stream.flush()
        stop = [zmq.Frame(_STOP_ABORTING)]
        self._stopping = asyncio.ensure_future(self.shell_main(subshell_id, stop))

    def _kind(self, msg: Any) -> str | None:
        """The type of a message; None if it is no message."""
        assert self.session is not None
        try:
            _, frames = self.session.feed_identities(msg, copy=False)
            header = self.session.deserialize(frames, content=False, copy=False)["header"]
            return str(header["msg_type"])
        except Exception:
            # Whoever takes it says what is wrong with it.
            return None

    async def _answer(self, msg: Any) -> None:
        """Answer while a cell runs. A client takes an answer for whole when it is told `idle`."""
        await self.dispatch_shell(msg, concurrent=True)
        self._publish_status("idle", "shell")  # type: ignore[no-untyped-call]  # as above
        if self._executing is not None:
            # The cell still runs: so it is told, and so are outputs that come without a context.
            self.set_parent(*self._executing)  # type: ignore[no-untyped-call]  # as above
            self._publish_status("busy", "shell")  # type: ignore[no-untyped-call]  # as above
