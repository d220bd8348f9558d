"""psql's lexical rules for SQL: where a query ends, and what of it is sent.

psql reads line by line, keeps a state from line to line, and scans the value of a variable in the
place of its reference, literals, semicolons and backslashes included. So does this, but for runs
of text in which nothing of that can happen: one regular expression takes each whole.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

from pgcellar.notebook import patterns, psqlvars

#: Offset of text that does not stand in the source.
NOWHERE = -1


#: A point in a query; what it consists of is the lexer's own.
Mark = tuple[int, int, int, int, str, re.Pattern[str]]


class Event(enum.Enum):
    """Why scanning stopped."""

    SEMICOLON = enum.auto()
    BACKSLASH = enum.auto()
    END = enum.auto()


class Output:
    """The query buffer: text that will be sent, with where it comes from."""

    __slots__ = ("_parts", "interpolated", "length", "pieces", "start")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin a query."""
        self._parts: list[str] = []
        #: Where in the text a piece begins, and its offset in the source or NOWHERE.
        self.pieces: list[tuple[int, int]] = []
        self.length = 0
        self.start = 0
        self.interpolated = False

    def add(self, text: str, offset: int, anchor: int) -> None:
        """Append what stands at an offset of the source; `anchor`: where a person looks."""
        if not text:
            return
        if not self.length:
            self.start = anchor
        if offset == NOWHERE:
            self.interpolated = True
        if not self.pieces or not self._continues(offset):
            self.pieces.append((self.length, offset))
        self._parts.append(text)
        self.length += len(text)

    def cut(self, length: int) -> None:
        """Forget what was added since the text was that long."""
        while self._parts and self.length - len(self._parts[-1]) >= length:
            self.length -= len(self._parts.pop())
        if self.length > length:
            self._parts[-1] = self._parts[-1][: length - self.length]
            self.length = length
        while self.pieces and self.pieces[-1][0] >= length:
            self.pieces.pop()

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)

    def _continues(self, offset: int) -> bool:
        position, begin = self.pieces[-1]
        if offset == NOWHERE:
            return begin == NOWHERE
        return begin != NOWHERE and begin + self.length - position == offset


class Buffer:
    """A text being read: the source, or the value of a variable for which a reference stood."""

    __slots__ = ("end", "name", "origin", "position", "text")

    def __init__(self, text: str, *, name: str = "", origin: int = NOWHERE) -> None:
        self.text = text
        self.position = 0
        self.end = len(text)
        self.name = name
        #: The offset of the reference in the source.
        self.origin = origin


#: Characters that variables may put into one text: their values may name one another, and so grow
#: with every level.
MAX_VALUES = 4 << 20


class TooLong(Exception):
    """Variables put more than `MAX_VALUES` characters into a text."""


class Input:
    """What is still to be read: the source, and above it the values of variables."""

    def __init__(self, source: str) -> None:
        self.source = Buffer(source)
        # A last line break ends the last line, it does not begin one more.
        self.source.end -= source.endswith("\n")
        self.source.position = int(source.startswith("\ufeff"))
        self.stack = [self.source]
        self._newline = NOWHERE
        self._resume: int | None = None
        self._put = 0

    @property
    def current(self) -> Buffer:
        """The text that is read from now."""
        return self.stack[-1]

    @property
    def offset(self) -> int:
        """Where reading stands, in the source."""
        return self.source.position if len(self.stack) == 1 else self.stack[1].origin

    def push(self, value: str, name: str, origin: int) -> None:
        """Read a value before what follows. Raises TooLong."""
        self._put += len(value) + 1
        if self._put > MAX_VALUES:
            raise TooLong
        self.stack.append(Buffer(value, name=name, origin=origin))

    def close(self) -> None:
        """Read nothing more."""
        del self.stack[1:]
        self.source.position = self.source.end
        self._resume = None

    def edge(self) -> int:
        """Where the part of the current text ends that a meta-command may take: its line."""
        buffer = self.stack[-1]
        if len(self.stack) > 1:
            return buffer.end
        if self._newline < buffer.position:
            found = buffer.text.find("\n", buffer.position, buffer.end)
            self._newline = buffer.end if found < 0 else found
        return min(self._newline, buffer.end)

    def resume(self) -> bool:
        """Go on behind the lines taken by `take_data`, if the line before them is read."""
        if self._resume is None:
            return False
        text = self.source.text
        self.source.position = self._resume - 1
        self.source.end = len(text) - text.endswith("\n")
        self._resume = None
        return self.source.position < self.source.end

    def take_data(self) -> str:
        """The lines below the current one up to `\\.`, which are not read as SQL any more."""
        text = self.source.text
        if self._resume is None:
            newline = text.find("\n", self.source.position)
            self.source.end = len(text) if newline < 0 else newline
            self._resume = len(text) if newline < 0 else newline + 1
        begin = self._resume
        end = _DATA_END.search(text, begin)
        if end is None:
            # An offset one past the end stands for a line that isn't there.
            self._resume = len(text) + 1
            return text[begin:]
        self._resume = end.end() + 1
        return text[begin : end.start()]


