"""Lets as many sandboxes run at once as the machine carries; whoever comes beyond that waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from pgcellar.api import errors

#: Seconds between two looks for room.
_POLL = 0.1


class Admission:
    """See the module. First come, first served.

    `limit` is how many may run, 0 for any number; `queue` how many may wait, and `patience` how
    many seconds. `running` says how many run, `make_room` stops one that is idle, if there is one.
    """

    def __init__(
        self,
        *,
        limit: int,
        queue: int,
        patience: float,
        running: Callable[[], int],
        make_room: Callable[[], Awaitable[bool]],
    ) -> None:
        self._limit = limit
        self._queue = queue
        self._patience = patience
        self._running = running
        self._make_room = make_room
        self._turn = asyncio.Lock()
        self._entering = 0
        self.waiting = 0

    @contextlib.asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """While this is held one more may start; before its end it has to count as running.

        Raises LimitExceeded.
        """
        await self._admit()
        try:
            yield
        finally:
            self._entering -= 1

    async def _admit(self) -> None:
        if self.waiting >= self._queue:
            raise self._full("and as many people wait for one as may.")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._patience), self._turn:
                while self._limit and self._running() + self._entering >= self._limit:
                    if not await self._make_room():
                        await asyncio.sleep(_POLL)
                self._entering += 1
        except TimeoutError:
            raise self._full(f"and none fell idle in {self._patience:.0f} s.") from None
        finally:
            self.waiting -= 1

    def _full(self, why: str) -> errors.LimitExceeded:
        return errors.LimitExceeded(
            f"All {self._limit} sandboxes that may run at once are in use, {why}",
            hint="Run the cell again in a moment; whoever operates this sets `max_sandboxes`.",
            retry_after=5.0,
        )
