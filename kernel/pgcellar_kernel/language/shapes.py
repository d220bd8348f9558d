"""Pieces of a statement that are told by their form: an alias, a subquery, a column."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from pgcellar.api import catalogs
from pgcellar_kernel.language import groups, tokens

Columns = tuple[catalogs.ColumnInfo, ...]

#: Words that end a table with its alias.
NO_ALIAS = tokens.listed(
    """ON USING JOIN INNER LEFT RIGHT FULL CROSS NATURAL OUTER WHERE GROUP HAVING WINDOW ORDER LIMIT
    OFFSET FETCH FOR UNION INTERSECT EXCEPT SET VALUES SELECT FROM RETURNING WHEN DEFAULT OVERRIDING
    TABLESAMPLE WITH DO ADD ALTER DROP RENAME OWNER ENABLE DISABLE ATTACH DETACH CLUSTER AND OR NOT
    IS IN LIKE ILIKE BETWEEN CASCADE RESTRICT RESTART CONTINUE TO INTO AS"""
)


def is_query(items: Sequence[groups.Item]) -> bool:
    """Whether items are a query, or a command that gives rows."""
    while items and isinstance(items[0], groups.Group):
        items = items[0].items
    return bool(items) and groups.word(items[0]) in (
        "SELECT", "WITH", "VALUES", "TABLE", "INSERT", "UPDATE", "DELETE", "MERGE",
    )  # fmt: skip


def identifier(item: groups.Item) -> str | None:
    """The name that an item is, if it can be one."""
    return item.identifier if isinstance(item, tokens.Token) else None


def names(group: groups.Item) -> list[str]:
    """The names in a bracket: of `(a, b int)` a and b."""
    assert isinstance(group, groups.Group)
    parts = groups.split(group.items)
    return [name for part in parts if part and (name := identifier(part[0])) is not None]


def alias(items: Sequence[groups.Item], index: int) -> tuple[str | None, list[str] | None, int]:
    """What stands behind a table: its alias, the names of its columns, and the index behind."""
    if index < len(items) and groups.word(items[index]) == "AS":
        index += 1
    alias = None
    if index < len(items) and groups.word(items[index]) not in NO_ALIAS:
        alias = identifier(items[index])
        index += alias is not None
    named = None
    if alias is not None and index < len(items) and isinstance(items[index], groups.Group):
        named = names(items[index])
        index += 1
    return alias, named, index


def renamed(columns: Columns, named: Sequence[str] | None) -> Columns:
    """Columns under the names that an alias gives them."""
    if not named:
        return columns
    first = tuple(
        dataclasses.replace(columns[i], name=name) if i < len(columns) else column(name)
        for i, name in enumerate(named)
    )
    return (*first, *columns[len(named) :])


def column(name: str, kind: str = "") -> catalogs.ColumnInfo:
    """A column of which no more is known."""
    return catalogs.ColumnInfo(name=name, type=kind, nullable=True)


def until(items: Sequence[groups.Item], ends: frozenset[str]) -> Sequence[groups.Item]:
    """The items before the first word of some."""
    for index, item in enumerate(items):
        if groups.word(item) in ends and not (
            groups.word(item) == "FROM" and index and groups.word(items[index - 1]) == "DISTINCT"
        ):
            return items[:index]
    return items


def without_distinct(items: Sequence[groups.Item]) -> Sequence[groups.Item]:
    """A select list without DISTINCT, or DISTINCT ON and its brackets."""
    if items and groups.word(items[0]) in ("DISTINCT", "ALL"):
        items = items[1:]
        if len(items) > 1 and groups.word(items[0]) == "ON":
            items = items[2:]
    return items


def is_alias(part: Sequence[groups.Item]) -> bool:
    """Whether the last of several items is a name for what stands before it."""
    last, before = part[-1], part[-2]
    if not isinstance(last, tokens.Token) or last.kind not in ("word", "name"):
        return False
    if last.upper in ("END", "NULL", "TRUE", "FALSE"):
        return False
    if isinstance(before, groups.Group):
        return True
    if before.kind == "operator":
        return before.text in ("]", "*") and len(part) > 2
    return before.upper not in BINARY


BINARY = tokens.listed("AND OR NOT IN IS LIKE ILIKE THEN ELSE WHEN CASE BETWEEN ZONE DISTINCT FROM")


def cast(part: Sequence[groups.Item]) -> str:
    """The type that an expression is cast to at its end."""
    words = [groups.word(item) for item in part]
    if "::" not in words:
        return ""
    at = len(words) - 1 - words[::-1].index("::")
    kind = [item for item in part[at + 1 :] if isinstance(item, tokens.Token)]
    if all(item.kind in ("word", "name") or item.text in ("[", "]", ".") for item in kind):
        return "".join(item.text for item in kind)
    return ""


def parts(text: str) -> list[str]:
    """Arguments as PostgreSQL writes them, apart: `a integer, b numeric(1,2)`."""
    found, depth, begin = [], 0, 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            found.append(text[begin:index].strip())
            begin = index + 1
    return [each for each in [*found, text[begin:].strip()] if each]


def named_type(part: str) -> tuple[str, str]:
    """The name and the type of an argument."""
    name, _, kind = part.partition(" ")
    return name.strip('"'), kind
