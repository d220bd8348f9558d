"""A cell as psql reads it: queries and meta-commands, one after the other.

What comes next may depend on what the one before did (`\\gset`, `\\set`), so a caller asks for one
at a time, with the variables as they are by then. Nothing is run here, and no file is read.
"""

from __future__ import annotations

import bisect
import dataclasses
import enum
from collections.abc import Mapping

from pgcellar.notebook import psqllex, psqlslash, psqlvars


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MetaCommand:
    """A meta-command: `\\gset pre_`, `\\d t`, `\\copy t from 'f' csv`.

    `name` is without the backslash, `rest` what was typed behind it. `arguments` are what psql
    makes of that, and `quoted` which of them stood in quotes or variables; of a command that takes
    its whole line they are that line. `start` is the 0-based offset of its backslash, or of the
    variable that it came from.
    """

    name: str
    rest: str
    arguments: tuple[str, ...]
    quoted: tuple[bool, ...]
    start: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """A query as psql sends it, without the semicolon at its end, if it has one.

    It may be empty, or a comment. `start` is the 0-based offset of its first character in the
    source, `ending` the command that sends it if no semicolon does, `interpolated`: a variable was
    replaced in it. `copies` is how many COPY … FROM STDIN psql counts in it, by the first words of
    its statements; `pieces` are where pieces of the text begin and their offsets in the source.
    """

    text: str
    start: int
    ending: MetaCommand | None
    semicolon: bool
    interpolated: bool
    copies: int
    pieces: tuple[tuple[int, int], ...] = dataclasses.field(repr=False)

    def source_offset(self, position: int) -> int | None:
        """The offset in the source of a 0-based offset in the text; None in a variable's value."""
        if not self.pieces or not 0 <= position <= len(self.text):
            return None
        index = bisect.bisect_right(self.pieces, position, key=lambda piece: piece[0]) - 1
        begin, offset = self.pieces[index]
        return None if offset == psqllex.NOWHERE else offset + position - begin


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What psql refuses, in its words, or a notebook does. `start` is a 0-based offset."""

    message: str
    hint: str
    start: int


Step = Query | MetaCommand | Problem


def unmarked(source: str) -> str:
    """A text without the mark of its encoding at its very beginning, which psql passes over.

    A blank stands there in its place, so that offsets stay.
    """
    return f" {source[1:]}" if source.startswith("\ufeff") else source


def is_plain(source: str) -> bool:
    """Whether a text surely has no meta-command and no variable; cheap, and No when in doubt."""
    return "\\" not in source and not psqlvars.mentioned(source)


class Scanner:
    """Reads one text, a step at a time."""

    def __init__(self, source: str) -> None:
        self._lexer = psqllex.Lexer(source)
        self._branches: list[_Branch] = []
        self._previous: Query | None = None
        self._quit = False

    @property
    def buffer(self) -> str:
        """The query buffer: what `\\p` prints if it is not empty."""
        return self._lexer.output.text

    @property
    def previous(self) -> Query | None:
        """The query sent before, which `\\g` sends again if the buffer is empty."""
        return self._previous

    def next(self, variables: Mapping[str, str]) -> Step | None:
        """The next thing to do, with the variables as they are now; None at the end.

        A command that neither sends nor clears the query buffer may come in the midst of a query.
        After a problem it goes on as psql does without ON_ERROR_STOP; a query that its command
        did not send is still in the buffer then.
        """
        while True:
            match self._lexer.scan(variables if self._active else {}):
                case psqllex.Event.SEMICOLON:
                    at = self._lexer.input.offset
                    self._lexer.input.current.position += 1
                    if self._active:
                        return self._send(None, at, semicolon=True)
                case psqllex.Event.BACKSLASH:
                    step = self._command(variables)
                    if step is not None:
                        return step
                case psqllex.Event.END:
                    return self._end()

    def copy_data(self) -> str:
        """The data of a COPY … FROM STDIN just returned: the lines below it, up to `\\.`.

        Each line ends with a line break, if it does so in the source. Scanning goes on in what is
        left of the line of the query, and then below the data.

        If the server took less such statements of a query than its `copies`, since one failed,
        psql passes over the data of the others, so that it is not read as SQL.
        """
        return self._lexer.input.take_data()

    @property
    def _active(self) -> bool:
        return not self._branches or self._branches[-1].state in _ACTIVE

    def _send(self, ending: MetaCommand | None, at: int, *, semicolon: bool = False) -> Query:
        output = self._lexer.output
        copies = self._lexer.take_copies()
        if ending is not None and not output.length and self._previous is not None:
            query = dataclasses.replace(self._previous, ending=ending)
        else:
            query = Query(
                text=output.text,
                start=output.start if output.length else at,
                ending=ending,
                semicolon=semicolon,
                interpolated=output.interpolated,
                copies=copies,
                pieces=tuple(output.pieces),
            )
        output.clear()
        self._lexer.line_start = psqllex.NOWHERE
        self._previous = query
        return query

    def _end(self) -> Step | None:
        """At the end psql sends what no semicolon ended."""
        output = self._lexer.output
        at = self._lexer.input.offset
        if output.length and self._active:
            return self._send(None, at)
        if not self._branches or self._quit:
            return None
        start = self._branches[0].start
        self._branches.clear()
        output.clear()
        return Problem(
            message="reached EOF without finding closing \\endif(s)",
            hint="An \\if begins here that no \\endif of this cell ends.",
            start=start,
        )

    def _command(self, variables: Mapping[str, str]) -> Step | None:
        """Read a meta-command; None if there is nothing to do for the caller."""
        lexer = self._lexer
        if lexer.output.length == lexer.line_start:
            # A line of a meta-command alone leaves no empty line in the query.
            lexer.output.cut(lexer.line_start - 1)
        lexer.line_start = psqllex.NOWHERE
        active = self._active
        start = lexer.input.offset
        lexer.input.current.position += 1
        # An \elif after a false branch is read as in a true one.
        reader = psqlslash.Reader(lexer.input, variables if active else {}, active=active)
        name = reader.name()
        step: Step | None
        if name in _BRANCHING:
            step = self._branch(name, start, reader, variables)
        elif not _known(name):
            reader.line()
            hint = "A backslash outside of quotes begins a meta-command; \\? lists them."
            step = Problem(message=f"invalid command \\{name}", hint=hint, start=start)
        else:
            command = _arguments(name, start, reader, active=active)
            trouble = _trouble(reader, start) if active else None
            step = trouble or (self._run(command) if active else None)
        reader.finish()
        return step

    def _run(self, command: MetaCommand) -> Step:
        """What the command means for the queries of the text."""
        lexer = self._lexer
        if command.name in _NEEDING and not command.arguments:
            message = f"\\{command.name}: missing required argument"
            return Problem(message=message, hint="Give it a name.", start=command.start)
        if command.name in _SENDING:
            previous = self._previous
            query = self._send(command, command.start)
            lexer.reset()
            if command.name == "watch":
                self._previous = previous
                if not query.text:
                    message = "\\watch cannot be used with an empty query"
                    return Problem(message=message, hint=_EMPTY, start=command.start)
            return query
        if command.name in ("r", "reset"):
            lexer.output.clear()
            lexer.reset()
        elif command.name in ("q", "quit"):
            self._quit = True
            lexer.input.close()
        return command

    def _branch(
        self, name: str, start: int, reader: psqlslash.Reader, variables: Mapping[str, str]
    ) -> Problem | None:
        if name != "if" and not self._branches:
            reader.line()
            message = f"\\{name}: no matching \\if"
            return Problem(message=message, hint=_UNMATCHED, start=start)
        if name == "if":
            return self._if(start, reader)
        branch = self._branches[-1]
        if name in ("elif", "else") and branch.state in (_State.ELSE, _State.ELSE_DONE):
            reader.line()
            message = f"\\{name}: cannot occur after \\else"
            return Problem(message=message, hint=_UNMATCHED, start=start)
        if branch.state in _ACTIVE:
            branch.mark = self._lexer.mark()
        else:
            self._lexer.go_back(branch.mark)
        if name == "elif" and branch.state is _State.FALSE:
            reader.activate(variables)
            return self._decide(branch, "\\elif expression", start, reader)
        reader.ignore()
        if name == "elif":
            branch.state = _State.DONE
        elif name == "else":
            branch.state = _State.ELSE if branch.state is _State.FALSE else _State.ELSE_DONE
        else:
            self._branches.pop()
        return None

    def _if(self, start: int, reader: psqlslash.Reader) -> Problem | None:
        active = self._active
        state = _State.FALSE if active else _State.DONE
        branch = _Branch(state=state, start=start, mark=self._lexer.mark())
        self._branches.append(branch)
        if active:
            return self._decide(branch, "\\if expression", start, reader)
        reader.ignore()
        return None

    def _decide(
        self, branch: _Branch, name: str, start: int, reader: psqlslash.Reader
    ) -> Problem | None:
        found = reader.arguments()
        branch.state = _State.FALSE
        trouble = _trouble(reader, start)
        if trouble is not None:
            return trouble
        value = " ".join(argument.text for argument in found)
        truth = psqlvars.boolean(value)
        if truth is None:
            message = f'unrecognized value "{value}" for "{name}": Boolean expected'
            return Problem(message=message, hint=_BOOLEAN, start=start)
        if truth:
            branch.state = _State.TRUE
        return None


class _State(enum.Enum):
    """Where an `\\if` stands: in a branch that is fulfilled, one that is not, or past the one."""

    TRUE = enum.auto()
    FALSE = enum.auto()
    DONE = enum.auto()
    ELSE = enum.auto()
    ELSE_DONE = enum.auto()


_ACTIVE = (_State.TRUE, _State.ELSE)


@dataclasses.dataclass(kw_only=True, slots=True)
class _Branch:
    """An open `\\if`, and where in the query text begins that may not count."""

    state: _State
    start: int
    mark: psqllex.Mark


def _arguments(name: str, start: int, reader: psqlslash.Reader, *, active: bool) -> MetaCommand:
    found: tuple[psqlslash.Argument, ...]
    if name in _WHOLE_LINE or name.lower() == "copy":
        line = reader.line()
        found = (psqlslash.Argument(text=line, quoted=False),) if line else ()
    else:
        semicolon = name in _STRIPPED or name.startswith(("d", "l", "z"))
        found = reader.arguments(pipe=name in _PIPES, semicolon=semicolon and active)
    names = name in _IDENTIFIERS
    return MetaCommand(
        name=name,
        rest=reader.rest(),
        arguments=tuple(
            psqlslash.identifier(argument.text, fold=_IDENTIFIERS[name]) if names else argument.text
            for argument in found
        ),
        quoted=tuple(argument.quoted for argument in found),
        start=start,
    )


def _trouble(reader: psqlslash.Reader, start: int) -> Problem | None:
    if reader.trouble is None:
        return None
    return Problem(message=reader.trouble, hint=_TROUBLES[reader.trouble], start=start)


def _known(name: str) -> bool:
    # psql tells the many commands that begin with d apart only when it runs them.
    return name in _KNOWN or name.lower() == "copy" or name.startswith(("d", "lo_"))


_EMPTY = "Write the query before the command."
_UNMATCHED = "\\if, \\elif, \\else and \\endif stand in this order, in one cell."
_BOOLEAN = "true, false, yes, no, on, off, 1 and 0 are known; a variable is written :name."
_TROUBLES = {
    psqlslash.BACKQUOTES: "Write the value itself, or put it into a quoted argument.",
    psqlslash.UNTERMINATED: "A quoted argument ends on the line it begins on.",
}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BRANCHING = _names("if elif else endif")
_SENDING = _names("g gx gset gexec gdesc crosstabview watch parse sendpipeline explain chart")
_NEEDING = _names("parse")
_WHOLE_LINE = _names("! ef ev h help sf sf+ sv sv+")
_PIPES = _names("g gx o out w write")
#: Whose arguments are read without the semicolons at their ends.
_STRIPPED = _names(
    "C c cd chart connect crosstabview e edit explain o out password s t w watch write x"
)
#: Whose arguments are names; whether they are folded to lower case.
_IDENTIFIERS = {"c": False, "connect": False, "password": True}
_OTHERS = _names(
    """? a bind bind_named close_prepared conninfo copyright echo encoding endpipeline errverbose
    f flush flushrequest getenv getresults H html i include include_relative ir l l+ l+x list
    list+ list+x listx listx+ lx lx+ p print prompt pset q qecho quit r reset restrict set
    setenv startpipeline syncpipeline T timing unrestrict unset warn z zS zSx zx zxS"""
)
#: Not psql's; see also `endings`.
_OURS = _names("base explain chart")
_KNOWN = _OURS | _BRANCHING | _SENDING | _WHOLE_LINE | _PIPES | _STRIPPED | _OTHERS