class Lexer:
    """Reads SQL into `output` until something else is to be done.

    `line_start` is the length of the output at the beginning of the line, if a line break was
    just added for it.
    """

    def __init__(self, source: str) -> None:
        self.input = Input(source)
        self.output = Output()
        self.line_start = NOWHERE
        self.parens = 0
        # Alone, a carriage return is a line break for a literal that goes on behind it.
        self._runs = "\r" not in source or not (
            _LONE_RETURN.search(source) and _QUOTE_RETURN.search(source)
        )
        self.reset()

    def reset(self) -> None:
        """Forget open parentheses and the like, as psql does when a query is sent by `\\g`."""
        self.parens = 0
        self._state = _CODE
        self._literal = _CODE
        self._comments = 0
        self._tag = ""
        self._begins = 0
        self._copies = 0
        self._head = ""
        self._run = _RUN_HEAD

    def take_copies(self) -> int:
        """How many statements of the query were COPY … FROM STDIN; a query begins."""
        self._statement()
        copies, self._copies = self._copies, 0
        return copies

    def mark(self) -> Mark:
        """Where the query stands, to `go_back` to."""
        return (self.output.length, self.parens, self._begins, self._copies, self._head, self._run)

    def go_back(self, mark: Mark) -> None:
        """Forget what was read of the query since."""
        length, self.parens, self._begins, self._copies, self._head, self._run = mark
        self.output.cut(length)

    def scan(self, variables: Mapping[str, str]) -> Event:
        """Read on, with the variables as they are."""
        reader = self.input
        while True:
            buffer = reader.stack[-1]
            if buffer.position >= buffer.end:
                if len(reader.stack) > 1:
                    reader.stack.pop()
                elif not reader.resume():
                    return Event.END
                else:
                    self._line(reader.source)
            elif self._state is _CODE:
                event = self._code(buffer, variables)
                if event is not None:
                    return event
            elif self._state is _STOPPED:
                self._stopped(buffer)
            else:
                self._inside(buffer)

    def _emit(self, buffer: Buffer, end: int) -> None:
        """Take the current text to an offset of it."""
        begin = buffer.position
        offset = begin if buffer.origin == NOWHERE else NOWHERE
        self.output.add(buffer.text[begin:end], offset, self.input.offset)
        buffer.position = end

    def _code(self, buffer: Buffer, variables: Mapping[str, str]) -> Event | None:
        if not self.output.length:
            blank = _LEADING.match(buffer.text, buffer.position, buffer.end)
            buffer.position = buffer.position if blank is None else blank.end()
        elif self._runs and buffer.origin == NOWHERE:
            run = self._run.match(buffer.text, buffer.position, buffer.end)
            if run is not None and run.end() > buffer.position:
                self._emit(buffer, run.end())
        if buffer.position >= buffer.end:
            return None
        token = _TOKEN.match(buffer.text, buffer.position, buffer.end)
        assert token is not None, "the last alternative takes any character"
        match token.lastgroup:
            case "newline" if buffer.origin == NOWHERE:
                self._line(buffer)
            case "variable":
                self._variable(buffer, token.end(), variables)
            case "forced":
                buffer.position += 1
                self._emit(buffer, token.end())
                if token[0] == "\\;" and not self.parens and not self._begins:
                    self._statement()
            case "backslash":
                return Event.BACKSLASH
            case "semicolon" if not self.parens and not self._begins:
                self._statement()
                return Event.SEMICOLON
            case kind:
                self._emit(buffer, token.end())
                self._take(kind, token[0])
        return None

    def _take(self, kind: str | None, text: str) -> None:
        match kind:
            case "word":
                self._word(text)
            case "open":
                self.parens += 1
            case "close":
                self.parens = max(0, self.parens - 1)
            case "quote" | "escape" | "name" | "block":
                self._state = _STATES[kind]
                self._comments = 1
            case "dollar":
                self._state = _DOLLAR
                self._tag = text

    def _line(self, buffer: Buffer) -> None:
        """From the line break where reading stands into the next line."""
        newline = buffer.position
        if self._state is _CODE or self._state is _STOPPED:
            # psql drops lines that are empty.
            blank = _NEWLINES.match(buffer.text, newline, buffer.end)
            newline = blank.end() - 1 if blank is not None else newline
            if newline + 1 >= buffer.end:
                buffer.position = buffer.end
                return
        self.line_start = NOWHERE
        if self.output.length:
            self.output.add("\n", newline, newline)
            self.line_start = self.output.length
        buffer.position = newline + 1

    def _variable(self, buffer: Buffer, end: int, variables: Mapping[str, str]) -> None:
        reference = buffer.text[buffer.position : end]
        value = psqlvars.replacement(reference, variables)
        bare = reference[1] not in "'\"{"
        if value is None or (bare and self._expanding(reference[1:])):
            self._emit(buffer, end)
            return
        anchor = self.input.offset
        buffer.position = end
        self.output.interpolated = True
        if bare:
            self.input.push(value, reference[1:], anchor)
        else:
            self.output.add(value, NOWHERE, anchor)

    def _expanding(self, name: str) -> bool:
        return any(buffer.name == name for buffer in self.input.stack[1:])

    # The first words of a statement tell psql whether it is a routine, in whose body BEGIN … END
    # may hold semicolons, or a COPY FROM STDIN, for which data follows. It goes by words alone,
    # those in parentheses left out.

    def _word(self, word: str) -> None:
        if self.parens:
            return
        lower = word.lower()
        if self._run is _RUN_HEAD:
            self._identify(self._head + _HEADS.get(lower, "-"))
        if self._run is not _RUN_ROUTINE:
            return
        if lower == "begin" or (lower == "case" and self._begins):
            self._begins += 1
        elif lower == "end" and self._begins:
            self._begins -= 1

    def _identify(self, head: str) -> None:
        """A statement's first words are known, by a letter each."""
        self._head = head
        if _UNDECIDED.fullmatch(head) is None:
            self._run = _RUN_ROUTINE if head in _ROUTINES else _RUN

    def _statement(self) -> None:
        """A statement is at its end, though perhaps not the query."""
        if self._head.endswith("S"):
            self._copies += _COPY.fullmatch(self._head) is not None
        self._head = ""
        self._run = _RUN_HEAD

    def _inside(self, buffer: Buffer) -> None:
        """Read on in a literal or comment: to its end, or to that of the text."""
        text, begin, end = buffer.text, buffer.position, buffer.end
        match self._state:
            case "dollar":
                close = text.find(self._tag, begin, end)
                upto = end if close < 0 else close + len(self._tag)
                closed = close >= 0
            case "block":
                upto = self._block_end(text, begin, end)
                closed = not self._comments
            case "quote" | "name":
                close = text.find("'" if self._state is _QUOTE else '"', begin, end)
                upto = end if close < 0 else close + 1
                closed = close >= 0
            case _:
                body = _ESCAPED.match(text, begin, end)
                upto = begin if body is None else body.end()
                closed = upto < end
                upto += closed
        self._emit(buffer, upto)
        if closed:
            string = self._state is _QUOTE or self._state is _ESCAPE
            self._literal, self._state = self._state, _STOPPED if string else _CODE

    def _block_end(self, text: str, begin: int, end: int) -> int:
        for edge in _COMMENT_EDGE.finditer(text, begin, end):
            self._comments += 1 if edge[0] == "/*" else -1
            if not self._comments:
                return edge.end()
        return end

    def _stopped(self, buffer: Buffer) -> None:
        """Behind a literal's end: it goes on if another quote follows a line break.

        Not one between two lines of the source, as psql looks at one line alone.
        """
        self._state = _CODE
        if buffer.origin == NOWHERE and self._runs:
            return
        edge = self.input.edge()
        more = _CONTINUED.match(buffer.text, buffer.position, edge)
        if more is not None:
            self._emit(buffer, more.end())
            self._state = self._literal


