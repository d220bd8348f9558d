"""Settings that are made in one cell and seen in others: as in psql, in whatever order they run."""

from __future__ import annotations

import pathlib
import random
import time
from collections.abc import Iterator

import pytest
from tests import cellar as cellars
from tests import following
from tests.integration import test_equals_oracle

from pgcellar.api import records

pytestmark = pytest.mark.timeout(test_equals_oracle.SECONDS)

LOOK = (
    "select '2024-07-01 12:00+00'::timestamptz, interval '1 day 02:03', '\\x4100ff'::bytea,"
    " 0.1::float8 + 0.2, date '2024-02-03'"
)
TABLE = "create table t (a int)"

NOTEBOOKS: dict[str, list[str]] = {
    "ON_ERROR_STOP": [
        "\\set ON_ERROR_STOP on",
        TABLE,
        "begin",
        "select 1/0; select 2",
        "rollback",
        "\\set ON_ERROR_STOP off",
        "select 3",
    ],
    "timeouts": [
        TABLE,
        "set idle_in_transaction_session_timeout = '30s'; set transaction_timeout = '40s'",
        "set idle_session_timeout = '50s'",
        "begin; insert into t values (1)",
        "select * from t",
        "commit",
        "select name, setting from pg_settings where name ~ 'timeout' and source = 'session'"
        " and name <> 'statement_timeout' order by 1",
    ],
    "messages": [
        "create table if not exists t (a int)",
        "set client_min_messages = error",
        "create table if not exists t (a int); do $$ begin raise warning 'w'; end $$",
        "set client_min_messages = debug1",
        "create table if not exists t (b int)",
        "set client_min_messages = log",
        "do $$ begin raise log 'l'; raise debug 'd'; end $$",
        "reset client_min_messages",
        "do $$ begin raise info 'i'; raise notice 'n'; end $$",
    ],
    "backslashes": [
        "set backslash_quote = off; set escape_string_warning = off",
        "set standard_conforming_strings = off",
        "select 'a\\nb' as x, 'c\\\\d' as y",
        "select 'a\\'b' as x",
        "set backslash_quote = on",
        "select 'a\\'b' as x",
        "create table t as select 'x\\ty'::text as a",
        "select a, length(a) from t",
        "set standard_conforming_strings = on",
        "select 'a\\nb' as x, 'c\\' as y",
        "select a, length(a) from t",
    ],
    "formats": [
        "set bytea_output = 'escape'",
        LOOK,
        "set extra_float_digits = -5",
        "set intervalstyle = 'sql_standard'",
        LOOK,
        "set datestyle = 'German'",
        LOOK,
        "set datestyle = 'ISO, YMD'; set intervalstyle = iso_8601",
        "select '03/04/05'::date",
        LOOK,
        "reset all",
        LOOK,
    ],
    "formats of what is written": [
        "set datestyle = 'SQL, DMY'",
        "create table t (d date, f float8, i interval, b text)",
        "insert into t values ('03/04/2005', 1.0/3, '1 2:03', (0.1::float8 + 0.2)::text)",
        "set datestyle = 'SQL, MDY'",
        "insert into t values ('03/04/2005', 1.0/3, '-1 2:03', (date '2024-01-02')::text)",
        "set extra_float_digits = 0; insert into t(b) values ((1::float8/3)::text)",
        "table t",
    ],
    "row security": [
        f"{TABLE}; insert into t values (1), (2)",
        "alter table t enable row level security, force row level security",
        "create policy p on t using (a > 1)",
        "select * from t",
        "set row_security = off",
        "select * from t",
        "set row_security = on",
        "select * from t",
    ],
    "read only": [
        f"{TABLE}; create sequence s",
        "set default_transaction_read_only = on",
        "insert into t values (1)",
        "select nextval('s')",
        "select set_config('app.x', 'y', false)",
        "select current_setting('app.x', true), current_setting('transaction_read_only')",
        "create temp table tt (a int)",
        "insert into tt values (1)",
        "begin read write; insert into t values (2); commit",
        "table t",
        "reset default_transaction_read_only",
        "insert into t values (3)",
        "show transaction_read_only",
    ],
    "isolation": [
        TABLE,
        "set default_transaction_isolation = 'serializable'",
        "show transaction_isolation",
        "begin; show transaction_isolation",
        "insert into t values (1)",
        "commit",
        "set default_transaction_deferrable = on",
        "select * from t",
        "show transaction_deferrable",
        "reset all",
        "show transaction_isolation",
    ],
    "characteristics": [
        TABLE,
        "set session characteristics as transaction read only",
        "show transaction_read_only",
        "insert into t values (2)",
    ],
    "replication role": [
        TABLE,
        "set session_replication_role = replica",
        "insert into t values (1)",
    ],
    "pg_temp in the search path": [
        "create table t (a int); insert into t values (1)",
        "create temp table t (a int, b int); insert into t values (2, 3)",
        "select * from t",
        "set search_path = public, pg_temp",
        "select * from t",
        "set search_path = pg_temp, public",
        "create table x (a int)",
        "select relpersistence from pg_class where relname = 'x'",
        "reset search_path",
        "select * from x",
        "discard temp",
        "select * from t",
    ],
    "what views and plans are made of": [
        "set quote_all_identifiers = on",
        "create view v as select 1 as a",
        "select pg_get_viewdef('v')",
        "set array_nulls = off; set transform_null_equals = on",
        "select '{NULL,a}'::text[], (select 1 where null = null)",
        "create table t as select 1 as a where null = null",
        "reset all",
        "select * from t",
        "set check_function_bodies = off",
        "create function f() returns int language sql as 'select nocol from nowhere'",
        "set default_text_search_config = 'english'",
        "select to_tsvector('the cats')",
        "set plpgsql.check_asserts = off",
        "do $$ begin assert false; end $$",
        "show plpgsql.check_asserts",
    ],
    "a role when time is up": [
        f"create role r; grant r to pgcellar; {TABLE}; grant select on t to r",
        "set role r",
        "set statement_timeout = '100ms'",
        "select pg_sleep(2)",
        "select current_user, session_user",
        "begin; set local role pgcellar",
        "select pg_sleep(2)",
        "rollback",
        "select current_user",
        "insert into t values (2)",
        "reset role; reset statement_timeout",
        "select current_user; insert into t values (2)",
    ],
    "a savepoint when time is up": [
        f"create role r; grant r to pgcellar; {TABLE}",
        "set role r",
        "begin; set local statement_timeout = '100ms'; savepoint s; set local role none",
        "select pg_sleep(2)",
        "rollback to s",
        "select current_user",
        "commit",
        "select current_user; show statement_timeout",
        "set session authorization default",
        "select current_user",
    ],
    "local, and no transaction": [
        f"set local work_mem = '7MB'; {TABLE}",
        "set local timezone = 'Asia/Tokyo'; select '2024-07-01 12:00+00'::timestamptz",
        "show work_mem; show timezone",
        "set transaction isolation level serializable; show transaction_isolation",
        "set constraints all deferred; set local role none; set local app.x = 'y'",
        "select current_setting('app.x', true)",
        "begin; set local work_mem = '8MB'",
        "show work_mem",
        "commit",
        "show work_mem",
    ],
    "time zones": [
        "set time zone interval '-08:00' hour to minute",
        "select '2024-01-01 00:00+00'::timestamptz",
        "set time zone 5.5",
        "create table t as select '2024-07-01'::timestamptz as a",
        "set timezone_abbreviations = 'Australia'",
        "select '2024-01-01 00:00 EST'::timestamptz",
        "insert into t values ('2024-01-01 00:00 EST')",
        "set time zone local",
        "table t",
    ],
}


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_settings_equal_the_oracle(
    cellar: cellars.Cellar, oracle: following.Oracle, name: str
) -> None:
    """From the top; in random order on clones; and without each cell in turn."""
    cells = NOTEBOOKS[name]
    drawn = random.Random(name)
    for head in range(len(cells)):
        test_equals_oracle.check(cellar, oracle, name, cells, head)
    forget(cellar, name)
    test_equals_oracle.check(cellar, oracle, name, cells, len(cells) - 1)
    # Other states, of which nothing is known yet.
    key, other = f"{name} in order", [f"set application_name = '{name}'", *cells]
    for head in drawn.sample(range(len(other)), len(other)):
        test_equals_oracle.check(cellar, oracle, key, other, head)
        if drawn.random() < 0.3:
            forget(cellar, key)
    for index in range(len(cells) - 1):
        cut = [*cells[:index], *cells[index + 1 :]]
        test_equals_oracle.check(cellar, oracle, key, cut, len(cut) - 1)


