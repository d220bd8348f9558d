"""Inspection of the words at the cursor: the syntax of the command they name. Pure."""

from __future__ import annotations

import re

#: Characters before and behind the cursor that are looked through, more than any command's name.
AROUND = 128
#: No command's name has more words.
MOST_WORDS = 4
_WORD = re.compile(r'(?<![\w"$])[A-Za-z]+(?![\w"$])')
#: Words that stand within a command's name, and belong to its syntax but not to the name.
_WITHIN = frozenset({"OR", "REPLACE", "GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED", "UNIQUE"})
#: What the texts call by other names than SQL does.
_CALLED = {
    "INSERT INTO": "INSERT",
    "DELETE FROM": "DELETE",
    "OPERATOR CLASS": "OPCLASS",
    "OPERATOR FAMILY": "OPFAMILY",
    "TEXT SEARCH CONFIGURATION": "TSCONFIG",
    "TEXT SEARCH DICTIONARY": "TSDICTIONARY",
    "TEXT SEARCH PARSER": "TSPARSER",
    "TEXT SEARCH TEMPLATE": "TSTEMPLATE",
}


def syntax(code: str, cursor: int) -> str | None:
    """The syntax of the longest command's name around the cursor, or None if there is none.

    `cursor` counts characters of `code`; a word it stands at the end of is one it stands on.
    """
    words, at = _around(code, cursor)
    if at is None:
        return None
    for length in range(min(len(words), MOST_WORDS), 0, -1):
        for first in range(max(0, at - length + 1), min(at, len(words) - length) + 1):
            known = _known(" ".join(words[first : first + length]))
            if known is not None:
                return known
    return None


def _around(code: str, cursor: int) -> tuple[list[str], int | None]:
    """The words around the cursor without those within names, and which of them it stands on."""
    first = max(0, cursor - AROUND)
    begin = code.rfind(";", first, cursor) + 1 or first
    end = code.find(";", cursor, cursor + AROUND)
    words: list[str] = []
    at = None
    for match in _WORD.finditer(code, begin, cursor + AROUND if end < 0 else end):
        word = match[0].upper()
        if word in _WITHIN:
            continue
        if match.start() <= cursor <= match.end():
            at = len(words)
        words.append(word)
    return words, at


def _known(name: str) -> str | None:
    # Not needed before somebody asks, and a sixth of a second to import.
    from pgspecial.help import commands

    for called, instead in _CALLED.items():
        name = name.replace(called, instead)
    found = commands.helpcommands.get(name)
    return None if found is None else str(found["synopsis"]).strip()
