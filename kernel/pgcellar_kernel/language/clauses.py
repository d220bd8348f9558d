"""What may be written in a clause, by what stands in it already."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pgcellar_kernel.language import groups, phrases, tokens

What = Literal[
    "table",
    "column",
    "function",
    "type",
    "schema",
    "setting",
    "value",
    "join",
    "command",
    "listed",
    "common",
    "window",
    "psql",
]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is likely, the likeliest first.

    `column` are columns that are seen, `listed` those of the table that the statement is about,
    `common` those that all tables of a join have, `join` whole conditions of one. `words` are the
    keywords that may stand here; any other may too, where `loose`. `used` are names that stand in
    the list already.
    """

    whats: tuple[What, ...] = ()
    words: tuple[str, ...] = ()
    loose: bool = True
    used: frozenset[str] = frozenset()
    about: str = ""


#: Words of expressions behind which something is still missing.
_OPEN = tokens.listed(
    """AND OR NOT IN LIKE ILIKE BETWEEN CASE WHEN THEN ELSE DISTINCT ALL ANY SOME ARRAY IS SELECT
    WHERE ON HAVING BY SET VALUES RETURNING LIMIT OFFSET TO SIMILAR ESCAPE USING FILTER OVER COLLATE
    FROM DEFAULT EXISTS FOR AS ROW VARIADIC SYMMETRIC"""
)


def last_part(words: Sequence[str]) -> list[str]:
    found: list[str] = []
    for each in reversed(words):
        if each == ",":
            break
        found.insert(0, each)
    return found


def done(before: Sequence[groups.Item], words: Sequence[str]) -> bool:
    """Whether an operand is complete, so that an operator or the next clause is to come."""
    if not before:
        return False
    item, name = before[-1], words[-1]
    if isinstance(item, groups.Group):
        return True
    if item.kind == "operator":
        return name == "]" or (name == "*" and (len(words) < 2 or words[-2] in _BEFORE_STAR))
    return item.kind != "word" or name not in _OPEN


_BEFORE_STAR = tokens.listed("SELECT , RETURNING DISTINCT ALL .")


@dataclasses.dataclass(frozen=True, slots=True)
class Spot:
    """A place in a clause: what stands before it, of which `rest` in the clause."""

    words: Sequence[str]
    rest: Sequence[str]
    last: str
    previous: str
    first: str
    done: bool
    clause: str

    @property
    def begins(self) -> bool:
        """Whether a name is to come."""
        return not self.rest or self.last in (",", "ONLY", "LATERAL", "EXISTS", "CONCURRENTLY")


_VALUE: tuple[What, ...] = ("column", "function")
_RELATION: tuple[What, ...] = ("table", "schema")


def _select(spot: Spot) -> Wanted:
    if spot.last == "AS":
        return Wanted(loose=False)
    called = ("OVER", "FILTER", "WITHIN GROUP") if spot.last == "()" else ()
    if spot.done:
        return Wanted(
            words=(
                "FROM",
                "AS",
                *called,
                *phrases.OPERATORS,
                *phrases.IN_CASE,
                "INTO",
                "WHERE",
                *phrases.AFTER_WHERE,
            )
        )
    words = ("DISTINCT", "ALL", *phrases.BEGIN_VALUE) if not spot.rest else phrases.BEGIN_VALUE
    return Wanted(whats=_VALUE, words=(*words, *phrases.IN_CASE, "FROM"))


def _from(spot: Spot) -> Wanted:
    if spot.begins or spot.last == "JOIN":
        return Wanted(
            whats=("table", "schema", "function"), words=("LATERAL", "ONLY", *phrases.QUERIES)
        )
    if spot.last == "AS":
        return Wanted(loose=False)
    if spot.previous == "DELETE":
        return Wanted(words=("WHERE", "USING", "RETURNING", "AS"))
    if spot.first == "COPY":
        return Wanted(words=("STDIN", "PROGRAM", "WITH"))
    if spot.clause == "JOIN":
        return Wanted(words=("ON", "USING", "AS", *phrases.JOINS, "WHERE", *phrases.AFTER_WHERE))
    if spot.clause == "USING" and spot.first in ("MERGE", "DELETE"):
        return Wanted(words=("ON", "AS", "WHERE", *phrases.JOINS, "RETURNING"))
    return Wanted(
        words=(
            "WHERE",
            *phrases.JOINS,
            *phrases.AFTER_WHERE,
            "AS",
            "RETURNING",
            "TABLESAMPLE",
            "WITH ORDINALITY",
            "ON",
        )
    )


def _using(spot: Spot) -> Wanted | None:
    if spot.first in ("DELETE", "MERGE") or "DELETE" in spot.words or "MERGE" in spot.words:
        return _from(spot)
    if spot.first == "CREATE":
        return Wanted(words=("BTREE", "HASH", "GIN", "GIST", "BRIN", "SPGIST"), loose=False)
    return _from(spot) if spot.done else None


