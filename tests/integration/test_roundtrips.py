"""A file that a notebook writes and reads again holds what the notebook gives now."""

from __future__ import annotations

import json
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


def test_what_is_rolled_again(cellar: cellars.Cellar, tmp_path: pathlib.Path) -> None:
    """What a replay made is not what the file holds that the cell itself wrote."""
    cells = [
        "create table t (a float)",
        "\\copy (insert into t values (random()) returning a) to 'x'",
        "create table u (a float);\n\\copy u from 'x'",
        "select a = (select a from u) from t",
    ]
    where = {"notebook": "rolled", "directory": str(tmp_path)}
    for head in range(4):
        ran = cellar.run(cells, head, **where)
        assert ran.done.error is None
    assert ran.results[0].rows == (("t",),)
    cellar.kill_sandbox()
    error = cellar.run(cells, 3, **where).done.error
    assert error is not None
    assert error.cell == "c2"
    assert "not what cell c1 above writes" in error.message
    for head in (1, 2, 3):
        ran = cellar.run(cells, head, **where)
        assert ran.done.error is None
    assert ran.results[0].rows == (("t",),)


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


#: Ways to write and to read a file by \\copy, with the files beside the notebook.
FILES = {
    "w.sql": "\\copy t to 'x.txt'\n",
    "w2.sql": "select 1;\n\\i w.sql\n",
    "r.sql": "\\copy u from x.txt\n",
    "r2.sql": "\\set f r.sql\n\\i :f\n",
}
WRITERS = {
    "included": "\\i w.sql",
    "included within": "\\i 'w2.sql'",
    "behind a statement": "select 1; \\copy t to x.txt",
    "in a branch": "\\if 1\nselect 2;\n\\copy t to x.txt\n\\endif",
    "below what a query gave": "select 't' as n \\gset\n\\if :{?n}\n\\copy t to x.txt\n\\endif",
    "made by a variable": "\\set c '\\\\copy t to x.txt'\n:c",
}
LOADERS = {
    "included": "\\i r.sql",
    "by a variable": "\\i r2.sql",
    "in a branch": "select true as yes \\gset\n\\if :yes\n\\copy u from x.txt\n\\endif",
}


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("way", WRITERS)
def test_however_it_is_written_and_read(
    cellar: cellars.Cellar, oracle: following.Oracle, tmp_path: pathlib.Path, way: str, loader: str
) -> None:
    """From the top it is as in psql; below an edit, nothing that is left from before is read."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    first = ["create table t as select 1 as a; create table u (a int)"]
    cells = [*first, WRITERS[way], LOADERS[loader], "select a from u"]
    key, folder = f"{way} {loader}", str(tmp_path)
    where = {"notebook": key, "directory": folder}
    for head in range(4):
        test_equals_oracle.check(cellar, oracle, key, cells, head, folder)
    cellar.run(cells, 1, rerun=True, **where)
    edited = [cells[0].replace("1 as a", "2 as a"), *cells[1:]]
    for head in (3, 2):
        error = cellar.run(edited, head, **where).done.error
        assert error is not None
        assert error.cell == "c2"
        assert "not what cell c1 above writes to it now" in error.message
    assert cellar.run(edited, 1, **where).done.error is None
    assert cellar.run(edited, 3, **where).results[0].rows == (("2",),)


def test_a_state_that_was_made_of_what_is_not_written_any_more(
    cellar: cellars.Cellar, tmp_path: pathlib.Path
) -> None:
    """What is saved enters no state, so the state below stands; it is not that of the notebook."""
    cells = ["create table t (a int)", "\\copy (select 1) to 'x'", "\\copy t from 'x'", "table t"]
    where = {"notebook": "stands", "directory": str(tmp_path)}
    for head in range(4):
        assert cellar.run(cells, head, **where).done.error is None
    cellar.quiet("stands")
    edited = [cells[0], "\\copy (select 2) to 'x'", *cells[2:]]
    error = cellar.run(edited, 3, **where).done.error
    assert error is not None
    assert error.cell == "c2"
    assert cellar.run(edited, 1, **where).done.error is None
    assert cellar.run(edited, 3, **where).results[0].rows == (("2",),)


def test_it_is_known_after_a_restart(cellar_home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """What a cell wrote need not be written again while the file holds that."""
    cells = ["create table t (a int)", "\\copy (select 1) to 'x'", "\\copy t from 'x'", "table t"]
    where = {"notebook": "again", "directory": str(tmp_path)}
    for head in (1, 3):
        with cellars.Cellar(cellar_home) as made:
            assert made.run(cells, head, **where).done.error is None
    (tmp_path / "x").write_text("7\n")
    with cellars.Cellar(cellar_home) as made:
        assert made.run(cells, 3, **where).done.error is not None


def test_written_in_the_notebook_that_another_starts_from(
    cellar: cellars.Cellar, tmp_path: pathlib.Path
) -> None:
    """Its cells stand above, so the same holds of them."""
    (tmp_path / "w.sql").write_text("\\copy t to 'x'\n")
    base = tmp_path / "load.ipynb"

    def save(value: int) -> list[str]:
        sources = [f"create table t as select {value} as a", "\\i w.sql"]
        cells = [
            {"cell_type": "code", "id": f"b{i}", "metadata": {}, "source": text}
            for i, text in enumerate(sources)
        ]
        document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        base.write_text(json.dumps(document))
        return sources

    cells = ["\\base load.ipynb", "create table u (a int)", "\\copy u from 'x'", "table u"]
    where = {"notebook": str(tmp_path / "n.ipynb"), "directory": str(tmp_path)}
    above = {"notebook": str(base), "directory": str(tmp_path)}
    for value in (1, 2):
        sources = save(value)
        error = cellar.run(cells, 3, **where).done.error
        assert error is not None
        assert "not what cell load.ipynb:b1 above writes to it now" in error.message
        assert cellar.run(sources, 1, **above).done.error is None
        assert cellar.run(cells, 3, **where).results[0].rows == ((str(value),),)


def test_in_one_of_several_sessions(cellar: cellars.Cellar, tmp_path: pathlib.Path) -> None:
    """Each execution gives a state of its own; the files within files belong to what is read."""
    (tmp_path / "load.sql").write_text("\\copy t from 'y'\n")
    (tmp_path / "y").write_text("1\n")
    cells = ["create table t (a int)", "%%session b\n\\i load.sql", "table t"]
    where = {"notebook": "sessions", "directory": str(tmp_path)}
    assert cellar.run(cells, 2, **where).results[0].rows == (("1",),)
    (tmp_path / "y").write_text("2\n")
    assert cellar.run(cells, 2, **where).results[0].rows == (("2",),)
    cells = [cells[0], "%%session b\nbegin; \\copy (select 3) to 'y'\ncommit", *cells[1:]]
    # There the cells above run in full, and so it is written.
    assert cellar.run(cells, 3, **where).results[0].rows == (("3",),)
    (tmp_path / "y").write_text("4\n")
    error = cellar.run(cells, 3, **where).done.error
    assert error is not None
    assert "not what cell c1 above writes" in error.message


@pytest.mark.parametrize(
    ("included", "beside"),
    [
        ("\\copy t from 'y'\n", ("y", "1\n", "2\n")),
        ("\\i y\n", ("y", "select 'a' as z;\n", "select 'b' as z;\n")),
    ],
    ids=["copied", "included"],
)
def test_what_a_cell_gave_is_not_shown_again_when_a_file_within_a_file_changes(
    cellar: cellars.Cellar,
    oracle: following.Oracle,
    tmp_path: pathlib.Path,
    included: str,
    beside: tuple[str, str, str],
) -> None:
    """The state may be another one, or the same: what is shown is what the files say now."""
    name, *texts = beside
    (tmp_path / "f.sql").write_text(included)
    cells = ["create table t (a int)", "insert into t values (0);\n\\i f.sql\ntable t"]
    key, folder = f"shown {included}", str(tmp_path)
    for text in texts:
        (tmp_path / name).write_text(text)
        # The oracle takes files not to change while it lives.
        oracle.follower.close()
        for _ in range(2):
            test_equals_oracle.check(cellar, oracle, key, cells, 1, folder)
