"""Notebook files: which SQL cells are in one, and what their tags mean."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pgcellar.api import errors, records

KERNEL = "pgcellar"
#: Code cells with this tag take no part.
SKIP = "skip"
#: The code cell with this tag sets the notebook's parameters, as papermill has it.
PARAMETERS = "parameters"
#: The code cell with this tag names what the notebook starts from.
BASE = "base"
#: Followed by the name of the dialect that the cell is written in.
DIALECT = "dialect:"
_HEADER = re.compile(r"\s*(?:%%session\b[^\n]*\n)?")
_COMMENT = re.compile(r"(?:--|/\*)[ \t]*dialect[ \t]*:", re.I)
#: The largest notebook file that is read.
MAX_BYTES = 512 * 1024 * 1024
_EMPTY = "empty"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A notebook: its whole JSON, and its code cells in order.

    `positions` are the indexes of the cells in the file's own list.
    """

    content: dict[str, Any]
    cells: tuple[records.Cell, ...]
    positions: tuple[int, ...]


def parse(data: bytes, path: object) -> Document:
    """The notebook of SQL cells in a file's content.

    Raises NotebookInvalid if it is no notebook, or one of another language's kernel.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise errors.NotebookInvalid(
            f"{path} is not a notebook: {exc}.", hint="A notebook is a JSON file (.ipynb)."
        ) from exc
    return of(content, path)


def of(content: object, path: object) -> Document:
    """The same of what was read as JSON already. Raises NotebookInvalid."""
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
        if cell.get("cell_type") != "code" or SKIP in tags(cell.get("metadata")):
            continue
        source = cell.get("source", "")
        text = source if isinstance(source, str) else "".join(map(str, source))
        text = as_tagged(text, tags(cell.get("metadata")))
        identity = str(cell.get("id") or f"cell-{len(found) + 1}")
        while identity in names:
            # Reports and errors name a cell by its id, so each needs one of its own.
            identity = f"{identity}#{len(found) + 1}"
        names.add(identity)
        found.append(records.Cell(id=identity, source=text))
        positions.append(position)
    return Document(content=content, cells=tuple(found), positions=tuple(positions))


def tags(metadata: object) -> Sequence[str]:
    """The tags in a cell's metadata."""
    found = metadata.get("tags") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, list) else ()


def as_tagged(source: str, tagged: Sequence[str]) -> str:
    """The text of a cell as the runner knows it.

    One tagged `base` may name another notebook without a command, also in a comment; `empty`, or
    nothing, is the empty database. One tagged `dialect:mysql` says so in a comment, on its first
    line so that lines keep their numbers, unless it says so itself.
    """
    return _in_dialect(_naming_base(source, tagged), tagged)


def _in_dialect(source: str, tagged: Sequence[str]) -> str:
    names = (tag for tag in tagged if isinstance(tag, str) and tag.startswith(DIALECT))
    name = next(names, None)
    header = _HEADER.match(source)
    at = header.end() if header is not None else 0
    if name is None or not source[at:].strip() or _COMMENT.match(source, at):
        return source
    return f"{source[:at]}/* {DIALECT} {name.removeprefix(DIALECT).strip()} */ {source[at:]}"


def _naming_base(source: str, tagged: Sequence[str]) -> str:
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    if BASE not in tagged or any(line.startswith("\\base") for line in lines):
        return source
    names = [line.removeprefix("--").strip() for line in lines]
    return f"-- {_EMPTY}" if names in ([], [_EMPTY]) else f"\\base {'; '.join(names)}"


def base_named(source: str) -> str | None:
    """The notebook that `\\base` names in a cell with nothing else but comments; or None."""
    if "\\base" not in source:
        return None
    lines = [line.strip() for line in source.splitlines()]
    commands = [line for line in lines if line and not line.startswith("--")]
    if len(commands) != 1 or commands[0].split(None, 1)[0] != "\\base":
        return None
    return commands[0].removeprefix("\\base").strip(" \t;").strip("'")


def _check_language(path: object, metadata: object) -> None:
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
