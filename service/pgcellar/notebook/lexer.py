"""Where literals and comments are: just enough of PostgreSQL's lexical rules to find what is code.

pglast's scanner reads whole texts and refuses one with an unterminated literal or a backslash
command in it; a cell is looked at before that, in one linear pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pgcellar.notebook import patterns, psqlvars

_SPAN = patterns.compile(
    rf"""
      (?P<line>--[^\r\n]*)
    | (?P<block>/\*)
    | (?P<dollar>\$(?P<tag>(?:{psqlvars.LETTER}{psqlvars.NAME_CHARACTER}*)?)\$)
    | (?P<escape>[eE]'[^'\\]*+(?:(?:''|\\.|'\s*[\r\n]\s*')[^'\\]*+)*+(?:'|\Z|\\\Z))
    | (?P<string>'[^']*+(?:''[^']*+)*+(?:'|\Z))
    | (?P<name>"[^"]*+(?:""[^"]*+)*+(?:"|\Z))
    | (?P<word>{psqlvars.LETTER}{psqlvars.WORD_CHARACTER}*)
    | (?P<meta>^[ \t]*\\(?=\S))
    | (?P<code>[\x00-\x08\x0e-\x1b!#%&()*+,.:<=>?@\[\]^`{{|}}~\x7f]+|\d+|\s|.)
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
#: A literal where standard_conforming_strings is off: a backslash escapes what follows it.
_OLD_STRING = patterns.compile(r"'[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*+(?P<close>'|\Z|\\\Z)", re.DOTALL)
_COMMENT_EDGE = patterns.compile(r"/\*|\*/")


def meta_lines(source: str) -> Iterator[int]:
    """Offsets of the backslashes that begin a meta-command: first in their line, outside literals.

    The caller says where scanning goes on by nothing: a command ends with its line.
    """
    position = 0
    while position < len(source):
        match = _SPAN.match(source, position)
        if match is None:
            return
        position = _end(source, match)
        if match.lastgroup == "meta":
            yield position - 1
            newline = source.find("\n", position)
            position = len(source) if newline < 0 else newline


def code_start(text: str) -> int:
    """The offset of the first character that is neither white space, comment nor semicolon."""
    position = 0
    while position < len(text):
        match = _SPAN.match(text, position)
        if match is None:
            break
        if match["line"] is None and match["block"] is None and match[0].strip(" \t\r\n\f\v;"):
            return position
        position = _end(text, match)
    return len(text)


def literals(text: str) -> Iterator[str]:
    """What stands in quotes, of whatever kind, between those."""
    position = 0
    while position < len(text):
        match = _SPAN.match(text, position)
        if match is None:
            return
        begin, position = match.end(), _end(text, match)
        if match["dollar"] is not None:
            yield text[begin:position].removesuffix(match["dollar"])
        elif match["string"] is not None or match["escape"] is not None:
            yield match[0].lstrip("eE")[1:].removesuffix("'")


def ambiguous(text: str) -> bool:
    """Whether it is for standard_conforming_strings to say where a literal of a text ends."""
    if "\\" not in text:
        return False
    position = 0
    while position < len(text):
        match = _SPAN.match(text, position)
        if match is None:
            break
        position = _end(text, match)
        if match["string"] is not None:
            old = _OLD_STRING.match(text, match.start())
            if old is None or old["close"] != "'" or old.end() != position:
                return True
    return False


def one_statement_of_old(text: str) -> bool:
    """Whether a text is one statement, and whole, where standard_conforming_strings is off."""
    position = 0
    while position < len(text):
        old = _OLD_STRING.match(text, position)
        if old is not None:
            if old["close"] != "'":
                return False
            position = old.end()
            continue
        match = _SPAN.match(text, position)
        if match is None:
            break
        position = _end(text, match)
        if match[0] == ";":
            return code_start(text[position:]) == len(text) - position
    return True


def _end(source: str, match: re.Match[str]) -> int:
    if match["block"] is not None:
        return block_end(source, match.end())
    if match["dollar"] is not None:
        close = source.find(match["dollar"], match.end())
        return len(source) if close < 0 else close + len(match["dollar"])
    return match.end()


def block_end(source: str, position: int) -> int:
    """The end of a block comment whose opening ends at `position`; they nest."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(source, position):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(source)
