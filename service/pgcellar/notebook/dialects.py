"""Cells in another database's SQL, translated to PostgreSQL's.

`-- dialect: mysql` in a cell's first line says what it is written in. sqlglot translates statement
by statement; what has no counterpart comes with a warning, what can't be read is an error.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence

import sqlglot
from pglast import error, parser
from sqlglot import Token, TokenType, errors, exp
from sqlglot.dialects import dialect as sqlglot_dialects

from pgcellar.notebook import statements

_DECLARED = re.compile(
    r"\A\s*--[ \t]*dialect[ \t]*:[ \t]*(?P<name>[^\r\n]*?)[ \t]*(?=[\r\n]|\Z)", re.I
)
_META = re.compile(r"^[ \t]*(?P<command>\\[^\s\\]\S*)", re.MULTILINE)
#: sqlglot's own superset of all dialects, and two languages that are no SQL.
_NO_SQL = frozenset({"", "dax", "prql"})
_OURS = frozenset({"postgres", "postgresql"})
_ALIASES = {"postgresql": "postgres", "mssql": "tsql", "sqlserver": "tsql", "mariadb": "mysql"}
#: How many names are put forward for one that is not known.
_CLOSE = 3


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


def known() -> tuple[str, ...]:
    """The names of the dialects, in order."""
    names = {member.value for member in sqlglot_dialects.Dialects} - _NO_SQL
    return tuple(sorted(names | _ALIASES.keys()))


def declared(source: str) -> str | None:
    """The dialect that a cell's first line declares, as typed; None if it declares none."""
    match = _DECLARED.match(source)
    return match["name"] if match else None


def to_postgres(source: str, dialect: str | None = None) -> Translation:
    """A cell's SQL for PostgreSQL. `dialect` counts where the cell itself declares none.

    A cell of PostgreSQL's own SQL stays as it is. Raises DialectError where the dialect is not
    known, a meta-command stands in the cell, or a statement can't be read.
    """
    typed = declared(source)
    name = _named(typed if typed is not None else dialect or "postgres")
    if name in _OURS:
        return Translation(sql=source, dialect=name)
    match = _DECLARED.match(source)
    # Blanks in its place keep every offset and line.
    text = source if match is None else _blank(match[0]) + source[match.end() :]
    parts: list[str] = []
    warnings: list[str] = []
    for number, found in enumerate(_statements(text, name), start=1):
        sql, warned = _translated(found, text, name, number)
        parts.append(sql)
        warnings += warned
    return Translation(sql=";\n".join(parts), dialect=name, warnings=tuple(dict.fromkeys(warnings)))


def _named(typed: str) -> str:
    """The dialect's name in sqlglot. Raises DialectError with names that come close."""
    name = typed.strip().lower()
    if name in known():
        return _ALIASES.get(name, name)
    close = difflib.get_close_matches(name, known(), n=_CLOSE, cutoff=0.5)
    listed = " or ".join(close) if close else ", ".join(known())
    raise DialectError(
        f'The dialect "{typed}" is not known.',
        hint=f"Write -- dialect: and one of {listed}." if not close else f"Did you mean {listed}?",
    )


def _blank(text: str) -> str:
    return re.sub(r"[^\r\n]", " ", text)


def _statements(text: str, name: str) -> Iterator[list[Token]]:
    """The tokens of every statement. Raises DialectError."""
    try:
        found = sqlglot.tokenize(text, read=name)
    except Exception as failure:  # As in `_translated`.
        _refuse_commands(text, ())
        raise DialectError(
            f"The cell can't be read as {name}.",
            hint="Look for a quote or a comment that isn't closed.",
        ) from failure
    _refuse_commands(text, found)
    taken: list[Token] = []
    for token in found:
        if token.token_type is not TokenType.SEMICOLON:
            taken.append(token)
        elif taken:
            yield taken
            taken = []
    if taken:
        yield taken


def _refuse_commands(text: str, found: Sequence[Token]) -> None:
    """A backslash that begins a line is a meta-command, unless it stands in a literal."""
    literals = [(token.start, token.end) for token in found if token.end > token.start]
    for match in _META.finditer(text):
        at = match.start("command")
        if not any(start < at <= end for start, end in literals):
            raise DialectError(
                f"The meta-command {match['command']} in line {_line(text, at)} can't stand in a"
                " cell of another dialect.",
                hint="Move it to a cell of its own.",
                start=at,
            )


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _translated(
    statement: list[Token], text: str, name: str, number: int
) -> tuple[str, Iterable[str]]:
    """One statement for PostgreSQL, and warnings. Raises DialectError."""
    line = _line(text, statement[0].start)
    where = f"Statement {number} (line {line})"
    try:
        (tree,) = sqlglot.Dialect.get_or_raise(name).parser().parse(statement, text)
        if tree is None:
            raise errors.ParseError("it is empty")
        generator = sqlglot.Dialect.get_or_raise("postgres").generator(
            unsupported_level=sqlglot.ErrorLevel.IGNORE
        )
        sql = generator.generate(tree)
    except Exception as failure:  # On odd texts sqlglot raises more than its own errors.
        raise DialectError(
            f"{where} can't be read as {name}{_position(failure)}.",
            hint="Correct it, or write it as PostgreSQL's SQL in a cell without a dialect.",
            start=statement[0].start,
        ) from failure
    if not sql:
        why = ", ".join(generator.unsupported_messages)
        raise DialectError(
            f"{where} has no counterpart in PostgreSQL: {why}.",
            hint="Leave it out, or write what it is for as PostgreSQL's SQL.",
            start=statement[0].start,
        )
    warnings = [f"{where}: {message}" for message in generator.unsupported_messages]
    if isinstance(tree, exp.Command):
        sql = text[statement[0].start : statement[-1].end + 1]
        warnings.append(f"{where}: not known to the translator, so it stays as it is.")
    else:
        warnings += [f"{where}: PostgreSQL can't read it: {why}" for why in _refused(sql)]
    return sql, warnings


def _position(failure: Exception) -> str:
    """What sqlglot says of the first error, and where."""
    if isinstance(failure, errors.ParseError) and failure.errors:
        first = failure.errors[0]
        said = str(first.get("description", "")).partition(" but got ")[0].strip().rstrip(".")
        return f": {said}, in line {first.get('line')}, near {first.get('highlight')!r}"
    return ""


def _refused(sql: str) -> Iterator[str]:
    if not statements.readable(sql):
        return
    try:
        parser.parse_sql_json(sql)
    except error.Error as refusal:
        yield str(refusal.args[0])
