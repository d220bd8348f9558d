"""tests.oracle, tests.contents and tests.generators: the measure is right before it is used."""

from __future__ import annotations

import pathlib

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import contents, following, generators
from tests import oracle as oracles
from tests.oracle import StatementResult
from tests.statements import scripts

FEW = settings(
    max_examples=20,
    deadline=None,
    # One oracle serves all examples; each has a database of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

#: A little of everything a fingerprint looks at.
SCHEMA = """
create table a (id integer primary key, n integer default 1, s text);
insert into a values (1, 1, 'one'), (2, null, '');
create sequence s;
create view v as select id from a;
create function f() returns integer language sql as 'select 1';
create type mood as enum ('bad', 'ok');
create domain positive as integer check (value > 0);
create type pair as (x integer);
create table parts (id integer) partition by range (id);
create table parts_1 partition of parts for values from (1) to (9);
create table heir () inherits (a);
create table quieted (id integer primary key);
create rule quiet as on update to quieted do instead nothing;
create text search configuration words (copy = simple);
create publication told for table quieted;
create extension fuzzystrmatch;
create role known;
select lo_from_bytea(7000, 'abc');
"""

#: Each makes a database that differs from SCHEMA's, and where the difference shows.
DIFFERENCES = {
    "a row": ("insert into a values (3)", "rows of public.a"),
    "a row twice": ("create table b as select 1; insert into b values (1)", "rows of public.b"),
    "a value": ("update a set n = 2 where id = 1", "rows of public.a"),
    "null and empty": ("update a set s = null where id = 2", "rows of public.a"),
    "null and 'null'": ("update a set s = 'null' where id = 2", "rows of public.a"),
    "a table": ("create table b ()", "relations"),
    "a persistence": ("alter table a set unlogged", "relations"),
    "an option": ("alter table a set (fillfactor = 50)", "relations"),
    "row security": ("alter table a enable row level security", "relations"),
    "a column": ("alter table a add x integer", "columns"),
    "a name": ("alter table a rename n to m", "columns"),
    "a type": ("alter table a alter n type bigint", "columns"),
    "a default": ("alter table a alter n set default 2", "columns"),
    "a not null": ("alter table a alter s set not null", "columns"),
    "an identity": ("alter table a alter id add generated always as identity", "columns"),
    "a column's grant": ("grant select (n) on a to public", "columns"),
    "a constraint": ("alter table a add constraint c check (n > 0)", "constraints"),
    "a key": ("alter table a drop constraint a_pkey", "constraints"),
    "a domain's constraint": ("alter domain positive add check (value < 9)", "constraints"),
    "an index": ("create index on a (n)", "indexes"),
    "a view": ("create or replace view v as select id + 1 - 1 as id from a", "views and rules"),
    "a rule": ("create rule r as on delete to a do instead nothing", "views and rules"),
    "a function": (
        "create or replace function f() returns integer language sql as 'select 2'",
        "functions",
    ),
    "a volatility": ("alter function f() stable", "functions"),
    "a function's grant": ("revoke execute on function f() from public", "functions"),
    "a trigger": (
        "create trigger t before update on a execute function suppress_redundant_updates_trigger()",
        "triggers",
    ),
    "a trigger's state": (
        "create trigger t before update on a execute function suppress_redundant_updates_trigger();"
        "alter table a disable trigger t",
        "triggers",
    ),
    "a policy": ("create policy p on a using (true)", "policies"),
    "an enum": ("alter type mood add value 'best'", "types"),
    "an enum's order": ("alter type mood add value 'so so' before 'ok'", "types"),
    "a domain": ("alter domain positive set default 3", "types"),
    "a sequence's state": ("select nextval('s')", "sequences"),
    "a sequence called": ("select setval('s', 1, true)", "sequences"),
    "a sequence's step": ("alter sequence s increment 2", "sequences"),
    "a sequence's owner": ("alter sequence s owned by a.id", "sequences"),
    "a comment": ("comment on column a.n is 'number'", "comments"),
    "a grant": ("grant select on a to public", "relations"),
    "a schema": ("create schema extra", "schemas"),
    "a schema's grant": ("grant create on schema public to public", "schemas"),
    "a default grant": (
        "alter default privileges grant select on tables to public",
        "default privileges",
    ),
    "an operator": (
        "create operator === (function = int4eq, leftarg = integer, rightarg = integer)",
        "operators",
    ),
    "a large object": ("select lo_from_bytea(7001, 'x')", "large objects"),
    "a large object's bytes": ("select lo_put(7000, 1, 'Y')", "large objects"),
    "a large object's grant": ("grant select on large object 7000 to public", "large objects"),
    "a large object's comment": ("comment on large object 7000 is 'large'", "comments"),
    "a cast": (
        "create type t as (x integer); create function g(t) returns integer language sql"
        " as 'select 1'; create cast (t as integer) with function g(t)",
        "casts",
    ),
    "a collation": ('create collation c from "C"', "collations"),
    "a text search configuration": (
        "create text search configuration c (copy = simple)",
        "text search",
    ),
    "a mapping": (
        "alter text search configuration words alter mapping for word with english_stem",
        "text search",
    ),
    "a publication": ("create publication p for table a", "publications"),
    "a published row": ("alter publication told set table quieted where (id > 1)", "publications"),
    "a role": ("create role somebody", "roles"),
    "a role's right": ("alter role known login", "roles"),
    "a role's setting": ("alter role known set work_mem = '5MB'", "roles"),
    "a membership": ("create role other; grant known to other", "roles"),
    "a partition": (
        "create table parts_2 partition of parts for values from (9) to (19)",
        "relations",
    ),
    "a partition's leave": ("alter table parts detach partition parts_1", "relations"),
    "a child": ("create table child () inherits (a)", "relations"),
    "a child's leave": ("alter table heir no inherit a", "relations"),
    "a composite type's member": ("alter type pair add attribute y text", "columns"),
    "a rule's state": ("alter table quieted disable rule quiet", "views and rules"),
    "an exclusion": (
        "alter table a add constraint one exclude using btree (n with =)",
        "constraints",
    ),
    "a constraint's time": (
        "create table k (a integer references a deferrable)",
        "constraints",
    ),
    "an aggregate": (
        "create aggregate largest (integer) (sfunc = int4larger, stype = integer)",
        "functions",
    ),
    "a comment on a rule": ("comment on rule quiet on quieted is 'quiet'", "comments"),
    "an extension": ("create extension citext", "extensions"),
    "a statistics object": ("create statistics x on id, n from a", "statistics"),
    "a materialized view": (
        "create materialized view m as select 1",
        "rows of public.m",
    ),
}


def one(oracle: oracles.Oracle, cell: str) -> StatementResult:
    """The result of a cell of one statement."""
    (outcome,) = oracle.evaluate([cell]).cells
    assert outcome.error is None
    (result,) = outcome.results
    return result


def test_null_is_told_from_every_string(oracle: oracles.Oracle) -> None:
    assert one(
        oracle, "select null as a, 'null' as b, '' as c, '\\N' as d, 'x' || chr(10) as e"
    ) == (
        StatementResult(
            command=None,
            columns=("a", "b", "c", "d", "e"),
            rows=((None, "null", "", "\\N", "x\n"),),
            row_count=1,
        )
    )


def test_rows_may_look_like_what_psql_prints(oracle: oracles.Oracle) -> None:
    found = one(oracle, "values ('(1 row)'), (E'\\nTime: 1.0 ms\\n'), ('INSERT 0 1'), ('(4 rows)')")
    assert [row[0] for row in found.rows] == [
        "(1 row)",
        "\nTime: 1.0 ms\n",
        "INSERT 0 1",
        "(4 rows)",
    ]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("create table t (id integer)", StatementResult(command="CREATE TABLE")),
        ("create table t as select 1 as x", StatementResult(command="SELECT 1")),
        ("do $$ begin end $$", StatementResult(command="DO")),
        ("select 1 as x where false", StatementResult(command=None, columns=("x",), row_count=0)),
        (
            "select from generate_series(1, 3)",
            StatementResult(command=None, columns=(), row_count=3),
        ),
        (
            "show timezone",
            StatementResult(command=None, columns=("TimeZone",), rows=(("UTC",),), row_count=1),
        ),
    ],
)
def test_a_statement_gives_columns_rows_and_tag(
    oracle: oracles.Oracle, cell: str, expected: StatementResult
) -> None:
    assert one(oracle, cell) == expected


