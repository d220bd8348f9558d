"""The names a head finds: those of the nearest state above it, looked up without a trace."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Iterator

import pytest
from tests import cellar as cellars

from pgcellar.api import errors, names, records
from pgcellar.runner.looks import names as name_looks

CELLS = [
    "create schema shop; create table shop.items (id int primary key, price numeric(10, 2));"
    "comment on table shop.items is 'what is sold'; comment on column shop.items.price is 'in EUR'",
    "create type mood as enum ('good', 'b''ad'); create domain positive as int check (value > 0);"
    "create function tax(amount numeric, rate numeric default 0.2) returns numeric language sql"
    " as 'select amount * rate'; comment on function tax is 'what the state takes'",
    "set search_path = shop, public",
    "select 1",
]


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


def asked(cells: list[str], *known: str, notebook: str = "n") -> names.NamesRequest:
    """What a kernel asks for below some cells."""
    run = records.RunRequest(
        notebook=notebook,
        cells=tuple(
            records.Cell(id=f"c{number}", source=source)
            for number, source in enumerate([*cells, ""], start=1)
        ),
        head=len(cells),
    )
    return names.NamesRequest(run=run, known=known)


def find(cellar: cellars.Cellar, request: names.NamesRequest) -> names.NamesFound:
    """What is answered, as it comes over the wire."""
    found = cellar.call(name_looks.NameLooks(cellar.runner).find(cellars.OWNER, request))
    assert records.from_json(names.NamesFound, records.to_json(found)) == found
    return found  # type: ignore[no-any-return]


def test_names_of_the_state_above(cellar: cellars.Cellar) -> None:
    """Tables with columns and comments, functions as they are called, types, the search path."""
    assert cellar.run(CELLS).done.error is None
    cellar.quiet()
    found = find(cellar, asked(CELLS))
    assert found.left == 0
    assert found.names is not None
    assert (found.names.state, found.names.complete) == (found.state, True)
    assert found.names.search_path == "shop, public"
    assert {"shop", "public", "pg_catalog"} <= set(found.names.schemas)
    (items,) = found.names.relations
    assert (items.schema, items.name, items.key, items.comment) == (
        "shop", "items", ("id",), "what is sold",
    )  # fmt: skip
    assert [(each.name, each.type, each.comment) for each in items.columns] == [
        ("id", "integer", None),
        ("price", "numeric(10,2)", "in EUR"),
    ]
    (tax,) = found.names.routines
    assert (tax.arguments, tax.returns, tax.comment) == (
        "amount numeric, rate numeric DEFAULT 0.2", "numeric", "what the state takes",
    )  # fmt: skip
    kinds = {each.name: (each.kind, each.labels, each.definition) for each in found.names.types}
    assert kinds["mood"] == ("enum", ("good", "b'ad"), None)
    assert kinds["positive"] == ("domain", (), "integer")
    # Who has them is not told them again.
    again = find(cellar, asked(CELLS, found.state))
    assert (again.state, again.left, again.names) == (found.state, 0, None)


def test_the_nearest_state_above_is_taken_and_nothing_runs(cellar: cellars.Cellar) -> None:
    """Cells that did not run, failed or are kept nowhere are counted, and not run."""
    assert cellar.run(CELLS).done.error is None
    cellar.quiet()
    kept = find(cellar, asked(CELLS))
    below = [*CELLS, "create table never (a int)", "select pg_sleep(100)"]
    found = find(cellar, asked(below))
    assert (found.state, found.left) == (kept.state, 2)
    other = find(cellar, asked(["create table other (a int)", "selct 1"]))
    assert (other.state, other.left) == (cellar.space().snapshots.base, 2)
    assert other.names is not None
    assert other.names.relations == ()


def test_a_pinned_state_is_not_disturbed(cellar: cellars.Cellar) -> None:
    """A transaction stays open; what it did is not seen, and the count says so."""
    cells = ["create table before (a int)", "begin; create table within (a int)"]
    for head in (1, 2):
        assert cellar.run(cells[:head], notebook="pinned").done.error is None
        cellar.quiet("pinned")
    found = find(cellar, asked(cells, notebook="pinned"))
    assert found.left == 1
    assert found.names is not None
    assert [each.name for each in found.names.relations] == ["before"]
    ran = cellar.run([*cells, "select count(*) from within"], notebook="pinned")
    assert ran.done.error is None
    assert ran.done.totals.replayed == 0


def test_nothing_shows_that_names_were_asked_for(cellar: cellars.Cellar) -> None:
    """No clone is left, and no use is counted."""
    assert cellar.run(CELLS).done.error is None
    cellar.quiet()
    space = cellar.space()
    before = [space.snapshots.find(each.state) for each in space.snapshots.all()]
    databases = cellar.call(space.snapshots._driver.databases())  # type: ignore[attr-defined]
    find(cellar, asked(CELLS))
    assert [space.snapshots.find(each.state) for each in space.snapshots.all()] == before
    assert cellar.call(space.snapshots._driver.databases()) == databases  # type: ignore[attr-defined]


def test_a_look_goes_on_when_who_asked_has_left(cellar: cellars.Cellar) -> None:
    """So that the next key stroke finds its answer, however long it takes."""
    assert cellar.run(CELLS).done.error is None
    cellar.quiet()
    looks = name_looks.NameLooks(cellar.runner)

    async def leave_and_come_again() -> names.NamesFound:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await looks.find(cellars.OWNER, asked(CELLS))
        ((_, task),) = looks._tasks.items()
        await task
        async with asyncio.timeout(1):
            return await looks.find(cellars.OWNER, asked(CELLS))

    assert cellar.call(leave_and_come_again()).names is not None


def test_what_postgresql_brings(cellar: cellars.Cellar) -> None:
    """Functions that people call, with signatures and comments; types, keywords, settings."""
    assert cellar.run(["select 1"]).done.error is None
    found = cellar.call(name_looks.NameLooks(cellar.runner).vocabulary(cellars.OWNER))
    assert records.from_json(names.Vocabulary, records.to_json(found)) == found
    called = {each.name for each in found.routines}
    assert {"lower", "count", "sum", "max", "now", "generate_series", "row_number", "left",
            "jsonb_agg", "to_char", "gen_random_uuid", "string_agg", "abs"} <= called  # fmt: skip
    assert not {"int4pl", "int4in", "btint4cmp", "array_agg_transfn"} & called
    lower = [each for each in found.routines if each.name == "lower" and each.arguments == "text"]
    assert [(each.returns, each.comment) for each in lower] == [("text", "lowercase")]
    assert {"int4", "text", "jsonb", "timestamptz"} <= {each.name for each in found.types}
    assert {("select", "R"), ("between", "C")} <= {
        (each.word, each.category) for each in found.keywords
    }
    settings = {each.name: each for each in found.settings}
    assert settings["work_mem"].type == "integer"
    assert "replica" in settings["session_replication_role"].values
    relations = {(each.schema, each.name) for each in found.relations}
    assert {("pg_catalog", "pg_class"), ("information_schema", "columns")} <= relations


def test_no_sandbox_is_started(cellar: cellars.Cellar) -> None:
    """Somebody who only types gets what is at hand."""
    looks = name_looks.NameLooks(cellar.runner)
    with pytest.raises(errors.Conflict, match="No sandbox runs"):
        cellar.call(looks.find("nobody", asked(["select 1"])))
    with pytest.raises(errors.Conflict, match="No sandbox runs"):
        cellar.call(looks.vocabulary("nobody"))
