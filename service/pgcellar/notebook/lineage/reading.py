"""What one cell's text says by itself of what it reads and writes."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pgcellar.notebook import cells, copying, psqllex, psqlscan, psqlvars, remembering, scripts
from pgcellar.notebook.lineage import objects, uses
from pgcellar.notebook.lineage.objects import Mode, Ref, Use

#: Meta-commands that set variables; that set switches.
_SETTING = frozenset({"set", "unset", "gset"})
_SWITCHES = frozenset({"x", "timing"})
_SHOWS_CATALOG = re.compile(r"\\(?:d|l|z|sf|sv)")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CellLineage:
    """What a cell does with the objects of the database, below the cells above it.

    `reads` includes what a view, a function, a trigger or a key reads in turn, and `writes` what
    they write. `columns_read` and `columns_written` are those that could be resolved, `*` where
    all are meant and not known. `opaque`: it may read and write anything else, too. `catalog`: it
    reads anything, as a query of pg_class does. `session`: it changes settings for cells below,
    `variables`: it sets some.
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
    variables: bool = False


#: A use in the course of following links; the flags of `Use` have been acted on.
Key = tuple[Ref, Mode]
#: What was reached, and whether that is more than a guess.
Reached = dict[Key, bool]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """All that a cell reaches, with its names, what of it is written, and its lineage; some of that
    stands here, too, since it is asked for at every walk.

    `referred` is what it only names, with the types that what it creates may have, without their
    being named. `hides`: it may make definitions that no text shows.
    """

    reached: Reached
    looked_up: tuple[tuple[str, Ref, Mode], ...]
    written: tuple[tuple[str, Ref, Mode], ...]
    referred: frozenset[Ref]
    hides: bool
    opaque: bool
    catalog: bool
    lineage: CellLineage


@dataclasses.dataclass(slots=True)
class Memory:
    """What a cell was found to reach: uses, and guessed reads. `met` are the names on the way, and
    `below` stands for what was defined of each.

    `writes`: it writes something. `found` is what comes of it, by which guesses count and what may
    be meant besides; `last` is what was asked for last.
    """

    met: tuple[str, ...] | None = None
    below: tuple[int | None, ...] = ()
    kept: list[Use] = dataclasses.field(default_factory=list)
    guesses: list[Use] = dataclasses.field(default_factory=list)
    writes: bool = False
    found: dict[tuple[tuple[Use, ...], ...], Found] = dataclasses.field(default_factory=dict)
    last: tuple[tuple[Use, ...], tuple[Use, ...], Found] | None = None


class Definitions(NamedTuple):
    """The links of a name that a cell makes, what it creates under it, and what stands for both."""

    name: str
    links: Mapping[objects.Link, None]
    defines: frozenset[Ref]
    digest: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Own:
    """What a cell's text says by itself, and by the variables that are set above it.

    `named` are the objects it uses, `referred` those it refers to. `definitions` are
    those that it makes, name by name. `texts` are its SQL statements. `variables` are those
    set after it, None where they can't be told. `memory` is for `graphs`.
    """

    used: frozenset[Use]
    named: frozenset[Ref]
    referred: frozenset[Ref]
    definitions: tuple[Definitions, ...]
    transaction: bool | None
    columns: tuple[tuple[Ref, tuple[str, ...]], ...]
    texts: tuple[str, ...]
    variables: scripts.Variables | None
    memory: Memory = dataclasses.field(default_factory=Memory)


def _is_long(source: str, variables: scripts.Variables | None = ()) -> bool:
    return remembering.is_long(source)


