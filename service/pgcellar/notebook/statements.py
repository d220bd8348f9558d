"""Cells split into statements with PostgreSQL's own grammar (pglast), and their canonical text.

A cell may also hold meta-commands: a line that begins with a backslash, outside of any literal or
comment, is one, to its end. Whatever the grammar can't read stays a statement, so that the server
gets to say what is wrong with it; nothing is ever dropped.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Literal

from pglast import error, parser

from pgcellar.notebook import lexer

Kind = Literal["sql", "meta"]

#: Scanning builds a Python object per token, about a microsecond each; above this many characters
#: a statement is its own canonical text, which costs no more than a missed hit after reformatting.
LONG_TEXT = 200_000
#: Statements of one BEGIN ATOMIC body that are tried to be put together again.
_LONGEST_BODY = 100
_COMMENTS = frozenset({"SQL_COMMENT", "C_COMMENT"})
#: What PostgreSQL takes for white space; a no-break space is not.
_BLANK = " \t\r\n\f\v"
_ATOMIC = re.compile(r"\bbegin\s+atomic\b", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One statement or meta-command of a cell.

    `start` is its 0-based character offset in the cell; `text` is as typed, without the
    terminating semicolon; `canonical` is its canonical text (DESIGN.md, section 3). `end` is what
    psql sends behind the text: the semicolon, if there is one, which `current_query()` shows.
    """

    kind: Kind
    text: str
    start: int
    canonical: str
    end: str = dataclasses.field(default="", compare=False)


def split(source: str) -> tuple[Statement, ...]:
    """The statements of a cell, in order. Comments and blanks alone are no statement."""
    if not readable(source):
        # PostgreSQL can't be sent this; all of it is refused, rather than a part of it run.
        return (Statement(kind="sql", text=source, start=0, canonical=source),)
    out: list[Statement] = []
    begin = 0
    for start in lexer.meta_lines(source) if "\\" in source else ():
        out += _split_sql(source, begin, start)
        newline = source.find("\n", start)
        end = len(source) if newline < 0 else newline
        text = source[start:end].rstrip()
        out.append(Statement(kind="meta", text=text, start=start, canonical=text))
        begin = end
    out += _split_sql(source, begin, len(source))
    return tuple(out)


def readable(text: str) -> bool:
    """Whether PostgreSQL can be sent a text: it has no NUL and no lone surrogate."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_query(text: str) -> bool:
    """Whether a text is one query that may stand in parentheses: SELECT, VALUES, TABLE, WITH."""
    try:
        found = json.loads(parser.parse_sql_json(text))["stmts"]
    except error.Error:
        return False
    return len(found) == 1 and [*found[0]["stmt"]] == ["SelectStmt"]


def canonical(text: str) -> str:
    """`text` without comments and without white space outside literals, else unchanged.

    Tokens are joined by one blank each, but for a quote that stood right behind a word, as in N'…',
    whose meaning that changes; a text the scanner refuses is its own canonical form.
    """
    if len(text) > LONG_TEXT:
        return text
    try:
        tokens = parser.scan(text)
    except (error.Error, UnicodeEncodeError):
        # A variable's value may have a lone surrogate, which no text of PostgreSQL's has.
        return text
    parts: list[str] = []
    end = -1
    for token in tokens:
        if token.name in _COMMENTS:
            continue
        word = text[token.start : token.end + 1]
        prefixed = token.start == end and word[0] == "'" and text[end - 1].isalnum()
        parts.append(word if prefixed else f" {word}")
        end = token.end + 1
    return "".join(parts).lstrip()


def _split_sql(source: str, begin: int, end: int) -> list[Statement]:
    piece = source[begin:end]
    out = []
    spans = _slices(piece)
    limits = [*(span.start for span in spans[1:]), len(piece)]
    # Of no statement there is a limit all the same.
    for span, limit in zip(spans, limits, strict=False):
        text = piece[span]
        lead = span.start + lexer.code_start(text)
        text = piece[lead : span.stop].rstrip(_BLANK).removesuffix(";").rstrip(_BLANK)
        if text:
            behind = piece[lead + len(text) : limit]
            out.append(
                Statement(
                    kind="sql",
                    text=text,
                    start=begin + lead,
                    canonical=canonical(text),
                    end=behind[: behind.find(";") + 1],
                )
            )
    return out


def _slices(piece: str) -> list[slice]:
    if lexer.code_start(piece) == len(piece):
        return []
    try:
        return list(parser.split(piece, with_parser=True, only_slices=True))
    except error.Error:
        return _rejoin(piece, _at_semicolons(piece))


def _at_semicolons(piece: str) -> list[slice]:
    """Cut at every semicolon outside of literals and parentheses; nothing is left out."""
    try:
        tokens = parser.scan(piece)
    except error.Error:
        return [slice(0, len(piece))]
    out = []
    depth = begin = 0
    for token in tokens:
        match piece[token.start]:
            case "(":
                depth += 1
            case ")":
                depth = max(0, depth - 1)
            case ";" if depth == 0:
                out.append(slice(begin, token.start))
                begin = token.start + 1
    out.append(slice(begin, len(piece)))
    return out


def _rejoin(piece: str, rough: list[slice]) -> list[slice]:
    """Put the bodies of SQL-standard functions (BEGIN ATOMIC … END) together again."""
    out: list[slice] = []
    index = 0
    while index < len(rough):
        upto = index
        if _ATOMIC.search(piece, rough[index].start, rough[index].stop):
            for last in range(index, min(len(rough), index + _LONGEST_BODY)):
                if _parses(piece[rough[index].start : rough[last].stop]):
                    upto = last
                    break
        out.append(slice(rough[index].start, rough[upto].stop))
        index = upto + 1
    return out


def _parses(text: str) -> bool:
    try:
        parser.split(text, with_parser=True)
    except error.Error:
        return False
    return True