def test_expanded_results(oracle: oracles.Oracle) -> None:
    """psql writes each value on a line, and nothing of what has no rows or columns."""
    cell = """select 1 as a, null as b union all select 2, 'x' \\gx
        select 3 as a where false \\gx
        select from generate_series(1, 3)
        \\gx
        create temp table t (id integer); insert into t values (4), (5) returning id \\gx"""
    (outcome,) = oracle.evaluate([cell]).cells
    assert outcome.results == (
        StatementResult(
            command=None, columns=("a", "b"), rows=(("1", None), ("2", "x")), row_count=2
        ),
        StatementResult(command=None, columns=()),
        StatementResult(command=None, columns=()),
        StatementResult(command="CREATE TABLE"),
        StatementResult(command="INSERT 0 2", columns=("id",), rows=(("4",), ("5",)), row_count=2),
    )


def test_results_of_a_cell_stay_apart(oracle: oracles.Oracle) -> None:
    cell = """create table t (id integer); select 1 as x; insert into t values (1);;
        insert into t values (2), (3) returning id; -- and; so on
        begin; update t set id = 9; rollback; delete from t where id = 1"""
    (outcome,) = oracle.evaluate([cell]).cells
    assert [(result.command, result.row_count) for result in outcome.results] == [
        ("CREATE TABLE", None),
        (None, 1),
        ("INSERT 0 1", None),
        ("INSERT 0 2", 2),
        ("BEGIN", None),
        ("UPDATE 3", None),
        ("ROLLBACK", None),
        ("DELETE 1", None),
    ]


