"""State ids, and the chain of states that a notebook's cells lead through.

The chain is walked statement by statement: a state id is the hash of its parent's id, the
canonical text of one effective statement and the digest of the file it reads. What the text alone
can't tell (does `select f()` write?) is asked of `Knowledge`, which holds what was learned when
that state was last reached; where it knows nothing, the chain ends and only running goes on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import operator
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from pgcellar.notebook import cells, clocks, effects, meanings, psqlscan, scripts, statements, uses

Outcome = Literal["read", "write"]
CellEffect = Literal["none", "read", "write", "session", "pinning", "global"]

#: Changes when equal texts could lead to other states than before: it enters every base's id.
FORMAT = 3

#: The session in which cells run that name none.
MAIN = "main"

_STRENGTH = ("none", "read", "session", "pinning", "write", "global")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the catalog of one state says about which reads may write in it.

    A predicted read is *certain* when it names none of `names` (functions with side effects, and
    whatever users defined) and nothing that reads reach by themselves (`reached`: views, policies,
    operators, casts or domains that call such a function). `impure` names the functions whose
    result is not decided by state and arguments; `impure_reached`: a view or the like calls one.
    """

    names: frozenset[str] = frozenset()
    reached: bool = False
    impure: frozenset[str] = frozenset()
    impure_reached: bool = True

    def certain(self, effect: effects.Effect) -> bool:
        """Whether a predicted read can't write in this state, but for what READ ONLY refuses."""
        if self.reached or effect.words is None or not effect.read_only:
            return False
        return effect.words.isdisjoint(self.names)

    def pure(self, effect: effects.Effect) -> bool:
        """Whether the result of a predicted read is a function of this state: it can be kept."""
        if not effect.pure or self.impure_reached or not self.certain(effect):
            return False
        return effect.words is not None and effect.words.isdisjoint(self.impure)


