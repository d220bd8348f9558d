"""How far a long statement is, looked up from outside its session: COPY, CREATE INDEX, VACUUM …

The user's own session is never asked, and a statement that is short is not looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

from pgcellar.api import errors, records
from pgcellar.runner import outputs

#: Seconds that a statement runs before it is looked how far it is, and then between two looks.
FIRST = 1.0
INTERVAL = 0.5


class Session(Protocol):
    """Where the run's statement runs now."""

    @property
    def pid(self) -> int:
        """The server process."""

    @property
    def running_for(self) -> float:
        """Seconds since the statement that runs there began; 0 if none does."""

    @property
    def fed(self) -> int | None:
        """Bytes of the file that is fed to it; None if there is no such file."""


#: What PostgreSQL says of a server process's command: `what` it is, its `phase`, how much is `done`
#: of a `total`, and how many `rows`; None where it says nothing.
Look = Callable[[int], Awaitable[Mapping[str, Any] | None]]


class Advances:
    """See the module.

    `session` is where the run stands, `waiting` what the person waits for besides the statement.
    """

    def __init__(
        self,
        *,
        session: Callable[[], Session | None],
        waiting: Callable[[], records.Progress | None],
        look: Look,
        emit: outputs.Emit,
    ) -> None:
        self._session = session
        self._waiting = waiting
        self._look = look
        self._emit = emit

    @contextlib.asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """While this is held it is told how far long statements are."""
        telling: list[asyncio.Task[None]] = []
        # A timer, not a task: nearly every run is over before.
        timer = asyncio.get_running_loop().call_later(
            FIRST, lambda: telling.append(asyncio.create_task(self._tell()))
        )
        try:
            yield
        finally:
            timer.cancel()
            for task in telling:
                task.cancel()
            if telling:
                await asyncio.gather(*telling, return_exceptions=True)

    async def _tell(self) -> None:
        last: records.Progress | None = None
        while True:
            found = await self._found()
            if found is not None and found != last:
                await self._emit(found)
            last = found
            await asyncio.sleep(INTERVAL)

    async def _found(self) -> records.Progress | None:
        session = self._session()
        if session is None or session.running_for < FIRST:
            return None
        try:
            found = await self._look(session.pid)
        except errors.PgcellarError:
            # Whoever runs there will say so.
            return None
        if found is None or self._session() is not session:
            return None
        return progress(found, fed=session.fed, waiting=self._waiting())


def progress(
    found: Mapping[str, Any], *, fed: int | None, waiting: records.Progress | None
) -> records.Progress:
    """What a person is told of a look."""
    done, total = found["done"], found["total"] or fed
    if total is None and found["rows"] is not None:
        said = f"{found['rows']:,} rows"
    else:
        said = found["phase"]
    message = f"{found['what']}: {said}" if said else str(found["what"])
    # What is fed is counted where it is read, so a little more may be on its way.
    counted = {} if not total else {"done": min(done, total), "total": total}
    if waiting is None:
        return records.Progress(message=message, what=found["what"], **counted)
    return records.Progress(
        message=f"{waiting.message} {message}",
        cell=waiting.cell,
        left=waiting.left,
        what=found["what"],
        **counted,
    )
