"""Notebooks with several sessions, against psql in several terminals."""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Iterator, Sequence

import hypothesis
import pytest
from hypothesis import strategies as st
from tests import cellar as cellars
from tests import following
from tests import oracle as oracles
from tests.integration import test_equals_oracle

from pgcellar.api import records
from pgcellar.runner import sessions

#: Many notebooks, each run several times; a machine may be slow.
pytestmark = pytest.mark.timeout(test_equals_oracle.SECONDS)

Cell = tuple[str, str]
MAIN = "main"
TABLE = "create table t (a int primary key, b int); insert into t values (1, 1), (2, 2), (3, 3)"
LOOK = "select * from t order by a"


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


def source(cell: Cell) -> str:
    """A cell as a person writes it."""
    name, text = cell
    return text if name == MAIN else f"%%session {name}\n{text}"


def said(events: Sequence[records.Event], name: str, shown: dict[str, str]) -> None:
    """Add what a run gave to what each session said, in psql's words."""
    tabular, heard = False, ""
    for event in events:
        match event:
            case records.Text(text=text) if text.endswith(" goes on:\n"):
                name = text.removeprefix("Session ").removesuffix(" goes on:\n")
            case records.Text(text=text) if oracles.heard(text):
                # psql shows it below what the statement gave.
                heard += oracles.masked(text)
            case records.Columns():
                tabular = True
            case records.Rows(rows=rows):
                lines = ["|".join(value or "" for value in row) + "\n" for row in rows]
                shown[name] = shown.get(name, "") + "".join(lines)
            case records.Completed(command=command):
                tag = "" if tabular and command.startswith("SELECT") else f"{command}\n"
                if tag or heard:
                    shown[name] = shown.get(name, "") + tag + heard
                tabular, heard = False, ""
            case records.Notice(severity=severity, sqlstate=sqlstate):
                shown[name] = shown.get(name, "") + f"{severity}:  {sqlstate}\n"


def check(
    cellar: cellars.Cellar, oracle: following.Oracle, cells: Sequence[Cell], key: str
) -> None:
    """Run as heads one after the other, and the last one alone: the same as in psql.

    A cell for a session that waits is left out, as nobody could type it. A cell that fails outside
    of a transaction ends the comparison.
    """
    typed: list[Cell] = [(MAIN, TABLE)]
    ours: dict[str, str] = {}
    with oracle.database() as terminals:
        terminals.run(*typed[0])
        said(cellar.run([source(typed[0])], notebook=key).events, MAIN, ours)
        for cell in cells:
            if terminals.waits(cell[0]):
                continue
            typed.append(cell)
            terminals.run(*cell)
            texts = [source(one) for one in typed]
            ran = cellar.run(texts, notebook=key)
            said(ran.events, cell[0], ours)
            oracle.compared += 1
            if ran.done.error is not None:
                ours[cell[0]] = ours.get(cell[0], "") + f"ERROR:  {ran.done.error.sqlstate}\n"
            theirs = {name: oracles.masked(text) for name, text in terminals.shown().items()}
            assert ours == {name: text for name, text in theirs.items() if text}, texts
            if ran.head.state is None:
                return
        if terminals.waits(MAIN):
            return
        typed.append((MAIN, LOOK))
        terminals.run(MAIN, LOOK)
        wanted = oracles.masked(terminals.shown()[MAIN]).removeprefix(ours[MAIN])
    last = cellar.run([source(one) for one in typed], notebook=f"{key} alone")
    oracle.compared += 1
    alone: dict[str, str] = {}
    said(last.events, MAIN, alone)
    if last.done.error is None:
        assert alone.get(MAIN, "") == wanted


