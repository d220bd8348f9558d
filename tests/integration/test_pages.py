"""Pages of long results: put together they are the result, and the head runs for them once."""

from __future__ import annotations

import contextlib
import pathlib
import random
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tests import cellar as cellars
from tests import oracle as oracles

from pgcellar.api import errors, records
from pgcellar.notebook import states
from pgcellar.runner import executor, pages, probes, running, slices


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests that need none of their own."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


TABLE = "create table t as select g as id, md5(g::text) as name from generate_series(1, 25000) g"
LONG = "select * from t order by id"
#: Nulls, empty strings, bytes, odd characters, arrays, a type of one's own, long values.
ODD = """
create type mood as enum ('sad', 'happy');
create table odd as
select g as id, nullif(g % 3, 0) as n,
  case g % 4 when 0 then '' when 1 then e'a\\tb\\nc"\\\\' end as s,
  decode(md5(g::text), 'hex') as b, array[g, null, g] as a,
  (case when g % 2 = 0 then 'happy' else 'sad' end)::mood as m, 'ä€𝄞' || chr(1) || g as u,
  repeat('x', g % 700) as w, null::text as z
from generate_series(1, 7001) g"""

#: Many notebooks, each run several times; a machine may be slow.
pytestmark = pytest.mark.timeout(900)


@contextlib.contextmanager
def heads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that sessions ran with something to show meanwhile."""
    seen: list[str] = []
    original = executor.Session.run

    async def run(self: executor.Session, text: str, output: Any, *rest: Any, **more: Any) -> Any:
        if output is not None:
            seen.append(text)
        return await original(self, text, output, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(executor.Session, "run", run)
        yield seen


def whole(
    cellar: cellars.Cellar, cells: Sequence[str], step: int, *, shuffle: bool = False, **more: Any
) -> list[tuple[str | None, ...]]:
    """All rows of a result, by pages in order or out of it."""
    first = cellar.page(cells, limit=1, **more)
    assert first.complete
    offsets = list(range(0, first.row_count, step))
    if shuffle:
        random.Random(step).shuffle(offsets)
    found = {}
    for offset in offsets:
        page = cellar.page(cells, offset=offset, limit=step, **more)
        assert (page.execution, page.row_count) == (first.execution, first.row_count)
        assert page.offset == offset
        found[offset] = page.rows
    rows = [row for offset in sorted(found) for row in found[offset]]
    assert len(rows) == first.row_count
    return rows


def expected(oracle: oracles.Oracle, cells: Sequence[str], statement: int = 0) -> Any:
    """What psql gives for a statement of the last cell."""
    outcome = oracle.evaluate(list(cells)).cells[len(cells) - 1]
    assert outcome.ok
    return outcome.results[statement]


@pytest.mark.parametrize("step", [999, 2000, 10_000])
def test_pages_in_any_order_are_what_psql_gives(
    cellar: cellars.Cellar, oracle: oracles.Oracle, step: int
) -> None:
    """Whole slices and parts of them."""
    assert whole(cellar, [TABLE, LONG], step, shuffle=True) == list(
        expected(oracle, [TABLE, LONG]).rows
    )


def test_odd_values_are_what_psql_gives(cellar: cellars.Cellar, oracle: oracles.Oracle) -> None:
    """Types included, of the state's own too."""
    cells = [ODD, "select * from odd order by id"]
    assert whole(cellar, cells, 1_500) == list(expected(oracle, cells).rows)
    head = cellar.run(cells, rerun=True, max_rows=10)
    page = cellar.page(cells, limit=10)
    assert (page.columns, page.rows) == (head.results[0].columns, head.results[0].rows)
    assert page.columns[5].type == "mood"
    assert page.state == head.head.state


