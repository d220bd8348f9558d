"""A result sorted and filtered: the head's statement becomes a query around what it was. Pure.

The query is run as any head is, so that what may run for a page, and in which state, is judged of
it anew. Nothing that a client sent is in it as it came: columns are numbers that were checked,
operators are ours, and a value is a literal in which letters, digits and blanks alone stand for
themselves. Of the result's own names there are none in it either: the columns are called c0, c1, ….
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

from pgcellar.api import errors, records
from pgcellar.notebook import cells, clocks, statements
from pgcellar.runner import purity

#: More than anybody clicks together; PostgreSQL plans such a query in a millisecond.
MAX_TERMS = 32
#: Characters of a value to compare with.
MAX_VALUE = 10_000

_COMPARED: Mapping[str, str] = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_TESTED: Mapping[str, str] = {"null": "is null", "not_null": "is not null"}
OPERATORS = frozenset({*_COMPARED, *_TESTED, "contains"})
_NULLS: Mapping[str | None, str] = {None: "", "first": " nulls first", "last": " nulls last"}
_TEXTS = frozenset({"text", "character varying", "character", "name", "citext"})
_MODIFIER = re.compile(r"\s*\([^)]*\)")
_PLAIN = frozenset("0123456789 abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_BASIC = 0xFFFF


def check(request: records.PageRequest) -> None:
    """Raise BadRequest where order or filters make no sense, whatever the result is."""
    if not isinstance(request.order, tuple) or not isinstance(request.filters, tuple):
        raise errors.BadRequest("`order` and `filters` are arrays.")
    if max(len(request.order), len(request.filters)) > MAX_TERMS:
        raise errors.BadRequest(f"`order` and `filters` have {MAX_TERMS} members at most.")
    for term in request.order:
        if not (
            isinstance(term, records.Order)
            and type(term.column) is int
            and type(term.descending) is bool
            and term.nulls in (None, "first", "last")
        ):
            raise errors.BadRequest(
                "Each of `order` has the number of a `column`, perhaps `descending` (true or"
                " false) and `nulls` (first or last)."
            )
    for condition in request.filters:
        _check_filter(condition)


def _check_filter(condition: object) -> None:
    if not (
        isinstance(condition, records.Filter)
        and type(condition.column) is int
        and isinstance(condition.operator, str)
        and condition.operator in OPERATORS
    ):
        raise errors.BadRequest(
            "Each of `filters` has the number of a `column` and an `operator`:"
            f" {', '.join(sorted(OPERATORS))}."
        )
    if condition.operator in _TESTED:
        return
    value = condition.value
    if not isinstance(value, str) or len(value) > MAX_VALUE or not statements.readable(value):
        raise errors.BadRequest(
            f"A filter `{condition.operator}` has a `value`: a text of at most {MAX_VALUE}"
            " characters, none of which is a zero byte or half of a pair.",
            hint="For null there are the operators `null` and `not_null`.",
        )


def described(head: cells.ParsedCell, statement: int) -> cells.ParsedCell:
    """The cell with a query that has the statement's columns, and no rows. Raises NoPages.

    The cell is bound, here and below: variables have been put in, and nothing is put in again.
    """
    return cells.plain(_around(head, statement, "\n) as r limit 0"))


def applied(
    head: cells.ParsedCell, request: records.PageRequest, columns: Sequence[records.Column]
) -> cells.ParsedCell:
    """The cell with the statement, which has these columns, sorted and filtered as asked.

    What it does is told by its text without the values: a word in one is a word. Raises NoPages, or
    BadRequest where it has no such columns.
    """
    numbers = [each.column for each in request.order] + [each.column for each in request.filters]
    for number in numbers:
        if not 0 <= number < len(columns):
            raise errors.BadRequest(
                f"Column {number} is asked for, but the result has {len(columns)}.",
                hint="`column` counts from 0.",
            )
    for condition in request.filters:
        _check_clock(condition, columns[condition.column])
    said = cells.plain(_around(head, request.statement, _after(request, columns, literal)))
    judged = cells.plain(_around(head, request.statement, _after(request, columns, _blank)))
    steps = tuple(
        dataclasses.replace(step, effect=other.effect)
        for step, other in zip(said.steps, judged.steps, strict=True)
    )
    return dataclasses.replace(judged, source=said.source, steps=steps, digest=said.digest)


def _check_clock(wanted: records.Filter, column: records.Column) -> None:
    """Raise NoPages where a value might be read as the clock: of text it is a text."""
    if (
        wanted.operator in _COMPARED
        and _MODIFIER.sub("", column.type) not in _TEXTS
        and clocks.says((wanted.value or "").replace('"', ""))
    ):
        raise errors.NoPages(
            f"Type {column.type} may read {wanted.value!r} as the clock, and pages are the same"
            " whenever they are asked for.",
            hint="Compare with a date or a time of your own.",
        )


def _after(
    request: records.PageRequest, columns: Sequence[records.Column], quote: Callable[[str], str]
) -> str:
    names = ", ".join(f"c{number}" for number in range(len(columns)))
    text = f"\n) as r ({names})"
    if request.filters:
        text += f" where {' and '.join(_condition(each, quote) for each in request.filters)}"
    if request.order:
        text += f" order by {', '.join(map(_term, request.order))}"
    return text


def refused(failure: errors.NoPages) -> errors.NoPages:
    """Why a result can't be shown as asked, though it is there."""
    return errors.NoPages(
        f"The result can't be sorted and filtered so. {failure}",
        hint="A value to compare with is one of the column's type, and the type has an order.",
    )


def _condition(wanted: records.Filter, quote: Callable[[str], str]) -> str:
    column = f"r.c{wanted.column}"
    if wanted.operator in _TESTED:
        return f"{column} {_TESTED[wanted.operator]}"
    value = wanted.value or ""
    if wanted.operator == "contains":
        escaped = "".join(f"\\{c}" if c in "\\%_" else c for c in value)
        return f"{column}::text ilike {quote(f'%{escaped}%')}"
    return f"{column} {_COMPARED[wanted.operator]} {quote(value)}"


def _term(wanted: records.Order) -> str:
    direction = " desc" if wanted.descending else ""
    return f"r.c{wanted.column}{direction}{_NULLS[wanted.nulls]}"


def literal(value: str) -> str:
    """A text as an SQL literal that no setting, lexer or variable reads as anything else."""
    return f"E'{''.join(map(_character, value))}'"


def _blank(_: str) -> str:
    return "''"


def _character(character: str) -> str:
    if character in _PLAIN:
        return character
    code = ord(character)
    return f"\\u{code:04X}" if code <= _BASIC else f"\\U{code:08X}"


def _around(head: cells.ParsedCell, statement: int, after: str) -> str:
    """The cell with a query around a statement; all else stays, and is judged as it was."""
    found = head.steps[statement].statement if statement < len(head.steps) else None
    if found is None or not statements.is_query(found.text):
        reason = purity.by_text(head)
        if reason is not None:
            raise errors.NoPages(f"The cell has no pages: {reason}.")
        raise errors.NoPages(
            "Only what a query gives can be sorted and filtered.",
            hint="SELECT, VALUES, TABLE and WITH are queries; SHOW and EXPLAIN are not.",
        )
    end = found.start + len(found.text)
    begin, rest = head.source[: found.start], head.source[end:]
    return f"{begin}select * from (\n{found.text}{after}{rest}"
