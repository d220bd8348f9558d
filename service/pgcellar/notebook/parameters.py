"""Parameters of a cell: comment lines at its top with a variable's value, and its choices.

`-- @param month: slider(1, 12) = 5` means `\\set month 5`. The value stands in the text, so what a
cell gives follows from the notebook alone; a front end that has a widget moved changes the text.
Pure.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Literal

from pgcellar.notebook import patterns

Kind = Literal["slider", "number", "text", "checkbox", "date", "dropdown", "select-multiple"]

#: What a parameter may be, each with an example.
EXAMPLES: Mapping[str, str] = {
    "slider": "slider(1, 12) = 5",
    "number": "number(0, 100) = 7.5",
    "text": "text = Berlin",
    "checkbox": "checkbox = true",
    "date": "date = 2024-01-31",
    "dropdown": "dropdown(select name from carriers)",
    "select-multiple": "select-multiple(select name from carriers) = {AA,UA}",
}
#: How many options a query gives at most.
MAX_OPTIONS = 1_000

_MARK = "@param"
#: What may stand above them, besides comments: the session's name, and the dialect of a tag.
_HEAD = re.compile(r"[ \t]*(?:%%session\b.*|/\*[ \t]*dialect[ \t]*:[^*\n]*\*/[ \t]*)")
_BREAK = re.compile(r"[\r\n]")
_COMMENT = re.compile(r"[ \t]*--")
_PARAM = re.compile(
    r"[ \t]*(?P<all>--[ \t]*@param[ \t]+(?P<name>[A-Za-z_][A-Za-z0-9_]{0,62})[ \t]*:[ \t]*"
    r"(?P<kind>[A-Za-z][A-Za-z-]*)[ \t]*(?P<rest>.*))"
)
# Possessive where a line of blanks would cost its square.
_VALUE = patterns.compile(r"[ \t]*+(?:=[ \t]*+(?P<value>.*+))?\Z")
#: A literal, a name in quotes, a parenthesis, or what is between them.
_TOKEN = re.compile(r"'(?:[^'])*'|\"[^\"]*\"|[()]|[^'\"()]+")
_QUOTED = re.compile(r"'(?:''|\\.|[^'\\])*'\Z")
_PIECE = re.compile(r"''|\\.|[^'\\]+")
_BARE = re.compile(r"[^'\\]*\Z")
_PLAIN = re.compile(r"[\w.+-](?:[\w.+ -]*[\w.+-])?\Z")
_NUMBER = re.compile(r"[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})\Z", re.ASCII)
_QUERY = re.compile(r"\s*(?:select|values|table|with)\b", re.IGNORECASE)
_ORDERED = re.compile(r"\border\s+by\b", re.IGNORECASE)
_LITERAL = patterns.compile(
    r"[ \t]*+(?:'(?P<quoted>(?:''|[^'])*+)'[ \t]*+|(?P<bare>[^',]*+))(?:,|\Z)"
)
_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}"\\]+)')
_ARRAY = re.compile(r"\{.*\}\Z", re.DOTALL)
_SPACES = {"n": "\n", "r": "\r", "t": "\t"}


class ParameterError(Exception):
    """A line names a parameter, but not as it should be."""

    def __init__(self, message: str, *, hint: str, start: int) -> None:
        """`message` says what and where, `hint` what to do; `start` is a 0-based offset."""
        self.message = message
        self.hint = hint
        self.start = start
        super().__init__(message)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One parameter.

    `value` is None where the text has none and a query gives it: then it is the first option.
    `stated`: it stands in the text. `numbers` are the bounds and the step, `choices` the options
    where no `query` gives them. `start` and `end` are offsets of its text, `declared` that of the
    end of what stands before the value.
    """

    name: str
    kind: Kind
    value: str | None
    stated: bool
    numbers: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    query: str | None = None
    start: int
    declared: int
    end: int

    @property
    def options(self) -> str | None:
        """The query that gives its options: the value, and perhaps what is shown for it."""
        return None if self.query is None else self._select("*", MAX_OPTIONS)

    def statement(self) -> str:
        """What the line means to psql."""
        if self.value is not None:
            return f"\\set {self.name} {quoted(self.value)}"
        name = f'"{self.name}"'
        return f"{self._select(name, 1)} \\gset"

    def _select(self, what: str, limit: int) -> str:
        query = (self.query or "").strip().rstrip(";")
        # Without an order the first option would be whichever PostgreSQL comes upon first.
        order = "" if _ORDERED.search(query) else " order by 1"
        return (
            f'select {what} from ({query}) as _ ("{self.name}")'
            f' where "{self.name}" is not null{order} limit {limit}'
        )