@pytest.mark.parametrize("cell", ["", " \n", ";", "-- nothing", "/* no; thing */ ;"])
def test_an_idle_cell_gives_nothing(oracle: oracles.Oracle, cell: str) -> None:
    run = oracle.evaluate([cell])
    assert run.cells == (oracles.CellOutcome(results=()),)
    assert oracle.fingerprint(run.dbname) == oracle.fingerprint(oracle.evaluate([]).dbname)


@pytest.mark.parametrize(
    ("cell", "sqlstate"),
    [
        ("select 1 / 0", "22012"),
        ("select 'open", "42601"),
        ("select (1", "42601"),
        ("select $$ open", "42601"),
        ("/* open", "42601"),
        ("select * from missing", "42P01"),
        ("create table pg_catalog.t ()", "42501"),
        ("create database other", "42501"),
    ],
)
def test_a_failing_cell_is_reported_and_others_are_not_touched(
    oracle: oracles.Oracle, cell: str, sqlstate: str
) -> None:
    run = oracle.evaluate(["select 1", cell, "select 2"])
    assert run.failed == (1,)
    error = run.cells[1].error
    assert error is not None
    assert error.sqlstate == sqlstate
    assert run.cells[2].results[0].rows == (("2",),)


def test_a_failing_cell_leaves_no_trace(oracle: oracles.Oracle) -> None:
    before = "create table t (id serial, s text); create sequence s"
    failing = """insert into t (s) values ('lost'); select nextval('s'); set work_mem = '9MB';
        create table u (); begin; drop table t; rollback; select 1 / 0; create table v ()"""
    after = "insert into t (s) values ('kept') returning id; select nextval('s'); show work_mem"
    run = oracle.evaluate([before, failing, "select 'x'::integer", after])
    alone = oracle.evaluate([before, after])
    assert run.failed == (1, 2)
    assert run.cells[3] == alone.cells[1]
    assert [result.rows for result in run.cells[3].results] == [(("1",),), (("1",),), (("4MB",),)]
    assert len(run.cells[1].results) == 7
    assert oracle.fingerprint(run.dbname) == oracle.fingerprint(alone.dbname)
    assert oracle.dump(run.dbname) == oracle.dump(alone.dbname)


def test_an_error_in_a_transaction_is_a_part_of_it(oracle: oracles.Oracle) -> None:
    cells = [
        "create table t (); begin; drop table t",
        "select 1 / 0",
        "select 2",
        "commit",
        "table t",
    ]
    run = oracle.evaluate(cells)
    errors = [cell.error.sqlstate if cell.error else None for cell in run.cells]
    assert errors == [None, "22012", "25P02", None, None]
    assert [cell.inside for cell in run.cells] == [False, True, True, False, False]
    assert run.failed == ()
    run = oracle.evaluate(
        ["create table t (); begin; select 1 / 0; drop table t; commit", "table t"]
    )
    assert (run.cells[0].inside, run.cells[1].ok) == (True, True)


