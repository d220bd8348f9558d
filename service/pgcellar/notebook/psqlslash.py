"""psql's lexical rules for meta-commands: their names and arguments."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from pgcellar.notebook import patterns, psqllex, psqlvars

BACKQUOTES = "Commands in backquotes do not run in notebooks."
UNTERMINATED = "unterminated quoted string"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """One argument; `quoted`: some of it stood in quotes or in a variable."""

    text: str
    quoted: bool


class Reader:
    """Reads one meta-command, from behind its backslash.

    Arguments that can't be read leave their reason in `trouble` and give no value.
    """

    def __init__(
        self, source: psqllex.Input, variables: Mapping[str, str], *, active: bool
    ) -> None:
        self._input = source
        self._variables = variables
        self._active = active
        self._taken: list[str] = []
        self.trouble: str | None = None

    def name(self) -> str:
        """The command's name: up to white space or a backslash, also where its variable ends."""
        return self._while(_NAME)

    def rest(self) -> str:
        """What was read behind the name, as typed."""
        return "".join(self._taken[1:]).strip(_SPACES)

    def line(self) -> str:
        """All that is left of the line, as it stands."""
        self._while(_SPACE)
        return self._while(_LINE)

    def arguments(self, *, pipe: bool = False, semicolon: bool = False) -> tuple[Argument, ...]:
        """All arguments up to the end of the command.

        `pipe`: the first may be a `|` with the rest of the line, and options in parentheses may
        stand before it. `semicolon`: those at the end of an argument are left out.
        """
        out: list[Argument] = []
        options = False
        while (found := self._argument(pipe=pipe and not options, semicolon=semicolon)) is not None:
            if pipe and not options:
                options = pipe = found.text.startswith("(") and not out
            if options and found.text.endswith(")"):
                options = False
            out.append(found)
        return tuple(out)

    def activate(self, variables: Mapping[str, str]) -> None:
        """Read the arguments of a command in a branch that isn't active as in one that is."""
        self._variables = variables
        self._active = True

    def ignore(self) -> None:
        """Pass over the arguments: nothing of them is evaluated."""
        self._variables = {}
        self._active = False
        self.arguments()

    def finish(self) -> None:
        """Take the `\\\\` by which a command may end before its line does."""
        self._match(_SEPARATOR)

    def _argument(self, *, pipe: bool, semicolon: bool) -> Argument | None:
        self._while(_SPACE)
        if pipe and self._peek() == "|":
            return Argument(text=self._while(_LINE), quoted=False)
        parts: list[str] = []
        quoted = False
        #: How many characters at the end stood in no quotes.
        bare = 0
        while (token := self._match(_ARGUMENT)) is not None:
            kind = token.lastgroup
            if kind == "variable":
                value = psqlvars.replacement(token[0], self._variables)
                parts.append(token[0] if value is None else value)
                quoted = quoted or not token[0].startswith(":{")
                bare = 0
            elif kind == "plain":
                parts.append(token[0])
                bare += len(token[0])
            else:
                parts.append(self._quoted(token[0]))
                quoted = True
                bare = 0
        text = "".join(parts)
        if semicolon and bare:
            kept = text.rstrip(";")
            text = text[: max(len(kept), len(text) - bare)]
        # A NUL ends it, as it does in C.
        text = text.partition("\0")[0]
        return Argument(text=text, quoted=quoted) if text or quoted else None

    def _quoted(self, quote: str) -> str:
        parts = [quote] if quote == '"' else []
        while (token := self._match(_INSIDE[quote])) is not None:
            if token[0] != quote:
                parts.append(_unescaped(token[0]) if quote == "'" else token[0])
                continue
            if quote == "`" and self._active:
                self.trouble = BACKQUOTES
            if quote == '"':
                parts.append(quote)
            return _decoded("".join(parts)) if quote == "'" else "".join(parts)
        self.trouble = UNTERMINATED
        return ""

    def _more(self) -> bool:
        """Whether anything is left to read; values of variables that are read are left."""
        stack = self._input.stack
        while stack[-1].position >= self._input.edge():
            if len(stack) == 1:
                return False
            stack.pop()
        return True

    def _peek(self) -> str:
        if not self._more():
            return ""
        buffer = self._input.current
        return buffer.text[buffer.position]

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        if not self._more():
            return None
        buffer = self._input.current
        match = pattern.match(buffer.text, buffer.position, self._input.edge())
        if match is not None:
            buffer.position = match.end()
            self._taken.append(match[0])
        return match

    def _while(self, pattern: re.Pattern[str]) -> str:
        found = []
        while (match := self._match(pattern)) is not None:
            found.append(match[0])
        return "".join(found)


def identifier(text: str, *, fold: bool) -> str:
    """An argument that is a name, without its quotes; `fold`: unquoted letters to lower case."""
    parts = []
    for token in _IDENTIFIER.finditer(text):
        if token["quoted"] is not None:
            parts.append(token["quoted"].replace('""', '"'))
        else:
            parts.append(token[0].lower() if fold else token[0])
    return "".join(parts)


def _unescaped(token: str) -> str:
    """A piece of a single-quoted argument; bytes that are given by number as surrogates."""
    if token == "''":
        return "'"
    if len(token) < 2 or token[0] != "\\":
        return token
    if token[1] in "01234567":
        return _byte(int(token[1:], 8) & 0xFF)
    if token[1] == "x" and len(token) > 2:
        return _byte(int(token[2:], 16))
    return _ESCAPES.get(token[1], token[1])


def _byte(value: int) -> str:
    return chr(value) if value < 0x80 else chr(0xDC00 + value)


def _decoded(text: str) -> str:
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


_SPACES = " \t\r\n\f\v"
_SURROGATE = patterns.compile(r"[\udc80-\udcff]")
_SPACE = patterns.compile(r"[ \t\r\n\f\v]++")
_NAME = patterns.compile(r"[^ \t\r\n\f\v\\]++")
_LINE = patterns.compile(r".++", re.DOTALL)
_SEPARATOR = patterns.compile(r"\\\\")
_ARGUMENT = patterns.compile(
    rf"(?P<variable>{psqlvars.REFERENCE})|(?P<quote>['\"`])|(?P<plain>[^ \t\r\n\f\v\\'\"`:]++|:)"
)
_INSIDE = {
    "'": patterns.compile(
        r"''|'|\\[0-7]{1,3}|\\x[0-9A-Fa-f]{1,2}|\\.|[^'\\]++|\\",
        re.DOTALL,
    ),
    '"': patterns.compile(r'"|[^"]++'),
    "`": patterns.compile(r"`|[^`]++"),
}
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", "r": "\r", "f": "\f"}
_IDENTIFIER = patterns.compile(r'"(?P<quoted>[^"]*+(?:""[^"]*+)*+)(?:"|\Z)|[^"]++')