def _condition(spot: Spot) -> Wanted:
    if spot.done:
        return Wanted(
            words=(
                *phrases.OPERATORS,
                *phrases.IN_CASE,
                *phrases.JOINS,
                "WHERE",
                *phrases.AFTER_WHERE,
                "RETURNING",
                "THEN",
            )
        )
    return Wanted(whats=(*_VALUE, "table"), words=(*phrases.BEGIN_VALUE, *phrases.IN_CASE))


def _on(spot: Spot) -> Wanted | None:
    if spot.first == "INSERT" and not spot.rest:
        return Wanted(words=("CONFLICT",), loose=False)
    if spot.first == "COMMENT":
        if spot.previous == "COMMENT" and not spot.rest:
            return Wanted(words=("COLUMN", *phrases.OBJECTS), loose=False)
        return Wanted(words=("IS",))
    if spot.first in ("GRANT", "REVOKE"):
        if spot.begins:
            more = ("TABLE", "SCHEMA", "FUNCTION", "ALL TABLES IN SCHEMA", "SEQUENCE", "DATABASE")
            return Wanted(whats=_RELATION, words=more)
        return Wanted(words=("TO",) if spot.first == "GRANT" else ("FROM",))
    if spot.first in ("CREATE", "ALTER", "DROP") and "JOIN" not in spot.words:
        if spot.begins:
            return Wanted(whats=_RELATION, words=("ONLY",), loose=False)
        return Wanted(
            words=(
                "USING",
                "WHERE",
                "FOR EACH ROW",
                "EXECUTE FUNCTION",
                "WITH CHECK",
                "INCLUDE",
                "FOR",
                "TO",
                "AS",
            )
        )
    if not spot.rest:
        return Wanted(whats=("join", "column", "table", "function"), words=phrases.BEGIN_VALUE)
    return _condition(spot)


def _by(spot: Spot) -> Wanted:
    if spot.done:
        if spot.previous == "ORDER":
            return Wanted(
                words=(
                    "ASC",
                    "DESC",
                    "NULLS FIRST",
                    "NULLS LAST",
                    "LIMIT",
                    "OFFSET",
                    "USING",
                    *phrases.OPERATORS,
                    *phrases.AFTER_WHERE,
                )
            )
        return Wanted(words=("HAVING", *phrases.AFTER_WHERE, *phrases.OPERATORS))
    return Wanted(whats=_VALUE, words=(*phrases.BEGIN_VALUE, "ROLLUP", "CUBE", "GROUPING SETS"))


def _set(spot: Spot) -> Wanted | None:
    if spot.first == "SET" or (spot.first == "ALTER" and spot.previous not in ("COLUMN",)):
        rest = [each for each in spot.rest if each not in ("SESSION", "LOCAL")]
        if not rest:
            more = ("LOCAL", "SESSION", "ROLE", "TIME ZONE", "SCHEMA", "CONSTRAINTS")
            return Wanted(whats=("setting",), words=more, loose=False)
        if len(rest) == 1:
            return Wanted(words=("TO", "="), loose=False)
        return Wanted(whats=("value", "schema"), words=("DEFAULT",), about=rest[0].lower())
    part = last_part(spot.rest)
    if not part:
        used = frozenset(each.lower() for each in spot.rest)
        return Wanted(whats=("listed",), loose=False, used=used)
    if len(part) == 1:
        return Wanted(words=("=",), loose=False)
    if spot.done:
        return Wanted(words=("WHERE", "FROM", "RETURNING", *phrases.OPERATORS))
    return Wanted(whats=_VALUE, words=("DEFAULT", *phrases.BEGIN_VALUE))


def _into(spot: Spot) -> Wanted:
    if spot.begins:
        return Wanted(whats=_RELATION, loose=False)
    if spot.first == "MERGE" or "MERGE" in spot.words:
        return Wanted(words=("USING", "AS"))
    if "SELECT" in spot.words:
        return Wanted(words=("FROM",))
    return Wanted(
        words=("VALUES", "SELECT", "DEFAULT VALUES", "WITH", "OVERRIDING SYSTEM VALUE", "AS")
    )


def _values(spot: Spot) -> Wanted:
    return Wanted(words=("ON CONFLICT", "RETURNING", *phrases.AFTER_WHERE))


def _update(spot: Spot) -> Wanted:
    if spot.begins:
        return Wanted(whats=_RELATION, words=("ONLY",), loose=False)
    return Wanted(words=("SET", "AS"))


