"""What a clone of a database does not carry: a test for every line of the list in docs/states."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Iterator

import pytest
from tests import cellar as cellars
from tests import following
from tests.integration import test_equals_oracle

pytestmark = pytest.mark.timeout(300)

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "states.md"
TABLE = "create table t (a int); insert into t values (1), (2)"
MONTH = (
    "create function m() returns text language plpgsql as $$ begin return"
    " extract(month from '01/02/2024'::date); end $$"
)
REMEMBERS = "what the session remembers of functions"
OWN = "from pg_database where datname = current_database()"


@dataclasses.dataclass(frozen=True)
class Case:
    """Cells, the last of which looks; it gives the same from a clone, and what psql gives.

    `pinned`: why the state above it is not kept, but replayed. `fails`: the last cell is refused,
    by both. `gives`: what it gives where psql gives something else, or can't be asked.
    """

    cells: tuple[str, ...]
    pinned: str | None = None
    fails: str | None = None
    gives: str | None = None


CASES: dict[str, list[Case]] = {
    "settings of the database": [
        Case(("alter database pgcellar set work_mem = '7MB'", "\\c\nselect 1", "show work_mem")),
        Case(("alter role pgcellar in database pgcellar set work_mem = '6MB'", TABLE,
              "show work_mem;\n\\c\nshow work_mem;")),
    ],
    "grants on the database": [
        Case(("create role alice; grant create on database pgcellar to alice",
              "comment on database pgcellar is 'hers'; alter database pgcellar connection limit 9",
              f"select datacl::text, datconnlimit, shobj_description(oid, 'pg_database') {OWN}")),
        Case(("alter database pgcellar is_template true", TABLE, f"select datistemplate {OWN}"),
             gives="t"),
    ],
    "security labels": [Case((TABLE, "security label on table t is 'secret'"), fails="22023")],
    "ownership of the database": [
        Case((TABLE, f"select datdba::regrole::text {OWN}")),
        Case(("create role alice", "alter database pgcellar owner to alice"), fails="PC008"),
        Case(("create role alice", "reassign owned by pgcellar to alice"), fails="PC008"),
        Case(("create role alice; grant alice to pgcellar",
              "do $$ begin execute 'reassign owned by pgcellar to alice'; end $$",
              f"select datdba::regrole::text {OWN}")),
    ],
    "`ALTER ROLE … SET` on the user's own role": [
        Case((TABLE, "alter role current_user set work_mem = '9MB'"), fails="PC008"),
        Case(("do $$ begin alter role pgcellar set work_mem = '9MB'; end $$",
              "\\c\nshow work_mem"), gives="4MB"),
    ],
    "roles, their attributes": [
        Case(("create role staff; create role alice login connection limit 3 in role staff",
              "comment on role alice is 'a'; alter role alice set work_mem = '8MB'",
              "select rolname, rolcanlogin, rolconnlimit, rolconfig, shobj_description(oid,"
              " 'pg_authid'), pg_has_role(oid, 'staff', 'member') from pg_roles"
              " where rolname in ('alice', 'staff') order by 1")),
    ],
    "tablespaces, ALTER SYSTEM, databases": [
        Case((TABLE, "create tablespace s location '/tmp'"), fails="PC008"),
        Case((TABLE, "alter system set work_mem = '9MB'"), fails="PC008"),
        Case((TABLE, "create database other"), fails="PC008"),
        Case((TABLE, "grant set on parameter work_mem to public"), fails="PC008"),
    ],
    "subscriptions": [
        Case((TABLE, "create subscription s connection 'dbname=x' publication p"), fails="PC008"),
    ],
    "replication slots and origins": [
        Case((TABLE, "select pg_create_logical_replication_slot('s', 'pgoutput')"), fails="42501"),
        Case((TABLE, "select pg_replication_origin_create('o')"), fails="42501"),
        Case((TABLE, "begin; insert into t values (3); prepare transaction 'p'"), fails="55000"),
    ],
    "cumulative statistics": [
        Case((TABLE, "select pg_stat_get_tuples_inserted('t'::regclass)"), gives="0"),
    ],
    "session settings": [
        Case(("set work_mem = '6MB'; set time zone 'Asia/Tokyo'; create schema s",
              "set search_path = s, public",
              "show work_mem; show timezone; show search_path; select current_schema()")),
    ],
    "settings of one's own naming": [
        Case(("set app.name = 'x'; create table t (a int)", "select current_setting('app.name')")),
    ],
    "`setseed`": [
        Case(("create table t (a int); select setseed(0.5)", "select random()"),
             pinned="session settings that can't be restored"),
        Case(("select set_config('app.' || 'name', 'x', false)",
              "select current_setting('app.name')"),
             pinned="session settings that can't be restored"),
    ],
    "SET ROLE": [
        Case(("create role alice; grant alice to pgcellar; set role alice", "select current_user")),
    ],
    "temporary objects": [
        Case(("create temp table p (a int); insert into p values (7)", "select * from p"),
             pinned="temporary objects"),
        Case(("create collation pg_temp.c from \"C\"; create table t (a text)",
              "select a from t order by a collate pg_temp.c"), pinned="temporary objects"),
        Case(("create text search configuration pg_temp.c (copy = english)",
              "select to_tsvector('pg_temp.c', 'cats')"), pinned="temporary objects"),
    ],
    "prepared statements": [
        Case((f"{TABLE}; prepare p (int) as select a + $1 from t order by 1", "execute p (10)")),
        Case(("create table t (a int); create function s() returns trigger language plpgsql as $$"
              " begin set datestyle = 'ISO, DMY'; return new; end $$;"
              " create trigger s before insert on t for each row execute function s()",
              "prepare p as select extract(month from '01/02/2024'::date)",
              "insert into t values (1)", "execute p"), pinned="prepared statements"),
        Case(("begin; set local datestyle = 'ISO, DMY'; prepare p as"
              " select extract(month from '01/02/2024'::date)", "rollback", "execute p"),
             pinned="prepared statements"),
    ],
    "open cursors": [
        Case((TABLE, "declare c cursor with hold for select a from t order by a; fetch 1 from c",
              "fetch 1 from c"), pinned="open cursors"),
    ],
    "advisory locks": [
        Case(("create table t (a int); select pg_advisory_lock(5)",
              "select objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"),
             pinned="advisory locks"),
    ],
    "LISTEN": [Case(("create table t (a int); listen ch", "select pg_listening_channels()"))],
    "messages of NOTIFY": [
        Case(("create table t (a int); listen ch; notify ch, 'x'", "select 1 as one")),
    ],
    "an open transaction": [
        Case((TABLE, "begin; insert into t values (3)", "select count(*) from t"),
             pinned="an open transaction"),
        Case(("select lo_from_bytea(7001, '\\x010203')", "begin; select lo_open(7001, 262144)",
              "select loread(0, 2)"), pinned="an open transaction"),
    ],
    "a second session": [
        Case((TABLE, "%%session b\nset work_mem = '5MB'", "%%session b\nshow work_mem"),
             pinned="more than one session", gives="5MB"),
    ],
    "what sequences with CACHE": [
        Case(("create sequence s cache 10; select nextval('s')", "select nextval('s')"),
             pinned="sequences with CACHE"),
    ],
    "`currval`, `lastval`": [
        Case(("create sequence s; select nextval('s')", "select currval('s'), lastval()")),
        Case(("create sequence s; select nextval('s');"
              " create view v as select currval('s') as last", "select * from v"),
             pinned="functions that look at the session's sequences"),
        # A cell that psql's scanner reads, and what pins besides.
        Case(("create sequence s; select nextval('s')", "\\set x 1\nselect currval('s'), :x;")),
        Case(("create sequence s; select nextval('s')",
              "select 1 as x \\gset\nselect currval('s'), :x;")),
        Case(("create sequence s; select nextval('s')",
              "\\set x 'currval(''s'')'\nselect nextval('s');", "select :x;")),
        Case(("create sequence s; select nextval('s')",
              "create function f() returns bigint language sql as $$ select currval('s') $$",
              "select setseed(0.5)", "select f()"),
             pinned="session settings that can't be restored"),
    ],
    "what a literal in a function": [
        Case((MONTH, "select m()", "set datestyle = 'ISO, DMY'", "select m()"), pinned=REMEMBERS),
        Case((f"{MONTH}; create view v as select m()", "set timezone = 'Asia/Tokyo'; table v",
              "set datestyle = 'ISO, DMY'", "table v"), pinned=REMEMBERS),
        Case((MONTH, "create function other() returns text language plpgsql"
              " set datestyle = 'ISO, DMY' as $$ begin return m(); end $$", "select m()",
              "select other(), m()"), pinned=REMEMBERS),
        Case(("create table t (a int, n timestamp); create function n() returns timestamp"
              " language plpgsql as $$ begin return 'now'::timestamp; end $$",
              "insert into t select 1, n()", "insert into t select 2, n()",
              "select count(distinct n) from t"), pinned=REMEMBERS, gives="1"),
        Case((f"{TABLE}; create function h() returns text language plpgsql as $$"
              " declare x t.a%type; begin x := 1.6; return x; end $$", "select h()",
              "alter table t alter a type numeric", "select h(), (table t limit 1)"),
             pinned=REMEMBERS),
        Case(("create schema s; create table s.t (a int); set search_path = s;"
              " create function s.h() returns text language plpgsql as $$ declare x t.a%type;"
              " begin x := 1.6; return x; end $$", "select h()", "set search_path = public",
              "select s.h()"),
             pinned=REMEMBERS),
        Case(("create domain d as int; create function h() returns text language plpgsql as $$"
              " declare x d; begin x := 1.6; return x; end $$", "select h()",
              "drop domain d; create domain d as numeric", "select h()"),
             pinned=REMEMBERS, fails="XX000"),
        Case(("create function k(text) returns text language plpgsql as $$ declare r record;"
              " begin execute $1 into r; return r.a + 1; end $$", "select k('select 1 as a')",
              "select k('select 2.5 as a')"), pinned=REMEMBERS, fails="42804"),
        Case(("create schema a; create domain a.d as int; create schema b;"
              " create domain b.d as numeric; set search_path = a, public;"
              " create function public.h() returns text language plpgsql as $$ declare x d;"
              " begin x := 1.6; return x; end $$", "select h()",
              "set search_path = b, public", "select h()"), pinned=REMEMBERS),
        *(Case((f"create table c (f1 int, f2 text); {function}", "select g(42)",
                "alter table c drop column f1; alter table c add f1 float8", "select g(42)"),
               pinned=REMEMBERS, fails="42804")
          for function in (
              "create function g(int) returns int language plpgsql as $$ declare r public.c;"
              " begin r.f1 := $1; return r.f1 + 1; end $$",
              "create function h(r c) returns int language plpgsql as $$ begin return r.f1 + 1;"
              " end $$; create function g(int) returns int language sql as"
              " 'select h(row($1, null)::c)'",
          )),
        # Where nothing changes a setting below it, or nothing is called before, all is as ever.
        Case(("set datestyle = 'ISO, DMY'", MONTH, "select m()")),
        Case((MONTH, "set datestyle = 'ISO, DMY'; \\c", "select m()")),
    ],
    "libraries that the session has loaded": [
        Case(("do $$ begin end $$; create table t (a int)", "show plpgsql.check_asserts")),
        Case(("create extension pg_trgm", "show pg_trgm.similarity_threshold")),
        Case(("create extension pg_trgm; set pg_trgm.similarity_threshold = 0.9",
              "set pg_trgm.similarity_threshold = 9"), fails="22023"),
        Case(("do $$ begin end $$; create table t (a int)", "set plpgsql.own = 1"), fails="42602"),
    ],
    "libraries loaded by LOAD": [Case((TABLE, "load 'pgcrypto'"), fails="42501")],
    "the database's name": [
        Case((TABLE, "comment on database pgcellar is 'mine'; select 'mine' as said",
              f"select shobj_description(oid, 'pg_database') {OWN}")),
    ],
}  # fmt: skip
#: Looked at by tests of their own, below.
APART = ("transaction ids", "caches")


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


def test_the_list_is_complete() -> None:
    """Every line has its case, and the other way round."""
    (section,) = re.findall(
        r"^## Not carried by a clone\n(.*?)^## ", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    lines = [line[2:] for line in section.splitlines() if line.startswith("| ")][2:]
    cased = (*CASES, *APART)
    uncased = [line for line in lines if not any(line.startswith(name) for name in cased)]
    unlisted = [name for name in cased if not any(line.startswith(name) for line in lines)]
    assert (uncased, unlisted) == ([], [])


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases]
)
def test_a_clone_gives_what_the_session_gave(
    cellar: cellars.Cellar, oracle: following.Oracle, name: str, case: Case
) -> None:
    """In the session that ran the cells above, and once no instance stands there any more."""
    key, last = f"{name} {case.cells[-1]}", len(case.cells) - 1
    for head in range(last):
        assert cellar.run(case.cells, head, notebook=key).done.error is None
        cellar.quiet(key)
    held = cellar.space().notebook(key).instances
    # A state that was kept for another case is a hit.
    assert any(one.pinned == case.pinned for one in held) or not (held or case.pinned), held
    look(cellar, oracle, key, case)
    cellar.call(cellar.runner.forget(cellars.OWNER, key))
    replayed = look(cellar, oracle, key, case)
    if not case.fails and not case.pinned and not name.startswith("`currval`"):
        assert replayed == 0


def look(cellar: cellars.Cellar, oracle: following.Oracle, key: str, case: Case) -> int:
    """Run the last cell, held against psql or what the case says; how many were replayed for it."""
    ran = cellar.run(case.cells, notebook=key, rerun=True)
    error = ran.done.error
    if case.fails is not None:
        assert error is not None
        assert error.sqlstate == case.fails
    elif case.gives is not None:
        assert ran.results[-1].rows == ((case.gives,),)
    if case.fails == "PC008":
        # psql would do it.
        assert error is not None
        assert error.hint
    elif case.gives is None:
        test_equals_oracle.check(cellar, oracle, key, case.cells, len(case.cells) - 1)
    return ran.done.totals.replayed


#: By why the first cells pin a state, the cells below that end it.
FREED: dict[str, list[tuple[tuple[str, ...], str]]] = {
    "temporary objects": [
        (("create temp table p (a int)",), "drop table p"),
        (("create temp table p (a int)",), "discard temp"),
        (("create function pg_temp.f() returns int return 1",), "drop function pg_temp.f()"),
    ],
    "open cursors": [(("declare c cursor with hold for select a from t",), "close c")],
    "advisory locks": [
        (("select pg_advisory_lock(5)",), "select pg_advisory_unlock(5)"),
        (("select pg_advisory_lock_shared(5)",),
         "do $$ begin perform pg_advisory_unlock_all(); end $$"),
    ],
    "an open transaction": [
        (("begin; insert into t values (3)",), "commit"),
        (("begin; savepoint s; insert into t values (3)",), "rollback"),
    ],
    "sequences with CACHE": [
        (("create sequence s cache 10; select nextval('s')",), "alter sequence s cache 1"),
        (("create sequence s cache 10",), "drop sequence s"),
    ],
    "prepared statements": [
        (("begin; set local datestyle = 'ISO, DMY'; prepare p as"
          " select extract(month from '01/02/2024'::date)", "rollback"), "deallocate p"),
    ],
    REMEMBERS: [((MONTH, "select m()", "set datestyle = 'ISO, DMY'"), "\\c\nselect 1")],
    "temporary objects, open cursors, advisory locks": [
        (("create temp table p (a int); select pg_advisory_lock(5);"
          " declare c cursor with hold for select a from t",), "discard all"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("why", "above", "end"), [(why, *case) for why, cases in FREED.items() for case in cases]
)
def test_what_pinned_a_state_frees_it(
    cellar: cellars.Cellar, oracle: following.Oracle, why: str, above: tuple[str, ...], end: str
) -> None:
    """When it ends: the next state is kept, and is what psql has."""
    cells = [TABLE, *above, end, "select count(*) from t"]
    key = f"{why} {end}"
    freed = len(cells) - 2
    for head in range(freed):
        # A hit would need no instance.
        state = cellar.run(cells, head, notebook=key, rerun=True).head.state
        cellar.quiet(key)
    held = cellar.space()
    (pinned,) = [one for one in held.notebook(key).instances if one.mark.state == state]
    assert pinned.pinned == why
    assert held.snapshots.find(state) is None
    ran = cellar.run(cells, freed, notebook=key, rerun=True)
    assert ran.head.pinned is None
    cellar.quiet(key)
    assert pinned.mark.state == ran.head.state != state
    assert pinned.pinned is None
    assert held.snapshots.find(ran.head.state) is not None
    cellar.call(cellar.runner.forget(cellars.OWNER, key))
    assert cellar.run(cells, notebook=key, rerun=True).done.totals.replayed == 0
    test_equals_oracle.check(cellar, oracle, key, cells, len(cells) - 1)


def test_numbers_of_the_server_are_others(cellar: cellars.Cellar) -> None:
    """Of processes, transactions and places in the log; what a write keeps of them is volatile."""
    cells = [TABLE, "create table x as select pg_current_xact_id()::text as x"]
    ask = "select pg_backend_pid(), pg_current_wal_lsn()"
    first = cellar.run([*cells, ask], notebook="numbers")
    cellar.quiet("numbers")
    assert first.done.cells[1].volatile
    cellar.call(cellar.runner.forget(cellars.OWNER, "numbers"))
    again = cellar.run([*cells, ask], notebook="numbers", rerun=True)
    assert again.done.totals.replayed == 0
    assert again.results[0].rows != first.results[0].rows


def test_a_person_goes_on_in_the_original(cellar: cellars.Cellar) -> None:
    """With its warm caches; the clone is the snapshot."""
    ask = "select current_database()"
    first = cellar.run([TABLE, ask], notebook="original")
    cellar.quiet("original")
    state = cellar.run([TABLE], notebook="original").head.state
    assert cellar.space().snapshots.find(state) is not None
    again = cellar.run([TABLE, ask, "select 1"], 1, notebook="original", rerun=True)
    assert again.results[0].rows == first.results[0].rows