def parse(source: str) -> tuple[Parameter, ...]:
    """The parameters at a cell's top. Raises ParameterError."""
    if _MARK not in source:
        return ()
    found: dict[str, Parameter] = {}
    at = 0
    head = _HEAD.match(source)
    if head is not None:
        at = head.end()
    while at < len(source):
        # Where a comment ends for PostgreSQL.
        stop = _BREAK.search(source, at)
        end = len(source) if stop is None else stop.start()
        line = source[at:end]
        if line.strip() and not _COMMENT.match(line):
            break
        match = _PARAM.match(line)
        parameter = None if match is None else _parameter(match, at)
        if parameter is not None:
            if parameter.name in found:
                raise ParameterError(
                    f"The parameter {parameter.name} is there twice.",
                    hint="Give one of them another name.",
                    start=parameter.start,
                )
            found[parameter.name] = parameter
        at = end + 1
    return tuple(found.values())


def as_psql(source: str) -> str:
    """A cell's text with its parameters as psql would set them: in the same lines, and mostly at
    the same length, so that positions stay. Raises ParameterError.
    """
    parts: list[str] = []
    at = 0
    for parameter in parse(source):
        statement = parameter.statement()
        parts += [source[at : parameter.start], statement.ljust(parameter.end - parameter.start)]
        at = parameter.end
    return "".join((*parts, source[at:])) if parts else source


def edits(source: str, values: Mapping[str, str]) -> list[tuple[str, str]]:
    """What to replace in a cell's text for parameters to have other values: lines as they are and
    as they become. Raises ParameterError.
    """
    return [(source[each.start : each.end], text) for each, text in _edits(source, values)]


def with_values(source: str, values: Mapping[str, str]) -> str:
    """A cell's text in which parameters have other values. Raises ParameterError."""
    parts: list[str] = []
    at = 0
    for parameter, text in _edits(source, values):
        parts += [source[at : parameter.start], text]
        at = parameter.end
    return "".join((*parts, source[at:])) if parts else source


def _edits(source: str, values: Mapping[str, str]) -> Iterator[tuple[Parameter, str]]:
    """The parameters that have another value, and what they become."""
    for parameter in parse(source):
        value = values.get(parameter.name)
        if value is None or value == parameter.value:
            continue
        declared = source[parameter.start : parameter.declared].rstrip()
        shown = value if _PLAIN.match(value) else quoted(value)
        yield parameter, f"{declared} = {shown}"


def quoted(value: str) -> str:
    """A value as an argument of `\\set`, on one line."""
    for character, escaped in (("\\", "\\\\"), ("'", "''")):
        value = value.replace(character, escaped)
    for letter, character in _SPACES.items():
        value = value.replace(character, f"\\{letter}")
    return f"'{value}'"


def elements(array: str) -> tuple[str, ...]:
    """The elements of an array of texts, of one dimension."""
    return tuple(
        re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL) if match[1] is not None else match[2]
        for match in _ELEMENT.finditer(array)
    )


