"""What is in a state, and what two states differ in: looked at on clones, so that nothing shows."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from tests import cellar as cellars

from pgcellar.api import catalogs, errors, records
from pgcellar.runner.looks import rows as row_looks
from pgcellar.runner.looks import service as looks

SCHEMA = [
    "create type mood as enum ('good', 'bad'); create domain age as int check (value > 0)",
    """create schema "Odd ""One"; create table "Odd ""One"."T t" (
         id int generated always as identity primary key, t text default 'x' not null,
         feels mood, twice int generated always as (length('ab') * 2) stored)""",
    'create table child (parent int references "Odd ""One"."T t", old age, check (parent > 0))',
    "create index on child (old desc) where old > 3; create unique index u on child (lower('a'))",
    'create view v as select id, t from "Odd ""One"."T t" where t <> \'y\'',
    "create function f(a int, b text default 'q') returns int language sql as 'select a'",
    "create aggregate agg (int) (sfunc = int4pl, stype = int, initcond = '0')",
    "create sequence s increment 5; comment on table child is 'of the parent'",
    "alter table child enable row level security; create policy p on child using (old > 1)",
    'insert into "Odd ""One"."T t" (t) select \'row \' || i from generate_series(1, 100) i',
]


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


def kept(cellar: cellars.Cellar, cells: list[str], notebook: str = "n", **more: Any) -> str:
    """The state after some cells, which is kept."""
    ran = cellar.run(cells, notebook=notebook, **more)
    assert ran.done.error is None, ran.done.error
    cellar.quiet(notebook)
    assert ran.head.state is not None
    assert cellar.space().snapshots.find(ran.head.state) is not None
    return ran.head.state


def detail(cellar: cellars.Cellar, state: str) -> catalogs.StateDetail:
    """The schema of a state, as it comes over the wire."""
    found = cellar.call(looks.Looks(cellar.runner.using).detail(cellars.OWNER, state))
    assert records.from_json(catalogs.StateDetail, records.to_json(found)) == found
    return found  # type: ignore[no-any-return]


def diff(cellar: cellars.Cellar, before: str, after: str) -> catalogs.StateDiff:
    """What two states differ in."""
    found = cellar.call(looks.Looks(cellar.runner.using).diff(cellars.OWNER, before, after))
    return found  # type: ignore[no-any-return]


def members(change: catalogs.ObjectChange) -> dict[str, tuple[str | None, str | None]]:
    """What differs of an object."""
    return {each.member: (each.before, each.after) for each in change.members}


def test_a_schema(cellar: cellars.Cellar) -> None:
    """Tables with columns, keys, indexes and sizes; views, functions, types, sequences."""
    state = kept(cellar, SCHEMA)
    found = detail(cellar, state)
    relations = {relation.name: relation for relation in found.relations}
    table, child, view = (relations[name] for name in ("T t", "child", "v"))
    assert (table.schema, table.kind, table.key, table.owner) == (
        'Odd "One', "table", ("id",), "pgcellar",
    )  # fmt: skip
    columns = {column.name: column for column in table.columns}
    assert columns["id"] == catalogs.ColumnInfo(
        name="id", type="integer", nullable=False, identity="always"
    )
    assert (columns["t"].default, columns["feels"].type) == ("'x'::text", "public.mood")
    assert columns["twice"].generated is not None
    assert table.bytes > 0
    parts = {(part.kind, part.columns) for part in child.parts}
    assert {("foreign key", ("parent",)), ("check", ("parent",)), ("policy", ())} <= parts
    assert {("index", ("old",)), ("unique index", ())} <= parts
    assert (child.comment, child.options) == ("of the parent", {"row security": "enabled"})
    assert view.definition is not None
    assert "'y'" in view.definition
    functions = {function.name: function for function in found.functions}
    assert (functions["f"].arguments, functions["f"].returns) == ("a integer, b text", "integer")
    assert functions["agg"].kind == "aggregate"
    objects = {(each.kind, each.name): each for each in found.objects}
    assert objects["enum", "mood"].definition == "'good', 'bad'"
    assert "CHECK ((VALUE > 0))" in (objects["domain", "age"].definition or "")
    assert "INCREMENT 5" in (objects["sequence", "s"].definition or "")
    assert ("schema", 'Odd "One') in objects
    assert found.complete


def test_nothing_shows_that_somebody_looked(cellar: cellars.Cellar) -> None:
    """No clone is left, no use is counted, and the snapshot is what it was."""
    state = kept(cellar, SCHEMA)
    cellar.quiet()
    space = cellar.space()
    before = space.snapshots.find(state)
    databases = cellar.call(space.snapshots._driver.databases())  # type: ignore[attr-defined]
    detail(cellar, state)
    diff(cellar, state, space.snapshots.base)
    assert space.snapshots.find(state) == before
    assert cellar.call(space.snapshots._driver.databases()) == databases  # type: ignore[attr-defined]


def test_rows_with_a_key(cellar: cellars.Cellar) -> None:
    """Added, removed and changed ones; tables that are equal are only counted."""
    made = ["create table same as select 1 as a", "create table k (id int primary key, v text)",
            "insert into k select i, 'v' || i from generate_series(1, 20000) i"]  # fmt: skip
    changed = [*made, "update k set v = 'new' where id % 5000 = 0; delete from k where id = 7;"
               "insert into k values (-1, null)"]  # fmt: skip
    found = diff(cellar, kept(cellar, made), kept(cellar, changed))
    (table,) = found.tables
    assert (found.objects, found.equal, found.complete) == ((), 1, True)
    assert (table.name, table.key, table.columns) == ("k", ("id",), ("id", "v"))
    assert (table.before, table.after) == (20000, 20000)
    assert (table.added, table.removed, table.changed) == (1, 1, 4)
    shown = {(row.change, row.before, row.after) for row in table.sample}
    assert ("changed", ("5000", "v5000"), ("5000", "new")) in shown
    assert ("removed", ("7", "v7"), None) in shown
    assert ("added", None, ("-1", None)) in shown
    assert len(table.sample) == 6


def test_rows_without_a_key(cellar: cellars.Cellar) -> None:
    """By how often there is each; a table without columns has rows, too."""
    made = ["create table d (a int); insert into d values (1), (1), (1), (2), (null)",
            "create table none (); insert into none default values"]  # fmt: skip
    changed = [*made, "insert into d values (3), (3); delete from d where a = 1;"
               "insert into d values (1); insert into none default values"]  # fmt: skip
    found = diff(cellar, kept(cellar, made), kept(cellar, changed))
    table, none = found.tables
    assert (table.added, table.removed, table.changed) == (2, 2, 0)
    assert {(row.change, row.before, row.after) for row in table.sample} == {
        ("added", None, ("3",)), ("removed", ("1",), None),
    }  # fmt: skip
    assert (none.added, none.removed, none.sample[0].after) == (1, 0, ())


def test_schemas_differ(cellar: cellars.Cellar) -> None:
    """What was added, removed and altered; rows compare by the columns that both have."""
    made = ["create table a (id int primary key, x text, gone int); insert into a values (1, 'x')",
            "create table old as select 1 as one; create sequence s",
            "create function f() returns int language sql as 'select 1'"]  # fmt: skip
    changed = [
        *made,
        "alter table a drop gone, add extra text default 'e', alter id type bigint",
        "create index i on a (x); alter table a alter x set not null",
        "drop table old; create table new as select 2 as two",
        "create or replace function f() returns int language sql as 'select 2'",
        "select nextval('s'); create role teacher; grant select on a to teacher",
    ]
    found = diff(cellar, kept(cellar, made), kept(cellar, changed))
    objects = {(each.kind, each.name, each.change): members(each) for each in found.objects}
    altered = objects.pop(("table", "a", "changed"))
    assert altered["column gone"] == ("integer", None)
    assert altered["column extra"] == (None, "text DEFAULT 'e'::text")
    assert altered["column id"] == ("integer NOT NULL", "bigint NOT NULL")
    assert altered["index i"] == (None, "CREATE INDEX i ON public.a USING btree (x)")
    assert "teacher=r/pgcellar" in (altered["grants"][1] or "")
    assert set(objects) == {
        ("table", "old", "removed"), ("table", "new", "added"), ("function", "f()", "changed"),
        ("sequence", "s", "changed"),
    }  # fmt: skip
    before, after = objects["sequence", "s", "changed"]["definition"]
    assert (str(before)[-12:], str(after)[-4:]) == ("at its start", "at 1")
    tables = {table.name: table for table in found.tables}
    assert set(tables) == {"old", "new"}, "a's row is what it was, where both have it"
    assert (tables["old"].removed, tables["new"].added) == (1, 1)
    assert tables["new"].sample[0].after == ("2",)


def test_roles_have_their_names_in_each_state(cellar: cellars.Cellar) -> None:
    """Two states whose roles are not the same can be compared, and see their own."""
    text = (
        "create role {0}; grant all on schema public to {0};"
        "create table t (); alter table t owner to {0}"
    )
    one = kept(cellar, [text.format("bob")], "r1")
    other = kept(cellar, [text.format("eve")], "r2")
    found = diff(cellar, one, other)
    (change,) = (each for each in found.objects if each.kind == "table")
    assert members(change) == {"owner": ("bob", "eve")}


def test_what_may_not_be_read_is_said(cellar: cellars.Cellar) -> None:
    """Rows that a policy hides, or that nobody may read, are not compared in silence."""
    made = ["create role boss; grant all on schema public to boss",
            "create table t (a int); insert into t values (1), (2)",
            "alter table t enable row level security; alter table t force row level security",
            "create table equal (); create table shut (a int)",
            "alter table shut owner to boss; revoke all on shut from boss"]  # fmt: skip
    one = kept(cellar, made)
    other = kept(cellar, [*made, "create table more ()"])
    found = diff(cellar, one, other)
    reasons = {table.name: table.reason or "" for table in found.tables}
    assert "row-level security" in reasons["t"]
    assert not found.complete


def test_user_code_can_neither_write_nor_hold_it_up(
    cellar: cellars.Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cast of the user's runs when rows become text; it gets no farther than a query may."""
    monkeypatch.setattr(looks, "DIFF_SECONDS", 3.0)
    made = [
        "create table log (a int); create type odd as (a int)",
        """create function shown(odd) returns text language plpgsql as $$
           begin begin insert into log values (1); exception when others then null; end;
           perform pg_sleep(600); return 'x'; end $$""",
        "create cast (odd as text) with function shown(odd)",
        "create table t (o odd); insert into t values (row(1)::odd)",
    ]
    one = kept(cellar, made)
    other = kept(cellar, [*made, "insert into t values (row(2)::odd)"])
    # A row's text is its members' output; only a sample asks for the cast.
    found = diff(cellar, one, other)
    assert [(table.name, table.added, table.sample) for table in found.tables] == [("t", 1, ())]
    assert cellar.run(["select count(*) from log"], notebook="x").done.error is not None
    assert cellar.run([*made, "select count(*) from log"]).results[-1].rows == (("0",),)