def test_what_is_local_to_no_transaction_warns(cellar: cellars.Cellar) -> None:
    """In psql's words, whenever the cell runs as head, and changes nothing."""
    cells = [TABLE, "set local work_mem = '7MB'", "show work_mem"]
    for again in (False, True):
        ran = cellar.run(cells, 1, notebook="local", rerun=again)
        (notice,) = [event for event in ran.events if isinstance(event, records.Notice)]
        assert (notice.severity, notice.sqlstate) == ("WARNING", "25P01")
        assert notice.message == "SET LOCAL can only be used in transaction blocks"
        assert ran.results[0].command == "SET"
        assert cellar.run(cells, 2, notebook="local").results[0].rows == (("4MB",),)


def forget(cellar: cellars.Cellar, key: str) -> None:
    """Keep what is worth keeping, and give a notebook's instances back."""
    cellar.quiet(key)
    cellar.call(cellar.runner.forget(cellars.OWNER, key))


#: With standard_conforming_strings off; what psql makes two statements of, or one of two.
OTHERWISE = [
    "select 'a\\', 'b; commit; delete from t; --'",
    "select 'a\\', 'b; delete from t; --'",
    "select 'x\\'; delete from t; --'",
    "select 'x\\''; delete from t; select 'y'",
    "insert into t values (2); select 'a\\', 'b; rollback; delete from t; --'",
]


