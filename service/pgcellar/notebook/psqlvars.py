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
#: Those that say what psql is connected to, and how its last statement went.
_TOLD = frozenset(
    {
        "DBNAME", "ENCODING", "ERROR", "HOST", "LAST_ERROR_MESSAGE", "LAST_ERROR_SQLSTATE",
        "PIPELINE_COMMAND_COUNT", "PIPELINE_RESULT_COUNT", "PIPELINE_SYNC_COUNT", "PORT",
        "ROW_COUNT", "SERVER_VERSION_NAME", "SERVER_VERSION_NUM", "SQLSTATE", "USER", "VERSION",
        "VERSION_NAME", "VERSION_NUM",
    }
)  # fmt: skip
#: Variables that psql has from the start.
_OWN = HEEDED | _TOLD
#: Those of them that it has since its first query.
_OF_QUERY = frozenset({"ERROR", "ROW_COUNT", "SQLSTATE"})
#: Stands among variables beside which psql would have its own: no name that one can have.
BESIDE = "\\own"
#: Those that change what statements do, and the value under which they do what they do here.
_DECISIVE = {
    "AUTOCOMMIT": True,
    "ON_ERROR_ROLLBACK": False,
    "SINGLELINE": False,
    "SINGLESTEP": False,
}
#: What a variable that psql heeds may be, besides a truth value where it is one.
_CHOICES = {
    "COMP_KEYWORD_CASE": "lower upper preserve-lower preserve-upper",
    "ECHO": "none errors queries all",
    "ECHO_HIDDEN": "noexec",
    "HISTCONTROL": "none ignorespace ignoredups ignoreboth",
    "ON_ERROR_ROLLBACK": "interactive",
    "SHOW_CONTEXT": "never errors always",
    "VERBOSITY": "default verbose terse sqlstate",
}
_SWITCHES = frozenset(
    {
        "AUTOCOMMIT", "ECHO_HIDDEN", "HIDE_TABLEAM", "HIDE_TOAST_COMPRESSION",
        "ON_ERROR_ROLLBACK", "ON_ERROR_STOP", "QUIET", "SHOW_ALL_RESULTS", "SINGLELINE",
        "SINGLESTEP",
    }
)  # fmt: skip
_INTEGER = patterns.compile(r"\s*+[-+]?(?:0[xX][0-9A-Fa-f]++|[0-9]++)")
_SECONDS = patterns.compile(r"\s*+\+?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)")
_NUMBERS = {
    "FETCH_COUNT": _INTEGER,
    "HISTSIZE": _INTEGER,
    "IGNOREEOF": _INTEGER,
    "WATCH_INTERVAL": _SECONDS,
}
_NAMES = patterns.compile(NAME)
_OWNS = patterns.compile(rf""":(?:\{{\?|['"]?(?:{"|".join(sorted(_OWN))})(?!{NAME_CHARACTER}))""")

# The first colon of a row of them: the others are casts, taken in pairs.
_CANDIDATE = patterns.compile(rf""":(?<!::)(?:::)*+(?:{NAME_CHARACTER}|['"]|\{{\?)""")


class Untold(Exception):
    """A text refers to a variable of psql's own, which has no value in a notebook."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def owns(text: str) -> bool:
    """Whether a text may refer to a variable that psql has of itself, or ask which there are."""
    return _OWNS.search(text) is not None


def mentioned(text: str) -> bool:
    """Whether a text may refer to a variable: cheap, so literals and comments are looked at too."""
    return ":" in text and _CANDIDATE.search(text) is not None


def replacement(reference: str, variables: Mapping[str, str]) -> str | None:
    """What stands for a reference: None, where psql leaves the reference as it is.

    That of `:name` is the bare value, which psql scans again where the reference stood in a query.
    Raises Untold.
    """
    match reference[1]:
        case "{":
            name = reference[3:-1]
            own = _untold(name, variables)
            if own and name in _OF_QUERY and name not in variables:
                raise Untold(name)
            return "TRUE" if own or name in variables else "FALSE"
        case "'":
            value = _value(reference[2:-1], variables)
            return None if value is None else quote_literal(value)
        case '"':
            value = _value(reference[2:-1], variables)
            return None if value is None else quote_identifier(value)
        case _:
            return _value(reference[1:], variables)


def _value(name: str, variables: Mapping[str, str]) -> str | None:
    value = variables.get(name)
    if value is None and _untold(name, variables):
        raise Untold(name)
    return value


def _untold(name: str, variables: Mapping[str, str]) -> bool:
    return name in _OWN and BESIDE in variables


def is_name(text: str) -> bool:
    """Whether a variable can be called so."""
    return _NAMES.fullmatch(text) is not None


def decisive(name: str, value: str | None) -> bool:
    """Whether statements would do something else in psql with this value; None if it is unset."""
    usual = _DECISIVE.get(name)
    return usual is not None and boolean(value or ("on" if value == "" else "off")) is not usual


def valid(name: str, value: str) -> bool:
    """Whether psql would take this value for a variable that it heeds; any is good for others."""
    choices = _CHOICES.get(name, "").split()
    if name in _SWITCHES:
        return not value or value.lower() in choices or boolean(value) is not None
    if name == "IGNOREEOF" and not value:
        return True
    if name in _NUMBERS:
        return _NUMBERS[name].fullmatch(value) is not None
    return not choices or value.lower() in choices


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
