"""What belongs to the database itself (settings, grants, comment, limits) belongs to the state.

Equality with psql is shown by `test_by_hand` and `test_scripts`, too; here is what else may happen
to it, and what an attacker would try.
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator

import pytest
from tests import cellar as cellars
from tests import following
from tests.integration import test_equals_oracle
from tests.integration.test_by_hand import GRANTS, SETTINGS

from pgcellar.api import records

ROWS = "create table t as select i from generate_series(1, 50000) i"
CELLS = [
    "alter database pgcellar set work_mem = '6MB'",
    "comment on database pgcellar is 'it''s \\ {100}%'",
    'create role "a=b/{,}"; create role "group"; create role bob',
    'grant create on database pgcellar to "a=b/{,}" with grant option',
    'grant temp on database pgcellar to "group"',
    'set role "a=b/{,}"; grant create on database pgcellar to bob; reset role',
    ROWS,
    'alter role bob in database pgcellar set search_path = "$user", "A b", \'\'',
    GRANTS,
    SETTINGS,
]


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


def test_it_outlives_sandbox_and_service(
    cellar_home: pathlib.Path, oracle: following.Oracle
) -> None:
    """In any order, with edits, after a kill of the sandbox, after a restart of the service."""
    heads = range(len(CELLS))
    edited = [CELLS[0].replace("6MB", "7MB"), *CELLS[1:]]
    with cellars.Cellar(cellar_home) as cellar:
        for head in heads:
            test_equals_oracle.check(cellar, oracle, "n", CELLS, head)
        cellar.quiet()
        for head in reversed(heads):
            test_equals_oracle.check(cellar, oracle, "n", edited, head)
        cellar.kill_sandbox()
        for head in (9, 5, 9):
            test_equals_oracle.check(cellar, oracle, "n", CELLS, head)
        # Looking at the content ends idle work, in which a state is kept.
        cellar.run(CELLS)
        cellar.quiet()
    with cellars.Cellar(cellar_home) as cellar:
        ran = cellar.run(CELLS, rerun=True)
        assert "replayed" not in ran.sources
        for head in (9, 5, 8):
            test_equals_oracle.check(cellar, oracle, "n", CELLS, head)


def test_it_stays_in_its_state(cellar: cellars.Cellar) -> None:
    """Not in that above it, nor in another notebook's; but in any that has the same cells."""
    cells = ["create table t()", "alter database pgcellar set work_mem = '6MB'", SETTINGS]
    there = (("-", "{work_mem=6MB}"),)
    shown = cellar.run([*cells[:2], "\\drds"], notebook="a").results[0].rows
    assert shown == (("", "pgcellar", "work_mem=6MB"),)
    assert cellar.run(cells, notebook="a").results[0].rows == there
    cellar.quiet("a")
    assert cellar.run([cells[0], SETTINGS], notebook="a").results[0].rows == ()
    assert cellar.run([SETTINGS], notebook="b").results[0].rows == ()
    assert cellar.run(cells, notebook="c").results[0].rows == there
    assert cellar.run(cells, notebook="a").results[0].rows == there


def test_the_name_shown_is_the_name_typed(cellar: cellars.Cellar) -> None:
    """In errors and their positions; a name that was shown once is good for ever."""
    (shown,) = cellar.run(["select current_database()"]).results[0].rows[0]
    ran = cellar.run([f"alter database {shown} reset all", "select 1"], notebook="other")
    assert ran.done.error is None
    text = "alter database pgcellar set work_mem = 'big'; select 1"
    error = cellar.run([f"select 1; {text}"]).done.error
    assert error is not None
    assert error.sqlstate == "22023"
    error = cellar.run(
        ["do $$ begin perform 1; end $$; grant temp on database pgcellar to x y"]
    ).done.error
    assert error is not None
    assert error.position == len(
        "do $$ begin perform 1; end $$; grant temp on database pgcellar to x y"
    )
    error = cellar.run(
        ["create role alice; set role alice; comment on database pgcellar is 'x'"]
    ).done.error
    assert error is not None
    assert error.message == "must be owner of database pgcellar"
    error = cellar.run(["alter database mine set work_mem = '1MB'"]).done.error
    assert error is not None
    assert "pgcellar" in (error.hint or "")


def test_notices_call_it_by_its_name(cellar: cellars.Cellar) -> None:
    noticed = "do $$ begin raise notice '%', current_database() using hint = 'h'; end $$"
    ran = cellar.run(["create table t (a int)", f"vacuum (verbose) t;\n{noticed}"], notebook="told")
    vacuumed, told = (result.notices for result in ran.results)
    assert all(isinstance(one, records.Notice) for one in (*vacuumed, *told))
    assert vacuumed[0].message == 'vacuuming "pgcellar.public.t"'
    assert told[0].message == "pgcellar"


