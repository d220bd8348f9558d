"""Runs one cell on an instance, statement by statement, and finds out what it did.

PostgreSQL decides (DESIGN.md, section 3): a certain read runs in a READ ONLY transaction and, if
the server calls it a write, again as one; an uncertain read runs in a transaction of its own,
after which it is seen whether it wrote. Everything else runs in autocommit, as in psql.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from pgcellar.api import errors, records
from pgcellar.notebook import (
    cells,
    copying,
    databases,
    effects,
    lexer,
    psqlscan,
    scripts,
    showing,
    states,
    uses,
)
from pgcellar.runner import (
    connections,
    executor,
    files,
    gsets,
    instances,
    outputs,
    places,
    probes,
    results,
    roundtrips,
    showings,
    special,
    store,
    switching,
)

#: Where the user has deferrable as the default it would wait for transactions of other instances.
_READ_ONLY = "BEGIN READ ONLY NOT DEFERRABLE;\n"
#: In a statement with one of these it shows whether it is.
_DEFERRABLE = frozenset(
    {"all", "transaction_deferrable", "current_setting", "pg_settings", "pg_show_all_settings"}
)
_REFUSED_AS_WRITE = "25006"
#: dependent_objects_still_exist; its detail also counts objects in the databases of other states.
_NEEDED = "2BP01"
_ELSEWHERE = r"\d+ objects? in database |(?:owner of|privileges for) database (?!{database}$)"
#: One of these says a trigger or default that changes what belongs to the database.
_REACHES_DATABASE = frozenset({"database", "execute"})
#: undefined_database
_NO_DATABASE = "3D000"
#: What has its tag shown, rows or not.
_TAGGED = ("INSERT", "UPDATE", "DELETE", "MERGE")
#: From this many rows on a load is worth an ANALYZE, since nothing else analyses here.
ANALYZE_ROWS = 5_000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a cell runs with, besides its text."""

    knowledge: store.KnowledgeStore
    files: files.Files
    directory: str | None
    digests: Mapping[str, str]
    roles: switching.Roles
    attributes: instances.Attributes

    def include(self, name: str) -> str | psqlscan.Problem:
        """The text of a file that `\\i` names."""
        return self.files.include(self.directory, name)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where the results of a head go; None in place of this for replayed cells."""

    emit: outputs.Emit
    max_rows: int
    max_bytes: int
    rows_first: bool = False

    def output(self, statement: int) -> outputs.Output:
        """The output of one statement."""
        return outputs.Output(
            emit=self.emit,
            statement=statement,
            max_rows=self.max_rows,
            max_bytes=self.max_bytes,
            rows_first=self.rows_first,
        )


async def run_cell(
    instance: instances.Instance,
    session: executor.Session,
    cell: cells.ParsedCell,
    context: Context,
    target: Target | None,
) -> results.CellRun:
    """Run a cell on an instance whose state has known facts; move the instance's mark.

    Raises CellFailed, or SandboxLost; unless `unharmed`, the instance must then be discarded.
    """
    run = _Run(instance, instance.mark, session, context, target)
    done = await run.cell(cell)
    rerolled = run.learn(cell)
    instance.mark = done.mark
    return dataclasses.replace(done, rerolled=rerolled)


async def run_beside(
    instance: instances.Instance,
    mark: states.Mark,
    session: executor.Session,
    cell: cells.ParsedCell,
    context: Context,
    target: Target,
) -> results.CellRun:
    """Run a cell in one of several sessions of an instance, whose mark it does not move.

    Raises as `run_cell` does.
    """
    return await _Run(instance, mark, session, context, target).cell(cell)


async def know_facts(
    session: executor.Session, mark: states.Mark, context: Context
) -> states.Facts:
    """The facts of the state the session is in, asked for once per state."""
    known = context.knowledge.facts(mark.state)
    if known is not None:
        return known
    if session.in_transaction or mark.sessions:
        # A query of ours would take the snapshot of a transaction that has not taken it yet, or
        # wait for another session.
        return states.Facts(reached=True)
    try:
        found = await probes.facts(session)
    except connections.StatementFailed:
        # The user's settings are in the way (a lock, a statement_timeout): nothing is certain.
        return states.Facts(reached=True)
    return context.knowledge.learn_facts(mark.state, found)


def _reads_follow(cell: cells.ParsedCell, index: int) -> bool:
    return any(step.effect.name == "read" for step in cell.steps[index + 1 :])


def _read_as_before(step: cells.Step) -> cells.Step:
    """The step where standard_conforming_strings is off: refused if it is not one statement there.

    Cells are cut into statements as they are read with it on.
    """
    text = step.statement.text
    if not lexer.ambiguous(text) or lexer.one_statement_of_old(text):
        return step
    return _refused(
        step,
        "With standard_conforming_strings off this text has its literals, and so its statements,"
        " end elsewhere.",
        "Write E'…' where backslashes escape, or set standard_conforming_strings to on.",
    )


def _sql(step: cells.Step) -> str:
    """What is sent of a read."""
    saved = copying.saved(step.statement)
    return step.statement.text if saved is None else saved.sql


def _refused(step: cells.Step, why: str, hint: str) -> cells.Step:
    return dataclasses.replace(
        step, effect=dataclasses.replace(step.effect, refusal=why, hint=hint)
    )


class _Run:
    """The progress of one cell."""

    def __init__(
        self,
        instance: instances.Instance,
        mark: states.Mark,
        session: executor.Session,
        context: Context,
        target: Target | None,
    ) -> None:
        self._instance = instance
        self._session = session
        self._context = context
        self._target = target
        self._reads: list[tuple[str, str, states.Outcome, bool]] = []
        self._rolls: list[tuple[str, str, str]] = []
        self._gsets: list[tuple[str, str, dict[str, str | None]]] = []
        self._harmed = False
        self.values: dict[str, str | None] | None = None
        self.error: records.SqlError | None = None
        self._undrawn: records.SqlError | None = None
        self.opaque = False
        self.mark = self._began = mark
        self._key: str | None = None
        self.effect: states.CellEffect = "none"
        self.rows: int | None = None
        self.loaded: list[str] = []

    async def cell(self, cell: cells.ParsedCell) -> results.CellRun:
        """Run all of a cell."""
        begin = time.perf_counter()
        if self.mark.sessions:
            context = self._context
            self._key = states.session_key(self.mark, cell, context.digests, context.include)
        script = scripts.Script(cell, self.mark.variables, self._context.include)
        index = 0
        while (step := script.next()) is not None:
            follow = not script.static or _reads_follow(cell, index)
            try:
                await self._step(index, step, reads_follow=follow)
            except results.CellFailed as exc:
                error = places.in_source(exc.error, cell)
                raise results.CellFailed(error, unharmed=exc.unharmed) from exc
            if step.gset is not None and self.values is not None:
                script.assign(step.gset, self.values)
            index += 1
        if not script.static:
            self.mark = dataclasses.replace(self.mark, variables=script.frozen())
        return results.CellRun(
            mark=self.mark,
            effect=self.effect,
            ms=(time.perf_counter() - begin) * 1000,
            rows=self.rows,
            loaded=tuple(self.loaded),
            error=None if self.error is None else places.in_source(self.error, cell),
            opaque=self.opaque,
        )

    async def _step(self, index: int, step: cells.Step, *, reads_follow: bool) -> None:
        """Run one statement."""
        if step.effect.refusal is None and self._session.escapes:
            step = _read_as_before(step)
        if step.effect.refusal is not None:
            raise results.CellFailed(places.refusal(step), unharmed=not self._harmed)
        transaction = self._session.in_transaction
        before = self.mark.state
        try:
            done = await self._dispatch(index, step)
        except connections.StatementFailed as exc:
            if transaction:
                await self._fail_inside(index, step, exc.error)
                return
            error = self._in_cell(exc.error, step)
            raise results.CellFailed(error, unharmed=not self._harmed) from exc
        except errors.FileRefused as exc:
            raise results.CellFailed(
                places.in_cell(exc.record(), step), unharmed=not self._harmed
            ) from exc
        self._check_encoding(step)
        if step.gset is not None:
            if self.values is not None:
                self._gsets.append((before, step.statement.canonical, self.values))
        elif done is not None:
            self.rows = done.row_count
            if step.effect.loads and (done.row_count or 0) >= ANALYZE_ROWS:
                self.loaded.append(step.effect.loads)
            if self._target is not None:
                drawn = self._undrawn is None
                await self._target.emit(
                    showings.completed(
                        dataclasses.replace(done, statement=index), step, drawn=drawn
                    )
                )
                if step.timing:
                    text = f"Time: {done.ms:.3f} ms\n"
                    await self._target.emit(records.Text(statement=index, text=text))
        if reads_follow:
            await know_facts(self._session, self.mark, self._context)

    def _check_encoding(self, step: cells.Step) -> None:
        """Fail where a statement has set one that its text does not show, as a function may."""
        if not self._session.is_utf8:
            error = places.refusal(_refused(step, effects.NOT_UTF8, effects.NOT_UTF8_HINT))
            raise results.CellFailed(error, unharmed=False)

    async def _fail_inside(self, index: int, step: cells.Step, error: records.SqlError) -> None:
        """The user's transaction is aborted, and the script goes on, as in psql."""
        error = self._in_cell(error, step)
        if self.error is None:
            self.error = error
        elif self._target is not None:
            await self._target.emit(
                records.Notice(
                    statement=index,
                    severity=error.severity,
                    sqlstate=error.sqlstate,
                    message=error.message,
                    detail=error.detail,
                    hint=error.hint,
                )
            )
        self._advance(step)

    def learn(self, cell: cells.ParsedCell) -> bool:
        """Remember what the cell's reads and rolls turned out to be, now that it has succeeded.

        Whether a roll took the place of another.
        """
        rerolled = False
        for roll in self._rolls:
            rerolled = self._context.knowledge.learn_roll(*roll) or rerolled
        for values in self._gsets:
            self._context.knowledge.learn_values(*values)
        mixed = self.effect != "read" or not cell.reads_only
        for state, statement, outcome, certain in self._reads:
            if mixed or not certain:
                self._context.knowledge.learn(state, statement, outcome)
        return rerolled

    async def _dispatch(self, index: int, step: cells.Step) -> records.Completed | None:
        output = self._target.output(index) if self._target else None
        self._undrawn = None
        if isinstance(step.shown, showing.Chart) and output is not None:
            return await self._draw(step, showings.Charted(step.shown, output))
        if step.effect.name == "none":
            return await self._show(step, output)
        if step.connects:
            return await self._connect(step, output)
        if step.gset is not None:
            return await self._gset(index, step, step.gset)
        saved = copying.saved(step.statement)
        if saved is not None and output is not None:
            return await self._save(step, saved, output)
        if saved is not None:
            # psql opens it before it sends anything: where it can't, the cell fails.
            self._context.files.check(self._context.directory, saved.file)
        return await self._send(step, output)

    async def _draw(self, step: cells.Step, charted: showings.Charted) -> records.Completed | None:
        """Run a query whose rows are drawn."""
        done = await self._send(step, charted.output)
        self._undrawn = charted.problem(step)
        self.error = self.error or self._undrawn
        return done

    async def _connect(
        self, step: cells.Step, output: outputs.Output | None
    ) -> records.Completed | None:
        """Begin a new session, with the settings that new sessions begin with in this state."""
        self._harmed = True
        if self._session.in_transaction:
            await self._session.query("ROLLBACK")
        instance, attributes = self._instance, self._context.attributes
        belongs = await attributes.read(instance.database)
        # Settings of the user's role that are for all databases are of no state.
        await attributes.write(instance.database, belongs)
        await self._session.renew()
        instance.began = (belongs or {}).get("settings", ())
        instance.plans = "none"
        self._advance(step)
        return await self._show(step, output)

    async def _gset(self, index: int, step: cells.Step, prefix: str) -> records.Completed | None:
        """Run a query whose one row goes into variables."""
        self.values = None
        gathered = gsets.Gathered(prefix, index)
        done = await self._send(step, gathered.output)
        self.values = gathered.values()
        if self._target is not None:
            for warning in gathered.warnings():
                await self._target.emit(warning)
            if done is not None and (not gathered.tabular or done.command.startswith(_TAGGED)):
                await self._target.emit(dataclasses.replace(done, statement=index))
        return done

    async def _show(
        self, step: cells.Step, output: outputs.Output | None
    ) -> records.Completed | None:
        """A command that changes nothing: it matters in the head alone."""
        if output is None:
            return None
        if step.says is not None:
            await output.emit(records.Text(statement=output.statement, text=step.says))
            return None
        await special.run(self._session, step.describes, output, expanded=step.expanded)
        return None

    async def _save(
        self, step: cells.Step, command: copying.Copy, output: outputs.Output
    ) -> records.Completed | None:
        """Run a `\\copy … to` of the head: in the tail nobody waits for its file."""
        with self._context.files.create(self._context.directory, command.file) as file:
            try:
                done = await self._send(step, dataclasses.replace(output, sink=file))
            except OSError:
                # The rest of the rows is unread.
                self._harmed = True
                raise
        self._note_written(command, step)
        return done

    def _note_written(self, command: copying.Copy, step: cells.Step) -> None:
        """Remember what was saved, by what a cell that reads it finds it (see `roundtrips`)."""
        state, statement = self.mark.state, step.statement.canonical
        if self.mark.sessions:
            state, statement = self._began.state, f"{self._key} {statement}"
        context = self._context
        written = uses.Written(file=command.file, state=state, statement=statement)
        roundtrips.note(context.files, context.directory, context.knowledge, written)

    async def _read_only(
        self, text: str, output: outputs.Output | None
    ) -> records.Completed | None:
        """Run a statement in a READ ONLY transaction, unless the user's own is open."""
        if self._session.in_transaction:
            return await self._session.run(text, output)
        try:
            # One message, so one round trip; the last result but COMMIT's is the statement's.
            return await self._session.run(f"{_READ_ONLY}{text}\n;COMMIT", output, wrapped=True)
        except connections.StatementFailed as exc:
            await self._session.query("ROLLBACK")
            raise connections.StatementFailed(places.shift(exc.error, len(_READ_ONLY))) from exc

    async def _send(
        self, step: cells.Step, output: outputs.Output | None
    ) -> records.Completed | None:
        """Run a statement of SQL."""
        if step.effect.words is None or "pg_prepared_statements" in step.effect.words:
            await self._session.unprepare()
        if step.effect.name != "read" or self._session.in_transaction or self.mark.moves(step):
            return await self._write(step, output)
        if step.effect.shows:
            done = await self._session.run(_sql(step), output)
            self._note_read(step, "read", certain=False)
            return done
        facts = await know_facts(self._session, self.mark, self._context)
        if facts.certain(step.effect):
            try:
                return await self._certain(step, output)
            except connections.StatementFailed as exc:
                if exc.error.sqlstate != _REFUSED_AS_WRITE:
                    raise
        return await self._uncertain(step, output)

    async def _write(
        self, step: cells.Step, output: outputs.Output | None
    ) -> records.Completed | None:
        self._harmed = True
        transaction = self._session.in_transaction
        try:
            with self._input(step) as (text, copy):
                done = await self._session.run(text, output, copy)
        except connections.StatementFailed as exc:
            if exc.error.sqlstate != _NEEDED or not step.effect.drops or transaction:
                raise
            done = await self._drop_roles(step, exc.error)
        self._advance(step)
        return done

    def _note_plans(self, effect: effects.Plans) -> None:
        instance, means = self._instance, self._session.meanings
        if effect == "makes" and instance.plans == "none":
            instance.plans, instance.prepared_as = "kept", means
        elif instance.plans == "kept" and (effect == "spoils" or means != instance.prepared_as):
            # The settings may have changed in a trigger, or with the end of a transaction.
            instance.plans = "spoilt"

    async def _drop_roles(
        self, step: cells.Step, error: records.SqlError
    ) -> records.Completed | None:
        """DROP ROLE was refused: is it for objects of this state, or only for those of others?"""
        database = self._instance.database
        if await self._context.roles.drop(step.effect.drops, database):
            return records.Completed(
                statement=0, command="DROP ROLE", row_count=None, truncated=False, ms=0.0
            )
        elsewhere = re.compile(_ELSEWHERE.format(database=re.escape(database)))
        lines = [line for line in (error.detail or "").splitlines() if not elsewhere.match(line)]
        raise connections.StatementFailed(dataclasses.replace(error, detail="\n".join(lines)))

    def _in_cell(self, error: records.SqlError, step: cells.Step) -> records.SqlError:
        """The error as the cell's text has it: its position, and the name of its database."""
        where, name = step.effect.database, self._instance.database
        if error.position is not None:
            position = databases.unplaced(error.position - 1, where, name) + 1
            error = dataclasses.replace(error, position=position)
        if error.sqlstate == _NO_DATABASE and not where and error.hint is None:
            hint = f"A notebook's own database is called {databases.NAME}; there is no other."
            error = dataclasses.replace(error, hint=hint)
        error = dataclasses.replace(
            error,
            message=error.message.replace(name, databases.NAME),
            detail=error.detail and error.detail.replace(name, databases.NAME),
        )
        return places.in_cell(places.explained(error, step.statement.text), step)

    def _advance(self, step: cells.Step) -> None:
        """An effective statement ran."""
        effect = step.effect
        if effect.definition and (effect.words is None or effect.words & _REACHES_DATABASE):
            self._instance.redefines = True
        if effect.definition or effect.name == "read" or self._instance.redefines:
            # A read that counts has called something.
            self._instance.redefined = True
        self.opaque = self.opaque or step.effect.opaque
        self._note_plans(step.effect.plans)
        self._instance.custom |= step.effect.custom
        name = step.effect.name
        self.effect = states.stronger(self.effect, "pinning" if name == "read" else name)
        digest = self._context.digests.get(step.statement.text, "")
        roll = ""
        if self.mark.volatile(step, digest):
            roll = secrets.token_hex(8)
            self._rolls.append((self.mark.state, step.statement.canonical + digest, roll))
        self.mark = states.advance(self.mark, step, digest, roll)

    async def _certain(
        self, step: cells.Step, output: outputs.Output | None
    ) -> records.Completed | None:
        done = await self._read_only(_sql(step), output)
        self._note_read(step, "read", certain=True)
        return done

    async def _uncertain(
        self, step: cells.Step, output: outputs.Output | None
    ) -> records.Completed | None:
        self._harmed = True
        if self.mark.definitions_volatile and await probes.shows_text(self._session):
            # BEGIN would be seen. Without it nobody can tell whether this wrote.
            text = _sql(step) + step.statement.end
            done = await self._session.run(text, output)
            self._note_read(step, "write", certain=False)
            return done
        before = await probes.sequences(self._session)
        words = step.effect.words
        shows = not step.effect.read_only and (words is None or not words.isdisjoint(_DEFERRABLE))
        begin = "BEGIN;\n" if shows else "BEGIN NOT DEFERRABLE;\n"
        try:
            done = await self._session.run(begin + _sql(step), output, wrapped=True)
        except connections.StatementFailed as exc:
            raise connections.StatementFailed(places.shift(exc.error, len(begin))) from exc
        self._check_encoding(step)
        wrote = await probes.assigned_transaction(self._session)
        await self._session.run("COMMIT", output, wrapped=True)
        wrote = wrote or before is None or await probes.sequences(self._session) != before
        held = await probes.session_state(self._session, self._instance.custom)
        # Where settings of the user's own naming may be made that no text names, none are seen.
        wrote = wrote or held != self._instance.held or self.mark.unrestorable
        self._note_read(step, "write" if wrote else "read", certain=False)
        return done

    def _note_read(self, step: cells.Step, outcome: states.Outcome, *, certain: bool) -> None:
        self._reads.append((self.mark.state, step.statement.canonical, outcome, certain))
        if outcome == "write":
            self._advance(step)
            # Whatever it called may have changed the catalog.
            self._note_plans("spoils")
            self.opaque = True
        elif not certain:
            self.mark = self.mark.after_read(step)
        self.effect = states.stronger(self.effect, outcome)

    @contextlib.contextmanager
    def _input(self, step: cells.Step) -> Iterator[tuple[str, BinaryIO | None]]:
        """The text to send, and the file to feed it."""
        if step.statement.kind == "sql":
            data = None if step.data is None else io.BytesIO(step.data.encode())
            where, name = step.effect.database, self._instance.database
            yield databases.placed(step.statement.text, where, name) + step.statement.end, data
            return
        command = copying.parse(step.statement.text)
        if isinstance(command, copying.Refusal):
            raise errors.FileRefused(command.message, hint=command.hint)
        if command.out:
            yield command.sql, None
            return
        with self._context.files.open(self._context.directory, command.file) as (_, file):
            yield command.sql, file
