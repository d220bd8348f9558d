"""Cuts a script where psql would: at semicolons, at meta-commands, after inline COPY data.

Written for this purpose, so that what the product's own splitter gets wrong shows.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Literal

#: `sql`: a statement. `meta`: a meta-command. `sent`: a statement that a meta-command ends (`\\g`).
#: `copy`: a COPY FROM stdin together with its rows.
Kind = Literal["sql", "meta", "sent", "copy"]

_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?P<escape>[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z))
    | (?P<string>'(?:[^']|'')*(?:'|\Z))
    | (?P<name>"(?:[^"]|"")*(?:"|\Z))
    | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$)
    | (?P<word>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)
    | (?P<number>\d[\w.]*)
    | (?P<separator>\\;)
    | (?P<backslash>\\)
    | (?P<blank>\s+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COPY_IN = re.compile(r"\s*copy\b.*\bfrom\s+(?:stdin|pstdin)\b", re.IGNORECASE | re.DOTALL)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """One piece of a script, as typed, with the comments above it, without its semicolon.

    `rows` are the inline rows of a COPY, each with its line's end.
    """

    kind: Kind
    text: str
    rows: str = ""


def cut(script: str) -> list[Piece]:
    """The pieces of a script, in order; comments alone are none."""
    return _Cutter(script.replace("\r\n", "\n")).pieces()


class _Cutter:
    def __init__(self, script: str) -> None:
        self._script = script
        self._out: list[Piece] = []
        self._begin = 0
        self._restart(0)

    def _restart(self, position: int) -> None:
        self._begin = position
        self._code: int | None = None
        self._words: list[str] = []
        self._parens = self._body = 0

    def pieces(self) -> list[Piece]:
        position = 0
        while position < len(self._script):
            match = _TOKEN.match(self._script, position)
            assert match is not None
            position = self._take(match)
        if self._code is not None:
            self._out.append(Piece(kind="sql", text=self._script[self._begin :].strip()))
        return self._out

    def _take(self, match: re.Match[str]) -> int:
        """Take one token; where the next one begins."""
        kind, text = match.lastgroup, match[0]
        if kind in ("comment", "blank"):
            return match.end()
        if kind == "block":
            return self._block_end(match.end())
        if kind == "backslash":
            return self._meta(match.start())
        if text == ";" and self._parens <= 0 and self._body <= 0:
            return self._end(match.start(), match.end())
        if self._code is None:
            self._code = match.start()
        if kind == "dollar":
            close = self._script.find(text, match.end())
            return len(self._script) if close < 0 else close + len(text)
        if kind == "word":
            self._word(text.lower())
        elif text in ("(", ")"):
            self._parens += 1 if text == "(" else -1
        return match.end()

    def _word(self, word: str) -> None:
        """Follow the bodies of SQL-standard functions, which hold semicolons, as psql does."""
        if len(self._words) < 4:
            self._words.append(word)
        if self._words[:1] != ["create"] or not {"function", "procedure"} & set(self._words):
            return
        if word == "begin" or (word == "case" and self._body):
            self._body += 1
        elif word == "end" and self._body:
            self._body -= 1

    def _end(self, end: int, after: int) -> int:
        """A statement ends here."""
        if self._code is None:
            self._restart(after)
            return after
        text = self._script[self._begin : end].strip()
        if _COPY_IN.match(self._script[self._code : end]):
            line = self._line_end(after)
            close = re.compile(r"^\\\.[ \t]*$", re.MULTILINE).search(self._script, line)
            if close is not None:
                rows = self._script[line : close.start()]
                text = self._script[self._code : end]
                self._out.append(Piece(kind="copy", text=text, rows=rows))
                self._restart(self._line_end(close.end()))
                return self._begin
        self._out.append(Piece(kind="sql", text=text))
        self._restart(after)
        return after

    def _meta(self, start: int) -> int:
        """A backslash command: to the end of its line."""
        end = self._line_end(start)
        if self._code is None:
            self._out.append(Piece(kind="meta", text=self._script[start:end].strip()))
        else:
            self._out.append(Piece(kind="sent", text=self._script[self._begin : end].strip()))
        self._restart(end)
        return end

    def _line_end(self, position: int) -> int:
        newline = self._script.find("\n", position)
        return len(self._script) if newline < 0 else newline + 1

    def _block_end(self, position: int) -> int:
        depth = 1
        for edge in re.compile(r"/\*|\*/").finditer(self._script, position):
            depth += 1 if edge[0] == "/*" else -1
            if depth == 0:
                return edge.end()
        return len(self._script)