def test_the_session_goes_on_from_cell_to_cell(oracle: oracles.Oracle) -> None:
    run = oracle.evaluate(["set time zone 'Asia/Tokyo'", "show time zone", "select lastval()"])
    assert run.cells[1].results[0].rows == (("Asia/Tokyo",),)
    assert run.failed == (2,)


def test_notices_are_kept_by_cell(oracle: oracles.Oracle) -> None:
    run = oracle.evaluate(["do $$ begin raise notice 'one'; raise warning 'two'; end $$", "select"])
    assert run.cells[0].notices == (("NOTICE", "00000", "one"), ("WARNING", "01000", "two"))
    assert run.cells[1].notices == ()


def test_what_notify_sends_is_heard(oracle: oracles.Oracle) -> None:
    """By cell, whichever process sent it, and it is no part of a result."""
    run = oracle.evaluate(
        ['listen "a ""b"""', "select 1 as x;\nselect pg_notify('a \"b\"', E'x\ny');", "select 2"]
    )
    said = 'Asynchronous notification "a "b"" with payload "x\ny" received from server process with'
    assert [cell.heard for cell in run.cells] == [(), (f"{said} PID ",), ()]
    assert [result.rows for result in run.cells[1].results] == [(("1",),), (("",),)]


def test_files_are_read_from_the_notebooks_folder(
    oracle: oracles.Oracle, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "t.csv").write_text("id\n1\n2\n")
    copying = "create table t (id integer);\n\\copy t from 't.csv' with (format csv, header)\n"
    run = oracle.evaluate([copying, "\\copy t from 'missing.csv'"], tmp_path)
    assert [result.command for result in run.cells[0].results] == ["CREATE TABLE", "COPY 2"]
    assert run.failed == (1,)
    assert run.cells[1].error is not None
    assert run.cells[1].error.sqlstate is None


def test_the_same_cells_give_the_same_run(oracle: oracles.Oracle) -> None:
    assert oracle.evaluate(["select 1"]) is oracle.evaluate(["select 1"])


def test_old_databases_are_dropped(oracle: oracles.Oracle) -> None:
    first = oracle.evaluate(["select 'first'"])
    for number in range(oracles.KEPT_DATABASES):
        oracle.evaluate([f"select {number}, 'other'"])
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        oracle.fingerprint(first.dbname)


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_fingerprint_shows(oracle: oracles.Oracle, name: str) -> None:
    change, section = DIFFERENCES[name]
    # With roles a run's database is gone when the next one begins.
    before = oracle.fingerprint(oracle.evaluate([SCHEMA]).dbname)
    changed = oracle.evaluate([SCHEMA, change])
    assert changed.failed == ()
    after = oracle.fingerprint(changed.dbname)
    assert before.get(section) != after.get(section)


def test_equal_contents_have_equal_fingerprints_and_dumps(oracle: oracles.Oracle) -> None:
    # Other object ids, other column numbers, another physical order.
    detour = """create table gone (id serial); drop table gone;
        alter table a add x integer; alter table a drop x;
        delete from a; insert into a values (2, null, ''); insert into a values (1, 1, 'one');
        drop view v; create view v as select id from a"""
    plain = oracle.evaluate([SCHEMA]).dbname
    before = oracle.fingerprint(plain), oracle.dump(plain)
    other = oracle.evaluate([SCHEMA, detour])
    assert other.failed == ()
    assert (oracle.fingerprint(other.dbname), oracle.dump(other.dbname)) == before


@pytest.mark.parametrize(
    "change", ["insert into a values (3)", "select nextval('s')", "alter function f() stable"]
)
def test_a_dump_shows(oracle: oracles.Oracle, change: str) -> None:
    plain = oracle.dump(oracle.evaluate([SCHEMA]).dbname)
    changed = oracle.dump(oracle.evaluate([SCHEMA, change]).dbname)
    assert plain != changed
    assert contents.pieces(plain) != contents.pieces(changed)


