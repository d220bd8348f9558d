"""The catalog as describing commands read it: queries of ours in the user's session.

A name that a query does not qualify may be the user's, whose `search_path` comes first, while what
is visible depends on that path: so it stays, and every name in a query is qualified instead. That
is done here, for queries to be read: see `qualified`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
from collections.abc import AsyncIterator, Sequence
from typing import Final

from pgcellar.api import errors, records
from pgcellar.notebook import databases, patterns
from pgcellar.runner import connections, executor, outputs
from pgcellar.runner.describe import pattern

Row = tuple[str | None, ...]
#: Stands in queries for the relations that they are about.
OIDS = ":oids"
#: A column of a list: its header, and the SQL expression of its values.
Item = tuple[str, str]

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
_MAX_ROWS = 1_000_000
_MAX_BYTES = 256 << 20
_TOKEN = patterns.compile(
    r"""
      (?P<literal> E'(?:[^'\\]|\\.|'')*+' | '[^']*+' )
    | (?P<cast> ::\s*"?\w+"? )
    | (?P<word> "[^"]*+" | [A-Za-z_]\w*+ )
    | (?P<operator> [-+/<>=~!@\#%^&|`?]+ )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
#: What may stand before a parenthesis and is no function.
_WORDS = frozenset(
    {
        "all", "and", "any", "array", "as", "by", "case", "coalesce", "else", "exists", "filter",
        "from", "in", "join", "lateral", "not", "on", "or", "over", "select", "then", "union",
        "values", "when", "where", "with",
    }
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """What a command shows: rows under a title, and lines below them, without line breaks at ends.

    `types` are those of columns that are not text. `counted`: the number of rows is shown where no
    footers are. `expandable`: `\\x` shows its rows one below the other.
    """

    title: str | None
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    footers: tuple[str, ...] = ()
    types: tuple[tuple[str, str], ...] = ()
    counted: bool = True
    expandable: bool = True


#: What a command gives: tables, and texts.
Shown = list[Table | str]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A command as it was typed, without its backslash, and its arguments.

    `verbose` (`+`) and `system` (`S`) are its modifiers.
    """

    command: str
    arguments: tuple[str, ...] = ()

    @property
    def verbose(self) -> bool:
        """Whether more is asked for."""
        return "+" in self.command

    @property
    def system(self) -> bool:
        """Whether the system's own objects are to be listed."""
        return "S" in self.command

    @property
    def pattern(self) -> str | None:
        """The first argument."""
        return self.argument(0)

    @property
    def unfiltered(self) -> bool:
        """Whether the system's own objects are in the way: no one asked for them, or for any."""
        return not self.system and self.pattern is None

    def argument(self, index: int) -> str | None:
        """An argument, if it was given."""
        return self.arguments[index] if index < len(self.arguments) else None


class Catalog:
    """The catalog of one session, in one transaction: its own, or else the user's that is open."""

    def __init__(self, session: executor.Session, emit: outputs.Emit) -> None:
        self._session = session
        self._emit = emit
        #: Whether the transaction is ours.
        self.own: Final = not session.in_transaction
        self._begin = self.own
        connection = session.connection
        #: PostgreSQL's major version.
        self.version: Final = connection.server_version // 10000
        name = connection.db.decode("utf-8", "replace")
        #: Whether the database is a notebook's.
        self.notebook: Final = databases.is_own(name)
        #: The database as the user calls it.
        self.database: Final = databases.NAME if self.notebook else name
        #: Messages sent to the server.
        self.trips = 0

    async def ask(self, *queries: str, oids: Sequence[str] = ()) -> list[list[Row]]:
        """The rows of each query; all go in one message.

        With `oids`, numbers that a query gave, `OIDS` in the queries stands for an array of them.
        Raises StatementFailed or SandboxLost. Cancelling the task cancels the queries.
        """
        parts = [qualified(query) for query in queries]
        if oids:
            listed = f"'{{{','.join(oids)}}}'::pg_catalog.oid[]"
            parts = [part.replace(OIDS, listed) for part in parts]
        if self._begin:
            parts.insert(0, _BEGIN)
        self._begin = False
        self.trips += 1
        found: list[list[Row]] = []

        async def collect(event: records.Event) -> None:
            if isinstance(event, records.Columns):
                found.append([])
            elif isinstance(event, records.Rows):
                found[-1].extend(event.rows)
            elif isinstance(event, records.Text | records.Notice):
                await self._emit(event)

        output = outputs.Output(
            emit=collect, statement=0, max_rows=_MAX_ROWS, max_bytes=_MAX_BYTES, name_types=False
        )
        try:
            await self._session.run(";\n".join(parts), output)
        except connections.StatementFailed as exc:
            # It counts in a text that nobody has seen.
            raise connections.StatementFailed(
                dataclasses.replace(exc.error, position=None)
            ) from exc
        return found

    async def rows(self, query: str) -> list[Row]:
        """The rows of one query. Raises as `ask` does."""
        return (await self.ask(query))[0]

    def where(
        self, text: str | None, target: pattern.Target, *others: str | None, clause: str = "where"
    ) -> str:
        """A WHERE clause: what the pattern `text` matches of `target`, and other conditions.

        Raises StatementFailed if it is no pattern.
        """
        conditions = [*(other for other in others if other)]
        conditions += target.conditions(text, self.database)
        return f"{clause} {' and '.join(conditions)}" if conditions else ""

    async def listing(
        self,
        title: str,
        items: Sequence[Item],
        source: str,
        order: str,
        *,
        types: tuple[tuple[str, str], ...] = (),
        counted: bool = True,
    ) -> Table:
        """A list: the values of `items` for what `source`, a FROM clause and more, gives."""
        values = ", ".join(expression for _, expression in items)
        keys = f"order by {order}" if order else ""
        rows = await self.rows(f"select {values} {source} {keys}")
        return Table(
            title=title,
            columns=tuple(header for header, _ in items),
            rows=tuple(rows),
            types=types,
            counted=counted,
        )


@contextlib.asynccontextmanager
async def reading(session: executor.Session, emit: outputs.Emit) -> AsyncIterator[Catalog]:
    """Read in a READ ONLY transaction, unless the user's own is open; `emit` takes notices.

    Raises StatementFailed or SandboxLost.
    """
    wrapped = not session.in_transaction
    try:
        yield Catalog(session, emit)
    finally:
        if wrapped and session.usable and session.in_transaction:
            await session.query("ROLLBACK")


@functools.lru_cache(maxsize=128)
def qualified(query: str) -> str:
    """The query with `pg_catalog` before operators, functions, types and tables of the catalog.

    Operators qualified bind alike, from left to right, unlike those that are not: hence more
    parentheses than elsewhere in our queries. IN, LIKE, NULLIF and CASE of a value name an operator
    without saying so, and are not to be used.
    """
    out: list[str] = []
    tokens = list(_TOKEN.finditer(query))
    for index, token in enumerate(tokens):
        text = token[0]
        behind = query[token.end() : token.end() + 1]
        qualifies = index > 0 and tokens[index - 1][0] == "."
        if token.lastgroup == "cast":
            text = f"::pg_catalog.{text[2:].strip()}"
        elif token.lastgroup == "operator":
            text = f"operator(pg_catalog.{text})"
        elif token.lastgroup == "word" and not qualifies:
            called = behind == "(" and text.lower() not in _WORDS and text[0] != '"'
            table = text.startswith("pg_") and behind != "." and behind != "("
            text = f"pg_catalog.{text}" if called or table else text
        out.append(text)
    return "".join(out)


def acl(column: str) -> str:
    """Access privileges as psql shows them."""
    return (
        f"case when cardinality({column}) = 0 then '(none)'"
        f" else array_to_string({column}, E'\\n') end"
    )


def kinds(column: str, letters: str) -> str:
    """A condition: a column of type "char" is one of these letters."""
    return f"{column} = any ('{{{','.join(letters)}}}'::\"char\"[])"


def choice(column: str, *choices: tuple[str, str], other: str = "null") -> str:
    """An expression: the text for each letter of a column."""
    cases = " ".join(f"when {column} = '{letter}' then '{text}'" for letter, text in choices)
    return f"case {cases} else {other} end"


def yes(condition: str) -> str:
    """An expression: yes or no."""
    return f"case when {condition} then 'yes' else 'no' end"


def owner(column: str) -> str:
    """An expression: the name of a role."""
    return f"pg_get_userbyid({column})"


def failed(message: str, hint: str | None = None) -> connections.StatementFailed:
    """A refusal of ours."""
    return connections.StatementFailed(
        records.SqlError(sqlstate=errors.Unsupported.code, message=message, hint=hint)
    )


def own_schema(schema: str) -> str:
    """A condition: a schema is not the system's."""
    return f"{schema} <> 'pg_catalog' and {schema} <> 'information_schema'"


def options(column: str) -> str:
    """An expression: options of foreign data as SQL spells them."""
    return (
        f"case when {column} is null then '' else '(' || array_to_string(array("
        "select (quote_ident(o.option_name) || ' ') || quote_literal(o.option_value)"
        f" from pg_options_to_table({column}) o), ', ') || ')' end"
    )


def with_footers(table: Table, footers: Sequence[str]) -> Table:
    """The table with these lines below it."""
    return dataclasses.replace(table, footers=tuple(footers))
