"""Lays a statement's tokens out in lines. Only white space is chosen here; no token is touched.

What fits in a line stands in one. What does not is broken where it is loosest: at clauses, then at
commas, then at AND and OR, then in brackets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

#: Characters of a line, where it can be broken.
WIDTH = 88
INDENT = 4
#: Brackets in one another that are laid out.
MAX_DEPTH = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Word:
    """A token as it is written. `blank`: white space stood before it; `below`: a line break did."""

    text: str
    blank: bool
    below: bool
    comment: bool = False

    @property
    def upper(self) -> str:
        """In capitals, to compare it with keywords; a literal is none."""
        return self.text.upper() if self.text[:1].isalpha() else self.text

    @property
    def ends_line(self) -> bool:
        """Whether nothing may follow in its line."""
        return self.comment and self.text.startswith("--")


@dataclasses.dataclass(frozen=True, slots=True)
class Bracket:
    """What stands between two brackets, or between CASE and END."""

    first: Word
    items: tuple[Item, ...]
    last: Word

    @property
    def blank(self) -> bool:
        """See `Word`."""
        return self.first.blank

    @property
    def is_case(self) -> bool:
        """Whether it is a CASE, whose parts begin with words."""
        return self.first.upper == "CASE"


Item = Word | Bracket
Items = Sequence[Item]


def listed(text: str) -> frozenset[str]:
    """A set of words, written as a text."""
    return frozenset(text.split())


class TooDeep(Exception):
    """There are more brackets in one another than anybody writes."""


def lay_out(words: Sequence[Word]) -> str:
    """The words in lines. Raises TooDeep, and ValueError where brackets don't match."""
    items, rest = _tree(words, 0, None, 0)
    if rest != len(words):
        raise ValueError("brackets do not match")
    return "\n".join(_lines(items, 0))


_CLOSING = {"(": ")", "[": "]", "CASE": "END"}


def _tree(
    words: Sequence[Word], at: int, closing: str | None, depth: int
) -> tuple[tuple[Item, ...], int]:
    if depth > MAX_DEPTH:
        raise TooDeep
    items: list[Item] = []
    while at < len(words):
        word = words[at]
        upper = "" if word.comment else word.upper
        if upper == closing:
            return tuple(items), at
        if upper in (")", "]"):
            raise ValueError("brackets do not match")
        if upper in _CLOSING and not _dotted(words, at):
            inner, end = _tree(words, at + 1, _CLOSING[upper], depth + 1)
            if end >= len(words):
                raise ValueError("brackets do not match")
            items.append(Bracket(word, inner, words[end]))
            at = end
        else:
            items.append(word)
        at += 1
    return tuple(items), at


def _dotted(words: Sequence[Word], at: int) -> bool:
    return at > 0 and words[at - 1].text == "."


# --- in one line -----------------------------------------------------------------------------

#: Operators that have a blank on both sides, where they stand between two operands.
_BINARY = listed("= < > <= >= <> != + - * / % || := =>")
_NOT_OPERAND = listed(
    """SELECT WHERE AND OR NOT ON HAVING BY SET VALUES RETURNING LIMIT OFFSET WHEN THEN ELSE IN
    LIKE ILIKE BETWEEN IS DISTINCT ALL FROM AS CASE RETURN DEFAULT USING TO ANY INTERVAL"""
)


def _flat(items: Items) -> str | None:
    """The items in one line; None where a comment needs a line of its own."""
    text = ""
    before: Item | None = None
    for index, item in enumerate(items):
        if isinstance(item, Word):
            if item.ends_line or ("\n" in item.text and item.comment):
                return None
            piece: str | None = item.text
        else:
            inner = _flat(item.items)
            if inner is None:
                return None
            glue = " " if item.is_case else ""
            piece = f"{item.first.text}{glue}{inner}{glue}{item.last.text}"
        text += (" " if _spaced(items, index, before) else "") + (piece or "")
        before = item
    return text


def _spaced(items: Items, index: int, before: Item | None) -> bool:
    """Whether a blank stands before an item."""
    if before is None:
        return False
    item = items[index]
    if isinstance(item, Word):
        if item.text in (",", ";"):
            return False
        if _is_binary(items, index):
            return True
    if isinstance(before, Word):
        if before.text == ",":
            return True
        if before.text == "." or (isinstance(item, Word) and item.text == "."):
            return item.blank and not (isinstance(item, Word) and item.text == ".")
        if _is_binary(items, index - 1):
            return True
        if before.text in _BINARY:
            # A sign: it stays at its number, or where it was.
            return item.blank
    return item.blank