NOTEBOOKS: list[list[Cell]] = [
    [
        (MAIN, "begin; update t set b = 10 where a = 1"),
        ("b", "update t set b = b + 1 where a = 1 returning *; select 'after'"),
        (MAIN, "select 1"),
        (MAIN, "commit"),
        ("b", "table t order by a"),
    ],
    # A deadlock ends whoever began to wait last.
    [
        (MAIN, "begin; update t set b = 10 where a = 1"),
        ("b", "begin; update t set b = 20 where a = 2"),
        ("b", "update t set b = 30 where a = 1"),
        (MAIN, "update t set b = 40 where a = 2"),
        (MAIN, "rollback"),
        ("b", "commit"),
    ],
    # Who waits for whom, as a third one sees it.
    [
        (MAIN, "begin; update t set b = 10 where a = 1"),
        ("b", "update t set b = b + 1 where a = 1"),
        (
            "c",
            "select count(*), min(cardinality(pg_blocking_pids(pid))) from pg_stat_activity"
            " where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0",
        ),
        (MAIN, "rollback"),
        ("c", "select b from t where a = 1"),
    ],
    # A lost update, prevented.
    [
        (MAIN, "begin isolation level repeatable read; select b from t where a = 1"),
        ("b", "begin isolation level repeatable read; select b from t where a = 1"),
        (MAIN, "update t set b = 10 where a = 1"),
        ("b", "update t set b = 20 where a = 1"),
        (MAIN, "commit"),
        ("b", "commit"),
    ],
    # Write skew.
    [
        (MAIN, "begin isolation level serializable; select sum(b) from t"),
        ("b", "begin isolation level serializable; select sum(b) from t"),
        (MAIN, "insert into t values (4, 4)"),
        ("b", "insert into t values (5, 5)"),
        (MAIN, "commit"),
        ("b", "commit"),
    ],
    # Three in a row.
    [
        (MAIN, "begin; lock table t"),
        ("b", "begin; lock table t"),
        ("c", "insert into t values (6, 6)"),
        (MAIN, "rollback"),
        ("b", "select count(*) from t"),
        ("b", "commit"),
    ],
    [
        (MAIN, "select pg_advisory_lock(1)"),
        ("b", "select pg_advisory_lock(1)"),
        (MAIN, "select pg_advisory_unlock(1)"),
        ("b", "select pg_try_advisory_lock(1), pg_advisory_unlock_all()"),
    ],
    [
        ("b", "set lock_timeout = '100ms'; begin"),
        (MAIN, "begin; delete from t where a = 1"),
        ("b", "delete from t where a = 1"),
        ("b", "rollback"),
        (MAIN, "commit"),
    ],
    [
        ("b", "listen ch; create temp table own as select 1 as a; set search_path = pg_temp"),
        (MAIN, "create table own (a int); select count(*) from own"),
        ("b", "select count(*) from own"),
        (MAIN, "select current_setting('search_path')"),
    ],
    # Who is idle hears with the next statement what another has sent.
    [
        (MAIN, "listen ch"),
        ("b", "listen ch; notify ch, 'x'"),
        (MAIN, "select 1"),
        ("b", "begin; select pg_notify('ch', 'y')"),
        (MAIN, "select 2"),
        ("b", "commit; select 3"),
        (MAIN, "begin; select 4"),
        ("b", "select pg_notify('ch', 'z')"),
        (MAIN, "select 5"),
        (MAIN, "commit; select 6"),
    ],
    # Each remembers what a literal meant when it first called the function.
    [
        (
            MAIN,
            "create function m() returns text language plpgsql as $$ begin return"
            " extract(month from '01/02/2024'::date); end $$",
        ),
        (MAIN, "select m()"),
        ("b", "set datestyle = 'ISO, DMY'; select m()"),
        (MAIN, "set datestyle = 'ISO, DMY'"),
        (MAIN, "select m()"),
        ("b", "set datestyle = 'ISO, MDY'; select m()"),
    ],
]


@pytest.mark.parametrize("number", range(len(NOTEBOOKS)))
def test_equals_psql(cellar: cellars.Cellar, oracle: following.Oracle, number: int) -> None:
    """Cell by cell, and the last one alone."""
    check(cellar, oracle, NOTEBOOKS[number], f"sessions {number}")


#: Of three, two could be let go on at once, and which one is first is not even psql's to say.
NAMES = st.sampled_from([MAIN, "b"])
KEYS = st.integers(1, 4)
STATEMENTS = st.one_of(
    st.sampled_from(
        [
            "begin",
            "begin isolation level repeatable read",
            "begin isolation level serializable",
            "commit",
            "rollback",
            LOOK,
            "select sum(b) from t",
            "lock table t in share mode",
            "savepoint s",
            "rollback to s",
            "select pg_try_advisory_xact_lock(1)",
        ]
    ),
    KEYS.map(lambda key: f"update t set b = b + 10 where a = {key}"),
    KEYS.map(lambda key: f"select b from t where a = {key} for update"),
    KEYS.map(lambda key: f"delete from t where a = {key} returning b"),
    KEYS.map(lambda key: f"insert into t values ({key}, 7) on conflict do nothing"),
)


