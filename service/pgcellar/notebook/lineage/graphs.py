"""The graph of a notebook's cells: which depends on which, and what a change can affect.

Tables and other objects come from PostgreSQL's own grammar (`uses`), which misreads no text that
the server takes; the tolerant sqlglot only resolves columns (`columns`), on which no dependency
rests: a wrong column is a wrong label, a missed table would be a wrong answer.

The graph is conservative. Objects are told apart by name alone, links (views, triggers, foreign
keys, function bodies …) are never forgotten once a cell has made them, and a cell that can't be
understood depends on all above it and all below depend on it. What the base holds is unknown
unless its definitions are given: a base's own views, triggers and keys then count as well.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pgcellar.notebook import effects, scripts
from pgcellar.notebook.lineage import columns, objects, reading
from pgcellar.notebook.lineage.objects import Mode, Ref, Use

_NOTHING = reading.CellLineage()
#: Names that PostgreSQL makes for parts of a table.
_IMPLICIT = re.compile(r".+_(?:seq|idx|key|pkey|excl|fkey|check|not_null)\d*")


class Edge(NamedTuple):
    """The cell at index `target` depends on the one at `source` through these objects.

    `through` is empty where one of both can't be understood, or the session carries it.
    """

    source: int
    target: int
    through: frozenset[Ref]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """A notebook's cells and the edges between them, each from an earlier to a later cell.

    An edge comes from the last cell that wrote an object; earlier ones reach through that one. Of
    those through objects that the cell does not name itself only those stand that are needed.
    """

    cells: tuple[reading.CellLineage, ...]
    edges: tuple[Edge, ...]


def graph(sources: Sequence[str], base: Sequence[str] = ()) -> Graph:
    """The graph of a notebook. Never raises.

    `base` are SQL texts that define what the notebook starts from (a schema dump will do).
    """
    walk = _Walk()
    for text in base:
        walk.stand_on(text)
    return Graph(cells=tuple([walk.take(source) for source in sources]), edges=tuple(walk.edges))


def affected(of: Graph, index: int) -> tuple[int, ...]:
    """The indices of later cells whose result may change when the cell at `index` is deleted.

    Replacing a cell is deleting it and inserting another: then those count that are affected in
    the graph before or in the one after. Raises IndexError where there is no such cell.
    """
    if not 0 <= index < len(of.cells):
        raise IndexError(index)
    reached = {index}
    # Edges stand in the order of their targets, so one pass reaches all.
    for edge in of.edges:
        if edge.source in reached:
            reached.add(edge.target)
    return tuple(sorted(reached - {index}))


def labelled(of: Graph, sources: Sequence[str], base: Sequence[str] = ()) -> Graph:
    """The graph with the columns that each cell of `sources` reads and writes. Never raises."""
    columns_of: dict[str, tuple[str, ...]] = {}
    variables: scripts.Variables | None = ()
    out = []
    for cell, source in zip([*[_NOTHING] * len(base), *of.cells], [*base, *sources], strict=True):
        read: set[Ref] = set()
        written: set[Ref] = set()
        own = reading.own(source, variables)
        variables = own.variables
        columns_of.update((str(ref), names) for ref, names in own.columns)
        columns_of.update(columns.of_definitions(own.texts, columns_of))
        for text in own.texts:
            found = columns.of_statement(text, columns_of)
            read |= found.read
            written |= found.written
        out.append(
            dataclasses.replace(
                cell, columns_read=frozenset(read), columns_written=frozenset(written)
            )
        )
    return dataclasses.replace(of, cells=tuple(out[len(base) :]))


# --- cells below each other ---


class _Walk:
    """Goes down the cells, with what those above have defined and written."""

    def __init__(self) -> None:
        self.edges: list[Edge] = []
        #: By the name that they are of; a dictionary for its order.
        self._links: dict[str, dict[objects.Link, None]] = collections.defaultdict(dict)
        self._defined: dict[str, set[Ref]] = collections.defaultdict(set)
        #: Last cell that wrote an object, and all that refer to it, by its name.
        self._writers: dict[str, dict[Ref, int]] = collections.defaultdict(dict)
        self._referrers: dict[str, dict[Ref, set[int]]] = collections.defaultdict(dict)
        #: Cells that do more than read, since (and with) the last that may do anything.
        self._acting: list[int] = []
        self._opaque: int | None = None
        #: Of each cell those that it depends on, a bit each.
        self._above: list[int] = []
        self._count = 0
        #: Stand for the links and definitions of a name so far: equal where they are.
        self._known: dict[str, int] = {}
        self._open = False
        self._variables: scripts.Variables | None = ()
        #: Whether there may be definitions of which nothing is known.
        self._hidden = False
        role = Use(ref=Ref(name=effects.USER_ROLE), kind="other", guess=True)
        # "$user" stands in the default search path.
        self._links[objects.SESSION.name][objects.Link(of=objects.SESSION, to=role)] = None

    def define(self, source: str) -> reading.Own:
        """Take the definitions of a text, which is no cell or the next one."""
        own = reading.own(source, self._variables)
        self._variables = own.variables
        for name, links, defines, digest in own.definitions:
            self._known[name] = hash((self._known.get(name), digest))
            if links:
                self._links[name].update(links)
            if defines:
                self._defined[name].update(defines)
        return own

    def stand_on(self, source: str) -> None:
        """Take a text that the notebook starts from."""
        own = self.define(source)
        kept, _ = self._follow(own)
        self._hidden = self._hidden or any(use.ref == objects.HIDDEN for use in kept)

    def take(self, source: str) -> reading.CellLineage:
        """The next cell's lineage; its edges are added."""
        # Within the cell they hold from their statement on; that they are taken to hold in all of
        # it costs a dependency at worst.
        own = self.define(source)
        opened = own.transaction is not False and (self._open or own.transaction is True)
        if own.used:
            # In an open transaction an error undoes what other cells did.
            found = self._found(own, unclear=self._open or opened)
            self._connect(own, found)
            self._enter(found)
            lineage = found.lineage
        else:
            self._above.append(0)
            lineage = _NOTHING
        self._open = opened
        self._count += 1
        return lineage

    def _found(self, own: reading.Own, *, unclear: bool) -> reading.Found:
        """All that a cell reaches. It is remembered for as long as nothing above defines anything
        else that it came by, so that after an edit little is followed anew.
        """
        memory = own.memory
        if memory.met is None or memory.below != tuple(map(self._known.get, memory.met)):
            memory.kept, memory.guesses = self._follow(own)
            memory.met = tuple({use.ref.name for use in (*memory.kept, *memory.guesses)})
            memory.below = tuple(map(self._known.get, memory.met))
            memory.writes = any(
                use.mode >= Mode.INSERT and use.ref not in objects.SPECIAL for use in memory.kept
            )
            memory.found.clear()
            memory.last = None
        guessed: tuple[Use, ...] = ()
        if memory.guesses:
            # Guessed names count if a cell has used them for sure.
            named, also = self._writers, self._referrers
            guessed = tuple(
                [u for u in memory.guesses if u.ref.name in named or u.ref.name in also]
            )
        more: tuple[Use, ...] = ()
        if unclear or (self._hidden and memory.writes):
            more = objects.EVERYTHING
        elif self._hidden and own.named:
            more = (objects.CATALOG,)
        # Mostly as it was, and comparing what is the same object is faster than hashing it.
        if memory.last is None or memory.last[0] != guessed or memory.last[1] != more:
            found = memory.found.get((guessed, more))
            if found is None:
                found = reading.found(own, (*memory.kept, *guessed, *more))
                memory.found[guessed, more] = found
            memory.last = guessed, more, found
        return memory.last[2]

    def _is_defined(self, ref: Ref) -> bool:
        return any(ref.may_be(other) for other in self._defined.get(ref.name, ()))

    def _follow(self, own: reading.Own) -> tuple[list[Use], list[Use]]:
        """All that is used, by itself or through links; and what is guessed to be read."""
        stack = list(own.used)
        seen = set(own.used)
        kept: list[Use] = []
        guesses: list[Use] = []
        while stack:
            use = stack.pop()
            if _unclear(use) and not self._is_defined(use.ref):
                stack += _unknown(use)
            (guesses if use.guess and use.mode is Mode.READ else kept).append(use)
            if use.ref.name in self._links:
                for to in self._through(use):
                    if to not in seen:
                        seen.add(to)
                        stack.append(to)
        return kept, guesses

    def _through(self, use: Use) -> Iterator[Use]:
        for link in self._links[use.ref.name]:
            if link.of.may_be(use.ref):
                to = _linked(link, use.mode)
                if to is not None:
                    yield to

    def _connect(self, own: reading.Own, found: reading.Found) -> None:
        """Add the edges to the cell: those through what it names, and of others those needed."""
        through: dict[int, set[Ref]] = {}
        if self._opaque is not None and found.reached:
            through[self._opaque] = set()
        if found.catalog:
            through.update((source, set()) for source in self._acting)
        writers, referrers = self._writers, self._referrers
        for name, ref, mode in found.looked_up:
            if name in writers:
                for other, source in writers[name].items():
                    if ref.may_be(other):
                        _note(through, source, ref)
            if mode is Mode.DEFINE and name in referrers:
                for other, sources in referrers[name].items():
                    if ref.may_be(other):
                        for source in sources:
                            _note(through, source, ref)
        if not through:
            self._above.append(0)
            return
        above = 0
        edges = []
        for source in sorted(through, reverse=True) if len(through) > 1 else through:
            refs = through[source]
            if above >> source & 1 and own.named.isdisjoint(refs):
                continue
            above |= self._above[source] | 1 << source
            edges.append(Edge(source, self._count, frozenset(refs)))
        self._above.append(above)
        self.edges += reversed(edges)

    def _enter(self, found: reading.Found) -> None:
        """What the cell does, for those below."""
        self._hidden = self._hidden or found.hides
        if found.opaque:
            # It depends on all above, so those below reach them through it.
            self._opaque = self._count
            self._writers.clear()
            self._referrers.clear()
            self._acting = []
            return
        if not found.referred and not found.written:
            return
        self._acting.append(self._count)
        count, writers, referrers = self._count, self._writers, self._referrers
        for name, ref, mode in found.written:
            writers[name][ref] = count
            if mode is Mode.DEFINE and name in referrers:
                # It depends on those that refer to it, so those below reach them through it.
                referrers[name].pop(ref, None)
        for ref in found.referred:
            referrers[ref.name].setdefault(ref, set()).add(count)