def _is_binary(items: Items, index: int) -> bool:
    """Whether an operator stands there between two operands."""
    item = items[index]
    if not isinstance(item, Word) or item.text not in _BINARY or item.comment:
        return False
    if not 0 < index < len(items) - 1:
        return False
    before, after = items[index - 1], items[index + 1]
    if isinstance(after, Word) and after.text in (",", "FROM", "from", "."):
        return False
    if isinstance(before, Bracket):
        return True
    if before.comment or before.upper in _NOT_OPERAND:
        return False
    return before.text[0].isalnum() or before.text[0] in "'\"_$" or before.text in ("]", ")")


# --- in several lines ------------------------------------------------------------------------

#: Words that begin a clause, each with those that may stand between it and what it holds.
_HEADS = (
    "WITH RECURSIVE", "WITH", "SELECT DISTINCT", "SELECT ALL", "SELECT", "FROM", "WHERE",
    "GROUP BY", "HAVING", "WINDOW", "ORDER BY", "LIMIT", "OFFSET", "FETCH", "FOR UPDATE",
    "FOR SHARE",
    "FOR NO KEY UPDATE", "FOR KEY SHARE", "UNION ALL", "UNION", "INTERSECT ALL", "INTERSECT",
    "EXCEPT ALL", "EXCEPT", "RETURNING", "VALUES", "INSERT INTO", "UPDATE", "SET", "DELETE FROM",
    "ON CONFLICT", "MERGE INTO", "LEFT OUTER JOIN", "RIGHT OUTER JOIN", "FULL OUTER JOIN",
    "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "INNER JOIN", "CROSS JOIN", "NATURAL LEFT JOIN",
    "NATURAL JOIN", "JOIN", "PARTITION BY",
)  # fmt: skip
_BY_LENGTH = sorted((tuple(head.split()) for head in _HEADS), key=len, reverse=True)
#: Clauses whose items go below them when they do not fit beside them.
_BELOW = listed("""WITH SELECT WHERE GROUP HAVING WINDOW ORDER RETURNING VALUES SET PARTITION""")
#: Words behind which SET, FROM and the like begin no clause.
_NO_CLAUSE_AFTER = {
    "FROM": frozenset({"DISTINCT"}),
    "UPDATE": frozenset({"DO", "FOR", "KEY", "THEN"}),
    "SET": frozenset({"THEN", "UPDATE"}),
    "WITH": frozenset({"TIMESTAMP", "TIME", "CHECK"}),
    "VALUES": frozenset({"DEFAULT", "SYSTEM", "USER"}),
}


def _lines(items: Items, indent: int) -> list[str]:
    """The items in as few lines as their width allows."""
    flat = _flat(items)
    if flat is not None and indent + len(flat) <= WIDTH:
        return [" " * indent + flat] if flat else []
    clauses = list(_clauses(items))
    if len(clauses) > 1:
        return [line for head, clause in clauses for line in _clause(head, clause, indent)]
    head, clause = clauses[0]
    return _clause(head, clause, indent) if head else _list(items, indent)


def _clauses(items: Items) -> Iterator[tuple[int, Items]]:
    """The clauses, each with the number of words that it begins with; first what has no clause."""
    begin, head, index = 0, 0, 0
    while index < len(items):
        length = _head_at(items, index)
        if length:
            if index > begin:
                yield head, items[begin:index]
            begin, head = index, length
            index += length
        else:
            index += 1
    yield head, items[begin:]


def _head_at(items: Items, index: int) -> int:
    words = []
    for item in items[index : index + 4]:
        if not isinstance(item, Word) or item.comment:
            break
        words.append(item.upper)
    before = items[index - 1] if index else None
    previous = before.upper if isinstance(before, Word) else ""
    if not words or previous in _NO_CLAUSE_AFTER.get(words[0], ()) or previous == ".":
        return 0
    return next((len(head) for head in _BY_LENGTH if tuple(words[: len(head)]) == head), 0)


