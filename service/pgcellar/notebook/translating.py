"""Another database's SQL translated to PostgreSQL's by sqlglot, statement by statement.

What has no counterpart but can be left out comes with a warning; what can't be read, or would not
be PostgreSQL's SQL afterwards, is an error. That they mean the same is sqlglot's word alone.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterator, Sequence

import sqlglot
from pglast import error, parser
from sqlglot import Token, TokenType, errors, exp
from sqlglot.dialects import dialect as sqlglot_dialects

from pgcellar.notebook import dialects, statements

# What it has to say of a statement becomes a warning of the cell.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

_META = re.compile(r"^[ \t]*(?P<command>\\[^\s\\]\S*)", re.MULTILINE)
#: sqlglot's own superset of all dialects, and two languages that are no SQL.
_NO_SQL = frozenset({"", "dax", "prql"})
_ALIASES = {"postgresql": "postgres", "mssql": "tsql", "sqlserver": "tsql", "mariadb": "mysql"}
#: How many names are put forward for one that is not known.
_CLOSE = 3
#: Characters of a cell; sqlglot takes seven seconds for a million.
MAX_TEXT = 200_000
#: A translated statement longer than this is broken into lines.
_LONG_LINE = 100
#: Characters of a translated statement that an error shows.
_SHOWN = 200
#: How tables are stored and what they are called elsewhere; none of it changes what they hold.
_STORAGE = (
    exp.EngineProperty,
    exp.AutoIncrementProperty,
    exp.CharacterSetProperty,
    exp.CollateProperty,
    exp.SchemaCommentProperty,
    exp.RowFormatProperty,
)
#: Types that PostgreSQL hasn't, and those that hold all of their values.
_TYPES = {
    exp.DataType.Type.UTINYINT: "smallint",
    exp.DataType.Type.USMALLINT: "int",
    exp.DataType.Type.UMEDIUMINT: "int",
    exp.DataType.Type.UINT: "bigint",
    exp.DataType.Type.UBIGINT: "numeric(20)",
}
_INTEGERS = frozenset({"TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT"})


def known() -> tuple[str, ...]:
    """The names of the dialects, in order."""
    names = {member.value for member in sqlglot_dialects.Dialects} - _NO_SQL
    return tuple(sorted(names | _ALIASES.keys()))


def translate(text: str, dialect: str) -> dialects.Translation:
    """A cell's SQL for PostgreSQL. Raises DialectError."""
    name = _named(dialect)
    if len(text) > MAX_TEXT:
        raise dialects.DialectError(
            f"The cell has {len(text):,} characters; at most {MAX_TEXT:,} are translated.",
            hint="Load data by COPY, or cut the cell in two.",
        )
    parts: list[str] = []
    warnings: list[str] = []
    for number, found in enumerate(_statements(text, name), start=1):
        one = _Statement(found, text, name, number)
        parts.append(one.translated())
        warnings += one.warnings
    return dialects.Translation(
        sql=";\n".join(parts), dialect=name, warnings=tuple(dict.fromkeys(warnings))
    )


def _named(typed: str) -> str:
    """The dialect's name in sqlglot. Raises DialectError with names that come close."""
    name = typed.strip().lower()
    if name in known():
        return _ALIASES.get(name, name)
    close = difflib.get_close_matches(name, known(), n=_CLOSE, cutoff=0.5)
    raise dialects.DialectError(
        f'The dialect "{typed}" is not known.',
        hint=f"Did you mean {' or '.join(close)}?"
        if close
        else f"Write -- dialect: and one of {', '.join(known())}.",
    )