@hypothesis.settings(max_examples=int(os.environ.get("PGCELLAR_EXAMPLES", "8")), deadline=None)
@hypothesis.given(st.lists(st.tuples(NAMES, STATEMENTS), min_size=3, max_size=9))
def test_generated_notebooks(
    cellar: cellars.Cellar, oracle: following.Oracle, cells: list[Cell]
) -> None:
    """Whatever is typed where."""
    check(cellar, oracle, cells, f"generated {time.monotonic()}")


BLOCKED = [
    TABLE,
    "begin; update t set b = 10 where a = 1",
    "%%session b\nupdate t set b = 20 where a = 1",
]


def test_vacuum_waits_for_a_cursor(cellar: cellars.Cellar) -> None:
    """Of another session, whose page it wants to itself: no lock, and nobody says whose it is."""
    cells = [
        TABLE,
        "begin; declare cu cursor for select * from t; fetch 1 from cu",
        "%%session b\nset vacuum_freeze_min_age = 0; vacuum (freeze, disable_page_skipping) t",
        "close cu; commit",
    ]
    # An open transaction of another notebook keeps the rows from being frozen, and VACUUM goes by.
    for key in list(cellar.space()._notebooks):
        cellar.call(cellar.runner.forget(cellars.OWNER, key))
    while cellar.space()._tasks:
        time.sleep(0.01)
    for head in range(3):
        ran = cellar.run(cells, head, notebook="vacuum")
        assert ran.done.error is None
    texts = [event.text for event in ran.events if isinstance(event, records.Text)]
    assert any(text.startswith("Session b waits for main (process ") for text in texts)
    ran = cellar.run(cells, 3, notebook="vacuum")
    assert ran.done.error is None
    commands = [event.command for event in ran.events if isinstance(event, records.Completed)]
    assert commands == ["CLOSE CURSOR", "COMMIT", "VACUUM"]


def test_who_waits_for_whom_is_shown(cellar: cellars.Cellar) -> None:
    """In the cell that waits, which ends."""
    ran = cellar.run(BLOCKED, notebook="shown")
    texts = [event.text for event in ran.events if isinstance(event, records.Text)]
    assert any(text.startswith("Session b waits for main (process ") for text in texts)
    assert ran.done.error is None
    assert ran.head.pinned == "more than one session"


def test_a_session_that_waits_takes_no_other_cell(cellar: cellars.Cellar) -> None:
    """And says what to do; what is pending stays so."""
    cellar.run(BLOCKED, notebook="busy")
    ran = cellar.run([*BLOCKED, "%%session b\nselect 1"], notebook="busy")
    assert ran.done.error is not None
    assert "%%session b cancel" in (ran.done.error.hint or "")
    ran = cellar.run([*BLOCKED, "commit"], notebook="busy")
    assert ran.done.error is None
    assert ran.sources[:3] == ["hit"] * 3
    commands = [event.command for event in ran.events if isinstance(event, records.Completed)]
    assert commands == ["COMMIT", "UPDATE 1"]


def test_what_waits_can_be_cancelled(cellar: cellars.Cellar) -> None:
    """By a cell, which shows how it ended."""
    cells = [*BLOCKED, "%%session b cancel\nselect 'free'", "commit", LOOK]
    for head in range(len(cells)):
        ran = cellar.run(cells, head, notebook="cancelled")
        assert ran.done.error is None
        if head == 3:
            notices = [e.sqlstate for e in ran.events if isinstance(e, records.Notice)]
            assert notices == ["57014"]
    assert ran.results[0].rows[0] == ("1", "10")


def test_the_same_by_a_function(cellar: cellars.Cellar) -> None:
    """As a course on PostgreSQL shows it."""
    cancel = (
        "select pg_cancel_backend(pid) from pg_locks where not granted and pid <> pg_backend_pid()"
    )
    ran = cellar.run([*BLOCKED, cancel], notebook="function")
    assert [e.sqlstate for e in ran.events if isinstance(e, records.Notice)] == ["57014"]


def test_an_interrupt_reaches_the_session_that_runs(cellar: cellars.Cellar) -> None:
    """Not the main one, which is idle."""
    begin = time.monotonic()
    started = cellar.start([TABLE, "%%session b\nselect pg_sleep(60)"], notebook="interrupted")
    time.sleep(1.0)
    for run in list(cellar.runner._runs.values()):
        cellar.call(run.cancel())
    done = started.result(30).done
    assert done.error is not None
    assert done.error.sqlstate == "57014"
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("header", ["%%session", "%%session 1a", "%%session a b c", "%%sessionb"])
def test_a_header_that_names_no_session(cellar: cellars.Cellar, header: str) -> None:
    """Is an error that says what to write."""
    ran = cellar.run([f"{header}\nselect 1"], notebook="header")
    assert ran.done.error is not None


