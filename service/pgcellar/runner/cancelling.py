"""Cancels a run: the statement at the server if there is one, else what the run waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from pgcellar.api import errors
from pgcellar.runner import advances

#: A cancelled statement that has not ended after this many seconds loses its session.
TERMINATE_AFTER = 3.0


class Cancellable(advances.Session, Protocol):
    """A session, or several of which one is waited for."""

    async def cancel(self) -> None:
        """Cancel what runs there."""


class Cancelling:
    """See the module. The run is the task that calls `begin`; `end_session` ends a process."""

    def __init__(self, end_session: Callable[[int], None]) -> None:
        self._end_session = end_session
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        #: Whether somebody cancelled the run.
        self.asked = False
        #: Where the run's statements run now; None while it waits for anything else.
        self.session: Cancellable | None = None

    def begin(self) -> None:
        """The run begins in this task."""
        self._task = asyncio.current_task()

    def stand_at(self, session: Cancellable) -> None:
        """From here on to cancel means to cancel what runs there. Raises Cancelled."""
        self.session = session
        if self.asked:
            raise errors.Cancelled()

    async def cancel(self) -> None:
        """Cancel the run, if it has not ended."""
        if self.asked or self._ended:
            return
        self.asked = True
        session = self.session
        if session is None:
            if self._task is not None:
                self._task.cancel()
            return
        await session.cancel()
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(TERMINATE_AFTER, self._terminate, session)

    def _terminate(self, session: Cancellable) -> None:
        """The statement does not let itself be cancelled: end its session."""
        if self.session is session and self._task is not None and not self._task.done():
            self._end_session(session.pid)

    def resume(self) -> bool:
        """Let the task go on, to say so, if it was `cancel` that cancelled it; whether it was."""
        if self.asked and self._task is not None:
            self._task.uncancel()
        return self.asked

    async def end(self) -> None:
        """The run has ended. `cancel` may have come too late to be noticed in what it was for."""
        self._ended = True
        task = self._task
        if self.asked and task is not None and task.cancelling():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            if task.uncancel():
                raise asyncio.CancelledError
