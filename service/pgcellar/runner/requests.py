"""What a run asks for: checked, and its cells parsed; and the end of one that came to nothing."""

from __future__ import annotations

import asyncio
import operator
import types
from collections.abc import Mapping, Sequence
from typing import Any

from pgcellar.api import errors, filling, records
from pgcellar.notebook import cells, dialects, remembering, scripts, statements
from pgcellar.runner import views

#: Characters; parsing takes about a second for ten million of them.
LONG_CELL = 200_000
#: Cells with psql's commands or variables, of other people than the service's owner: to look
#: through one takes a ms, and it is looked through for each run.
MAX_COMMANDED = 1_000
#: Commands and statements in them; each takes a tenth of one.
MAX_STEPS = 5_000
#: Characters of a cell of theirs: while it is parsed, in whatever thread, nobody else is served.
MAX_CHARACTERS = 1 << 20
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
    filling.check(request.cells)
    if isinstance(request.reroll, tuple) and len(request.reroll) > records.MAX_CELLS:
        raise errors.BadRequest(
            f"`reroll` names more cells than a request may have, {records.MAX_CELLS:,}.",
            hint="Name each cell that is rolled again once.",
        )
    _check_types(request)
    if not request.notebook:
        raise errors.BadRequest("The request names no notebook.")
    ids = [cell.id for cell in request.cells]
    if (
        len(request.notebook) > records.MAX_NOTEBOOK
        or max(map(len, ids), default=0) > records.MAX_ID
    ):
        raise errors.BadRequest(
            f"A notebook's name has at most {records.MAX_NOTEBOOK} characters, a cell's id"
            f" {records.MAX_ID}."
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
        if len(request.parameters) > records.MAX_PARAMETERS:
            raise errors.BadRequest(
                f"There are more than {records.MAX_PARAMETERS:,} parameters.",
                hint="Keep values in a table.",
            )
        if sum(map(len, texts)) > records.MAX_PARAMETER_CHARACTERS:
            raise errors.BadRequest(
                f"The parameters have more than {records.MAX_PARAMETER_CHARACTERS:,} characters.",
                hint="Upload a file, and read it by \\copy.",
            )
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


_SOURCE = operator.attrgetter("source")


class _Tail:
    """The cells above a head, by their texts."""

    def __init__(self, texts: tuple[str, ...], parsed: cells.Cells) -> None:
        self.texts = texts
        self.cells = parsed
        # An empty one takes some room, too.
        self.characters = sum(map(len, texts)) + 100 * len(texts) + 1_000


def too_long(request: records.RunRequest) -> errors.NotebookInvalid | None:
    """What to say of a cell that others can't wait for while it is parsed, if there is one."""
    lengths = [len(cell.source) for cell in request.cells[: request.head + 1]]
    longest = max(lengths)
    if longest <= MAX_CHARACTERS:
        return None
    return errors.NotebookInvalid(
        f"Cell {lengths.index(longest) + 1} has {longest:,} characters, and here it may have"
        f" {MAX_CHARACTERS:,}.",
        hint="Make several cells of it, or put its data into a file, and \\copy that.",
    )


def check_commands(parsed: cells.Cells) -> None:
    """Raise NotebookInvalid for more of psql than others can wait for while it is planned."""
    if not parsed.scanned:
        return
    scanned = [cell.source for cell in parsed if cell.scanned != "nothing"]
    if len(scanned) > MAX_COMMANDED:
        raise errors.NotebookInvalid(
            f"{len(scanned):,} cells have psql's commands or variables, and here"
            f" {MAX_COMMANDED:,} may.",
            hint="Put several into one cell.",
        )
    many = sum(map(_steps, scanned))
    if many > MAX_STEPS:
        raise errors.NotebookInvalid(
            f"The cells with psql's commands or variables have {many:,} commands and statements,"
            f" and here they may have {MAX_STEPS:,}.",
            hint="Put statements that need neither into cells of their own.",
        )


@remembering.remembered(2_000, remembering.is_long)
def _steps(source: str) -> int:
    """How many commands and statements a text has, but for what variables and files bring in."""
    parsed = cells.parse(source)
    script = scripts.Script(parsed, (), _nothing)
    while not script.static and script.next() is not None:
        pass
    return script.read or len(parsed.steps)


def _nothing(name: str) -> str:
    return ""


class Parser:
    """Parses the cells of requests, but for a tail that is the last one of its notebook."""

    #: Of the tails that are remembered, in all.
    CHARACTERS = 32_000_000

    def __init__(self) -> None:
        self._tails: dict[tuple[str, str], _Tail] = {}
        self._characters = 0

    async def parse(self, owner: str, request: records.RunRequest) -> cells.Cells:
        """The cells up to the head, parsed.

        Long ones, and those to be translated, in a thread, so that others' runs go on.
        """
        key = owner, request.notebook
        *above, head = map(_SOURCE, request.cells[: request.head + 1])
        texts = tuple(above)
        tail = self._tails.get(key)
        if tail is None or tail.texts != texts:
            tail = _Tail(texts, await _parse(texts))
        self._remember(key, tail)
        return tail.cells.below((await _parse([head]))[0])

    def _remember(self, key: tuple[str, str], tail: _Tail) -> None:
        self._forget(key)
        self._tails[key] = tail
        self._characters += tail.characters
        while self._characters > self.CHARACTERS:
            # Of all, the one that was asked for longest ago.
            self._forget(next(iter(self._tails)))

    def _forget(self, key: tuple[str, str]) -> None:
        former = self._tails.pop(key, None)
        if former is not None:
            self._characters -= former.characters


async def _parse(texts: Sequence[str]) -> cells.Cells:
    if sum(map(len, texts)) < LONG_CELL and not dialects.any_declared(texts):
        return cells.Cells(map(cells.parse, texts))
    return await asyncio.to_thread(lambda: cells.Cells(map(cells.parse, texts)))