def test_too_many_sessions(cellar: cellars.Cellar) -> None:
    """Each is a process of the server's."""
    cells = [f"%%session s{number}\nselect {number}" for number in range(4)]
    for notebook in range(12):
        # And those of other notebooks make room.
        ran = cellar.run(cells, notebook=f"many {notebook}")
        assert ran.done.error is not None
        assert "at most 4" in ran.done.error.message
        assert cellar.run(cells[:3], notebook=f"many {notebook}").done.error is None


def test_what_a_pending_cell_says_is_bounded(cellar: cellars.Cellar) -> None:
    """However many statements it has."""
    loud = "select repeat('x', 1000000) from generate_series(1, 3); " * 10
    cells = [BLOCKED[0], BLOCKED[1], f"{BLOCKED[2]}; {loud}", "commit"]
    ran = cellar.run(cells, notebook="loud")
    assert ran.done.error is None
    shown = [event for event in ran.events if isinstance(event, records.Rows)]
    assert sum(len(row[0] or "") for event in shown for row in event.rows) <= sessions.MAX_HELD
    done = [event for event in ran.events if isinstance(event, records.Completed)]
    assert len(done) == 12
    assert done[-1].truncated


def test_a_killed_sandbox(cellar: cellars.Cellar) -> None:
    """All is replayed, what was pending too."""
    cellar.run(BLOCKED, notebook="killed")
    cellar.kill_sandbox()
    ran = cellar.run([*BLOCKED, "rollback", "%%session b\ntable t order by a"], notebook="killed")
    assert ran.done.error is None
    assert ran.results[0].rows[0] == ("1", "20")


def test_an_edit_above(cellar: cellars.Cellar) -> None:
    """The sessions are those of the text as it stands."""
    cells = [*BLOCKED, "commit", "%%session b\ntable t order by a"]
    for head in range(len(cells)):
        assert cellar.run(cells, head, notebook="edited").done.error is None
    cells[1] = cells[1].replace("10", "50")
    cells[2] = cells[2].replace("b = 20", "b = b + 1")
    ran = cellar.run(cells, notebook="edited")
    assert ran.results[0].rows[0] == ("1", "51")


# --- found by a hostile reviewer -----------------------------------------------------------------


def test_nothing_is_answered_from_another_session(cellar: cellars.Cellar) -> None:
    """The same text in the same state, in another session."""
    text = "create table u as select current_setting('work_mem') as w; select w from u"
    above = "set work_mem = '9MB'"
    assert cellar.run([above, text], notebook="own").results[-1].rows == (("9MB",),)
    for _ in range(2):
        ran = cellar.run([above, f"%%session b\n{text}"], notebook="own")
        assert ran.results[-1].rows == (("4MB",),)


def test_variables_are_the_notebooks(cellar: cellars.Cellar) -> None:
    """Whichever session set them, also where the cells are replayed."""
    cells = ["%%session b\nselect 7 as y \\gset", "\\set x 5", "%%session c\nselect :x + :y"]
    for head in range(len(cells)):
        assert cellar.run(cells, head, notebook="variables").done.error is None
    for notebook in ("variables", "variables alone"):
        assert cellar.run(cells, notebook=notebook).results[0].rows == (("12",),)


def test_files_that_change(cellar: cellars.Cellar, tmp_path: pathlib.Path) -> None:
    """What is loaded or included below a session is part of what a cell is."""
    (tmp_path / "f.csv").write_text("1\n2\n")
    (tmp_path / "g.sql").write_text("insert into f values (100);")
    cells = [
        "create table f (a int)",
        "%%session b\nselect 1",
        "\\copy f from 'f.csv'",
        "\\i g.sql",
        "select count(*), max(a) from f",
    ]
    for head in range(len(cells)):
        ran = cellar.run(cells, head, notebook="files", directory=str(tmp_path))
        assert ran.done.error is None
    assert ran.results[0].rows == (("3", "100"),)
    (tmp_path / "f.csv").write_text("1\n2\n3\n")
    (tmp_path / "g.sql").write_text("insert into f values (200);")
    ran = cellar.run(cells, notebook="files", directory=str(tmp_path))
    assert ran.results[0].rows == (("4", "200"),)


TERMINATE = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity"
    " where datname = current_database() and pid <> pg_backend_pid()"
)


