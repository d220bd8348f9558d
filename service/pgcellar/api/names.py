"""Wire records of names: what can be written in a cell, for who completes and explains it."""

from __future__ import annotations

import dataclasses

from pgcellar.api import catalogs, records


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RoutineInfo:
    """A function, procedure, aggregate or window function as it is called.

    `arguments` has names, types and defaults as `pg_get_function_arguments` writes them; `returns`
    is None for a procedure.
    """

    schema: str
    name: str
    kind: str
    arguments: str
    returns: str | None = None
    comment: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TypeInfo:
    """A type; `labels` are an enum's, `definition` is what a domain or a composite type is of."""

    schema: str
    name: str
    kind: str
    definition: str | None = None
    labels: tuple[str, ...] = ()
    comment: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SettingInfo:
    """A setting of the session (`SET name TO …`)."""

    name: str
    type: str
    comment: str | None = None
    values: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class KeywordInfo:
    """A keyword; `category` is one of `pg_get_keywords`: U, C, T or R."""

    word: str
    category: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """The names in a state besides PostgreSQL's own: tables, views, functions, types, schemas.

    Relations that an extension has made come without keys and indexes. `search_path` is as
    PostgreSQL writes it, and `user` what `$user` stands for in it. `complete` is false where there
    is more than this may hold.
    """

    state: str
    search_path: str
    user: str
    schemas: tuple[str, ...]
    relations: tuple[catalogs.RelationInfo, ...]
    routines: tuple[RoutineInfo, ...]
    types: tuple[TypeInfo, ...]
    complete: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """What PostgreSQL itself brings: its catalogs, functions, types, keywords, settings.

    `base` is the id of the base it was read in.
    """

    base: str
    relations: tuple[catalogs.RelationInfo, ...]
    routines: tuple[RoutineInfo, ...]
    types: tuple[TypeInfo, ...]
    keywords: tuple[KeywordInfo, ...]
    settings: tuple[SettingInfo, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class NamesRequest:
    """Ask for the names that a head finds; `known` are the ids of states whose names are known."""

    run: records.RunRequest
    known: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class NamesFound:
    """The names in the nearest state above a head that is kept.

    `left` is how many cells lie between that state and the head, 0 where it is the head's own.
    `names` is None where the state is among those that are known.
    """

    state: str
    left: int
    names: Names | None = None
