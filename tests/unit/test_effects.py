"""pgcellar.notebook.effects: no write is ever taken for a read, and what is global is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import generators

from pgcellar.notebook import cells, effects, statements


def predict(text: str) -> effects.Effect:
    """The effect of a text that is one statement."""
    (statement,) = statements.split(text)
    return effects.predict(statement)


DML = (
    "insert into t values (1)",
    "insert into t values (1) returning a",
    "insert into t default values on conflict do nothing",
    "update t set a = 1",
    "delete from t using u where t.a = u.a",
    "merge into t using u on t.a = u.a when matched then delete",
)
#: Each changes the database whenever it runs.
WRITES = (
    *DML,
    "copy t from '/tmp/f'",
    "copy (delete from t returning a) to '/tmp/f'",
    "truncate t restart identity",
    "do $$ begin end $$",
    "call p()",
    "call p(nextval('s'))",
    "create table t (a int)",
    "create table t as select 1",
    "create materialized view m as select 1",
    "create view v as select 1",
    "create index on t (a)",
    "create function f() returns int language sql as 'select 1'",
    "create function f() returns int begin atomic select 1; end",
    "create trigger t before insert on t for each row execute function f()",
    "create rule r as on insert to t do also delete from u",
    "create policy p on t using (true)",
    "create type e as enum ('a')",
    "create domain d as int check (value > 0)",
    "create sequence s",
    "create schema s create table t (a int)",
    "create extension hstore",
    "create cast (a as b) with function f(a)",
    "create operator + (function = f, leftarg = a)",
    "create aggregate a (int) (sfunc = f, stype = int)",
    "create statistics s on a, b from t",
    "create publication p",
    "create collation c (locale = 'C')",
    "create text search configuration c (copy = simple)",
    "create event trigger e on ddl_command_start execute function f()",
    "create foreign table f (a int) server s",
    "import foreign schema a from server s into b",
    "alter table t add b int",
    "alter table t rename to u",
    "alter type e add value 'b'",
    "alter sequence s restart",
    "alter function f() volatile",
    "alter default privileges grant select on tables to public",
    "drop table t",
    "drop function f()",
    "grant select on t to public",
    "revoke all on schema public from public",
    "comment on table t is 'x'",
    "refresh materialized view m",
    "reindex table t",
    "cluster t",
    "vacuum",
    "analyze t",
    "lock table t",
    "execute p",
    "create table t as execute p",
    "alter large object 1 owner to a",
    "security label on table t is 'x'",
)
#: Queries that write by themselves.
WRITING_QUERIES = (
    *(f"with w as ({dml} returning 1) select 1" for dml in (DML[0], *DML[3:])),
    f"with w as ({DML[3]} returning 1) table w",
    f"with w as ({DML[3]} returning 1) values (1)",
    f"with a as (select 1), b as materialized ({DML[3]} returning 1) select * from a, b",
    f"with w as (with v as ({DML[4]} returning 1) select * from v) select * from w",
    f"with recursive w as ({DML[4]} returning 1) select 1 union select 2",
    f"(with w as ({DML[4]} returning 1) select * from w) order by 1",
    "select 1 into x",
    "select * into unlogged x from t",
    "select a into x from t union select 2",
    "select * from t for update",
    "select * from t for no key update skip locked",
    "select * from t, u for share of u",
    "select * from t for key share",
    "select * from (select * from t for update) x",
    "select (select a from t for update limit 1)",
    "select 1 where exists (select from t for share)",
    "with w as (select * from t for update) select * from w",
    "select 1 union all (select a from t for update)",
    "select nextval('s')",
    "select NextVal('s')",
    "select \"nextval\"('s')",
    "select pg_catalog.nextval('s'::regclass)",
    "select pg_catalog . /* x */ nextval('s')",
    "select setval('s', 1)",
    "values (nextval('s'))",
    "select * from t where a = (select nextval('s'))",
    "select * from t order by nextval('s')",
    "select * from t limit (select setval('s', 9))",
    "select coalesce(a, nextval('s')) from generate_series(1, 2) a",
    "select * from rows from (nextval('s'), f()) x",
    "select 1 as nextval",
)
SESSION = (
    "set work_mem = '6MB'",
    "set local work_mem = '6MB'",
    "set a.b = 'c'",
    "reset all",
    "reset work_mem",
    "set role a",
    "set session authorization a",
    "set time zone 'UTC'",
    "set transaction isolation level serializable",
    "set session characteristics as transaction read only",
    "set constraints all deferred",
    "discard all",
    "prepare p as select 1",
    "prepare p as insert into t values ($1)",
    "deallocate p",
    "listen a",
    "unlisten *",
    "notify a, 'b'",
    "load 'x'",
    "select set_config('work_mem', '6MB', false)",
    "select * from t where set_config('a.b', 'c', true) = 'c'",
    "select setseed(0.5)",
    "select pg_notify('a', 'b')",
)
PINNING = (
    "begin",
    "start transaction read only",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint s",
    "release s",
    "rollback to s",
    "prepare transaction 'x'",
    "commit prepared 'x'",
    "rollback prepared 'x'",
    "declare c cursor for select 1",
    "declare c cursor with hold for select 1",
    "fetch all from c",
    "move 1 in c",
    "close all",
    "create temp table t (a int)",
    "create temporary table t as select 1",
    "create local temp table t (a int) on commit drop",
    "create temp view v as select 1",
    "create temp sequence s",
    "select 1 into temp x",
    "select pg_advisory_lock(1)",
    "select pg_advisory_xact_lock(1)",
    "select pg_try_advisory_lock_shared(1)",
    "select pg_advisory_unlock_all()",
    "select 1 where (select pg_try_advisory_lock(1))",
)
GLOBAL = (
    *(
        "create database d",
        "drop database d",
        "drop database d (force)",
    ),
    *("alter database d rename to e", "alter database d owner to r"),
    *("create tablespace t location '/x'", "drop tablespace t", "alter tablespace t rename to u"),
    *("alter tablespace t owner to r", "alter tablespace t set (seq_page_cost = 1)"),
    *("grant create on tablespace t to r", "comment on tablespace t is 'x'"),
    "security label on tablespace d is 'x'",
    *("alter system set work_mem = '6MB'", "alter system reset all"),
    *("grant set on parameter work_mem to r", "revoke alter system on parameter a from r"),
    *("create subscription s connection 'x' publication p", "drop subscription s"),
    *("alter subscription s disable", "alter subscription s owner to r"),
    *("alter subscription s rename to t", "comment on subscription s is 'x'"),
    *("drop owned by current_user", "drop owned by r, pgcellar"),
    "reassign owned by session_user to r",
)
#: Each names the notebook's own database.
DATABASE = (
    *("alter database pgcellar reset x", "alter database pgcellar set a = pgcellar"),
    *("alter database PgCellar connection limit 1", "alter database pgcellar set tablespace t"),
    "alter database /* database pgcellar */ i_0123abcd refresh collation version",
    *("grant connect on database d, pgcellar to public", "reindex system pgcellar"),
    *('revoke temp on database "pgcellar" from public', "comment on database pgcellar is 'x'"),
    "security label on database pgcellar is 'pgcellar'",
    "alter role database in database pgcellar set a = b",
    "reindex (verbose) database concurrently pgcellar",
)
ROLES = (
    *("create role r", "create user u password 'x'", "create group g", "alter role r login"),
    *("alter user u createdb", "alter group g add user u", "drop role r", "drop user if exists u"),
    *("alter role r set work_mem = '6MB'", "alter role all reset all", "drop group g"),
    *("alter role r in database d set a = b", "alter user u reset all", "alter role r rename to s"),
    *("grant a to b", "revoke a from b", "grant pg_read_all_data to a with admin option"),
    *("comment on role r is 'x'", "do $$ begin execute 'create role r'; end $$"),
    "insert into log select run('create ' || 'role x')",
    "create table t as select run('alter user ' || name) from people",
    "create function f() returns void language sql as 'drop role r'",
)
READS = (
    "select 1",
    'SELECT 1 AS "insert"',
    "table t",
    "values (1), (2)",
    "(select 1)",
    "select",
    "select * from t where a = 'delete from t'",
    "with w as (select 1) select * from w union select 2",
    "show work_mem",
    "show all",
    "select now(), random()",
    "select currval('s')",
    "select f()",
    "explain select 1",
    "explain (costs off) insert into t values (1)",
    "explain verbose delete from t",
    "explain create table t as select 1",
    "explain (analyze) select 1",
    "explain analyze select * from t",
)


@pytest.mark.parametrize("text", [*WRITES, *WRITING_QUERIES])
def test_writes(text: str) -> None:
    effect = predict(text)
    assert effect.name == "write"
    assert effect.refusal is None


@pytest.mark.parametrize("text", SESSION)
def test_session(text: str) -> None:
    assert predict(text).name == "session"


@pytest.mark.parametrize("text", PINNING)
def test_pinning(text: str) -> None:
    assert predict(text).name == "pinning"


@pytest.mark.parametrize("text", GLOBAL)
def test_global_statements_are_refused(text: str) -> None:
    effect = predict(text)
    assert effect.name == "global"
    assert effect.refusal
    assert effect.hint


@pytest.mark.parametrize("text", READS)
def test_reads(text: str) -> None:
    assert predict(text).name == "read"


EXPLAIN = (
    *("explain analyze ", "explain analyse ", "EXPLAIN ANALYZE VERBOSE ", "explain (analyze) "),
    *("explain (costs off, analyze on) ", "explain (ANALYZE true, BUFFERS) "),
)


@pytest.mark.parametrize("explain", EXPLAIN)
def test_explain_analyze_runs_what_it_explains(explain: str) -> None:
    explained = (
        *(text for text in DML if "merge" not in text or "when" in text),
        *(text for text in WRITING_QUERIES if " into " not in text or "insert into" in text),
        *("create table t as select 1", "create materialized view m as select 1", "execute p"),
    )
    for text in explained:
        assert predict(explain + text).name == "write", text
    assert predict(f"{explain}select set_config('work_mem', '6MB', false)").name == "session"
    assert predict(f"{explain}select pg_advisory_lock(1)").name == "pinning"


@given(
    st.sampled_from([*WRITES, *WRITING_QUERIES, *SESSION, *PINNING, *GLOBAL]),
    st.sampled_from(generators.BLANKS),
    st.booleans(),
)
def test_layout_and_case_hide_no_write(text: str, blank: str, upper: bool) -> None:
    text = generators.reformatted(text, blank)
    if upper and not {"'", '"', "$"} & set(text):
        text = text.upper()
    assert predict(f"-- x\n{text} -- y").name != "read"


@given(st.integers(1, 30), st.sampled_from(DML[3:]))
def test_dml_at_any_depth(depth: int, dml: str) -> None:
    text = f"{dml} returning 1"
    for _ in range(depth):
        text = f"with w as ({text}) select * from w"
    assert predict(text).name == "write"


@given(st.text(max_size=80) | st.lists(st.sampled_from([*WRITES, *"'\"$;\\("])).map("".join))
def test_any_statement_has_an_effect(text: str) -> None:
    effect = effects.predict(statements.Statement(kind="sql", text=text, start=0, canonical=text))
    assert effect.name in ("read", "write", "session", "pinning", "global")
    command = statements.Statement(kind="meta", text=f"\\{text}x", start=0, canonical=text)
    assert effects.predict(command).name in ("write", "none")


@pytest.mark.parametrize(
    "text",
    ["selct 1", "select 'a", "select 1 1", "(", "select 1)", "insert into", "😀", "select \ud800"],
)
def test_what_cannot_be_parsed_is_a_write(text: str) -> None:
    effect = effects.predict(statements.Statement(kind="sql", text=text, start=0, canonical=text))
    assert effect.name == "write"


def test_depth_beyond_the_parser_is_a_write() -> None:
    for text in (
        "select " + "(" * 20_000 + "1" + ")" * 20_000,
        "select 1" + " + 1" * 20_000,
        "select " + "not " * 20_000 + "true",
    ):
        assert predict(text).name in ("read", "write")


def test_long_statements_are_not_looked_into() -> None:
    long = "'" + "x" * statements.LONG_TEXT + "'"
    assert predict(f"select {long}").name == "write"
    assert predict(f"insert into t values ({long})").name == "write"
    assert predict(f"select {long}").words is None
    assert not predict(f"insert into t values ({long})").definition
    assert predict(f"do {long}").definition


# --- what else is predicted ------------------------------------------------------------------


def test_words_are_what_a_statement_can_call() -> None:
    assert predict("select F(\"g\"('h i'), $$j$$, a.k) -- l").words == frozenset(
        {"select", "f", "g", "h", "i", "j", "a", "k"}
    )
    assert predict('select U&"\\0066"()').words is None


def test_reads_that_show_a_read_only_transaction() -> None:
    assert predict("select 1").read_only
    for text in (
        "select current_setting('transaction_read_only')",
        "select * from pg_settings",
        "select * from pg_show_all_settings()",
        "show transaction_read_only",
        "show all",
        'select U&"\\0066"()',
        "explain execute p",
        "explain (verbose) create table u as execute p (1)",
    ):
        assert not predict(text).read_only, text


@pytest.mark.parametrize(
    "expression",
    [
        *("now()", "current_timestamp", "localtime(0)", "current_date", "random()", "timeofday()"),
        *("gen_random_uuid()", "uuidv7()", "clock_timestamp()", "'now'::timestamp", "NOW ()"),
        *("'today'::date", "pg_catalog.random(1, 2)", "txid_current()", "pg_backend_pid()"),
    ],
)
def test_volatile(expression: str) -> None:
    assert predict(f"insert into t select {expression}").volatile
    assert predict(f"create table t as select {expression}").volatile


def test_not_volatile() -> None:
    for text in ("insert into t values (1)", "select a.nowhere from t", "select randomness from t"):
        assert not predict(text).volatile


def test_tablesample_is_volatile() -> None:
    assert predict("create table u as select * from t tablesample system (10)").volatile


@pytest.mark.parametrize(
    ("text", "binding"),
    [
        ("select 1", "free"),
        ("select currval('s')", "base"),
        ("select LASTVAL()", "base"),
        ("insert into t values (currval('s'))", "base"),
        ("create view v as select lastval()", "base"),
        ("select setseed(0.5)", "pinned"),
        ('select U&"\\0073etseed"(0.5)', "pinned"),
        ("do $$ begin perform setseed(0.5); end $$", "pinned"),
        ("set app.name = 'a'", "free"),
        ("reset app.name", "free"),
        ("set work_mem = '6MB'", "free"),
        ("select set_config('work_mem', '6MB', false)", "free"),
        ("select set_config ( 'app.name', 'a', false)", "free"),
        ("select set_config('app' || '.user', 'a', false)", "pinned"),
        ("select set_config(n, 'a', false) from t", "pinned"),
        ("select set_config('a', '1', false), set_config('b.c', '1', false)", "free"),
        ("select set_config(E'a\\x2eb', '1', false)", "pinned"),
        ("select set_config(setting_name => 'a.b', new_value => '1', is_local => false)", "pinned"),
        ("do $$ begin perform set_config('app.name', 'a', false); end $$", "pinned"),
    ],
)
def test_binding(text: str, binding: str) -> None:
    assert predict(text).binding == binding


def test_settings_of_ones_own_naming() -> None:
    assert predict("set app.name = 'a'").custom == {"app.name"}
    assert predict("reset app.name").custom == {"app.name"}
    assert predict("set work_mem = '6MB'").custom == frozenset()
    text = "select set_config('a', '1', false), set_config('b.c', '1', false)"
    assert predict(text).custom == {"b.c"}


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("insert into t values (1)", '"t"'),
        ("insert into S.T values (1)", '"s"."t"'),
        ('insert into "a ""b" values (1)', '"a ""b"'),
        ("create table x.t as select 1", '"x"."t"'),
        ("create materialized view m as select 1", '"m"'),
        ("select 1 into t", '"t"'),
        ("copy t from '/f'", '"t"'),
        ("copy t to '/f'", None),
        ("copy (select 1) to '/f'", None),
        ("select 1", None),
        ("update t set a = 1", None),
        ("create table t (a int)", None),
        ("\\copy s.\"T\" (a, b) from 'f' with (format csv)", '"s"."T"'),
        ("\\copy t from 'f' nonsense (", None),
        ("\\copy t to 'f'", None),
        ("\\d", None),
    ],
)
def test_loads(text: str, relation: str | None) -> None:
    assert predict(text).loads == relation


def test_definitions_may_run_later() -> None:
    for text in (
        "create view v as select 1",
        "alter table t add b int",
        "do $$$$",
        "prepare p as select 1",
    ):
        assert predict(text).definition
    for text in (*DML, "select 1", "show all", "explain select 1", "select 1 into t"):
        assert not predict(text).definition


def test_copy_with_the_client_as_the_other_end() -> None:
    for text, name, way in (
        ("copy t from stdin", "write", "in"),
        ("copy t to stdout", "read", "out"),
        ("copy (select 1) to stdout", "read", "out"),
        ("copy (delete from t returning a) to stdout", "write", "out"),
        ("copy (select nextval('s')) to stdout", "write", "out"),
        ("copy t from '/f'", "write", None),
        ("copy t to program 'x'", "write", None),
    ):
        effect = predict(text)
        assert (effect.refusal, effect.name, effect.copies) == (None, name, way)


def test_meta_commands() -> None:
    assert predict("\\copy t from 'f'").refusal is None
    # The file is no part of a state: it is what its query is.
    for text, name in (
        ("\\copy t to 'f'", "read"),
        ("\\copy (select a from t) to 'f'", "read"),
        ("\\copy (insert into t values (1) returning a) to 'f'", "write"),
        ("\\copy (select set_config('a.b', 'c', false)) to 'f'", "session"),
    ):
        assert (predict(text).name, predict(text).copies) == (name, "out")
    for text in ("\\d", "\\copy t from program 'x'", "\\copy", "\\."):
        effect = predict(text)
        assert effect.name == "write"
        assert effect.refusal
        assert effect.hint


@pytest.mark.parametrize("text", ROLES)
def test_statements_on_roles(text: str) -> None:
    effect = predict(text)
    assert (effect.name, effect.refusal, effect.roles) == ("write", None, True)


@pytest.mark.parametrize(
    "text",
    [
        "drop owned by r",
        "reassign owned by r to s",
        "select 'a role'",
        "create view v as select a, count(*) from t group by a",
        "create table t as select a, 'a user' as kind from s group by a",
        'create table people (name text, role text, "user" int)',
        "alter table people drop role",
        "insert into t select a, 'create' from s group by a",
        "create index on people (role)",
        "create function f() returns bigint language sql as 'select count(*) from t group  by a'",
    ],
)
def test_what_leaves_the_set_of_roles_as_it_is(text: str) -> None:
    effect = predict(text)
    assert (effect.refusal, effect.roles) == (None, False)


def test_dropped_roles() -> None:
    assert predict("drop role if exists a, B").drops == ("a", "b")
    assert predict("drop table a").drops == ()


@pytest.mark.parametrize(
    ("text", "plans"),
    [
        ("prepare p as select 1", "makes"),
        ("execute p", "keeps"),
        ("deallocate p", "keeps"),
        ("insert into t values (1)", "keeps"),
        ("select 1", "keeps"),
        ("begin", "keeps"),
        ("\\copy t from 'f'", "keeps"),
        ("set timezone = 'UTC'", "spoils"),
        ("select set_config('timezone', 'UTC', false)", "spoils"),
        ("drop table t", "spoils"),
        ("alter table t add b int", "spoils"),
        ("do $$ begin end $$", "spoils"),
        ("call p()", "spoils"),
        ("not sql", "spoils"),
    ],
)
def test_what_becomes_of_prepared_statements(text: str, plans: str) -> None:
    assert predict(text).plans == plans


@pytest.mark.parametrize("text", DATABASE)
def test_statements_on_the_database_are_writes(text: str) -> None:
    """And it is seen where they name it."""
    found = predict(text)
    assert found.name == "write"
    assert found.refusal is None
    assert len(found.database) == 1
    (start, end) = found.database[0]
    assert text[start:end].strip('"').lower() in ("pgcellar", "i_0123abcd")


@pytest.mark.parametrize(
    ("body", "binding"),
    [
        ("execute 'update a set n = 1 where id = 1';", "free"),
        ("execute format('update %I as x\n set n = %L', t, 1);", "free"),
        ("execute 'insert into t values (1) on conflict do update set n = 2';", "free"),
        ("update t set a.b = 1;", "free"),
        ("execute 'set app.x = 1';", "pinned"),
        ("update t set a = 1; execute 'set x.y = 1';", "pinned"),
        ("execute 'update ' || t || ' set app.x = 1';", "pinned"),
        ("-- and update\nset app.x = 1;", "pinned"),
        ("/* update */ set app.x = 1;", "pinned"),
    ],
)
def test_the_set_of_an_update_makes_no_setting(body: str, binding: str) -> None:
    text = f"create function f() returns void language plpgsql as $$ begin {body} end $$"
    (step,) = cells.parse(text).steps
    assert step.effect.binding == binding