def _statements(text: str, name: str) -> Iterator[list[Token]]:
    """The tokens of every statement. Raises DialectError."""
    try:
        found = sqlglot.tokenize(text, read=name)
    except Exception as failure:  # As in `_Statement.translated`.
        _refuse_commands(text, ())
        raise dialects.DialectError(
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
            raise dialects.DialectError(
                f"The meta-command {match['command']} in line {_line(text, at)} can't stand in a"
                " cell of another dialect.",
                hint="Move it to a cell of its own.",
                start=at,
            )


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


class _Statement:
    """One statement to translate."""

    def __init__(self, tokens: list[Token], text: str, name: str, number: int) -> None:
        self.warnings: list[str] = []
        self._tokens = tokens
        self._text = text
        self._dialect = name
        self._where = f"Statement {number} (line {_line(text, tokens[0].start)})"

    def translated(self) -> str:
        """Its SQL for PostgreSQL. Raises DialectError."""
        try:
            tree = self._parse()
            plain = not tree.find(exp.Placeholder)
            self._adapt(tree)
            sql, unsupported = self._generate(tree)
        except dialects.DialectError:
            raise
        except Exception as failure:  # On odd texts sqlglot raises more than its own errors.
            raise self._error(
                f"can't be read as {self._dialect}{_position(failure)}",
                "Correct it, or write it as PostgreSQL's SQL in a cell without a dialect.",
            ) from failure
        if not sql:
            raise self._error(
                f"has no counterpart in PostgreSQL: {', '.join(unsupported)}",
                "Leave it out, or write what it is for as PostgreSQL's SQL in a cell without a"
                " dialect.",
            )
        why = _refused(sql) if plain else None
        if why is not None:
            raise self._error(
                f"has a part without counterpart in PostgreSQL: {'; '.join([*unsupported, why])}",
                f"It became: {sql[:_SHOWN]}{'…' if len(sql) > _SHOWN else ''} – leave that part"
                " out, or write the statement as PostgreSQL's SQL in a cell without a dialect.",
            )
        self.warnings += [f"{self._where}: {message}" for message in unsupported]
        return sql

    def _error(self, what: str, hint: str) -> dialects.DialectError:
        return dialects.DialectError(
            f"{self._where} {what}.", hint=hint, start=self._tokens[0].start
        )

    def _parse(self) -> exp.Expr:
        reader = sqlglot.Dialect.get_or_raise(self._dialect).parser()
        (tree,) = reader.parse(self._tokens, self._text)
        if tree is None:
            raise errors.ParseError("it is empty")
        return tree

    def _generate(self, tree: exp.Expr) -> tuple[str, list[str]]:
        """The SQL, in lines where it is long, and what sqlglot says is missing in it."""
        if isinstance(tree, exp.Command):
            text = self._text[self._tokens[0].start : self._tokens[-1].end + 1]
            self.warnings.append(
                f"{self._where}: not known to the translator, so it stays as it is"
            )
            return text, []
        sql = ""
        for pretty in (False, True):
            generator = sqlglot.Dialect.get_or_raise("postgres").generator(
                unsupported_level=sqlglot.ErrorLevel.IGNORE, pretty=pretty
            )
            made = generator.generate(tree)
            if not pretty or statements.canonical(made) == statements.canonical(sql):
                sql = made
            if len(sql) <= _LONG_LINE:
                break
        return sql, list(generator.unsupported_messages)

    def _adapt(self, tree: exp.Expr) -> None:
        """What sqlglot leaves to be done, to the tree."""
        for variable in tree.find_all(exp.Placeholder):
            if variable.name in ("", "?"):
                raise self._error("has a ? for a value", "Write the value, or :name of a variable.")
            # psql's, put in before the statement is sent.
            variable.replace(exp.Var(this=f":{variable.name}"))
        if tree.find(exp.Parameter, exp.SessionParameter):
            raise self._error(
                "uses a variable of the session (@name)",
                "Set a variable by \\set in a cell of its own and write :name.",
            )
        for storage in list(tree.find_all(*_STORAGE)):
            self.warnings.append(f"{self._where}: left out {storage.sql(self._dialect)}")
            storage.pop()
        for properties in list(tree.find_all(exp.Properties)):
            if not properties.expressions:
                properties.pop()
        for kind in list(tree.find_all(exp.DataType)):
            if kind.this is exp.DataType.Type.UBIGINT and _numbers_itself(kind):
                kind.replace(exp.DataType.build("bigint"))
            elif kind.this in _TYPES:
                kind.replace(exp.DataType.build(_TYPES[kind.this], dialect="postgres"))
            elif kind.this.name in _INTEGERS:
                # MySQL's display width.
                kind.set("expressions", [])
        if isinstance(tree, exp.Insert) and tree.args.get("ignore"):
            tree.set("ignore", False)
            tree.set("conflict", exp.OnConflict(action=exp.var("DO NOTHING")))


def _numbers_itself(kind: exp.DataType) -> bool:
    """Whether it is the type of an AUTO_INCREMENT column, which must be an integer."""
    column = kind.parent
    return column is not None and column.find(exp.AutoIncrementColumnConstraint) is not None


def _position(failure: Exception) -> str:
    """What sqlglot says of the first error, and where."""
    if isinstance(failure, errors.ParseError) and failure.errors:
        first = failure.errors[0]
        said = str(first.get("description", "")).partition(" but got ")[0].strip().rstrip(".")
        return f": {said}, in line {first.get('line')}, near {first.get('highlight')!r}"
    return ""


def _refused(sql: str) -> str | None:
    """Why PostgreSQL's grammar refuses a text; None if it takes it."""
    if not statements.readable(sql):
        return None
    try:
        parser.parse_sql_json(sql)
    except error.Error as refusal:
        return str(refusal.args[0])
    return None
