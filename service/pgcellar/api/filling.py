"""Notebook files as requests: which of their cells run, with which parameters."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from pgcellar.api import documents, errors, records
from pgcellar.notebook import dialects
from pgcellar.notebook import parameters as declared

#: The member of a request that is a notebook file, in the place of `cells`.
DOCUMENT = "document"
#: What psql takes for a variable's name.
_NAME = re.compile(r"\w+")


def request(body: dict[str, Any]) -> dict[str, Any]:
    """A request's body with `cells`, where it has a notebook file as `document`.

    `head` is the number of a cell of SQL, from 0, or a cell's id; without it all run as heads.
    Raises NotebookInvalid or BadRequest.
    """
    check(body.get("cells"))
    if DOCUMENT not in body:
        return body
    if "cells" in body:
        raise errors.BadRequest("A request has `cells` or a `document`, not both.")
    if isinstance(body[DOCUMENT], dict):
        check(body[DOCUMENT].get("cells"))
    left = {name: value for name, value in body.items() if name != DOCUMENT}
    found = documents.of(body[DOCUMENT], f"`{DOCUMENT}`")
    parameters = body.get("parameters") or {}
    if not isinstance(parameters, dict) or not all(
        isinstance(each, str) for each in parameters.values()
    ):
        raise errors.BadRequest("`parameters` are texts by name.")
    if not all(map(_NAME.fullmatch, parameters)):
        # They become lines of a cell.
        raise errors.BadRequest("A parameter's name has letters, digits and underscores.")
    if not found.cells:
        raise errors.BadRequest("The notebook has no cells of SQL.")
    cells, above = given(found, parameters)
    if "head" not in body:
        left = {"first": 0, **left, "head": len(cells) - 1}
    elif isinstance(body["head"], str):
        left["head"] = _named(found, body["head"])
    listed = [{"id": cell.id, "source": cell.source} for cell in cells]
    return {**left, "cells": listed, "parameters": dict(above)}


def check(cells: object) -> None:
    """Raise BadRequest for more cells than a request may have, before each is looked at."""
    if isinstance(cells, (list, tuple)) and len(cells) > records.MAX_CELLS:
        raise errors.BadRequest(
            f"There are {len(cells):,} cells, and a request has at most {records.MAX_CELLS:,}.",
            hint="Put several statements into one cell.",
        )


def _named(found: documents.Document, name: str) -> int:
    for index, cell in enumerate(found.cells):
        if cell.id == name:
            return index
    raise errors.BadRequest(
        f"The notebook has no SQL cell {name[:100]!r}.",
        hint="`head` is a cell's id, or its number among the SQL cells, from 0.",
    )


def given(
    notebook: documents.Document, parameters: Mapping[str, str]
) -> tuple[tuple[records.Cell, ...], Mapping[str, str]]:
    """The cells with these parameters, and those that are left to be set above all cells.

    They are set below what the cell tagged `parameters` sets. Without such a cell they are set
    above the first one, or below the base, which may set others. A cell that declares one of them
    by `-- @param` has its value.
    """
    if not parameters:
        return notebook.cells, {}
    cells = [_declaring(cell, parameters) for cell in notebook.cells]
    lines = "".join(f"\\set {name} {_quoted(value)}\n" for name, value in parameters.items())
    tagged = [
        index
        for index, position in enumerate(notebook.positions)
        if documents.PARAMETERS
        in documents.tags(notebook.content["cells"][position].get("metadata"))
    ]
    if tagged:
        source = f"{cells[tagged[0]].source}\n{lines}"
        cells[tagged[0]] = dataclasses.replace(cells[tagged[0]], source=source)
    elif all(documents.base_named(cell.source) is None for cell in cells):
        return tuple(cells), parameters
    else:
        first = next((index for index, cell in enumerate(cells) if _is_plain(cell.source)), None)
        if first is not None:
            cells[first] = dataclasses.replace(cells[first], source=lines + cells[first].source)
    return tuple(cells), {}


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