def test_a_terminated_session_begins_anew(cellar: cellars.Cellar) -> None:
    """Idle or pending; the others go on."""
    cells = [
        TABLE,
        "%%session b\nbegin; update t set b = 10 where a = 1",
        TERMINATE,
        "%%session c\nselect 'c'",
        "%%session b\nselect b from t where a = 1",
    ]
    for head in range(len(cells)):
        ran = cellar.run(cells, head, notebook="terminated")
        assert ran.done.error is None, (head, ran.done.error)
    assert ran.results[0].rows == (("1",),)
    assert [e.sqlstate for e in ran.events if isinstance(e, records.Notice)] == ["08006"]
    pending = [*BLOCKED, TERMINATE, "%%session b\nselect 'again'"]
    for head in range(len(pending)):
        ran = cellar.run(pending, head, notebook="terminated pending")
        assert ran.done.error is None, (head, ran.done.error)
    assert ran.results[0].rows == (("again",),)


def test_the_main_session_begins_anew(cellar: cellars.Cellar) -> None:
    """Terminated by another one."""
    cells = [TABLE, f"%%session b\n{TERMINATE}", "select count(*) from t", "select 'main'"]
    for head in range(len(cells)):
        ran = cellar.run(cells, head, notebook="main")
        assert ran.done.error is None, (head, ran.done.error)
    assert ran.results[0].rows == (("main",),)


def test_an_interrupt_spares_what_waits(cellar: cellars.Cellar) -> None:
    """What was let go on and runs long is ended, and nothing else."""
    cells = [
        TABLE,
        "begin; lock t; select pg_advisory_lock(1)",
        "%%session b\nselect pg_advisory_lock(1)",
        "%%session c\nselect count(*) from t; select pg_sleep(25)",
        "commit",
        "select pg_advisory_unlock(1)",
    ]
    for head in range(4):
        assert cellar.run(cells, head, notebook="spared").done.error is None
    begin = time.monotonic()
    started = cellar.start(cells, 4, notebook="spared")
    time.sleep(1.5)
    for run in list(cellar.runner._runs.values()):
        cellar.call(run.cancel())
    interrupted = started.result(30)
    assert time.monotonic() - begin < 10
    # What was interrupted is no success, though what the cell did stays: it was let go on.
    assert interrupted.done.error is not None
    assert interrupted.done.error.sqlstate == "57014"
    ran = cellar.run(cells, 5, notebook="spared")
    assert ran.done.error is None
    assert not any(isinstance(e, records.Notice) and e.sqlstate == "57014" for e in ran.events)


def test_settings_of_another_notebooks_role_are_not_taken_over(cellar: cellars.Cellar) -> None:
    """A session begins as this notebook's state has it."""
    cells = ["create table z (i int)", "%%session main\nselect 1", "%%session b\nshow work_mem"]
    assert cellar.run(cells, 1, notebook="taken").done.error is None
    alter = "do $$ begin alter role pgcellar set work_mem = '9MB'; end $$"
    assert cellar.run(["create temp table tmp (i int)", alter], notebook="giver").done.error is None
    assert cellar.run(cells, notebook="taken").results[0].rows == (("4MB",),)


def test_a_session_that_the_server_refuses(cellar: cellars.Cellar) -> None:
    """Fails its cell, and nothing else."""
    cells = ["alter database pgcellar connection limit 1", "%%session b\nselect 1"]
    ran = cellar.run(cells, notebook="refused")
    assert ran.done.error is not None
    assert ran.done.error.sqlstate == "08004"
    assert cellar.run([cells[0], "select 1"], notebook="refused").done.error is None


def test_notices_of_a_pending_cell_are_bounded(cellar: cellars.Cellar) -> None:
    """As its rows are."""
    loud = "do $$ begin for i in 1..500 loop raise notice '%', repeat('x', 16000); end loop; end $$"
    cells = [*BLOCKED[:2], f"{BLOCKED[2]}; {'; '.join([loud] * 3)}", "commit"]
    ran = cellar.run(cells, notebook="notices")
    said = [event.message for event in ran.events if isinstance(event, records.Notice)]
    assert 0 < sum(map(len, said)) <= sessions.MAX_HELD


def test_a_header_below_a_header(cellar: cellars.Cellar) -> None:
    """Is no SQL."""
    for text in ("%%session b\n%%session c\nselect 1", "%%session b\n" * 3000 + "select 1"):
        ran = cellar.run([text], notebook="nested")
        assert ran.done.error is not None
        assert ran.done.error.sqlstate == "42601"
