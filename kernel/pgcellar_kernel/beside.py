"""What is taken beside a cell that runs: comm messages, and what front ends ask while one types."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

from ipykernel.kernelbase import Kernel

#: Requests that neither change anything nor need the cell's session.
ASKED = frozenset({"complete_request", "inspect_request"})


class BesideKernel(Kernel):
    """ipykernel's, which takes comm messages beside a cell; this one answers `ASKED`, too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]  # ipykernel is untyped
        #: Whose request the cell that runs is, and the request.
        self._executing: tuple[Any, Any] | None = None

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
        beside = self._executing is not None and self._kind(msg) in ASKED
        handled = self._answer(msg) if beside else super().shell_main(subshell_id, msg)
        await asyncio.create_task(handled, context=contextvars.copy_context())

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
