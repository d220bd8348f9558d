"""The environment manager: one sandbox per user, found again, started, healed, culled when idle.

Sandboxes are never repaired: one whose server did not end in order is removed and another takes
its place, under another name, so that nothing that was known of the old one can be mistaken for
true of the new.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import datetime
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Literal, Protocol

from pgcellar.api import errors
from pgcellar.environments import admission, spawner, store

logger = logging.getLogger(__name__)

#: How often sandboxes are looked after, in seconds.
WATCH_INTERVAL = 2.0
#: Seconds for which a sandbox is not stopped for somebody else's sake.
_RESPITE = 5.0

SpawnerFactory = Callable[[str, Mapping[str, Any]], spawner.Spawner]


class Told(Protocol):
    """Is told what became of an owner's sandbox, and why, where its owner has not asked for it."""

    def __call__(self, owner: str, action: str, name: str, /, **details: str) -> None:
        """`action` is `start`, `stop` or `replace`."""


def _nobody(owner: str, action: str, name: str, /, **details: str) -> None:
    """Nobody is told."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the machine carries.

    `running` sandboxes at once, 0 for any number, of which `starting` start at once; beyond that
    `queue` people wait, up to `patience` seconds.
    """

    running: int = 0
    starting: int = 4
    queue: int = 1000
    patience: float = 60.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How an owner's sandbox stands, in seconds.

    One that is `waiting` is about to start; `extended` is how long it will not be stopped for being
    idle.
    """

    status: Literal["none", "stopped", "waiting", "running"]
    idle: float = 0.0
    waiting: float = 0.0
    extended: float = 0.0


class Sandbox:
    """One running server of one user. After a restart there is another object for the same name."""

    def __init__(self, row: store.SandboxRow, source: spawner.Spawner) -> None:
        self.row = row
        self.endpoint = source.endpoint()
        self._spawner = source
        self._runs = 0
        self._used = time.monotonic()
        self.since = datetime.datetime.now(datetime.UTC)

    @property
    def name(self) -> str:
        """The sandbox's name; never given to another."""
        return self.row.name

    def alive(self) -> bool:
        """Whether its server runs."""
        return self._spawner.poll()

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """While this is held the sandbox is not idle."""
        self._runs += 1
        try:
            yield
        finally:
            self._runs -= 1
            self.touch()

    def touch(self) -> None:
        """Somebody is about to use it."""
        self._used = time.monotonic()

    def idle_seconds(self) -> float:
        """How long nobody has used it; 0 while somebody does."""
        return 0.0 if self._runs else time.monotonic() - self._used

    async def restrain(self, restraints: spawner.Restraints) -> None:
        """Bound what its sessions use from now on."""
        await self._spawner.restrain(restraints)

    @property
    def runs(self) -> int:
        """How many use it now."""
        return self._runs

    def memory(self) -> int | None:
        """Bytes that its server has in memory, where that is known."""
        return self._spawner.memory()

    async def stop(self) -> None:
        """Stop the server in order."""
        await self._spawner.stop()


