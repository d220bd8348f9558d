"""What a notebook starts from: another one beside it, by `\\base` or by the tag `base`."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator, Sequence

import pytest
from tests import cellar as cellars
from tests import oracle as oracles
from tests.fixtures_service import CommandLine, notebook_json
from tests.foreign import compare

LOAD = [
    "create table t(a int); insert into t select generate_series(1, 9)",
    "select count(*) from t",
    "\\copy t from 'more.csv'",
    "create sequence s; select nextval('s')",
]


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A class's folder."""
    (tmp_path / "more.csv").write_text("10\n11\n")
    write(tmp_path / "load.ipynb", LOAD)
    return tmp_path


def write(path: pathlib.Path, cells: Sequence[str], tags: Sequence[str] = ()) -> None:
    """Write a notebook whose first cell has these tags."""
    content = notebook_json(cells)
    content["cells"][0]["metadata"]["tags"] = list(tags)
    path.write_text(json.dumps(content))


def test_it_starts_where_the_other_ends(
    cellar: cellars.Cellar, oracle: oracles.Oracle, folder: pathlib.Path
) -> None:
    """In its very state, which is found and not made again; results are psql's on all cells."""
    there = cellar.run(LOAD, notebook="teacher", directory=str(folder))
    cellar.quiet("teacher")
    mine = ["\\base load.ipynb", "insert into t values (nextval('s'))", "select max(a) from t"]
    for student in ("ann", "ben"):
        ran = cellar.run(mine[:1], notebook=student, directory=str(folder))
        assert ran.head.state == there.head.state
        assert ran.done.totals.replayed == 0
        for head in (2, 1, 2):
            ran = cellar.run(mine, head, notebook=student, directory=str(folder), rerun=True)
            assert ran.done.error is None
            expected = oracle.evaluate([*LOAD, *mine[1 : head + 1]], str(folder))
            assert compare.results(ran.results, expected.cells[-1]) == compare.SAME
            assert cellar.fingerprint(ran.head.state, student) == oracle.fingerprint(
                expected.dbname
            )
    cellar.kill_sandbox()
    ran = cellar.run(mine, notebook="ann", directory=str(folder))
    assert ran.results[0].rows == (("11",),)


def test_it_follows_the_other(cellar: cellars.Cellar, folder: pathlib.Path) -> None:
    """An edit there, or of a file it loads, is seen here; a change of its output is none."""
    mine = ["-- The data of the class\n\\base 'load.ipynb';", "select count(*), sum(a) from t"]
    ran = cellar.run(mine, notebook="f", directory=str(folder))
    assert ran.results[0].rows == (("11", "66"),)
    write(folder / "load.ipynb", [LOAD[0], *LOAD[2:]], ["other"])
    again = cellar.run(mine, notebook="f", directory=str(folder))
    assert again.head.state == ran.head.state
    assert again.done.totals.replayed == 0
    write(folder / "load.ipynb", [LOAD[0].replace("9", "2"), *LOAD[1:]])
    ran = cellar.run(mine, notebook="f", directory=str(folder))
    assert ran.results[0].rows == (("4", "24"),)
    (folder / "more.csv").write_text("7\n")
    ran = cellar.run(mine, notebook="f", directory=str(folder))
    assert ran.results[0].rows == (("3", "10"),)


def test_a_base_may_have_a_base(cellar: cellars.Cellar, folder: pathlib.Path) -> None:
    """By its tag, in a file; a cell tagged `skip` takes no part."""
    write(folder / "more.ipynb", ["-- load.ipynb", "insert into t values (100)"], ["base"])
    write(folder / "skipped.ipynb", ["drop table t", "\\base more.ipynb"], ["skip"])
    ran = cellar.run(["\\base skipped.ipynb", "select max(a) from t"], directory=str(folder))
    assert ran.results[0].rows == (("100",),)


