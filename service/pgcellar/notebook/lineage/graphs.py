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
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pgcellar.notebook import effects
from pgcellar.notebook.lineage import columns, objects, reading
from pgcellar.notebook.lineage.objects import Mode, Ref, Use

#: Names that PostgreSQL makes for parts of a table.
_IMPLICIT = re.compile(r".+_(?:seq|idx|key|pkey|excl|fkey|check|not_null)\d*")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
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


def of_cell(
    source: str,
    above: Sequence[str] = (),
    columns: Mapping[str, Sequence[str]] | None = None,
) -> reading.CellLineage:
    """What one cell reads and writes, below the cells `above`. Never raises.

    `columns` are those of tables by name, to resolve `*` and columns that are not qualified.
    """
    walk = _Walk()
    for text in above:
        walk.take(text)
    lineage = walk.take(source)
    found = _columns(source, columns or {})
    return dataclasses.replace(lineage, columns_read=found.read, columns_written=found.written)


def graph(sources: Sequence[str], base: Sequence[str] = ()) -> Graph:
    """The graph of a notebook. Never raises.

    `base` are SQL texts that define what the notebook starts from (a schema dump will do).
    """
    walk = _Walk()
    for text in base:
        walk.define(text)
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


def known_columns(sources: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The columns of tables that cells create, by name as typed: the last definition counts."""
    found: dict[str, tuple[str, ...]] = {}
    for source in sources:
        for ref, names in reading.own(source).columns:
            found[str(ref)] = names
        found.update(columns.of_definitions(reading.own(source).texts, found))
    return found


class _Walk:
    """Goes down the cells, with what those above have defined and written."""

    def __init__(self) -> None:
        self.edges: list[Edge] = []
        #: With what each gives in the modes met so far.
        self._links: dict[str, list[tuple[objects.Link, dict[Mode, Use | None]]]] = (
            collections.defaultdict(list)
        )
        self._linked: set[objects.Link] = set()
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
        self._open = False
        self._scripted = False
        role = Use(ref=Ref(name=effects.USER_ROLE), kind="other", guess=True)
        # "$user" stands in the default search path.
        self._link([objects.Link(of=objects.SESSION, to=role)])

    def define(self, source: str) -> None:
        """Take the definitions of a text that is no cell."""
        own = reading.own(source)
        self._link(own.links)
        self._define(own.defines)

    def take(self, source: str) -> reading.CellLineage:
        """The next cell's lineage; its edges are added."""
        own = reading.own(source)
        # Within the cell they hold from their statement on; that they are taken to hold in all of
        # it costs a dependency at worst.
        self._link(own.links)
        self._define(own.defines)
        reached = self._follow(own)
        self._scripted = self._scripted or own.scripted
        opened = own.transaction is not False and (self._open or own.transaction is True)
        unclear = (own.variables and self._scripted) or (own.used and (self._open or opened))
        if unclear:
            # In an open transaction an error undoes what other cells did.
            reached = reached | reading.keys(objects.EVERYTHING)
        self._open = opened
        self._connect(own, reached)
        self._enter(own, reached)
        self._count += 1
        return own.alone if reached is own.reached else reading.lineage_of(own.used, reached)

    def _link(self, links: Iterable[objects.Link]) -> None:
        for link in links:
            if link not in self._linked:
                self._linked.add(link)
                self._links[link.of.name].append((link, {}))

    def _define(self, refs: Iterable[Ref]) -> None:
        for ref in refs:
            self._defined[ref.name].add(ref)

    def _is_defined(self, ref: Ref) -> bool:
        return any(ref.may_be(other) for other in self._defined.get(ref.name, ()))

    def _follow(self, own: reading.Own) -> reading.Reached:
        """All that is used, by itself or through links."""
        stack = list(own.used)
        seen = set(own.used)
        kept: list[Use] = []
        more = False
        while stack:
            use = stack.pop()
            if _unclear(use) and not self._is_defined(use.ref):
                stack += _unknown(use)
                more = True
            if not use.guess or use.mode is not Mode.READ:
                kept.append(use)
            elif self._named(use.ref):
                kept.append(use)
                more = True
            if use.ref.name in self._links:
                for to in self._through(use):
                    if to not in seen:
                        seen.add(to)
                        stack.append(to)
                        more = more or not to.guess or to.mode is not Mode.READ
        return reading.keys(kept) if more else own.reached

    def _named(self, ref: Ref) -> bool:
        """Whether a guessed name is one that a cell has used for sure."""
        return ref.name in self._writers or ref.name in self._referrers

    def _through(self, use: Use) -> Iterator[Use]:
        for link, known in self._links[use.ref.name]:
            if link.of.may_be(use.ref):
                if use.mode not in known:
                    known[use.mode] = _linked(link, use.mode)
                to = known[use.mode]
                if to is not None:
                    yield to

    def _connect(self, own: reading.Own, reached: reading.Reached) -> None:
        """Add the edges to the cell: those through what it names, and of others those needed."""
        through: dict[int, set[Ref]] = {}
        if self._opaque is not None and reached:
            through[self._opaque] = set()
        if any(ref == objects.ANYTHING for ref, _ in reached):
            through.update((source, set()) for source in self._acting)
        for ref, mode in reached:
            for source in self._sources(ref, mode):
                through.setdefault(source, set()).update([] if ref in objects.SPECIAL else [ref])
        named = {use.ref for use in own.used}
        above = 0
        found = []
        for source in sorted(through, reverse=True):
            refs = through[source]
            if above >> source & 1 and named.isdisjoint(refs):
                continue
            above |= self._above[source] | 1 << source
            found.append(Edge(source=source, target=self._count, through=frozenset(refs)))
        self._above.append(above)
        self.edges += reversed(found)

    def _sources(self, ref: Ref, mode: Mode) -> Iterator[int]:
        for other, writer in self._writers.get(ref.name, {}).items():
            if ref.may_be(other):
                yield writer
        if mode is Mode.DEFINE:
            for other, referrers in self._referrers.get(ref.name, {}).items():
                if ref.may_be(other):
                    yield from referrers

    def _enter(self, own: reading.Own, reached: reading.Reached) -> None:
        """What the cell does, for those below."""
        if (objects.ANYTHING, Mode.CHANGE) in reached:
            # It depends on all above, so those below reach them through it.
            self._opaque = self._count
            self._writers.clear()
            self._referrers.clear()
            self._acting = []
            return
        referred = {use.ref for use in own.used if use.mode is Mode.REFER}
        written = [key for key in reached if key[1] >= Mode.INSERT]
        if referred or written:
            self._acting.append(self._count)
        for ref, mode in written:
            self._writers[ref.name][ref] = self._count
            if mode is Mode.DEFINE:
                # It depends on those that refer to it, so those below reach them through it.
                self._referrers[ref.name].pop(ref, None)
        for ref in referred:
            self._referrers[ref.name].setdefault(ref, set()).add(self._count)


def _linked(link: objects.Link, mode: Mode) -> Use | None:
    """What who uses the link's object in a mode uses as well."""
    if mode in (Mode.REFER, Mode.DEFINE):
        # Nothing is run, but it may fail for what is linked.
        if link.low is not Mode.READ:
            return None
        return dataclasses.replace(link.to, mode=mode if link.same else Mode.REFER, call=False)
    if mode < link.low:
        return None
    return dataclasses.replace(link.to, mode=mode) if link.same else link.to


def _unclear(use: Use) -> bool:
    """Whether a use may mean more than its name, unless a cell defines it."""
    implicit = use.kind == "relation" and not use.guess
    return use.call or (implicit and _IMPLICIT.fullmatch(use.ref.name) is not None)


def _unknown(use: Use) -> list[Use]:
    """What a name may do that no cell has defined."""
    if use.call or use.mode >= Mode.INSERT:
        return list(objects.EVERYTHING)
    return [objects.CATALOG]


def _columns(source: str, known: Mapping[str, Sequence[str]]) -> columns.Columns:
    read: set[Ref] = set()
    written: set[Ref] = set()
    for text in reading.own(source).texts:
        found = columns.of_statement(text, known)
        read |= found.read
        written |= found.written
    return columns.Columns(read=frozenset(read), written=frozenset(written))