def test_the_order_of_objects_in_a_dump_does_not_count(oracle: oracles.Oracle) -> None:
    made = oracle.evaluate(["create table a (b int); create table c (d int); create sequence s"])
    dump = oracle.dump(made.dbname)
    begin, *pieces = dump.split("--\n-- Name: ")
    turned = "--\n-- Name: ".join([begin, *reversed(pieces)])
    assert turned != dump
    assert contents.pieces(turned) == contents.pieces(dump)


def test_a_fingerprint_changes_nothing(oracle: oracles.Oracle) -> None:
    run = oracle.evaluate([SCHEMA])
    with oracle.address(run.dbname).connect() as connection:
        shown = connection.execute("show timezone").fetchone()
        first = contents.fingerprint(connection)
        assert contents.fingerprint(connection) == first
        assert connection.execute("show timezone").fetchone() == shown


def test_an_address_carries_its_password() -> None:
    address = contents.Address(host="/run", port=1, user="u", dbname="d", password="p")
    assert address.environment() == {
        "PGHOST": "/run",
        "PGPORT": "1",
        "PGUSER": "u",
        "PGDATABASE": "d",
        "PGPASSWORD": "p",
    }


@FEW
@given(notebook=generators.notebooks())
def test_generated_notebooks_run_and_run_alike(
    oracle: oracles.Oracle, notebook: generators.Notebook
) -> None:
    run = oracle.evaluate(notebook.sources)
    # With roles a run's database is gone when the next one begins.
    before = oracle.fingerprint(run.dbname)
    # Without the cells that fail there is nothing else to see: they leave no trace, unless in an
    # open transaction, which they abort.
    seen = [one.ok or one.inside for one in run.cells]
    kept = [cell.source for cell, stays in zip(notebook.cells, seen, strict=True) if stays]
    again = oracle.evaluate([*kept, "-- another run"])
    assert again.failed == ()
    assert again.cells[:-1] == tuple(cell for cell in run.cells if cell.ok or cell.inside)
    assert oracle.fingerprint(again.dbname) == before


@FEW
@given(notebook=generators.notebooks(max_cells=5), blank=st.sampled_from(generators.BLANKS))
def test_reformatting_means_nothing(
    oracle: oracles.Oracle, notebook: generators.Notebook, blank: str
) -> None:
    run = oracle.evaluate(notebook.sources)
    # With roles a run's database is gone when the next one begins.
    before = oracle.fingerprint(run.dbname)
    other = oracle.evaluate([generators.reformatted(text, blank) for text in notebook.sources])
    assert [cell.results for cell in other.cells] == [cell.results for cell in run.cells]
    assert oracle.fingerprint(other.dbname) == before


@given(session=generators.sessions())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_edits_keep_ids_and_name_a_cell_to_run(session: generators.Session) -> None:
    before = session.notebook
    for edit in session.edits:
        cells = edit.notebook.cells
        ids = [cell.id for cell in cells]
        assert len(set(ids)) == len(ids)
        assert edit.head is None if not cells else edit.head in range(len(cells))
        new = set(ids) - {cell.id for cell in before.cells}
        assert len(new) == (edit.kind == "insert")
        before = edit.notebook


def test_an_error_behind_a_transaction_is_why_a_cell_leaves_no_trace(
    oracle: following.Oracle,
) -> None:
    cells = ["begin; select 1 / 0; commit; create table t (); selct 1", "begin; selct 1; commit"]
    run = oracle.follower.evaluate([*cells, "select to_regclass('t')"])
    assert run.failed == (0,)
    errors = [cell.error.sqlstate if cell.error else None for cell in run.cells]
    assert errors == ["42601", "42601", None]
    assert run.cells[2].results[0].rows == ((None,),)


@FEW
@given(notebook=generators.notebooks())
def test_following_cell_by_cell_is_running_from_the_top(
    oracle: following.Oracle, notebook: generators.Notebook, tmp_path: pathlib.Path
) -> None:
    scripts.write_files(tmp_path)
    for count in range(len(notebook.cells) + 1):
        run = oracle.follower.evaluate(notebook.sources[:count], str(tmp_path))
    found = oracle.follower.fingerprint()
    oracle.follower.close()
    assert oracle.follower.evaluate(notebook.sources, str(tmp_path)) == run
    assert oracle.follower.fingerprint() == found
