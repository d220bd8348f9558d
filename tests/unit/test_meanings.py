"""pgcellar.notebook.meanings: what literals in functions hang on, and what changes it."""

from __future__ import annotations

import pytest

from pgcellar.notebook import cells, effects, meanings, statements

DATE = "'01/02/2024'::date"
RECORD = "language plpgsql as $$ declare r record; begin "


def use(text: str) -> meanings.Use:
    """The use of one statement."""
    (statement,) = statements.split(text)
    return effects.predict(statement).meanings


@pytest.mark.parametrize(
    "text",
    [
        f"create function f() returns date language plpgsql as $$ begin return {DATE}; end $$",
        f"create procedure f() language sql as $$ select {DATE} $$",
        "create function f() returns date language sql as 'select ''01/02/2024''::date'",
        "create function f() returns date language sql as $$ select $q$1/2/2024$q$::date $$",
        "create function f() returns date language sql as $$ select date '\\x31' $$",
        "create function f() returns date language sql as $$ select e'\\061/2/2024'::date $$",
        "create function f() returns date language sql as $$ select 'today'::date $$",
        f"do $$ begin create function f() returns date as 'select {DATE}' language sql; end $$",
        "insert into commands values ('create function f() …', '1/2/2024')",
    ],
)
def test_literals_that_hang_on_settings(text: str) -> None:
    assert use(text).literals


@pytest.mark.parametrize(
    "text",
    [
        "select '01/02/2024'::date",
        "create table t (d date default '01/02/2024')",
        "create function f(d date default '01/02/2024') returns date language sql as 'select d'",
        f"create function f() returns date language sql return {DATE}",
        f"create function f() returns date language sql begin atomic select {DATE}; end",
        "create function f() returns int language plpgsql as $$ begin return 1; end $$",
        "create function f() returns text language sql as $$ select 'a' || 2 -- '1' $$",
        "drop function f",
        "comment on function f is 'since 2024'",
        f"do $$ begin perform {DATE}; end $$",
    ],
)
def test_literals_that_do_not(text: str) -> None:
    assert not use(text).literals


@pytest.mark.parametrize(
    ("text", "frozen"),
    [
        ("create function f() returns date language sql as $$ select 'today'::date $$", True),
        ("create function f() returns date language sql as $$ select 'now 10:00'::date $$", True),
        ("create function f() returns date language sql as $$ select e'\\x6e' $$", True),
        ("create function f() returns text language sql as $$ select 'not now' $$", False),
        ("create function f() returns date language sql as $$ select current_date $$", False),
        ("select 'today'::date", False),
        (
            f"create function f(text) returns int {RECORD}execute $1 into r; return r.a; end $$",
            True,
        ),
        (f"create procedure f(text) {RECORD}for r in execute $1 loop x := R . a; end $$", True),
        (
            f"do $d$ begin create function f() {RECORD}execute 'x' into r; a := r.a; end $$ $d$",
            True,
        ),
        (
            f"create function f(text) returns int {RECORD}select 1 as a into r; return r.a; end $$",
            False,
        ),
        (
            f"create function f(text) returns record {RECORD}execute $1 into r; return r; end $$",
            False,
        ),
    ],
)
def test_clocks_that_stand_still(text: str, frozen: bool) -> None:
    assert use(text).frozen is frozen


@pytest.mark.parametrize(
    "text",
    [
        "set datestyle = 'DMY'",
        'SET "DateStyle" TO German',
        "set local intervalstyle = 'sql_standard'",
        "set session timezone = 'UTC'",
        "set time zone 'UTC'",
        "set local time zone local",
        "set xml option document",
        "set plpgsql.variable_conflict = 'use_column'",
        "reset datestyle",
        "reset all",
        "discard all",
        "select set_config('DateStyle', 'DMY', false)",
        "select set_config(name, 'DMY', false) from settings",
        "update pg_settings set setting = 'DMY' where name ~ 'style'",
        "update pg_catalog.pg_settings set setting = 'DMY'",
        "do $$ begin set datestyle = 'DMY'; end $$",
        "do $$ begin set /* so */ datestyle = 'DMY'; end $$",
        "do $$ begin execute 'set ' || 'date' || 'style = dmy'; end $$",
        "select run('set datestyle = dmy')",
    ],
)
def test_what_changes_settings(text: str) -> None:
    assert use(text).shifts


@pytest.mark.parametrize(
    "text",
    [
        "set work_mem = '6MB'",
        "set search_path = s",
        "reset work_mem",
        "discard temp",
        "select set_config('work_mem', '6MB', false)",
        "update people set timezone = 'UTC'",
        "insert into people values (1) on conflict (id) do update set timezone = 'UTC'",
        "select timezone('UTC', now()), timezone from people",
        "create table people (timezone text)",
        "alter database pgcellar set timezone = 'UTC'",
        "insert into tasks values ('set all prices')",
        "create function f() returns int language plpgsql as $$ begin -- set all\n return 1;"
        " end $$",
        "create function f() returns int language plpgsql as $$ begin -- set it for all\n return 1;"
        " end $$",
        "alter role alice set datestyle = 'DMY'",
        "select * from pg_settings where name = 'DateStyle'",
        "begin",
    ],
)
def test_what_does_not(text: str) -> None:
    assert not use(text).shifts