def test_the_head_runs_once_for_all_pages_and_notebooks(
    cellar: cellars.Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first page on; also below an edit that changes no state, and above any edit."""
    cells = [TABLE, "select 1", f"{LONG} -- once"]
    ran = cellar.run(cells, notebook="one")
    assert ran.results[0].truncated
    with heads(monkeypatch) as seen:
        for offset in (24_990, 0, 12_345):
            page = cellar.page(cells, notebook="one", offset=offset, limit=10)
            assert [row[0] for row in page.rows] == [str(offset + i) for i in range(1, 11)]
        cellar.run([*cells, "create table below (a int)"], notebook="one")
        cellar.page(cells, notebook="one", offset=5)
        cellar.page([TABLE, "select 2, 3", "SELECT  * from t order by id"], notebook="two")
        assert len([text for text in seen if "from t order" in text]) <= 1
    with heads(monkeypatch) as seen:
        cellar.page([TABLE.replace("25000", "24000"), LONG], notebook="two")
        assert len([text for text in seen if "from t order" in text]) == 1


def test_a_head_that_never_ran_has_pages(cellar: cellars.Cellar) -> None:
    """Neither did the cells above it, of which one may or may not write."""
    function = "create function f() returns int language sql as 'select 1'"
    cells = [TABLE.replace(" t ", " fresh "), function, "select f()", "select id from fresh"]
    page = cellar.page(cells, notebook="fresh", offset=24_998, limit=10)
    assert (page.rows, page.row_count) == ((("24999",), ("25000",)), 25_000)
    assert page.state == cellar.run(cells, notebook="fresh").head.state


def test_a_short_result_needs_no_run(
    cellar: cellars.Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is remembered whole."""
    cells = ["select g from generate_series(1, 7) g"]
    cellar.run(cells)
    with heads(monkeypatch) as seen:
        page = cellar.page(cells, offset=5, limit=5)
    assert (page.rows, page.row_count, seen) == ((("6",), ("7",)), 7, [])


def test_the_ends(cellar: cellars.Cellar) -> None:
    """No rows, no columns, offsets at and beyond the end, no limit."""
    empty = cellar.page([TABLE, "select id, name from t where false"])
    assert (empty.rows, empty.row_count, empty.complete) == ((), 0, True)
    assert [column.type for column in empty.columns] == ["integer", "text"]
    assert cellar.page([TABLE, "select from t"], limit=2).rows == ((), ())
    for offset, count in ((24_999, 1), (25_000, 0), (10**15, 0)):
        page = cellar.page([TABLE, LONG], offset=offset)
        assert (len(page.rows), page.row_count, page.offset) == (count, 25_000, offset)
    assert cellar.page([TABLE, LONG], limit=0).rows == ()


def test_each_statement_of_a_cell_has_its_pages(
    cellar: cellars.Cellar, oracle: oracles.Oracle
) -> None:
    """By its place."""
    cells = [TABLE, f"select id from t where id > 20000 order by 1; {LONG}; select 1"]
    for statement in range(3):
        assert whole(cellar, cells, 10_000, statement=statement) == list(
            expected(oracle, cells, statement).rows
        )


def test_a_page_is_bounded_in_rows_and_bytes(cellar: cellars.Cellar) -> None:
    """Fewer rows than asked for, but never none; the next page begins where it ended."""
    assert len(cellar.page([TABLE, LONG], limit=20_000).rows) == records.MAX_PAGE_ROWS
    cells = ["select g, repeat('x', 1000 * g) from generate_series(1, 100) g"]
    sizes = []
    offset = 0
    while rows := cellar.page(cells, offset=offset, max_bytes=50_000).rows:
        assert [row[0] for row in rows] == [str(offset + i + 1) for i in range(len(rows))]
        sizes.append(len(rows))
        offset += len(rows)
    assert offset == 100
    assert sizes[0] == 9
    assert sizes[-1] == 1


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["create table w (a int)"], "does more than read"),
        (["create table w (a int)", "insert into w values (1) returning a"], "more than read"),
        (["select 1; create table w (a int)"], "does more than read"),
        (["select now()"], "decided"),
        (["select random() from generate_series(1, 5)"], "decided"),
        (["select count(*) from pg_class"], "decided"),
        (["select '12:00'::timetz"], "decided"),
        (["select '12:00'::time(3) with time zone"], "decided"),
        (["create table z (a timetz)", "select a at time zone 'Europe/Berlin' from z"],
         "may reach a function"),
        (["create table z (a timetz)", "select timezone('Europe/Berlin', a) from z"],
         "may reach a function"),
        (["create table z (a timetz)",
          "create view v as select (a at time zone 'Europe/Berlin')::text as t from z",
          "select * from v"], "may reach a function"),
        (["create function v() returns int volatile language sql as 'select 1'", "select v()"],
         "may reach a function"),
        (["create view x as select random()", "select * from x"], "may reach a function"),
        (["begin", "select 1"], "a transaction is open"),
        (["%%session b\nselect 1"], "session"),
        (["%%session b\nselect 1", "select 1"], "session"),
        (["\\set a 1\n\\echo a\nselect :a"], "meta-commands"),
        (["select 1 as a \\gset\nselect :a"], "variables that only running it tells"),
        (["\\set a random()", "select :a"], "decided"),
        (["\\set a now", "select :'a'::date"], "decided"),
        ([""], "no statement"),
        (["alter system set work_mem = '1MB'"], "does more than read"),
    ],
)  # fmt: skip
def test_what_is_no_function_of_the_state_has_no_pages(
    cellar: cellars.Cellar, cells: list[str], says: str
) -> None:
    """And it is said why, and what to do; nothing runs for that which need not."""
    with pytest.raises(errors.NoPages, match=says) as caught:
        cellar.page(cells, notebook="refused")
    assert "CREATE TABLE" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("above", "head"),
    [
        ("\\set low 24000", "select * from t where id > :low order by id"),
        ("select 24000 as low \\gset", "select * from t where id > :low order by id"),
        ("select 1", "-- @param low: slider(0, 30000) = 24000\nselect * from t where id > :low"),
        ("\\set name 'it''s :low'", "\\set low 24000\nselect id, :'name' from t where id > :low"),
    ],
)
def test_a_cell_with_variables_has_pages(
    cellar: cellars.Cellar,
    oracle: oracles.Oracle,
    monkeypatch: pytest.MonkeyPatch,
    above: str,
    head: str,
) -> None:
    """Their values are a part of what the pages are known by; others have none in it."""
    cells = [TABLE, above, head]
    psql = [TABLE, above, head.replace("-- @param low: slider(0, 30000) =", "\\set low")]
    more = {"notebook": "variables"}
    assert sorted(whole(cellar, cells, 400, **more)) == sorted(expected(oracle, psql).rows)
    execution = cellar.page(cells, **more).execution
    with heads(monkeypatch) as seen:
        other = [TABLE, f"{above}\n\\set other 1", head]
        assert cellar.page(other, **more).execution == execution
        assert not [text for text in seen if "from t where" in text]
    changed = [text.replace("24000", "24900") for text in cells]
    page = cellar.page(changed, **more)
    assert page.row_count == 100
    assert page.execution != execution
    assert cellar.page(cells, **more).execution == execution
    # And what a run shows is remembered by them, too.
    first = cellar.run(changed, **more)
    assert cellar.run(changed, **more).head.source == "hit"
    assert cellar.run(cells, **more).results[0].row_count == 1000
    assert first.results[0].row_count == 100


