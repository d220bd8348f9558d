"""The ledger: runs that were accepted go on whoever reads them, and survive the service.

A run is taken down before it is answered for, and what it gave is kept until it is old. A service
that finds runs of one before it begins them again: a head that was cut short left no trace, and
one that was not leads to the same state, so that no run is lost or counts twice.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import datetime
import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

from pgcellar.api import errors, gathering, records
from pgcellar.runner import ledger_store, recordings, requests, service, turns

logger = logging.getLogger(__name__)

#: How long what a run gave is kept.
KEPT = datetime.timedelta(days=7)
#: Bytes that kept runs of one owner may take, compressed; and how many new ones make one look.
KEPT_BYTES = 1 << 30
_LOOK_BYTES = 64 << 20
_PRUNE_SECONDS = 600.0
#: Seconds that a run may be given: longer, its deadline would be none.
MAX_DEADLINE = 30 * 86400.0
#: Seconds until the control database is tried again.
_AGAIN_SECONDS = 1.0


@dataclasses.dataclass(kw_only=True, slots=True, eq=False)
class _Live:
    """A run that is not over."""

    run: ledger_store.Accepted
    recording: recordings.Recording
    running: bool = False
    task: asyncio.Task[None] | None = None
    #: Kept so that the loop does not lose it.
    expiring: asyncio.Task[None] | None = None


class Ledger:
    """See the module.

    `running` runs run at a time, of one owner `running_each`, as those of one notebook may all wait
    for the first, and fewer where others run as many; `queued` at most wait, and of one owner
    `queued_each`. `spend` is told how many bytes a run gave its owner.
    """

    def __init__(
        self,
        runner: service.Runner,
        store: ledger_store.RunStore,
        *,
        running: int = 32,
        running_each: int = 8,
        queued: int = 4_000,
        queued_each: int = 50,
        spend: Callable[[str, int], Awaitable[None]] | None = None,
    ) -> None:
        self._runner = runner
        self._store = store
        self._turns = turns.Turns(running, running_each)
        self._queued = queued
        self._queued_each = queued_each
        self._spend = spend
        self._live: dict[str, _Live] = {}
        #: Runs of each owner that are being taken down.
        self._coming: collections.Counter[str] = collections.Counter()
        #: Bytes that each owner's runs gave since they were looked at.
        self._given: collections.Counter[str] = collections.Counter()
        self._pruner: asyncio.Task[None] | None = None

    @property
    def active(self) -> int:
        """Runs that are not over."""
        return len(self._live)

    async def open(self) -> None:
        """Begin again what a service before this one left."""
        for run in await self._store.unfinished():
            logger.info("run %s is begun again, attempt %s", run.id, run.attempt)
            self._begin(run)
        self._pruner = asyncio.create_task(self._prune())

    async def close(self) -> None:
        """Stop; what is not over is begun again by the next service."""
        tasks = [live.task for live in self._live.values() if live.task is not None]
        if self._pruner is not None:
            tasks.append(self._pruner)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def submit(
        self,
        owner: str,
        request: records.RunRequest,
        *,
        key: str | None = None,
        deadline: float | None = None,
        admit: Callable[[], Awaitable[None]] | None = None,
    ) -> tuple[records.RunInfo, bool]:
        """Accept a run; it, and whether it is new: a key that comes again names the same run.

        A new one is begun when `admit` says nothing against it. Raises BadRequest, LimitExceeded,
        or Conflict where the key named another request.
        """
        requests.check(request)
        if deadline is not None and not 0 < deadline <= MAX_DEADLINE:
            raise errors.BadRequest(
                f"The deadline is a number of seconds above 0, up to {MAX_DEADLINE:.0f}."
            )
        run = ledger_store.Accepted(
            id=secrets.token_hex(16), owner=owner, key=key, request=request, deadline=deadline
        )
        known = None if key is None else await self._known(run)
        if known is not None:
            return known, False
        with self._place(owner):
            if admit is not None:
                await admit()
            made = await self._store.add(run)
            if made is not None:
                self._begin(run)
                return made, True
        known = await self._known(run)
        assert known is not None
        return known, False

    async def info(self, owner: str, identity: str) -> records.RunInfo:
        """How an owner's run stands. Raises NotFound."""
        found = await self._store.find(owner, identity)
        if found is None:
            raise errors.NotFound(f"There is no run {identity}.")
        return self._now(found)

    async def page(
        self, owner: str, limit: int, after: tuple[str, str] | None = None
    ) -> list[records.RunInfo]:
        """An owner's runs, newest first."""
        return [self._now(run) for run in await self._store.page(owner, limit, after)]

    async def cancel(self, owner: str, identity: str) -> None:
        """Cancel an owner's run; one that is over is left alone. Raises NotFound."""
        await self.info(owner, identity)
        live = self._live.get(identity)
        if live is not None:
            await self._cancel(live, "The run was cancelled.")

    async def cancel_all(self, owner: str, reason: str) -> None:
        """Cancel all runs of an owner, those too that wait for their turn."""
        for live in [live for live in self._live.values() if live.run.owner == owner]:
            await self._cancel(live, reason)

    def waiting(self) -> collections.Counter[str]:
        """How many accepted runs of each owner wait for their turn."""
        return collections.Counter(
            live.run.owner for live in self._live.values() if not live.running
        )

    async def follow(
        self, owner: str, identity: str, after: str | None = None
    ) -> AsyncGenerator[recordings.Line, None]:
        """The events of an owner's run, from the first, or the one after `after`, to the last.

        Where `after` is of an attempt that was cut short, they begin anew with an event
        `restarted`: what was read before is void. Raises NotFound or BadRequest.
        """
        attempt, index = recordings.position(after)
        await self.info(owner, identity)
        live = self._live.get(identity)
        if live is not None:
            recording = live.recording
        else:
            kept = await self._store.events(owner, identity)
            if kept is None:
                raise errors.NotFound(f"What run {identity} gave is not kept any more.")
            recording = recordings.Recording(*kept, over=True)
        if attempt == recording.attempt and index > len(recording.lines):
            raise errors.BadRequest(
                f"Run {identity} has no event {after} yet.",
                hint="Give the id of the last event you had, or none.",
            )
        async for line in recording.follow(attempt, index):
            yield line

    async def result(self, owner: str, identity: str) -> gathering.NotebookRun:
        """What an owner's run gave. Raises NotFound, or Conflict while it is not over."""
        info = await self.info(owner, identity)
        kept = await self._store.events(owner, identity)
        if kept is None:
            raise errors.Conflict(
                f"Run {identity} is {info.status}.", hint="Follow its events, or ask later."
            )
        request = await self._store.request(owner, identity)
        found = gathering.NotebookRun(gathering.heads(request))
        for line in kept[1]:
            found.take(records.decode(line))
        return found

    # --- one run -----------------------------------------------------------------------------

    async def _known(self, run: ledger_store.Accepted) -> records.RunInfo | None:
        assert run.key is not None
        known = await self._store.by_key(run.owner, run.key)
        if known is None:
            return None
        if known[1] != run.digest:
            raise errors.Conflict(
                "This Idempotency-Key came with another request before.",
                hint="Use a new key for a new request.",
            )
        return self._now(known[0])

    def _now(self, run: records.RunInfo) -> records.RunInfo:
        """How a run stands; that it has left the queue is known here alone."""
        live = self._live.get(run.id)
        if live is None or not live.running or run.finished is not None:
            return run
        return dataclasses.replace(run, status="running")

    @contextlib.contextmanager
    def _place(self, owner: str) -> Iterator[None]:
        """While this is held a run is taken down: it counts as one. Raises LimitExceeded."""
        self._admit(owner)
        self._coming[owner] += 1
        try:
            yield
        finally:
            self._coming[owner] -= 1
            if not self._coming[owner]:
                del self._coming[owner]

    def _admit(self, owner: str) -> None:
        own = sum(live.run.owner == owner for live in self._live.values()) + self._coming[owner]
        if own >= self._queued_each:
            raise errors.LimitExceeded(
                f"{own} runs of yours are not over yet, which is the most there may be.",
                hint="Wait for one, or cancel one.",
                retry_after=1.0,
            )
        if len(self._live) + self._coming.total() >= self._queued:
            raise errors.LimitExceeded(
                "The service has as many runs waiting as it takes.", retry_after=5.0
            )

    def _begin(self, run: ledger_store.Accepted) -> None:
        live = _Live(run=run, recording=recordings.Recording(run.attempt))
        self._live[run.id] = live
        live.task = asyncio.create_task(self._run(live))

    async def _run(self, live: _Live) -> None:
        run, recording = live.run, live.recording
        timer: asyncio.TimerHandle | None = None
        try:
            async with self._turns.take(run.owner):
                live.running = True
                if run.deadline is not None:
                    loop = asyncio.get_running_loop()
                    timer = loop.call_later(run.deadline, self._expire, live)
                await self._runner.run(run.owner, run.request, recording.take, run.id)
        except asyncio.CancelledError:
            if recording.reason is None:
                # The service ends.
                raise
            cancelled = errors.Cancelled(recording.reason)
            await recording.take(requests.nothing_ran(run.request, cancelled))
        except errors.PgcellarError as exc:
            await recording.take(requests.nothing_ran(run.request, exc))
        finally:
            if timer is not None:
                timer.cancel()
        await self._finish(live)

    async def _finish(self, live: _Live) -> None:
        """Keep what a run gave, then let its readers see that it is over."""
        done = live.recording.done
        assert done is not None
        status: records.RunStatus = "done" if done.error is None else "failed"
        if done.error is not None and done.error.sqlstate == errors.Cancelled.code:
            status = "cancelled"
        events = b"".join(live.recording.lines)
        state = done.cells[-1].state if done.cells else None
        while True:
            try:
                await self._store.finish(
                    live.run.id, status, state=state, error=done.error, events=events
                )
                break
            except errors.ServiceUnavailable as exc:
                logger.warning("run %s can't be written down yet: %s", live.run.id, exc)
                await asyncio.sleep(_AGAIN_SECONDS)
        del self._live[live.run.id]
        live.recording.finish()
        try:
            await self._count(live.run.owner, len(events))
        except errors.PgcellarError as exc:
            logger.warning("what run %s gave is not counted: %s", live.run.id, exc)

    async def _count(self, owner: str, given: int) -> None:
        self._given[owner] += given
        if self._given[owner] > _LOOK_BYTES:
            del self._given[owner]
            await self._store.trim(KEPT_BYTES, owner)
        if self._spend is not None:
            await self._spend(owner, given)

    def _expire(self, live: _Live) -> None:
        reason = f"The run was cancelled at its deadline of {live.run.deadline:g} s."
        live.expiring = asyncio.create_task(self._cancel(live, reason))

    async def _cancel(self, live: _Live, reason: str) -> None:
        recording = live.recording
        if recording.reason is not None:
            return
        recording.reason = reason
        try:
            await self._runner.cancel(live.run.owner, live.run.id)
        except errors.NotFound:
            # It waits for its turn or for its sandbox, or is being written down.
            if live.task is not None and recording.done is None:
                live.task.cancel()

    async def _prune(self) -> None:
        while True:
            with contextlib.suppress(errors.PgcellarError):
                await self._store.forget(KEPT)
                await self._store.trim(KEPT_BYTES)
                self._given.clear()
            await asyncio.sleep(_PRUNE_SECONDS)
