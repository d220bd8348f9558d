"""psql's variables: how a text refers to them and what stands there instead."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Classes of characters by what of ASCII is not in them: said with a range up to the last character
# of all, each takes `re` milliseconds, and there are a hundred in psql's tokens.
#: What a name begins with.
LETTER = r"[^\x00-@\[-\^`{-\x7f]"
#: What it goes on with, as a variable's or a tag's; and as a word of SQL.
NAME_CHARACTER = r"[^\x00-/:-@\[-\^`{-\x7f]"
WORD_CHARACTER = r"[^\x00-#%-/:-@\[-\^`{-\x7f]"
#: What a variable's name is made of.
NAME = rf"{NAME_CHARACTER}++"
#: `:name`, `:'name'`, `:"name"` and `:{?name}`.
REFERENCE = rf""":(?:{NAME}|'{NAME}'|"{NAME}"|\{{\?{NAME}\}})"""

# The first colon of a row of them: the others are casts, taken in pairs.
_CANDIDATE = re.compile(rf""":(?<!::)(?:::)*+(?:{NAME_CHARACTER}|['"]|\{{\?)""")


def mentioned(text: str) -> bool:
    """Whether a text may refer to a variable: cheap, so literals and comments are looked at too."""
    return ":" in text and _CANDIDATE.search(text) is not None


def replacement(reference: str, variables: Mapping[str, str]) -> str | None:
    """What stands for a reference: None, where psql leaves the reference as it is.

    That of `:name` is the bare value, which psql scans again where the reference stood in a query.
    """
    match reference[1]:
        case "{":
            return "TRUE" if reference[3:-1] in variables else "FALSE"
        case "'":
            value = variables.get(reference[2:-1])
            return None if value is None else quote_literal(value)
        case '"':
            value = variables.get(reference[2:-1])
            return None if value is None else quote_identifier(value)
        case _:
            return variables.get(reference[1:])


def quote_literal(value: str) -> str:
    """A value as a literal, as libpq writes it: with a blank before the E where it needs one."""
    quoted = "'" + value.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in value else quoted


def quote_identifier(value: str) -> str:
    """A value as a quoted identifier."""
    return '"' + value.replace('"', '""') + '"'


def boolean(value: str) -> bool | None:
    """psql's reading of a truth value: unique beginnings of its words do; None if it is none."""
    word = value.lower()
    if not word:
        return None
    if "true".startswith(word) or "yes".startswith(word) or word in ("on", "1"):
        return True
    if "false".startswith(word) or "no".startswith(word) or word in ("of", "off", "0"):
        return False
    return None
