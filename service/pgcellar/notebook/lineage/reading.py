"""What one cell's text says by itself of what it reads and writes."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import re
from collections.abc import Iterable, Iterator

from pgcellar.notebook import cells, copying, psqlscan, psqlvars, scripts
from pgcellar.notebook.lineage import objects, uses
from pgcellar.notebook.lineage.objects import Mode, Ref, Use

#: Meta-commands that neither set a variable nor decide what runs; the last two are switches.
_HARMLESS = re.compile(
    r"d[A-Za-z]*[S+]*|l\+?|list\+?|zS?|s[fv]\+?|h|help|\?|conninfo|echo|qecho|warn|copy|gx?"
    r"|x|timing"
)
_SWITCHES = frozenset({"x", "timing"})
_SHOWS_CATALOG = re.compile(r"\\(?:d|l|z|sf|sv)")
_CONDITIONAL = re.compile(r"\\(?:if|elif|else|endif)\b")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CellLineage:
    """What a cell does with the objects of the database, below the cells above it.

    `reads` includes what a view, a function, a trigger or a key reads in turn, and `writes` what
    they write. `columns_read` and `columns_written` are those that could be resolved, `*` where
    all are meant and not known. `opaque`: it may read and write anything else, too. `catalog`: it
    reads anything, as a query of pg_class does. `session`: it changes settings for cells below.
    """

    reads: frozenset[Ref] = frozenset()
    writes: frozenset[Ref] = frozenset()
    creates: frozenset[Ref] = frozenset()
    alters: frozenset[Ref] = frozenset()
    drops: frozenset[Ref] = frozenset()
    columns_read: frozenset[Ref] = frozenset()
    columns_written: frozenset[Ref] = frozenset()
    opaque: bool = False
    catalog: bool = False
    session: bool = False


#: A use in the course of following links; the flags of `Use` have been acted on.
Key = tuple[Ref, Mode]
#: What was reached, and whether that is more than a guess.
Reached = dict[Key, bool]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """All that a cell reaches, what of it is written, and its lineage."""

    reached: Reached
    written: tuple[Key, ...]
    lineage: CellLineage


@dataclasses.dataclass(slots=True)
class Memory:
    """What a cell was found to reach, below what definitions: uses, and guessed reads.

    `found` is what comes of it, by which guesses count and whether anything else may be meant.
    """

    below: int | None = None
    kept: list[Use] = dataclasses.field(default_factory=list)
    guesses: list[Use] = dataclasses.field(default_factory=list)
    found: dict[tuple[tuple[Use, ...], bool], Found] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Own:
    """What a cell's text says by itself.

    `named` are the objects it uses, `referred` those it refers to. `definitions` is equal for
    cells with equal `links` and `defines`. `scripted`: it may set psql's variables; `variables`: it
    may refer to them. `texts` are its SQL statements. `memory` is for `graphs`.
    """

    used: frozenset[Use]
    named: frozenset[Ref]
    referred: frozenset[Ref]
    links: tuple[objects.Link, ...]
    defines: tuple[Ref, ...]
    transaction: bool | None
    columns: tuple[tuple[Ref, tuple[str, ...]], ...]
    texts: tuple[str, ...]
    scripted: bool
    variables: bool
    definitions: int
    memory: Memory = dataclasses.field(default_factory=Memory)


# As `cells.parse`: of a notebook of thousands of cells only the edited one is read anew.
@functools.lru_cache(maxsize=20_000)
def own(source: str) -> Own:
    """Read a cell. Never raises."""
    cell = cells.parse(source)
    text = cell.source
    found: list[objects.Uses] = []
    texts: list[str] = []
    scripted = False
    steps: Iterable[cells.Step] = cell.steps
    if cell.scanned == "always":
        steps = _steps(cell)
        commands = set(_commands(text))
        scripted = not all(_HARMLESS.fullmatch(name) for name in commands)
        if scripted or _CONDITIONAL.search(text):
            found.append(objects.OPAQUE)
        if commands & _SWITCHES:
            found.append(objects.Uses(uses=frozenset({objects.SESSION_CHANGED})))
    for step in steps:
        found.append(_step(step))
        if step.statement.kind == "sql":
            texts.append(step.statement.text)
    used = frozenset().union(*(one.uses for one in found))
    used |= {objects.SESSION_READ} if found else set()
    transactions = [one.transaction for one in found if one.transaction is not None]
    links = tuple(dict.fromkeys(itertools.chain.from_iterable(one.links for one in found)))
    defines = tuple(sorted(use.ref for use in used if use.verb == "create"))
    return Own(
        used=used,
        named=frozenset(use.ref for use in used) - objects.SPECIAL,
        referred=frozenset(use.ref for use in used if use.mode is Mode.REFER),
        links=links,
        defines=defines,
        definitions=hash((links, defines)),
        transaction=transactions[-1] if transactions else None,
        columns=tuple(itertools.chain.from_iterable(one.columns for one in found)),
        texts=tuple(texts),
        scripted=scripted,
        variables=cell.scanned != "nothing" and psqlvars.mentioned(text),
    )


def _commands(source: str) -> Iterator[str]:
    """The names of a cell's meta-commands, but for those in branches that aren't taken."""
    scanner = psqlscan.Scanner(source)
    while (found := scanner.next({})) is not None:
        if isinstance(found, psqlscan.Query):
            for _ in range(found.copies):
                scanner.copy_data()
            if found.ending is not None:
                yield found.ending.name
        elif isinstance(found, psqlscan.MetaCommand):
            yield found.name


def _steps(cell: cells.ParsedCell) -> Iterator[cells.Step]:
    """The steps of a cell with meta-commands where no variable is set."""
    script = scripts.Script(cell, (), _no_file)
    while (step := script.next()) is not None:
        yield step


def _no_file(name: str) -> psqlscan.Problem:
    return psqlscan.Problem(message=name, hint="", start=0)


def _step(step: cells.Step) -> objects.Uses:
    statement = step.statement
    if step.effect.refusal is not None or step.gset is not None:
        return objects.OPAQUE
    if statement.kind == "sql":
        return uses.of_statement(statement.text)
    if step.says is not None:
        return objects.Uses()
    if _SHOWS_CATALOG.match(statement.text):
        return objects.Uses(uses=frozenset({objects.CATALOG}))
    command = copying.parse(statement.text)
    if isinstance(command, copying.Refusal):
        return objects.OPAQUE if statement.text.startswith("\\copy") else objects.Uses()
    moved = uses.of_statement(command.sql)
    files = Use(ref=objects.FILES, mode=Mode.CHANGE if command.out else Mode.READ, kind="other")
    return dataclasses.replace(moved, uses=moved.uses | {files})


def found(used: frozenset[Use], reaches: Iterable[Use]) -> Found:
    """What a cell reaches that uses these objects itself."""
    reached: Reached = {}
    for use in reaches:
        key = use.ref, use.mode
        reached[key] = reached.get(key, False) or not use.guess
    verbs: dict[str, set[Ref]] = collections.defaultdict(set)
    for use in used:
        if use.mode is Mode.DEFINE and use.verb is not None:
            verbs[use.verb].add(use.ref)
    shown = [key for key, sure in reached.items() if sure and key[0] not in objects.SPECIAL]
    lineage = CellLineage(
        reads=frozenset(ref for ref, mode in shown if mode in (Mode.READ, Mode.REFER)),
        writes=frozenset(ref for ref, mode in shown if mode in (Mode.INSERT, Mode.CHANGE)),
        creates=frozenset(verbs["create"]),
        alters=frozenset(verbs["alter"]),
        drops=frozenset(verbs["drop"]),
        opaque=(objects.ANYTHING, Mode.CHANGE) in reached,
        catalog=any(ref == objects.ANYTHING for ref, _ in reached),
        session=(objects.SESSION, Mode.CHANGE) in reached,
    )
    written = tuple(key for key in reached if key[1] >= Mode.INSERT)
    return Found(reached=reached, written=written, lineage=lineage)