def _relation_of(spot: Spot) -> Wanted:
    if spot.first == "CREATE":
        if not spot.rest:
            return Wanted(words=("IF NOT EXISTS",), loose=False)
        if spot.last == "AS":
            return Wanted(words=phrases.QUERIES, loose=False)
        return Wanted(words=("AS", "PARTITION BY", "PARTITION OF", "INHERITS", "WITH"))
    if spot.begins or spot.last == "ONLY":
        return Wanted(whats=_RELATION, words=("IF EXISTS", "ONLY"), loose=False)
    if spot.first == "ALTER":
        if len(spot.rest) == 1 or spot.last == "()":
            return Wanted(words=phrases.ALTERATIONS)
        if spot.last == "DROP" or spot.last == "ALTER":
            return Wanted(whats=("listed",), words=("COLUMN", "CONSTRAINT"))
        return Wanted(words=phrases.COLUMN_PARTS)
    if spot.first == "COMMENT":
        return Wanted(words=("IS",))
    return Wanted(words=("CASCADE", "RESTRICT", "RESTART IDENTITY", "IN", "WITH DATA", "TO"))


def _alteration(spot: Spot) -> Wanted | None:
    """Behind ADD, DROP, ALTER, RENAME or COLUMN of ALTER TABLE, or COMMENT ON COLUMN."""
    if spot.first == "COMMENT":
        return Wanted(whats=("table", "schema"), words=("IS",)) if not spot.rest else None
    if spot.first not in ("ALTER",) or (len(spot.words) < 3 and spot.clause != "COLUMN"):
        return Wanted(
            words=(*phrases.OBJECTS, *phrases.MORE_OBJECTS)
            if spot.clause == "CREATE"
            else phrases.OBJECTS
        )
    adds = spot.clause == "ADD" or (spot.clause == "COLUMN" and spot.previous == "ADD")
    rest = [each for each in spot.rest if each not in ("IF", "NOT", "EXISTS")]
    if adds:
        if not rest:
            return Wanted(
                words=(
                    "COLUMN",
                    "CONSTRAINT",
                    "PRIMARY KEY",
                    "FOREIGN KEY",
                    "UNIQUE",
                    "CHECK",
                    "IF NOT EXISTS",
                ),
                loose=False,
            )
        if len(rest) == 1 and rest[0] != "CONSTRAINT":
            return Wanted(whats=("type",), loose=False)
        return Wanted(words=phrases.COLUMN_PARTS)
    if not rest:
        return Wanted(whats=("listed",), words=("COLUMN", "CONSTRAINT", "TO"))
    if len(rest) == 1 and "RENAME" in (spot.clause, spot.previous):
        return Wanted(words=("TO",), loose=False)
    return Wanted(
        words=(
            "TYPE",
            "SET DEFAULT",
            "DROP DEFAULT",
            "SET NOT NULL",
            "DROP NOT NULL",
            "SET DATA TYPE",
            "ADD GENERATED",
            "CASCADE",
            "TO",
        )
    )


def _routine(spot: Spot) -> Wanted | None:
    if spot.first == "CREATE" and "TRIGGER" not in spot.words:
        if not spot.rest:
            return Wanted(loose=False)
        return Wanted(
            words=(
                "RETURNS",
                "LANGUAGE",
                "AS",
                "IMMUTABLE",
                "STABLE",
                "VOLATILE",
                "STRICT",
                "RETURN",
                "BEGIN ATOMIC",
                "SECURITY DEFINER",
                "PARALLEL SAFE",
                "COST",
                "SET",
            )
        )
    if spot.begins:
        return Wanted(whats=("function", "schema"), words=("IF EXISTS",), loose=False)
    return Wanted(words=("CASCADE", "RESTRICT", "OWNER TO", "RENAME TO", "IS", "TO"))


def _type(spot: Spot) -> Wanted | None:
    if spot.clause == "RETURNS" or (spot.first == "ALTER" and "COLUMN" in spot.words):
        if not spot.rest or spot.last in ("SETOF",):
            return Wanted(whats=("type", "table"), words=("SETOF", "TABLE", "TRIGGER", "VOID"))
        return _routine(spot) if spot.clause == "RETURNS" else Wanted(words=("USING", "COLLATE"))
    if spot.first == "CREATE":
        if not spot.rest:
            return Wanted(loose=False)
        if spot.clause == "DOMAIN" and spot.last == "AS":
            return Wanted(whats=("type",), loose=False)
        return Wanted(words=("AS ENUM", "AS", "AS RANGE", "CHECK", "DEFAULT", "NOT NULL"))
    if spot.begins:
        return Wanted(whats=("type",), words=("IF EXISTS",), loose=False)
    return Wanted(
        words=(
            "ADD VALUE",
            "RENAME TO",
            "RENAME VALUE",
            "OWNER TO",
            "SET SCHEMA",
            "CASCADE",
            "RESTRICT",
        )
    )