def test_a_state_that_can_not_be_looked_at_has_no_pages(
    cellar: cellars.Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a timeout of the user's is shorter than a look at the catalogs takes."""

    async def unknown(*_: object) -> states.Facts:
        return states.Facts(reached=True)

    cells = ["create table unlooked (a int)", "select * from unlooked"]
    with monkeypatch.context() as patch:
        patch.setattr(running, "know_facts", unknown)
        patch.setattr(probes, "_SETTLED", "select 1/0")
        with pytest.raises(errors.NoPages, match="can't be told"):
            cellar.page(cells, notebook="unlooked")
    assert cellar.page(cells, notebook="unlooked").row_count == 0


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["select 1 / (g - 5000) from generate_series(1, 9000) g"], r"c0 .*zero \(22012\)"),
        (["select * from missing"], r"c0 .*\(42P01\)"),
        (["create table bad (a int); select 1/0", "select 1"], r"c0 .*\(22012\)"),
        (["insert into missing values (1)", "select 1"], r"c0 .*\(42P01\)"),
    ],
)
def test_a_cell_that_fails_has_no_pages(
    cellar: cellars.Cellar, cells: list[str], says: str
) -> None:
    """Nor has what stands below it; nothing is kept of the rows before the error."""
    kept = count(cellar)
    for _ in range(2):
        with pytest.raises(errors.NoPages, match=says):
            cellar.page(cells, notebook="fails")
    assert count(cellar) == kept


