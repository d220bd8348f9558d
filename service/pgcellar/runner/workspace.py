"""What the runner holds of one sandbox: its snapshots, and the instances of each notebook."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Mapping,
    Sequence,
)
from typing import Any

from pgcellar.api import errors, records
from pgcellar.notebook import binding, cells, scripts, states
from pgcellar.runner import (
    connections,
    executor,
    instances,
    planning,
    probes,
    purity,
    results,
    running,
    sessions,
    store,
    switching,
)

logger = logging.getLogger(__name__)

#: Instances of one notebook: where the person is, and where the next edit is expected.
PER_NOTEBOOK = 3
#: Instances of one sandbox; each holds a server process.
PER_SANDBOX = 16
#: Instances of one sandbox with more than one session.
WITH_SESSIONS = 4
#: A clone expected to take less than this is waited for rather than cancelled.
SHORT_CLONE_MS = 100.0
#: Seconds without a run before a state is kept that is cheap to replay.
IDLE_SECONDS = 0.3
#: Seconds that a state being kept may hold up the end of the service.
CLOSE_SECONDS = 20.0


Foresee = Callable[[], Awaitable[None]]


class Notebook:
    """The instances of one notebook, used by one run at a time."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.lock = asyncio.Lock()
        self.instances: list[instances.Instance] = []
        self.used = time.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._settled.set()
        self._patient = True

    def live(self, mark: states.Mark, needs_base: bool) -> instances.Instance | None:
        """An instance that stands at a mark."""
        for instance in self.instances:
            if instance.mark != mark or (needs_base and not instance.since_base):
                continue
            if instance.reached:
                continue
            if instance.sessions is not None:
                # A session that has ended begins anew in the cell that names it.
                return instance
            connected = instance.session is not None and instance.session.usable
            if connected or (instance.pinned is None and not needs_base):
                return instance
        return None

    # --- work between runs -------------------------------------------------------------------

    def begin_work(self, work: asyncio.Task[None]) -> None:
        """Background work begins; it says by `settled` when the next run may come."""
        self._settled = settled = asyncio.Event()
        self._task = work
        work.add_done_callback(lambda _: settled.set())

    def settled(self, *, patient: bool) -> None:
        """What the next run needs is done; `patient`: what follows is short enough to wait for."""
        self._patient = patient
        self._settled.set()

    async def idle(self) -> None:
        """Wait until background work has come to its end by itself."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def quiet(self, *, at_once: bool = False) -> None:
        """Wait until background work has settled, and end the rest of it."""
        task = self._task
        if task is None:
            return
        if not at_once:
            await self._settled.wait()
        if not task.done() and (at_once or not self._patient):
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._task = None


class Workspace:
    """See the module."""

    def __init__(
        self,
        info: records.SandboxInfo,
        snapshots: instances.Snapshots,
        control: instances.Control,
        maker: instances.Instances,
        knowledge: store.KnowledgeStore,
        resources: contextlib.AsyncExitStack,
    ) -> None:
        self.info = info
        self.snapshots = snapshots
        self.maker = maker
        self.knowledge = knowledge
        self.chain = states.Chain(knowledge)
        self._control = control
        self.switch = switching.Switch(control.roles, self._end_role_changes)
        self._resources = resources
        self._costs: dict[tuple[str, str], float] = {}
        self._switched: tuple[scripts.Variables, list[str]] = ((), [])
        self._notebooks: dict[str, Notebook] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._first: instances.Instance | None = None

    async def open(self) -> None:
        """Ask the server, through an instance of the base, what every run needs to know."""
        await self.switch.open()
        mark = states.Mark(state=self.snapshots.base)
        first = await self.maker.make(mark)
        session = await self.maker.connect(first)
        self.knowledge.builtin_effects = await probes.builtin_effects(session)
        self.knowledge.builtin_impure = await probes.builtin_impure(session)
        self.maker.types = await probes.builtin_types(session)
        if self.knowledge.facts(mark.state) is None:
            self.knowledge.learn_facts(mark.state, await probes.facts(session))
        # Its session was made before the names of types were known.
        await self.maker.disconnect(first)
        first.since_base = True
        self._first = first

    async def close(self) -> None:
        """End background work and sessions; databases are left for the next service to clear."""
        for notebook in self._notebooks.values():
            # A state that is worth keeping is kept first, so that the next service finds it.
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await notebook.quiet()
            except TimeoutError:
                await notebook.quiet(at_once=True)
        # What does not let itself be cancelled takes seconds, each.
        ending = [one.end() for notebook in self._notebooks.values() for one in notebook.instances]
        for failure in await asyncio.gather(*ending, return_exceptions=True):
            if failure is not None and not isinstance(failure, errors.PgcellarError):
                logger.error("a session does not end", exc_info=failure)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._resources.aclose()

    @property
    def attributes(self) -> instances.Attributes:
        """What belongs to the databases of the sandbox."""
        return self._control.attributes

    def notebook(self, key: str) -> Notebook:
        """The notebook of a key."""
        found = self._notebooks.get(key)
        if found is None:
            found = self._notebooks[key] = Notebook(key)
            if self._first is not None:
                found.instances.append(self._first)
                self._first = None
        found.used = time.monotonic()
        return found

    async def forget(self, key: str) -> None:
        """Give a notebook's instances back."""
        notebook = self._notebooks.get(key)
        if notebook is not None:
            async with notebook.lock:
                await notebook.quiet()
                self._notebooks.pop(key, None)
                for instance in list(notebook.instances):
                    self.drop(notebook, instance)

    # --- instances ---------------------------------------------------------------------------

    async def make(self, notebook: Notebook, mark: states.Mark) -> instances.Instance:
        """A new instance of a notebook from a kept state."""
        self._make_room(notebook)
        instance = await self.maker.make(mark)
        notebook.instances.append(instance)
        return instance

    def drop(self, notebook: Notebook, instance: instances.Instance) -> None:
        """Discard an instance, in the background."""
        with contextlib.suppress(ValueError):
            notebook.instances.remove(instance)
        self._spawn(self.maker.discard(instance))

    def drop_ended(self, notebook: Notebook) -> None:
        """Discard instances whose session has ended by itself, as after idle_session_timeout."""
        for instance in list(notebook.instances):
            session = instance.session
            # Of several sessions, one that has ended begins anew in the cell that names it.
            if instance.sessions is None and session is not None and not session.check():
                self.drop(notebook, instance)

    async def _end_role_changes(self, spared: str | None) -> None:
        """Discard instances whose open transactions may hold roles; they can be replayed."""
        for notebook in list(self._notebooks.values()):
            for instance in list(notebook.instances):
                held = instance.changes_roles and instance.in_transaction
                if held and notebook.key != spared and not notebook.lock.locked():
                    notebook.instances.remove(instance)
                    await self.maker.discard(instance)

    async def end_role_changes(self, notebook: Notebook, kept: instances.Instance | None) -> None:
        """The same within a notebook that runs, but for the instance it goes on with."""
        for instance in list(notebook.instances):
            if instance is not kept and instance.changes_roles and instance.in_transaction:
                notebook.instances.remove(instance)
                await self.maker.discard(instance)

    async def forget_roles(self, notebook: Notebook) -> None:
        """Give up what knows roles, since one of them is gone: it is made again by replaying."""
        for instance in [one for one in notebook.instances if one.roles is not None]:
            self.drop(notebook, instance)
        for snapshot in list(self.snapshots.all()):
            if snapshot.session.get("roles") is not None:
                await self.snapshots.forget(snapshot.state)

    async def mind_owners(self, ran: instances.Instance) -> None:
        """Give up instances whose owner code in another one has changed: they can be replayed.

        REASSIGN OWNED reaches every database of the sandbox.
        """
        owners = await self.attributes.owners()
        ran.owner = owners.get(ran.database)
        for notebook in list(self._notebooks.values()):
            for instance in list(notebook.instances):
                if owners.get(instance.database, instance.owner) != instance.owner:
                    # Who runs just now goes on with it, but nobody after that.
                    instance.reached = True
                    if not notebook.lock.locked():
                        self.drop(notebook, instance)

    async def answers(self) -> bool:
        """Whether the sandbox's server takes new sessions."""
        try:
            await self._control.ping()
        except errors.PgcellarError:
            return False
        return True

    async def size_at(self, pid: int) -> int | None:
        """Bytes of the database that a server process works in. Raises SandboxLost."""
        return await self._control.size_at(pid)

    async def advance_at(self, pid: int) -> Mapping[str, Any] | None:
        """How far a server process's command is; see `advances.Look`. Raises SandboxLost."""
        return await self._control.advance_at(pid)

    def end_session(self, pid: int) -> None:
        """End a server process that does not let itself be cancelled, in the background."""
        self._spawn(self._end_session(pid))

    async def _end_session(self, pid: int) -> None:
        with contextlib.suppress(errors.PgcellarError):
            await self._control.terminate(pid)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _make_room(self, notebook: Notebook) -> None:
        while len(notebook.instances) >= PER_NOTEBOOK:
            self.drop(notebook, min(notebook.instances, key=lambda i: i.used))
        total = sum(len(other.instances) for other in self._notebooks.values())
        idle = sorted(
            (other for other in self._notebooks.values() if not other.lock.locked()),
            key=lambda other: other.used,
        )
        for other in idle:
            while other is not notebook and other.instances and total >= PER_SANDBOX:
                self.drop(other, other.instances[0])
                total -= 1

    async def sessions(self, notebook: Notebook, instance: instances.Instance) -> sessions.Sessions:
        """The sessions of an instance whose cells name them."""
        if instance.sessions is None:
            others = sorted(
                (one.used, id(one), other, one)
                for other in self._notebooks.values()
                for one in other.instances
                if one.sessions is not None and (other is notebook or not other.lock.locked())
            )
            for _, _, other, one in others[: max(0, len(others) + 1 - WITH_SESSIONS)]:
                other.instances.remove(one)
                await self.maker.discard(one)
        return await self.maker.sessions(instance)

    # --- what is known of cells --------------------------------------------------------------

    def cost(self, before: str, parsed: cells.ParsedCell) -> float:
        """What replaying a cell will probably take, in ms."""
        return self._costs.get((before, parsed.digest), planning.UNKNOWN_MS)

    def learn_cost(self, before: str, parsed: cells.ParsedCell, ms: float) -> None:
        """A cell ran and took that long."""
        self._costs[before, parsed.digest] = ms

    def remember(
        self,
        link: states.Link,
        parsed: cells.ParsedCell,
        done: results.CellRun,
        events: Sequence[records.Event] | None,
        include: scripts.Include,
    ) -> None:
        """A cell ran as head and gave these events (None: too many to keep)."""
        if events is not None and any(
            isinstance(event, records.Completed) and event.truncated for event in events
        ):
            events = None
        self.knowledge.remember(
            self.outcome_key(link, parsed, include),
            done.mark.state,
            store.CellOutcome.of(done.ms, events),
        )

    def pure(self, before: states.Mark, parsed: cells.ParsedCell) -> bool:
        """Whether the cell's results are functions of the state it runs in."""
        bound = binding.bound(parsed, before.variables)
        return purity.reason(before, bound, self.knowledge.facts(before.state)) is None

    def result_key(
        self, link: states.Link, parsed: cells.ParsedCell, include: scripts.Include
    ) -> str | None:
        """By what the results of a cell are known, if they are functions of the state."""
        return self.outcome_key(link, parsed, include) if self.pure(link.before, parsed) else None

    def remembered(
        self,
        link: states.Link,
        parsed: cells.ParsedCell,
        request: records.RunRequest,
        include: scripts.Include,
    ) -> list[records.Event] | None:
        """The events a cell gave when it ran as head in this state, if they fit the request."""
        outcome = self.knowledge.outcome(self.outcome_key(link, parsed, include))
        if outcome is None or outcome.body is None:
            return None
        events = outcome.events()
        counted: dict[int, int] = {}
        for event in events:
            if isinstance(event, records.Rows):
                counted[event.statement] = counted.get(event.statement, 0) + len(event.rows)
        if any(count > request.max_rows for count in counted.values()):
            return None
        return events

    def outcome_key(
        self, link: states.Link, parsed: cells.ParsedCell, include: scripts.Include
    ) -> str:
        """The digest of what decides what a cell gives, as far as the state decides it."""
        before = link.before
        texts = binding.texts(parsed, before.variables, include)
        if texts is None:
            texts = [parsed.source, *(text for item in before.variables for text in item)]
        # How it is shown is kept with what is shown.
        if before.variables is not self._switched[0]:
            # Most cells have the variables of the cell above.
            self._switched = before.variables, scripts.switches(before.variables)
        texts += self._switched[1]
        digests = tuple(digest for _, digest in link.uses.read)
        return store.outcome_key(self.knowledge.owner, before.state, tuple(texts), digests)

    # --- after a run -------------------------------------------------------------------------

    def after(
        self,
        notebook: Notebook,
        instance: instances.Instance | None,
        before: states.Mark,
        context: running.Context,
        ran: tuple[results.CellRun, states.Link] | None,
        cell: str,
        foresee: Foresee,
    ) -> None:
        """Begin what follows a head: settle its state if it wrote, then idle work.

        `instance` is None if the head failed; `before` is the mark it ran at, where the next edit
        is expected, and `foresee` makes an instance stand there.
        """
        notebook.begin_work(
            self._spawn(self._after(notebook, instance, before, context, ran, cell, foresee))
        )

    async def _after(
        self,
        notebook: Notebook,
        instance: instances.Instance | None,
        before: states.Mark,
        context: running.Context,
        ran: tuple[results.CellRun, states.Link] | None,
        cell: str,
        foresee: Foresee,
    ) -> None:
        try:
            if instance is not None and ran is not None and instance.mark != before:
                done, link = ran
                await self.settle(instance, done, context)
                if self.worth_keeping(instance, volatile=link.volatile):
                    await self.keep(instance, cell)
            await self._idle(notebook, instance, before, cell, foresee)
        except (errors.PgcellarError, connections.StatementFailed) as exc:
            # Whatever can't be kept is replayed when it is needed; the instance may be half-made.
            logger.warning("after a run: %s", exc)
            if instance is not None:
                self.drop(notebook, instance)
        except Exception:
            logger.exception("after a run")
            if instance is not None:
                self.drop(notebook, instance)

    async def prepare(self, notebook: Notebook, foresee: Foresee) -> None:
        """Begin to have an instance stand where the next run begins, if nothing runs."""
        await notebook.idle()
        if not notebook.lock.locked():
            notebook.begin_work(self._spawn(self._prepare(notebook, foresee)))

    async def _prepare(self, notebook: Notebook, foresee: Foresee) -> None:
        notebook.settled(patient=False)
        try:
            await foresee()
        except (errors.PgcellarError, connections.StatementFailed, results.CellFailed) as exc:
            # The run will meet the same and say so.
            logger.debug("preparing an edit: %s", exc)
        except Exception:
            logger.exception("preparing an edit")

    async def keep(self, instance: instances.Instance, cell: str) -> None:
        """Keep an instance's state, outside of a run."""
        async with self.switch.using(instance.roles):
            await self.maker.keep(instance, cell)

    async def settle(
        self, instance: instances.Instance, run: results.CellRun, context: running.Context
    ) -> None:
        """Find out what the next cell needs to know of the state the instance is in now.

        Raises PgcellarError where the instance can't be used any more.
        """
        if instance.mark.sessions:
            # Asking could wait for another session, or take a transaction's snapshot.
            return
        session = await self.maker.connect(instance)
        for relation in run.loaded:
            if not session.in_transaction:
                with contextlib.suppress(connections.StatementFailed):
                    await probes.analyze(session, relation)
        await self.look(instance, context)
        await running.know_facts(session, instance.mark, context)

    async def look(self, instance: instances.Instance, context: running.Context) -> None:
        """Find out what the session of an instance holds now. Raises PgcellarError."""
        session = await self.maker.connect(instance)
        instance.held = await self._held(session, instance, context)
        if not instance.held.prepared and not session.in_transaction:
            instance.plans = "none"

    async def _held(
        self,
        session: executor.Session,
        instance: instances.Instance,
        context: running.Context,
    ) -> probes.SessionState:
        """What it holds; the facts are found out by the way, where they are missing."""
        state = instance.mark.state
        if not session.in_transaction and context.knowledge.facts(state) is None:
            # What fails here, by a timeout of the user's, may do with less.
            with contextlib.suppress(connections.StatementFailed):
                held, facts = await probes.settled(session, instance.custom)
                context.knowledge.learn_facts(state, facts)
                return held
        try:
            return await probes.session_state(session, instance.custom)
        except connections.StatementFailed:
            return probes.SessionState(pins=("a session that does not answer",))

    def worth_keeping(self, instance: instances.Instance, *, volatile: bool) -> bool:
        """Whether to keep the instance's state before anything else runs on it."""
        if not self._can_keep(instance):
            return False
        return volatile or instance.replay_ms > self.snapshots.clone_ms(instance.size)

    def _can_keep(self, instance: instances.Instance) -> bool:
        return instance.pinned is None and self.snapshots.find(instance.mark.state) is None

    async def _idle(
        self,
        notebook: Notebook,
        instance: instances.Instance | None,
        expected: states.Mark,
        cell: str,
        foresee: Foresee,
    ) -> None:
        """When nobody waits: keep the state, and have a clone where an edit is expected."""
        notebook.settled(patient=False)
        await asyncio.sleep(IDLE_SECONDS)
        size = instance.size if instance is not None else 0
        notebook.settled(patient=self.snapshots.clone_ms(size) < SHORT_CLONE_MS)
        if instance is not None and self._can_keep(instance):
            await self.keep(instance, cell)
        if expected.session_bound or expected.sessions:
            return
        if notebook.live(expected, False) is not None:
            return
        # Replaying may take long, and whoever comes does not want to wait for it.
        notebook.settled(patient=False)
        try:
            await foresee()
        except results.CellFailed as exc:
            logger.debug("foreseeing an edit: %s", exc)
