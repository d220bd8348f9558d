"""What the schemas of two states differ in: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pgcellar.api import catalogs

#: Kind, schema and name of an object.
_Key = tuple[str, str, str]
_Members = Mapping[str, str]


def difference(
    before: catalogs.StateDetail, after: catalogs.StateDetail
) -> tuple[catalogs.ObjectChange, ...]:
    """The objects that only one has, or that differ, by kind and name."""
    first, second = dict(_objects(before)), dict(_objects(after))
    found = []
    for key in sorted(first.keys() | second.keys()):
        one, other = first.get(key), second.get(key)
        if one == other:
            continue
        change: catalogs.Change = "changed"
        if one is None or other is None:
            change = "added" if one is None else "removed"
        kind, schema, name = key
        found.append(
            catalogs.ObjectChange(
                kind=kind,
                schema=schema or None,
                name=name,
                change=change,
                members=_members(one or {}, other or {}),
            )
        )
    return tuple(found)


def _members(one: _Members, other: _Members) -> tuple[catalogs.MemberChange, ...]:
    return tuple(
        catalogs.MemberChange(member=name, before=one.get(name), after=other.get(name))
        for name in dict.fromkeys((*one, *other))
        if one.get(name) != other.get(name)
    )


def _objects(detail: catalogs.StateDetail) -> Iterator[tuple[_Key, _Members]]:
    for relation in detail.relations:
        yield (relation.kind, relation.schema, relation.name), _relation(relation)
    for function in detail.functions:
        name = f"{function.name}({function.arguments})"
        yield (
            (function.kind, function.schema, name),
            _given(
                returns=function.returns,
                language=function.language,
                owner=function.owner,
                definition=function.definition,
                comment=function.comment,
            ),
        )
    for item in detail.objects:
        yield (
            (item.kind, item.schema or "", item.name),
            _given(owner=item.owner, definition=item.definition, comment=item.comment),
        )


def _relation(relation: catalogs.RelationInfo) -> _Members:
    return {
        **{f"column {column.name}": _column(column) for column in relation.columns},
        **{f"{part.kind} {part.name}": part.definition for part in relation.parts},
        **relation.options,
        **_given(owner=relation.owner, definition=relation.definition, comment=relation.comment),
    }


def _column(column: catalogs.ColumnInfo) -> str:
    words = [column.type]
    if not column.nullable:
        words.append("NOT NULL")
    if column.default is not None:
        words.append(f"DEFAULT {column.default}")
    if column.identity is not None:
        words.append(f"GENERATED {column.identity.upper()} AS IDENTITY")
    if column.generated is not None:
        words.append(f"GENERATED ALWAYS AS ({column.generated})")
    if column.comment is not None:
        words.append(f"-- {column.comment}")
    return " ".join(words)


def _given(**members: str | None) -> dict[str, str]:
    return {name: value for name, value in members.items() if value is not None}
