"""The names that a statement finds: looked up as PostgreSQL does, along the search path."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping

from pgcellar.api import catalogs, names
from pgcellar_kernel.language import tokens

Key = tuple[str, str]

#: Looked through before the search path, if that does not name it.
SYSTEM = "pg_catalog"
_OWN_SCHEMAS = (SYSTEM, "information_schema")
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*\Z")
#: Types as people write them, where the catalog has another name.
SPELLINGS: Mapping[str, str] = {
    "integer": "int4",
    "int": "int4",
    "bigint": "int8",
    "smallint": "int2",
    "real": "float4",
    "double precision": "float8",
    "boolean": "bool",
    "character varying": "varchar",
    "character": "bpchar",
    "decimal": "numeric",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time with time zone": "timetz",
    "serial": "int4",
    "bigserial": "int8",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Words:
    """What PostgreSQL itself brings, by name."""

    relations: Mapping[Key, catalogs.RelationInfo]
    routines: Mapping[str, tuple[names.RoutineInfo, ...]]
    types: Mapping[str, names.TypeInfo]
    keywords: Mapping[str, str]
    settings: Mapping[str, names.SettingInfo]

    @functools.cached_property
    def quoted(self) -> frozenset[str]:
        """The words that a name must be quoted for to be a name everywhere."""
        return frozenset(word for word, kind in self.keywords.items() if kind != "U")


def words(vocabulary: names.Vocabulary | None) -> Words:
    """What is known of a server; nothing of one that was not asked."""
    if vocabulary is None:
        return Words(relations={}, routines={}, types={}, keywords={}, settings={})
    return Words(
        relations={(each.schema, each.name): each for each in vocabulary.relations},
        routines={name: tuple(found) for name, found in _grouped(vocabulary.routines).items()},
        types={each.name: each for each in vocabulary.types},
        keywords={each.word: each.category for each in vocabulary.keywords},
        settings={each.name: each for each in vocabulary.settings},
    )


def _grouped(routines: tuple[names.RoutineInfo, ...]) -> dict[str, list[names.RoutineInfo]]:
    found: dict[str, list[names.RoutineInfo]] = {}
    for each in routines:
        if each.schema == SYSTEM:
            found.setdefault(each.name, []).append(each)
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Catalog:
    """The names in a state, or in what a text makes of it. `path` are schemas that exist."""

    words: Words
    path: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    relations: Mapping[Key, catalogs.RelationInfo] = dataclasses.field(default_factory=dict)
    routines: Mapping[Key, tuple[names.RoutineInfo, ...]] = dataclasses.field(default_factory=dict)
    types: Mapping[Key, names.TypeInfo] = dataclasses.field(default_factory=dict)
    user: str = ""

    def relation(self, name: tuple[str, ...]) -> catalogs.RelationInfo | None:
        """The relation of a name, with its schema or without."""
        if len(name) >= 2:
            key = (name[-2], name[-1])
            return self.relations.get(key) or self.words.relations.get(key)
        for schema in self.searched:
            key = (schema, name[0])
            found = self.relations.get(key) or self.words.relations.get(key)
            if found is not None:
                return found
        return None

    def routine(self, name: tuple[str, ...]) -> tuple[names.RoutineInfo, ...]:
        """The functions of a name, of all that the search path finds."""
        if len(name) >= 2:
            if name[-2] == SYSTEM:
                return self.words.routines.get(name[-1], ())
            return self.routines.get((name[-2], name[-1]), ())
        found: list[names.RoutineInfo] = []
        for schema in self.searched:
            found += (
                self.words.routines.get(name[0], ())
                if schema == SYSTEM
                else self.routines.get((schema, name[0]), ())
            )
        return tuple(found)

    def type(self, name: tuple[str, ...]) -> names.TypeInfo | None:
        """The type of a name."""
        if len(name) >= 2:
            if name[-2] == SYSTEM:
                return self.words.types.get(name[-1])
            return self.types.get((name[-2], name[-1]))
        plain = SPELLINGS.get(name[0], name[0])
        for schema in self.searched:
            found = (
                self.words.types.get(plain) if schema == SYSTEM else self.types.get((schema, plain))
            )
            if found is not None:
                return found
        return None

    @property
    def searched(self) -> tuple[str, ...]:
        """The search path with what PostgreSQL puts before it."""
        implied = tuple(each for each in ("pg_temp", SYSTEM) if each not in self.path)
        return (*implied, *self.path)

    @functools.cached_property
    def _found(self) -> Mapping[str, str]:
        """The schema in which the search path finds each relation, by its name."""
        places = {schema: place for place, schema in enumerate(self.searched)}
        found: dict[str, str] = {}
        for schema, name in (*self.relations, *self.words.relations):
            place = places.get(schema)
            if place is not None and (name not in found or place < places[found[name]]):
                found[name] = schema
        return found

    def visible(self, schema: str, name: str) -> bool:
        """Whether a relation is found without its schema."""
        return self._found.get(name) == schema

    def all_relations(self) -> Iterator[catalogs.RelationInfo]:
        """All relations, PostgreSQL's own last."""
        yield from self.relations.values()
        yield from self.words.relations.values()

    def quote(self, name: str) -> str:
        """The name as it has to be written."""
        reserved = self.words.quoted or _RESERVED
        if _PLAIN.match(name) and name not in reserved:
            return name
        return '"' + name.replace('"', '""') + '"'


def of_names(found: names.Names | None, brought: Words) -> Catalog:
    """The catalog of a state."""
    if found is None:
        return Catalog(words=brought, path=("public",), schemas=("public", *_OWN_SCHEMAS))
    routines: dict[Key, list[names.RoutineInfo]] = {}
    for each in found.routines:
        routines.setdefault((each.schema, each.name), []).append(each)
    return Catalog(
        words=brought,
        path=search_path(found.search_path, found.user),
        schemas=found.schemas,
        relations={(each.schema, each.name): each for each in found.relations},
        routines={key: tuple(value) for key, value in routines.items()},
        types={(each.schema, each.name): each for each in found.types},
        user=found.user,
    )


def search_path(text: str, user: str) -> tuple[str, ...]:
    """The schemas of a search path as PostgreSQL writes it."""
    found = []
    for token in tokens.tokens(text[:10_000]):
        name = token.identifier
        if token.kind == "string":
            name = token.text.strip("'").replace("''", "'")
        if name is not None:
            found.append(user if name == "$user" else name)
    return tuple(dict.fromkeys(found))


#: What must be quoted, as long as the server was not asked for its keywords.
_RESERVED = tokens.listed(
    """all analyse analyze and any array as asc asymmetric authorization between bigint binary bit
    boolean both case cast char character check coalesce collate collation column concurrently
    constraint create cross current_catalog current_date current_role current_schema current_time
    current_timestamp current_user dec decimal default deferrable desc distinct do else end except
    exists extract false fetch float for foreign freeze from full grant greatest group grouping
    having ilike in initially inner inout int integer intersect interval into is isnull join lateral
    leading least left like limit localtime localtimestamp national natural nchar none normalize
    not
    notnull null nullif numeric offset on only or order out outer overlaps overlay placing position
    precision primary real references returning right row select session_user setof similar smallint
    some substring symmetric system_user table tablesample then time timestamp to trailing treat
    trim
    true union unique user using values varchar variadic verbose when where window with"""
)
