"""Which columns a statement reads and writes, as far as sqlglot can tell: labels, nothing more.

sqlglot's scopes tell which table an alias or the name of a CTE stands for. Whatever it can't
parse, or a column that could be of several tables, is left out: dependencies do not rest on this.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.optimizer import scope as scopes

from pgcellar.notebook import statements
from pgcellar.notebook.lineage.objects import Ref

#: sqlglot takes milliseconds for a statement of this many characters, and longer ones are data.
_MAX_TEXT = 20_000
#: Other statements have no columns to resolve, and sqlglot logs it when it doesn't know one.
_BEGIN = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(?:select|insert|update|delete|merge|with|values|table"
    r"|create\b[^;(]*?\b(?:view|table))\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Columns read and written, by table; `*` stands for all, where they aren't known."""

    read: frozenset[Ref] = frozenset()
    written: frozenset[Ref] = frozenset()


def of_statement(text: str, known: Mapping[str, Sequence[str]]) -> Columns:
    """The columns of one SQL statement. Never raises.

    `known` are the columns of tables, by their name as `str(Ref)` gives it.
    """
    tree = _parsed(text)
    if tree is None:
        return Columns()
    reader = _Reader(known)
    try:
        return Columns(read=frozenset(reader.read(tree)), written=frozenset(reader.written(tree)))
    except Exception:  # As in `_parsed`.
        return Columns()