def _schema(spot: Spot) -> Wanted:
    if spot.first == "CREATE":
        return Wanted(words=("IF NOT EXISTS", "AUTHORIZATION"), loose=False)
    if spot.begins:
        return Wanted(whats=("schema",), words=("IF EXISTS",), loose=False)
    return Wanted(words=("CASCADE", "RESTRICT", "TO", "FROM", "RENAME TO", "OWNER TO"))


def _setting(spot: Spot) -> Wanted:
    more = ("ALL",) if spot.clause == "SHOW" else ("ALL", "ROLE")
    return Wanted(whats=("setting",) if not spot.rest else (), words=more, loose=False)


def _conflict(spot: Spot) -> Wanted:
    return Wanted(words=("DO NOTHING", "DO UPDATE SET", "ON CONSTRAINT", "WHERE", "RETURNING"))


def _do(spot: Spot) -> Wanted | None:
    if spot.first == "DO":
        return Wanted(words=("LANGUAGE",))
    return Wanted(words=("NOTHING", "UPDATE SET", "RETURNING"))


def _with(spot: Spot) -> Wanted | None:
    if spot.first in ("COPY", "CREATE", "GRANT", "REFRESH"):
        return Wanted(words=("DATA", "NO DATA", "CHECK", "ORDINALITY", "GRANT OPTION"))
    if not spot.rest or spot.last == ",":
        return Wanted(words=("RECURSIVE",), loose=False)
    if spot.last == "()" and len(spot.rest) >= 3:
        return Wanted(words=("SELECT", "INSERT INTO", "UPDATE", "DELETE FROM", "MERGE INTO"))
    return Wanted(words=("AS", "AS MATERIALIZED", "AS NOT MATERIALIZED"), loose=False)


def _set_operation(spot: Spot) -> Wanted:
    return Wanted(words=("ALL", "DISTINCT", *phrases.QUERIES), loose=True)


def _copy(spot: Spot) -> Wanted:
    if spot.begins:
        return Wanted(whats=_RELATION, loose=False)
    return Wanted(words=("FROM", "TO", "WITH", "FROM STDIN", "TO STDOUT"))


def _references(spot: Spot) -> Wanted:
    if spot.begins:
        return Wanted(whats=_RELATION, loose=False)
    return Wanted(words=phrases.COLUMN_PARTS)


def _named(spot: Spot) -> Wanted:
    """Behind the name of something that is not known here: an index, a role."""
    if spot.clause == "IN" and "SCHEMA" not in spot.rest:
        return Wanted(words=("SCHEMA",))
    return Wanted(words=("IF EXISTS", "IF NOT EXISTS", "ON", "CASCADE", "RESTRICT", "TO", "WITH"))


def _limit(spot: Spot) -> Wanted:
    return Wanted(words=("OFFSET", "FOR UPDATE", "LIMIT") if spot.done else ("ALL",))


def _delete(spot: Spot) -> Wanted:
    following = {"DELETE": ("FROM",), "INSERT": ("INTO",), "MERGE": ("INTO",)}
    return Wanted(words=following.get(spot.clause, ()), loose=False)


HANDLERS: Mapping[str, Callable[[Spot], Wanted | None]] = {
    "SELECT": _select,
    "RETURNING": _select,
    "FROM": _from,
    "JOIN": _from,
    "USING": _using,
    "WHERE": _condition,
    "HAVING": _condition,
    "WHEN": _condition,
    "ON": _on,
    "BY": _by,
    "SET": _set,
    "INTO": _into,
    "VALUES": _values,
    "UPDATE": _update,
    "TABLE": _relation_of,
    "VIEW": _relation_of,
    "CREATE": _alteration,
    "DROP": _alteration,
    "ALTER": _alteration,
    "ADD": _alteration,
    "COLUMN": _alteration,
    "RENAME": _alteration,
    "FUNCTION": _routine,
    "PROCEDURE": _routine,
    "ROUTINE": _routine,
    "AGGREGATE": _routine,
    "CALL": _routine,
    "TYPE": _type,
    "DOMAIN": _type,
    "RETURNS": _type,
    "SCHEMA": _schema,
    "SHOW": _setting,
    "RESET": _setting,
    "CONFLICT": _conflict,
    "DO": _do,
    "WITH": _with,
    "COPY": _copy,
    "TRUNCATE": _copy,
    "ANALYZE": _copy,
    "VACUUM": _copy,
    "LOCK": _copy,
    "CLUSTER": _copy,
    "REFERENCES": _references,
    "UNION": _set_operation,
    "INTERSECT": _set_operation,
    "EXCEPT": _set_operation,
    "INDEX": _named,
    "EXTENSION": _named,
    "ROLE": _named,
    "SEQUENCE": _named,
    "TRIGGER": _named,
    "POLICY": _named,
    "IN": _named,
    "LIMIT": _limit,
    "OFFSET": _limit,
    "DELETE": _delete,
    "INSERT": _delete,
    "MERGE": _delete,
}
