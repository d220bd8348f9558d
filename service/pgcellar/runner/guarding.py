"""Watches a run from outside its sessions: limits that whoever writes the SQL could lift himself.

A statement has so many seconds, a database no more bytes than all snapshots may take, and the
machine's disk, which is everybody's, is not filled to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from pgcellar.api import errors, records

#: Seconds until the first look, and then between two; a run that is shorter is not looked at.
_FIRST = 0.05
_INTERVAL = 1.0
#: Somebody may be allowed no time at all.
_SHORTEST = 0.02
_MIB = 1 << 20
_OUT_OF_MEMORY = "53200"


def _never() -> None:
    return None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a run may take: seconds for a statement, bytes of its database, what the disk has.

    `session_bytes` is the memory of a session, which the operating system keeps from it.
    """

    statement_seconds: float = math.inf
    database_bytes: float = math.inf
    session_bytes: float = math.inf
    #: Says so where the machine's disk has no more room for this run.
    full: Callable[[], errors.PgcellarError | None] = _never

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return math.isfinite(self.statement_seconds) or math.isfinite(self.database_bytes)

    def explained(self, error: records.SqlError) -> records.SqlError:
        """With the limit that was met: PostgreSQL is told that there is no more memory, not why.

        Where its shared memory is used up it has a hint of its own.
        """
        known = math.isfinite(self.session_bytes)
        if error.sqlstate != _OUT_OF_MEMORY or error.hint is not None or not known:
            return error
        hint = (
            f"Your limit is {self.session_bytes / _MIB:,.0f} MiB of memory for a session. Make the"
            " statement do less at a time, or ask whoever teaches or administers for more, which"
            " holds from your sandbox's next start on."
        )
        return dataclasses.replace(error, hint=hint)


NONE = Limits()


class Session(Protocol):
    """Where the run's statement runs now."""

    @property
    def pid(self) -> int:
        """The server process."""

    @property
    def running_for(self) -> float:
        """Seconds since the statement that runs there began; 0 if none does."""


class Guard:
    """See the module.

    `session` is where the run stands, `size` the bytes of a server process's database, None where
    there is no such process, and `cancel` cancels the run.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        session: Callable[[], Session | None],
        size: Callable[[int], Awaitable[int | None]],
        cancel: Callable[[], Awaitable[None]],
    ) -> None:
        self._limits = limits
        self._session = session
        self._size = size
        self._cancel = cancel
        #: The limit for which the run was cancelled.
        self.reached: errors.PgcellarError | None = None

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """While this is held the run is watched."""
        task = asyncio.create_task(self._watch()) if self._limits.any else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()

    async def _watch(self) -> None:
        wait = _FIRST
        while self.reached is None:
            await asyncio.sleep(max(_SHORTEST, min(wait, self._limits.statement_seconds / 4)))
            wait = _INTERVAL
            session = self._session()
            if session is not None:
                self.reached = (
                    self._late(session) or await self._large(session) or self._limits.full()
                )
            if self.reached is not None:
                await self._cancel()

    def _late(self, session: Session) -> errors.LimitExceeded | None:
        most = self._limits.statement_seconds
        if session.running_for <= most:
            return None
        return errors.LimitExceeded(
            f"Your limit is {most:g} s for a statement, and this one was cancelled.",
            hint="Make it do less at a time, or ask whoever teaches or administers for more.",
        )

    async def _large(self, session: Session) -> errors.LimitExceeded | None:
        most = self._limits.database_bytes
        if math.isinf(most):
            return None
        try:
            size = await self._size(session.pid)
        except errors.PgcellarError:
            # Whoever runs there will say so.
            return None
        if size is None or size <= most:
            return None
        return errors.LimitExceeded(
            f"Your limit is {most / _MIB:,.0f} MiB of snapshots, and the database has become"
            f" larger: {size / _MIB:,.0f} MiB. The cell was cancelled.",
            hint="Make fewer rows here, or in a cell above; or ask whoever teaches or administers"
            " for more.",
        )
