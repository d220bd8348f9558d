"""Notebook files as the command line reads and writes them."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from pgcellar.api import errors, records, tags

KERNEL = "pgcellar"
#: The largest notebook file that is read.
MAX_BYTES = 512 * 1024 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class NotebookFile:
    """A notebook: its path, its whole JSON, and its code cells in order.

    `positions` are the indexes of the cells in the file's own list. `parameters` are set before
    the first cell.
    """

    path: pathlib.Path
    content: dict[str, Any]
    cells: tuple[records.Cell, ...]
    positions: tuple[int, ...]
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def head(self, named: str) -> int:
        """The index of the cell that `--head` names: its id, or its number counting from 1.

        Raises NotebookInvalid.
        """
        for index, cell in enumerate(self.cells):
            if cell.id == named:
                return index
        if named.isdecimal() and len(named) < 10 and 1 <= int(named) <= len(self.cells):
            return int(named) - 1
        raise errors.NotebookInvalid(
            f"{self.path}: there is no SQL cell {named!r}.",
            hint=f"Name a cell by its id, or by its number from 1 to {len(self.cells)}.",
        )


def read(path: pathlib.Path) -> NotebookFile:
    """Read a notebook of SQL cells.

    Raises NotebookInvalid if the file can't be read, is no notebook, or is one of another
    language's kernel.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise errors.NotebookInvalid(f"{path} is larger than {MAX_BYTES >> 20} MiB.")
        content = json.loads(path.read_bytes())
    except OSError as exc:
        raise errors.NotebookInvalid(f"{path}: {exc.strerror or exc}.") from exc
    except (ValueError, RecursionError) as exc:
        raise errors.NotebookInvalid(
            f"{path} is not a notebook: {exc}.", hint="A notebook is a JSON file (.ipynb)."
        ) from exc
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise errors.NotebookInvalid(
            f"{path} is not a notebook: it has no list of cells.",
            hint="Notebooks of nbformat 4 are read; older ones are upgraded by opening and "
            "saving them in JupyterLab.",
        )
    _check_language(path, content.get("metadata"))
    found: list[records.Cell] = []
    names: set[str] = set()
    positions: list[int] = []
    for position, cell in enumerate(content["cells"]):
        if not isinstance(cell, dict) or not isinstance(cell.get("source", ""), (str, list)):
            raise errors.NotebookInvalid(f"{path}: cell {position + 1} is not as it should be.")
        if cell.get("cell_type") != "code" or tags.SKIP in tags.of(cell.get("metadata")):
            continue
        source = cell.get("source", "")
        text = source if isinstance(source, str) else "".join(map(str, source))
        identity = str(cell.get("id") or f"cell-{len(found) + 1}")
        if identity in names:
            # Reports and errors name a cell by its id, so each needs one of its own.
            identity = f"{identity}#{len(found) + 1}"
        names.add(identity)
        dialect = tags.dialect(tags.of(cell.get("metadata")))
        found.append(records.Cell(id=identity, source=text, dialect=dialect))
        positions.append(position)
    return NotebookFile(path=path, content=content, cells=tuple(found), positions=tuple(positions))


def given(notebook: NotebookFile, parameters: Mapping[str, str]) -> NotebookFile:
    """The notebook with these parameters: set below what the cell tagged `parameters` sets.

    Without such a cell they are set above the first one.
    """
    if not parameters:
        return notebook
    tagged = [
        index
        for index, position in enumerate(notebook.positions)
        if tags.PARAMETERS in tags.of(notebook.content["cells"][position].get("metadata"))
    ]
    if not tagged:
        return dataclasses.replace(notebook, parameters=parameters)
    lines = "".join(f"\\set {name} {_quoted(value)}\n" for name, value in parameters.items())
    cells = list(notebook.cells)
    source = f"{cells[tagged[0]].source}\n{lines}"
    cells[tagged[0]] = dataclasses.replace(cells[tagged[0]], source=source)
    return dataclasses.replace(notebook, cells=tuple(cells))


def _quoted(value: str) -> str:
    """A value as an argument of a meta-command."""
    text = value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{text}'"


def write_outputs(notebook: NotebookFile, outputs: Mapping[int, Sequence[dict[str, Any]]]) -> None:
    """Write the notebook back with these outputs per code cell, atomically."""
    for index, made in outputs.items():
        cell = notebook.content["cells"][notebook.positions[index]]
        cell["outputs"] = list(made)
        cell["execution_count"] = index + 1
    text = json.dumps(notebook.content, ensure_ascii=False, indent=1) + "\n"
    if any("\ud800" <= character <= "\udfff" for character in text):
        text = json.dumps(notebook.content, indent=1) + "\n"
    target = notebook.path.resolve()
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, target.stat().st_mode & 0o777)
        os.replace(temporary, target)
    except BaseException:
        pathlib.Path(temporary).unlink(missing_ok=True)
        raise


def _check_language(path: pathlib.Path, metadata: object) -> None:
    found = metadata if isinstance(metadata, dict) else {}
    spec = found.get("kernelspec") if isinstance(found.get("kernelspec"), dict) else {}
    info = found.get("language_info") if isinstance(found.get("language_info"), dict) else {}
    assert isinstance(spec, dict)
    assert isinstance(info, dict)
    language = str(spec.get("language") or info.get("name") or "").lower()
    if spec.get("name") == KERNEL or language in ("sql", "postgresql"):
        return
    if not language and not spec.get("name"):
        return
    language = language or str(spec["name"])
    raise errors.NotebookInvalid(
        f"{path} is a notebook of {language}, not of SQL.",
        hint="pgcellar runs SQL notebooks: choose the kernel “SQL (PostgreSQL)”.",
    )
