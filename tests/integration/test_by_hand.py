"""Notebooks written by hand, each around one thing that a cache could get wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests import cellar as cellars
from tests import following
from tests.integration import test_equals_oracle

SETTINGS = (
    "select setrole::regrole, setconfig from pg_db_role_setting join pg_database on oid = setdatabase"
    " where datname = current_database() order by 1"
)
GRANTS = "select datacl::text[] from pg_database where datname = current_database()"

CASES = [
    [
        "create table t(a int)",
        "do $$ begin for i in 1..3 loop insert into t values (i); commit; end loop; end $$",
        "select count(*) from t",
    ],
    [
        "create table t(a int)",
        "create index concurrently i on t(a)",
        "insert into t values (1)",
        "vacuum t",
        "select * from t",
    ],
    [
        "create table t(a int); create view v as select a from t; create rule r as on insert to v do instead insert into t values (new.a) returning t.a",
        "insert into v values (5) returning a",
        "select * from t",
    ],
    [
        "create procedure p() language plpgsql as $$ begin create table if not exists z(a int); commit; insert into z values (1); end $$",
        "call p()",
        "call p()",
        "select count(*) from z",
    ],
    ["create table t(a int);\r\ninsert into t values (1);\r\n-- c\r\nselect * from t\r\n"],
    ["set default_transaction_read_only=on", "create table t(a int)"],
    [
        "set standard_conforming_strings=off",
        "select 'a\\'b'",
        "create table t as select 'x\\ny' as a",
        "select * from t",
    ],
    [
        "create schema s; create function s.f() returns int language sql as 'select 1'; set search_path=s",
        "select f()",
        "create table t(a int)",
        "select f() from t",
    ],
    [
        "create table t(a serial, b int)",
        "insert into t(b) values (1) returning a",
        "insert into t(b) values (currval('t_a_seq')) returning *",
        "select lastval()",
    ],
    ["create sequence s cache 10", "select nextval('s')", "select nextval('s')"],
    ["prepare p as select 1", "execute p", "execute p"],
    [
        "select setseed(0.5)",
        "select random() as a",
        "select 1 as one",
        "create table t as select random() as a",
        "select random() as a from generate_series(1, 2)",
        "select a, random() as b from t",
    ],
    [
        "begin",
        "create table t(a int)",
        "savepoint x",
        "insert into t values (1)",
        "rollback to x",
        "commit",
        "select count(*) from t",
    ],
    ["begin", "select 1/0", "select 1"],
    [
        "create table t(a int)",
        "begin; insert into t values (1); select 1/0",
        "select count(*) from t",
    ],
    [
        "declare c cursor with hold for select generate_series(1,5)",
        "fetch 2 from c",
        "fetch 2 from c",
    ],
    [
        "create unlogged table u(a int); insert into u values (1)",
        "select * from u",
        "insert into u values (2)",
        "select count(*) from u",
    ],
    [
        "select lo_from_bytea(4711, 'abc')",
        "select lo_get(4711)",
        "select lo_put(4711, 1, 'X')",
        "select lo_get(4711)",
    ],
    [
        "create function w() returns int language plpgsql as $$ begin create table if not exists m(a int); insert into m values (1); return 1; end $$",
        "select w()",
        "select count(*) from m",
        "select w()",
        "select count(*) from m",
    ],
    [
        "create function cfg() returns text language sql as $$ select set_config('search_path','pg_temp, public',false) $$",
        "select cfg()",
        "create table q(a int)",
        "select * from q",
    ],
    [
        "create domain dm as int check (value > 0)",
        "select 1::dm",
        "select (-1)::dm",
        "create table t(a dm)",
    ],
    [
        "create table t(a int)",
        "insert into t values (1)",
        "insert into t values (1)",
        "insert into t values (1)",
        "select count(*) from t",
    ],
    [
        "create temp table x(a int)",
        "insert into x values (1)",
        "drop table x",
        "create table y(a int)",
        "select * from y",
    ],
    ["set role pgcellar", "create table t(a int)", "reset role", "select * from t"],
    [
        "select pg_advisory_lock(5)",
        "create table t(a int)",
        "select count(*) from pg_locks where locktype='advisory'",
        "select pg_advisory_unlock(5)",
    ],
    [
        "create table t(a int); prepare ins(int) as insert into t values ($1)",
        "execute ins(1)",
        "execute ins(2); execute ins(3)",
        "select * from t",
        "deallocate ins",
        "execute ins(4)",
    ],
    [
        "create table t(a int); prepare q as select * from t",
        "drop table t",
        "select 1",
        "execute q",
        "create table t(a int); insert into t values (7)",
        "execute q",
    ],
    [
        "set app.tenant = 'one'",
        "create table t(tenant text default current_setting('app.tenant'), a int)",
        "insert into t(a) values (1)",
        "select set_config('app.tenant', 'two', false)",
        "insert into t(a) values (2)",
        "select * from t",
        "reset app.tenant",
        "select current_setting('app.tenant')",
    ],
    [
        "set timezone = 'Asia/Tokyo'; set datestyle = 'SQL, DMY'",
        "create table t as select timestamptz '2024-01-01 00:00+00' as a",
        "select * from t",
        "set local timezone = 'UTC'",
        "select * from t",
        "reset all",
        "select * from t",
    ],
    [
        "set timezone='UTC'",
        "prepare p as select '2020-01-01 00:00'::timestamptz as t",
        "set timezone='America/New_York'",
        "create table b as select i from generate_series(1, 300000) i",
        "execute p",
    ],
    [
        "create table a(x int); insert into a values (1)",
        "prepare p as select * from a",
        "select name, statement from pg_prepared_statements where statement like 'x'",
        "alter table a add y int",
        "create table b as select i from generate_series(1, 300000) i",
        "execute p",
        "deallocate all",
        "select count(*) from pg_prepared_statements",
        "prepare p as select * from a; insert into a select i, i from generate_series(2, 9) i",
        "execute p",
    ],
    [
        "create table a as select 1 as x",
        "prepare p as select * from a",
        "drop table a",
        "create table b as select i from generate_series(1, 300000) i",
        "select count(*) from b",
    ],
    [
        "create table t(a int); create view v as select a from t; create rule r as on insert to v do instead select a from t union all values (1), (2)",
        "insert into v values (5)",
    ],
    [
        "create table log(a int)",
        "create function ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff() returns text language plpgsql as $$ begin insert into log values(1); return 'wrote'; exception when others then return 'refused'; end $$",
        "select ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff()",
        "select count(*) from log",
    ],
    [
        "create table log(a int); create function f() returns text language plpgsql as $$ begin insert into public.log values(1); return 'w'; exception when others then return 'refused'; end $$; create function public.lower(text) returns text language sql immutable as $$ select 'zz' $$",
        "select set_config('search_path','public, PG_Catalog',false)",
        "select f()",
        "select count(*) from log",
    ],
    [
        "create function sf(json,text) returns json language sql immutable as $$ select '[]'::json $$; create aggregate public.json_agg(text) (sfunc=sf, stype=json, initcond='[]')",
        "deallocate all",
        "create table log(a int); create function f() returns text language plpgsql as $$ begin insert into public.log values(1); return 'w'; exception when others then return 'refused'; end $$",
        "select f()",
        "select count(*) from log",
    ],
    [
        "create sequence s; create role alice; create function f() returns int language sql as 'select 1'; grant execute on function f() to alice",
        "set role alice",
        "select f()",
        "select 2 as two, f()",
    ],
    [
        "create sequence s; revoke all on sequence s from pgcellar; create function f() returns int language sql as 'select 1'",
        "select f()",
    ],
    [
        "select current_query()",
    ],
    [
        "prepare one as select 1; prepare two (int) as select $1;",
        "select name, statement from pg_prepared_statements order by name",
    ],
    [
        "create table log(a int); create function f() returns text language plpgsql as $$ begin insert into public.log values(1); return 'w'; exception when others then return 'refused'; end $$",
        "prepare pgcellar_facts as select 1",
        "prepare pgcellar_pins as select '{}'",
        "create temp table x(a int); insert into x values(1)",
        "select f()",
        "select * from x",
    ],
    [
        "create function mk(n text) returns void language plpgsql as $$ begin execute 'create ro'||'le '||n; end $$",
        "select mk('zed')",
        "select count(*) from pg_roles where rolname='zed'",
        "alter role zed login",
        "select rolcanlogin from pg_roles where rolname='zed'",
    ],
    [
        "do $$ begin execute format('set %I.%I = %L','app','x','hello'); end $$",
        "create table t(a int)",
        "select current_setting('app.x', true)",
    ],
    # What is asked in the middle of a cell was prepared before it, and the user dropped that.
    [
        "create sequence s; create function f() returns bigint language sql as $$ select nextval('s') $$",
        "select f()",
        "deallocate all; create table t(a int); select f()",
        "select f(), 2 as two",
        "create table u(a int); discard all; select f(); select f(), 3 as three",
        "do $$ begin execute 'deallocate all'; end $$; create table v(a int); select f()",
    ],
    ["listen news", "select * from pg_listening_channels()", "unlisten *", "select 1"],
    [
        "create table t(a int)",
        "begin isolation level repeatable read",
        "insert into t values (1)",
        "select count(*) from t",
        "savepoint s",
        "insert into t values ('x')",
        "select 1",
        "rollback to s",
        "select count(*) from t",
        "commit and chain",
        "show transaction_isolation",
        "rollback",
        "select count(*) from t",
    ],
    [
        "create table t(a int unique deferrable initially deferred)",
        "begin; insert into t values (1), (1)",
        "commit",
        "select * from t",
        "start transaction read only",
        "insert into t values (1)",
        "end",
    ],
    [
        "create table t(a int); insert into t values (1)",
        "create role alice; create role bob login password 'x' in role alice",
        "set role alice; select current_user, session_user",
        "select * from t",
        "reset role; grant select on t to alice",
        "set role bob",
        "select * from t",
        "insert into t values (2)",
        "reset role; select rolname, rolcanlogin from pg_roles where rolname in ('alice', 'bob')",
        "select r.rolname, m.rolname from pg_auth_members a join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member where r.rolname = 'alice'",
        "drop role alice",
        "drop owned by alice; drop role alice",
        "select rolname from pg_roles where rolname in ('alice', 'bob')",
        "create role alice",
        "select has_table_privilege('alice', 't', 'select')",
    ],
    [
        "create role alice; create schema a authorization alice; set role alice; create table a.t(x int); insert into a.t values (1)",
        "select * from a.t",
        "reset role; alter role alice rename to carol; alter role carol set work_mem = '6MB'",
        "select tableowner from pg_tables where tablename = 't'",
        "drop role carol",
        "reassign owned by carol to pgcellar; drop role carol",
        "select tableowner from pg_tables where tablename = 't'",
    ],
    [
        "create table t(owner text, a int); alter table t enable row level security; create role ann; create role ben; grant all on t to ann, ben",
        "create policy own on t using (owner = current_user)",
        "insert into t values ('ann', 1), ('ben', 2)",
        "set role ann",
        "select * from t",
        "set role ben; select * from t",
        "insert into t values ('ann', 3)",
        "reset role; select count(*) from t",
        "begin; create role cid; rollback",
        "select count(*) from pg_roles where rolname = 'cid'",
        "do $$ begin create role dan; end $$",
        "select count(*) from pg_roles where rolname = 'dan'",
    ],
    [
        "alter database pgcellar set work_mem = '6MB'; alter database pgcellar set search_path = a, \"B c\", public",
        "show work_mem",
        f"{SETTINGS}",
        "create table t as select current_setting('work_mem')",
        "alter role pgcellar in database pgcellar set datestyle = 'SQL, DMY'",
        "select * from t",
        "alter database pgcellar reset work_mem",
        f"{SETTINGS}",
        "alter database pgcellar reset all; reset work_mem; show work_mem",
        f"{SETTINGS}",
    ],
    [
        "create role alice; grant create on database pgcellar to alice with grant option",
        "set role alice; grant create on database Pgcellar to public",
        'reset role; revoke connect, temp on database "pgcellar" from public',
        GRANTS,
        "create table t as select has_database_privilege('alice', current_database(), 'connect')",
        "select * from t",
        "comment on database pgcellar is 'ours'; alter database pgcellar connection limit 0",
        "select shobj_description(oid, 'pg_database'), datconnlimit from pg_database where datname = current_database()",
        "drop role alice",
        "revoke all on database pgcellar from alice cascade; drop role alice",
        GRANTS,
    ],
    [
        "do $$ begin execute format('alter database %I set lock_timeout = 7', current_database()); end $$",
        "begin; alter database pgcellar set lock_timeout = 8; comment on database pgcellar is 'x'",
        SETTINGS,
        "rollback",
        SETTINGS,
        "create function f() returns int language plpgsql as $$ begin execute format('comment on database %I is %L', current_database(), 'by f'); return 1; end $$",
        "select f()",
        "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()",
    ],
    [
        "create role alice; create role bob; grant create on database pgcellar to alice; alter role alice in database pgcellar set work_mem = '3MB'",
        "alter role alice rename to carol; alter role bob rename to alice",
        GRANTS,
        SETTINGS,
        "drop role alice",
        "drop role carol",
        "drop owned by carol; drop role carol",
        SETTINGS,
    ],
    [
        "create role alice; create role bob; create role carol; create role dora",
        "grant alice to bob with admin option; grant alice to carol granted by bob",
        "drop role bob",
        "reassign owned by bob to dora; drop role bob",
        "select m.rolname, g.rolname from pg_auth_members a join pg_roles m on m.oid = a.member join pg_roles g on g.oid = a.grantor where a.roleid = 'alice'::regrole order by 1, 2",
        "drop role bob, carol",
        "select rolname from pg_roles where rolname in ('alice', 'bob', 'carol', 'dora') order by 1",
    ],
    [
        "create role alice; create table t(a int); grant select on t to alice",
        "alter role alice in database pgcellar set work_mem = '3MB'",
        "insert into t select generate_series(1, 50000)",
        "drop owned by alice; drop role alice",
        SETTINGS,
    ],
    [
        "alter database pgcellar set log_statement = 'all'",
        "alter database pgcellar set nosuch = 1",
        "alter database pgcellar set app.x = 1",
        "alter database pgcellar set work_mem = 'big'",
        "alter database other set work_mem = '1MB'",
        "grant nosuch on database pgcellar to public",
        "grant connect on database pgcellar to nobody",
        "create role alice; set role alice",
        "alter database pgcellar set work_mem = '1MB'",
        "comment on database pgcellar is 'hers'",
    ],
    [
        "alter database pgcellar set statement_timeout = 1; alter database pgcellar set default_transaction_read_only = on",
        "create table t as select i from generate_series(1, 100000) i",
        "select count(*) from t, pg_sleep(0.01)",
        "alter database pgcellar set role = 'nobody'",
        "alter database pgcellar set local_preload_libraries = 'nosuch'",
        "insert into t values (1)",
        "select count(*) from t",
        "alter database pgcellar is_template true",
        "reindex database pgcellar",
        "alter database pgcellar allow_connections false",
        "select 1",
    ],
]


@pytest.fixture(scope="module")
def cellar(cellar_home_module: object) -> Iterator[cellars.Cellar]:
    """Services for all cases."""
    with cellars.Cellar(cellar_home_module) as made:  # type: ignore[arg-type]
        yield made


@pytest.mark.parametrize("number", range(len(CASES)))
def test_equals_the_oracle(cellar: cellars.Cellar, oracle: following.Oracle, number: int) -> None:
    """In order, again after idle work, the last alone from nothing, and from the bottom up."""
    cells, key = CASES[number], f"n{number}"
    heads = range(len(cells))
    for head in heads:
        test_equals_oracle.check(cellar, oracle, key, cells, head)
    cellar.quiet(key)
    for head in heads:
        test_equals_oracle.check(cellar, oracle, key, cells, head)
    test_equals_oracle.check(cellar, oracle, f"{key} alone", cells, len(cells) - 1)
    for head in reversed(heads):
        test_equals_oracle.check(cellar, oracle, key, cells, head)