class Environments:
    """See the module.

    `idle_timeout` is in seconds. `spares` sandboxes are kept running, besides the limit, for
    whoever comes, or crashes, next. `stopped` is told whose idle sandbox was stopped, and `told`
    what is written down. `restraints` says what an owner's sessions may use; without it they are
    not restrained.
    """

    def __init__(
        self,
        sandboxes: store.SandboxStore,
        make: SpawnerFactory,
        *,
        kind: str,
        idle_timeout: float,
        spares: int,
        limits: Limits = Limits(),
        stopped: Callable[[str], None] = lambda owner: None,
        restraints: Callable[[str], Awaitable[spawner.Restraints]] | None = None,
        told: Told = _nobody,
    ) -> None:
        self._store = sandboxes
        self._told = told
        self._make = make
        self._kind = kind
        self._idle_timeout = idle_timeout
        self._spares = spares
        self._live: dict[str, Sandbox] = {}
        self._spare: list[Sandbox] = []
        self._rows: dict[str, store.SandboxRow] = {}
        self._beginning: dict[str, store.SandboxRow] = {}
        self._locks: dict[str, asyncio.Lock] = collections.defaultdict(asyncio.Lock)
        #: Owners whose sandboxes are about to start, since when; and who may be idle until when.
        self._coming: dict[str, float] = {}
        self._extended: dict[str, float] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._stopped = stopped
        self._restraints = restraints
        self._starting = asyncio.Semaphore(limits.starting)
        #: Owners of what an earlier service left running.
        self._taken_up: set[str] = set()
        #: Whose sandbox was stopped on purpose, and who did not come since.
        self._resting: set[str] = set()
        self._admission = admission.Admission(
            limit=limits.running,
            queue=limits.queue,
            patience=limits.patience,
            running=lambda: len(self._live),
            make_room=self._make_room,
        )

    async def open(self) -> None:
        """Read what an earlier service left, remove what nobody owns, begin to watch."""
        for row in await self._store.all():
            if row.owner == store.NOBODY or row.owner in self._rows:
                await self._remove(row)
            else:
                self._rows[row.owner] = row
                self._take_up(row)
        self._watcher = asyncio.create_task(self._watch())

    def _take_up(self, row: store.SandboxRow) -> None:
        """A sandbox that an earlier service left running counts, and is stopped when it is idle.

        Its owner may never come again; who does has it brought as any other, and restrained.
        """
        source = self._make(row.name, row.state)
        if row.kind == self._kind and source.trusted() and source.poll():
            self._live[row.owner] = Sandbox(row, source)
            self._taken_up.add(row.owner)

    async def close(self) -> None:
        """Stop every sandbox in order; owned ones are found again by the next service."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await asyncio.gather(*(sandbox.stop() for sandbox in self._live.values()))
        for owner, sandbox in self._live.items():
            self._told(owner, "stop", sandbox.name, reason="the service ends")
        for spare in self._spare:
            await self._remove(spare.row)
        self._live.clear()
        self._spare.clear()

    async def sandbox(self, owner: str) -> Sandbox:
        """The owner's running sandbox, started or replaced if need be.

        Raises PostgresNotFound, PostgresFailed, SandboxFull or LimitExceeded.
        """
        async with self._locks[owner]:
            self._resting.discard(owner)
            live = self._live.get(owner)
            if live is not None and live.alive() and owner not in self._taken_up:
                live.touch()
                return live
            self._live.pop(owner, None)
            self._taken_up.discard(owner)
            self._coming[owner] = time.monotonic()
            try:
                return await self._bring(owner)
            finally:
                del self._coming[owner]

    async def _bring(self, owner: str) -> Sandbox:
        # First, since what runs already must not be lost sight of where this fails.
        allowed = None if self._restraints is None else await self._restraints(owner)
        async with self._admission.enter():
            how, found = "again", await self._resume(owner)
            if found is None:
                how, found = "spare", await self._take_spare(owner)
            if found is None:
                how, found = "new", await self._start(self._new_row(owner))
            self._live[owner] = found
            self._rows[owner] = found.row
            self._told(owner, "start", found.name, how=how)
            if allowed is not None:
                # To its end, though whoever asked may have left.
                await asyncio.shield(found.restrain(allowed))
            return found

    def extend(self, owner: str, seconds: float) -> None:
        """Stop an owner's sandbox for being idle no sooner than in so many seconds."""
        self._extended[owner] = time.monotonic() + seconds

    def left(self, owner: str, sandbox: Sandbox) -> float:
        """Seconds after which a sandbox is stopped, if nothing uses it until then."""
        extended = self._extended.get(owner, 0.0) - time.monotonic()
        return max(self._idle_timeout - sandbox.idle_seconds(), extended, 0.0)

    def standing(self, owner: str) -> Standing:
        """How an owner's sandbox stands."""
        now = time.monotonic()
        extended = max(self._extended.get(owner, 0.0) - now, 0.0)
        if owner in self._coming:
            return Standing(status="waiting", waiting=now - self._coming[owner], extended=extended)
        live = self._live.get(owner)
        if live is not None and live.alive():
            return Standing(status="running", idle=live.idle_seconds(), extended=extended)
        return Standing(status="stopped" if owner in self._rows else "none", extended=extended)

    def find(self, owner: str) -> tuple[store.SandboxRow, Sandbox | None] | None:
        """The owner's sandbox, and if it runs, that; one that starts has the status `starting`."""
        live = self._live.get(owner)
        if live is not None and live.alive():
            return live.row, live
        row = self._beginning.get(owner)
        if row is None and owner in self._rows:
            row = dataclasses.replace(self._rows[owner], status="stopped")
        return None if row is None else (row, None)

    async def stop(self, owner: str) -> None:
        """Stop the owner's sandbox in order, if it runs; its disk stays."""
        async with self._locks[owner]:
            self._resting.add(owner)
            live = self._live.get(owner)
            if live is not None:
                # Who has it stopped says so.
                await self._stop(owner, live)

    def rests(self, owner: str) -> bool:
        """Whether the owner's sandbox was stopped, not for being idle, and nobody came since."""
        return owner in self._resting

    async def remove(self, owner: str) -> None:
        """End the owner's sandbox at once, with all it has; the next one is another."""
        async with self._locks[owner]:
            self._resting.discard(owner)
            found = self.find(owner)
            if found is not None:
                self._live.pop(owner, None)
                await self._remove(found[0])
                # Not before: what could not be removed is found again.
                self._rows.pop(owner, None)
                self._stopped(owner)

    def names(self) -> list[str]:
        """Every sandbox there is, running or not."""
        owned = [row.name for row in self._rows.values()]
        return owned + [spare.name for spare in self._spare]

    def running(self) -> list[Sandbox]:
        """Every sandbox that runs for somebody."""
        return list(self._live.values())

    def counts(self) -> dict[str, int]:
        """How many sandboxes there are, by what they do."""
        stopped = self._rows.keys() - self._live.keys() - self._beginning.keys()
        return {
            "running": len(self._live),
            "spare": len(self._spare),
            "stopped": len(stopped),
            "waiting": self._admission.waiting,
        }

    # --- one sandbox -------------------------------------------------------------------------

    def _new_row(self, owner: str) -> store.SandboxRow:
        return store.SandboxRow(
            name=secrets.token_hex(4), owner=owner, kind=self._kind, status="starting", state={}
        )

    async def _resume(self, owner: str) -> Sandbox | None:
        """The sandbox that was the owner's before, unless its disk can't be trusted."""
        row = self._rows.get(owner)
        if row is None:
            return None
        # Until it is removed it is one of those there are, and so are its snapshots.
        try:
            if row.kind == self._kind and self._make(row.name, row.state).trusted():
                return await self._start(row)
            why = "did not end in order"
            await self._remove(row)
        except errors.PostgresFailed:
            why = "does not start again"
        except BaseException:
            self._rows.pop(owner, None)
            raise
        logger.warning("sandbox %s %s; it is replaced", row.name, why)
        self._told(owner, "replace", row.name, reason=f"it {why}")
        self._rows.pop(owner, None)
        return None

    async def _start(self, row: store.SandboxRow) -> Sandbox:
        async with self._starting:
            return await self._begin(row)

    async def _begin(self, row: store.SandboxRow) -> Sandbox:
        source = self._make(row.name, row.state)
        await self._store.save(row)
        self._beginning[row.owner] = dataclasses.replace(row, status="starting")
        try:
            async for state in source.start():
                row = dataclasses.replace(row, state=dict(state))
                await self._store.save(row)
        except BaseException:
            await asyncio.shield(self._remove(row))
            raise
        finally:
            self._beginning.pop(row.owner, None)
        row = dataclasses.replace(row, status="running")
        await self._store.save(row)
        return Sandbox(row, source)

    async def _remove(self, row: store.SandboxRow) -> None:
        await self._make(row.name, row.state).remove()
        await self._store.remove(row.name)

    async def _take_spare(self, owner: str) -> Sandbox | None:
        while self._spare:
            spare = self._spare.pop()
            if spare.alive():
                spare.row = dataclasses.replace(spare.row, owner=owner)
                await self._store.save(spare.row)
                return spare
            await self._remove(spare.row)
        return None

    # --- watching ----------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            try:
                await self._cull()
                if self._live and len(self._spare) < self._spares:
                    self._spare.append(await self._start(self._new_row(store.NOBODY)))
            except errors.PgcellarError as exc:
                logger.warning("watching sandboxes: %s", exc)

    async def _cull(self) -> None:
        """Stop sandboxes nobody has used for `idle_timeout`; forget those that crashed."""
        now = time.monotonic()
        self._extended = {owner: end for owner, end in self._extended.items() if end > now}
        for owner, sandbox in list(self._live.items()):
            if owner in self._extended:
                continue
            async with self._locks[owner]:
                if self._live.get(owner) is not sandbox:
                    continue
                if sandbox.idle_seconds() > self._idle_timeout:
                    logger.info("sandbox %s is idle; stopping it", sandbox.name)
                    await self._stop(owner, sandbox, "it was idle")

    async def _make_room(self) -> bool:
        """Stop the sandbox that nobody has used for longest; False if there is none to stop."""
        for owner, sandbox in sorted(self._live.items(), key=lambda item: -item[1].idle_seconds()):
            if sandbox.idle_seconds() < _RESPITE:
                return False
            # Not one whose owner is just coming, and who may wait for the same turn.
            if not self._locks[owner].locked():
                async with self._locks[owner]:
                    logger.info("sandbox %s makes room for another", sandbox.name)
                    await self._stop(owner, sandbox, "it made room for another")
                    return True
        return False

    async def _stop(self, owner: str, sandbox: Sandbox, reason: str | None = None) -> None:
        del self._live[owner]
        await sandbox.stop()
        if reason is not None:
            self._told(owner, "stop", sandbox.name, reason=reason)
        self._stopped(owner)
