"""Notebook files as the command line reads and writes them."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from pgcellar.api import documents, errors, filling


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
    """The notebook with these parameters, see `filling`."""
    cells, left = filling.given(notebook, parameters)
    return dataclasses.replace(notebook, cells=cells, parameters=left)


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
