"""Foreign keys: which tables belong together, and by which columns."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from pgcellar.api import catalogs
from pgcellar_kernel.language import catalog, groups, scopes, tokens

Foreign = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def foreign(relation: catalogs.RelationInfo) -> Iterator[Foreign]:
    """The foreign keys of a table: its columns, the other table's name, and that one's columns."""
    for part in relation.parts:
        found = _read(part.definition) if part.kind == "foreign key" else None
        if found is not None:
            yield found


# All keys of a schema are looked through at every key stroke behind a JOIN.
@functools.lru_cache(maxsize=20_000)
def _read(definition: str) -> Foreign | None:
    items = groups.tree(tokens.tokens(definition)).items
    words = [groups.word(item) for item in items]
    lists = [item for item in items if isinstance(item, groups.Group)]
    if "REFERENCES" not in words or len(lists) < 2:
        return None
    name, _ = groups.dotted(items, words.index("REFERENCES") + 1)
    return _columns(lists[0]), name, _columns(lists[1])


def _columns(group: groups.Group) -> tuple[str, ...]:
    found = [item.identifier for item in group.items if isinstance(item, tokens.Token)]
    return tuple(name for name in found if name is not None)


def conditions(one: scopes.Source, two: scopes.Source, known: catalog.Catalog) -> Iterator[str]:
    """The conditions on which the first table is joined to the second that it refers to."""
    if one.relation is None or two.relation is None:
        return
    first, second = known.quote(one.alias), known.quote(two.alias)
    for mine, name, others in foreign(one.relation):
        if name and known.relation(name) is two.relation:
            pairs = zip(mine, others, strict=False)
            yield " and ".join(
                f"{first}.{known.quote(left)} = {second}.{known.quote(right)}"
                for left, right in pairs
            )


def related(relation: catalogs.RelationInfo, known: catalog.Catalog) -> Iterator[catalog.Key]:
    """The tables that a table refers to, or that refer to it."""
    for _, name, _ in foreign(relation):
        found = known.relation(name) if name else None
        if found is not None:
            yield found.schema, found.name
    for other in known.relations.values():
        if any(name and known.relation(name) is relation for _, name, _ in foreign(other)):
            yield other.schema, other.name