@pytest.mark.parametrize(
    "text",
    [
        "select set_config('client_encoding', 'LATIN1', false)",
        "do $$ begin set client_encoding = 'LATIN1'; end $$",
        "select encodes()",
        "begin; select set_config('client_encoding', 'LATIN1', true)",
    ],
)
def test_texts_are_utf8(cellar: cellars.Cellar, oracle: following.Oracle, text: str) -> None:
    """Whatever a cell does, which fails then and leaves no trace."""
    cells = [
        'create sequence "表"; create function encodes() returns int language plpgsql as $$ begin'
        " perform set_config('client_encoding', 'LATIN1', false); return 1; end $$",
        text,
        "select set_config('client_encoding', 'utf8', false), '表', nextval('\"表\"')",
    ]
    key = f"encoding {text}"
    for head in (1, 2):
        error = cellar.run(cells, head, notebook=key).done.error
        assert error is not None
        assert (error.cell, error.sqlstate) == ("c1", "PC008")
        assert "UTF-8" in error.message
    test_equals_oracle.check(cellar, oracle, key, [cells[0], cells[2]], 1)


@pytest.mark.parametrize("text", OTHERWISE)
def test_what_literals_make_otherwise_is_refused(
    cellar: cellars.Cellar, oracle: following.Oracle, text: str
) -> None:
    """A cell is cut into statements as they are read now, so what is no read is not taken for one;
    with the setting on all is as ever.
    """
    key = f"otherwise {text}"
    cells = [
        "create table t as select 1 as a",
        "set standard_conforming_strings = off; set escape_string_warning = off",
        text,
        "select * from t",
    ]
    for head in (3, 2):
        error = cellar.run(cells, head, notebook=key).done.error
        assert error is not None
        assert error.cell == "c2"
        assert "standard_conforming_strings" in error.message
    without = [*cells[:2], cells[3]]
    test_equals_oracle.check(cellar, oracle, key, without, 2)
    now = [cells[0], *cells[2:]]
    for head in (2, 1):
        test_equals_oracle.check(cellar, oracle, key, now, head)


def test_a_session_that_errors_end(cellar: cellars.Cellar) -> None:
    """In psql nothing comes after it; here the cell fails, says why, and leaves no trace."""
    cells = [TABLE, "set exit_on_error = on", "insert into t values (1); select 1/0", "table t"]
    ran = cellar.run(cells, 2, notebook="exit")
    error = ran.done.error
    assert error is not None
    assert error.sqlstate == "PC006"
    assert error.message == "The session ended while the cell ran: division by zero"
    without = [*cells[:2], cells[3]]
    assert cellar.run(without, 2, notebook="exit").results[0].rows == ()
    cells[2] = "insert into t values (1)"
    assert cellar.run(cells, 3, notebook="exit").results[0].rows == (("1",),)


