"""The runner in process: which cells it runs, on which instance, and what it says of them."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import time
from collections.abc import Iterator

import pytest
from tests import cellar as cellars

from pgcellar.api import errors, records
from pgcellar.notebook import cells as parsing
from pgcellar.notebook import states
from pgcellar.runner import executor, instances, probes, run, store


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


TABLE = "create table t (a int)"
FILL = "insert into t select generate_series(1, 5)"
COUNT = "select count(*) from t"


def test_an_instance_stands_where_an_edit_is_expected(cellar: cellars.Cellar) -> None:
    """In idle time the tail of the last head is prepared again, kept or not."""
    cells = [TABLE, FILL, "insert into t values (6)"]
    before = [cellar.run(cells, head, notebook="edit").head.state for head in range(3)][1]
    cellar.quiet("edit")
    held = cellar.space().notebook("edit")
    assert any(instance.mark.state == before for instance in held.instances)
    ran = cellar.run([*cells[:2], "insert into t values (7), (8)"], notebook="edit")
    assert ran.done.totals.replayed == 0
    assert cellar.run([*cells[:2], COUNT], notebook="edit").results[0].rows == (("5",),)


def test_an_instance_is_prepared_for_a_cell_that_is_edited(cellar: cellars.Cellar) -> None:
    """Anywhere in the notebook, not only where a cell has just run; it leaves no trace."""
    cells = [TABLE, FILL, "insert into t values (6)", "insert into t values (7)"]
    states_ = [cellar.run(cells, head, notebook="prepare").head.state for head in range(4)]
    cellar.quiet("prepare")
    held = cellar.space().notebook("prepare")
    request = records.RunRequest(
        notebook="prepare",
        cells=tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(cells[:2])),
        head=1,
    )
    assert all(instance.mark.state != states_[0] for instance in held.instances)
    cellar.call(cellar.runner.prepare(cellars.OWNER, request))
    cellar.quiet("prepare")
    assert any(instance.mark.state == states_[0] for instance in held.instances)
    ran = cellar.run([TABLE, "insert into t values (1)"], notebook="prepare")
    assert ran.done.totals.replayed == 0
    assert cellar.run([*cells, COUNT], notebook="prepare").results[0].rows == (("7",),)


@pytest.mark.parametrize("moment", [records.Started, records.Completed, records.Done])
def test_an_interrupt_at_any_moment(cellar: cellars.Cellar, moment: type[records.Event]) -> None:
    """Before the first head, between two statements, between two heads: it is no success."""
    cells = ["create table i (a int)", "insert into i values (1); insert into i values (2)"]
    request = records.RunRequest(
        notebook=f"interrupted {moment.__name__}",
        cells=tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(cells)),
        head=1,
        first=0 if moment is records.Done else 1,
    )
    events: list[records.Event] = []

    async def emit(event: records.Event) -> None:
        events.append(event)
        if isinstance(event, moment) and sum(isinstance(e, moment) for e in events) == 1:
            run = next(e.run for e in events if isinstance(e, records.Started))
            await cellar.runner.cancel(cellars.OWNER, run)

    cellar.call(cellar.runner.run(cellars.OWNER, request, emit))
    done = events[-1]
    assert isinstance(done, records.Done)
    assert done.error is not None
    assert done.error.sqlstate == "57014"
    look = cellar.run([*cells, "select count(*) from i"], notebook=request.notebook)
    assert look.results[0].rows == (("2",),)


def test_kept_states_below_a_read_of_which_nothing_is_known(cellar: cellars.Cellar) -> None:
    """A new uncertain read above runs, and then the states below it are found again."""
    function = "create function f() returns int language sql as 'select 1'"
    slow = "insert into t select generate_series(1, 5) from pg_sleep(1)"
    cells = [TABLE, function, slow, "insert into t values (6)", COUNT]
    for head in range(5):
        cellar.run(cells, head, notebook="below")
    cellar.quiet("below")
    edited = [*cells[:2], "select f()", *cells[2:]]
    ran = cellar.run(edited, notebook="other")
    assert ran.sources[2:4] == ["replayed", "hit"]
    assert ran.done.totals.hits == ran.sources.count("hit")
    assert ran.done.totals.replayed == ran.sources.count("replayed")
    assert ran.results[0].rows == (("6",),)


def test_a_result_with_a_value_that_was_cut_is_not_given_again(cellar: cellars.Cellar) -> None:
    """To who takes more of it."""
    cells = ["select repeat('y', 100)"]
    assert cellar.run(cells, notebook="cut", max_bytes=10).results[0].rows == (("y" * 10,),)
    assert cellar.run(cells, notebook="cut").results[0].rows == (("y" * 100,),)


def request(cells: list[str], notebook: str) -> records.RunRequest:
    """A run of the last of these cells."""
    named = tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(cells))
    return records.RunRequest(notebook=notebook, cells=named, head=len(cells) - 1)


@pytest.mark.parametrize("notebook", ["planned", "planned, and never run"])
def test_a_plan_runs_nothing(cellar: cellars.Cellar, notebook: str) -> None:
    """However much there is to run, below what is there and without it."""
    cells = ["create table planned (a int)", "insert into planned values (1)"]
    state = cellar.run(cells, notebook="planned").head.state
    assert state is not None
    cellar.quiet("planned")

    def everything() -> object:
        space = cellar.space()
        databases = cellar.call(space._control.databases())
        return databases, space.snapshots.all(), cellar.fingerprint(state, "planned")

    before = everything()
    more = ["insert into planned select 2 from pg_sleep(60)", "drop table planned", "select 1"]
    plan = cellar.call(cellar.runner.plan(cellars.OWNER, request([*cells, *more], notebook)))
    assert [step.source for step in plan.steps] == [*["hit"] * 2, *["replayed"] * 2, "head"]
    assert everything() == before


class TestReads:
    """PostgreSQL has the last word on what a read does."""

    #: The message that PostgreSQL was sent.
    SENT = "(select query from pg_stat_activity where pid = pg_backend_pid())"

    def test_certain_ones_run_in_a_read_only_transaction(self, cellar: cellars.Cellar) -> None:
        """And others in one of their own that may write."""
        cells = ["create function f() returns int language sql as 'select 1'"]
        (((sent,),),) = [cellar.run([f"select {self.SENT}"], notebook="r").results[0].rows]
        assert sent is not None
        assert sent.startswith("BEGIN READ ONLY")
        ran = cellar.run([*cells, f"select f(), {self.SENT}"], notebook="r")
        sent = ran.results[0].rows[0][1]
        assert sent is not None
        assert sent.startswith("BEGIN NOT DEFERRABLE")
        assert ran.head.effect == "read"

    @pytest.mark.parametrize(("locked", "effect"), [(2, "write"), (0, "read")])
    def test_what_postgresql_refuses_there_runs_again(
        self, cellar: cellars.Cellar, locked: int, effect: str
    ) -> None:
        """A view that locks the rows it shows names no function, and so is taken for certain."""
        cells = [
            f"create table t as select generate_series(1, {locked}) a",
            "create view locking as select a from t for update",
            f"select a, {self.SENT} from locking",
        ]
        before = cellar.run(cells[:2], notebook=f"refused {locked}").head.state
        assert before is not None
        cellar.quiet(f"refused {locked}")
        facts = cellar.space().knowledge.facts(before)
        assert facts is not None
        assert facts.certain(parsing.parse(cells[2]).steps[0].effect)
        ran = cellar.run(cells, notebook=f"refused {locked}")
        assert ran.done.error is None
        assert [row[0] for row in ran.results[0].rows] == [str(i + 1) for i in range(locked)]
        assert all("BEGIN NOT DEFERRABLE" in str(row[1]) for row in ran.results[0].rows)
        assert ran.head.effect == effect
        assert (ran.head.state == before) == (effect == "read")


class TestTransactions:
    """Over several cells, as every course on transactions does it."""

    def shown(
        self, cellar: cellars.Cellar, cells: list[str], notebook: str
    ) -> list[str | tuple[tuple[str | None, ...], ...]]:
        """For every cell as head, in order: its last result's rows or tag, or its SQLSTATE."""
        out: list[str | tuple[tuple[str | None, ...], ...]] = []
        for head in range(len(cells)):
            ran = cellar.run(cells, head, notebook=notebook)
            if ran.done.error is not None:
                assert ran.done.error.cell == f"c{head}"
                out.append(ran.done.error.sqlstate)
            else:
                out.append(ran.results[-1].rows or ran.results[-1].command)
        return out

    def test_begin_look_rollback(self, cellar: cellars.Cellar) -> None:
        """What is seen inside is gone outside; in any order of running."""
        cells = [TABLE, FILL, "begin", "delete from t where a > 2", COUNT, "rollback", COUNT]
        expected = ["CREATE TABLE", "INSERT 0 5", "BEGIN", "DELETE 3", (("2",),), "ROLLBACK"]
        assert self.shown(cellar, cells, "tx") == [*expected, (("5",),)]
        assert cellar.run(cells, 4, notebook="tx").results[0].rows == (("2",),)
        assert cellar.run(cells, 6, notebook="tx").results[0].rows == (("5",),)
        cells[3] = "delete from t"
        assert cellar.run(cells, 4, notebook="tx").results[0].rows == (("0",),)
        assert cellar.run(cells, 4, notebook="tx alone").results[0].rows == (("0",),)

    def test_an_error_aborts_the_transaction_as_in_psql(self, cellar: cellars.Cellar) -> None:
        """And is a part of the state: what follows is refused up to the end of the block."""
        cells = [TABLE, "begin", "select 1/0", "insert into t values (1)", "rollback", FILL, COUNT]
        expected = ["CREATE TABLE", "BEGIN", "22012", "25P02", "ROLLBACK", "INSERT 0 5"]
        assert self.shown(cellar, cells, "abort") == [*expected, (("5",),)]
        assert cellar.run(cells, 3, notebook="abort alone").done.error.sqlstate == "25P02"  # type: ignore[union-attr]
        assert cellar.run(cells, 6, notebook="abort last").results[0].rows == (("5",),)

    def test_the_rest_of_a_cell_runs_after_an_error_inside(self, cellar: cellars.Cellar) -> None:
        """A cell that ends the transaction it began leaves none behind."""
        cells = [TABLE, "begin; insert into t values (1); select 1/0; commit", COUNT]
        assert self.shown(cellar, cells, "one") == ["CREATE TABLE", "22012", (("0",),)]

    def test_savepoints(self, cellar: cellars.Cellar) -> None:
        """An error after a savepoint costs what came after it."""
        cells = [
            f"{TABLE}; begin; {FILL}",
            "savepoint s",
            "insert into t values ('x')",
            "rollback to s",
            "commit",
            COUNT,
        ]
        expected = ["INSERT 0 5", "SAVEPOINT", "22P02", "ROLLBACK", "COMMIT", (("5",),)]
        assert self.shown(cellar, cells, "save") == expected

    def test_a_failing_commit(self, cellar: cellars.Cellar) -> None:
        """A deferred constraint refuses at the end."""
        table = "create table u (a int unique deferrable initially deferred)"
        cells = [table, "begin", "insert into u values (1), (1)", "commit", "select * from u"]
        found = self.shown(cellar, cells, "deferred")
        assert found == ["CREATE TABLE", "BEGIN", "INSERT 0 2", "23505", "SELECT 0"]

    def test_the_isolation_level_can_be_set_in_a_cell_of_its_own(
        self, cellar: cellars.Cellar
    ) -> None:
        """No query of ours comes before the first of the transaction."""
        cells = [
            "begin",
            "set transaction isolation level serializable",
            "show transaction_isolation",
        ]
        assert self.shown(cellar, cells, "level") == ["BEGIN", "SET", (("serializable",),)]

    def test_it_is_said_to_be_pinned(self, cellar: cellars.Cellar) -> None:
        """Until it ends."""
        cells = [TABLE, "begin", FILL, "commit", COUNT]
        self.shown(cellar, cells, "pinned")
        assert (
            cellar.run(cells, 2, notebook="pinned", rerun=True).head.pinned == "an open transaction"
        )
        assert cellar.run(cells, 4, notebook="pinned", rerun=True).head.pinned is None


