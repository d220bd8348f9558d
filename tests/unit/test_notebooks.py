"""pgcellar.cli.notebooks: notebook files are read with clear messages and written atomically."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from pgcellar.api import documents, errors, records
from pgcellar.cli import notebooks

SQL = {"kernelspec": {"name": "pgcellar", "display_name": "SQL", "language": "sql"}}
Write = Callable[[object], pathlib.Path]


@pytest.fixture
def write(tmp_path: pathlib.Path) -> Write:
    """Writes a notebook file: bytes as they are, else as JSON."""

    def written(content: object) -> pathlib.Path:
        path = tmp_path / "n.ipynb"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    return written


def code(source: object, **members: object) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "outputs": [], "source": source, **members}


def notebook(*cells: object, metadata: object = SQL) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def refused(path: pathlib.Path) -> errors.NotebookInvalid:
    with pytest.raises(errors.NotebookInvalid) as caught:
        notebooks.read(path)
    assert str(path) in caught.value.message
    return caught.value


def test_cells_in_order(write: Write) -> None:
    markdown = {"cell_type": "markdown", "source": "# Title"}
    raw = {"cell_type": "raw", "source": "raw"}
    path = write(notebook(markdown, code("select 1", id="a"), raw, code("select 2", id="b")))
    found = notebooks.read(path)
    assert found.path == path
    assert found.cells == (
        records.Cell(id="a", source="select 1"),
        records.Cell(id="b", source="select 2"),
    )
    assert found.positions == (1, 3)


def test_sources_as_lists_and_none(write: Write) -> None:
    bare = code("")
    del bare["source"]
    found = notebooks.read(write(notebook(code(["select 1,\n", "  2"]), code([]), bare)))
    assert [cell.source for cell in found.cells] == ["select 1,\n  2", "", ""]


def test_missing_ids_are_made(write: Write) -> None:
    markdown = {"cell_type": "markdown", "source": ""}
    found = notebooks.read(
        write(notebook(code("1"), markdown, code("2", id="x"), code("3", id="")))
    )
    assert [cell.id for cell in found.cells] == ["cell-1", "x", "cell-3"]


def test_empty_notebooks(write: Write) -> None:
    assert notebooks.read(write(notebook())).cells == ()
    assert notebooks.read(write({"cells": []})).cells == ()
    with pytest.raises(errors.NotebookInvalid, match="no SQL cell '1'"):
        notebooks.read(write(notebook())).head("1")


def test_unicode(write: Write) -> None:
    content = json.dumps(notebook(code("select '日本😀'")), ensure_ascii=False)
    for data in (content.encode(), b"\xef\xbb\xbf" + content.encode(), content.encode("utf-16")):
        assert notebooks.read(write(data)).cells[0].source == "select '日本😀'"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"select 1;", b"\xff\xfe\xfd", b"[" * 100_000, b'{"cells": [}', b"\0"]
)
def test_invalid_json(write: Write, data: bytes) -> None:
    error = refused(write(data))
    assert "is not a notebook" in error.message
    assert error.hint


@pytest.mark.parametrize("content", [[], 1, None, "cells", {}, {"cells": None}, {"cells": {}}])
def test_json_that_is_no_notebook(write: Write, content: object) -> None:
    assert "no list of cells" in refused(write(content)).message


def test_nbformat_3(write: Write) -> None:
    error = refused(write({"worksheets": [{"cells": []}], "nbformat": 3, "metadata": {}}))
    assert "nbformat 4" in (error.hint or "")


@pytest.mark.parametrize("cell", [None, 1, "select 1", [], code(1), code(None), code({"a": 1})])
def test_cells_that_are_not_as_they_should_be(write: Write, cell: object) -> None:
    assert "cell 2 is not" in refused(write(notebook(code("select 1"), cell))).message


@pytest.mark.parametrize(
    "metadata",
    [
        {"kernelspec": {"name": "python3", "language": "python"}},
        {"kernelspec": {"name": "ir"}, "language_info": {"name": "R"}},
        {"language_info": {"name": "python"}},
        {"kernelspec": {"name": "python3", "language": "Python"}, "language_info": {"name": "sql"}},
    ],
)
def test_notebooks_of_another_language(write: Write, metadata: object) -> None:
    error = refused(write(notebook(code("print(1)"), metadata=metadata)))
    assert "not of SQL" in error.message
    assert "SQL (PostgreSQL)" in (error.hint or "")


@pytest.mark.parametrize(
    "metadata",
    [
        *(SQL, {}, None, [], {"kernelspec": None, "language_info": 1}, {"kernelspec": {}}),
        {"kernelspec": {"name": "pgcellar"}},
        {"kernelspec": {"name": "other", "language": "SQL"}},
        {"kernelspec": {"name": "xsql", "language": "PostgreSQL"}},
        {"language_info": {"name": "sql"}},
    ],
)
def test_notebooks_of_sql(write: Write, metadata: object) -> None:
    assert len(notebooks.read(write(notebook(code("select 1"), metadata=metadata))).cells) == 1


def test_files_that_cannot_be_read(
    tmp_path: pathlib.Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No such file" in refused(tmp_path / "missing.ipynb").message
    assert "Is a directory" in refused(tmp_path).message
    path = write(notebook())
    monkeypatch.setattr(documents, "MAX_BYTES", 10)
    assert "larger than" in refused(path).message


def test_head(write: Write) -> None:
    found = notebooks.read(write(notebook(code("1", id="a"), code("2", id="1"), code("3", id="c"))))
    assert [found.head(named) for named in ("a", "c", "2", "3")] == [0, 2, 1, 2]
    # An id goes before a number.
    assert found.head("1") == 1
    for named in ("0", "4", "-1", "b", "", "1.0"):
        with pytest.raises(errors.NotebookInvalid) as caught:
            found.head(named)
        assert "from 1 to 3" in (caught.value.hint or "")


OUTPUT = {"output_type": "stream", "name": "stdout", "text": "é"}


def test_write_outputs(write: Write) -> None:
    markdown = {"cell_type": "markdown", "metadata": {"a": 1}, "source": ["# é\n"]}
    path = write(notebook(markdown, code("1", id="a", outputs=[OUTPUT]), code(["2"], id="b")))
    path.chmod(0o640)
    before = json.loads(path.read_bytes())
    notebooks.write_outputs(notebooks.read(path), {1: [OUTPUT]})
    after = json.loads(path.read_bytes())
    before["cells"][2] |= {"outputs": [OUTPUT], "execution_count": 2}
    assert after == before
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_bytes().endswith(b"}\n")
    assert "é".encode() in path.read_bytes()
    assert os.listdir(path.parent) == ["n.ipynb"]


def test_write_outputs_through_a_link(write: Write, tmp_path: pathlib.Path) -> None:
    path = write(notebook(code("1")))
    link = tmp_path / "link.ipynb"
    link.symlink_to(path)
    notebooks.write_outputs(notebooks.read(link), {0: [OUTPUT]})
    assert link.is_symlink()
    assert json.loads(path.read_bytes())["cells"][0]["outputs"] == [OUTPUT]


def test_a_write_that_fails_leaves_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(notebook(code("1")))
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        notebooks.write_outputs(notebooks.read(path), {0: [OUTPUT]})
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["n.ipynb"]


def test_what_is_not_json_leaves_the_file(write: Write) -> None:
    path = write(notebook(code("1")))
    before = path.read_bytes()
    with pytest.raises(TypeError):
        notebooks.write_outputs(notebooks.read(path), {0: [{"data": object()}]})
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["n.ipynb"]


@pytest.mark.parametrize(
    ("text", "source", "name"),
    [
        ("load.ipynb", "\\base load.ipynb", "load.ipynb"),
        ("-- load it.ipynb\n", "\\base load it.ipynb", "load it.ipynb"),
        ("empty", "-- empty", None),
        ("\n", "-- empty", None),
        (
            "-- of the class\n\\base 'a b.ipynb';",
            "-- of the class\n\\base 'a b.ipynb';",
            "a b.ipynb",
        ),
        ("a.ipynb\nb.ipynb", "\\base a.ipynb; b.ipynb", "a.ipynb; b.ipynb"),
    ],
)
def test_a_base_is_named(write: Write, text: str, source: str, name: str | None) -> None:
    """With the tag in any way; the text then says it without the tag."""
    found = notebooks.read(write(notebook(code(text, metadata={"tags": ["base"]}))))
    assert found.cells[0].source == source
    assert documents.base_named(source) == name
    assert notebooks.read(write(notebook(code(text)))).cells[0].source == text


@pytest.mark.parametrize("text", ["\\baseline", "select 1; \\base x", "\\base x\n\\base y", ""])
def test_what_names_no_base(text: str) -> None:
    assert documents.base_named(text) is None


def test_a_parameter_takes_the_place_of_the_value_in_its_line(write: Write) -> None:
    sources = ["-- @param a: slider(1, 9) = 2\nselect :a", "-- @param a: slider(bad)", "select 1"]
    found = notebooks.read(write(notebook(*map(code, sources))))
    given = notebooks.given(found, {"a": "7"})
    assert [cell.source for cell in given.cells] == [
        "-- @param a: slider(1, 9) = 7\nselect :a",
        *sources[1:],
    ]
    assert given.parameters == {"a": "7"}
