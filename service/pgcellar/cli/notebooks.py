"""Notebook files as the command line reads and writes them."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from pgcellar.api import documents, errors, records
from pgcellar.notebook import dialects
from pgcellar.notebook import parameters as declared


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class NotebookFile(documents.Document):
    """A notebook and its path. `parameters` are set before its first cell."""

    path: pathlib.Path
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
        if path.stat().st_size > documents.MAX_BYTES:
            raise errors.NotebookInvalid(f"{path} is larger than {documents.MAX_BYTES >> 20} MiB.")
        data = path.read_bytes()
    except OSError as exc:
        raise errors.NotebookInvalid(f"{path}: {exc.strerror or exc}.") from exc
    found = documents.parse(data, path)
    return NotebookFile(
        path=path, content=found.content, cells=found.cells, positions=found.positions
    )


def given(notebook: NotebookFile, parameters: Mapping[str, str]) -> NotebookFile:
    """The notebook with these parameters: set below what the cell tagged `parameters` sets.

    Without such a cell they are set above the first one, or below the base, which may set others.
    A cell that declares one of them by `-- @param` has its value.
    """
    if not parameters:
        return notebook
    notebook = dataclasses.replace(
        notebook, cells=tuple(_declaring(cell, parameters) for cell in notebook.cells)
    )
    lines = "".join(f"\\set {name} {_quoted(value)}\n" for name, value in parameters.items())
    tagged = [
        index
        for index, position in enumerate(notebook.positions)
        if documents.PARAMETERS
        in documents.tags(notebook.content["cells"][position].get("metadata"))
    ]
    cells = list(notebook.cells)
    if tagged:
        source = f"{cells[tagged[0]].source}\n{lines}"
        cells[tagged[0]] = dataclasses.replace(cells[tagged[0]], source=source)
    elif all(documents.base_named(cell.source) is None for cell in cells):
        return dataclasses.replace(notebook, parameters=parameters)
    else:
        first = next((index for index, cell in enumerate(cells) if _is_plain(cell.source)), None)
        if first is not None:
            cells[first] = dataclasses.replace(cells[first], source=lines + cells[first].source)
    return dataclasses.replace(notebook, cells=tuple(cells))


def _declaring(cell: records.Cell, values: Mapping[str, str]) -> records.Cell:
    try:
        source = declared.with_values(cell.source, values)
    except declared.ParameterError:
        # The runner says what is wrong with it.
        return cell
    return dataclasses.replace(cell, source=source)


def _is_plain(source: str) -> bool:
    """Whether lines may be put above the first of a cell: it names no base, session or dialect."""
    named = documents.base_named(source) is not None or dialects.declared(source) is not None
    return not named and not source.lstrip().startswith("%%")


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
