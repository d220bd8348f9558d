"""Which tables and columns a place in a statement sees: by aliases, joins, subqueries, CTEs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from pgcellar.api import catalogs
from pgcellar_kernel.language import catalog, groups, shapes, tokens

#: Subqueries in one another whose columns are found out.
_MAX_DEPTH = 12
#: Columns that a query is taken to give at most.
_MAX_COLUMNS = 2_000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Something that columns come from: a table, a view, a CTE, a subquery, a function.

    `relation` is its entry in the catalog, if it has one; `written` the name that stands there.
    """

    alias: str
    columns: tuple[catalogs.ColumnInfo, ...]
    relation: catalogs.RelationInfo | None = None
    written: tuple[str, ...] = ()
    kind: str = "table"


Columns = shapes.Columns
Ctes = Mapping[str, Columns]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What is seen: by levels, the innermost first, of which each has its sources in order.

    `target` is the table that the statement changes, or is about.
    """

    levels: tuple[tuple[Source, ...], ...]
    ctes: Ctes
    target: Source | None = None

    @property
    def sources(self) -> tuple[Source, ...]:
        """All sources, the nearest first; of two with one name only the nearer is seen."""
        found: dict[str, Source] = {}
        for level in self.levels:
            for source in level:
                found.setdefault(source.alias, source)
        return tuple(found.values())

    def source(self, alias: str) -> Source | None:
        """The source of a name."""
        return next((each for each in self.sources if each.alias == alias), None)


def scope(root: groups.Group, cursor: int, names: catalog.Catalog) -> Scope:
    """What a cursor in a statement sees."""
    reader = _Reader(names)
    chain = groups.chain(root, cursor)
    ctes: dict[str, Columns] = {}
    levels: list[tuple[Source, ...]] = []
    target: Source | None = None
    for depth, group in enumerate(chain):
        before = chain[depth - 1] if depth else None
        if before is not None and _is_argument(before.items, group):
            levels.append(())
            continue
        ctes.update(reader.ctes(group.items, ctes, cursor))
        arm = _arm(group.items, cursor)
        levels.append(tuple(reader.sources(arm, ctes, _MAX_DEPTH)))
        target = reader.target(arm) or target
    return Scope(levels=tuple(reversed(levels)), ctes=ctes, target=target)


def output(
    items: Sequence[groups.Item], names: catalog.Catalog, ctes: Ctes | None = None
) -> Columns:
    """The columns that a query gives, as far as its text tells."""
    return _Reader(names).output(items, dict(ctes or {}), _MAX_DEPTH)


#: Words in front of brackets in which FROM is no clause.
_FROM_IS_ARGUMENT = frozenset({"EXTRACT", "SUBSTRING", "TRIM", "OVERLAY", "POSITION"})
_SETS = frozenset({"UNION", "INTERSECT", "EXCEPT"})
_ENDS_FROM = tokens.listed(
    """WHERE GROUP HAVING WINDOW ORDER LIMIT OFFSET FETCH FOR UNION INTERSECT EXCEPT SET RETURNING
    SELECT WHEN VALUES FROM"""
)
_JOINS = frozenset({"JOIN", ","})


def _is_argument(items: Sequence[groups.Item], group: groups.Group) -> bool:
    index = items.index(group)
    return index > 0 and groups.word(items[index - 1]) in _FROM_IS_ARGUMENT


def _arm(items: Sequence[groups.Item], cursor: int) -> Sequence[groups.Item]:
    """The part between UNIONs and the like in which the cursor stands."""
    begin, end = 0, len(items)
    for index, item in enumerate(items):
        if groups.word(item) in _SETS and isinstance(item, tokens.Token):
            if item.end <= cursor:
                begin = index + 1
            elif item.start >= cursor:
                end = index
                break
    return items[begin:end]


class _Reader:
    def __init__(self, names: catalog.Catalog) -> None:
        self._names = names
        self._left = _MAX_COLUMNS

    def ctes(
        self,
        items: Sequence[groups.Item],
        known: Ctes,
        cursor: int | None = None,
        depth: int = _MAX_DEPTH,
    ) -> dict[str, Columns]:
        """The CTEs of a query, of which those below the cursor's own are not seen."""
        found: dict[str, Columns] = {}
        start = next((i for i, item in enumerate(items) if groups.word(item) == "WITH"), None)
        if start is None:
            return found
        index = start + 1
        recursive = index < len(items) and groups.word(items[index]) == "RECURSIVE"
        index += recursive
        while index < len(items):
            name = shapes.identifier(items[index])
            if name is None:
                break
            index += 1
            named: list[str] | None = None
            if index < len(items) and isinstance(items[index], groups.Group):
                named = shapes.names(items[index])
                index += 1
            while index < len(items) and groups.word(items[index]) in (
                "AS",
                "NOT",
                "MATERIALIZED",
            ):
                index += 1
            if index >= len(items) or not isinstance(group := items[index], groups.Group):
                break
            within = cursor is not None and group.holds(cursor)
            if not within or recursive:
                columns = self.output(group.items, {**known, **found}, depth - 1)
                found[name] = shapes.renamed(columns, named)
            if within:
                break
            index += 1
            while index < len(items) and groups.word(items[index]) != ",":
                if groups.word(items[index]) in ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"):
                    return found
                index += 1
            index += 1
        return found

    def output(self, items: Sequence[groups.Item], ctes: Ctes, depth: int) -> Columns:
        """The columns of a query."""
        while len(items) == 1 and isinstance(items[0], groups.Group):
            items = items[0].items
        if depth <= 0 or not items:
            return ()
        if groups.word(items[0]) == "WITH":
            ctes = {**ctes, **self.ctes(items, ctes, None, depth)}
        heads = [i for i, item in enumerate(items) if groups.word(item) in _OUTPUTS]
        if not heads:
            inner = items[0]
            return (
                self.output(inner.items, ctes, depth - 1) if isinstance(inner, groups.Group) else ()
            )
        first = heads[0]
        head = groups.word(items[first])
        if head == "VALUES":
            row = items[first + 1] if first + 1 < len(items) else None
            width = len(groups.split(row.items)) if isinstance(row, groups.Group) else 0
            return tuple(shapes.column(f"column{i}") for i in range(1, width + 1))
        if head == "TABLE":
            name, _ = groups.dotted(items, first + 1)
            return self._columns(name, ctes) if name else ()
        rest = items[first + 1 :]
        if head == "SELECT":
            rest = shapes.until(rest, _SETS)
        listed = shapes.until(rest, _ENDS_LIST)
        sources = self.sources(
            items if head == "RETURNING" else items[first : first + 1 + len(rest)], ctes, depth - 1
        )
        found: list[catalogs.ColumnInfo] = []
        for part in groups.split(shapes.without_distinct(listed)):
            found += self._expression(part, sources, depth)
            if len(found) > _MAX_COLUMNS:
                break
        return tuple(found[:_MAX_COLUMNS])

    def _expression(
        self, part: Sequence[groups.Item], sources: Sequence[Source], depth: int
    ) -> list[catalogs.ColumnInfo]:
        """What one entry of a select list gives."""
        if not part:
            return []
        last, words = part[-1], [groups.word(item) for item in part]
        if words[-1] == "*":
            name, _ = groups.dotted(part, 0)
            return [
                column
                for source in sources
                if not name or source.alias == name[-1]
                for column in source.columns
            ]
        alias = None
        if len(part) > 1 and (words[-2] == "AS" or shapes.is_alias(part)):
            alias = shapes.identifier(last)
            part = part[: -2 if words[-2] == "AS" else -1]
        if not part:
            return [shapes.column(alias or "?column?")]
        name, end = groups.dotted(part, 0)
        if name and end == len(part):
            known = _find(name, sources)
            return [
                dataclasses.replace(known, name=alias or known.name)
                if known is not None
                else shapes.column(alias or name[-1])
            ]
        kind = shapes.cast(part)
        if alias is None and name and end < len(part) and isinstance(part[end], groups.Group):
            alias = name[-1]
            found = self._names.routine(name)
            if not kind and found and end + 1 == len(part):
                kind = found[0].returns or ""
        if alias is None:
            alias = name[-1] if name and kind else "case" if words[0] == "CASE" else "?column?"
        elif not kind and name and end + 1 == len(part) and isinstance(part[end], groups.Group):
            routines = self._names.routine(name)
            kind = (routines[0].returns or "") if routines else ""
        return [shapes.column(alias, kind)]

    def sources(self, items: Sequence[groups.Item], ctes: Ctes, depth: int) -> list[Source]:
        """The tables that stand at one level of brackets."""
        found: list[Source] = []
        index = 0
        previous = ""
        while index < len(items):
            name = groups.word(items[index])
            begins = (
                (name in ("FROM", "USING") and previous != "DISTINCT")
                or name == "JOIN"
                or (name == "UPDATE" and previous not in ("FOR", "DO", "ON", "KEY", "OR", ","))
                or (name == "INTO" and previous in ("INSERT", "MERGE"))
            )
            previous = name
            index += 1
            if begins:
                if name == "USING" and index < len(items):
                    following = items[index]
                    if isinstance(following, groups.Group) and not shapes.is_query(following.items):
                        continue
                index = self._from(items, index, ctes, depth, found)
                previous = groups.word(items[index - 1]) if index else ""
        return found

    def _from(
        self,
        items: Sequence[groups.Item],
        index: int,
        ctes: Ctes,
        depth: int,
        found: list[Source],
    ) -> int:
        """Read tables, joined by commas, up to what is none; the index behind them."""
        while index < len(items):
            while index < len(items) and groups.word(items[index]) in ("ONLY", "LATERAL"):
                index += 1
            if index >= len(items):
                break
            item = items[index]
            if isinstance(item, groups.Group):
                index += 1
                if shapes.is_query(item.items):
                    columns = self.output(item.items, ctes, depth - 1) if depth > 0 else ()
                    alias, named, index = shapes.alias(items, index)
                    found.append(Source(
                        alias=alias or "", columns=shapes.renamed(columns, named), kind="subquery",
                    ))  # fmt: skip
                elif depth > 0:
                    index = self._joined(item, items, index, ctes, depth, found)
            else:
                name, after = groups.dotted(items, index)
                if not name or groups.word(items[index]) in shapes.NO_ALIAS:
                    break
                index = after
                function = None
                if index < len(items) and isinstance(items[index], groups.Group):
                    following = index + 1
                    is_list = self._names.relation(name) is not None and (
                        not self._names.routine(name)
                    )
                    if not is_list:
                        function = items[index]
                    index = following
                if index < len(items) and groups.word(items[index]) == "*":
                    index += 1
                if function is not None:
                    if groups.word(items[index] if index < len(items) else None) == "WITH":
                        index += 2
                    alias, named, index = shapes.alias(items, index)
                    found.append(self._function(name, alias, named))
                else:
                    alias, named, index = shapes.alias(items, index)
                    found.append(self._table(name, alias, named, ctes))
            if index < len(items) and groups.word(items[index]) == ",":
                index += 1
                continue
            break
        return index

    def _joined(
        self,
        group: groups.Group,
        items: Sequence[groups.Item],
        index: int,
        ctes: Ctes,
        depth: int,
        found: list[Source],
    ) -> int:
        """A join in brackets, which may have a name of its own."""
        inner: list[Source] = []
        self._from(group.items, 0, ctes, depth - 1, inner)
        inner += self.sources(group.items, ctes, depth - 1)
        alias, named, index = shapes.alias(items, index)
        if alias is None:
            found += inner
        else:
            columns = tuple(column for source in inner for column in source.columns)
            found.append(
                Source(alias=alias, columns=shapes.renamed(columns, named), kind="subquery")
            )
        return index

    def _table(
        self, name: tuple[str, ...], alias: str | None, named: list[str] | None, ctes: Ctes
    ) -> Source:
        if len(name) == 1 and name[0] in ctes:
            columns = shapes.renamed(ctes[name[0]], named)
            return Source(alias=alias or name[0], columns=columns, written=name, kind="cte")
        relation = self._names.relation(name)
        return Source(
            alias=alias or name[-1],
            columns=shapes.renamed(relation.columns if relation is not None else (), named),
            relation=relation,
            written=name,
            kind=relation.kind if relation is not None else "table",
        )

    def _columns(self, name: tuple[str, ...], ctes: Ctes) -> Columns:
        return self._table(name, None, None, ctes).columns

    def _function(
        self, name: tuple[str, ...], alias: str | None, named: list[str] | None
    ) -> Source:
        found = self._names.routine(name)
        returns = (found[0].returns or "") if found else ""
        columns: Columns = ()
        if returns.upper().startswith("TABLE("):
            columns = tuple(
                shapes.column(*shapes.named_type(part))
                for part in shapes.parts(returns[6:].removesuffix(")"))
            )
        elif returns:
            kind = returns.removeprefix("SETOF ")
            relation = self._names.relation(catalog.search_path(kind.replace(".", ","), ""))
            if relation is not None:
                columns = relation.columns
            else:
                outs = [
                    shapes.named_type(part.split(None, 1)[1])
                    for part in shapes.parts(found[0].arguments)
                    if part.upper().startswith(("OUT ", "INOUT "))
                ]
                columns = (
                    tuple(shapes.column(*each) for each in outs)
                    if outs
                    else (shapes.column(alias or name[-1], kind),)
                )
        return Source(
            alias=alias or name[-1],
            columns=shapes.renamed(columns, named),
            written=name,
            kind="function",
        )

    def target(self, items: Sequence[groups.Item]) -> Source | None:
        """The table that a statement changes, or is about."""
        words = [groups.word(item) for item in items]
        for index, name in enumerate(words):
            following = index + 1
            before = words[index - 1] if index else ""
            if not _names_target(name, before, words[0]):
                continue
            while following < len(items) and words[following] in _BEFORE_NAME:
                following += 1
            written, after = groups.dotted(items, following)
            if not written or words[following] in shapes.NO_ALIAS:
                continue
            alias, _, _ = shapes.alias(items, after)
            return self._table(written, alias, None, {})
        return None


