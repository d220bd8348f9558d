"""The snapshot cache of one sandbox: finds, keeps, clones, reconciles and evicts states.

The index row comes first (`pending`), then the database, then `ready`; dropping goes the other
way (`dropping`, database, row). Whoever is killed in between leaves a row that says so, or a
database without a row, and `open` clears both.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import logging
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from pgcellar.api import errors
from pgcellar.notebook import states
from pgcellar.snapshots import driver, eviction, pins, store

logger = logging.getLogger(__name__)

#: What a clone takes where nothing has been measured yet: ms, and ms per MiB copied.
_CLONE_MS = 60.0
_COPY_MS_PER_MIB = 3.0
_MIB = 1024 * 1024
#: The share of the room for snapshots that may be exempt from eviction.
_SPARED = 0.5
NOT_KEPT = "Run the cell that leads to it again (in REST with `rerun`): it is kept a moment later."
#: Weight of the newest measurement in the running average.
_NEWEST = 0.3


class SnapshotCache:
    """See the module. Not safe for two processes at once; a sandbox has one runner.

    `evicted` is told which states went for the limits.
    """

    def __init__(
        self,
        sandbox: str,
        databases: driver.DatabaseDriver,
        index: store.SnapshotStore,
        pinned: pins.Pins,
        *,
        limits: eviction.Limits,
        extensions: tuple[str, ...] = (),
        evicted: Callable[[Sequence[str]], object] = lambda states: None,
    ) -> None:
        self._sandbox = sandbox
        self._driver = databases
        self._index = index
        self.pins = pinned
        self._limits = limits
        self._extensions = extensions
        self._evicted = evicted
        self._snapshots: dict[str, store.Snapshot] = {}
        self._pending: set[str] = set()
        self._instances: set[str] = set()
        self._clone_ms = _CLONE_MS
        self._copy_ms_per_mib = _COPY_MS_PER_MIB
        self.base = ""

    # --- life --------------------------------------------------------------------------------

    async def open(self) -> None:
        """Adopt what an earlier service left: index and databases are reconciled both ways."""
        await self.pins.open()
        await self._driver.open()
        description = await self._driver.describe()
        self.base = states.base_id({**description, "extensions": list(self._extensions)})
        present = await self._driver.databases()
        for row in await self._index.of(self._sandbox):
            if row.status == "ready" and row.database in present:
                self._snapshots[row.state] = row
            else:
                await self._driver.drop(row.database)
                await self._index.remove(self._sandbox, row.state)
        known = {snapshot.database for snapshot in self._snapshots.values()}
        for name in sorted(present - known):
            await self._driver.drop(name)
        if self.base not in self._snapshots:
            await self._make_base()

    async def close(self) -> None:
        """Write down what was used, and close the control sessions."""
        with contextlib.suppress(errors.PgcellarError):
            for snapshot in self.all():
                await self._index.save(self._sandbox, snapshot)
        await self._driver.close()

    async def _make_base(self) -> None:
        name = _name(self.base)
        await self._driver.drop(name)
        await self._driver.prepare_base(name, self._extensions)
        now = _now()
        base = store.Snapshot(
            state=self.base,
            parent=None,
            database=name,
            bytes=await self._driver.size(name),
            cell="(base)",
            created=now,
            last_used=now,
        )
        await self._index.save(self._sandbox, base)
        self._snapshots[self.base] = base

    # --- finding -----------------------------------------------------------------------------

    @property
    def shares_extents(self) -> bool:
        """Whether cloning copies nothing here."""
        return self._driver.shares_extents

    def find(self, state: str) -> store.Snapshot | None:
        """The snapshot of a state, if it is kept."""
        return self._snapshots.get(state)

    def all(self) -> list[store.Snapshot]:
        """Every snapshot kept, oldest first."""
        return sorted(self._snapshots.values(), key=lambda snapshot: snapshot.created)

    def clone_ms(self, size: int) -> float:
        """What cloning a database of `size` bytes will probably take, in ms."""
        if self.shares_extents:
            return self._clone_ms
        base = self._snapshots.get(self.base)
        copied = max(0, size - (base.bytes if base else 0))
        return self._clone_ms + copied / _MIB * self._copy_ms_per_mib

    # --- instances ---------------------------------------------------------------------------

    async def instance(self, state: str, *, counted: bool = True) -> str:
        """A new mutable clone of a snapshot; the name of its database.

        With `counted` it is a use that speaks for keeping the snapshot. Raises NotFound if the
        state is not kept (any more).
        """
        snapshot = self._kept(state)
        name = driver.INSTANCE_PREFIX + secrets.token_hex(4)
        self._instances.add(name)
        try:
            await self._clone(snapshot.database, name, snapshot.bytes, sealed=False)
        except BaseException:
            self._instances.discard(name)
            raise
        if counted and state in self._snapshots:
            used = dataclasses.replace(snapshot, hits=snapshot.hits + 1, last_used=_now())
            self._snapshots[state] = used
        return name

    async def discard(self, database: str) -> None:
        """Drop an instance."""
        self._instances.discard(database)
        await self._driver.drop(database)

    # --- keeping and dropping ----------------------------------------------------------------

    async def keep(
        self,
        state: str,
        source: str,
        *,
        parent: str,
        cost_ms: float,
        cell: str,
        session: Mapping[str, Any],
    ) -> None:
        """Keep a state: clone the instance `source`, which nobody may be connected to.

        Cancelling the task is safe at any moment. Does nothing if the state is kept already.
        """
        if state in self._snapshots or state in self._pending:
            return
        now = _now()
        snapshot = store.Snapshot(
            state=state,
            parent=parent,
            database=_name(state),
            status="pending",
            cost_ms=cost_ms,
            cell=cell,
            session=session,
            created=now,
            last_used=now,
        )
        self._pending.add(state)
        try:
            size = await self._driver.size(source)
            await self._index.save(self._sandbox, snapshot)
            await self._clone(source, snapshot.database, size, sealed=True)
            snapshot = dataclasses.replace(snapshot, status="ready", bytes=size)
            await self._index.save(self._sandbox, snapshot)
            self._snapshots[state] = snapshot
        except BaseException:
            await asyncio.shield(self._undo(snapshot))
            raise
        finally:
            self._pending.discard(state)
        await self.evict(keep=(state,))

    async def evict(self, keep: Collection[str] = ()) -> int:
        """Drop the least valuable snapshots until the limits hold; how many went."""
        spared = {*keep, *self.pins.states, self.base}
        gone = eviction.victims(self._snapshots.values(), self._limits, _now(), spared)
        for snapshot in gone:
            await self.forget(snapshot.state)
        if gone:
            self._evicted([snapshot.state for snapshot in gone])
        return len(gone)

    async def pin(self, state: str) -> None:
        """Don't evict a state. Raises NotFound if it is not kept, or LimitExceeded."""
        self._spare(state)
        await self.pins.pin(state)

    async def tag(self, state: str, tag: str) -> None:
        """Name a state, which is not evicted then. Raises NotFound or LimitExceeded."""
        self._spare(state)
        await self.pins.tag(state, tag)

    def _spare(self, state: str) -> None:
        """Raise LimitExceeded if states that are not evicted would take too much of the room."""
        spared = self.pins.states | {self._kept(state).state}
        size = sum(self._snapshots[each].bytes for each in spared if each in self._snapshots)
        if state not in self.pins.states and size > self._limits.bytes * _SPARED:
            raise errors.LimitExceeded(
                f"With this one, pinned and tagged states would take {size / _MIB:,.0f} MiB; of"
                f" {self._limits.bytes / _MIB:,.0f} MiB for states they may take half.",
                hint="Unpin another, or remove its tags.",
            )

    def _kept(self, state: str) -> store.Snapshot:
        snapshot = self._snapshots.get(state)
        if snapshot is None:
            raise errors.NotFound(f"The state {state[:12]} is not kept.", hint=NOT_KEPT)
        return snapshot

    async def forget(self, state: str) -> None:
        """Drop one snapshot. Those above it stay: they share nothing they could lose."""
        snapshot = self._snapshots.pop(state, None)
        if snapshot is not None:
            await self._index.save(self._sandbox, dataclasses.replace(snapshot, status="dropping"))
            await self._driver.drop(snapshot.database)
            await self._index.remove(self._sandbox, state)

    async def reconcile(self) -> int:
        """Drop databases that neither index nor anybody knows; how many there were."""
        known = {snapshot.database for snapshot in self._snapshots.values()}
        known |= {_name(state) for state in self._pending} | self._instances
        strays = await self._driver.databases() - known
        for name in sorted(strays):
            await self._driver.drop(name)
        return len(strays)

    async def _undo(self, snapshot: store.Snapshot) -> None:
        with contextlib.suppress(errors.PgcellarError):
            await self._driver.drop(snapshot.database)
            await self._index.remove(self._sandbox, snapshot.state)

    async def _clone(self, source: str, target: str, size: int, *, sealed: bool) -> None:
        begin = time.perf_counter()
        try:
            await self._driver.clone(source, target, sealed=sealed)
        except BaseException:
            with contextlib.suppress(errors.PgcellarError):
                await asyncio.shield(self._driver.drop(target))
            raise
        self._measure((time.perf_counter() - begin) * 1000, size)

    def _measure(self, ms: float, size: int) -> None:
        """Learn what clones cost here: the fixed part from small ones, the rate from big ones."""
        base = self._snapshots.get(self.base)
        copied = 0.0 if self.shares_extents or base is None else (size - base.bytes) / _MIB
        if copied < 1:
            self._clone_ms += _NEWEST * (ms - self._clone_ms)
        elif ms > self._clone_ms:
            rate = (ms - self._clone_ms) / copied
            self._copy_ms_per_mib += _NEWEST * (rate - self._copy_ms_per_mib)


def _name(state: str) -> str:
    return driver.SNAPSHOT_PREFIX + state[:32]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
