"""One run: plan, bind, replay the tail, execute the head, report."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import time
from collections.abc import Callable, Sequence

from pgcellar.api import errors, records
from pgcellar.notebook import cells, states
from pgcellar.runner import (
    advances,
    beside,
    cancelling,
    executor,
    files,
    foreseeing,
    gates,
    guarding,
    instances,
    outputs,
    patience,
    places,
    planner,
    planning,
    reports,
    results,
    roundtrips,
    running,
    store,
    workspace,
)

logger = logging.getLogger(__name__)

#: A server that was killed is seen dead a moment after its connections break.
DEATH_SECONDS = 2.0
_DEATH_POLL = 0.02
_WARNING = "01000"
_CANCELLATIONS = ("57014", errors.Cancelled.code)


class LostBeforeHead(Exception):
    """A session or the whole sandbox was gone before anything of the head had run.

    `cell` is the id of the cell above that ran, if one did.
    """

    def __init__(self, cause: errors.PgcellarError, cell: str | None = None) -> None:
        super().__init__(cause.message)
        self.hint = cause.hint
        self.cell = cell


class Run:
    """One run of one notebook. `execute` once."""

    def __init__(
        self,
        request: records.RunRequest,
        emit: outputs.Emit,
        space: workspace.Workspace,
        opener: files.Files,
        *,
        parsed: cells.Cells,
        alive: Callable[[], bool],
        gate: gates.Gate | None = None,
        limits: guarding.Limits = guarding.NONE,
    ) -> None:
        self._request = request
        self._gate = gate
        self._emit = emit
        self._space = space
        self._alive = alive
        self._limits = limits
        self._notebook = space.notebook(request.notebook)
        self._cells = request.cells[: request.head + 1]
        self._parsed = parsed
        self._planner = planner.Planner(request, space, opener, parsed)
        self._reports = reports.Reports(self._cells, parsed)
        self._head_begun = self._head_shown = False
        #: The id of the tail's cell that runs.
        self._replayed: str | None = None
        self._remember: Callable[[], None] = _nothing
        self._foresight = foreseeing.Foresight(self._planner, space, self._notebook, parsed)
        self._cancelling = cancelling.Cancelling(space.end_session)
        self._guard = guarding.Guard(
            limits,
            session=lambda: self._cancelling.session,
            size=space.size_at,
            cancel=self.cancel,
        )
        self._advances = advances.Advances(
            session=lambda: self._cancelling.session,
            waiting=lambda: self._replays,
            look=space.advance_at,
            emit=emit,
        )
        self._replays: records.Progress | None = None
        #: Whether the session must be one from where the run starts (see `planning.Start`).
        self._whole = False
        self._begin = time.perf_counter()

    # --- the whole run -----------------------------------------------------------------------

    async def execute(self) -> None:
        """Run, and emit events up to `Done`."""
        self._cancelling.begin()
        error: records.SqlError | None = None
        try:
            async with self._guard.watching(), self._advances.told():
                error = await self._turn()
        except asyncio.CancelledError:
            if not self._cancelling.resume():
                raise
            error = errors.Cancelled().record(cell=self._cells[-1].id)
        except errors.SandboxLost as exc:
            error = await self._lost(exc)
        except errors.PgcellarError as exc:
            error = exc.record(cell=self._cells[-1].id)
        await self._cancelling.end()
        if self._cancelling.asked and error is None:
            # What was interrupted had come to its end, or its cell leaves the notebook's sessions.
            error = errors.Cancelled().record(cell=self._cells[-1].id)
        reached = self._guard.reached
        if reached is not None and error is not None and error.sqlstate in _CANCELLATIONS:
            error = reached.record(cell=error.cell or self._cells[-1].id)
        if error is not None and error.cell == self._cells[-1].id:
            self._reports.head.error = error
        await self._emit(self._done(error))
        # Whoever runs has the answer first.
        self._remember()

    async def _turn(self) -> records.SqlError | None:
        """Run when it is the notebook's turn; the error that ended it, if any."""
        async with patience.Patience(self._emit, "Waiting for another run …"):
            await self._notebook.lock.acquire()
        try:
            async with patience.Patience(self._emit, "Waiting for a snapshot …"):
                await self._notebook.quiet()
            self._space.drop_ended(self._notebook)
            return await self._run()
        finally:
            self._notebook.lock.release()

    @property
    def statement_seconds(self) -> float:
        """How long the statement has been running that runs now; 0 if none does."""
        session = self._cancelling.session
        return 0.0 if session is None else session.running_for

    async def cancel(self) -> None:
        """Cancel the run: the statement at the server if there is one, else the waiting."""
        await self._cancelling.cancel()

    async def _lost(self, cause: errors.SandboxLost) -> records.SqlError:
        """The connection broke: who ended, the session or the whole sandbox?"""
        head = self._cells[-1].id
        if self._cancelling.asked:
            return errors.Cancelled().record(cell=head)
        if not self._head_begun or (cause.unread and not self._head_shown):
            raise LostBeforeHead(cause, self._replayed) from cause
        if await self._answers():
            return errors.SandboxLost(
                f"The session ended while the cell ran: {cause.message}",
                hint=cause.hint or "Run the cell again: it starts from the state above it.",
            ).record(cell=head)
        return errors.SandboxLost(
            "The sandbox's PostgreSQL ended while the cell ran.",
            hint="Run the cell again: another sandbox takes its place and the cells above are "
            "replayed.",
        ).record(cell=head)

    async def _answers(self) -> bool:
        """Whether the sandbox still answers; a killed server is seen dead only a moment later."""
        deadline = time.monotonic() + DEATH_SECONDS
        while self._alive():
            if await self._space.answers():
                return True
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_DEATH_POLL)
        return False

    def _done(self, error: records.SqlError | None) -> records.Done:
        return records.Done(
            cells=self._reports.cells(brief=self._request.brief),
            totals=records.Totals(
                hits=self._reports.hits,
                replayed=self._reports.replayed,
                ms=round((time.perf_counter() - self._begin) * 1000, 3),
                planning_ms=round(self._planner.ms, 3),
            ),
            sandbox=self._space.info,
            error=error,
        )

    # --- running -----------------------------------------------------------------------------

    async def _run(self) -> records.SqlError | None:
        """Plan, bind, replay, run the head; the error that ended it, if any."""
        context = await self._planner.context()
        links, start = self._planner.walk(context)
        problem = self._planner.unwritten(links, context)
        if problem is not None:
            return self._stale(problem)
        remembered = self._planner.remembered(links, start, context)
        if remembered is not None:
            self._reports.start_after(links[:-1])
            await self._give_again(links[-1], remembered, context)
            self._save_chain()
            return None
        alone = self._parsed.roles
        roles = self._planner.find(links, start)[2]
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with patience.Patience(self._emit, "Waiting for a run with other roles …"):
                    await stack.enter_async_context(
                        self._space.switch.using(roles, alone=alone, notebook=self._notebook.key)
                    )
            except errors.RolesLost as exc:
                await self._space.forget_roles(self._notebook)
                raise LostBeforeHead(exc) from exc
            if alone:
                # Whatever became of them, and of the cell.
                stack.push_async_callback(self._space.switch.changed)
            return await self._run_from(links, start, context)

    async def _run_from(
        self, links: Sequence[states.Link], start: planning.Start, context: running.Context
    ) -> records.SqlError | None:
        """Bind, replay, run the head."""
        instance = await self._bind(links, start)
        try:
            index = start.index
            while index < len(self._cells) - 1:
                error = await self._replay(instance, context, index)
                if error is not None:
                    self._space.drop(self._notebook, instance)
                    return error
                index += 1
                if index < len(links):
                    continue
                # Only running that cell could tell what it does; now there may be a kept state.
                links, start = self._planner.walk(context)
                lacks = (start.needs_base and not instance.since_base) or (
                    start.whole and not self._whole
                )
                if start.index > index or lacks:
                    instance, index = await self._bind(links, start), start.index
            return await self._head(instance, context)
        except BaseException:
            self._space.drop(self._notebook, instance)
            raise
        finally:
            self._cancelling.session = None

    async def _bind(
        self, links: Sequence[states.Link], start: planning.Start
    ) -> instances.Instance:
        """An instance that stands where a plan starts, connected."""
        self._reports.start_after(links[: start.index])
        self._whole = start.whole
        mark, instance, roles = self._planner.find(links, start)
        await self._space.end_role_changes(self._notebook, instance)
        if roles is not None:
            await self._space.switch.to(roles)
        if instance is None:
            async with patience.Patience(self._emit, "Cloning the snapshot …"):
                instance = await self._space.make(self._notebook, mark)
        if instance.sessions is None:
            try:
                await self._connect(instance)
            except errors.SandboxLost:
                self._space.drop(self._notebook, instance)
                raise
        return instance

    async def _connect(self, instance: instances.Instance) -> executor.Session:
        session = await self._space.maker.connect(instance)
        self._cancelling.stand_at(session)
        return session

    async def _run_cell(
        self,
        instance: instances.Instance,
        parsed: cells.ParsedCell,
        context: running.Context,
        emit: outputs.Emit | None,
    ) -> results.CellRun:
        """Run a cell, and show what it gives if it is the head."""
        request = self._request
        target = running.Target(
            emit=emit or _nowhere,
            max_rows=request.max_rows,
            max_bytes=request.max_bytes,
            rows_first=self._gate is not None,
        )
        if instance.mark.concerns_sessions(parsed):
            held = await self._space.sessions(self._notebook, instance)
            self._cancelling.stand_at(held)
            # What a tail cell leaves pending may end in the head, and be shown there.
            return await beside.run_cell(held, instance, parsed, context, target)
        session = await self._connect(instance)
        done = await running.run_cell(
            instance, session, parsed, context, None if emit is None else target
        )
        if done.mark.memory.differs and not self._whole:
            raise results.CellFailed(_unforeseen(), unharmed=False)
        return done

    async def _replay(
        self, instance: instances.Instance, context: running.Context, index: int
    ) -> records.SqlError | None:
        """Bring the instance over one tail cell, running it if it must run."""
        cell, parsed, report = self._cells[index], self._parsed[index], self._reports.of(index)
        link = self._space.chain.link(instance.mark, parsed, context.digests, context.include)
        calls = self._whole and link.calls and link.before.memory.holds
        if link.after is not None and not link.runs and not calls:
            # The same place, but variables may have been set.
            instance.mark = link.after
            report.state, report.effect = instance.mark.state, link.effect
            return None
        report.source, report.volatile = "replayed", link.volatile
        self._planner.reroll.discard(index)
        before = instance.mark
        try:
            self._refuse(index, context)
            tail = len(self._cells) - 1
            self._replays = records.Progress(
                message=f"Replaying cell {index + 1} of {tail} …",
                cell=cell.id,
                left=tail - index,
                what="replay",
                done=index,
                total=tail,
            )
            self._replayed = cell.id
            async with patience.Patience(self._emit, self._replays):
                done = await self._run_cell(instance, parsed, context, None)
            self._replayed = None
            self._check_files(index, context, ran=True)
        except results.CellFailed as exc:
            report.error = self._in_cell(exc.error, index)
            return report.error
        finally:
            self._replays = None
        await self._settle_roles(instance, done)
        self._reports.replayed += 1
        if done.rerolled or (parsed.reads_only and done.mark != before):
            self._space.chain.forget()
        report.ms, report.rows, report.effect = done.ms, done.rows, done.effect
        report.state = done.mark.state
        if done.error is not None:
            report.error = self._in_cell(done.error, index)
        self._space.learn_cost(before.state, parsed, done.ms)
        if done.mark != before:
            instance.replay_ms += done.ms
        await self._space.settle(instance, done, context)
        needed = self._needs_session(index, instance.mark)
        if not needed and self._space.worth_keeping(instance, volatile=link.volatile):
            await self._space.maker.keep(instance, _title(parsed))
        return None

    async def _settle_roles(self, instance: instances.Instance, done: results.CellRun) -> None:
        """Note which roles there are after a cell that may have made any."""
        # What is done in a transaction is seen by others when it has ended.
        instance.hides = instance.hides or done.opaque or instance.redefines
        if instance.hides:
            await self._space.switch.noticed(instance)
            await self._space.mind_owners(instance)
            instance.hides = instance.in_transaction
        if self._parsed.roles:
            instance.changes_roles = True
            instance.roles = await self._space.switch.changed()

    def _needs_session(self, index: int, mark: states.Mark) -> bool:
        """Whether a cell after this one looks at what the session did since the base, or may hang
        on what it remembers of functions.
        """
        return (self._whole and mark.memory.holds) or any(
            parsed.needs_base for parsed in self._parsed[index + 1 :]
        )

    async def _head(
        self, instance: instances.Instance, context: running.Context
    ) -> records.SqlError | None:
        parsed, report = self._parsed[-1], self._reports.head
        before = instance.mark
        if self._gate is not None and not await self._opens(self._gate, instance, context):
            return None
        link = self._link(before, context)
        report.source, report.input = "head", self._space.outcome_key(link, parsed, context.include)
        self._head_begun = True
        events: list[records.Event] = []
        size = 0

        async def emit(event: records.Event) -> None:
            nonlocal size
            self._head_shown = True
            if self._gate is None and size <= store.MAX_OUTCOME_BYTES:
                if isinstance(event, records.Rows):
                    size += sum(len(v) for row in event.rows for v in row if v is not None)
                events.append(event)
            await self._emit(event)

        await self._show_translation()
        begin = time.perf_counter()
        try:
            self._refuse(len(self._cells) - 1, context)
            done = await self._run_cell(instance, parsed, context, emit)
            self._check_files(len(self._cells) - 1, context, ran=True)
            if self._cancelling.asked and not done.mark.sessions:
                raise results.CellFailed(errors.Cancelled().record(), unharmed=False)
        except results.CellFailed as exc:
            report.ms = (time.perf_counter() - begin) * 1000
            report.effect = planner.predicted(parsed)
            if not exc.unharmed:
                self._space.drop(self._notebook, instance)
            self._space.after(self._notebook, None, before, context, None, "", self._foresight.edit)
            return self._in_cell(exc.error, -1)
        await self._settle_roles(instance, done)
        if done.rerolled or (parsed.reads_only and done.mark != before):
            self._space.chain.forget()
        report.ms, report.rows, report.effect = done.ms, done.rows, done.effect
        report.state = done.mark.state
        if done.mark != before and instance.pinned and not done.mark.sessions:
            # It may have ended what pinned the state.
            with contextlib.suppress(errors.PgcellarError):
                await self._space.look(instance, context)
        report.pinned = instance.pinned
        instance.used = time.monotonic()
        if done.mark != before:
            instance.replay_ms += done.ms
            self._space.learn_cost(before.state, parsed, done.ms)
        # What only running it told is known now.
        link = self._link(before, context)
        report.input = self._space.outcome_key(link, parsed, context.include)
        kept = done.mark != before or self._space.pure(before, parsed)
        if kept and done.error is None and not done.mark.sessions and self._gate is None:
            # With a lower bound a value may have been cut, which no event tells.
            whole = self._request.max_bytes >= store.MAX_OUTCOME_BYTES >= size
            self._remember = functools.partial(
                self._space.remember, link, parsed, done, events if whole else None, context.include
            )
        report.volatile = link.volatile
        self._save_chain()
        self._space.after(
            self._notebook,
            instance,
            before,
            context,
            (done, link),
            _title(parsed),
            self._foresight.edit,
        )
        return None if done.error is None else self._in_cell(done.error, -1)

    async def _opens(
        self, gate: gates.Gate, instance: instances.Instance, context: running.Context
    ) -> bool:
        """Whether the head shall begin; the instance stands before it all the same."""
        session = await self._connect(instance)
        await running.know_facts(session, instance.mark, context)
        link = self._link(instance.mark, context)
        key = self._space.result_key(link, self._parsed[-1], context.include)
        gate.opened = key is not None and key == gate.key
        return gate.opened

    def _link(self, before: states.Mark, context: running.Context) -> states.Link:
        """The head as a link of the chain."""
        return self._space.chain.link(before, self._parsed[-1], context.digests, context.include)

    async def prepare(self) -> None:
        """Begin to have an instance stand where the head begins; it does not run."""
        await self._space.prepare(self._notebook, self._foresight.edit)

    def _refuse(self, index: int, context: running.Context) -> None:
        """A cell with a statement that can't run in a notebook does not begin."""
        parsed = self._parsed[index]
        self._check_files(index, context)
        step = parsed.refused
        if step is not None:
            error = places.in_source(places.refusal(step), parsed)
            raise results.CellFailed(error, unharmed=True)

    def _check_files(self, index: int, context: running.Context, *, ran: bool = False) -> None:
        """Nor does one that reads a file which the notebook would have written otherwise; of some
        it is known only when they `ran` what they read.
        """
        if self._parsed[index].scanned == "nothing":
            return
        links, _ = self._planner.walk(context)
        problem = self._planner.unwritten(links[: index + 1], context)
        if problem is not None:
            raise results.CellFailed(problem.error.record(), unharmed=not ran)

    def _stale(self, problem: roundtrips.Problem) -> records.SqlError:
        """Nothing of the run begins, since a cell, the head or one above, reads such a file."""
        error = problem.error.record(cell=self._cells[problem.index].id)
        self._reports.of(problem.index).error = error
        return error

    def _in_cell(self, error: records.SqlError, index: int) -> records.SqlError:
        """The error of a cell of this run."""
        return dataclasses.replace(self._limits.explained(error), cell=self._cells[index].id)

    # --- outcomes ----------------------------------------------------------------------------

    async def _show_translation(self) -> None:
        """What is run in place of a head in another dialect; no part of what is remembered."""
        translation = self._parsed[-1].translation
        if translation is None:
            return
        text = f"Run as PostgreSQL:\n{translation.sql}\n"
        await self._emit(records.Text(statement=0, text=text))
        for warning in translation.warnings:
            await self._emit(
                records.Notice(statement=0, severity="WARNING", sqlstate=_WARNING, message=warning)
            )

    async def _give_again(
        self, link: states.Link, events: Sequence[records.Event], context: running.Context
    ) -> None:
        await self._show_translation()
        for event in events:
            await self._emit(event)
        report = self._reports.head
        report.source, report.effect, report.volatile = "hit", link.effect, link.volatile
        report.state = link.after.state if link.after else None
        report.input = self._space.outcome_key(link, self._parsed[-1], context.include)
        report.rows = next(
            (e.row_count for e in reversed(events) if isinstance(e, records.Completed)), None
        )

    def _save_chain(self) -> None:
        """Remember how the notebook stood, to say next time what changed."""
        saved = self._space.knowledge.chain(self._request.notebook)
        now = self._parsed.digests
        rest = saved[len(now) :] if saved[: len(now) - 1] == now[:-1] else ()
        self._space.knowledge.save_chain(self._request.notebook, now + rest)


def _unforeseen() -> records.SqlError:
    return records.SqlError(
        sqlstate=errors.Unsupported.code,
        message="Only running this cell told that it changes what literals in functions mean.",
        hint="What \\gset gives decides about it: put it into a cell of its own, above this one.",
    )


def _nothing() -> None:
    """Nothing is to be remembered."""


async def _nowhere(_: records.Event) -> None:
    """Tail cells show nothing."""


def _title(parsed: cells.ParsedCell) -> str:
    """The first line of a cell, as a person knows it by."""
    text = parsed.steps[0].statement.text if parsed.steps else parsed.source.strip()
    return text.split("\n", 1)[0][:80]
