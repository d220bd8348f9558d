"""Whether an input is complete, for consoles that ask before they send it. Pure."""

from __future__ import annotations

import re
from typing import Literal

#: What must not be looked into for brackets and semicolons; an alternative that reaches the end of
#: the input without its closing mark is unterminated.
_OPAQUE = re.compile(
    r"""
      --[^\n]*
    | /\*(?:.*?\*/|(?P<comment>.*\Z))
    | \$(?P<tag>\w*)\$(?:.*?\$(?P=tag)\$|(?P<dollar>.*\Z))
    | [eE]'(?:[^'\\]|''|\\.)*(?:'|(?P<escaped>\Z))
    | '(?:[^']|'')*(?:'|(?P<string>\Z))
    | "(?:[^"]|"")*(?:"|(?P<name>\Z))
    """,
    re.VERBOSE | re.DOTALL,
)
_OPEN = ("comment", "dollar", "escaped", "string", "name")


def status(code: str) -> Literal["complete", "incomplete"]:
    """Complete: blank, a backslash command, or ended by a semicolon outside of any bracket."""
    text = code.strip()
    if not text or text.startswith("\\"):
        return "complete"
    if any(match[group] is not None for match in _OPAQUE.finditer(text) for group in _OPEN):
        return "incomplete"
    plain = _OPAQUE.sub(" ", text).strip()
    if not plain:
        return "complete"
    balanced = plain.count("(") <= plain.count(")")
    return "complete" if balanced and plain.endswith(";") else "incomplete"
