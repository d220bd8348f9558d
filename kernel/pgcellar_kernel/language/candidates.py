"""What can be offered at a place: names that are seen there, keywords that may stand there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

from pgcellar.api import catalogs, names
from pgcellar_kernel.language import (
    catalog,
    clauses,
    contexts,
    definitions,
    groups,
    keys,
    phrases,
    scopes,
)

#: Matches of one answer: nobody reads more, and the next letter asks again.
MOST = 400
#: Columns that are looked through where no table is named.
_MOST_LOOKED_THROUGH = 20_000
#: Characters of a detail.
_DETAIL = 200


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """What can be written instead of the text from `start` to the answer's end."""

    text: str
    kind: str
    detail: str = ""


class Maker:
    """Makes the matches at one place."""

    def __init__(
        self,
        said: contexts.Typed,
        wanted: clauses.Wanted,
        seen: scopes.Scope,
        known: catalog.Catalog,
        lower: bool,
        root: groups.Group,
        cursor: int,
    ) -> None:
        self._said = said
        self._wanted = wanted
        self._seen = seen
        self._known = known
        self._lower = lower
        self._root = root
        self._cursor = cursor
        self._prefix = said.prefix.lower()

    def matches(self) -> Iterator[Match]:
        """All of them, the likeliest first, each text once."""
        told: set[str] = set()
        for match in self._ranked():
            if match.text not in told:
                told.add(match.text)
                yield match
                if len(told) >= MOST:
                    return

    def _ranked(self) -> Iterator[Match]:
        if self._said.qualifier:
            yield from self._qualified()
            return
        whats = self._wanted.whats
        for what in whats:
            yield from self._of(what)
        if not self._said.quoted:
            yield from self._words(self._wanted.words)
            if self._wanted.loose and self._prefix:
                yield from self._words(sorted(self._all_words()))
        if self._wanted.loose and self._prefix:
            for what in ("column", "table", "function", "schema", "type"):
                if what not in whats:
                    yield from self._of(what)

    def _of(self, what: clauses.What) -> Iterator[Match]:
        return _WHATS[what](self)

    # --- keywords ----------------------------------------------------------------------------

    def _all_words(self) -> Iterable[str]:
        found = self._known.words.keywords
        return (word.upper() for word in found) if found else phrases.KEYWORDS

    def _words(self, words: Iterable[str]) -> Iterator[Match]:
        for word in words:
            if word.lower().startswith(self._prefix):
                yield Match(text=word.lower() if self._lower else word, kind="keyword")

    def commands(self) -> Iterator[Match]:
        """What a statement may begin with."""
        return iter(())

    # --- names behind a dot ------------------------------------------------------------------

    def _qualified(self) -> Iterator[Match]:
        name = self._said.qualifier
        source = self._seen.source(name[-1]) if len(name) == 1 else None
        if source is None and len(name) == 1 and self._wanted.whats[:1] == ("listed",):
            target = self._seen.target
            source = target if target is not None and target.alias == name[0] else None
        if source is not None:
            yield from self._columns(source.columns, source)
            return
        relation = self._known.relation(name)
        schemas = {*self._known.schemas, *(key[0] for key in self._known.relations)}
        if len(name) == 1 and (name[0] in schemas or relation is None):
            wants = self._wanted.whats
            makers: list[Callable[[str], Iterator[Match]]] = [self._tables_in, self._functions_in]
            if wants[:1] == ("function",) or wants[:1] == ("column",):
                makers.reverse()
            if "type" in wants:
                makers = [self._types_in]
            for make in makers:
                yield from make(name[0])
        if relation is not None:
            yield from self._columns(relation.columns, None)

    def _tables_in(self, schema: str) -> Iterator[Match]:
        found = [each for each in self._known.all_relations() if each.schema == schema]
        yield from self._sorted(
            (each.name, self._known.quote(each.name), each.kind, _about(each)) for each in found
        )

    def _functions_in(self, schema: str) -> Iterator[Match]:
        if schema == catalog.SYSTEM:
            found = dict(self._known.words.routines)
        else:
            found = {
                key[1]: value for key, value in self._known.routines.items() if key[0] == schema
            }
        yield from self._sorted(
            (name, self._known.quote(name), "function", signature(value))
            for name, value in found.items()
        )

    def _types_in(self, schema: str) -> Iterator[Match]:
        found = (
            self._known.words.types.values()
            if schema == catalog.SYSTEM
            else [each for key, each in self._known.types.items() if key[0] == schema]
        )
        yield from self._sorted(
            (each.name, self._known.quote(each.name), "type", each.kind) for each in found
        )

    # --- names -------------------------------------------------------------------------------

    def columns(self) -> Iterator[Match]:
        """Columns that are seen, those of the nearest tables first; then the tables' names."""
        seen = self._seen.sources
        if not seen and self._prefix:
            yield from self._columns_of_all()
            return
        counted: dict[str, int] = {}
        for source in seen:
            for column in source.columns:
                counted[column.name] = counted.get(column.name, 0) + 1
        for level in self._seen.levels:
            for source in level:
                for column in source.columns:
                    if counted[column.name] == 1 or not source.alias:
                        yield from self._columns((column,), source)
                    elif self._fits(column.name):
                        text = f"{self._known.quote(source.alias)}.{self._known.quote(column.name)}"
                        yield Match(text=text, kind="column", detail=_column(column, source))
        for source in seen:
            if source.alias and self._fits(source.alias):
                text = self._quoted(source.alias)
                yield Match(text=text, kind="table", detail=_of_source(source))

    def _columns_of_all(self) -> Iterator[Match]:
        """Nobody said yet of which table: those of all that are found without a schema."""
        path = set(self._known.searched) - {catalog.SYSTEM}
        told: set[str] = set()
        left = _MOST_LOOKED_THROUGH
        for relation in self._known.relations.values():
            if relation.schema not in path or left <= 0:
                continue
            left -= len(relation.columns)
            source = scopes.Source(alias=relation.name, columns=())
            for column in relation.columns:
                if column.name not in told:
                    told.add(column.name)
                    yield from self._columns((column,), source)

    def _columns(
        self, columns: Iterable[catalogs.ColumnInfo], source: scopes.Source | None
    ) -> Iterator[Match]:
        for column in columns:
            if column.name not in self._wanted.used and self._fits(column.name):
                text = self._quoted(column.name)
                yield Match(text=text, kind="column", detail=_column(column, source))

    def listed(self) -> Iterator[Match]:
        """Columns of the table that the statement is about."""
        target = _referred(self._root, self._cursor, self._known) or self._seen.target
        if target is not None:
            yield from self._columns(target.columns, None)

    def common(self) -> Iterator[Match]:
        """Columns that the last table of a join shares with one before it."""
        level = next((each for each in self._seen.levels if each), ())
        if len(level) > 1:
            others = {column.name for source in level[:-1] for column in source.columns}
            shared = [column for column in level[-1].columns if column.name in others]
            yield from self._columns(shared, None)

    def joins(self) -> Iterator[Match]:
        """Conditions that follow from foreign keys between the last table and those before."""
        level = next((each for each in self._seen.levels if each), ())
        if len(level) < 2 or self._prefix:
            return
        last = level[-1]
        for other in level[:-1]:
            for one, two in ((last, other), (other, last)):
                for condition in keys.conditions(one, two, self._known):
                    yield Match(text=condition, kind="join", detail="foreign key")

    def tables(self) -> Iterator[Match]:
        """CTEs, tables and views: those without a schema first, related ones before others."""
        known = self._known
        ctes = [(name, known.quote(name), "table", "WITH") for name in self._seen.ctes]
        yield from self._sorted(iter(ctes))
        near = {
            key
            for source in self._seen.sources
            if source.relation is not None
            for key in keys.related(source.relation, known)
        }
        plain: list[tuple[str, str, str, str]] = []
        related: list[tuple[str, str, str, str]] = []
        distant: list[tuple[str, str, str, str]] = []
        system: list[tuple[str, str, str, str]] = []
        for each in known.all_relations():
            if each.schema == "information_schema":
                continue
            own = each.schema == catalog.SYSTEM
            if own and not self._prefix.startswith("pg"):
                continue
            if known.visible(each.schema, each.name):
                entry = (each.name, known.quote(each.name), each.kind, _about(each))
                here = system if own else plain
                if (each.schema, each.name) in near:
                    here = related
                here.append(entry)
            else:
                text = f"{known.quote(each.schema)}.{known.quote(each.name)}"
                distant.append((each.name, text, each.kind, _about(each)))
        for found in (related, plain, distant, system):
            yield from self._sorted(iter(found))

    def functions(self) -> Iterator[Match]:
        """Functions: the user's own first, PostgreSQL's when something is typed."""
        known, path = self._known, set(self._known.searched)
        own = [
            (key[1], known.quote(key[1]) if key[0] in path else
             f"{known.quote(key[0])}.{known.quote(key[1])}", "function", signature(value))
            for key, value in known.routines.items()
        ]  # fmt: skip
        yield from self._sorted(iter(own))
        if self._prefix:
            yield from self._sorted(
                (name, name, "function", signature(value))
                for name, value in known.words.routines.items()
                if name.startswith(self._prefix)
            )

    def types(self) -> Iterator[Match]:
        """Types: the user's own, those people write, then all others."""
        known, path = self._known, set(self._known.searched)
        own = [
            (key[1], known.quote(key[1]) if key[0] in path else
             f"{known.quote(key[0])}.{known.quote(key[1])}", "type", _of_type(each))
            for key, each in known.types.items()
        ]  # fmt: skip
        yield from self._sorted(iter(own))
        for name in _TYPES:
            if name.startswith(self._prefix):
                yield Match(text=name, kind="type", detail="type")
        if self._prefix:
            yield from self._sorted(
                (each.name, known.quote(each.name), "type", each.kind)
                for each in known.words.types.values()
                if not each.name.startswith("_")
            )

    def schemas(self) -> Iterator[Match]:
        """Schemas, PostgreSQL's own last."""
        own = ("pg_catalog", "information_schema")
        for listed in (False, True):
            yield from self._sorted(
                (name, self._known.quote(name), "schema", "schema")
                for name in self._known.schemas
                if (name in own) == listed
            )

    def settings(self) -> Iterator[Match]:
        """Settings of the session."""
        yield from self._sorted(
            (name, name, "setting", f"{each.type}: {each.comment or ''}")
            for name, each in self._known.words.settings.items()
        )

    def values(self) -> Iterator[Match]:
        """Values of the setting that is being set."""
        setting = self._known.words.settings.get(self._wanted.about)
        if setting is not None:
            found = setting.values or (("on", "off") if setting.type == "bool" else ())
            yield from self._sorted((value, value, "value", setting.name) for value in found)

    # --- spelling ----------------------------------------------------------------------------

    def _sorted(self, entries: Iterator[tuple[str, str, str, str]]) -> Iterator[Match]:
        fitting = [entry for entry in entries if self._fits(entry[0])]
        fitting.sort(key=lambda entry: (entry[0].lower(), entry[1]))
        for name, text, kind, detail in fitting:
            if self._said.quoted and text == name:
                text = '"' + name + '"'
            yield Match(text=text, kind=_KINDS.get(kind, kind), detail=detail[:_DETAIL])

    def _quoted(self, name: str) -> str:
        text = self._known.quote(name)
        return f'"{name}"' if self._said.quoted and text == name else text

    def _fits(self, name: str) -> bool:
        return name.lower().startswith(self._prefix)