@pytest.mark.parametrize(
    "cell",
    [
        "alter database pgcellar connection limit 0",
        "alter database pgcellar set local_preload_libraries = 'nosuch'",
        "revoke connect on database pgcellar from public, pgcellar",
    ],
)
def test_a_database_that_takes_no_sessions(cellar: cellars.Cellar, cell: str) -> None:
    """Goes on in the one it has, as in psql; `\\c` fails, and leaves no trace."""
    cells = ["create role alice", cell, "create table t as select 1 as a", "\\c", "table t"]
    assert cellar.run(cells[:3], notebook=cell).done.error is None
    cellar.quiet(cell)
    error = cellar.run(cells[:4], notebook=cell).done.error
    assert error is not None
    if "revoke" in cell:
        # The owner may give it back at any time, but has to.
        assert "permission denied" in error.message
    assert error.sqlstate == "08004"
    assert "i_" not in error.message
    del cells[3]
    assert cellar.run(cells, notebook=cell).results[0].rows == (("1",),)


def test_templates_are_dropped_like_others(cellar: cellars.Cellar) -> None:
    """A database that can't be dropped would fill the disk."""
    ran = cellar.run(["alter database pgcellar is_template true", ROWS], notebook="template")
    assert ran.done.error is None
    cellar.quiet("template")
    (name,) = cellar.run(["select current_database()"], notebook="template").results[0].rows[0]
    cellar.call(cellar.runner.forget(cellars.OWNER, "template"))
    # Discarding goes on in the background.
    cellar.call(_settled(cellar))
    query = f"select count(*) from pg_database where datname = '{name}'"
    assert cellar.run([query], notebook="template").results[0].rows == (("0",),)


def test_a_database_that_another_notebook_holds_is_dropped(cellar: cellars.Cellar) -> None:
    """Its lock is kept by an open transaction, which is ended: it can be replayed."""
    cellar.run(["create table v (i int)"], notebook="held")
    cellar.quiet("held")
    hold = (
        "do $$ declare d text; begin for d in select datname from pg_database where datname ~ '^i_'"
        " loop execute format('comment on database %I is null', d); end loop; end $$"
    )
    for head in range(2):
        assert cellar.run(["begin", hold], head, notebook="holds").done.error is None
    (name,) = cellar.run(["select current_database()"], notebook="held").results[0].rows[0]
    begin = time.monotonic()
    cellar.call(cellar.runner.forget(cellars.OWNER, "held"))
    cellar.call(_settled(cellar))
    assert time.monotonic() - begin < 8
    query = f"select count(*) from pg_database where datname = '{name}'"
    assert cellar.run([query], notebook="look").results[0].rows == (("0",),)


async def _settled(cellar: cellars.Cellar) -> None:
    space = await cellar.runner.space(cellars.OWNER)
    for task in list(space._tasks):
        await task


def test_what_is_done_to_other_instances_is_undone(cellar: cellars.Cellar) -> None:
    """When they are made again: a student may reach the student's own, and nobody else's."""
    cells = ["create table t as select 1 as a", ROWS.replace(" t ", " u "), SETTINGS]
    cellar.run(cells, notebook="victim")
    cellar.quiet("victim")
    attack = (
        "do $$ declare d name; begin for d in select datname from pg_database"
        " where datdba = 'pgcellar'::regrole loop"
        " begin execute format('alter database %I set work_mem = ''1MB''', d);"
        " execute format('alter database %I connection limit 0', d);"
        " if d <> current_database() then"
        "  execute format('alter database %I allow_connections false', d); end if;"
        " exception when others then null; end;"
        " end loop; end $$"
    )
    assert cellar.run([attack], notebook="attacker").done.error is None
    # What is alive there may have been reached; but it is not kept so.
    assert (
        cellar.run([*cells[:2], "insert into t values (2)"], notebook="victim").done.error is None
    )
    cellar.quiet("victim")
    ran = cellar.run([*cells[:2], "insert into t values (2)", SETTINGS], notebook="other victim")
    assert ran.results[0].rows == ()
    again = [*cells[:1], "create table v()", *cells[1:]]
    assert cellar.run(again, notebook="victim").results[0].rows == ()
    assert cellar.run(cells, notebook="another").results[0].rows == ()