def test_a_copy_that_changes_something_counts(
    cellar: cellars.Cellar, tmp_path: pathlib.Path
) -> None:
    """On the way to a cell below, too."""
    make = (
        "create function sc() returns text language sql as"
        " $$ select set_config('work_mem', '9MB', false) $$"
    )
    cells = [make, "\\copy (select sc()) to 'o.csv'", "show work_mem"]
    for _ in range(2):
        assert cellar.run(cells, directory=str(tmp_path)).results[0].rows == (("9MB",),)
    assert not (tmp_path / "o.csv").exists()
    assert cellar.run([make, "show work_mem"]).results[0].rows == (("4MB",),)


class TestRolls:
    """Volatile functions in writes are frozen by the first execution."""

    cells = ("create table r as select random() as x", "select x from r")

    def value(self, cellar: cellars.Cellar, notebook: str, **more: object) -> str | None:
        """What the second cell shows."""
        ran = cellar.run(self.cells, 1, notebook=notebook, **more)
        assert ran.done.error is None
        return ran.results[0].rows[0][0]

    def test_they_stay(self, cellar: cellars.Cellar) -> None:
        """For every notebook with this state."""
        first = self.value(cellar, "rolled")
        assert self.value(cellar, "rolled") == first
        assert self.value(cellar, "rolled too") == first

    def test_a_lost_state_is_another_one(self, cellar: cellars.Cellar) -> None:
        """Its values are drawn anew, and no result of before is given for them."""
        write = "insert into r values (2) returning (select x from r limit 1)"
        cells = [self.cells[0], write, "select x from r where x < 1"]
        shown = cellar.run(cells, 1, notebook="lost").results[0].rows[0]
        cellar.kill_sandbox()
        again = cellar.run(cells, 1, notebook="lost").results[0].rows[0]
        assert again != shown
        assert cellar.run(cells, 2, notebook="lost").results[0].rows[0] == again

    def test_rerunning_the_head_is_another_roll(self, cellar: cellars.Cellar) -> None:
        """What follows shows what it gave, wherever it runs."""
        first = self.value(cellar, "again")
        cellar.run(self.cells, 0, notebook="again", rerun=True)
        second = self.value(cellar, "again")
        assert second != first
        assert self.value(cellar, "another") == second

    def test_rolled_again_on_request(self, cellar: cellars.Cellar) -> None:
        """In the tail or as head; once per request, and said in plan and report."""
        first = self.value(cellar, "dice")
        ran = cellar.run(self.cells, 1, notebook="dice", reroll=("c0",))
        second = ran.results[0].rows[0][0]
        assert second != first
        assert ran.sources == ["replayed", "head"]
        assert [cell.volatile for cell in ran.done.cells] == [True, False]
        assert self.value(cellar, "dice") == second
        ran = cellar.run(self.cells, 0, notebook="dice", reroll=("c0",))
        assert (ran.head.source, ran.head.volatile) == ("head", True)
        assert self.value(cellar, "dice") != second
        again = cellar.run(["create table q (a int)", COUNT], 0, notebook="dull", reroll=("c0",))
        assert not again.head.volatile