#: A cell that leaves the session something to lose, and what shows that it is there again.
HELD = {
    "a temporary table": ("create temp table h (a int)", "insert into h values (2)", "table h"),
    "a transaction": ("begin; create table h (a int)", "insert into h values (2)", "table h"),
    "a cursor": (
        "declare h cursor with hold for values (1), (2), (3)",
        "fetch 1 from h",
        "fetch all from h",
    ),
    "settings": ("set work_mem = '7MB'; prepare h as select 1", "execute h", "show work_mem"),
}


@pytest.mark.parametrize("held", HELD)
def test_a_session_that_has_ended_between_two_cells(
    cellar: cellars.Cellar, oracle: following.Oracle, held: str
) -> None:
    """What it held is made again before the next cell runs, in however many instances it was."""
    cells = [TABLE, *HELD[held], "select 'end'"]
    for head in range(len(cells)):
        test_equals_oracle.check(cellar, oracle, f"ended {held}", cells, head)
    for head in (3, 2, 3, 4):
        end_sessions(cellar, f"ended {held}")
        test_equals_oracle.check(cellar, oracle, f"ended {held}", cells, head)


def end_sessions(cellar: cellars.Cellar, key: str) -> None:
    """The server ends the sessions of a notebook."""
    pids = pids_of(cellar, key)
    with cellar.call(cellar.address("postgres")).connect() as admin:
        admin.execute("select pg_terminate_backend(pid) from unnest(%s::int[]) pid", [pids])
    see_ended(pids)


def pids_of(cellar: cellars.Cellar, key: str) -> list[int]:
    """The server processes of a notebook's sessions."""
    cellar.quiet(key)
    found = cellar.space().notebook(key).instances
    return [one.session.pid for one in found if one.session is not None]


def see_ended(pids: list[int]) -> None:
    """Wait until processes have ended."""
    while any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.01)


def test_a_session_that_its_own_settings_end(cellar: cellars.Cellar) -> None:
    """While it is idle nothing is lost; while a cell runs, it is said why, and of which cell."""
    cells = [
        "set idle_session_timeout = '2s'",
        "create temp table h (a int)",
        "insert into h values (1)",
        "table h",
    ]
    key = "ended by settings"
    for head in range(3):
        assert cellar.run(cells, head, notebook=key).done.error is None
    see_ended(pids_of(cellar, key))
    ran = cellar.run(cells, 3, notebook=key)
    assert ran.done.error is None
    assert ran.results[0].rows == (("1",),)
    cells = ["set transaction_timeout = '100ms'", "begin; select pg_sleep(60)", "rollback"]
    for head, cell in ((1, "c1"), (2, "c1"), (1, "c1")):
        error = cellar.run(cells, head, notebook=key).done.error
        assert error is not None
        assert (error.sqlstate, error.cell) == ("PC006", cell)
        assert error.message.endswith("terminating connection due to transaction timeout")
        assert error.hint is not None
        assert "RESET transaction_timeout" in error.hint


#: With these a transaction waits until it sees no unsafe snapshot, if others are open.
SAFE = {
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
}
WAYS = ("set", "alter database pgcellar set", "alter role pgcellar in database pgcellar set")


@pytest.mark.parametrize("way", WAYS)
def test_defaults_that_would_wait_for_another_notebook(
    cellar: cellars.Cellar, oracle: following.Oracle, way: str
) -> None:
    """What is asked beside the user's statements does not wait, and leaves no transaction open."""
    other = [TABLE, "begin isolation level serializable; insert into t values (1)"]
    begins = ";\n" if way == "set" else ";\n\\c\n"
    begin = "; ".join(f"{way} {name} = {value}" for name, value in SAFE.items()) + begins
    cells = [
        "create table t as select 1 as a; create sequence s",
        "create function f() returns bigint language sql as 'select count(*) from t'",
        f"{begin}set app.x = 'y'; listen news",
        "select * from t",
        "select f()",
        "\\d t",
        "listen more",
        "show default_transaction_isolation",
        "show transaction_deferrable",
    ]
    key = f"safe by {way}"
    for head in range(2):
        assert cellar.run(other, head, notebook="other").done.error is None
    for _ in range(2):
        for head in range(len(cells)):
            if cells[head].startswith("\\d"):
                assert cellar.run(cells, head, notebook=key).done.error is None
            else:
                test_equals_oracle.check(cellar, oracle, key, cells, head)
        forget(cellar, key)
    cellar.call(cellar.runner.forget(cellars.OWNER, "other"))


