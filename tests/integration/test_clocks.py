"""What reads the clock in ways that its text does not show: frozen, and marked.

Results remembered and the database never part: after a volatile state is lost, it is another one.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from tests import cellar as cellars


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


SAID = "create table s (a text); insert into s values ('n' || 'ow')"
READ = "select a::timestamptz as z from s"
CONVERTER = """create function f(x text) returns timestamptz language plpgsql as
    $$ declare z timestamptz; begin z := x; return z; end $$"""
LOADED = r"\copy s from 'f.csv'"


@pytest.mark.parametrize(
    "cells",
    [
        [SAID, f"create table u as {READ}"],
        ["create table u as select ('n' || 'ow')::timestamptz as z"],
        ["create table u (z timestamptz)", "insert into u values ('_now')"],
        [SAID, "create table u as select xmin::text as z from s"],
        ["create table u as select pg_current_snapshot()::text as z"],
        ["create table u as select max(backend_start) as z from pg_stat_activity"],
        ["create table u as select pg_current_wal_lsn() as z"],
        [SAID, f"create view v as {READ}", "create table u as select * from v"],
        ["create table s (a text)", LOADED, f"create table u as {READ}"],
        ["create table s (z timestamptz)", LOADED, "create table u as select z from s"],
        ["create table s (a text)", "copy s from stdin;\nnow\n\\.\n", f"create table u as {READ}"],
        [CONVERTER, "create table u as select f('no' || 'w') as z"],
    ],
)
def test_a_lost_state_is_another_one(
    cellar: cellars.Cellar, tmp_path: pathlib.Path, cells: list[str]
) -> None:
    """A result remembered for the old one is not shown beside the new one."""
    (tmp_path / "f.csv").write_text("now\n")
    look, compute = "select z from u", "select z, 1 from u"
    where = {"notebook": "lost", "directory": str(tmp_path)}
    for head in range(len(cells)):
        ran = cellar.run(cells, head, **where)
        assert ran.done.error is None
    assert any(cell.volatile for cell in ran.done.cells)
    first = cellar.run([*cells, look], **where)
    lose(cellar, "lost")
    again = cellar.run([*cells, look], **where)
    beside = cellar.run([*cells, compute], **where)
    assert again.head.state != first.head.state
    assert again.results[0].rows[0][0] == beside.results[0].rows[0][0]


def test_loading_texts_and_reading_dates_is_not_volatile(
    cellar: cellars.Cellar, tmp_path: pathlib.Path
) -> None:
    """As everybody does."""
    (tmp_path / "f.csv").write_text("2020-01-01,known\n2020-02-01,nowhere\n")
    cells = ["create table s (a text, b text)", r"\copy s from 'f.csv' csv"]
    cells += ["create table u as select a::date as d, upper(b) as b from s where a is not null"]
    cells += ["update u set d = date_trunc('month', d)::date"]
    for head in range(len(cells)):
        ran = cellar.run(cells, head, notebook="loading", directory=str(tmp_path))
        assert ran.done.error is None, cells[head]
        assert not ran.head.volatile, cells[head]


def lose(cellar: cellars.Cellar, notebook: str) -> None:
    """Lose every state of a notebook but the base."""
    space = cellar.space()
    cellar.quiet(notebook)
    cellar.call(cellar.runner.forget(cellars.OWNER, notebook))
    for snapshot in list(space.snapshots.all()):
        if snapshot.state != space.snapshots.base:
            cellar.call(space.snapshots.forget(snapshot.state))