def _clause(head: int, items: Items, indent: int) -> list[str]:
    flat = _flat(items)
    if flat is not None and indent + len(flat) <= WIDTH:
        return [" " * indent + flat]
    first = items[0]
    if not head or not isinstance(first, Word) or first.upper not in _BELOW:
        return _list(items, indent) if not head else _broken(items, indent)
    words, rest = items[:head], items[head:]
    if not rest:
        return [" " * indent + (_flat(words) or "")]
    lines = [" " * indent + (_flat(words) or "")]
    while rest and isinstance(rest[0], Word) and rest[0].ends_line and not rest[0].below:
        lines[0] += "  " + rest[0].text
        rest = rest[1:]
    return [*lines, *_list(rest, indent + INDENT)]


def _list(items: Items, indent: int) -> list[str]:
    """Items between commas, a line or more each."""
    flat = _flat(items)
    if flat is not None and indent + len(flat) <= WIDTH:
        return [" " * indent + flat]
    parts = _split(items)
    if len(parts) == 1:
        return _terms(items, indent)
    return [line for part in parts for line in _terms(part, indent)]


def _split(items: Items) -> list[list[Item]]:
    """The items up to each comma, with a comment that stands behind it in its line."""
    parts: list[list[Item]] = [[]]
    after_comma = False
    for item in items:
        if after_comma and not (isinstance(item, Word) and item.ends_line and not item.below):
            parts.append([])
            after_comma = False
        parts[-1].append(item)
        after_comma = after_comma or (isinstance(item, Word) and item.text == ",")
    return parts


def _terms(items: Items, indent: int) -> list[str]:
    """Terms with AND and OR between them."""
    flat = _flat(items)
    if flat is not None and indent + len(flat) <= WIDTH:
        return [" " * indent + flat]
    parts: list[list[Item]] = [[]]
    between = False
    for item in items:
        upper = item.upper if isinstance(item, Word) and not item.comment else ""
        if upper == "BETWEEN":
            between = True
        elif upper in ("AND", "OR") and not (upper == "AND" and between):
            parts.append([])
        elif upper == "AND":
            between = False
        parts[-1].append(item)
    return [line for part in parts if part for line in _broken(part, indent)]


def _broken(items: Items, indent: int) -> list[str]:
    """One piece that has no more places to be broken at but its brackets and comments."""
    lines: list[str] = []
    line = " " * indent
    before: Item | None = None
    fresh = True
    for index, item in enumerate(items):
        glue = "" if fresh else " " if _spaced(items, index, before) else ""
        if isinstance(item, Word) and item.comment:
            if item.below and not fresh:
                lines.append(line)
                line, fresh, glue = " " * (indent + INDENT), True, ""
            line += (glue or ("" if fresh else " ")) + item.text
            fresh = False
            if item.ends_line:
                lines.append(line)
                line, fresh = " " * (indent + INDENT), True
            before = item
            continue
        flat = _flat([item])
        if isinstance(item, Bracket) and (
            flat is None or len(line) + len(glue) + len(flat) + _rest(items, index) > WIDTH
        ):
            lines.append(f"{line}{glue}{item.first.text}")
            if item.is_case:
                lines += _case(item, indent)
            elif _defines(items):
                parts = _split(item.items)
                lines += [line_ for part in parts for line_ in _terms(part, indent + INDENT)]
            else:
                lines += _lines(item.items, indent + INDENT)
            line = " " * indent + item.last.text
        else:
            line += glue + (flat or "")
        fresh = False
        before = item
    if not fresh:
        lines.append(line)
    return lines


def _defines(items: Items) -> bool:
    """Whether a table is created: its columns stand in a line each."""
    words = [item.upper for item in items[:4] if isinstance(item, Word)]
    return words[:1] == ["CREATE"] and "TABLE" in words


def _rest(items: Items, index: int) -> int:
    """Characters that must stay in the line of a bracket: a comma, an alias."""
    following = items[index + 1 : index + 3]
    flat = _flat([item for item in following if isinstance(item, Word)])
    return len(flat or "")


def _case(item: Bracket, indent: int) -> list[str]:
    """The parts of a CASE, each in its line."""
    parts: list[list[Item]] = [[]]
    for each in item.items:
        if isinstance(each, Word) and not each.comment and each.upper in ("WHEN", "ELSE"):
            parts.append([])
        parts[-1].append(each)
    return [line for part in parts if part for line in _terms(part, indent + INDENT)]