@pytest.mark.parametrize(
    "more",
    [
        {"offset": -1},
        {"limit": -1},
        {"max_bytes": -1},
        {"statement": -1},
        {"statement": 1},
        {"offset": "1"},
        {"offset": 1 << 63},
        {"limit": 1.5},
        {"notebook": ""},
    ],
)
def test_a_bad_request_is_refused(cellar: cellars.Cellar, more: dict[str, Any]) -> None:
    """Before anything runs."""
    with pytest.raises(errors.BadRequest):
        cellar.page([TABLE, LONG], **more)


def test_volatile_values_above_are_those_that_were_shown(cellar: cellars.Cellar) -> None:
    """Pages belong to the state they name, and go on with it."""
    cells = ["create table r as select g, random() as x from generate_series(1, 3000) g"]
    cells.append("select * from r order by g")
    head = cellar.run(cells, notebook="volatile")
    page = cellar.page(cells, notebook="volatile", offset=10, limit=5)
    assert page.rows == head.results[0].rows[10:15]
    assert page.state == head.head.state
    again = cellar.run(cells, notebook="volatile", reroll=("c0",))
    page = cellar.page(cells, notebook="volatile", offset=10, limit=5)
    assert page.rows == again.results[0].rows[10:15] != head.results[0].rows[10:15]
    assert page.state == again.head.state != head.head.state


def test_a_volatile_cell_that_must_be_replayed_makes_another_state(
    cellar: cellars.Cellar,
) -> None:
    """It is not what was planned, so the head runs where the replay led."""
    cells = ["create table s as select g, random() as x from generate_series(1, 2000) g"]
    cells += ["create temp table pin (a int)", "select g, x from s order by g"]
    head = cellar.run(cells, notebook="replayed")
    space = cellar.space()
    cellar.quiet("replayed")
    cellar.call(cellar.runner.forget(cellars.OWNER, "replayed"))
    for snapshot in list(space.snapshots.all()):
        if snapshot.state != space.snapshots.base:
            cellar.call(space.snapshots.forget(snapshot.state))
    page = cellar.page(cells, notebook="replayed", limit=3)
    assert page.state != head.head.state
    assert page.rows != head.results[0].rows[:3]
    again = cellar.run(cells, notebook="replayed")
    assert (again.head.state, again.results[0].rows[:3]) == (page.state, page.rows)


def test_pages_below_temporary_tables(cellar: cellars.Cellar, oracle: oracles.Oracle) -> None:
    """A pinned state is a state."""
    cells = ["create temp table p as select g from generate_series(1, 4001) g"]
    cells.append("select * from p order by g")
    assert whole(cellar, cells, 1_000, notebook="pinned") == list(expected(oracle, cells).rows)


# --- several at once -------------------------------------------------------------------------


