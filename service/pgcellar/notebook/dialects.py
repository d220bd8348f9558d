"""Cells in another database's SQL: which they are in, and what they are in PostgreSQL's.

`-- dialect: mysql` in a cell's first line says what it is written in; for a cell with the tag
`dialect:mysql`, clients put `/* dialect: mysql */` in front. `translating` does the work; it is
imported when the first such cell comes, since importing sqlglot takes longer than most cells.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

#: The first line that is not blank.
_DECLARED = re.compile(
    r"\A\s*(?:--[ \t]*dialect[ \t]*:[ \t]*(?P<name>[^\r\n]*?)[ \t]*(?=[\r\n]|\Z)"
    r"|/\*[ \t]*dialect[ \t]*:[ \t]*(?P<tag>[^\r\n*]*?)[ \t]*\*/)",
    re.I,
)
_OURS = frozenset({"postgres", "postgresql"})


class DialectError(Exception):
    """The cell can't be translated to PostgreSQL's SQL."""

    def __init__(self, message: str, *, hint: str, start: int = 0) -> None:
        """`message` says what and where, `hint` what to do; `start` is a 0-based offset."""
        self.message = message
        self.hint = hint
        self.start = start
        super().__init__(message)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Translation:
    """A cell's SQL for PostgreSQL; `warnings` say what may mean something else now."""

    sql: str
    dialect: str
    warnings: tuple[str, ...] = ()


def declared(source: str) -> str | None:
    """The dialect that a cell's first line declares, as typed; None if it declares none."""
    match = _DECLARED.match(source)
    return (match["name"] or match["tag"] or "") if match else None


def any_declared(sources: Iterable[str]) -> bool:
    """Whether one of the cells declares a dialect."""
    return any(map(_DECLARED.match, sources))


def to_postgres(source: str) -> Translation | None:
    """A cell's SQL for PostgreSQL; None for a cell that is PostgreSQL's own, to stay as it is.

    Raises DialectError where the dialect is not known, a meta-command stands in the cell, or a
    statement can't be translated.
    """
    match, typed = _DECLARED.match(source), declared(source)
    if match is None or typed is None or typed.lower() in _OURS:
        return None
    # Blanks in its place keep every offset and line.
    text = _blank(match[0]) + source[match.end() :]
    from pgcellar.notebook import translating

    return translating.translate(text, typed)


def _blank(text: str) -> str:
    return re.sub(r"[^\r\n]", " ", text)
