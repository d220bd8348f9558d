"""The sql-runner: takes runs, plans them, binds them to an instance, executes, and reports."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import logging
import math
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from pgcellar.api import errors, quotas, records
from pgcellar.notebook import cells
from pgcellar.runner import (
    bases,
    disks,
    files,
    gates,
    guarding,
    outputs,
    pages,
    patience,
    planner,
    progress,
    requests,
    run,
    slices,
    views,
    workspace,
)

logger = logging.getLogger(__name__)


class Sandbox(Protocol):
    """What the runner needs of a sandbox."""

    @property
    def name(self) -> str:
        """Its name."""

    def alive(self) -> bool:
        """Whether its server runs."""

    def in_use(self) -> contextlib.AbstractContextManager[None]:
        """While this is held it is not idle."""


class Environments(Protocol):
    """What the runner needs of the environment manager."""

    async def sandbox(self, owner: str) -> Any:
        """The owner's running sandbox."""

    def rests(self, owner: str) -> bool:
        """Whether the owner's sandbox was stopped on purpose, and nobody came since."""


#: Seconds for which a head that can't begin is tried again, and between two tries: the control
#: database is started anew within a few.
_AWAY_SECONDS = 10.0
_AGAIN_SECONDS = 0.5
_CANCELLED = "57014"
#: Seconds for which runs that are cancelled all at once are waited for; then whoever cancelled them
#: ends what they run in.
_INTERRUPT_SECONDS = 10.0
_UNFORESEEN = "The service met an error it did not foresee; the cell left no trace."
_LOGGED = "Its log has the details: `pgcellar service status` names it."


@dataclasses.dataclass(kw_only=True, slots=True, eq=False)
class _Begun:
    """A run that has begun, perhaps at no head yet."""

    notebook: str
    cell: str
    at: float = dataclasses.field(default_factory=time.monotonic)
    cancelled: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Busy:
    """A run that is under way: since when, and since when its statement is."""

    run: str
    notebook: str
    cell: str
    seconds: float
    statement_seconds: float


#: Opens what the runner holds of a running sandbox.
OpenWorkspace = Callable[[Any], Awaitable[workspace.Workspace]]
#: What an owner is allowed of something; infinite where there is no limit.
Allowed = Callable[[str, quotas.Limit], Awaitable[float]]


async def _anything(owner: str, limit: quotas.Limit) -> float:
    return math.inf