@pytest.mark.parametrize(
    ("cell", "code", "words"),
    [
        ("\\base missing.ipynb", "PC010", "missing.ipynb"),
        ("\\base ../load.ipynb", "PC010", "outside"),
        ("\\base below/load.ipynb", "PC010", "another folder"),
        ("\\base way-out.ipynb", "PC010", "outside"),
        ("\\base more.csv", "PC009", "not a notebook"),
        ("\\base python.ipynb", "PC009", "python"),
        ("\\base", "PC009", "names no notebook"),
        ("\\base one.ipynb", "PC009", "one.ipynb → two.ipynb → one.ipynb"),
        ("\\base self.ipynb", "PC009", "self.ipynb → self.ipynb"),
        ("\\base link.ipynb", "PC009", "self.ipynb → self.ipynb"),
        ("\\base deep-0.ipynb", "PC009", "and so on"),
        ("\\base load.ipynb\nselect 1", "PC008", "alone"),
        ("select 1;\n\\base load.ipynb", "PC008", "alone"),
    ],
)
def test_what_is_no_base(
    cellar: cellars.Cellar, folder: pathlib.Path, cell: str, code: str, words: str
) -> None:
    """Confined to the notebook's folder as files are; the cell that names it is to blame."""
    (folder / "below").mkdir()
    write(folder / "below" / "load.ipynb", LOAD)
    (folder / "way-out.ipynb").symlink_to("/etc/passwd")
    write(folder / "one.ipynb", ["\\base two.ipynb"])
    write(folder / "two.ipynb", ["\\base one.ipynb"])
    write(folder / "self.ipynb", ["\\base self.ipynb"])
    (folder / "link.ipynb").symlink_to("self.ipynb")
    for number in range(12):
        write(folder / f"deep-{number}.ipynb", [f"\\base deep-{number + 1}.ipynb"])
    content = notebook_json(["1"], kernelspec={"name": "python3", "language": "python"})
    (folder / "python.ipynb").write_text(json.dumps(content))
    error = cellar.run([cell, "select 1"], notebook="bad", directory=str(folder)).done.error
    assert error is not None
    assert error.sqlstate == code
    assert error.cell == "c0"
    assert words in error.message
    assert error.hint
    error = cellar.run([cell, "select 1"], notebook="bad").done.error
    assert error is not None


def test_base_comes_first(cellar: cellars.Cellar, folder: pathlib.Path) -> None:
    """But for cells that are empty."""
    cells = ["", "-- nothing", "\\base load.ipynb", "select 1"]
    assert cellar.run(cells, directory=str(folder)).done.error is None
    cells = ["select 1", "\\base load.ipynb"]
    error = cellar.run(cells, directory=str(folder)).done.error
    assert error is not None
    assert error.sqlstate == "PC008"


def test_an_error_there_is_told_here(cellar: cellars.Cellar, folder: pathlib.Path) -> None:
    """By file and cell."""
    write(folder / "load.ipynb", ["create table t()", "insert into nosuch values (1)"])
    for head in (0, 1):
        cells = ["\\base load.ipynb", "select 1 from t"]
        error = cellar.run(cells, head, directory=str(folder)).done.error
        assert error is not None
        assert error.sqlstate == "42P01"
        assert error.cell == "c0"
        assert error.position is None
        assert error.context == "cell 2 (c2) of load.ipynb"


def test_the_command_line_knows_it(fresh_cli: CommandLine) -> None:
    """Tagged or not; every cell is shown by its own number; parameters are set below it."""
    (fresh_cli.home / "more.csv").write_text("10\n11\n")
    write(fresh_cli.home / "load.ipynb", LOAD)
    path = fresh_cli.home / "student.ipynb"
    write(path, ["load.ipynb", "select count(*) + :more from t"], ["base"])
    done = fresh_cli.json("run", str(path), "-P", "more=1")
    assert [cell["id"] for cell in done["cells"]] == ["c1", "c2"]
    assert done["cells"][1]["results"][0]["rows"] == [["12"]]
    assert fresh_cli("plan", str(path)).returncode == 0
    write(path, ["-- empty", "select count(*) from t"], ["base"])
    assert fresh_cli.json("run", str(path))["error"]["sqlstate"] == "42P01"
    write(path, ["no.ipynb", "select 1"], ["base"])
    done = fresh_cli.json("run", str(path))
    assert done["error"]["cell"] == "c1"
    assert len(done["cells"]) == 1
    assert "Traceback" not in fresh_cli("plan", str(path)).stderr
