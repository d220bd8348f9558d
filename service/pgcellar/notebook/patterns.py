"""Regular expressions with possessive groups, for every Python from 3.11 on.

Before 3.11.5 a possessive repeat of a group, `(…)*+`, matches wrongly where the group has
alternatives or repeats of its own (CPython gh-106052); an atomic group around the same repeat,
`(?>(…)*)`, is what it means and is matched rightly.
"""

from __future__ import annotations

import re
import sys

_ESCAPE_OR_CLASS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_FAULTY = sys.version_info < (3, 11, 5)


def compile(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """`re.compile`."""
    return re.compile(atomic(pattern) if _FAULTY else pattern, flags)


def atomic(pattern: str) -> str:
    """The same pattern, with atomic groups for possessive repeats of groups."""
    out: list[str] = []
    opened: list[int] = []
    position = 0
    while position < len(pattern):
        skipped = _ESCAPE_OR_CLASS.match(pattern, position)
        if skipped is not None:
            out.append(skipped[0])
            position = skipped.end()
            continue
        character = pattern[position]
        position += 1
        if character == "(":
            opened.append(len(out))
        elif character == ")":
            begin = opened.pop()
            if pattern[position : position + 2] in ("*+", "++", "?+"):
                out[begin:] = ["(?>", *out[begin:], ")", pattern[position], ")"]
                position += 2
                continue
        out.append(character)
    return "".join(out)