_CODE, _STOPPED = "code", "stopped"
_QUOTE, _ESCAPE, _NAME, _BLOCK, _DOLLAR = "quote", "escape", "name", "block", "dollar"
_STATES = {state: state for state in (_QUOTE, _ESCAPE, _NAME, _BLOCK)}

_HEADS = {
    **{"create": "c", "or": "o", "replace": "r", "function": "f", "procedure": "p"},
    **{"copy": "C", "from": "F", "stdin": "S", "stdout": "S"},
}
# psql looks at eight words.
_UNDECIDED = patterns.compile(r"(?:c(?:or?)?|C[^F]{0,5}F?)?")
_COPY = patterns.compile(r"C[^F]{0,5}FS")
_ROUTINES = ("cf", "cp", "corf", "corp")

_DATA_END = patterns.compile(r"^\\\.\r?$", re.MULTILINE)
_LONE_RETURN = patterns.compile(r"\r(?!\n|\Z)")
_QUOTE_RETURN = patterns.compile(r"'[ \t\f\v]*+(?:--|\r(?!\n|\Z))")
_LEADING = patterns.compile(r"(?:[ \t\r\n\f\v]++|--[^\r\n]*+)++")
_NEWLINES = patterns.compile(r"\n++")
_COMMENT_EDGE = patterns.compile(r"/\*|\*/")
_ESCAPED = patterns.compile(r"[^'\\]*+(?:(?:''|\\(?:.|\Z))[^'\\]*+)*+", re.DOTALL)
_CONTINUED = patterns.compile(
    r"(?:[ \t\f\v]|--[^\r\n]*+)*+[\r\n](?:[ \t\r\n\f\v]|--[^\r\n]*+[\r\n])*+'"
)

