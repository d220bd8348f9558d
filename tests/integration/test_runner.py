"""The runner in process: which cells it runs, on which instance, and what it says of them."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable, Iterator

import pytest
from tests import cellar as cellars


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


TABLE = "create table t (a int)"
FILL = "insert into t select generate_series(1, 5)"
COUNT = "select count(*) from t"


def test_an_instance_stands_where_an_edit_is_expected(cellar: cellars.Cellar) -> None:
    """In idle time the tail of the last head is prepared again, kept or not."""
    cells = [TABLE, FILL, "insert into t values (6)"]
    before = [cellar.run(cells, head, notebook="edit").head.state for head in range(3)][1]
    held = cellar.space().notebook("edit")
    until(lambda: any(instance.mark.state == before for instance in held.instances))
    ran = cellar.run([*cells[:2], "insert into t values (7), (8)"], notebook="edit")
    assert ran.done.totals.replayed == 0
    assert cellar.run([*cells[:2], COUNT], notebook="edit").results[0].rows == (("5",),)


def test_kept_states_below_a_read_of_which_nothing_is_known(cellar: cellars.Cellar) -> None:
    """A new uncertain read above runs, and then the states below it are found again."""
    function = "create function f() returns int language sql as 'select 1'"
    slow = "insert into t select generate_series(1, 5) from pg_sleep(1)"
    cells = [TABLE, function, slow, "insert into t values (6)", COUNT]
    for head in range(5):
        cellar.run(cells, head, notebook="below")
    cellar.quiet("below")
    edited = [*cells[:2], "select f()", *cells[2:]]
    ran = cellar.run(edited, notebook="other")
    assert ran.sources[2:4] == ["replayed", "hit"]
    assert ran.done.totals.hits == ran.sources.count("hit")
    assert ran.done.totals.replayed == ran.sources.count("replayed")
    assert ran.results[0].rows == (("6",),)
