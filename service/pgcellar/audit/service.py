"""The audit log: takes acts down, many in one transaction, and never loses one silently.

Whoever writes waits until the act is safe: in the control database, or, while that is down, in the
spool on this machine's disk. Acts that come while a transaction is under way share the next one;
those for which nobody waits may be gathered for a moment.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import datetime
import logging
import time
from collections.abc import Callable, Sequence
from typing import Literal

from pgcellar.api import auditing, errors
from pgcellar.audit import chain, spool, store
from pgcellar.web import calls

logger = logging.getLogger(__name__)

WhenUnavailable = Literal["spool", "refuse"]

#: Entries of one transaction at most: some milliseconds of work.
MAX_BATCH = 500
#: Seconds a transaction may take before the database counts as down.
STORE_SECONDS = 5.0
#: Seconds until a database that was down is tried again: at first, and at most.
_RETRY_FIRST = 0.25
_RETRY_MOST = 10.0
_HINT = "Nothing is done while acts can't be recorded; see `when_unavailable` in the settings."


@dataclasses.dataclass(kw_only=True, slots=True)
class _Waiting:
    act: auditing.Act
    at: datetime.datetime
    owed: bool
    done: asyncio.Future[None]


class Log:
    """See the module; satisfies `auditing.AuditLog`.

    Acts that are not urgent are gathered for `linger` seconds. `written` is told the chain's newest
    place after each transaction.
    """

    def __init__(
        self,
        records: store.AuditStore,
        aside: spool.Spool,
        *,
        when_unavailable: WhenUnavailable = "spool",
        linger: float = 0.0,
        written: Callable[[store.Place], None] = lambda place: None,
    ) -> None:
        self._store = records
        self._spool = aside
        self._policy = when_unavailable
        self._linger = linger
        self._written = written
        self._queue: collections.deque[_Waiting] = collections.deque()
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._closing = False
        self._writer: asyncio.Task[None] | None = None
        self._abandoned: set[asyncio.Task[store.Place | None]] = set()
        self._retry_at = 0.0
        self._retry_after = _RETRY_FIRST
        self.up = True
        self.lost = 0
        self.total = 0

    async def open(self) -> None:
        """Find what was left in the spool, and begin to write."""
        await asyncio.to_thread(self._spool.open)
        self._writer = asyncio.create_task(self._write_all())

    async def close(self) -> None:
        """Write what waits, and end. What the database does not take stays in the spool."""
        self._closing = True
        self._wake.set()
        self._urgent.set()
        if self._writer is not None:
            await self._writer

    @property
    def waiting(self) -> int:
        """Acts that nobody has promised to keep yet."""
        return len(self._queue)

    @property
    def spooled(self) -> tuple[int, int, int]:
        """How many entries wait in the spool, their bytes, and the bytes it may have."""
        return self._spool.count, self._spool.size, self._spool.max_bytes

    async def write(
        self,
        act: auditing.Act,
        *,
        at: datetime.datetime | None = None,
        owed: bool = False,
        urgent: bool = True,
    ) -> None:
        """Write an act down that happens `at` a time, or now; on return it is safe.

        `owed`: it tells the end of something whose beginning was written, and is kept whatever the
        policy and the spool's bound say. `urgent`: something waits for it, or should not happen
        unseen; other acts wait for company. Raises AuditUnavailable.
        """
        if self._closing:
            raise errors.AuditUnavailable("The audit log is closed.")
        act = located(act)
        at = at or datetime.datetime.now(datetime.UTC)
        done = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(act=act, at=at, owed=owed, done=done))
        self._wake.set()
        if urgent:
            self._urgent.set()
        # Whoever gives up waiting does not take the act with them.
        await asyncio.shield(done)

    # --- the writer --------------------------------------------------------------------------

    async def _write_all(self) -> None:
        while True:
            await self._wait()
            await self._gather()
            batch = [self._queue.popleft() for _ in range(min(MAX_BATCH, len(self._queue)))]
            try:
                await self._write(batch)
            except Exception as exc:
                logger.exception("the audit log's writer")
                self._settle(batch, errors.AuditUnavailable(f"{exc}", hint=_HINT))
            if self._closing and not self._queue:
                return

    async def _wait(self) -> None:
        """Until there is something to write, or the spool may be tried again."""
        if self._queue or self._closing:
            return
        self._wake.clear()
        pause = max(0.0, self._retry_at - time.monotonic()) if self._spool.count else None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), pause)

    async def _gather(self) -> None:
        """Wait for company, unless something is urgent."""
        if self._linger and 0 < len(self._queue) < MAX_BATCH:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), self._linger)
        if len(self._queue) <= MAX_BATCH and not self._closing:
            self._urgent.clear()

    async def _write(self, batch: list[_Waiting]) -> None:
        # In a thread: redaction takes its time, and whoever acts shall not wait for it.
        entries = await asyncio.to_thread(_entries, batch) if batch else []
        if self._due() and await self._drained() and (not batch or await self._takes(entries)):
            self._settle(batch)
        elif batch:
            # Should the database have taken it after all, the ids tell when it is written again.
            await self._set_aside(batch, entries)

    def _due(self) -> bool:
        return time.monotonic() >= self._retry_at or self._closing

    async def _drained(self) -> bool:
        """Bring what waits in the spool to the database, in order; whether nothing waits now."""
        while self._spool.count:
            entries, size = await asyncio.to_thread(self._spool.first, MAX_BATCH)
            if not await self._takes(entries, again=True):
                return False
            await asyncio.to_thread(self._spool.drop, size)
        return True

    async def _takes(self, entries: Sequence[chain.Entry], *, again: bool = False) -> bool:
        work = asyncio.create_task(self._store.append(entries, again=again))
        await asyncio.wait({work}, timeout=STORE_SECONDS)
        if work.done() and work.exception() is None:
            place = work.result()
            self.total += len(entries)
            self.up, self._retry_at, self._retry_after = True, 0.0, _RETRY_FIRST
            if place is not None:
                self._written(place)
            return True
        if not work.done():
            # Its end may hang as well; should it commit after all, the ids tell.
            work.cancel()
            self._abandoned.add(work)
            work.add_done_callback(self._forget)
        if self.up:
            why = work.exception() if work.done() else "it does not answer"
            logger.error("the audit log's database is down: %s", why)
        self.up = False
        self._retry_at = time.monotonic() + self._retry_after
        self._retry_after = min(_RETRY_MOST, self._retry_after * 2)
        return False

    def _forget(self, work: asyncio.Task[store.Place | None]) -> None:
        self._abandoned.discard(work)
        if not work.cancelled():
            work.exception()

    async def _set_aside(self, batch: list[_Waiting], entries: Sequence[chain.Entry]) -> None:
        """Keep in the spool what the policy and its bound let in, and what is owed."""
        kept: list[_Waiting] = []
        refused: list[_Waiting] = []
        lines: list[bytes] = []
        for each, entry in zip(batch, entries, strict=True):
            line = chain.canonical(entry) + b"\n"
            if each.owed or (self._policy == "spool" and self._spool.room([*lines, line])):
                kept.append(each)
                lines.append(line)
            else:
                refused.append(each)
        why = "is down" if self._policy == "refuse" else "is down and the spool is full"
        error = errors.AuditUnavailable(f"The audit log's database {why}.", hint=_HINT)
        self._settle(refused, error)
        if not kept:
            return
        try:
            await asyncio.to_thread(self._spool.append, lines)
        except OSError as exc:
            logger.error("the audit log's spool can't be written: %s", exc)
            for each, line in zip(kept, lines, strict=True):
                if each.owed:
                    self.lost += 1
                    logger.critical("lost to the audit log: %s", line.decode("ascii"))
            self._settle(kept, errors.AuditUnavailable(f"The spool fails: {exc}", hint=_HINT))
        else:
            self._settle(kept)

    def _settle(
        self, batch: Sequence[_Waiting], error: errors.AuditUnavailable | None = None
    ) -> None:
        for each in batch:
            if each.done.done():
                continue
            if error is None:
                each.done.set_result(None)
            else:
                each.done.set_exception(error)
                # Its writer may have gone.
                each.done.exception()


def located(act: auditing.Act) -> auditing.Act:
    """The act with where it is from: who answers the request knows, and needs not hand it down."""
    call = calls.current.get()
    if call is None or act.address or call.identity.subject != act.subject:
        return act
    return dataclasses.replace(act, address=call.address)


def _entries(batch: Sequence[_Waiting]) -> list[chain.Entry]:
    return [chain.entry(each.act, each.at) for each in batch]
