"""psql's variables: how a text refers to them and what stands there instead."""

from __future__ import annotations

from collections.abc import Mapping

from pgcellar.notebook import patterns

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

#: Variables that psql itself heeds: `\\gset` leaves them as they are, and says so.
HEEDED = frozenset(
    {
        "AUTOCOMMIT", "COMP_KEYWORD_CASE", "ECHO", "ECHO_HIDDEN", "FETCH_COUNT",
        "HIDE_TABLEAM", "HIDE_TOAST_COMPRESSION", "HISTCONTROL", "HISTSIZE", "IGNOREEOF",
        "ON_ERROR_ROLLBACK", "ON_ERROR_STOP", "PROMPT1", "PROMPT2", "PROMPT3", "QUIET",
        "SHOW_ALL_RESULTS", "SHOW_CONTEXT", "SINGLELINE", "SINGLESTEP", "VERBOSITY",
        "WATCH_INTERVAL",
    }
)  # fmt: skip
#: Those that change what statements do, and the value under which they do what they do here.
_DECISIVE = {
    "AUTOCOMMIT": True,
    "ON_ERROR_ROLLBACK": False,
    "SINGLELINE": False,
    "SINGLESTEP": False,
}
_NAMES = patterns.compile(NAME)

# The first colon of a row of them: the others are casts, taken in pairs.
_CANDIDATE = patterns.compile(rf""":(?<!::)(?:::)*+(?:{NAME_CHARACTER}|['"]|\{{\?)""")


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


def is_name(text: str) -> bool:
    """Whether a variable can be called so."""
    return _NAMES.fullmatch(text) is not None


def decisive(name: str, value: str | None) -> bool:
    """Whether statements would do something else in psql with this value; None if it is unset."""
    usual = _DECISIVE.get(name)
    return usual is not None and boolean(value or ("on" if value == "" else "off")) is not usual


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