class Knowledge(Protocol):
    """What earlier runs learned."""

    def facts(self, state: str) -> Facts | None:
        """The facts of a state, or None if it was never reached."""

    def learned(self, state: str, statement: str) -> Outcome | None:
        """What a predicted read (canonical text) turned out to be in a state, when it succeeded."""

    def values(self, state: str, statement: str) -> Mapping[str, str | None] | None:
        """What a query (canonical text) in a state gave to `\\gset`, by column."""

    def roll(self, state: str, statement: str) -> str | None:
        """The roll that a volatile statement (canonical text) in a state was frozen with."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A point of the chain: the state, and what of the way to it a snapshot does not restore.

    `definitions_volatile`: a definition above names a volatile function, so any write may be
    volatile. `texts_made`: a text that dates and times read as the clock may be among the data, and
    `texts_read`: a definition above reads texts so. `unrestorable`: a cell above left something in
    the session that can't be restored, and `from_base`: a definition above looks at all that the
    session did (`effects.Binding`). `memory`: what the session may remember. `transaction`: a cell
    above has left a transaction block open. `sessions`: a cell above has run in a session of its
    own. `variables` are psql's: they live in the client, so they say nothing of where an instance
    stands. Nor does `called`, a digest of the reads that may have called a function whose meaning
    a session remembers: it enters the state where sessions begin to differ by who called it first.
    """

    state: str
    definitions_volatile: bool = False
    texts_made: bool = False
    texts_read: bool = False
    unrestorable: bool = False
    from_base: bool = False
    memory: meanings.Memory = meanings.NOTHING
    transaction: bool = False
    sessions: bool = False
    variables: scripts.Variables = dataclasses.field(default=(), compare=False)
    called: str = dataclasses.field(default="", compare=False)

    @property
    def session_bound(self) -> bool:
        """Whether the cells below hang on more of the session than a snapshot restores."""
        return self.unrestorable or self.from_base or self.memory.differs

    def volatile(self, step: cells.Step, digest: str = "") -> bool:
        """Whether an effective statement may lead to another content each time it runs here."""
        effect = step.effect
        if effect.volatile or self.definitions_volatile or digest.endswith(clocks.MARK):
            return True
        reads = effect.reads_texts or self.texts_read
        return reads and (effect.makes_texts or self.texts_made)

    def moves(self, step: cells.Step) -> bool:
        """Whether a read moves the session on, so that what comes after it may show that it ran.

        In a transaction it takes the snapshot, it may wait, and failing it aborts, and so it may
        where there is another session; after setseed, random() goes on to the next number. What the
        session remembers of a function hangs on who called it first.
        """
        if self.transaction or self.sessions or self.memory.differs:
            return True
        return self.unrestorable and self.volatile(step)

    def after_read(self, step: cells.Step) -> Mark:
        """The mark after a read that changed nothing, but may have called a function."""
        if not self.memory.holds:
            return self
        return dataclasses.replace(self, called=next_id(self.called, step.statement.canonical))

    def _entered(self, state: str, memory: meanings.Memory) -> tuple[str, str]:
        """A state after this one, with what was called if sessions differ from there on."""
        if not self.called or not memory.differs:
            return state, self.called
        return next_id(state, self.called), ""

    def concerns_sessions(self, cell: cells.ParsedCell) -> bool:
        """Whether a cell below runs in one of several sessions; an empty one runs nowhere."""
        if cell.session is not None:
            return True
        return self.sessions and (bool(cell.steps) or cell.scanned == "always")

    def in_session(
        self, cell: cells.ParsedCell, key: str, roll: str, variables: scripts.Variables
    ) -> Mark:
        """The mark after a cell that runs in one of several sessions (see `session_key`).

        What such a cell does hangs on what the others do at the same time, so the roll of each
        execution tells it from any other.
        """
        memory = meanings.foreseen(self.memory, [cell.meanings])
        state, called = self._entered(next_id(self.state, key, roll), memory)
        return dataclasses.replace(
            self,
            state=state,
            memory=memory,
            called=called,
            sessions=True,
            variables=variables,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """One cell of the chain: from the mark before it to the one after it.

    `after` is None where only running the cell tells. `runs` says whether the cell must run on
    the way to a later one (False: it is skipped). `needs_base` says that its statements depend on
    the whole session since the base, and `calls` that a read may call functions of the user's.
    `memory` is what the session may remember behind it, and `uses` are its files, both as far as it
    could be followed.
    """

    before: Mark
    after: Mark | None
    effect: CellEffect
    runs: bool
    volatile: bool = False
    needs_base: bool = False
    calls: bool = False
    memory: meanings.Memory = meanings.NOTHING
    uses: uses.Uses = uses.NONE


def base_id(description: Mapping[str, object]) -> str:
    """The id of a base: the hash of its description (engine version, extensions, locale, …)."""
    text = json.dumps({"format": FORMAT, **description}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def next_id(parent: str, canonical: str, digest: str = "") -> str:
    """The state after one effective statement."""
    hashed = hashlib.sha256(parent.encode())
    for part in (canonical, digest):
        data = part.encode("utf-8", "surrogatepass")
        hashed.update(b"%d:" % len(data))
        hashed.update(data)
    return hashed.hexdigest()


def session_key(
    mark: Mark, cell: cells.ParsedCell, digests: Mapping[str, str], include: scripts.Include
) -> str | None:
    """By what the roll and the variables of a cell in one of several sessions are known.

    None if a variable names a file: then it is not known what the cell reads.
    """
    if scripts.included(cell.source, include) is None:
        return None
    return _session_key(mark, cell, uses.at_most(cell, mark.variables, digests, include))


def _session_key(mark: Mark, cell: cells.ParsedCell, used: uses.Uses) -> str:
    return json.dumps([cell.session or MAIN, cell.digest, mark.variables, used.read])


def advance(mark: Mark, step: cells.Step, digest: str = "", roll: str = "") -> Mark:
    """The mark after an effective statement.

    What a volatile statement gives is no function of its text: `roll`, drawn whenever it is
    executed, tells one execution from another.
    """
    effect = step.effect
    memory = _remembered(mark.memory, step)
    state = next_id(mark.state, step.statement.canonical, f"{digest} {roll}" if roll else digest)
    state, called = mark._entered(state, memory)
    return Mark(
        state=state,
        definitions_volatile=mark.definitions_volatile or (effect.volatile and effect.definition),
        texts_made=mark.texts_made or effect.makes_texts or digest.endswith(clocks.MARK),
        texts_read=mark.texts_read or (effect.reads_texts and effect.definition),
        unrestorable=mark.unrestorable or effect.binding == "pinned",
        from_base=mark.from_base or (effect.binding == "base" and effect.definition),
        memory=memory,
        transaction=mark.transaction if effect.transaction is None else effect.transaction,
        sessions=mark.sessions,
        variables=mark.variables,
        # A new session has called nothing yet.
        called="" if step.connects else called,
    )


def _remembered(memory: meanings.Memory, step: cells.Step) -> meanings.Memory:
    return memory.renewed() if step.connects else memory.after(step.effect.meanings)


def link(
    before: Mark,
    cell: cells.ParsedCell,
    digests: Mapping[str, str],
    knowledge: Knowledge,
    include: scripts.Include | None = None,
) -> Link:
    """The link of one cell, as far as knowledge reaches."""
    if before.concerns_sessions(cell):
        used = uses.at_most(cell, before.variables, digests, include or _nothing)
        key = session_key(before, cell, digests, include or _nothing)
        roll = None if key is None else knowledge.roll(before.state, key)
        held = None if key is None else knowledge.values(before.state, key)
        after = None
        if key is not None and roll is not None and held is not None:
            variables = tuple(sorted((name, value or "") for name, value in held.items()))
            after = before.in_session(cell, key, roll, variables)
        if key is not None:
            used = used.in_session(before.state, key)
        memory = meanings.foreseen(before.memory, [cell.meanings])
        return Link(
            before=before, after=after, effect="pinning", runs=True, memory=memory, uses=used
        )
    walk = _Walk(cell=cell, digests=digests, knowledge=knowledge, include=include or _nothing)
    # What a variable makes of a text is seen only while it is followed.
    writes_only = cell.scanned == "nothing" and not cell.reads_only
    followed = walk.follow(before, verify=writes_only)
    writes = followed.effect not in ("none", "read")
    if writes and not writes_only:
        # A read turned out to write, or a command came before a write; then the cell's other reads
        # decide whether it succeeds.
        followed = walk.follow(before, verify=True)
    return Link(
        before=before,
        after=followed.after,
        effect=followed.effect,
        runs=followed.runs,
        volatile=writes and followed.volatile,
        needs_base=before.from_base or cell.needs_base or followed.needs_base,
        calls=followed.calls,
        memory=followed.memory,
        uses=followed.uses,
    )


def _nothing(name: str) -> psqlscan.Problem:
    return psqlscan.Problem(
        message=f"{name} can't be read here.", hint="Save the notebook first.", start=0
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Followed:
    """Where a cell leads, None if unknown, its effect, and whether it has to run."""

    after: Mark | None
    effect: CellEffect
    runs: bool
    volatile: bool
    needs_base: bool
    calls: bool
    memory: meanings.Memory
    uses: uses.Uses


@dataclasses.dataclass(frozen=True, kw_only=True, slots=False)
class _Walk:
    """Follows one cell without running it."""

    cell: cells.ParsedCell
    digests: Mapping[str, str]
    knowledge: Knowledge
    include: scripts.Include

    def follow(self, before: Mark, *, verify: bool) -> _Followed:
        """With `verify`, every read must be known to have succeeded: one that fails would leave the
        whole cell without a trace.
        """
        used = uses.Collector(self.include, self.digests)
        # SQL alone does the same with any variables, of which there may be a thousand.
        variables = () if self.cell.scanned == "nothing" else before.variables
        script = scripts.Script(self.cell, variables, used.include)
        mark: Mark | None = before
        runs = verify
        effect: CellEffect = "none"
        volatile = needs_base = calls = False
        memory = before.memory
        while (step := script.next()) is not None:
            needs_base = needs_base or step.effect.binding == "base"
            memory = _remembered(memory, step)
            name: CellEffect = step.effect.name
            at = mark
            digest = _digest(step.statement, self.digests)
            volatile = volatile or (mark or before).volatile(step, digest)
            if mark is not None:
                calls = calls or (name == "read" and not self._certain(mark, step))
                mark, name, run = self._step(mark, step, digest, verify)
                runs = runs or run
            used.step(step, "" if mark is None else mark.state)
            effect = stronger(effect, name)
            if step.gset is not None:
                key = step.statement.canonical
                values = self.knowledge.values(at.state, key) if at is not None else None
                if values is None:
                    runs, mark = True, None
                    # What is behind it is told by the text alone.
                    memory = meanings.foreseen(memory, [self.cell.meanings])
                    break
                script.assign(step.gset, values)
        if mark is not None and not script.static:
            mark = dataclasses.replace(mark, variables=script.frozen())
        return _Followed(
            after=mark,
            effect=effect,
            runs=runs,
            volatile=volatile,
            needs_base=needs_base,
            calls=calls,
            memory=memory,
            uses=used.found(),
        )

    def _step(
        self, mark: Mark, step: cells.Step, digest: str, verify: bool
    ) -> tuple[Mark | None, CellEffect, bool]:
        """The mark after one step, its effect, and whether the cell must run for it."""
        name: CellEffect = step.effect.name
        if name == "none":
            return mark, name, False
        if name != "read":
            return _advanced(mark, step, digest, self.knowledge), name, True
        if mark.moves(step):
            return _advanced(mark, step, "", self.knowledge), "pinning", True
        outcome = self.knowledge.learned(mark.state, step.statement.canonical)
        if outcome == "write":
            return _advanced(mark, step, "", self.knowledge), "write", True
        certain = self._certain(mark, step)
        if outcome is None and (verify or not certain):
            return None, name, True
        return mark if certain else mark.after_read(step), name, False

    def _certain(self, mark: Mark, step: cells.Step) -> bool:
        facts = self.knowledge.facts(mark.state)
        return facts is not None and facts.certain(step.effect)


def _advanced(mark: Mark, step: cells.Step, digest: str, knowledge: Knowledge) -> Mark | None:
    """The mark after an effective statement, or None where only running it draws its roll."""
    if not mark.volatile(step, digest):
        return advance(mark, step, digest)
    roll = knowledge.roll(mark.state, step.statement.canonical + digest)
    return None if roll is None else advance(mark, step, digest, roll)


def stronger(one: CellEffect, other: CellEffect) -> CellEffect:
    """The stronger of two effects: a cell has that of its strongest statement."""
    return max(one, other, key=_STRENGTH.index)


def _digest(statement: statements.Statement, digests: Mapping[str, str]) -> str:
    # What the scanner refused has no text.
    return digests.get(statement.text, "") if statement.kind == "meta" and statement.text else ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Walked:
    """A walk as far as its links are known, and which of them are loose: not told by text."""

    begin: Mark
    notebook: Sequence[cells.ParsedCell]
    links: Sequence[Link]
    loose: Sequence[int]


def _read_anew(before: Mark, cell: cells.ParsedCell) -> bool:
    """Whether what the cell means depends on variables, or on files that it names by them."""
    return cell.scanned == "always" or bool(before.variables)


def _same(one: Mark | None, other: Mark | None) -> bool:
    """Whether marks are equal with what says something of the cells below alone."""
    if one is None or other is None or one != other or one.called != other.called:
        return one is other
    return one.variables is other.variables or one.variables == other.variables


def _told_by_text(before: Mark, cell: cells.ParsedCell) -> bool:
    """Whether where a cell leads depends on nothing but its text and the mark before it."""
    return not cell.files and not _read_anew(before, cell)


class Chain:
    """Walks notebooks' chains, remembering every link that is known for good.

    A link whose end is known changes only when a volatile statement is rolled again: facts and
    learned outcomes belong to a state, and a state's content does not change. So it is kept, and
    planning a long notebook costs a look-up per cell; hardly that where the last walk came by too.
    """

    #: About 200 bytes each; a variable that holds takes a third of that.
    LIMIT = 100_000

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._links: dict[tuple[Mark, str, str, str], Link] = {}
        self._taken = 0
        self._last: _Walked | None = None

    def forget(self) -> None:
        """Links may be no more true: a read taken for certain wrote, or a roll was drawn anew."""
        self._links.clear()
        self._taken = 0
        self._last = None

    def walk(
        self,
        base: str,
        notebook: Sequence[cells.ParsedCell],
        digests: Mapping[str, str],
        include: scripts.Include | None = None,
        variables: scripts.Variables = (),
    ) -> list[Link]:
        """The links from the base on, up to and including the first whose end is unknown."""
        begin = Mark(state=base, variables=variables)
        out, loose = self._common(begin, notebook, digests, include)
        mark = out[-1].after if out else begin
        for index in range(len(out), len(notebook)):
            if mark is None:
                break
            if not _told_by_text(mark, notebook[index]):
                loose.append(index)
            found = self.link(mark, notebook[index], digests, include)
            out.append(found)
            mark = found.after
        known = len(out) if mark is not None else len(out) - 1
        self._last = _Walked(
            begin=begin, notebook=notebook[:known], links=out[:known], loose=tuple(loose)
        )
        return out

    def _common(
        self,
        begin: Mark,
        notebook: Sequence[cells.ParsedCell],
        digests: Mapping[str, str],
        include: scripts.Include | None,
    ) -> tuple[list[Link], list[int]]:
        """The links that the last walk has in common with this one, and the loose ones of them."""
        last = self._last
        if last is None or not _same(last.begin, begin):
            return [], []
        differs = map(operator.is_not, last.notebook, notebook)
        most = min(len(last.notebook), len(notebook))
        count = next(itertools.compress(itertools.count(), differs), most)
        out = [*last.links[:count]]
        loose = [index for index in last.loose if index < count]
        for index in loose:
            found = self.link(out[index].before, notebook[index], digests, include)
            if not _same(found.after, out[index].after):
                return [*out[:index], found], [other for other in loose if other <= index]
            out[index] = found
        return out, loose

    def link(
        self,
        before: Mark,
        cell: cells.ParsedCell,
        digests: Mapping[str, str],
        include: scripts.Include | None = None,
    ) -> Link:
        """One link, from memory where it is known."""
        if _read_anew(before, cell):
            return link(before, cell, digests, self._knowledge, include)
        files = " ".join(digests.get(name, "") for name in cell.files) if cell.files else ""
        key = (before, before.called, cell.digest, files)
        found = self._links.get(key)
        if found is None:
            found = link(before, cell, digests, self._knowledge)
            if found.after is not None:
                if self._taken >= self.LIMIT:
                    self._links.clear()
                    self._taken = 0
                self._links[key] = found
                self._taken += 1 + len(before.variables)
        return found