def _names_target(name: str, before: str, first: str) -> bool:
    """Whether the table that a statement is about stands behind a word."""
    if name in ("INTO", "FROM"):
        return before in ("INSERT", "MERGE", "DELETE")
    if name == "UPDATE":
        return before in ("", "()", "EXPLAIN", "ANALYZE")
    return first in _ABOUT and (
        (name == "TABLE" and before != "") or name in ("ON", "VIEW", *_FIRST_ABOUT)
    )


#: Commands whose table may stand right behind them.
_FIRST_ABOUT = ("COPY", "ANALYZE", "TRUNCATE")
_OUTPUTS = frozenset({"SELECT", "VALUES", "RETURNING", "TABLE"})
_ENDS_LIST = tokens.listed(
    """FROM WHERE GROUP HAVING WINDOW ORDER LIMIT OFFSET FETCH FOR UNION INTERSECT EXCEPT INTO
    """
)
_BEFORE_NAME = frozenset({"IF", "EXISTS", "ONLY", "NOT", "VERBOSE", "TABLE", "CONCURRENTLY"})
_ABOUT = frozenset(
    {"ALTER", "CREATE", "COPY", "ANALYZE", "TRUNCATE", "COMMENT", "VACUUM", "DROP", "LOCK", "GRANT"}
)


def _find(name: tuple[str, ...], sources: Sequence[Source]) -> catalogs.ColumnInfo | None:
    for source in sources:
        if len(name) > 1 and source.alias != name[-2]:
            continue
        for column in source.columns:
            if column.name == name[-1]:
                return column
    return None
