"""Holds what a head gave against what psql gave."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Container, Sequence
from typing import Literal

from tests import cellar as cellars
from tests import oracle as oracles

from pgcellar.api import records, rendering

Kind = Literal["same", "differs", "refused"]

#: Refusals; what else begins with PC is a fault.
REFUSALS = frozenset({"PC001", "PC008", "PC010"})
_QUOTED = re.compile(r"/\S+|\\\S+|\"[^\"]*\"|'[^']*'|\d+")
_ROWS = re.compile(r"^(COPY .* FROM stdin;\n)(?:.*\n)*?\\\.$", re.MULTILINE)
_SHOWN = 300


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a head compares. `aspect` is what differs: error, results, notices, content."""

    kind: Kind
    aspect: str = ""
    detail: str = ""
    #: The cell whose error it is, if there is one.
    cell: int | None = None
    #: Of what is excused, what it was: `detail` is the reason then.
    told: str = ""


SAME = Verdict(kind="same")


def head(ran: cellars.Ran, outcome: oracles.CellOutcome, index: int) -> Verdict:
    """A head against the outcome of its cell, all cells above being known to succeed."""
    error = ran.done.error
    if error is not None:
        at = int((error.cell or f"c{index}")[1:])
        if error.sqlstate in REFUSALS:
            return Verdict(kind="refused", aspect=error.sqlstate, detail=general(error), cell=at)
        if at != index or outcome.error is None or error.sqlstate != outcome.error.sqlstate:
            detail = f"{_told(error)} at cell {at}; psql: {_expected(outcome)}"
            return Verdict(kind="differs", aspect="error", detail=detail, cell=at)
        return SAME
    if outcome.error is not None:
        detail = f"it succeeds; psql: {_expected(outcome)}"
        return Verdict(kind="differs", aspect="error", detail=detail, cell=index)
    return results(ran.results, outcome)


def results(
    ours: Sequence[rendering.Result],
    outcome: oracles.CellOutcome,
    excused: Container[int] = (),
) -> Verdict:
    """The results of a cell that succeeded, statement by statement, but for some."""
    theirs = outcome.results
    every, ours = ours, [result for result in ours if not _notices_only(result)]
    if len(ours) != len(theirs):
        tags = [r.command for r in ours], [r.command or "table" for r in theirs]
        return _differs("results", f"{len(ours)} results {tags[0]}; psql: {len(theirs)} {tags[1]}")
    for number, told in differing(ours, theirs):
        if number not in excused:
            return _differs("results", told)
    said = collections.Counter(
        (n.severity, n.sqlstate, n.message.split("\n")[0])
        for result in every
        for n in result.notices
        if isinstance(n, records.Notice)
    )
    # psql's own have no code.
    expected = collections.Counter(
        (n[0].upper(), n[1] or ("01000" if n[0].islower() else "00000"), n[2])
        for n in outcome.notices
    )
    if said != expected:
        more, fewer = list((said - expected).items())[:2], list((expected - said).items())[:2]
        return _differs("notices", f"only here: {more}; only psql: {fewer}")
    heard = [text for result in every for text in oracles.heard(_texts(result))]
    if heard != list(outcome.heard):
        return _differs("notices", f"heard {heard}; psql: {outcome.heard}")
    return SAME


def _texts(result: rendering.Result) -> str:
    return "".join(notice.text for notice in result.notices if isinstance(notice, records.Text))


def _notices_only(result: rendering.Result) -> bool:
    """No result: a warning of `\\gset`, a message, or what `\\c` says, which the oracle drops."""
    said = oracles.ASIDES.sub("", oracles.unheard(_texts(result)))
    return not (result.command or result.tabular or said) and bool(result.notices)


def differing(
    ours: Sequence[rendering.Result], theirs: Sequence[oracles.StatementResult]
) -> list[tuple[int, str]]:
    """Which of as many results differ, and how."""
    told = (one(mine, other) for mine, other in zip(ours, theirs, strict=True))
    return [(number, text) for number, text in enumerate(told) if text is not None]


def one(mine: rendering.Result, other: oracles.StatementResult) -> str | None:
    """What differs between two results of a statement."""
    # Of COPY TO STDOUT psql shows what it gives, and no tag; \\echo has none.
    given = oracles.unheard(_texts(mine)).strip()
    untagged = mine.command.startswith("COPY") or not mine.command
    shown = given if untagged and given else mine.command
    if other.command is not None and shown != other.command:
        return f"tag {shown}; psql: {other.command}"
    if (other.columns is not None) != mine.tabular:
        return f"{'a' if mine.tabular else 'no'} table; psql: the contrary"
    if other.columns is None:
        return None
    if other.row_count is None:
        return f"{mine.row_count} rows; psql shows none" if mine.columns and mine.rows else None
    names = tuple(column.name for column in mine.columns)
    if names != other.columns:
        return f"columns {names}; psql: {other.columns}"
    if other.columns and collections.Counter(mine.rows) != collections.Counter(other.rows):
        here, there = collections.Counter(mine.rows), collections.Counter(other.rows)
        more, fewer = list(here - there)[:2], list(there - here)[:2]
        return f"{mine.row_count} rows, only here: {more}; psql {other.row_count}, only: {fewer}"
    # Some tags (SHOW) have no number; rows without columns are counted only.
    if mine.row_count is not None and mine.row_count != other.row_count:
        return f"{mine.row_count} rows; psql: {other.row_count}"
    return None


def content(
    ours: dict[str, list[str]], theirs: dict[str, list[str]], again: dict[str, list[str]]
) -> Verdict:
    """Two fingerprints; what a second run of psql gives otherwise is not looked at."""
    for section in sorted(ours.keys() | theirs.keys()):
        if theirs.get(section) != again.get(section):
            continue
        if ours.get(section) != theirs.get(section):
            here = collections.Counter(ours.get(section, []))
            there = collections.Counter(theirs.get(section, []))
            more, fewer = list(here - there)[:2], list(there - here)[:2]
            detail = f"{section}: only here: {more}; only psql: {fewer}"
            return _differs("content", detail)
    return SAME


def dumps(ours: str, theirs: str, again: str) -> Verdict:
    """Two dumps without rows, which fingerprints compare, and without what psql gives otherwise."""
    # As multisets: what depends on one another in a circle is dumped in the order of its numbers.
    here, there, other = (_schema(dump) for dump in (ours, theirs, again))
    unstable = (there - other) | (other - there)
    more, fewer = here - there - unstable, there - here - unstable
    if not more and not fewer:
        return SAME
    return _differs("dump", f"only here: {list(more)[:9]}; only psql: {list(fewer)[:9]}")


def _schema(dump: str) -> collections.Counter[str]:
    return collections.Counter(_ROWS.sub(r"\1", dump).splitlines())


def general(error: records.SqlError) -> str:
    """A refusal's message without names and numbers, for counting."""
    return _QUOTED.sub("…", error.message)[:120]


def _differs(aspect: str, detail: str) -> Verdict:
    return Verdict(kind="differs", aspect=aspect, detail=detail[: _SHOWN * 2])


def _told(error: records.SqlError) -> str:
    return f"{error.sqlstate} {error.message[:_SHOWN]}"


def _expected(outcome: oracles.CellOutcome) -> str:
    if outcome.error is None:
        return "it succeeds"
    return f"{outcome.error.sqlstate} {outcome.error.message[:_SHOWN]}"