# As `cells.parse`: of a notebook of thousands of cells only the edited one is read anew.
@remembering.remembered(20_000, _is_long)
def own(source: str, variables: scripts.Variables | None = ()) -> Own:
    """Read a cell. Never raises. `variables` are those set above it, None if nobody knows them."""
    cell = cells.parse(source)
    mentioned = cell.scanned != "nothing" and psqlvars.mentioned(cell.source)
    found: list[objects.Uses] = []
    texts: list[str] = []
    if cell.session is not None or (mentioned and variables is None):
        # Locks and transactions of other sessions; names that variables stand for.
        found.append(objects.OPAQUE)
    if mentioned:
        found.append(objects.Uses(uses=frozenset({Use(ref=objects.VARIABLES, kind="other")})))
    script = scripts.Script(cell, variables or (), _no_file)
    certain = variables is not None
    while (step := script.next()) is not None:
        found.append(_step(step))
        certain = certain and step.effect.refusal is None and step.gset is None
        if step.statement.kind == "sql":
            texts.append(step.statement.text)
    after = variables
    if cell.scanned == "always":
        commands = set(_commands(cell, variables or ()))
        if commands & _SWITCHES:
            found.append(objects.Uses(uses=frozenset({objects.SESSION_CHANGED})))
        if commands & _SETTING or not certain:
            found.append(objects.Uses(uses=frozenset({_VARIABLES_SET})))
            # Should a statement fail, none of them is set.
            after = script.frozen() if certain and not texts else None
        elif certain:
            after = script.frozen()
    used = frozenset().union(*(one.uses for one in found))
    used |= {objects.SESSION_READ} if found else set()
    transactions = [one.transaction for one in found if one.transaction is not None]
    links = tuple(dict.fromkeys(itertools.chain.from_iterable(one.links for one in found)))
    defines = tuple(sorted(use.ref for use in used if use.verb == "create"))
    return Own(
        used=used,
        named=frozenset(use.ref for use in used) - objects.SPECIAL,
        referred=frozenset(use.ref for use in used if use.mode is Mode.REFER),
        definitions=_by_name(links, defines),
        transaction=transactions[-1] if transactions else None,
        columns=tuple(itertools.chain.from_iterable(one.columns for one in found)),
        texts=tuple(texts),
        variables=after,
    )


def _by_name(links: Iterable[objects.Link], defines: Iterable[Ref]) -> tuple[Definitions, ...]:
    made: dict[str, dict[objects.Link, None]] = collections.defaultdict(dict)
    named: dict[str, set[Ref]] = collections.defaultdict(set)
    for link in links:
        made[link.of.name][link] = None
    for ref in defines:
        named[ref.name].add(ref)
    return tuple(
        Definitions(
            name=name,
            links=made.get(name, {}),
            defines=(these := frozenset(named.get(name, ()))),
            digest=hash((tuple(made.get(name, ())), these)),
        )
        for name in dict.fromkeys((*made, *named))
    )


_VARIABLES_SET = Use(ref=objects.VARIABLES, mode=Mode.CHANGE, kind="other")


def _commands(cell: cells.ParsedCell, variables: scripts.Variables) -> Iterator[str]:
    """The names of a cell's meta-commands, taken branches or not."""
    scanner = psqlscan.Scanner(cell.source)
    known = dict(variables)
    try:
        while (found := scanner.next(known)) is not None:
            if isinstance(found, psqlscan.Query):
                for _ in range(found.copies):
                    scanner.copy_data()
                if found.ending is not None:
                    yield found.ending.name
            elif isinstance(found, psqlscan.MetaCommand):
                yield found.name
    except psqllex.TooLong:
        return


def _no_file(name: str) -> psqlscan.Problem:
    return psqlscan.Problem(message=name, hint="", start=0)


def _step(step: cells.Step) -> objects.Uses:
    statement = step.statement
    if step.effect.refusal is not None:
        return objects.OPAQUE
    if step.connects:
        return dataclasses.replace(objects.CASCADING, transaction=False)
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


def found(own: Own, reaches: Iterable[Use]) -> Found:
    """What a cell reaches by these uses."""
    reached: Reached = {}
    types: set[Ref] = set()
    for use in reaches:
        if use.kind == "type":
            types.add(use.ref)
        key = use.ref, use.mode
        reached[key] = reached.get(key, False) or not use.guess
    verbs: dict[str, set[Ref]] = collections.defaultdict(set)
    for use in own.used:
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
        variables=(objects.VARIABLES, Mode.CHANGE) in reached,
    )
    looked_up = tuple((ref.name, ref, mode) for ref, mode in reached)
    return Found(
        reached=reached,
        looked_up=looked_up,
        written=tuple(one for one in looked_up if one[2] >= Mode.INSERT),
        referred=own.referred | types if verbs["create"] else own.referred,
        hides=(objects.HIDDEN, Mode.CHANGE) in reached,
        opaque=lineage.opaque,
        catalog=lineage.catalog,
        lineage=lineage,
    )