_WHATS: dict[clauses.What, Callable[[Maker], Iterator[Match]]] = {
    "table": Maker.tables,
    "column": Maker.columns,
    "function": Maker.functions,
    "type": Maker.types,
    "schema": Maker.schemas,
    "setting": Maker.settings,
    "value": Maker.values,
    "join": Maker.joins,
    "command": Maker.commands,
    "listed": Maker.listed,
    "common": Maker.common,
}
_KINDS = {
    "materialized view": "view",
    "partitioned table": "table",
    "foreign table": "table",
    "subquery": "table",
}
_TYPES = (
    "integer", "bigint", "text", "boolean", "numeric", "date", "timestamp", "timestamptz",
    "timestamp with time zone", "varchar", "char", "double precision", "real", "smallint", "jsonb",
    "json", "uuid", "bytea", "time", "interval", "serial", "bigserial", "character varying",
    "integer[]", "text[]",
)  # fmt: skip


# --- details ---------------------------------------------------------------------------------


def signature(found: Sequence[names.RoutineInfo]) -> str:
    """The first of several functions with one name as it is called, and how many more there are."""
    first = found[0]
    text = f"{first.name}({first.arguments})"
    if first.returns:
        text += f" → {first.returns}"
    return text if len(found) == 1 else f"{text} (+{len(found) - 1})"