def array(values: tuple[str, ...]) -> str:
    """An array of texts as PostgreSQL reads it."""
    escaped = (re.sub(r'(["\\])', r"\\\1", value) for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"


# --- one line --------------------------------------------------------------------------------


def _parameter(match: re.Match[str], at: int) -> Parameter | None:
    """The parameter in a line that begins at an offset; None for a comment of another kind."""
    name, kind, rest = match["name"], match["kind"].lower(), match["rest"]
    start = at + match.start("all")

    def wrong(message: str, hint: str | None = None) -> ParameterError:
        hint = hint or f"Write it like -- @param {name}: {EXAMPLES[kind]}"
        return ParameterError(f"The parameter {name}: {message}", hint=hint, start=start)

    if rest[:1] != "(" and (kind not in EXAMPLES or _VALUE.match(rest) is None):
        return None
    if kind not in EXAMPLES:
        raise wrong(f"there is no {kind}.", f"There are {', '.join(EXAMPLES)}.")
    inside, length = _parenthesis(rest) if rest[:1] == "(" else ("", 0)
    if inside is None:
        raise wrong("a parenthesis or a quote is not closed.")
    tail = _VALUE.match(rest, length)
    if tail is None:
        raise wrong("after the parenthesis there is something that is no value.")
    stated = None if tail["value"] is None else _unquoted(tail["value"].rstrip(" \t"))
    if tail["value"] is not None and stated is None:
        raise wrong("its value has quotes or backslashes, so it must stand in quotes.")
    made = Parameter(
        name=name,
        kind=kind,  # type: ignore[arg-type]  # one of the examples'
        value=stated,
        stated=stated is not None,
        start=start,
        declared=at + match.start("rest") + length,
        end=at + match.end("all"),
    )
    made, problem = _ARGUMENTS[made.kind](made, inside.strip())
    if problem is not None:
        raise wrong(problem)
    return made


_Made = tuple[Parameter, str | None]


def _number(made: Parameter, inside: str) -> _Made:
    numbers = tuple(part.strip() for part in inside.split(",")) if inside else ()
    slider = made.kind == "slider"
    if not all(map(_NUMBER.match, numbers)) or len(numbers) not in (
        (2, 3) if slider else (0, 2, 3)
    ):
        return made, "it needs its least and its greatest value, and perhaps a step."
    value = made.value if made.value is not None else numbers[0] if numbers else "0"
    made = dataclasses.replace(made, numbers=numbers, value=value)
    if not _NUMBER.match(value):
        return made, "its value is no number."
    if numbers and not float(numbers[0]) <= float(value) <= float(numbers[1]):
        return made, f"its value is not between {numbers[0]} and {numbers[1]}."
    if len(numbers) == 3 and float(numbers[2]) <= 0:
        return made, "its step must be greater than 0."
    return made, None


def _text(made: Parameter, inside: str) -> _Made:
    problem = "it takes nothing in parentheses." if inside else None
    return dataclasses.replace(made, value=made.value or ""), problem


def _checkbox(made: Parameter, inside: str) -> _Made:
    made, problem = _text(made, inside)
    made = dataclasses.replace(made, value=made.value or "false")
    if made.value not in ("true", "false"):
        problem = "its value is true or false."
    return made, problem


def _date(made: Parameter, inside: str) -> _Made:
    made, problem = _text(made, inside)
    try:
        datetime.date.fromisoformat(made.value or "")
    except ValueError:
        # Today would be another day tomorrow.
        problem = problem or "it needs a date as its value."
    return made, problem


def _options(made: Parameter, inside: str) -> _Made:
    if _QUERY.match(inside):
        made = dataclasses.replace(made, query=inside)
    else:
        choices = _choices(inside)
        if not choices:
            return made, "it needs a query, or values with commas between them."
        made = dataclasses.replace(made, choices=choices)
    if made.kind == "select-multiple":
        value = "{}" if made.value is None else made.value
        problem = None if _ARRAY.match(value) else "its value is an array, in braces."
        return dataclasses.replace(made, value=value), problem
    if made.value is None and made.choices:
        made = dataclasses.replace(made, value=made.choices[0])
    return made, None


_ARGUMENTS = {
    "slider": _number,
    "number": _number,
    "text": _text,
    "checkbox": _checkbox,
    "date": _date,
    "dropdown": _options,
    "select-multiple": _options,
}


def _parenthesis(text: str) -> tuple[str | None, int]:
    """What stands in the parenthesis that a text begins with, and its length with it."""
    depth = at = 0
    while (token := _TOKEN.match(text, at)) is not None:
        at = token.end()
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0:
            return text[1 : at - 1], at
    return None, at


def _choices(inside: str) -> tuple[str, ...]:
    """Values with commas between them; none where they are not."""
    out: list[str] = []
    at = 0
    while at < len(inside):
        match = _LITERAL.match(inside, at)
        if match is None:
            return ()
        at = match.end()
        bare = match["quoted"] is None
        out.append(match["bare"].rstrip(" \t") if bare else match["quoted"].replace("''", "'"))
    return tuple(dict.fromkeys(out))


def _unquoted(typed: str) -> str | None:
    """A value as typed behind the equals sign; None where it can't be read."""
    if _BARE.match(typed):
        return typed
    if not _QUOTED.match(typed):
        return None
    return "".join(_character(piece[0]) for piece in _PIECE.finditer(typed[1:-1]))


def _character(piece: str) -> str:
    if piece == "''":
        return "'"
    return _SPACES.get(piece[1], piece[1]) if piece[0] == "\\" else piece
