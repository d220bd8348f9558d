"""Instances: mutable clones in which cells run, each with its one connection and its state."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

from pgcellar.api import errors
from pgcellar.notebook import states
from pgcellar.runner import connections, executor, probes, sessions, switching

logger = logging.getLogger(__name__)


class Snapshots(Protocol):
    """What the runner needs of the snapshot cache."""

    @property
    def base(self) -> str:
        """The id of the base."""

    @property
    def shares_extents(self) -> bool:
        """Whether cloning copies nothing."""

    def find(self, state: str) -> Snapshot | None:
        """The snapshot of a state, if it is kept."""

    def all(self) -> Sequence[Snapshot]:
        """Every snapshot kept."""

    def clone_ms(self, size: int) -> float:
        """What a clone of that size will probably take."""

    async def instance(self, state: str, *, counted: bool = True) -> str:
        """A new mutable clone; the name of its database. `counted` as a use of the snapshot."""

    async def discard(self, database: str) -> None:
        """Drop an instance."""

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
        """Keep a state by cloning an instance nobody is connected to."""

    async def forget(self, state: str) -> None:
        """Drop one snapshot."""


class Snapshot(Protocol):
    """What the runner needs of a snapshot."""

    @property
    def state(self) -> str:
        """Its state's id."""

    @property
    def bytes(self) -> int:
        """Its logical size."""

    @property
    def session(self) -> Mapping[str, Any]:
        """What its session held, as `SessionState.to_json` has it."""


class Attributes(Protocol):
    """Reads and writes what belongs to a database but is not in it (JSON; None: nothing)."""

    async def read(self, database: str) -> dict[str, Any] | None:
        """What belongs to a database now."""

    async def owners(self) -> Mapping[str, int | None]:
        """The owner of every database, None where it is the user's role."""

    async def write(self, database: str, wanted: Mapping[str, Any] | None) -> None:
        """Make this belong to a database, and take settings off the user's own role."""


class Control(Protocol):
    """The control sessions of the sandbox."""

    async def terminate(self, pid: int) -> bool:
        """End a session, and wait until it is gone."""

    async def size_at(self, pid: int) -> int | None:
        """Bytes of the database that a server process works in."""

    async def advance_at(self, pid: int) -> Mapping[str, Any] | None:
        """How far a server process's command is; see `advances.Look`."""

    async def ping(self) -> None:
        """Make a new session. Raises SandboxLost."""

    @property
    def roles(self) -> switching.Roles:
        """The roles of the sandbox."""

    async def waits(self, pids: Collection[int]) -> Mapping[int, Sequence[int]]:
        """For whom these server processes wait, where it has been too long for a deadlock."""

    @property
    def attributes(self) -> Attributes:
        """What belongs to the databases of the sandbox."""


class Place(Protocol):
    """Where the sandbox listens."""

    def conninfo(self, database: str, *, admin: bool = False) -> dict[str, Any]:
        """Connection parameters."""


