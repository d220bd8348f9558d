"""A cell's source with everything that can be known of it without a database, worked out once."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Iterable

from pgcellar.notebook import (
    dialects,
    effects,
    meanings,
    parameters,
    psqlscan,
    remembering,
    scanning,
    showing,
    statements,
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One statement of a cell with its predicted effect.

    `origin` is the query it was scanned as, if it was, and `included`: in another file. `data` is
    what a COPY FROM STDIN is fed. With `gset` the result goes into variables of that prefix.
    `expanded` and `timing` are switches of the display. `says` is what a meta-command shows.
    `describes` is a command that shows what the catalog says: its name and arguments. `connects`:
    it begins a new session. `shown`: how its result is to be shown where not as a table.
    """

    statement: statements.Statement
    effect: effects.Effect
    origin: psqlscan.Query | None = None
    included: bool = False
    data: str | None = None
    gset: str | None = None
    expanded: bool = False
    timing: bool = False
    says: str | None = None
    describes: tuple[str, ...] = ()
    connects: bool = False
    shown: showing.Explain | showing.Chart | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ParsedCell:
    """The statements of one cell text.

    `files` are the meta-commands that read a file, whose digests enter the state id.
    `reads_only`: every statement is predicted to be a read. `refused` is the first statement that
    can't run in a notebook. `needs_base`: a statement depends on the session since the base.
    `meanings`: what of it has to do with literals that a session remembers, in order.
    `roles`: a statement may change the set of roles. `scanned`: whether its steps depend on
    variables and meta-commands (see `scripts`); where they always do, `steps` is empty.
    `session` is the one that its first line names, and `cancels`: what waits there is cancelled.
    `digest` is that of its canonical text: equal for cells that mean the same. `source` is what is
    run: with its parameters set, or, with a `translation`, what the cell was translated to.
    """

    source: str
    steps: tuple[Step, ...]
    files: tuple[str, ...]
    reads_only: bool
    refused: Step | None
    needs_base: bool
    roles: bool
    scanned: scanning.Needs
    digest: str
    meanings: tuple[meanings.Use, ...] = ()
    session: str | None = None
    cancels: bool = False
    translation: dialects.Translation | None = None


class Cells(tuple[ParsedCell, ...]):
    """The cells of a notebook down to a head, and what of all of them every run asks.

    Of a tail that has thousands it is asked once: a head below it adds its own (see `below`).
    """

    @functools.cached_property
    def roles(self) -> bool:
        """Whether one may change the set of roles."""
        return any(cell.roles for cell in self)

    @functools.cached_property
    def files(self) -> tuple[str, ...]:
        """What may read a file whose digest is worked out before the plan."""
        return tuple(command for cell in self for command in cell.files)

    @functools.cached_property
    def scanned(self) -> bool:
        """Whether one may have meta-commands, or variables."""
        return any(cell.scanned != "nothing" for cell in self)

    @functools.cached_property
    def digests(self) -> tuple[str, ...]:
        """The digest of each."""
        return tuple(cell.digest for cell in self)

    def below(self, head: ParsedCell) -> Cells:
        """These with a head below them."""
        made = Cells((*self, head))
        made.__dict__.update(
            roles=self.roles or head.roles,
            files=self.files + head.files,
            scanned=self.scanned or head.scanned != "nothing",
            digests=(*self.digests, head.digest),
        )
        return made


#: A `\\copy` that may read a file: its digest is worked out before the plan.
_COPY = re.compile(r"\\copy[ \t](?P<rest>.*)$", re.MULTILINE | re.IGNORECASE)
_ROLES = re.compile(r"\b(?:role|user|group(?!\s+by\b))\b", re.IGNORECASE)
#: The line on which a cell names the session it runs in.
_SESSION = re.compile(r"\s*%%session\b(?P<rest>[^\n]*)")
_NAMED = re.compile(r"[ \t]+(?P<name>[A-Za-z_]\w{0,30})(?P<cancel>[ \t]+cancel)?\s*")


