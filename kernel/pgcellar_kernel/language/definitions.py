"""What statements that have not run, or whose state is not at hand, make of a catalog.

A table that the cell above creates can be completed before anything has run. What a text does not
tell (what a DO block creates, say) is not known here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from pgcellar.api import catalogs, names
from pgcellar_kernel.language import catalog, groups, scopes, tokens

#: Characters of a text that is looked through; a longer one is data, mostly.
MAX_TEXT = 100_000

_KINDS = {"TABLE": "table", "VIEW": "view"}
_FIRST = tokens.listed("CREATE DROP ALTER SET")
#: Words between CREATE and what is created.
_PASSED = tokens.listed(
    """OR REPLACE GLOBAL LOCAL TEMP TEMPORARY UNLOGGED RECURSIVE MATERIALIZED FOREIGN IF NOT EXISTS
    ONLY CONSTRAINT"""
)
#: Words that begin a constraint and not a column.
_NO_COLUMN = tokens.listed("CONSTRAINT PRIMARY UNIQUE CHECK FOREIGN EXCLUDE LIKE")
#: Words that end a column's type.
_ENDS_TYPE = tokens.listed(
    """NOT NULL DEFAULT PRIMARY UNIQUE CHECK REFERENCES CONSTRAINT GENERATED COLLATE STORAGE
    COMPRESSION DEFERRABLE INITIALLY USING ="""
)


def over(names_: catalog.Catalog, texts: Iterable[str]) -> catalog.Catalog:
    """The catalog after these texts."""
    for text in texts:
        if len(text) <= MAX_TEXT:
            names_ = after(names_, tokens.statements(text))
    return names_


def after(names_: catalog.Catalog, statements: Iterable[Sequence[tokens.Token]]) -> catalog.Catalog:
    """The catalog after these statements."""
    for statement in statements:
        if len(statement) > 2 and statement[0].upper in _FIRST:
            names_ = _Statement(names_, statement).done()
    return names_


class _Statement:
    """One statement, which begins with one of `_FIRST`."""

    def __init__(self, names_: catalog.Catalog, statement: Sequence[tokens.Token]) -> None:
        self._names = names_
        self._items = groups.tree(statement).items
        self._words = [groups.word(item) for item in self._items]
        self._at = 1
        self._temporary = False

    def done(self) -> catalog.Catalog:
        """The catalog after it."""
        if self._words[0] == "SET":
            return self._set()
        while self._word() in _PASSED:
            self._temporary |= self._word().startswith("TEMP")
            self._at += 1
        what = self._word()
        self._at += 1
        while self._word() in _PASSED:
            self._at += 1
        if self._words[0] == "DROP":
            return self._drop(what)
        written, self._at = groups.dotted(self._items, self._at)
        if not written:
            return self._names
        if self._words[0] == "ALTER":
            return self._alter(written) if what in _KINDS else self._names
        if what == "SCHEMA":
            schemas = tuple(dict.fromkeys((*self._names.schemas, written[-1])))
            return dataclasses.replace(self._names, schemas=schemas)
        if what in _KINDS:
            return self._relation(what, written)
        if what in ("TYPE", "DOMAIN"):
            return self._type(what, written)
        if what in ("FUNCTION", "PROCEDURE"):
            return self._routine(what, written)
        return self._names

    def _word(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._words[at] if at < len(self._words) else ""

    def _key(self, written: tuple[str, ...]) -> catalog.Key:
        """Where a new name goes."""
        if len(written) > 1:
            return written[-2], written[-1]
        if self._temporary:
            return "pg_temp", written[0]
        known = self._names.schemas
        first = next((each for each in self._names.path if each in known), "public")
        return first, written[0]

    # --- relations ---------------------------------------------------------------------------

    def _relation(self, what: str, written: tuple[str, ...]) -> catalog.Catalog:
        schema, name = self._key(written)
        columns: scopes.Columns = ()
        parts_: tuple[catalogs.PartInfo, ...] = ()
        group = self._items[self._at] if self._at < len(self._items) else None
        named: list[str] | None = None
        if isinstance(group, groups.Group):
            self._at += 1
            parts = groups.split(group.items)
            if what == "TABLE" and any(len(part) > 1 for part in parts):
                columns = tuple(column for part in parts for column in self._column_or_like(part))
                parts_ = tuple(_parts(parts, self._names))
            else:
                named = [each for part in parts if (each := _name(part)) is not None]
        if "AS" in self._words[self._at :]:
            begin = self._words.index("AS", self._at) + 1
            columns = scopes.output(self._items[begin:], self._names)
            columns = tuple(
                dataclasses.replace(column, name=named[i]) if named and i < len(named) else column
                for i, column in enumerate(columns)
            )
        relation = catalogs.RelationInfo(
            schema=schema,
            name=name,
            kind="view" if what == "VIEW" else "table",
            owner=self._names.user,
            columns=columns,
            key=next((each.columns for each in parts_ if each.kind == "primary key"), ()),
            parts=parts_,
        )
        return self._with({**self._names.relations, (schema, name): relation})

    def _column_or_like(self, part: Sequence[groups.Item]) -> Sequence[catalogs.ColumnInfo]:
        if part and groups.word(part[0]) == "LIKE":
            like, _ = groups.dotted(part, 1)
            found = self._names.relation(like) if like else None
            return found.columns if found is not None else ()
        column = _column(part)
        return () if column is None else (column,)

    def _alter(self, written: tuple[str, ...]) -> catalog.Catalog:
        relation = self._names.relation(written)
        if relation is None:
            return self._names
        key = (relation.schema, relation.name)
        for action in groups.split(self._items[self._at :]):
            relation = _altered(relation, action)
        relations = {each: value for each, value in self._names.relations.items() if each != key}
        relations[relation.schema, relation.name] = relation
        return self._with(relations)

    def _drop(self, what: str) -> catalog.Catalog:
        if what == "SCHEMA":
            gone = {name for item in self._items[self._at :] if (name := _name([item]))}
            return dataclasses.replace(
                self._names,
                schemas=tuple(each for each in self._names.schemas if each not in gone),
                relations={k: v for k, v in self._names.relations.items() if k[0] not in gone},
                routines={k: v for k, v in self._names.routines.items() if k[0] not in gone},
                types={k: v for k, v in self._names.types.items() if k[0] not in gone},
            )
        if what not in _KINDS:
            return self._names
        relations = dict(self._names.relations)
        for part in groups.split(self._items[self._at :]):
            written, _ = groups.dotted(part, 0)
            found = self._names.relation(written) if written else None
            if found is not None:
                relations.pop((found.schema, found.name), None)
        return self._with(relations)

    def _with(self, relations: dict[catalog.Key, catalogs.RelationInfo]) -> catalog.Catalog:
        return dataclasses.replace(self._names, relations=relations)

    # --- the rest ----------------------------------------------------------------------------

    def _type(self, what: str, written: tuple[str, ...]) -> catalog.Catalog:
        schema, name = self._key(written)
        rest = self._items[self._at :]
        group = next((item for item in rest if isinstance(item, groups.Group)), None)
        enum = "ENUM" in self._words[self._at :]
        labels: tuple[str, ...] = ()
        if enum and group is not None:
            labels = tuple(
                item.text.strip("'").replace("''", "'")
                for item in group.items
                if isinstance(item, tokens.Token) and item.kind == "string"
            )
        made = names.TypeInfo(
            schema=schema,
            name=name,
            kind="enum" if enum else "domain" if what == "DOMAIN" else "composite type",
            labels=labels,
        )
        return dataclasses.replace(self._names, types={**self._names.types, (schema, name): made})

    def _routine(self, what: str, written: tuple[str, ...]) -> catalog.Catalog:
        schema, name = self._key(written)
        group = self._items[self._at] if self._at < len(self._items) else None
        if not isinstance(group, groups.Group):
            return self._names
        rest = self._words[self._at :]
        returns = None
        if "RETURNS" in rest:
            kind = self._items[self._at + rest.index("RETURNS") + 1 :]
            returns = written_out(_until(kind, _ENDS_RETURNS))
        made = names.RoutineInfo(
            schema=schema,
            name=name,
            kind=what.lower(),
            arguments=written_out(group.items),
            returns=returns,
        )
        kept = tuple(
            each
            for each in self._names.routines.get((schema, name), ())
            if each.arguments != made.arguments
        )
        return dataclasses.replace(
            self._names, routines={**self._names.routines, (schema, name): (*kept, made)}
        )

    def _set(self) -> catalog.Catalog:
        while self._word() in ("SESSION", "LOCAL"):
            self._at += 1
        if self._word() != "SEARCH_PATH" or self._word(1) not in ("TO", "="):
            return self._names
        path: list[str] = []
        for item in self._items[self._at + 2 :]:
            if isinstance(item, tokens.Token):
                path += catalog.search_path(item.text, self._names.user)
        return dataclasses.replace(self._names, path=tuple(dict.fromkeys(path)))


_ENDS_RETURNS = tokens.listed(
    """LANGUAGE AS IMMUTABLE STABLE VOLATILE STRICT RETURN BEGIN SECURITY COST ROWS PARALLEL CALLED
    LEAKPROOF WINDOW SUPPORT SET"""
)


def _altered(
    relation: catalogs.RelationInfo, action: Sequence[groups.Item]
) -> catalogs.RelationInfo:
    words = [groups.word(item) for item in action]
    verb = words[0] if words else ""
    at = 1
    while at < len(words) and words[at] in ("COLUMN", "IF", "NOT", "EXISTS"):
        at += 1
    columns = list(relation.columns)
    name = _name(action[at:])
    if verb == "RENAME" and words[1:2] == ["TO"]:
        return dataclasses.replace(relation, name=_name(action[2:]) or relation.name)
    if verb == "SET" and words[1:2] == ["SCHEMA"]:
        return dataclasses.replace(relation, schema=_name(action[2:]) or relation.schema)
    if verb == "RENAME" and "TO" in words:
        new = _name(action[words.index("TO") + 1 :])
        columns = [
            dataclasses.replace(column, name=new or name) if column.name == name else column
            for column in columns
        ]
    elif verb == "ADD":
        added = _column(action[at:])
        if added is not None:
            columns.append(added)
    elif verb == "DROP" and words[1:2] != ["CONSTRAINT"]:
        columns = [column for column in columns if column.name != name]
    elif verb == "ALTER" and "TYPE" in words:
        kind = written_out(_until(action[words.index("TYPE") + 1 :], _ENDS_TYPE))
        columns = [
            dataclasses.replace(column, type=kind) if column.name == name else column
            for column in columns
        ]
    return dataclasses.replace(relation, columns=tuple(columns))


def columns(items: Sequence[groups.Item]) -> Iterator[catalogs.ColumnInfo]:
    """The columns that are defined in the brackets of a CREATE TABLE."""
    for part in groups.split(items):
        column = _column(part) if len(part) > 1 else None
        if column is not None:
            yield column


def _column(part: Sequence[groups.Item]) -> catalogs.ColumnInfo | None:
    """A column as it is defined; None for a constraint."""
    name = _name(part)
    if name is None or groups.word(part[0]) in _NO_COLUMN:
        return None
    words = [groups.word(item) for item in part]
    return catalogs.ColumnInfo(
        name=name,
        type=written_out(_until(part[1:], _ENDS_TYPE)),
        nullable=not ("PRIMARY" in words or ("NOT" in words and "NULL" in words)),
    )


def _parts(
    defined: Sequence[Sequence[groups.Item]], known: catalog.Catalog
) -> Iterator[catalogs.PartInfo]:
    """The keys that a table is defined with."""
    for part in defined:
        words = [groups.word(item) for item in part]
        lists = [_listed(item) for item in part if isinstance(item, groups.Group)]
        own = (_name(part) or "",) if words[:1] and words[0] not in _NO_COLUMN else None
        if "KEY" in words and "PRIMARY" in words:
            key = own or (lists[0] if lists else ())
            yield catalogs.PartInfo(
                name="", kind="primary key", definition=f"PRIMARY KEY ({_joined(key)})", columns=key
            )
        if "REFERENCES" not in words:
            continue
        name, after = groups.dotted(part, words.index("REFERENCES") + 1)
        mine = own or (lists[0] if lists else ())
        other = known.relation(name) if name else None
        theirs = other.key if other is not None else ()
        if after < len(part) and isinstance(part[after], groups.Group):
            theirs = _listed(part[after])
        definition = (
            f"FOREIGN KEY ({_joined(mine)}) REFERENCES"
            f" {'.'.join(map(_quoted, name))}({_joined(theirs)})"
        )
        yield catalogs.PartInfo(name="", kind="foreign key", definition=definition, columns=mine)


def _listed(item: groups.Item) -> tuple[str, ...]:
    assert isinstance(item, groups.Group)
    found = [_name(part) for part in groups.split(item.items)]
    return tuple(name for name in found if name is not None)


def _joined(columns: Sequence[str]) -> str:
    return ", ".join(map(_quoted, columns))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _name(part: Sequence[groups.Item]) -> str | None:
    first = part[0] if part else None
    return first.identifier if isinstance(first, tokens.Token) else None


def _until(items: Sequence[groups.Item], ends: frozenset[str]) -> Sequence[groups.Item]:
    for index, item in enumerate(items):
        if groups.word(item) in ends:
            return items[:index]
    return items


def written_out(items: Sequence[groups.Item]) -> str:
    """Items as text: `numeric(10, 2)`, `a integer, b text`."""
    text = ""
    for item in items:
        if isinstance(item, groups.Group):
            text += f"({written_out(item.items)})"
        elif item.text in (",", ".", "[", "]", "::"):
            text += item.text
        else:
            text += f" {item.text}" if text and text[-1] not in ".([:" else item.text
    return text
