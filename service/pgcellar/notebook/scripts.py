"""The steps of a cell, one after the other, as psql would take them.

A cell of plain SQL has the same steps always. One with meta-commands or variables has those that
the variables make of it, which `\\gset` may set to what a query gave: so its steps are read one by
one, while planning (with what queries are known to have given) as while running. Pure.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import re
from collections.abc import Callable, Mapping

from pgcellar.notebook import (
    cells,
    clocks,
    databases,
    effects,
    endings,
    psqllex,
    psqlscan,
    psqlvars,
    showing,
    statements,
)

#: Variables of a notebook; names that no variable can have hold the switches of the display.
Variables = tuple[tuple[str, str], ...]
EXPANDED, TIMING = "\\x", "\\timing"


def switches(variables: Variables) -> list[str]:
    """The switches of the display that are on."""
    return [name for name, _ in variables if name.startswith("\\")]


#: Gives the text of a file that `\\i` names, or says why not.
Include = Callable[[str], str | psqlscan.Problem]

#: Characters of one variable.
MAX_VALUE = 1 << 20
#: Files within files within …
MAX_DEPTH = 10
_DESCRIBES = re.compile(r"(?:d[A-Za-z]*[S+x]*|(?:l|list|z|lo_list)[S+x]*|s[fv]\+?|h|help|\?)\Z")
_INCLUDES = frozenset({"i", "ir", "include", "include_relative"})
_INCLUDE = re.compile(
    r"\\(?:ir|i|include_relative|include)[ \t]+(?:'(?P<quoted>[^'\n]*)'|(?P<name>\S+))"
)
_ECHOES = frozenset({"echo", "qecho", "warn"})
_KNOWN = (
    "Notebooks know \\d and its family, \\l, \\z, \\sf, \\sv, \\h, \\?, \\copy, \\i, \\set, "
    "\\unset, \\gset, \\g, \\gx, \\explain, \\chart, \\if … \\endif, \\echo, \\x, \\timing, \\c "
    "and \\conninfo."
)
#: As psql calls where a session is.
_PLACE = f'database "{databases.NAME}" as user "{effects.USER_ROLE}".'


#: What of psql's own variables is the same in every notebook.
_OWN = {
    psqlvars.BESIDE: "", "DBNAME": databases.NAME, "ENCODING": "UTF8", "USER": effects.USER_ROLE
}  # fmt: skip

_TOO_LONG = psqlscan.Problem(
    message="The variables of this cell put too much text into it.",
    hint="A variable that names another one several times doubles with every level.",
    start=0,
)


#: Of a notebook: each cell that sets some costs what all of them take.
MAX_VARIABLES = 1_000
_TOO_MANY = psqlscan.Problem(
    message=f"There are {MAX_VARIABLES:,} variables already, which is the most there may be.",
    hint="Unset some, or keep values in a table.",
    start=0,
)

#: Of one cell, with the files it includes: these may name one another, and grow with every level.
MAX_STEPS = 100_000
MAX_FILES = 1_000
_TOO_MUCH = psqlscan.Problem(
    message=f"The cell has more than {MAX_STEPS:,} statements and commands, or includes more than"
    f" {MAX_FILES:,} files.",
    hint="Make several cells of it.",
    start=0,
)


class Script:
    """The steps of one cell. `variables` are those that hold after the last step."""

    def __init__(self, cell: cells.ParsedCell, variables: Variables, include: Include) -> None:
        self.variables = dict(variables)
        #: As they were given, until one is set.
        self._given: Variables | None = variables
        # No copies: each query of a cell is read with a thousand.
        self._seen = collections.ChainMap(self.variables, _OWN)
        self._cell = cell
        self._include = include
        self._next = 0
        #: How many commands and statements were read so far.
        self.read = 0
        self._files = 0
        shown = any(not name.startswith("\\") for name in self.variables)
        scanned = cell.scanned == "always" or (cell.scanned == "variables" and shown)
        self._scanners = [psqlscan.Scanner(cell.source)] if scanned else []
        self.static = not scanned

    def next(self) -> cells.Step | None:
        """The next step; None at the end."""
        if self.static:
            return self._plain()
        while self._scanners:
            found = self._read()
            if found is None:
                self._scanners.pop()
                continue
            self.read += 1
            if self.read > MAX_STEPS:
                found = _TOO_MUCH
            included = len(self._scanners) > 1
            step = self._step(found)
            if step is not None and step.effect.refusal is not None:
                # The cell fails there, so nothing of it follows.
                self._scanners.clear()
            if step is not None:
                return dataclasses.replace(step, included=True) if included else step
        return None

    def _read(self) -> psqlscan.Query | psqlscan.MetaCommand | psqlscan.Problem | None:
        try:
            return self._scanners[-1].next(self._seen)
        except psqllex.TooLong:
            return _TOO_LONG
        except psqlvars.Untold as exc:
            return psqlscan.Problem(
                message=f"psql's own variable {exc.name} is not known to notebooks.",
                hint="A query gives it another way; or \\set a variable of your own.",
                start=0,
            )

    def _plain(self) -> cells.Step | None:
        steps = self._cell.steps
        if self._next == len(steps):
            return None
        step = steps[self._next]
        self._next += 1
        if self.variables:
            expanded, timing = EXPANDED in self.variables, TIMING in self.variables
            return dataclasses.replace(step, expanded=expanded, timing=timing)
        return step

    def assign(self, prefix: str, values: Mapping[str, str | None]) -> None:
        """What `\\gset` does: a variable for every column, none where it is null."""
        for column, value in values.items():
            name = prefix + column
            if name in psqlvars.HEEDED:
                continue
            self._put(name, value)

    def frozen(self) -> Variables:
        """The variables, to be kept."""
        return tuple(sorted(self.variables.items())) if self._given is None else self._given

    def _put(self, name: str, value: str | None) -> None:
        self._given = None
        if value is None:
            self.variables.pop(name, None)
        else:
            self.variables[name] = value

    def _step(
        self, found: psqlscan.Query | psqlscan.MetaCommand | psqlscan.Problem
    ) -> cells.Step | None:
        if isinstance(found, psqlscan.Problem):
            return _refused(found)
        if isinstance(found, psqlscan.Query):
            return self._query(found)
        return self._command(found)

    def _query(self, query: psqlscan.Query) -> cells.Step | None:
        ending = query.ending
        if not statements.canonical(query.text):
            if ending is not None and ending.name in endings.NAMES:
                return _refused(_without_query(ending))
            alone = ending is None or ending.name in ("g", "gx", "gset")
            return None if alone or ending is None else _refused(_unknown(ending))
        if len(statements.split(query.text)) > 1:
            return _refused(
                psqlscan.Problem(
                    message="Notebooks send statements one by one, so \\; has no meaning here.",
                    hint="End the statement with a semicolon alone.",
                    start=query.start,
                )
            )
        shown = _shown(query)
        if isinstance(shown, psqlscan.Problem):
            return _refused(shown)
        if isinstance(shown, showing.Explain):
            query = _behind(endings.statement(shown), query)
        canonical = statements.canonical(query.text)
        statement = statements.Statement(
            kind="sql",
            text=query.text,
            start=query.start,
            canonical=canonical,
            end=";" if query.semicolon else "",
        )
        effect = effects.predict(statement)
        data = None
        if effect.copies == "in":
            data = self._scanners[-1].copy_data()
            digest = hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()
            statement = dataclasses.replace(statement, canonical=f"{canonical} {digest}")
            if clocks.data_says(data):
                effect = dataclasses.replace(effect, volatile=True, makes_texts=True)
        known = ("g", "gx", "gset", *endings.NAMES)
        if ending is not None and (ending.name not in known or _to_file(ending)):
            return _refused(_unknown(ending))
        return cells.Step(
            statement=statement,
            effect=effect,
            origin=query,
            data=data,
            gset="".join(ending.arguments) if ending and ending.name == "gset" else None,
            expanded=EXPANDED in self.variables or (ending is not None and ending.name == "gx"),
            timing=TIMING in self.variables,
            shown=shown,
        )

    def _command(self, command: psqlscan.MetaCommand) -> cells.Step | None:
        name, arguments = command.name, command.arguments
        if name in ("q", "quit"):
            return None
        if name in ("r", "reset"):
            return _says(command, "Query buffer reset (cleared).\n")
        if name in ("set", "unset"):
            return self._set(command)
        if name in _ECHOES:
            bare = arguments[:1] == ("-n",)
            return _says(command, " ".join(arguments[bare:]) + ("" if bare else "\n"))
        if name == "x":
            on = self._switch(EXPANDED, arguments)
            return _says(command, f"Expanded display is {on}.\n")
        if name == "timing":
            return _says(command, f"Timing is {self._switch(TIMING, arguments)}.\n")
        if name in _INCLUDES:
            return self._included(command)
        if name.lower() == "copy":
            text = f"\\copy {command.rest.strip()}"
            meta = statements.Statement(kind="meta", text=text, start=command.start, canonical=text)
            return cells.Step(statement=meta, effect=effects.predict(meta))
        if name in ("c", "connect"):
            return _connect(command)
        if name == "base":
            return _refused(
                psqlscan.Problem(
                    message="\\base stands alone in the first cell of a notebook, or nowhere.",
                    hint="In a kernel that was used before, restart it and run from the top.",
                    start=command.start,
                )
            )
        if name == "conninfo":
            return _says(command, f"You are connected to {_PLACE}\n")
        if _DESCRIBES.match(name):
            step = _says(command, None)
            return dataclasses.replace(
                step,
                describes=(name, *command.arguments),
                expanded=EXPANDED in self.variables,
            )
        return _refused(_unknown(command))

    def _set(self, command: psqlscan.MetaCommand) -> cells.Step | None:
        if not command.arguments:
            shown = [item for item in sorted(self.variables.items()) if item[0][0] != "\\"]
            return _says(command, "".join(f"{name} = '{value}'\n" for name, value in shown))
        name, *values = command.arguments
        if not psqlvars.is_name(name):
            return _refused(
                psqlscan.Problem(
                    message=f'"{name}" is no name for a variable.',
                    hint="Names are made of letters, digits and underscores.",
                    start=command.start,
                )
            )
        value = "".join(values)
        if psqlvars.decisive(name, value if command.name == "set" else None):
            return _refused(
                psqlscan.Problem(
                    message=f"{name} can't be changed: it says what psql does with statements.",
                    hint="Here each commits on its own unless it stands between BEGIN and COMMIT.",
                    start=command.start,
                )
            )
        if command.name == "set":
            if not psqlvars.valid(name, value):
                return _refused(
                    psqlscan.Problem(
                        message=f'unrecognized value "{value[:40]}" for "{name}"',
                        hint="psql itself heeds it, and takes no such value.",
                        start=command.start,
                    )
                )
            if len(value) > MAX_VALUE:
                return _refused(dataclasses.replace(_TOO_LONG, start=command.start))
            if len(self.variables) >= MAX_VARIABLES and name not in self.variables:
                return _refused(dataclasses.replace(_TOO_MANY, start=command.start))
            self._put(name, value)
        else:
            self._put(name, None)
        return None

    def _switch(self, name: str, arguments: tuple[str, ...]) -> str:
        """Turn a switch of the display; what it is now."""
        wanted = psqlvars.boolean(arguments[0]) if arguments else name not in self.variables
        self._put(name, "on" if wanted else None)
        return "on" if wanted else "off"

    def _included(self, command: psqlscan.MetaCommand) -> cells.Step | None:
        if len(command.arguments) != 1 or len(self._scanners) > MAX_DEPTH:
            why = "names one file" if len(command.arguments) != 1 else "goes too deep"
            return _refused(
                psqlscan.Problem(
                    message=f"\\{command.name} {why}.",
                    hint="Write \\i 'FILE', a file beside the notebook.",
                    start=command.start,
                )
            )
        self._files += 1
        if self._files > MAX_FILES:
            return _refused(dataclasses.replace(_TOO_MUCH, start=command.start))
        text = self._include(command.arguments[0])
        if isinstance(text, psqlscan.Problem):
            return _refused(dataclasses.replace(text, start=command.start))
        self._scanners.append(psqlscan.Scanner(psqlscan.unmarked(text)))
        return None


def included(source: str, include: Include) -> list[str] | None:
    """The texts of all files that a text may include, and those that these do, each once; None if a
    variable names one.
    """
    found: dict[str, str | psqlscan.Problem] = {}
    left = [source]
    while left:
        for match in _INCLUDE.finditer(left.pop()):
            name = match["quoted"] or match["name"] or ""
            if ":" in name:
                return None
            if name not in found:
                found[name] = text = include(name)
                if isinstance(text, str):
                    left.append(text)
    return [text for text in found.values() if isinstance(text, str)]


def _to_file(ending: psqlscan.MetaCommand) -> bool:
    """Whether `\\g` or `\\gx` names a file or a program."""
    return ending.name in ("g", "gx") and bool(ending.arguments)


def _shown(query: psqlscan.Query) -> showing.Explain | showing.Chart | psqlscan.Problem | None:
    """How the result of a query is to be shown, by the command that ends it."""
    if query.ending is not None and query.ending.name == "explain":
        return endings.explain(query.ending, query.text.strip())
    if query.ending is not None and query.ending.name == "chart":
        return endings.chart(query.ending)
    return None


def _behind(text: str, query: psqlscan.Query) -> psqlscan.Query:
    """The query with a text of ours before it, which stands nowhere in the cell."""
    moved = tuple((begin + len(text), offset) for begin, offset in query.pieces)
    return dataclasses.replace(query, text=text + query.text, pieces=((0, psqllex.NOWHERE), *moved))


def _without_query(ending: psqlscan.MetaCommand) -> psqlscan.Problem:
    return psqlscan.Problem(
        message=f"\\{ending.name} has no query before it.",
        hint=f"Write it at the end of a query: SELECT … \\{ending.name}",
        start=ending.start,
    )


def _unknown(command: psqlscan.MetaCommand) -> psqlscan.Problem:
    given = " with an argument" if command.name in ("g", "gx") else ""
    return psqlscan.Problem(
        message=f"The meta-command \\{command.name}{given} is not known to notebooks.",
        hint=_KNOWN,
        start=command.start,
    )


def _says(command: psqlscan.MetaCommand, text: str | None) -> cells.Step:
    """A command that only shows something: a text, or (None) what PostgreSQL's catalog says."""
    # Variables are put in; a quoted pattern stays as typed.
    given = " ".join(command.arguments) if "'" not in command.rest else command.rest.strip()
    typed = f"\\{command.name} {given}".strip()
    return cells.Step(
        statement=statements.Statement(
            kind="meta", text=typed, start=command.start, canonical=typed
        ),
        effect=effects.Effect(name="none", words=frozenset(), plans="keeps"),
        says=text,
    )


def _connect(command: psqlscan.MetaCommand) -> cells.Step:
    """`\\c`: a new session of the same user on the same database."""
    database, user, *others = (*command.arguments, "-", "-")
    place = database == "-" or databases.is_own(database)
    if not place or user not in ("-", effects.USER_ROLE) or set(others) - {"-"}:
        return _refused(
            psqlscan.Problem(
                message="A notebook has one database, and one user who connects to it.",
                hint="\\c alone begins a new session there; SET ROLE takes on another role.",
                start=command.start,
            )
        )
    return cells.Step(
        statement=statements.Statement(
            kind="meta", text="\\c", start=command.start, canonical="\\c"
        ),
        # What was open is rolled back.
        effect=effects.Effect(name="session", words=frozenset(), transaction=False),
        says=f"You are now connected to {_PLACE}\n",
        connects=True,
    )


def _refused(problem: psqlscan.Problem) -> cells.Step:
    return cells.Step(
        statement=statements.Statement(kind="meta", text="", start=problem.start, canonical=""),
        effect=effects.Effect(
            name="write", words=frozenset(), refusal=problem.message, hint=problem.hint
        ),
    )
