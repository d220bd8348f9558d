"""Whether an input is complete, for consoles that ask before they send it. Pure."""

from __future__ import annotations

import re
from typing import Literal

#: What must not be looked into for brackets and semicolons. An alternative that reaches the end of
#: the input without its closing mark is unterminated. Block comments nest: only their start here.
_OPAQUE = re.compile(
    r"""
      --[^\n]*
    | (?P<comment>/\*)
    | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$(?:.*?\$(?P=tag)\$|(?P<dollar>.*\Z))
    | (?<!\w)[eE]'(?:[^'\\]|''|\\.)*(?:'|(?P<escaped>\\?\Z))
    | '(?:[^']|'')*(?:'|(?P<string>\Z))
    | "(?:[^"]|"")*(?:"|(?P<name>\Z))
    """,
    re.VERBOSE | re.DOTALL,
)
_OPEN = ("dollar", "escaped", "string", "name")
_COMMENT_MARK = re.compile(r"/\*|\*/")


def status(code: str) -> Literal["complete", "incomplete"]:
    """Complete: blank, a backslash command, or ended by a semicolon outside of any bracket."""
    text = code.strip()
    if not text or text.startswith("\\"):
        return "complete"
    plain = _plain(text)
    if plain is None:
        return "incomplete"
    balanced = plain.count("(") <= plain.count(")")
    return "complete" if not plain or (balanced and plain.endswith(";")) else "incomplete"


def _plain(text: str) -> str | None:
    """The text without literals, quoted names and comments; None if one of them has no end."""
    parts: list[str] = []
    begin = 0
    while match := _OPAQUE.search(text, begin):
        if any(match[group] is not None for group in _OPEN):
            return None
        end = _comment_end(text, match.start()) if match["comment"] else match.end()
        if end is None:
            return None
        comment = match["comment"] or match[0].startswith("--")
        # A literal leaves a word behind: `select 'a'` is more than nothing.
        parts += [text[begin : match.start()], " " if comment else "x"]
        begin = end
    return "".join([*parts, text[begin:]]).strip()


def _comment_end(text: str, begin: int) -> int | None:
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, begin):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return None
