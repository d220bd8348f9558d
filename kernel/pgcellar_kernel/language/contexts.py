"""What may be written at a place in a statement: a table, a column, a type, which keywords."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from pgcellar_kernel.language import clauses, groups, phrases, tokens


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Typed:
    """The word at the cursor: what of it is written, behind which names with dots, from where."""

    prefix: str = ""
    quoted: bool = False
    qualifier: tuple[str, ...] = ()
    start: int = 0
    first: int = 0


def typed(place: tokens.Place) -> tuple[Typed, list[tokens.Token]]:
    """The word at the cursor, and the statement without it."""
    cursor = place.cursor
    found = list(place.tokens)
    at = next((i for i, each in enumerate(found) if each.start < cursor <= each.end), None)
    start, prefix, quoted = cursor, "", False
    behind = next((i for i, each in enumerate(found) if each.start >= cursor), len(found))
    before = behind
    if at is not None and found[at].kind in ("word", "name"):
        token = found[at]
        start, quoted = token.start, token.kind == "name"
        prefix = place.text[start:cursor]
        quoted = quoted and '"' in prefix
        if quoted:
            prefix = prefix.partition('"')[2].removesuffix('"').replace('""', '"')
        before, behind = at, at + 1
    names: list[str] = []
    first = before
    at_dot = start
    while first >= 2 and found[first - 1].text == "." and found[first - 1].end == at_dot:
        name = found[first - 2].identifier
        if name is None or found[first - 2].end != found[first - 1].start:
            break
        names.insert(0, name)
        first -= 2
        at_dot = found[first].start
    begin = found[first].start if first < before else start
    said = Typed(prefix=prefix, quoted=quoted, qualifier=tuple(names), start=start, first=begin)
    return said, found[:first] + found[behind:]


_CLAUSES = tokens.listed(
    """SELECT FROM WHERE ON HAVING BY SET VALUES INTO RETURNING LIMIT OFFSET USING JOIN UPDATE TABLE
    VIEW FUNCTION PROCEDURE ROUTINE AGGREGATE SCHEMA TYPE DOMAIN CALL CALLED WINDOW COPY TRUNCATE
    ANALYZE VACUUM LOCK EXPLAIN SHOW RESET REFERENCES DO INDEX CREATE DROP ALTER COMMENT GRANT
    REVOKE COLUMN RENAME ADD EXECUTE RETURNS WHEN CONFLICT WITH UNION INTERSECT EXCEPT ALL INHERITS
    EXTENSION ROLE SEQUENCE TRIGGER POLICY TO CHECK DEFAULT DELETE INSERT MERGE BEGIN IN OWNER
    CLUSTER REINDEX"""
)
#: Of these, those that are clauses only in commands that define something.
_DEFINING = tokens.listed(
    """TABLE VIEW FUNCTION PROCEDURE ROUTINE AGGREGATE SCHEMA TYPE DOMAIN INDEX COLUMN RENAME ADD
    EXTENSION ROLE SEQUENCE TRIGGER POLICY TO CHECK DEFAULT IN OWNER RETURNS INHERITS REFERENCES"""
)
_DEFINITIONS = tokens.listed("CREATE ALTER DROP COMMENT GRANT REVOKE REFRESH LOCK TRUNCATE REINDEX")


def wanted(statement: Sequence[tokens.Token], cursor: int) -> tuple[clauses.Wanted, groups.Group]:
    """What may be written at the cursor of a statement, from which the word there was taken."""
    root = groups.tree(statement)
    chain = groups.chain(root, cursor)
    inner = chain[-1]
    before = [item for item in inner.items if item.end <= cursor]
    if len(chain) == 1:
        first = next((item.upper for item in statement if item.kind == "word"), "")
        return _at_level(before, first, "top", inner, cursor), root
    outer = chain[-2].items
    role = _role(outer[: outer.index(inner)])
    first = next((groups.word(item) for item in root.items), "")
    return _at_level(before, first, role, inner, cursor), root


Role = Literal[
    "top",
    "from",
    "columns",
    "common",
    "definition",
    "arguments",
    "cast",
    "call",
    "values",
    "options",
    "over",
    "relations",
]


def _role(before: Sequence[groups.Item]) -> Role:
    """What a bracket holds, by what stands before it."""
    words = [groups.word(item) for item in before]
    last = words[-1] if words else ""
    first = words[0] if words else ""
    clause = next((each for each in reversed(words) if each in _CLAUSES | {"KEY"}), "")
    made = "CREATE" in words[:1] and clause in ("TABLE", "EXISTS") and "AS" not in words
    if last in ("CAST", "TREAT"):
        return "cast"
    if last == "OVER":
        return "over"
    if last in ("VALUES",) or (last == "," and clause == "VALUES"):
        return "values"
    if first == "EXPLAIN" and len(words) == 1:
        return "options"
    if last in ("FROM", "JOIN", "LATERAL") or (last == "," and clause in ("FROM", "JOIN")):
        return "from"
    if last == "USING" and "JOIN" in words:
        return "common"
    if last in ("KEY", "UNIQUE", "CONFLICT") or (
        clause in ("INTO", "REFERENCES") or (clause == "COPY" and last != "WITH")
    ):
        return "columns"
    if made:
        return "definition"
    if first == "CREATE" and "INDEX" in words and "ON" in words and "WHERE" not in words:
        return "columns"
    if first == "CREATE" and any(each in words for each in ("FUNCTION", "PROCEDURE")):
        return "arguments" if clause in ("FUNCTION", "PROCEDURE") else "definition"
    if first in ("ANALYZE", "VACUUM") and len(words) > 1:
        return "columns"
    if last in ("INHERITS",):
        return "relations"
    return "call"


def _at_level(
    before: Sequence[groups.Item], first: str, role: Role, inner: groups.Group, cursor: int
) -> clauses.Wanted:
    words = [groups.word(item) for item in before]
    if role == "top" and words[:1] == ["EXPLAIN"]:
        skip = 1
        while skip < len(words) and words[skip] in ("ANALYZE", "VERBOSE", "()"):
            skip += 1
        if skip == len(words):
            return clauses.Wanted(
                whats=("command",), words=("ANALYZE", "VERBOSE", *phrases.COMMANDS)
            )
        before, words = before[skip:], words[skip:]
        first = words[0]
    queries = bool(words) and words[0] in ("SELECT", "WITH", "VALUES", "INSERT", "UPDATE", "DELETE")
    if role != "top" and not queries:
        found = _in_bracket(before, words, role, inner, cursor)
        if found is not None:
            return found
    if not words:
        return clauses.Wanted(whats=("command",), words=phrases.COMMANDS)
    if words[-1] == "::":
        return clauses.Wanted(whats=("type",), loose=False)
    following = phrases.FOLLOWING.get(words[-1])
    if following is not None:
        return clauses.Wanted(words=following)
    return _by_clause(before, words, first)


def _in_bracket(
    before: Sequence[groups.Item],
    words: Sequence[str],
    role: Role,
    inner: groups.Group,
    cursor: int,
) -> clauses.Wanted | None:
    """What may stand in a bracket that holds no query; None where a clause in it tells."""
    last = words[-1] if words else ","
    if last == "::" or (role == "cast" and last == "AS"):
        return clauses.Wanted(whats=("type",), loose=False)
    if role == "options":
        return clauses.Wanted(words=phrases.EXPLAIN, loose=False)
    if role in ("columns", "common"):
        what: clauses.What = "common" if role == "common" else "listed"
        used = frozenset(
            item.identifier or ""
            for item in inner.items
            if isinstance(item, tokens.Token) and not item.start <= cursor <= item.end
        )
        if last == ",":
            more: tuple[clauses.What, ...] = ("function",) if role == "columns" else ()
            return clauses.Wanted(
                whats=(what, *more), words=() if words else ("SELECT",), used=used
            )
        return clauses.Wanted(words=("ASC", "DESC", "NULLS FIRST", "NULLS LAST"), loose=True)
    if role == "definition":
        part = clauses.last_part(words)
        if not part:
            return clauses.Wanted(words=phrases.TABLE_PARTS, loose=False)
        if len(part) == 1 and part[0] not in phrases.TABLE_PARTS:
            return clauses.Wanted(whats=("type",), loose=False)
        if part[-1] in ("REFERENCES", "LIKE"):
            return clauses.Wanted(whats=("table", "schema"), loose=False)
        if part[-1] in ("DEFAULT",):
            return clauses.Wanted(whats=("function",), words=phrases.BEGIN_VALUE)
        return clauses.Wanted(words=phrases.COLUMN_PARTS)
    if role == "arguments":
        part = clauses.last_part(words)
        if not part or part[-1] == "DEFAULT":
            return clauses.Wanted(whats=("type",), words=("IN", "OUT", "INOUT", "VARIADIC"))
        return clauses.Wanted(whats=("type",), words=("DEFAULT",))
    if role in ("from", "relations") and not words:
        return clauses.Wanted(whats=("table", "schema", "function"), words=phrases.QUERIES)
    if role == "over" and not words:
        return clauses.Wanted(words=("PARTITION BY", "ORDER BY", "ROWS BETWEEN", "RANGE BETWEEN"))
    if role == "over" and last != "BY" and "BY" in words and last != ",":
        return clauses.Wanted(words=("ORDER BY", "ASC", "DESC", "ROWS BETWEEN", "RANGE BETWEEN"))
    if role in ("call", "values", "cast") and not any(each in _STARTS for each in words):
        if not clauses.done(before, words):
            more_words = (
                (*phrases.QUERIES, *phrases.BEGIN_VALUE) if not words else phrases.BEGIN_VALUE
            )
            if not words and role == "call":
                more_words = ("DISTINCT", *more_words)
            return clauses.Wanted(whats=("column", "function"), words=more_words)
        return clauses.Wanted(
            words=("AS", *phrases.OPERATORS, *phrases.IN_CASE, "ORDER BY", "FROM", "FOR")
        )
    return None


_STARTS = tokens.listed("FROM WHERE SELECT JOIN BY ON")


def _clause(words: Sequence[str], first: str) -> tuple[str, int]:
    """The clause that a place is in, and its index."""
    defining = first in _DEFINITIONS
    for index in range(len(words) - 1, -1, -1):
        name = words[index]
        if name not in _CLAUSES or (name in _DEFINING and not defining and name != "TABLE"):
            continue
        previous = words[index - 1] if index else ""
        if name == "FROM" and previous == "DISTINCT":
            continue
        if name in ("ALL", "IN") and not (defining and name == "IN"):
            continue
        if name == "UPDATE" and previous in ("FOR", "ON", "DO", "OR"):
            continue
        return name, index
    return "", -1


def _by_clause(before: Sequence[groups.Item], words: Sequence[str], first: str) -> clauses.Wanted:
    clause, index = _clause(words, first)
    rest = words[index + 1 :]
    last = words[-1]
    previous = words[index - 1] if index > 0 else ""
    done = bool(rest) and clauses.done(before, words)
    handler = clauses.HANDLERS.get(clause)
    if handler is not None:
        found = handler(clauses.Spot(words, rest, last, previous, first, done, clause))
        if found is not None:
            return found
    if done:
        return clauses.Wanted(words=(*phrases.OPERATORS, *phrases.AFTER_WHERE))
    return clauses.Wanted(whats=("column", "function", "table"), words=phrases.BEGIN_VALUE)