def _note(through: dict[int, set[Ref]], source: int, ref: Ref) -> None:
    """An edge from a cell, through an object if it has a name."""
    refs = through.get(source)
    if refs is None:
        refs = through[source] = set()
    if ref.name:
        refs.add(ref)


@functools.lru_cache(maxsize=100_000)
def _linked(link: objects.Link, mode: Mode) -> Use | None:
    """What who uses the link's object in a mode uses as well."""
    if mode in (Mode.REFER, Mode.DEFINE):
        # Nothing is run, but it may fail for what is linked.
        if link.low is not Mode.READ:
            return None
        return link.to._replace(mode=mode if link.same else Mode.REFER, call=False)
    if mode < link.low:
        return None
    return link.to._replace(mode=mode) if link.same else link.to


def _unclear(use: Use) -> bool:
    """Whether a use may mean more than its name, unless a cell defines it."""
    implicit = use.kind == "relation" and not use.guess
    return use.call or (implicit and _IMPLICIT.fullmatch(use.ref.name) is not None)


def _unknown(use: Use) -> list[Use]:
    """What a name may do that no cell has defined."""
    if use.call or use.mode >= Mode.INSERT:
        return list(objects.UNKNOWN if use.call else objects.EVERYTHING)
    return [objects.CATALOG]