class Runner:
    """See the module."""

    def __init__(
        self,
        environments: Environments,
        open_workspace: OpenWorkspace,
        kept: slices.SliceStore,
        opener: files.Files,
        allowed: Allowed = _anything,
        steps: progress.Progress | None = None,
        disk: disks.Disk | None = None,
    ) -> None:
        self._steps = steps
        self._disk = disk
        self._allowed = allowed
        self._environments = environments
        self._open_workspace = open_workspace
        self._pages = pages.Pages(kept)
        self._files = opener
        self._bases = bases.Bases(self._files)
        self._parser = requests.Parser()
        self._workspaces: dict[str, tuple[Sandbox, workspace.Workspace]] = {}
        self._opening: dict[str, asyncio.Lock] = collections.defaultdict(asyncio.Lock)
        self._runs: dict[tuple[str, str], run.Run] = {}
        #: Runs that have begun, perhaps at no head yet.
        self._known: dict[tuple[str, str], _Begun] = {}
        #: Set when the next run ends, and then another.
        self._over = asyncio.Event()
        self.active = 0

    async def close(self) -> None:
        """Cancel what runs, and end every session."""
        await self._pages.close()
        for current in list(self._runs.values()):
            await current.cancel()
        for _, space in self._workspaces.values():
            await space.close()
        self._workspaces.clear()

    async def run(
        self,
        owner: str,
        request: records.RunRequest,
        emit: outputs.Emit,
        identity: str | None = None,
    ) -> None:
        """Run the heads; `emit` gets every event, the last of which is `Done`, whatever happens.

        `identity` is the run's id, if it has one already. Cancelling the task cancels the run, and
        is waited for.
        """
        requests.check(request)
        await self.run_checked(owner, request, emit, identity)

    async def run_checked(
        self,
        owner: str,
        request: records.RunRequest,
        emit: outputs.Emit,
        identity: str | None = None,
    ) -> None:
        """See `run`; of a thousand cells, checking takes a tenth of the time of a read."""
        identity = identity or secrets.token_hex(8)
        begun = _Begun(notebook=request.notebook, cell=request.cells[request.head].id)
        self._known[owner, identity] = begun
        if self._steps is not None:
            emit = self._steps.watch(owner, request, emit)
        self.active += 1
        try:
            await emit(records.Started(run=identity))
            expanded = await self._expand(request)
            request = expanded.request

            async def tell(event: records.Event) -> None:
                await emit(expanded.event(event))

            parsed = await self._parse(owner, request)
            first = request.head if request.first is None else request.first
            if first < request.head:
                request = dataclasses.replace(request, brief=True)
            for head in range(first, request.head):
                one = dataclasses.replace(request, head=head)
                upto = cells.Cells(parsed[: head + 1])
                if not await self._head(owner, one, tell, identity, upto):
                    return
                if request.reroll:
                    # What was rolled again for this head is what the next ones run on.
                    rolled = {cell.id for cell in request.cells[: head + 1]}
                    left = tuple(cell for cell in request.reroll if cell not in rolled)
                    request = dataclasses.replace(request, reroll=left)
            await self._head(owner, request, tell, identity, parsed)
        except (errors.FileRefused, errors.NotebookInvalid) as exc:
            await emit(requests.nothing_ran(request, exc, cell=bases.cell(request)))
        finally:
            self.active -= 1
            self._ended(owner, identity)
            del self._known[owner, identity]

    async def _parse(self, owner: str, request: records.RunRequest) -> cells.Cells:
        """The cells down to the head. Raises NotebookInvalid."""
        refused = requests.too_long(request)
        if refused is not None and (await self._limits(owner)).any:
            raise refused
        parsed = await self._parser.parse(owner, request)
        if parsed.scanned and (await self._limits(owner)).any:
            # Where it takes long, others go on.
            await asyncio.to_thread(requests.check_commands, parsed)
        return parsed

    async def _expand(self, request: records.RunRequest) -> bases.Expanded:
        """The request with the cells of its base. Raises FileRefused or NotebookInvalid."""
        if not bases.named(request):
            return bases.Expanded(request=request)
        return await asyncio.to_thread(self._bases.expand, request)

    async def _head(
        self,
        owner: str,
        request: records.RunRequest,
        emit: outputs.Emit,
        identity: str,
        parsed: cells.Cells,
        gate: gates.Gate | None = None,
    ) -> bool:
        """Run one head up to its `Done`; whether it left a state, so that the next may run."""
        left = False

        async def watch(event: records.Event) -> None:
            nonlocal left
            if isinstance(event, records.Done):
                left = bool(event.cells) and event.cells[-1].state is not None
                left = event.error is None or (left and event.error.sqlstate != _CANCELLED)
            await emit(event)

        try:
            await self._patiently(owner, request, watch, identity, parsed, gate)
        except run.LostBeforeHead as exc:
            lost = errors.SandboxLost(str(exc), hint=exc.hint or "Run the cell again.")
            await emit(requests.nothing_ran(request, lost, cell=exc.cell))
        except errors.PgcellarError as exc:
            await emit(requests.nothing_ran(request, exc))
        except Exception:
            # The last resort: the person gets a sentence, the log the details.
            logger.exception("run %s of %s", identity, request.notebook)
            unforeseen = errors.PgcellarError(_UNFORESEEN, hint=_LOGGED)
            await emit(requests.nothing_ran(request, unforeseen))
        return left

    async def _patiently(
        self,
        owner: str,
        request: records.RunRequest,
        emit: outputs.Emit,
        identity: str,
        parsed: cells.Cells,
        gate: gates.Gate | None,
    ) -> None:
        """Attempts, and again where the control database was away before the head began."""
        told = False

        async def tell(event: records.Event) -> None:
            nonlocal told
            told = told or not isinstance(event, records.Progress)
            await emit(event)

        latest = time.monotonic() + _AWAY_SECONDS
        while True:
            try:
                return await self._attempts(owner, request, tell, identity, parsed, gate)
            except errors.ServiceUnavailable as exc:
                if told or time.monotonic() > latest:
                    raise
                logger.warning("run %s can't begin yet: %s", identity, exc)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _attempts(
        self,
        owner: str,
        request: records.RunRequest,
        emit: outputs.Emit,
        identity: str,
        parsed: cells.Cells,
        gate: gates.Gate | None,
    ) -> None:
        for last in (False, True):
            # Nor does a sandbox start for a run that was cancelled while it lost the one before.
            self._check_cancelled(owner, identity)
            limits = await self._limits(owner)
            if (full := limits.full()) is not None:
                raise full
            sandbox, space = await self._workspace(owner, emit)
            with sandbox.in_use():
                current = run.Run(
                    request,
                    emit,
                    space,
                    self._files,
                    parsed=parsed,
                    alive=sandbox.alive,
                    gate=gate,
                    limits=limits,
                )
                self._runs[owner, identity] = current
                self._check_cancelled(owner, identity)
                try:
                    await current.execute()
                    return
                except run.LostBeforeHead:
                    # What died had died before this run came: heal, and begin again, once.
                    if last:
                        raise

    async def _limits(self, owner: str) -> guarding.Limits:
        found = guarding.Limits(
            statement_seconds=await self._allowed(owner, "statement_seconds"),
            database_bytes=await self._allowed(owner, "snapshot_bytes"),
            session_bytes=await self._allowed(owner, "memory_bytes"),
        )
        if self._disk is None or not found.any:
            # The service's owner, whose disk it is.
            return found
        return dataclasses.replace(found, full=self._disk.full)

    def _check_cancelled(self, owner: str, identity: str) -> None:
        if self._known[owner, identity].cancelled:
            raise errors.Cancelled

    async def cancel(self, owner: str, identity: str) -> None:
        """Cancel an owner's run. Raises NotFound if there is no such run (any more)."""
        if (owner, identity) not in self._known:
            raise errors.NotFound(f"There is no run {identity}.")
        # Between two heads nothing runs that could be cancelled.
        self._known[owner, identity].cancelled = True
        current = self._runs.get((owner, identity))
        if current is not None:
            await current.cancel()

    async def interrupt(self, owner: str) -> None:
        """Cancel all that runs for an owner, and wait for it to end, but not for ever."""
        for key, begun in self._known.items():
            if key[0] == owner:
                begun.cancelled = True
        for key, current in list(self._runs.items()):
            if key[0] == owner:
                await current.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_INTERRUPT_SECONDS):
                while any(key[0] == owner for key in self._runs):
                    await self._over.wait()

    def busy(self) -> dict[str, list[Busy]]:
        """The runs of everybody that are under way, by owner."""
        now = time.monotonic()
        found: dict[str, list[Busy]] = collections.defaultdict(list)
        for (owner, identity), begun in self._known.items():
            current = self._runs.get((owner, identity))
            found[owner].append(
                Busy(
                    run=identity,
                    notebook=begun.notebook,
                    cell=begun.cell,
                    seconds=now - begun.at,
                    statement_seconds=0.0 if current is None else current.statement_seconds,
                )
            )
        return found

    async def plan(
        self, owner: str, request: records.RunRequest, *, wakes: bool = True
    ) -> records.Plan:
        """What a run would do, without doing it.

        Unless it `wakes`, a sandbox that was stopped on purpose is not started for it. Raises
        Conflict then.
        """
        requests.check(request)
        if not wakes and self._environments.rests(owner):
            raise errors.Conflict("The sandbox was stopped.", hint="Running a cell starts it.")
        request = (await self._expand(request)).request
        parsed = await self._parse(owner, request)
        sandbox, space = await self._workspace(owner, _silent)
        with sandbox.in_use():
            return await planner.Planner(request, space, self._files, parsed).plan()

    async def prepare(self, owner: str, request: records.RunRequest) -> None:
        """Begin to have an instance stand where the head begins, since it is going to be run."""
        requests.check(request)
        request = (await self._expand(request)).request
        parsed = await self._parse(owner, request)
        async with self.using(owner) as space:
            foreseen = run.Run(
                request, _silent, space, self._files, parsed=parsed, alive=lambda: True
            )
            await foreseen.prepare()

    async def page(self, owner: str, request: records.PageRequest) -> records.Page:
        """A page of what a statement of the head gives.

        Raises BadRequest, NoPages, or whatever kept the head from running.
        """
        wanted = requests.check_page(request)
        self.active += 1
        try:
            expanded = await self._expand(wanted)
            parsed = await self._parse(owner, expanded.request)
            requests.check_statement(request.statement, parsed[-1])
            head = _Head(self, owner, expanded, parsed)
            if not request.order and not request.filters:
                return await self._pages.page(request, head)
            bound = (await self._pages.standing(head)).head
            requests.check_statement(request.statement, bound)
            described = head.showing(views.described(bound, request.statement))
            columns = (
                await self._pages.page(dataclasses.replace(request, offset=0), described)
            ).columns
            view = head.showing(views.applied(bound, request, columns))
            try:
                page = await self._pages.page(request, view)
            except errors.NoPages as exc:
                raise views.refused(exc) from exc
            if (await self._pages.standing(head)).head != bound:
                # A variable that a query set has another value, though the state is the same.
                raise pages.unsteady()
            return dataclasses.replace(page, columns=columns)
        finally:
            self.active -= 1

    async def standing(
        self, owner: str, request: records.RunRequest, parsed: cells.Cells
    ) -> gates.Standing | None:
        """Where a head would begin; see `planner.Planner.standing`."""
        # What is known of a sandbox that has ended is still true.
        known = self._workspaces.get(owner) or await self._workspace(owner, _silent)
        return await planner.Planner(request, known[1], self._files, parsed).standing()

    async def run_gated(
        self,
        owner: str,
        expanded: bases.Expanded,
        parsed: cells.Cells,
        emit: outputs.Emit,
        gate: gates.Gate,
    ) -> records.Done:
        """Run a head where a gate lets it; see `pages.Head`."""
        identity = secrets.token_hex(8)
        asked = expanded.request
        self._known[owner, identity] = _Begun(
            notebook=asked.notebook, cell=asked.cells[asked.head].id
        )
        done: records.Done | None = None

        async def tell(event: records.Event) -> None:
            nonlocal done
            if isinstance(event, records.Done):
                told = expanded.event(event)
                assert isinstance(told, records.Done)
                done = told
            else:
                await emit(event)

        self.active += 1
        try:
            await self._head(owner, asked, tell, identity, parsed, gate)
        finally:
            self.active -= 1
            self._ended(owner, identity)
            del self._known[owner, identity]
        assert done is not None
        return done

    def _ended(self, owner: str, identity: str) -> None:
        self._runs.pop((owner, identity), None)
        self._over.set()
        self._over = asyncio.Event()

    async def forget(self, owner: str, notebook: str) -> None:
        """Give a notebook's instances back, if its sandbox runs."""
        found = self._workspaces.get(owner)
        if found is not None and found[0].alive():
            await found[1].forget(notebook)

    async def leave(self, owner: str) -> None:
        """Let go of a sandbox that was stopped."""
        async with self._opening[owner]:
            known = self._workspaces.get(owner)
            if known is not None and not known[0].alive():
                del self._workspaces[owner]
                await known[1].close()

    async def space(self, owner: str) -> workspace.Workspace:
        """The workspace of an owner's running sandbox."""
        return (await self._workspace(owner, _silent))[1]

    @contextlib.asynccontextmanager
    async def using(self, owner: str) -> AsyncIterator[workspace.Workspace]:
        """The workspace of an owner's sandbox, which is not idle while this is held."""
        sandbox, space = await self._workspace(owner, _silent)
        self.active += 1
        try:
            with sandbox.in_use():
                yield space
        finally:
            self.active -= 1

    @contextlib.asynccontextmanager
    async def running(self, owner: str) -> AsyncIterator[workspace.Workspace]:
        """As `using`, but no sandbox is started for it. Raises Conflict if none runs."""
        known = self._workspaces.get(owner)
        if known is None or not known[0].alive():
            raise errors.Conflict("No sandbox runs.", hint="Running a cell starts it.")
        self.active += 1
        try:
            with known[0].in_use():
                yield known[1]
        finally:
            self.active -= 1

    async def above(self, owner: str, request: records.RunRequest) -> tuple[str, int]:
        """The nearest state above a head that is kept; see `planner.Planner.above`.

        Nothing is run for it. Raises Conflict if no sandbox runs, or what keeps it from being read.
        """
        requests.check(request)
        async with self.running(owner) as space:
            request = (await self._expand(request)).request
            parsed = await self._parse(owner, request)
            return await planner.Planner(request, space, self._files, parsed).above()

    async def _workspace(
        self, owner: str, emit: outputs.Emit
    ) -> tuple[Sandbox, workspace.Workspace]:
        async with patience.Patience(emit, "Starting the sandbox …"), self._opening[owner]:
            sandbox = await self._environments.sandbox(owner)
            known = self._workspaces.get(owner)
            if known is not None and known[0] is sandbox:
                return known
            if known is not None:
                await known[1].close()
                del self._workspaces[owner]
            with sandbox.in_use():
                space = await self._open_workspace(sandbox)
            self._workspaces[owner] = (sandbox, space)
            return sandbox, space


class _Head:
    """The head of an owner's notebook; satisfies `pages.Head`."""

    def __init__(
        self,
        runner: Runner,
        owner: str,
        expanded: bases.Expanded,
        parsed: cells.Cells,
    ) -> None:
        self._runner = runner
        self._owner = owner
        self._expanded = expanded
        self._parsed = parsed

    def showing(self, parsed: cells.ParsedCell) -> _Head:
        """The same head, with another text."""
        asked = self._expanded.request
        cell = dataclasses.replace(asked.cells[asked.head], source=parsed.source)
        changed = (*asked.cells[: asked.head], cell)
        expanded = dataclasses.replace(
            self._expanded, request=dataclasses.replace(asked, cells=changed)
        )
        tail = cells.Cells(self._parsed[:-1])
        return _Head(self._runner, self._owner, expanded, tail.below(parsed))

    async def standing(self) -> gates.Standing | None:
        return await self._runner.standing(self._owner, self._expanded.request, self._parsed)

    async def run(self, emit: outputs.Emit, gate: gates.Gate) -> records.Done:
        return await self._runner.run_gated(self._owner, self._expanded, self._parsed, emit, gate)


async def _silent(_: records.Event) -> None:
    """Drops events."""
