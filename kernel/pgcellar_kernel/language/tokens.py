"""Tokens of SQL that may be half-typed, and of a long text only what lies around the cursor."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

#: Characters before the cursor that are read, and behind it.
REACH = 20_000
AHEAD = 6_000

Kind = Literal[
    "word", "name", "string", "dollar", "number", "variable", "meta", "comment", "operator"
]

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<comment>--[^\n]*|(?P<block>/\*))
    | (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$)
    | (?P<string>[eE]'[^'\\]*(?:(?:''|\\.)[^'\\]*)*'?|(?:[bBxXnN]|[uU]&)?'[^']*(?:''[^']*)*'?)
    | (?P<name>(?:[uU]&)?"[^"]*(?:""[^"]*)*"?)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>\d[\w]*(?:\.\d\w*)?)
    | (?P<variable>(?<!:):(?:[^\W\d]\w*|'[^'\n]*'?|"[^"\n]*"?|\{\?\w*\}?))
    | (?P<meta>\\[^\n]*)
    | (?P<operator>::|:=|=>|->>?|\#>>?|<=|>=|<>|!=|\|\||.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_MARK = re.compile(r"/\*|\*/")
#: Where a statement has probably ended: reading may begin below such a line.
_ENDED = re.compile(r";[ \t\r]*\n")


def listed(text: str) -> frozenset[str]:
    """A set of words, written as a text."""
    return frozenset(text.split())


class Token(NamedTuple):
    """A piece of text from `start` to `end`; white space is none."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def upper(self) -> str:
        """A word in capitals, and anything else as it is written."""
        return self.text.upper() if self.kind == "word" else self.text

    @property
    def identifier(self) -> str | None:
        """The name that it is, if it can be one."""
        if self.kind == "word":
            return self.text.lower()
        if self.kind == "name":
            text = self.text[self.text.index('"') + 1 :]
            return text.removesuffix('"').replace('""', '"')
        return None

    @property
    def closed(self) -> bool:
        """Whether a literal, a quoted name or a block comment has its end."""
        if self.kind == "string":
            return self.text.count("'") % 2 == 0
        if self.kind == "name":
            return self.text.count('"') % 2 == 0
        if self.kind == "dollar":
            tag = self.text[: self.text.index("$", 1) + 1]
            return len(self.text) >= 2 * len(tag) and self.text.endswith(tag)
        if self.kind == "comment" and self.text.startswith("/*"):
            return self.text.endswith("*/") and len(self.text) > 3
        return True

    @property
    def body(self) -> tuple[int, int]:
        """From where to where the text between dollar quotes stands."""
        tag = self.text.index("$", 1) + 1
        return self.start + tag, self.end - (tag if self.closed else 0)


def tokens(text: str, begin: int = 0, end: int | None = None) -> Iterator[Token]:
    """The tokens of a text from `begin` to `end`, comments among them."""
    limit = len(text) if end is None else min(end, len(text))
    position = begin
    while position < limit:
        match = _TOKEN.match(text, position, limit)
        if match is None:
            return
        stop = match.end()
        kind = match.lastgroup
        if match["block"] is not None:
            kind, stop = "comment", _comment_end(text, stop, limit)
        elif match["dollar"] is not None:
            kind = "dollar"
            close = text.find(match["dollar"], stop, limit)
            stop = limit if close < 0 else close + len(match["dollar"])
        if kind != "space":
            yield Token(kind, text[position:stop], position, stop)  # type: ignore[arg-type]  # a group's name
        position = stop


def _comment_end(text: str, begin: int, limit: int) -> int:
    depth = 1
    for mark in _COMMENT_MARK.finditer(text, begin, limit):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return limit


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What lies around a cursor.

    `tokens` are those of the statement, without comments; `inside` is the token that the cursor
    stands in where nothing of the statement can be written: a literal, a comment, a meta-command.
    `above` are the statements before it, as far as they were read.
    """

    text: str
    cursor: int
    tokens: tuple[Token, ...]
    inside: Token | None
    above: tuple[tuple[Token, ...], ...]


def around(text: str, cursor: int) -> Place:
    """What lies around a cursor, of however long a text. In a function's body, that of the body."""
    cursor = max(0, min(cursor, len(text)))
    begin, end = _window(text, cursor)
    found = list(tokens(text, begin, end))
    inside = next((each for each in found if _stands_in(each, cursor)), None)
    if inside is not None and inside.kind == "dollar":
        first, last = inside.body
        if first <= cursor <= last:
            found = list(tokens(text, first, last))
            inside = next((each for each in found if _stands_in(each, cursor)), None)
    before: list[list[Token]] = [[]]
    index = len(found)
    for position, token in enumerate(found):
        if token.start >= cursor:
            index = position
            break
        if token.kind == "comment":
            continue
        if _ends(token):
            if token.end <= cursor:
                before.append([])
            continue
        before[-1].append(token)
    current = before.pop()
    for token in found[index:]:
        if _ends(token):
            break
        if token.kind != "comment":
            current.append(token)
    return Place(
        text=text,
        cursor=cursor,
        tokens=tuple(current),
        inside=inside,
        above=tuple(tuple(each) for each in before if each),
    )


def statements(text: str) -> Iterator[tuple[Token, ...]]:
    """The statements of a text, as tokens without comments."""
    current: list[Token] = []
    for token in tokens(text):
        if _ends(token):
            if current:
                yield tuple(current)
            current = []
        elif token.kind != "comment":
            current.append(token)
    if current:
        yield tuple(current)


def _ends(token: Token) -> bool:
    return token.kind == "meta" or (token.kind == "operator" and token.text == ";")


def _stands_in(token: Token, cursor: int) -> bool:
    if token.kind in ("word", "name", "number", "operator", "variable"):
        return False
    if token.kind == "meta" or token.text.startswith("--"):
        return token.start < cursor <= token.end
    return token.start < cursor and (cursor < token.end or not token.closed)


def _window(text: str, cursor: int) -> tuple[int, int]:
    begin = max(0, cursor - REACH)
    if begin:
        ended = _ENDED.search(text, begin, cursor)
        begin = ended.end() if ended is not None else text.find("\n", begin, cursor) + 1 or begin
    return begin, min(len(text), cursor + AHEAD)