class TestResultCache:
    """Reads that are functions of the state are answered without running."""

    table = "create table k (a int primary key, t timestamptz, j jsonb); insert into k values (1)"

    def again(self, cellar: cellars.Cellar, *cells: str) -> str:
        """How the last cell is dealt with the second time, in another notebook."""
        for head in range(len(cells)):
            assert cellar.run(cells, head, notebook="one").done.error is None
        return cellar.run(cells, notebook="other").head.source

    @pytest.mark.parametrize(
        "query",
        [
            "select 1",
            "select count(*), max(a) from k",
            "select a, rank() over (order by a) from k order by a",
            "select to_char(t, 'YYYY'), date_trunc('day', t), extract(year from t) from k",
            "with c as (select a from k) select string_agg(a::text, ',') from c group by a % 2",
            "select jsonb_agg(j), lower('X'), coalesce(a, 0) from k group by a",
            "table k",
            "values (1), (2)",
            "select 1; select 2",
        ],
    )
    def test_of_the_state_alone(self, cellar: cellars.Cellar, query: str) -> None:
        assert self.again(cellar, self.table, query) == "hit"
        assert self.again(cellar, "set datestyle = 'SQL'; " + self.table, query) == "hit"

    @pytest.mark.parametrize(
        "query",
        [
            "select now()",
            "select current_timestamp",
            "select 'now'::timestamptz",
            "select date 'tomorrow'",
            "select random()",
            "select gen_random_uuid()",
            "select clock_timestamp()",
            "select current_user",
            "select user",
            "select version()",
            "select ctid from k",
            "select xmin from k",
            "select tableoid::regclass from k",
            "select * from pg_class limit 1",
            "select count(*) from information_schema.tables",
            "select pg_relation_size('k')",
            "select age(timestamptz '2001-01-01')",
            "select current_setting('timezone')",
            "show timezone",
            "explain select 1",
            "select * from k tablesample system (50)",
            "select inet_client_addr()",
            "select 'k'::regclass::oid",
            "select a::text::timestamptz from k where false",
            "select date '2020-01-01'",
            'select "current_date" from (select current_date) x',
        ],
    )
    def test_what_is_not_certain_is_never_kept(self, cellar: cellars.Cellar, query: str) -> None:
        assert self.again(cellar, self.table, query) == "head"

    @pytest.mark.parametrize(
        "definition",
        [
            "create view v as select now() as a",
            "create view v as select current_user as a",
            "create view v as select ctid from k",
            "create view v as select relname from pg_class limit 1",
            "create view w as select clock_timestamp() as a; create view v as select * from w",
            "create view v as select * from k tablesample system (50)",
            "create view v as select age(t) from k",
            "create table x (a text); create view v as select a::timestamptz from x",
            "set standard_conforming_strings = off; create view v as select now()",
            "create function f() returns int language sql stable as 'select 1';"
            " create view v as select f()",
        ],
    )
    def test_not_through_a_view_either(self, cellar: cellars.Cellar, definition: str) -> None:
        assert self.again(cellar, self.table, definition, "select * from v") == "head"

    def test_a_page_is_not_taken_for_the_whole(self, cellar: cellars.Cellar) -> None:
        query = "select g from generate_series(1, 50) g"
        short = cellar.run([query], notebook="page", max_rows=10)
        assert (len(short.results[0].rows), short.results[0].truncated) == (10, True)
        whole = cellar.run([query], notebook="page", max_rows=100)
        assert (len(whole.results[0].rows), whole.head.source) == (50, "head")
        assert cellar.run([query], notebook="page", max_rows=100).head.source == "hit"
        assert cellar.run([query], notebook="page", max_rows=10).results[0].truncated

    def test_an_unchanged_notebook_is_given_again(self, cellar: cellars.Cellar) -> None:
        """A hundred cells, in the notebook that ran them and in another: none of them runs."""
        kinds = (
            "create table many{t} as select {n} as a",
            "insert into many{t} values ({n}) returning a",
            "select a + {n} from many{t} order by a",
            "\\set n {n}\nselect :n + count(*) from many{t}",
        )
        cells = [kinds[n % 4].format(n=n, t=n // 4) for n in range(100)]
        first = cellar.run(cells, notebook="many", first=0)
        for notebook in ("many", "as many"):
            ran = cellar.run(cells, notebook=notebook, first=0)
            done = [event for event in ran.events if isinstance(event, records.Done)]
            assert [one.cells[-1].source for one in done] == ["hit"] * 100
            assert {one.totals.replayed for one in done} == {0}
            assert self.rows(ran) == self.rows(first)
            assert done[-1].cells[-1].state == first.head.state

    def rows(self, ran: cellars.Ran) -> list[records.Rows]:
        """All rows of all results."""
        return [event for event in ran.events if isinstance(event, records.Rows)]

    def test_it_is_bounded(self, cellar: cellars.Cellar, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is too long is not kept, and what was asked for longest ago gives way."""
        most = store.MAX_OUTCOME_BYTES
        long = "select repeat('x', {}) as x"
        assert self.again(cellar, long.format(most)) == "hit"
        assert self.again(cellar, long.format(most + 1)) == "head"
        write = f"create table long (x text); {long.format(most + 1)}"
        assert self.again(cellar, write) == "head"
        # Of what is not to be compressed: three of them, and no four.
        monkeypatch.setattr(store, "_KEPT_OUTCOME_BYTES", 35_000)
        noise = [
            f"select string_agg(md5(({n} * 1000 + g)::text), '') from generate_series(1, 600) g"
            for n in range(4)
        ]
        kept = cellar.space().knowledge
        for query in (*noise[:3], noise[0], noise[3]):
            assert self.again(cellar, query) == "hit"
            cellar.call(kept._write())
        assert [cellar.run([noise[n]]).head.source for n in (0, 3, 1)] == ["hit", "hit", "head"]
        cellar.call(kept._write())
        (row,) = cellar.call(kept._db.fetch("select sum(bytes) as bytes from outcomes"))
        assert 20_000 < row["bytes"] <= 35_000

    def test_all_cells_in_one_request(self, cellar: cellars.Cellar) -> None:
        cells = [TABLE, FILL, COUNT, "select 1/0", "select 2"]
        ran = cellar.run(cells, 4, notebook="batch", first=0)
        done = [event for event in ran.events if type(event).__name__ == "Done"]
        assert [one.error.sqlstate if one.error else None for one in done] == [
            None,
            None,
            None,
            "22012",
        ]


def test_cancelling_a_load_frees_the_service(cellar: cellars.Cellar) -> None:
    """While a file is fed the server waits for the rest of it, and so must nobody else."""
    folder = cellar.home / "files"
    folder.mkdir()
    (folder / "long.csv").write_text("1\n" * 12_000_000)
    cells = [TABLE, "\\copy t from 'long.csv'"]
    started = cellar.start(cells, notebook="load", directory=str(folder))
    while not cellar.runner._runs:
        time.sleep(0.01)
    time.sleep(0.7)
    (run,) = cellar.runner._runs.values()
    cellar.call(run.cancel())
    done = started.result(30).done
    assert done.error is None or done.error.sqlstate == "57014"
    assert cellar.run([TABLE, COUNT], notebook="load").results[0].rows == (("0",),)


def test_a_cancelled_task_during_a_load(cellar: cellars.Cellar) -> None:
    """As idle work is cancelled by the next run."""
    folder = cellar.home / "more files"
    folder.mkdir()
    (folder / "long.csv").write_text("1\n" * 4_000_000)

    async def cancel() -> None:
        space = await cellar.runner.space(cellars.OWNER)
        instance = await space.maker.make(states.Mark(state=space.snapshots.base))
        session = await space.maker.connect(instance)
        await session.query("create table t (a int)")
        with (folder / "long.csv").open("rb") as file:
            load = asyncio.create_task(session.run("copy t from stdin", None, file))
            await asyncio.sleep(0.1)
            load.cancel()
            with pytest.raises(asyncio.CancelledError):
                await load
        await space.maker.discard(instance)

    cellar.submit(cancel()).result(30)


def test_a_connection_that_is_cancelled_is_closed(
    cellar: cellars.Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As idle work is, while its new session is given what the old one held."""
    restore = probes.restore
    ours: list[asyncio.Task[instances.Instance]] = []
    made: list[executor.Session] = []
    begun = asyncio.Event()

    async def long(session: executor.Session, held: probes.SessionState) -> None:
        if asyncio.current_task() not in ours:
            # Idle work of another test's.
            return await restore(session, held)
        made.append(session)
        begun.set()
        await session.query("select pg_sleep(60)")

    async def cancel() -> None:
        space = await cellar.runner.space(cellars.OWNER)
        monkeypatch.setattr(probes, "restore", long)
        work = asyncio.create_task(space.maker.make(states.Mark(state=space.snapshots.base)))
        ours.append(work)
        await begun.wait()
        assert made[0].busy
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert not made[0].usable

    cellar.submit(cancel()).result(30)


class TestRoles:
    """What one notebook does to roles, and what the others see of it."""

    def test_notebooks_with_other_roles_take_turns(self, cellar: cellars.Cellar) -> None:
        look = "select pg_sleep(0.3), rolname from pg_roles where rolname = 'ann'"
        one = ["create role ann", look]
        other = ["create role ann login", "select rolcanlogin from pg_roles where rolname = 'ann'"]
        none = ["select count(*) from pg_roles where rolname = 'ann'"]
        for _ in range(2):
            runs = [
                cellar.start(one, notebook="one", rerun=True),
                cellar.start(other, notebook="other", rerun=True),
                cellar.start(none, notebook="none", rerun=True),
                cellar.start(other, notebook="third", rerun=True),
            ]
            rows = [run.result(60).results[0].rows[0] for run in runs]
            assert [row[-1] for row in rows] == ["ann", "t", "0", "t"]

    def test_a_run_cancelled_while_it_waits_holds_up_nobody(self, cellar: cellars.Cellar) -> None:
        def begun(notebook: str) -> run.Run:
            deadline = time.monotonic() + cellars.TIMEOUT
            while True:
                assert time.monotonic() < deadline
                for each in list(cellar.runner._runs.values()):
                    if each._notebook.key == notebook:
                        return each
                time.sleep(0.01)

        long = cellar.start(["create role bea", "select pg_sleep(3)"], notebook="long")
        slow = begun("long")
        while not slow.statement_seconds > 0.2:
            time.sleep(0.01)
        waiting = cellar.start(["create role cid", "select 1"], notebook="waiting")
        other = begun("waiting")
        time.sleep(0.3)
        cellar.call(other.cancel())
        assert waiting.result(30).done.error is not None
        assert long.result(30).done.error is None
        assert cellar.run(["create role cid", "select 1"], notebook="waiting").done.error is None

    def test_a_role_dropped_behind_a_states_back(self, cellar: cellars.Cellar) -> None:
        """It is made again by replaying, not asked for for ever."""
        slow = "create role dora; create table d as select 1 as a from pg_sleep(1)"
        look = "select count(*) from pg_roles where rolname = 'dora'"
        assert cellar.run([slow, look], notebook="dora").results[0].rows == (("1",),)
        cellar.quiet("dora")
        parked = "select rolname from pg_roles where rolname like 'pgcellar_parked%'"
        names = [row[0] for row in cellar.run([parked], notebook="thief").results[0].rows]
        assert names
        for name in names:
            cellar.run([f"drop role {name}"], notebook="thief")
        assert cellar.run([slow, look], notebook="dora", rerun=True).results[0].rows == (("1",),)

    def test_a_role_that_is_named_like_a_parked_one(self, cellar: cellars.Cellar) -> None:
        name = "'pgcellar_parked_%s', 'eve'::regrole::oid"
        cells = [
            "create role eve",
            f"do $$ begin execute format('create role ' || {name}); end $$",
            "select count(*) from pg_roles where rolname like 'pgcellar_parked_%'"
            " and rolname !~ '_[0-9a-f]{8}$'",
        ]
        assert cellar.run(cells, notebook="eve").results[0].rows == (("1",),)
        assert cellar.run(["create table x (a int)"], notebook="victim").done.error is None
        assert cellar.run(cells, notebook="eve", rerun=True).results[0].rows == (("1",),)

    def test_a_transaction_with_roles_holds_up_nobody(self, cellar: cellars.Cellar) -> None:
        cells = ["begin", "create role fay", "select 1", "commit", "set role fay"]
        for head in range(3):
            assert cellar.run(cells, head, notebook="open").done.error is None
        other = cellar.start(["create role fay", "select 2"], notebook="rival")
        assert other.result(30).done.error is None
        third = cellar.start(["create table x3 (a int)", "select 3"], notebook="bystander")
        assert third.result(30).done.error is None
        for head in (3, 4):
            assert cellar.run(cells, head, notebook="open").done.error is None

    def test_roles_made_where_no_text_shows_it(self, cellar: cellars.Cellar) -> None:
        make = "do $$ begin execute 'cre' || 'ate ro' || 'le gus'; end $$"
        assert cellar.run([make], notebook="hidden").done.error is None
        cellar.quiet("hidden")
        look = "select count(*) from pg_roles where rolname = 'gus'"
        assert cellar.run([look], notebook="outside").results[0].rows == (("0",),)
        owner = "create table o (a int); grant select on o to gus"
        assert cellar.run([make, owner], notebook="hidden").done.error is None

    @pytest.mark.parametrize(
        "name", ["a b", 'x"y', "é; drop role pgcellar", "pgcellar_parked_1", "x" * 63, "' || '"]
    )
    def test_any_name(self, cellar: cellars.Cellar, name: str) -> None:
        quoted = '"' + name.replace('"', '""') + '"'
        cells = [
            f"create role {quoted} password 'secret' valid until '2030-01-01' connection limit 3",
            f'alter role {quoted} set search_path = a, "B c"',
            f"alter role {quoted} set role = 'none'",
            f"comment on role {quoted} is 'it''s'; set role {quoted}",
            "select current_user",
        ]
        for notebook in ("names", "names again"):
            ran = cellar.run(cells, notebook=notebook)
            assert ran.done.error is None, ran.done.error
            assert ran.results[0].rows == ((name,),)
            assert cellar.run(["select 1"], notebook="between").done.error is None

    def test_memberships_granted_by_members(self, cellar: cellars.Cellar) -> None:
        """Each is given back by its own grantor, who must first have got the right to."""
        cells = [
            "create role dan; create role cyd; create role bob; create role clan",
            "grant clan to bob with admin option",
            "set role bob; grant clan to cyd with admin option; reset role",
            "set role cyd; grant clan to dan; reset role",
            "revoke admin option for clan from pgcellar; grant clan to bob with inherit false",
            "select pg_get_userbyid(member), pg_get_userbyid(grantor), admin_option,"
            " inherit_option from pg_auth_members where roleid = 'clan'::regrole order by 1, 2",
        ]
        first = cellar.run(cells, notebook="clan")
        assert first.done.error is None
        assert len(first.results[0].rows) > 3
        cellar.quiet("clan")
        for notebook in ("clan", "another clan"):
            assert cellar.run(["select 1"], notebook="without").done.error is None
            again = cellar.run(cells, notebook=notebook, rerun=True)
            assert again.results[0].rows == first.results[0].rows


class TestAtCommit:
    """What PostgreSQL says when a read that wrote is committed."""

    def test_notices_and_notifications(self, cellar: cellars.Cellar) -> None:
        cells = [
            "create table t (a int); create function says() returns trigger language plpgsql as"
            " $$ begin raise notice 'kept %', new.a; perform pg_notify('ch', 'hi'); return new;"
            " end $$; create constraint trigger says after insert on t deferrable initially"
            " deferred for each row execute function says();"
            " create function ins(x int) returns int language sql as"
            " 'insert into t values (x) returning a'",
            "listen ch",
            "select ins(7)",
        ]
        ran = cellar.run(cells)
        said = [event.message for event in ran.events if isinstance(event, records.Notice)]
        assert said == ["kept 7"]
        said = [event.text for event in ran.events if isinstance(event, records.Text)]
        assert 'notification "ch" with payload "hi"' in "".join(said)

    def test_many_notifications_are_bounded(self, cellar: cellars.Cellar) -> None:
        loud = (
            "do $$ begin for i in 1..3000 loop perform pg_notify('ch', i::text); end loop; end $$"
        )
        ran = cellar.run(["listen ch", loud])
        said = [event for event in ran.events if isinstance(event, records.Text)]
        assert 0 < len(said) <= executor.MAX_NOTICES


def test_an_own_transaction_with_roles_does_not_hold_up_another_try(
    cellar: cellars.Cellar,
) -> None:
    """An edit above begins anew, while what ran before still holds the role it has made."""
    begun = ["begin; create table t_r (a int)", "select 1", "create role r_held"]
    assert cellar.run(begun, notebook="held").done.error is None
    edited = [begun[0], "create table u_r (a int)", begun[2]]
    assert cellar.run(edited, notebook="held").done.error is None
    ended = [*edited, "rollback", "create role r_held; drop role r_held"]
    assert cellar.run(ended, notebook="held").done.error is None


def test_a_head_that_can_not_begin_yet_begins_when_it_can(
    cellar: cellars.Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control database is away for a moment, before anything of the head was told."""
    allowed = cellar.runner._allowed
    away = [errors.ServiceUnavailable("The control database can't be used.")] * 2

    async def faulty(owner: str, name: str) -> float:
        if away:
            raise away.pop()
        return await allowed(owner, name)

    monkeypatch.setattr(cellar.runner, "_allowed", faulty)
    ran = cellar.run(["create table t (a int)", "select count(*) from t"], notebook="away")
    assert ran.done.error is None
    assert ran.results[-1].rows == (("0",),)
    assert not away


def test_no_control_session_stays_open(cellar: cellars.Cellar) -> None:
    """Whether whoever makes it is cancelled, or it is in use while all are closed."""
    space = cellar.space()
    driver = space.snapshots._driver

    async def cancelled(seconds: float) -> None:
        making = asyncio.create_task(driver._connect())
        await asyncio.sleep(seconds)
        making.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await making).close()

    async def late() -> bool:
        async with driver._session() as used:
            await driver.close()
            assert not used.closed
        return bool(used.closed)

    async def sessions() -> int:
        (row,) = await driver._fetch(
            "select count(*) from pg_stat_activity where usename = current_user", {}
        )
        return int(row[0])

    cellar.quiet()
    before = cellar.call(sessions())
    for number in range(40):
        cellar.call(cancelled(number / 2_000))
    deadline = time.monotonic() + 10
    while cellar.call(sessions()) > before:
        # One that is closed is gone a moment later.
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert cellar.call(late())