def test_too_many_rows_are_not_all_compared(
    cellar: cellars.Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen is said, and that it is not all."""
    monkeypatch.setattr(row_looks, "MAX_DIGESTS", 1000)
    made = ["create table b as select i from generate_series(1, 30000) i"]
    found = diff(cellar, kept(cellar, made), kept(cellar, [*made, "update b set i = -i"]))
    (table,) = found.tables
    assert (table.before, table.after, table.complete) == (30000, 30000, False)
    assert table.reason is not None
    assert 0 < (table.added or 0) <= 1000
    assert not found.complete


def test_a_state_that_is_not_kept(cellar: cellars.Cellar) -> None:
    """Is said to be so, with what to do."""
    base = cellar.space().snapshots.base
    with pytest.raises(errors.NotFound, match="not kept") as caught:
        detail(cellar, "0" * 64)
    assert caught.value.hint is not None
    with pytest.raises(errors.Conflict, match="not kept"):
        diff(cellar, base, "0" * 64)
    assert diff(cellar, base, base).equal == 0


def test_pins_and_tags(cellar_home: pathlib.Path) -> None:
    """Are not evicted; outlive the sandbox and the service; are bounded."""
    cells = [f"create table t{i} as select {i} as i" for i in range(6)]
    with cellars.Cellar(cellar_home, snapshot_count=3) as cellar:
        cache = cellar.space().snapshots
        states = [kept(cellar, cells[:1])]
        cellar.call(cache.pin(states[0]))  # type: ignore[attr-defined]
        states.append(kept(cellar, cells[:2]))
        cellar.call(cache.tag(states[1], "exam"))  # type: ignore[attr-defined]
        states += [kept(cellar, cells[: i + 1]) for i in range(2, 6)]
        assert [bool(cache.find(state)) for state in states] == [True, True, *[False] * 3, True]
        with pytest.raises(errors.NotFound):
            cellar.call(cache.tag(states[3], "x"))  # type: ignore[attr-defined]
        cellar.call(cache.tag(states[5], "exam"))  # type: ignore[attr-defined]
        assert cache.pins.tags(states[1]) == ()  # type: ignore[attr-defined]
        with pytest.raises(errors.NotFound):
            cellar.call(cache.pins.untag(states[1], "exam"))  # type: ignore[attr-defined]
        cellar.kill_sandbox()
        kept(cellar, cells[:1], rerun=True)
        assert cellar.space().snapshots.pins.pinned(states[0])  # type: ignore[attr-defined]
    with cellars.Cellar(cellar_home, snapshot_count=3) as cellar:
        cache = cellar.space().snapshots
        assert cache.pins.states == {states[0], states[5]}  # type: ignore[attr-defined]
        assert cache.find(states[0]) is not None


def test_pins_are_bounded(cellar_home: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In number, and in bytes: there is room for what comes next."""
    from pgcellar.snapshots import pins

    monkeypatch.setattr(pins, "MAX_STATES", 1)
    with cellars.Cellar(cellar_home, snapshot_bytes=64 << 20) as cellar:
        cache = cellar.space().snapshots
        first = kept(cellar, ["create table a ()"])
        cellar.call(cache.pin(first))  # type: ignore[attr-defined]
        second = kept(cellar, ["create table b ()"])
        with pytest.raises(errors.LimitExceeded, match="most there may be"):
            cellar.call(cache.pin(second))  # type: ignore[attr-defined]
        cellar.call(cache.tag(first, "again"))  # type: ignore[attr-defined]
        cellar.call(cache.pins.unpin(first))  # type: ignore[attr-defined]
        cellar.call(cache.pins.untag(first, "again"))  # type: ignore[attr-defined]
        big = kept(
            cellar, ["create table c as select repeat('x', 2000) from generate_series(1, 15000)"]
        )
        with pytest.raises(errors.LimitExceeded, match="MiB"):
            cellar.call(cache.pin(big))  # type: ignore[attr-defined]