def _column(column: catalogs.ColumnInfo, source: scopes.Source | None) -> str:
    return f"{column.type} · {source.alias}" if source is not None and source.alias else column.type


def _about(relation: catalogs.RelationInfo) -> str:
    return f"{relation.kind} in {relation.schema}"


def _of_source(source: scopes.Source) -> str:
    return ".".join(source.written) or source.kind


def _of_type(found: names.TypeInfo) -> str:
    return f"{found.kind}: {', '.join(found.labels)}" if found.labels else found.kind


def _referred(root: groups.Group, cursor: int, known: catalog.Catalog) -> scopes.Source | None:
    """The table of a REFERENCES whose brackets the cursor is in, or that is being defined."""
    chain = groups.chain(root, cursor)
    if len(chain) < 3:
        return None
    items = chain[-2].items
    words = [groups.word(item) for item in items[: items.index(chain[-1])]]
    if "REFERENCES" in words[-4:]:
        at = len(words) - 1 - words[::-1].index("REFERENCES")
        name, _ = groups.dotted(items, at + 1)
        relation = known.relation(name) if name else None
        if relation is None:
            return None
        return scopes.Source(alias=relation.name, columns=relation.columns, relation=relation)
    if words[-1:] not in (["KEY"], ["UNIQUE"]):
        return None
    return scopes.Source(alias="", columns=tuple(definitions.columns(items)))