_WORD = rf"{psqlvars.LETTER}{psqlvars.WORD_CHARACTER}*+"
# A word right behind a number belongs to it, for the lexer.
_NUMBER = rf"(?:[0-9]++(?:\.(?!\.)[0-9]*+)?+|\.[0-9]++)(?:{_WORD})?+|\$[0-9]++(?:{_WORD})?+"

_TOKEN = patterns.compile(
    rf"""
      (?P<newline>\n)
    | (?P<space>[ \t\r\f\v]++|--[^\r\n]*+)
    | (?P<block>/\*)
    | (?P<escape>[eE]')
    | (?P<quote>(?:[bBxX]|[uU]&)?+')
    | (?P<name>(?:[uU]&)?+")
    | (?P<prefix>[nN](?=')|[uU](?=&))
    | (?P<word>{_WORD})
    | (?P<number>{_NUMBER})
    | (?P<dollar>\$(?:{psqlvars.LETTER}{psqlvars.NAME_CHARACTER}*+)?+\$)
    | (?P<cast>::|:=|\.\.)
    | (?P<variable>{psqlvars.REFERENCE})
    | (?P<open>\()
    | (?P<close>\))
    | (?P<semicolon>;)
    | (?P<forced>\\[;:])
    | (?P<backslash>\\)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def _runs(word: str) -> re.Pattern[str]:
    """Text of the source, behind a query's beginning, that is copied whole.

    Literals end in it, parentheses too, and what needs a look stands outside: the words of which
    only some are let in by `word`, and line breaks that psql may drop.
    """
    simple = rf"""
          [ \t\r\f\v,.+*<>=!@#%^&|~?`\[\]{{}}]++
        | '[^']*+'
        | "[^"]*+"
        | {_NUMBER}
        | --[^\r\n]*+
        | -
        | /\*[^*/]*+(?:(?:\*(?!/)|/(?!\*))[^*/]*+)*+\*/
        | /(?!\*)
        | \n(?![\n\\:]|\Z)
        | ::|:=|:(?!{psqlvars.NAME_CHARACTER}|['"{{])
    """
    words = rf"[eE]'[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*+'|(?![eE]'){_WORD}"
    nested = "(?!)"
    for _ in range(_NESTING):
        nested = rf"\((?:{simple}|{words}|{nested})*+\)"
    return patterns.compile(rf"(?:{simple}|{word}(?:{words})|{nested})*+", re.VERBOSE | re.DOTALL)


#: Parentheses in parentheses that a run may hold; one that goes deeper is read that often.
_NESTING = 5
_RUN_HEAD = _runs("(?!)")
_RUN = _runs("")
_RUN_ROUTINE = _runs(rf"(?!(?i:begin|case|end)(?!{psqlvars.WORD_CHARACTER}))")