def test_what_a_definition_may_change_later() -> None:
    function = "create function f() returns date language sql set datestyle = 'DMY' as $$ {} $$"
    assert use(function.format("select d from t")).shifts_later
    assert not use("set datestyle = 'DMY'").shifts_later
    assert not use("select set_config('datestyle', 'DMY', false)").shifts_later
    assert use("prepare p as select set_config('datestyle', $1, false)").shifts_later
    # What ends with the transaction.
    assert use("set local datestyle = 'DMY'").shifts_later
    assert use("select set_config('datestyle', 'DMY', true)").shifts_later


LITERAL = meanings.Use(literals=True)
SHIFT = meanings.Use(shifts=True)
LATER = meanings.Use(shifts=True, shifts_later=True)


@pytest.mark.parametrize(
    ("used", "differs"),
    [
        ([], False),
        ([SHIFT, LITERAL], False),
        ([LITERAL, SHIFT], True),
        ([LITERAL, LATER], True),
        ([LATER, LITERAL], True),
        ([LITERAL, LITERAL], False),
        ([meanings.Use(frozen=True)], True),
        ([LITERAL, SHIFT, meanings.NONE], True),
    ],
)
def test_memory(used: list[meanings.Use], differs: bool) -> None:
    memory = meanings.foreseen(meanings.NOTHING, [tuple(used)])
    assert memory.differs is differs
    assert memory.renewed().differs is False
    assert memory.renewed().literals is memory.literals


def test_cells() -> None:
    """What is followed step by step is known in its order, and of the rest its text."""
    assert cells.parse("select 1; set datestyle = 'DMY'; select 2").meanings == (SHIFT,)
    assert cells.parse("select 1").meanings == ()
    (found,) = cells.parse("\\set x 1\nset :x = 'DMY';").meanings
    assert found.shifts_later
    assert found.changed == {"*"}
    (found,) = cells.parse(f"\\set x 1\ncreate function f() as $$ {DATE} $$;").meanings
    assert found.literals


def plpgsql(body: str) -> str:
    return f"create function f() returns int language plpgsql as $$ {body} $$"


TYPED = (plpgsql("declare x t.a%type; begin return x; end"), plpgsql("declare x d; begin end"))


@pytest.mark.parametrize(
    ("change", "differ"),
    [
        ("alter table t alter column a type numeric", (True, False)),
        ("alter table t drop column b", (True, False)),
        ("alter table t rename a to b", (True, False)),
        ("alter table t set schema s", (True, False)),
        ("drop table if exists t, u", (True, False)),
        ("drop table s.t", (True, False)),
        ("drop domain d", (False, True)),
        ("drop type d cascade", (False, True)),
        ("alter type d rename to e", (False, True)),
        ("drop schema s cascade", (True, True)),
        ("drop extension citext", (True, True)),
        ("do $$ begin drop table if exists u; end $$", (True, True)),
        ("set search_path = s", (True, True)),
        ("select set_config('search_path', 's', false)", (True, True)),
        ("discard all", (True, True)),
        ("alter table t add column b int", (False, False)),
        ("alter table u alter column b type numeric", (False, False)),
        ("drop table u", (False, False)),
        ("drop index t", (False, False)),
        ("drop function t()", (False, False)),
        ("create table t (a int)", (False, False)),
        ("select current_setting('search_path')", (False, False)),
        ("update t set a = 1", (False, False)),
    ],
)
def test_types_that_are_looked_up_once(change: str, differ: tuple[bool, bool]) -> None:
    """That of a column, and one that is named."""
    used = use(change)
    for text, differs in zip(TYPED, differ, strict=True):
        memory = meanings.NOTHING.after(use(text))
        assert memory.holds
        assert memory.after(used).differs is differs
    assert not meanings.NOTHING.after(used).after(use(TYPED[0])).differs
    many = use(plpgsql(" ".join(f"w{i}" for i in range(600)) + " x t.a%type"))
    assert meanings.NOTHING.after(many).after(used).differs is (used is not meanings.NONE)
    # Those of PostgreSQL's own are found wherever one looks.
    own = plpgsql("declare n int; s text := 'a'; at timestamp with time zone; begin end")
    assert not meanings.NOTHING.after(use(own)).after(use("set search_path = s")).differs
    # SQL takes no types by name.
    sql = "create function f() returns int language sql as $$ select 1 as t, 2 as d $$"
    assert not meanings.NOTHING.after(use(sql)).after(used).differs


def test_types_of_rows() -> None:
    """What a record held first, and what a trigger read."""
    record = use(plpgsql("declare r record; begin select * into r from t; return r.a; end"))
    row = use(plpgsql("begin insert into u values (old.b); new.a := New.a + 1; return new; end"))
    for change, differ in (
        ("alter table t alter a type numeric", (True, True)),
        ("alter table t alter c type numeric", (True, False)),
        ("drop table t", (True, False)),
        ("drop table u", (False, False)),
    ):
        for used, differs in zip((record, row), differ, strict=True):
            memory = meanings.NOTHING.after(used)
            assert memory.after(use(change)).differs is differs
