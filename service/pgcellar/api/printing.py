"""Text that is safe to print: what a terminal would obey is shown as what it is. Pure."""

from __future__ import annotations

import unicodedata

_TAB = 8
#: Marks that reorder the text beside them. psql prints them as they are; a value that makes a
#: table read otherwise than it is ("Trojan Source") is no better than one that moves the cursor.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """A text with nothing in it that a terminal would obey."""
    return "\n".join(lines(text))


def lines(value: str) -> list[str]:
    """The lines of a value, with nothing in them that a terminal would obey."""
    return [_expand(line) for line in value.split("\n")]


def _expand(line: str) -> str:
    if line.isprintable():
        return line
    out: list[str] = []
    column = 0
    for character in line:
        shown = " " * (_TAB - column % _TAB) if character == "\t" else visible(character)
        out.append(shown)
        column += width(shown)
    return "".join(out)


def visible(character: str) -> str:
    """A character as psql shows it: control characters by their names or numbers."""
    if character == "\r":
        return "\\r"
    if character < " " or character == "\x7f":
        return f"\\x{ord(character):02X}"
    if "\x80" <= character < "\xa0" or character in _REORDERING:
        return f"\\u{ord(character):04X}"
    return character


def width(text: str) -> int:
    """The columns a text takes in a terminal."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
