"""Which texts psql's scanner has to read, and which are SQL alone. Pure."""

from __future__ import annotations

import re
from typing import Literal

from pgcellar.notebook import psqllex, psqlscan, psqlvars

#: Whether a text has to be scanned: always, where variables are set, or not, being SQL alone.
Needs = Literal["nothing", "variables", "always"]

_STDIN = re.compile(r"\bstdin\b", re.IGNORECASE)


def needs(source: str) -> Needs:
    """Whether a text has to be scanned: always, or where variables are set, or it is SQL alone."""
    if psqlscan.is_plain(source):
        return "always" if _STDIN.search(source) else "nothing"
    if _STDIN.search(source) or ("\\" in source and _has_commands(source)):
        return "always"
    if not psqlvars.mentioned(source):
        return "nothing"
    return "always" if psqlvars.owns(source) else "variables"


def _has_commands(source: str) -> bool:
    if "\\;" in source or "\\:" in source:
        return True
    scanner = psqllex.Lexer(source)
    while True:
        match scanner.scan({}):
            case psqllex.Event.SEMICOLON:
                scanner.input.current.position += 1
            case found:
                return found is psqllex.Event.BACKSLASH
