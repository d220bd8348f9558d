"""A file that a notebook writes and reads again holds what the notebook gives now."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from tests import cellar as cellars
from tests import following
from tests.integration import test_equals_oracle

READERS = {
    "copy": "create table u (a int);\n\\copy u from './x.txt'\n",
    "include": "\\i x.txt\n",
}
CELLS = {
    "copy": ["create table t as select 1 as a", "\\copy t to 'x.txt'"],
    "include": [
        "create table t as select 'create table u as select 1 as a;' as a",
        "\\copy t to 'x.txt'",
    ],
}


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


@pytest.mark.parametrize("reader", READERS)
def test_below_an_edit_it_is_written_first(
    cellar: cellars.Cellar, oracle: following.Oracle, tmp_path: pathlib.Path, reader: str
) -> None:
    """In order a notebook runs as in psql; what is left from before an edit is not read."""
    cells = [*CELLS[reader], READERS[reader], "select a from u"]
    key, folder = f"round {reader}", str(tmp_path)
    where = {"notebook": key, "directory": folder}
    for head in range(4):
        test_equals_oracle.check(cellar, oracle, key, cells, head, folder)
    edited = [cells[0].replace("1 as a", "2 as a"), *cells[1:]]
    (tmp_path / "x.txt").unlink()
    cellar.run(cells, 1, rerun=True, **where)
    for head in (3, 2):
        error = cellar.run(edited, head, **where).done.error
        assert error is not None
        assert error.cell == "c2"
        assert "not what cell c1 above writes to it now" in error.message
        assert error.hint is not None
        assert error.hint.startswith("Run that cell first")
    for head in (1, 2, 3):
        assert cellar.run(edited, head, **where).done.error is None
    assert cellar.run(edited, 3, **where).results[0].rows == (("2",),)
    assert cellar.run(cells, 3, **where).done.error is not None
    assert cellar.run(cells, 1, **where).done.error is None
    assert cellar.run(cells, 3, **where).results[0].rows == (("1",),)


def test_not_if_somebody_else_changed_it(cellar: cellars.Cellar, tmp_path: pathlib.Path) -> None:
    """From the top it would be written over; and not if nobody ever wrote it."""
    cells = [*CELLS["copy"], READERS["copy"], "select a from u"]
    where = {"notebook": "changed", "directory": str(tmp_path)}
    error = cellar.run(cells, 3, **where).done.error
    assert error is not None
    assert "not what cell c1" in error.message
    assert cellar.run(cells, 1, **where).done.error is None
    (tmp_path / "x.txt").write_text("7\n")
    error = cellar.run(cells, 3, **where).done.error
    assert error is not None
    assert "not what cell c1" in error.message
    assert cellar.run(cells, 1, rerun=True, **where).done.error is None
    assert cellar.run(cells, 3, **where).results[0].rows == (("1",),)


def test_in_one_cell(cellar: cellars.Cellar, tmp_path: pathlib.Path) -> None:
    """Its writing is skipped in the tail."""
    cells = [CELLS["copy"][0], f"{CELLS['copy'][1]}\n{READERS['copy']}"]
    error = cellar.run(cells, directory=str(tmp_path), notebook="one").done.error
    assert error is not None
    assert "the same cell writes and reads" in error.message


def test_a_file_that_is_written_below(cellar: cellars.Cellar, tmp_path: pathlib.Path) -> None:
    """It is read as it is."""
    (tmp_path / "x.txt").write_text("7\n")
    cells = [READERS["copy"], "\\copy (select 8) to 'x.txt'", "select a from u"]
    where = {"notebook": "below", "directory": str(tmp_path)}
    assert cellar.run(cells, 2, **where).results[0].rows == (("7",),)