def test_roles_of_other_states_are_kept_out(cellar: cellars.Cellar) -> None:
    """As a loop over all databases would have them in."""
    cells = ["create table t as select 1 as a", "create table u()"]
    cellar.run(cells[:1], notebook="v")
    attack = (
        "create role alice; do $$ declare d name; begin for d in select datname from pg_database"
        " where datdba = 'pgcellar'::regrole loop"
        " begin execute format('grant create on database %I to alice', d);"
        " exception when others then null; end; end loop; end $$"
    )
    assert cellar.run([attack], notebook="w").done.error is None
    cellar.quiet("w")
    assert cellar.run(cells, notebook="v").done.error is None
    cellar.quiet("v")
    grants = "select datacl from pg_database where datname = current_database()"
    assert cellar.run([*cells, grants], notebook="x").results[0].rows == ((None,),)
    drop = "drop owned by alice; drop role alice"
    assert cellar.run([attack, drop], notebook="w").done.error is None


def test_ownership_given_away_by_a_function_is_kept(cellar: cellars.Cellar) -> None:
    """PostgreSQL allows it; other notebooks are as they were when they are next connected to."""
    cells = [
        "create role alice",
        "do $$ begin execute 'reassign owned by pgcellar to alice'; end $$",
        "set role alice; create table t(); comment on database pgcellar is 'hers'; reset role",
        "select datdba::regrole::text from pg_database where datname = current_database()",
    ]
    for _ in range(2):
        ran = cellar.run(cells, notebook="y")
        assert ran.done.error is None
        assert ran.results[0].rows == (("alice",),)
        cellar.quiet("y")
        cellar.call(cellar.runner.forget(cellars.OWNER, "y"))
    assert cellar.run(["select 1", cells[3]], notebook="z").results[0].rows == (("pgcellar",),)


def test_ownership_taken_away_by_another_notebook(cellar: cellars.Cellar) -> None:
    """As REASSIGN OWNED does for all databases, in words that are hidden: nobody sees it there."""
    owner = (
        "select datdba::regrole::text, datacl::text from pg_database"
        " where datname = current_database()"
    )
    role = "create role own2; grant own2 to pgcellar"
    reassign = "do $$ begin execute 'reassign ow' || 'ned by pgcellar to own2'; end $$"
    trigger = (
        "create function tf() returns trigger language plpgsql as $f$ begin"
        " execute 'reassign ow' || 'ned by pgcellar to own2'; return new; end $f$;"
        " create trigger tr before insert on x for each row execute function tf()"
    )
    cells = ["create table t as select 1 as a", "grant connect on database pgcellar to public"]
    cells += ["begin", owner]
    for head in range(4):
        ran = cellar.run(cells, head, notebook="taken")
    for attack in (
        [role, reassign],
        [role, "begin", reassign, "commit"],
        [role, "create table x (a int)", trigger, "insert into x values (1)"],
    ):
        for head in range(len(attack)):
            assert cellar.run(attack, head, notebook="taker").done.error is None
        again = cellar.run(cells, notebook="taken", rerun=True)
        assert again.done.error is None
        assert again.results[0].rows == ran.results[0].rows, attack


def test_dropping_a_database_is_refused_however_long(cellar: cellars.Cellar) -> None:
    """It is the student's own, so PostgreSQL would not refuse it."""
    (name,) = cellar.run(["select current_database()"], notebook="a").results[0].rows[0]
    options = ", ".join(["force"] * 50_000)
    for text in (f"drop database {name}", f"DROP /* {'x' * 300_000} */\nDatabase {name}"):
        error = cellar.run([f"{text} with ({options})"], notebook="b").done.error
        assert error is not None
        assert error.sqlstate == "PC008"


def test_connecting(cellar: cellars.Cellar) -> None:
    """There is one database and one user; `\\conninfo` tells."""
    for text in ("\\c postgres", "\\c - alice", "\\c pgcellar pgcellar otherhost"):
        error = cellar.run([text]).done.error
        assert error is not None
        assert error.sqlstate == "PC008"
    said = [e.text for e in cellar.run(["\\conninfo"]).events if isinstance(e, records.Text)]
    assert said == ['You are connected to database "pgcellar" as user "pgcellar".\n']


def test_a_new_session_holds_nothing_of_the_old(cellar: cellars.Cellar) -> None:
    """Locks, settings of one's own naming, temporary tables; nor is its state pinned."""
    cells = [
        "create temp table x(a int); set app.x = 'y'; select pg_advisory_lock(7)",
        "\\c",
        "select count(*) from pg_locks where locktype = 'advisory'",
        "select current_setting('app.x', true)",
        "table x",
    ]
    assert cellar.run(cells, 2, notebook="c").results[0].rows == (("0",),)
    assert cellar.run(cells, 3, notebook="c").results[0].rows in (((None,),), (("",),))
    error = cellar.run(cells, notebook="c").done.error
    assert error is not None
    assert error.sqlstate == "42P01"
    ran = cellar.run([*cells[:2], "create table t()"], notebook="c")
    assert ran.head.pinned is None