@dataclasses.dataclass(slots=True, eq=False)
class Instance:
    """One clone and its connection.

    `mark` is where in a chain its content stands; `origin` the snapshot it came from, and
    `replay_ms` the work done on it since. `since_base`: its one session has seen everything from
    the base on. `sessions`: all it has, if cells name them. `held` is what its session holds; pins
    keep its state from being kept. `custom` names the settings of the user's own naming that it may
    hold; `roles` is its state's set. `attributes` is what belonged to its database when it was last
    without a session, and `began` the settings that its session began with; `redefined`: a
    statement since may have changed the former, and `redefines`: any below may, by what a
    definition runs. `owner` is its database's as its own cells left it, None for the user's role;
    `reached`: another notebook has changed it since; `hides`: what ran in it may have done more to
    the sandbox than its text shows, perhaps in a transaction. `plans`: whether prepared statements,
    if there are any, would mean the same prepared again, and `prepared_as`: what literals meant
    when they were. `changes_roles`: a cell that ran here may have changed roles, perhaps in a
    transaction.
    """

    database: str
    mark: states.Mark
    origin: str
    size: int
    session: executor.Session | None = None
    sessions: sessions.Sessions | None = None
    since_base: bool = False
    held: probes.SessionState = dataclasses.field(default_factory=probes.SessionState)
    custom: set[str] = dataclasses.field(default_factory=set)
    roles: switching.RoleSet = None
    attributes: Mapping[str, Any] | None = None
    began: Sequence[Mapping[str, Any]] = ()
    redefined: bool = False
    redefines: bool = False
    owner: int | None = None
    hides: bool = False
    reached: bool = False
    plans: Literal["none", "kept", "spoilt"] = "none"
    prepared_as: tuple[bytes | None, ...] = ()
    changes_roles: bool = False
    replay_ms: float = 0.0
    used: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def pinned(self) -> str | None:
        """Why its state can't be kept, if it can't."""
        if self.mark.sessions:
            return "more than one session"
        if self.held.pins:
            return ", ".join(self.held.pins)
        if self.held.prepared and self.plans == "spoilt":
            return "prepared statements"
        if self.mark.unrestorable:
            return "session settings that can't be restored"
        if self.mark.memory.differs:
            return "what the session remembers of functions"
        if self.mark.from_base:
            return "functions that look at the session's sequences"
        return None

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open in one of its sessions."""
        if self.sessions is not None:
            return self.sessions.in_transaction
        return self.session is not None and self.session.in_transaction

    async def end(self) -> None:
        """End its sessions, whatever they do."""
        if self.sessions is not None:
            await self.sessions.close()
        if self.session is not None:
            await self.session.close()
        self.session = self.sessions = None


class Instances:
    """Makes, connects, keeps and discards the instances of one sandbox."""

    def __init__(
        self,
        place: Place,
        snapshots: Snapshots,
        control: Control,
    ) -> None:
        self._place = place
        self._snapshots = snapshots
        self._control = control
        self.types: Mapping[int, str] = {}

    async def make(self, mark: states.Mark) -> Instance:
        """A new instance from the snapshot of a mark's state, connected."""
        snapshot = self._snapshots.find(mark.state)
        if snapshot is None:
            raise errors.NotFound(f"The state {mark.state[:12]} is not kept.")
        database = await self._snapshots.instance(mark.state)
        held = probes.SessionState.of_json(snapshot.session)
        instance = Instance(
            database=database,
            mark=mark,
            origin=mark.state,
            size=snapshot.bytes,
            since_base=mark.state == self._snapshots.base,
            held=held,
            custom={name for name in held.settings if "." in name},
            roles=snapshot.session.get("roles"),
            attributes=snapshot.session.get("attributes"),
            began=snapshot.session.get("began", ()),
            redefines=bool(snapshot.session.get("redefines")),
            owner=(snapshot.session.get("attributes") or {}).get("owner"),
            plans="kept" if held.prepared else "none",
        )
        try:
            await self.connect(instance)
        except BaseException:
            await self.discard(instance)
            raise
        return instance

    async def connect(self, instance: Instance) -> executor.Session:
        """The instance's session, made anew with its settings if there is none.

        Raises SandboxLost if there was one, and it has ended by itself.
        """
        if instance.session is not None:
            if instance.session.check():
                return instance.session
            # Whatever it held besides settings went with it: the instance is of no more use.
            raise errors.SandboxLost("The notebook's session has ended.", unread=True)
        # The session is a new one to PostgreSQL only: to the notebook it is that in which the cells
        # above ran, and it may be connected to as that was.
        began = {"settings": list(instance.began)} if instance.began else None
        await self._control.attributes.write(instance.database, began)
        session = await executor.Session.connect(
            self._place.conninfo(instance.database), self.types
        )
        try:
            await probes.restore(session, instance.held)
            if instance.attributes != began:
                await self._control.attributes.write(instance.database, instance.attributes)
        except BaseException as exc:
            # Whoever was foreseeing an edit, say, is cancelled when somebody comes.
            await session.close()
            if isinstance(exc, connections.StatementFailed):
                raise errors.PgcellarError(f"The session can't be restored: {exc}") from exc
            raise
        instance.session, instance.prepared_as = session, session.meanings
        return session

    @contextlib.asynccontextmanager
    async def looking(self, state: str, options: str) -> AsyncIterator[executor.Session]:
        """A session of the user's role, begun with options, on a clone that is dropped afterwards.

        It has nothing of what the state's own session holds. Raises NotFound or SandboxLost.
        """
        database = await self._snapshots.instance(state, counted=False)
        session: executor.Session | None = None
        try:
            await self._control.attributes.write(database, None)
            session = await executor.Session.connect(
                {**self._place.conninfo(database), "options": options}, self.types
            )
            yield session
        finally:
            await asyncio.shield(self._dropped(session, database))

    async def _dropped(self, session: executor.Session | None, database: str) -> None:
        with contextlib.suppress(errors.PgcellarError):
            if session is not None:
                await session.close()
            await self._snapshots.discard(database)

    async def sessions(self, instance: Instance) -> sessions.Sessions:
        """All sessions of an instance. Raises SandboxLost."""
        if instance.sessions is None:
            main = await self.connect(instance)

            async def another() -> executor.Session:
                attributes, database = self._control.attributes, instance.database
                # Settings of the user's role that are for all databases are of no state.
                await attributes.write(database, await attributes.read(database))
                return await executor.Session.another(self._place.conninfo(database), self.types)

            instance.sessions = sessions.Sessions(main, another, self._control.waits)
        return instance.sessions

    async def disconnect(self, instance: Instance) -> None:
        """End the instance's session and see it gone. Raises PgcellarError."""
        session, instance.session = instance.session, None
        instance.since_base = False
        if session is not None:
            pid = session.pid
            await session.close()
            if not await self._control.terminate(pid):
                raise errors.PgcellarError("A session of the sandbox does not end.")
        found = await self._control.attributes.read(instance.database)
        if found != instance.attributes and not instance.redefined:
            raise errors.PgcellarError(
                "Another notebook has changed this notebook's database.", hint="Run the cell again."
            )
        instance.attributes, instance.redefined = found, False

    async def keep(self, instance: Instance, cell: str) -> None:
        """Keep the instance's state: clone it, and go on in the original.

        Raises PgcellarError; the state is not kept then, and the instance of no more use.
        """
        await self.disconnect(instance)
        await self._snapshots.keep(
            instance.mark.state,
            instance.database,
            parent=instance.origin,
            cost_ms=instance.replay_ms,
            cell=cell,
            session={
                **instance.held.to_json(),
                "roles": instance.roles,
                "attributes": instance.attributes,
                "began": list(instance.began),
                "redefines": instance.redefines,
            },
        )
        snapshot = self._snapshots.find(instance.mark.state)
        if snapshot is not None:
            instance.size = snapshot.bytes
        instance.origin = instance.mark.state
        instance.replay_ms = 0.0
        try:
            await self.connect(instance)
        except errors.PgcellarError:
            # A prepared statement, say, whose table is gone: nobody could go on from there.
            await self._snapshots.forget(instance.mark.state)
            raise

    async def discard(self, instance: Instance) -> None:
        """Drop the instance. A sandbox that is gone took it along."""
        with contextlib.suppress(errors.PgcellarError):
            await instance.end()
            await self._snapshots.discard(instance.database)
