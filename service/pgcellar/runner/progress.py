"""How far everybody is: told by the runs themselves, whichever way they came, and written behind.

What is not written yet when the service is killed is lost; the next run tells it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from pgcellar.api import errors, records
from pgcellar.runner import progress_store

logger = logging.getLogger(__name__)

Emit = Callable[[records.Event], Awaitable[None]]

#: Seconds that steps wait for others to be written with.
_WRITE_SECONDS = 0.5
_TIDY_SECONDS = 3600.0
#: What is kept of names: they are part of an index, whose entries have at most 2.7 kB.
_MAX_NAME = 400
_CANCELLED = ("57014", errors.Cancelled.code)
_TOLD = 5


class Progress:
    """See the module."""

    def __init__(self, store: progress_store.ProgressStore) -> None:
        self._store = store
        self._steps: dict[tuple[str, str], progress_store.Step] = {}
        self._woken = asyncio.Event()

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[Progress]:
        """While this is held steps are written, and at its end the last of them."""
        tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._tidy())]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._flush()

    def watch(self, owner: str, request: records.RunRequest, emit: Emit) -> Emit:
        """What a run's events go through; the `Done` of each head is a step."""
        index = request.head if request.first is None else request.first

        async def tell(event: records.Event) -> None:
            nonlocal index
            if isinstance(event, records.Done) and index < len(request.cells):
                self._take(_step(owner, request, index, event.error))
                index += 1
            await emit(event)

        return tell

    async def of(self, owners: list[str]) -> dict[str, list[progress_store.Step]]:
        """The notebooks that each of some owners ran last, the last first."""
        await self._flush()
        found: dict[str, list[progress_store.Step]] = {}
        for step in await self._store.of(owners, _TOLD):
            found.setdefault(step.owner, []).append(step)
        return found

    def _take(self, step: progress_store.Step) -> None:
        key = step.owner, step.notebook
        before = self._steps.pop(key, None)
        if before is not None and before.furthest > step.furthest:
            step = dataclasses.replace(step, furthest=before.furthest)
        self._steps[key] = step
        self._woken.set()

    async def _write(self) -> None:
        while True:
            await self._woken.wait()
            await asyncio.sleep(_WRITE_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        steps, self._steps = self._steps, {}
        self._woken.clear()
        if not steps:
            return
        try:
            await self._store.save(list(steps.values()))
        except errors.PgcellarError as exc:
            logger.warning("how far %d notebooks are can't be written: %s", len(steps), exc)
        except asyncio.CancelledError:
            self._steps = {**steps, **self._steps}
            raise

    async def _tidy(self) -> None:
        while True:
            with contextlib.suppress(errors.PgcellarError):
                await self._store.tidy()
            await asyncio.sleep(_TIDY_SECONDS)


def _step(
    owner: str, request: records.RunRequest, index: int, error: records.SqlError | None
) -> progress_store.Step:
    status = "done"
    if error is not None:
        status = "cancelled" if error.sqlstate in _CANCELLED else "failed"
    return progress_store.Step(
        owner=owner,
        notebook=_kept(request.notebook),
        cell=_kept(request.cells[index].id),
        number=index + 1,
        cells=len(request.cells),
        whole=len(request.cells) > request.head + 1,
        furthest=0 if error is not None else index + 1,
        status=status,
        sqlstate=None if error is None else error.sqlstate,
        at=datetime.datetime.now(datetime.UTC),
    )


def _kept(name: str) -> str:
    """A name as PostgreSQL can keep it: whoever sends a run may call things as they like."""
    return name[:_MAX_NAME].encode(errors="replace").decode().replace("\0", "?")