def test_many_requests_at_once_run_the_head_once(
    cellar: cellars.Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From several notebooks."""
    with heads(monkeypatch) as seen:
        asked = [
            cellar.start_page(
                [TABLE, "select id, name || '!' from t order by id"],
                notebook=f"at once {i % 3}",
                offset=1000 * i,
                limit=7,
            )
            for i in range(12)
        ]
        for i, page in enumerate(asked):
            rows = page.result(cellars.TIMEOUT).rows
            assert [row[0] for row in rows] == [str(1000 * i + k) for k in range(1, 8)]
    assert len({page.result().execution for page in asked}) == 1
    assert len([text for text in seen if "'!'" in text]) == 1


def wait_for(cellar: cellars.Cellar, query: str) -> int:
    """Wait until the sandbox runs something with this in its text; its process."""
    address = cellar.call(cellar.address("postgres"))
    with address.connect() as connection:
        while True:
            found = connection.execute(
                "select pid from pg_stat_activity where state = 'active' and strpos(query, %s) > 0"
                " and pid <> pg_backend_pid()",
                (query,),
            ).fetchall()
            if found:
                return int(found[0][0])
            time.sleep(0.02)


#: Some seconds of work, and pure.
SLOW = (
    "select sum(a.g # b.g # {0}) from generate_series(1, 100000) a(g), generate_series(1, 300) b(g)"
)


def test_a_run_that_nobody_waits_for_is_cancelled(
    cellar: cellars.Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon, not at once, and nothing is left; who comes in time finds it going on."""
    monkeypatch.setattr(pages, "GRACE", 0.2)
    slow = SLOW.format(1)
    kept = count(cellar)
    asked = cellar.start_page([slow], notebook="left")
    wait_for(cellar, "# 1)")
    asked.cancel()

    while cellar.runner._pages._tasks:
        time.sleep(0.02)
    assert count(cellar) == kept
    # The notebook is as it was.
    assert cellar.run(["select 1"], notebook="left").results[0].rows == (("1",),)

    monkeypatch.setattr(pages, "GRACE", 60.0)
    with heads(monkeypatch) as seen:
        slow = SLOW.format(2)
        asked = cellar.start_page([slow], notebook="left")
        wait_for(cellar, "# 2)")
        asked.cancel()
        assert cellar.page([slow], notebook="left").row_count == 1
    assert len([text for text in seen if "# 2)" in text]) == 1


def test_a_session_that_ends_meanwhile(cellar: cellars.Cellar) -> None:
    """Is an error, and nothing is left; the next request runs again."""
    slow = SLOW.format(3)
    kept = count(cellar)
    asked = cellar.start_page([slow], notebook="dies")
    with cellar.call(cellar.address("postgres")).connect() as connection:
        connection.execute("select pg_terminate_backend(%s)", (wait_for(cellar, "# 3)"),))
    with pytest.raises(errors.SandboxLost):
        asked.result(cellars.TIMEOUT)
    assert count(cellar) == kept
    assert cellar.page([slow], notebook="dies").row_count == 1


def test_pages_after_the_sandbox_was_killed(
    cellar: cellars.Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are kept need no sandbox; others heal it."""
    cells = [TABLE, "select id + 1 from t order by id"]
    page = cellar.page(cells, notebook="killed", offset=20_000, limit=3)
    cellar.kill_sandbox()
    with heads(monkeypatch) as seen:
        assert cellar.page(cells, notebook="killed", offset=20_000, limit=3) == page
    assert seen == []
    other = [TABLE, "select id + 2 from t order by id"]
    assert cellar.page(other, notebook="killed", limit=1).rows == (("3",),)


def test_a_control_database_that_dies_meanwhile(
    cellar: cellars.Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is said to be that, and not the sandbox; the notebook goes on."""
    cells = [TABLE, "select id + 3 from t order by id"]

    original = slices.SliceStore.begin

    async def begin(self: slices.SliceStore, stack: contextlib.AsyncExitStack) -> Any:
        conn, number = await original(self, stack)
        conn.pgconn.finish()
        return conn, number

    with monkeypatch.context() as patch:
        patch.setattr(slices.SliceStore, "begin", begin)
        with pytest.raises(errors.ServiceUnavailable):
            cellar.page(cells, notebook="control")
    assert cellar.page(cells, notebook="control", limit=1).rows == (("4",),)


# --- bounds ----------------------------------------------------------------------------------


def count(cellar: cellars.Cellar) -> int:
    """How many results and slices there are in the control database."""

    async def ask() -> int:
        rows = await cellar.runner._pages._kept._db.fetch(
            "select (select count(*) from page_results) + (select count(*) from page_slices) as n"
        )
        return int(rows[0]["n"])

    found: int = cellar.call(ask())
    return found


def held_bytes(cellar: cellars.Cellar) -> tuple[int, int, int]:
    """Results, the bytes they are said to take, and those that slices take."""

    async def ask() -> tuple[int, int, int]:
        rows = await cellar.runner._pages._kept._db.fetch(
            "select count(*) as n, coalesce(sum(bytes), 0)::bigint as said,"
            " (select coalesce(sum(length(body)), 0)::bigint from page_slices) as taken"
            " from page_results"
        )
        return rows[0]["n"], rows[0]["said"], rows[0]["taken"]

    found: tuple[int, int, int] = cellar.call(ask())
    return found


def test_a_restart_keeps_pages_and_what_was_used_last(
    cellar_home: pathlib.Path, monkeypatch: pytest.MonkeyPatch, oracle: oracles.Oracle
) -> None:
    """The results used longest ago go first, a page beyond what is kept is empty."""
    bound = 600_000

    def cells(number: int) -> list[str]:
        return [TABLE, f"select md5((id + {number})::text) from t where id <= 8000 order by id"]

    with cellars.Cellar(cellar_home, page_bytes=bound) as cellar:
        first = cellar.page(cells(0), limit=5)
        for number in (1, 2):
            cellar.page(cells(number))
        assert held_bytes(cellar)[0] == 3
        # Used again, so the one after it goes in its place.
        assert cellar.page(cells(0), limit=5) == first
    with cellars.Cellar(cellar_home, page_bytes=bound) as cellar:
        with heads(monkeypatch) as seen:
            assert cellar.page(cells(0), limit=5) == first
            assert seen == []
            for number in (3, 4):
                cellar.page(cells(number))
                results, said, taken = held_bytes(cellar)
                assert results == 3
                assert taken <= said <= bound
            seen.clear()
            for number in (0, 3, 4):
                assert cellar.page(cells(number)).complete
            assert seen == []
            again = cellar.page(cells(1), limit=5)
            assert len(seen) == 1
        assert again.rows == tuple(expected(oracle, cells(1)).rows[:5])

        long = [TABLE, "select md5(id::text) || md5(id::text || 'x') from t order by id"]
        page = cellar.page(long, limit=3)
        assert not page.complete
        assert page.row_count == 25_000
        assert 2_000 <= page.kept < 25_000
        rows = expected(oracle, long).rows
        last = cellar.page(long, offset=page.kept - 1)
        assert last.rows == (rows[page.kept - 1],)
        beyond = cellar.page(long, offset=page.kept)
        assert (beyond.rows, beyond.complete, beyond.row_count) == ((), False, 25_000)
        assert held_bytes(cellar)[1] <= bound


def test_without_room_nothing_is_kept_and_it_is_said(cellar_home: pathlib.Path) -> None:
    """The rows are counted all the same."""
    with cellars.Cellar(cellar_home, page_bytes=0) as cellar:
        page = cellar.page([TABLE, LONG])
        assert (page.rows, page.kept, page.row_count, page.complete) == ((), 0, 25_000, False)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select md5(g::text), md5(g::text || 'x') from generate_series(1, 160000) g", 160_000),
        ("select null, null, null, null, null from generate_series(1, 100000) g", 100_000),
        ("select repeat(md5(g::text), 3000) from generate_series(1, 300) g", 300),
        (
            "select case g % 2 when 0 then 'happy'::mood end, md5(g::text)"
            " from generate_series(1, 50000) g",
            50_000,
        ),
    ],
)
def test_a_long_result_takes_bounded_memory(cellar: cellars.Cellar, query: str, rows: int) -> None:
    """Of narrow rows, of nulls, of wide rows, and of a type whose name is asked for at the end."""
    cells = ["create type mood as enum ('sad', 'happy')", query]
    cellar.run(cells[:1], notebook="memory")
    tracemalloc.start()
    try:
        page = cellar.page(cells, notebook="memory", offset=rows - 1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (page.row_count, page.complete, len(page.rows)) == (rows, True, 1)
    # Some slices, chunks and their copies; the result itself would be several times as much.
    assert peak < 6 * 1024 * 1024
