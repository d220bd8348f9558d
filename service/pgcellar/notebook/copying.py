"""psql's `\\copy`, taken apart: which COPY statement, and which file."""

from __future__ import annotations

import dataclasses
import re

from pgcellar.notebook import patterns, statements

_SPACE = r" \t\n\r"


def _tokens(separate: str, quotes: str, *, escapes: bool = False) -> re.Pattern[str]:
    """psql's idea of a token: one of those that stand alone, a quoted text, or what is between.

    `escapes`: there is E'…', where a word begins so. One space behind a token belongs to it.
    """
    quoted = [rf"{quote}(?:{quote}{quote}|[^{quote}])*+{quote}?" for quote in quotes]
    if escapes:
        quoted.append(r"[eE]'(?:\\.|''|[^'])*+'?")
    found = "|".join([f"[{separate}]", *quoted, f"[^{_SPACE}{separate}{quotes}]++"])
    return patterns.compile(f"[{_SPACE}]*+(?P<token>{found})[{_SPACE}]?", re.DOTALL)


_NAME = _tokens(".,()", '"')
_COLUMN = _tokens("()", '"')
_QUERY = _tokens("()", "\"'", escapes=True)
_FILE = _tokens(";", "'")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """`\\copy TARGET from|to FILE …` as the COPY statement to send, and the file at this end."""

    sql: str
    file: str
    out: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a meta-command can't run here, and what to do instead."""

    message: str
    hint: str


def parse(text: str) -> Copy | Refusal:
    """What a meta-command asks for. The text is that of one `meta` statement."""
    command = text.split(None, 1)[0]
    if command.lower() != "\\copy":
        return Refusal(
            message=f"The meta-command {command} is not known to notebooks.",
            hint="Of psql's meta-commands, \\copy … from 'file' works here.",
        )
    try:
        found = _Line(text[len(command) :])
    except _UnreadableError:
        return Refusal(
            message="This \\copy can't be read.",
            hint="Write \\copy TABLE (COLUMNS) from 'FILE' with (OPTIONS), all on one line.",
        )
    if len(statements.split(f"copy {found.options}")) > 1:
        return Refusal(
            message="Notebooks send statements one by one, so none follows a \\copy on its line.",
            hint="Write it on a line of its own.",
        )
    file = found.file
    if file.lower() in ("stdin", "pstdin", "stdout", "pstdout"):
        return Refusal(
            message="In notebooks \\copy reads or writes a file.",
            hint="COPY … FROM STDIN takes the lines below it, up to one of \\. alone; "
            "COPY … TO STDOUT shows what it gives.",
        )
    if file.lower() == "program":
        return Refusal(
            message="\\copy … program is not allowed in notebooks.",
            hint="Write the program's output to a file beside the notebook and \\copy that.",
        )
    if file.startswith("'"):
        file = file[1:].removesuffix("'").replace("''", "'")
    return Copy(sql=found.sql, file=file, out=found.out)


class _UnreadableError(Exception):
    """psql has a parse error there."""


class _Line:
    """The arguments of a `\\copy`, which psql takes apart into tokens and joins by spaces.

    That shows: $$a  b(c)$$ becomes $$a b ( c ) $$, as it knows no such quotes.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        token = self._next(_NAME)
        before = ""
        if token.lower() == "binary":
            before, token = token, self._next(_NAME)
        if token == "(":
            token = self._group(_QUERY, nests=True)
        before = f"{before} {token}"
        token = self._next(_NAME)
        if token == ".":
            before += token + self._next(_NAME)
            token = self._next(_NAME)
        if token == "(":
            before = f"{before} {self._group(_COLUMN, nests=False)}"
            token = self._next(_NAME)
        if token.lower() not in ("from", "to"):
            raise _UnreadableError
        self.out = token.lower() == "to"
        self.file = self._next(_FILE)
        self.options = text[self._at :].rstrip().removesuffix(";").rstrip()
        self.sql = f"COPY {before} {'TO STDOUT' if self.out else 'FROM STDIN'} {self.options}"

    def _next(self, tokens: re.Pattern[str]) -> str:
        found = tokens.match(self._text, self._at)
        if found is None:
            raise _UnreadableError
        self._at = found.end()
        return found["token"]

    def _group(self, tokens: re.Pattern[str], *, nests: bool) -> str:
        """The rest of what is in parentheses, with both."""
        found, depth = ["("], 1
        while depth:
            found.append(self._next(tokens))
            depth += nests if found[-1] == "(" else -(found[-1] == ")")
        return " ".join(found)


def saved(statement: statements.Statement) -> Copy | None:
    """The `\\copy … to` that a statement is, if it is one."""
    if statement.kind != "meta" or not statement.text:
        return None
    found = parse(statement.text)
    return found if isinstance(found, Copy) and found.out else None
