"""What a run asks for: checked, and its cells parsed; and the end of one that came to nothing."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Mapping
from typing import Any

from pgcellar.api import errors, records
from pgcellar.notebook import cells, dialects, statements
from pgcellar.runner import views

#: Characters; parsing takes about a second for ten million of them.
LONG_CELL = 200_000
#: Names stand in every list of runs: a path's length, and more than Jupyter gives a cell.
MAX_NOTEBOOK = 4_096
MAX_ID = 1_000
_TYPES: Mapping[str, Any] = {
    "notebook": str,
    "head": int,
    "directory": (str, types.NoneType),
    "first": (int, types.NoneType),
    "rerun": bool,
    "max_rows": int,
    "max_bytes": int,
    "brief": bool,
}
#: More rows, and more bytes, than any result has.
_ALL = (1 << 63) - 1


def check_page(request: records.PageRequest) -> records.RunRequest:
    """The run that gives all rows of a page's head. Raises BadRequest."""
    numbers = (request.statement, request.offset, request.limit, request.max_bytes)
    if not all(isinstance(number, int) and 0 <= number <= _ALL for number in numbers):
        raise errors.BadRequest(
            "`statement`, `offset`, `limit` and `max_bytes` are whole numbers from 0 on."
        )
    if not isinstance(request.head, int):
        raise errors.BadRequest("`head` is a whole number from 0 on.")
    views.check(request)
    wanted = records.RunRequest(
        notebook=request.notebook,
        cells=request.cells,
        head=request.head,
        directory=request.directory,
        parameters=request.parameters,
        rerun=True,
        brief=True,
        max_rows=_ALL,
        max_bytes=_ALL,
    )
    check(wanted)
    return wanted


def check_statement(statement: int, head: cells.ParsedCell) -> None:
    """Raise BadRequest if a cell has no statement of that number."""
    if head.steps and statement >= len(head.steps):
        raise errors.BadRequest(
            f"Statement {statement} is asked for, but the cell has {len(head.steps)}.",
            hint="`statement` counts from 0.",
        )


def check(request: records.RunRequest) -> None:
    """Raise BadRequest for a request that makes no sense."""
    _check_types(request)
    if not request.notebook:
        raise errors.BadRequest("The request names no notebook.")
    ids = [cell.id for cell in request.cells]
    if len(request.notebook) > MAX_NOTEBOOK or max(map(len, ids), default=0) > MAX_ID:
        raise errors.BadRequest(
            f"A notebook's name has at most {MAX_NOTEBOOK} characters, a cell's id {MAX_ID}."
        )
    if not statements.readable("".join((request.notebook, *ids))):
        raise errors.BadRequest(
            "The notebook's name, or a cell's id, has characters that PostgreSQL can't keep.",
            hint="Leave out zero bytes and lone surrogates.",
        )
    if not 0 <= request.head < len(request.cells):
        raise errors.BadRequest(
            f"The head is cell {request.head}, but there are {len(request.cells)} cells.",
            hint="`head` counts from 0.",
        )
    if request.first is not None and not 0 <= request.first <= request.head:
        raise errors.BadRequest(f"The first head is cell {request.first}, the last {request.head}.")
    if request.max_rows < 0 or request.max_bytes < 0:
        raise errors.BadRequest("`max_rows` and `max_bytes` can't be negative.")


def _check_types(request: records.RunRequest) -> None:
    """What came over the wire may be anything."""
    wrong = [
        name
        for name, wanted in _TYPES.items()
        if not isinstance(value := getattr(request, name), wanted)
        or (isinstance(value, bool) and wanted is not bool)
    ]
    if not _are_cells(request.cells):
        wrong.append("cells")
    texts = [*_strings(request.reroll, "reroll", wrong)]
    if isinstance(request.parameters, Mapping):
        texts += _strings((*request.parameters, *request.parameters.values()), "parameters", wrong)
    else:
        wrong.append("parameters")
    if not all(statements.readable(text) for text in texts):
        wrong.append("parameters")
    if wrong:
        raise errors.BadRequest(
            f"Not of its type in the request: {', '.join(dict.fromkeys(wrong))}.",
            hint="See `RunRequest` in pgcellar.api.records.",
        )


def _are_cells(values: object) -> bool:
    # By sets of types: this is asked of a thousand cells for each run.
    if not isinstance(values, tuple) or not {type(cell) for cell in values} <= {records.Cell}:
        return False
    return {type(cell.id) for cell in values} | {type(cell.source) for cell in values} <= {str}


def _strings(values: object, name: str, wrong: list[str]) -> list[str]:
    if isinstance(values, tuple) and all(isinstance(value, str) for value in values):
        return list(values)
    wrong.append(name)
    return []


def nothing_ran(
    request: records.RunRequest, error: errors.PgcellarError, *, cell: str | None = None
) -> records.Done:
    """The end of a run that did not come to its cells."""
    return records.Done(
        cells=(),
        totals=records.Totals(hits=0, replayed=0, ms=0.0, planning_ms=0.0),
        sandbox=records.SandboxInfo(
            name="", status="unavailable", server_version="", copy_on_write=False
        ),
        error=error.record(cell=cell or request.cells[request.head].id),
    )


async def parse(request: records.RunRequest) -> list[cells.ParsedCell]:
    """The cells up to the head, parsed.

    Long ones, and those to be translated, in a thread, so that others' runs go on.
    """
    texts = [cell.source for cell in request.cells[: request.head + 1]]
    if max(map(len, texts), default=0) < LONG_CELL and not dialects.any_declared(texts):
        return [cells.parse(text) for text in texts]
    return await asyncio.to_thread(lambda: [cells.parse(text) for text in texts])