def of_definitions(
    texts: Iterable[str], known: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """The columns of what CREATE VIEW and CREATE TABLE AS make, where all are known."""
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        tree = _parsed(text) if "create" in text.lower() else None
        if isinstance(tree, exp.Create) and isinstance(tree.expression, exp.Query):
            names = _outputs(tree, {**known, **found})
            if names:
                found[str(_table(tree.find(exp.Table) or exp.Table()))] = names
    return found


@functools.lru_cache(maxsize=5_000)
def _parsed(text: str) -> exp.Expr | None:
    begin = _BEGIN.match(text)
    if begin is None or len(text) > _MAX_TEXT or not statements.readable(text):
        return None
    try:
        return sqlglot.parse_one(text, read="postgres")
    except Exception:
        # Of arbitrary text sqlglot raises more than its own errors, and no label is worth a cell.
        return None


class _Reader:
    """Resolves the columns of one statement."""

    def __init__(self, known: Mapping[str, Sequence[str]]) -> None:
        self._known = known

    def read(self, tree: exp.Expr) -> Iterator[Ref]:
        """The columns that are read: all but the targets of INSERT and UPDATE."""
        inside: set[int] = set()
        for scope in scopes.traverse_scope(tree):
            if not isinstance(scope.expression, exp.Select):
                continue
            inside.update(id(column) for column in scope.expression.find_all(exp.Column))
            yield from self._selected(scope)
        targets = {id(column) for column in _assigned(tree)}
        tables = _own_tables(tree)
        for column in tree.find_all(exp.Column):
            if id(column) not in inside and id(column) not in targets:
                yield from self._resolved(column, tables, outer=False)

    def written(self, tree: exp.Expr) -> Iterator[Ref]:
        """The columns that INSERT, UPDATE, DELETE and MERGE write."""
        for node in tree.find_all(exp.Insert, exp.Update, exp.Delete, exp.Merge):
            target = node.find(exp.Table) if isinstance(node.this, exp.Schema) else node.this
            if not isinstance(target, exp.Table) or isinstance(node.parent, exp.When):
                continue
            table = _table(target)
            names: list[str] = [_name(column.this) for column in _assigned(node)]
            if isinstance(node, exp.Insert) and isinstance(node.this, exp.Schema):
                names += [_name(column) for column in node.this.expressions]
            for name in names or self._all(table):
                yield table._replace(column=name)

    def _selected(self, scope: scopes.Scope) -> Iterator[Ref]:
        tables = {
            alias: _table(source) if isinstance(source, exp.Table) else None
            for alias, (_, source) in scope.selected_sources.items()
        }
        outer = scope.parent is not None and scope.is_subquery
        for column in scope.columns:
            yield from self._resolved(column, tables, outer=outer)
        for selected in scope.expression.expressions:
            if isinstance(selected, exp.Star):
                for table in filter(None, tables.values()):
                    yield from self._star(table)
            elif isinstance(selected, exp.Column) and isinstance(selected.this, exp.Star):
                named = tables.get(_name(selected.args["table"]))
                if named is not None:
                    yield from self._star(named)

    def _resolved(
        self, column: exp.Column, tables: Mapping[str, Ref | None], *, outer: bool
    ) -> Iterator[Ref]:
        """The column of a table. `outer`: it may be one of the query around this one."""
        if isinstance(column.this, exp.Star):
            return
        name = _name(column.this)
        if "table" in column.args and column.args["table"] is not None:
            named = tables.get(_name(column.args["table"]))
            if named is not None:
                yield named._replace(column=name)
            return
        having = [t for t in tables.values() if t and name in self._known.get(str(t), ())]
        if len(having) == 1:
            yield having[0]._replace(column=name)
        elif not having and len(tables) == 1 and not outer:
            (only,) = tables.values()
            if only is not None and str(only) not in self._known:
                yield only._replace(column=name)

    def _star(self, table: Ref) -> Iterator[Ref]:
        for name in self._all(table):
            yield table._replace(column=name)

    def _all(self, table: Ref) -> Sequence[str]:
        return self._known.get(str(table)) or ("*",)


def _own_tables(tree: exp.Expr) -> dict[str, Ref | None]:
    """The tables that an UPDATE, DELETE or MERGE names itself, by alias."""
    if not isinstance(tree, exp.Update | exp.Delete | exp.Merge):
        return {}
    parts = [tree.this, tree.args.get("using"), tree.args.get("from_")]
    found: dict[str, Ref | None] = {}
    for part in parts:
        for node in part if isinstance(part, list) else [part]:
            source = node.this if isinstance(node, exp.From) else node
            if isinstance(source, exp.Table):
                found[_name(source.args.get("alias") or source.this)] = _table(source)
            elif isinstance(source, exp.Subquery):
                found[_name(source.args.get("alias") or exp.to_identifier(""))] = None
    return found


def _assigned(tree: exp.Expr) -> Iterator[exp.Column]:
    """The columns on the left of SET, and those that a MERGE inserts."""
    for node in tree.find_all(exp.Update):
        for assignment in node.expressions:
            if isinstance(assignment, exp.EQ):
                yield from assignment.this.find_all(exp.Column)
    for insert in tree.find_all(exp.Insert):
        if isinstance(insert.parent, exp.When) and isinstance(insert.this, exp.Tuple):
            yield from insert.this.find_all(exp.Column)


def _outputs(tree: exp.Create, known: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The columns of what is created; none where a star or an expression leaves them open."""
    if isinstance(tree.this, exp.Schema):
        return tuple(_name(column) for column in tree.this.expressions)
    query = tree.expression
    if not isinstance(query, exp.Select):
        return ()
    sources = _from(query)
    names: list[str] = []
    for selected in query.expressions:
        if isinstance(selected, exp.Star):
            if not sources or any(source not in known for source in sources):
                return ()
            names += [name for source in sources for name in known[source]]
        elif isinstance(selected, exp.Alias):
            names.append(_name(selected.args["alias"]))
        elif isinstance(selected, exp.Column) and not isinstance(selected.this, exp.Star):
            names.append(_name(selected.this))
        else:
            return ()
    return tuple(names)


def _from(query: exp.Select) -> list[str]:
    """The tables of a FROM without joins or WITH; none where there is more to it."""
    source = query.args.get("from_")
    plain = not query.args.get("joins") and not query.args.get("with_")
    if plain and source is not None and isinstance(source.this, exp.Table):
        return [str(_table(source.this))]
    return []


def _table(table: exp.Table) -> Ref:
    schema = table.args.get("db")
    return Ref(schema=_name(schema) if schema else "", name=_name(table.this))


def _name(node: exp.Expr) -> str:
    """A name as PostgreSQL has it: without quotes in lower case."""
    while not isinstance(node, exp.Identifier) and isinstance(node.this, exp.Expr):
        node = node.this
    text = node.name
    return text if node.args.get("quoted") else text.lower()