def test_a_role_when_a_cell_is_interrupted(cellar: cellars.Cellar) -> None:
    """In a transaction and outside of one: what comes in place of the cell has the role."""
    cells = ["create role r; grant r to pgcellar", "set role r"]
    where = {"notebook": "interrupted"}
    for more, role in (([], "r"), (["begin; set local role none"], "pgcellar")):
        above = [*cells, *more]
        started = cellar.start([*above, "select pg_sleep(60)"], **where)
        while not any(run.statement_seconds > 0.3 for run in cellar.runner._runs.values()):
            time.sleep(0.01)
        (run,) = cellar.runner._runs.values()
        cellar.call(run.cancel())
        error = started.result(30).done.error
        assert error is not None
        assert error.sqlstate == "57014"
        assert cellar.run([*above, "select current_user"], **where).results[0].rows == ((role,),)


def test_a_role_of_a_pending_cell(cellar: cellars.Cellar) -> None:
    """It goes on while nobody runs, so not under the names of another notebook's roles."""
    cells = [
        f"create role r; grant r to pgcellar; {TABLE}; grant select on t to r",
        "begin; lock table t",
        "%%session b\nbegin; select * from t; rollback; set role r; select current_user",
        "commit",
        "%%session b\nselect current_user",
    ]
    for head in range(3):
        assert cellar.run(cells, head, notebook="pending").done.error is None
    others = ["create role q; set role none", "select current_user"]
    assert cellar.run(others, notebook="others").done.error is None
    for head in (3, 4):
        ran = cellar.run(cells, head, notebook="pending")
        assert ran.done.error is None
        assert ran.results[-1].rows == (("r",),)


def test_copy_in_binary(
    cellar: cellars.Cellar, oracle: following.Oracle, tmp_path: pathlib.Path
) -> None:
    """Files are what psql makes of them; what is shown is text, as bytea is."""
    cells = [
        "create table t as select g as a, E'x\\n' || g as b from generate_series(1, 300) g",
        "\\copy t to t.bin (format binary)",
        "create table u (like t);\n\\copy u from t.bin with (format binary)",
        "\\copy u from t.bin binary",
        "select count(*), sum(a), md5(string_agg(b, ',' order by a, b)) from u",
        "copy u from stdin (format binary);\nno signature\n\\.",
        "select count(*) from u",
    ]
    for head in (*range(len(cells)), 4, 6):
        test_equals_oracle.check(cellar, oracle, "binary copy", cells, head, str(tmp_path))
    shown = "copy (select 1, null::int, 'é') to stdout (format binary)"
    for _ in range(2):
        (result,) = cellar.run([shown], 0, notebook="shown in binary").results
        text = "".join(note.text for note in result.notices if isinstance(note, records.Text))
        assert text.startswith("\\x5047434f50590aff0d0a00")
        assert "00000001ffffffff00000002c3a9\n" in text


def test_a_row_of_copy_is_bounded(cellar: cellars.Cellar) -> None:
    """One row may have as many bytes as a text can."""
    for form, each in (("text", 1), ("binary", 2)):
        cell = f"copy (select repeat('x', 100000000)) to stdout (format {form})"
        ran = cellar.run([cell], 0, notebook="a long row")
        assert ran.done.error is None
        (result,) = ran.results
        shown = sum(len(note.text) for note in result.notices if isinstance(note, records.Text))
        assert 0 < shown <= records.DEFAULT_MAX_BYTES * each + 100


def test_what_a_binary_cursor_gives_is_text(cellar: cellars.Cellar) -> None:
    """As bytea is shown, without NUL characters, which no variable holds."""
    cells = [
        "create table t as select 1 as a, 'x' as b, null::int as c",
        "begin; declare c binary cursor for select * from t",
        "fetch 1 from c",
        "move backward all in c",
        "fetch 1 from c \\gset",
        "select :'a' as a, :'b' as b; commit",
    ]
    shown = {2: (("\\x00000001", "\\x78", None),), 5: (("\\x00000001", "\\x78"),)}
    for head in range(len(cells)):
        ran = cellar.run(cells, head, notebook="binary")
        assert ran.done.error is None
        if head in shown:
            assert ran.results[0].rows == shown[head]