# A notebook of thousands of cells is planned at every run; only the edited cell is parsed anew.
@remembering.remembered(20_000, remembering.is_long)
def parse(source: str) -> ParsedCell:
    """Split and classify a cell. Never raises: what can't be parsed is left to the server, and what
    can't be translated, or is no parameter, is a refused step.
    """
    source = psqlscan.unmarked(source)
    header = _SESSION.match(source)
    return _in_dialect(source) if header is None else _in_session(source, header)


# As above, for a cell whose variables have been put in.
@remembering.remembered(2_000, remembering.is_long)
def plain(source: str) -> ParsedCell:
    """A text as SQL and nothing else: no line and no name in it is psql's or ours."""
    return _parse(source, "nothing")


def _in_dialect(source: str) -> ParsedCell:
    try:
        translation = dialects.to_postgres(source)
    except dialects.DialectError as failure:
        return _refused(source, failure)
    if translation is not None:
        return dataclasses.replace(_parse(translation.sql), translation=translation)
    try:
        return _parse(parameters.as_psql(source))
    except parameters.ParameterError as failure:
        return _refused(source, failure)


def _parse(source: str, scanned: scanning.Needs | None = None) -> ParsedCell:
    if scanned is None:
        scanned = scanning.needs(source) if statements.readable(source) else "nothing"
    steps: tuple[Step, ...] = ()
    always = scanned == "always"
    if not always:
        steps = tuple(
            Step(statement=statement, effect=effects.predict(statement))
            for statement in statements.split(source)
        )
    return ParsedCell(
        source=source,
        steps=steps,
        files=copied(source) if always else (),
        reads_only=not always and all(step.effect.name == "read" for step in steps),
        refused=next((step for step in steps if step.effect.refusal), None),
        needs_base=any(step.effect.binding == "base" for step in steps)
        # What is behind \gset is followed only when it is known what that gives.
        or (always and effects.names_current_value(source)),
        roles=any(step.effect.roles for step in steps) or (always and _names_roles(source)),
        scanned=scanned,
        meanings=_meanings([meanings.of_source(source)])
        if always
        else _meanings(step.effect.meanings for step in steps),
        digest=_digest([source] if always else (step.statement.canonical for step in steps)),
    )


def _in_session(source: str, header: re.Match[str]) -> ParsedCell:
    named = _NAMED.fullmatch(header["rest"])
    # Blanked, so that positions stay.
    parsed = _in_dialect(" " * header.end() + source[header.end() :])
    if named is None:
        return dataclasses.replace(
            parsed, refused=_misnamed(source, header.start("rest") - len("%%session"))
        )
    name, cancels = named["name"], named["cancel"] is not None
    return dataclasses.replace(
        parsed,
        session=name,
        cancels=cancels,
        reads_only=False,
        digest=_digest([f"%%session {name} {cancels}", parsed.digest]),
    )


def _refused(source: str, failure: dialects.DialectError | parameters.ParameterError) -> ParsedCell:
    """A cell that can't run, for what the translator says, or one of its parameters."""
    step = Step(
        statement=statements.Statement(kind="meta", text="", start=failure.start, canonical=source),
        effect=effects.Effect(
            name="write", words=frozenset(), refusal=failure.message, hint=failure.hint
        ),
    )
    return ParsedCell(
        source=source,
        steps=(step,),
        files=(),
        reads_only=False,
        refused=step,
        needs_base=False,
        roles=False,
        scanned="nothing",
        digest=_digest([source]),
    )


def _misnamed(source: str, start: int) -> Step:
    return Step(
        statement=statements.Statement(kind="meta", text=source, start=start, canonical=source),
        effect=effects.Effect(
            name="write",
            words=frozenset(),
            refusal="The cell does not name its session.",
            hint="Write %%session NAME, a word of letters and digits; %%session NAME cancel ends"
            " what that session waits for.",
        ),
    )


def copied(source: str) -> tuple[str, ...]:
    """What may be a `\\copy` in a text: as psql reads it, to the end of its line."""
    return tuple(f"\\copy {match['rest'].strip()}" for match in _COPY.finditer(source))


def _names_roles(source: str) -> bool:
    return bool(_ROLES.search(source))


def _meanings(used: Iterable[meanings.Use]) -> tuple[meanings.Use, ...]:
    return tuple(use for use in used if use is not meanings.NONE)


def _digest(texts: Iterable[str]) -> str:
    joined = "\n;\n".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()
