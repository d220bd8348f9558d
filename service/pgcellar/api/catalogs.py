"""Wire records of what a state holds: its schema, and what two states differ in."""

from __future__ import annotations

import dataclasses
from typing import Literal

Change = Literal["added", "removed", "changed"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ColumnInfo:
    """A column. `identity` is `always` or `by default`; `generated` is its expression."""

    name: str
    type: str
    nullable: bool
    default: str | None = None
    identity: str | None = None
    generated: str | None = None
    comment: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PartInfo:
    """A constraint, index, trigger, policy or rule of a relation, as SQL.

    `columns` are those of a constraint or an index, where it is made of columns alone.
    """

    name: str
    kind: Literal[
        "primary key", "unique", "foreign key", "check", "exclusion", "constraint trigger",
        "index", "unique index", "trigger", "policy", "rule",
    ]  # fmt: skip
    definition: str
    columns: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RelationInfo:
    """A table, view, materialised view, or the like.

    `key` holds the columns of the primary key. `rows` is PostgreSQL's estimate, None where it has
    none; `bytes` is with indexes and TOAST. `definition` is a view's query. `options` are further
    properties by name: persistence, partitioning, row security, grants.
    """

    schema: str
    name: str
    kind: Literal["table", "partitioned table", "view", "materialized view", "foreign table"]
    owner: str
    columns: tuple[ColumnInfo, ...]
    key: tuple[str, ...] = ()
    parts: tuple[PartInfo, ...] = ()
    definition: str | None = None
    rows: int | None = None
    bytes: int = 0
    options: dict[str, str] = dataclasses.field(default_factory=dict)
    comment: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FunctionInfo:
    """A function, procedure, aggregate or window function; `definition` is its CREATE command."""

    schema: str
    name: str
    arguments: str
    kind: Literal["function", "procedure", "aggregate", "window function"]
    owner: str
    returns: str | None
    language: str
    definition: str | None = None
    comment: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ObjectInfo:
    """Anything else: a schema, type, sequence, extension, operator … `schema` is None outside one.

    `definition` says in SQL's words what it is, for a sequence also where it stands.
    """

    kind: str
    schema: str | None
    name: str
    owner: str | None = None
    definition: str | None = None
    comment: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StateDetail:
    """The schema of a state: what its catalog has besides PostgreSQL's own and extensions' members.

    `complete` is false where there is more than a description may hold.
    """

    state: str
    relations: tuple[RelationInfo, ...]
    functions: tuple[FunctionInfo, ...]
    objects: tuple[ObjectInfo, ...]
    bytes: int
    complete: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MemberChange:
    """One thing about an object that differs: `column a`, `owner`, `definition` …"""

    member: str
    before: str | None
    after: str | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ObjectChange:
    """An object that only one of two states has, or that differs.

    `name` is as in the schema; a function's has its arguments. `members` says what differs, or what
    it is where only one state has it.
    """

    kind: str
    schema: str | None
    name: str
    change: Change
    members: tuple[MemberChange, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RowChange:
    """A row that differs, by the columns of its table's difference; long values are cut."""

    change: Change
    before: tuple[str | None, ...] | None = None
    after: tuple[str | None, ...] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TableDiff:
    """What the rows of a table differ in.

    `key` holds the columns by which a row is known to be the same row; without any there are no
    changed rows, only added and removed ones. `columns` are those that both states have. `complete`
    says that all rows were compared; else `reason` says why not, the three counts are what was
    seen, and None where nothing was. `before` and `after` count all rows.
    """

    schema: str
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    before: int | None = None
    after: int | None = None
    added: int | None = None
    removed: int | None = None
    changed: int | None = None
    complete: bool = True
    reason: str | None = None
    sample: tuple[RowChange, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StateDiff:
    """What differs between two states; `before` and `after` are their ids.

    `tables` holds those whose rows differ, or could not all be compared; `equal` counts the others.
    """

    before: str
    after: str
    objects: tuple[ObjectChange, ...]
    tables: tuple[TableDiff, ...]
    equal: int
    complete: bool
