"""The planner: how far a notebook's chain of states is known, and where a run of it starts."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence

from pgcellar.api import errors, records
from pgcellar.notebook import binding, cells, meanings, states
from pgcellar.runner import (
    files,
    gates,
    instances,
    planning,
    purity,
    roundtrips,
    running,
    switching,
    workspace,
)

#: Steps of a plan that are told of before others have their turn: it may have thousands.
_AT_ONCE = 100
_CHANGES_NOTHING = ("none", "read")


class Planner:
    """Plans the run of one request; asks no server."""

    def __init__(
        self,
        request: records.RunRequest,
        space: workspace.Workspace,
        opener: files.Files,
        parsed: cells.Cells,
    ) -> None:
        self._request = request
        self._space = space
        self._files = opener
        self._notebook = space.notebook(request.notebook)
        self._cells = request.cells[: request.head + 1]
        self._parsed = parsed
        self._variables = tuple(sorted(request.parameters.items()))
        named = frozenset(request.reroll)
        #: Cells that are still to be rolled again.
        self.reroll = {i for i, cell in enumerate(self._cells) if cell.id in named}
        #: How long it took so far.
        self.ms = 0.0

    async def plan(self) -> records.Plan:
        """What a run would do, without doing it."""
        begin = time.perf_counter()
        context = await self.context()
        links, start = self.walk(context)
        told = _told(links[-1].before, self._parsed[len(links) - 1 :], context.digests)
        # Of the first of them more is known than its text says.
        next(told)
        steps = []
        for index, cell in enumerate(self._cells):
            if index % _AT_ONCE == 0:
                await asyncio.sleep(0)
            link = links[index] if index < len(links) else None
            effect, volatile = next(told) if link is None else (link.effect, link.volatile)
            source, reason = self._foresee(index, link, start.index)
            steps.append(
                records.PlanStep(
                    id=cell.id,
                    state=link.after.state if link is not None and link.after else None,
                    effect=effect,
                    source=source,
                    reason=reason,
                    volatile=volatile,
                    input=None
                    if link is None
                    else self._space.outcome_key(link, self._parsed[index], context.include),
                )
            )
        problem = self.unwritten(links, context)
        if problem is not None:
            # Only when the file was written it is known what they read.
            rest = range(problem.index, len(steps))
            steps[problem.index :] = [dataclasses.replace(steps[i], input=None) for i in rest]
        elif self.remembered(links, start, context) is not None:
            steps[-1] = dataclasses.replace(
                steps[-1], source="hit", reason="it ran in this state before"
            )
        elif self._request.rerun and steps[-1].volatile:
            # It is rolled again.
            steps[-1] = dataclasses.replace(steps[-1], state=None)
        missed = next((i for i, step in enumerate(steps[:-1]) if step.source == "replayed"), None)
        return records.Plan(
            steps=tuple(steps),
            first_miss=None if missed is None else self._why(missed),
            planning_ms=round((time.perf_counter() - begin) * 1000, 3),
        )

    async def above(self) -> tuple[str, int]:
        """The nearest state above the head that is kept, and how many cells are between them."""
        links, _ = self.walk(await self.context())
        tail = len(self._cells) - 1
        known = planning.Marks(self.base(), links[:tail])
        for index in range(len(known) - 1, 0, -1):
            if self._space.snapshots.find(known[index].state) is not None:
                return known[index].state, tail - index
        return known[0].state, tail

    async def standing(self) -> gates.Standing | None:
        """Where the head would begin; None where only running the tail tells.

        Raises NoPages where the head's results are no functions of the state.
        """
        parsed = self._parsed[-1]
        reason = purity.by_text(parsed)
        if reason is None or parsed.scanned != "nothing":
            context = await self.context()
            links, _ = self.walk(context)
            if len(links) < len(self._cells):
                return None
            before = links[-1].before
            facts = self._space.knowledge.facts(before.state)
            if facts is None and not before.transaction and not before.sessions:
                return None
            bound = binding.bound(parsed, before.variables)
            reason = purity.reason(before, bound, facts)
            key = self._space.result_key(links[-1], parsed, context.include)
            if key is not None:
                events = self._space.remembered(links[-1], parsed, self._request, context.include)
                return gates.Standing(state=before.state, key=key, head=bound, events=events)
        raise errors.NoPages(
            f"Cell {self._cells[-1].id} has no pages: {reason}.",
            hint="Make what it gives a table, by CREATE TABLE … AS in a cell of its own, and page"
            " through that: select * from it.",
        )

    async def context(self) -> running.Context:
        """What the cells run with; reads the digests of their files."""
        digests = files.Digests(self._files, self._request.directory)
        for command in self._parsed.files:
            await asyncio.to_thread(digests.get, command)
        return running.Context(
            knowledge=self._space.knowledge,
            files=self._files,
            directory=self._request.directory,
            digests=digests,
            roles=self._space.switch.roles,
            attributes=self._space.attributes,
        )

    def walk(self, context: running.Context) -> tuple[list[states.Link], planning.Start]:
        """The chain as far as it is known, and where to start."""
        begin = time.perf_counter()
        links = self._space.chain.walk(
            self._space.snapshots.base,
            self._parsed,
            context.digests,
            context.include,
            self._variables,
        )
        rolled = next(
            (i for i in sorted(self.reroll) if i < len(links) and links[i].volatile), None
        )
        if rolled is not None:
            # Where it leads now is no more where it will.
            links = [*links[:rolled], dataclasses.replace(links[rolled], after=None)]
        tail = links[: len(self._cells) - 1]
        known = planning.Marks(self.base(), tail)
        rest = self._parsed[len(known) - 1 :]
        memory, needs_base = known[-1].memory, any(parsed.needs_base for parsed in rest)
        if len(known) <= len(links):
            # Of the first of them more is known than its text says.
            first, rest = links[len(known) - 1], rest[1:]
            memory, needs_base = first.memory, needs_base or first.needs_base
        memory = meanings.foreseen(memory, (parsed.meanings for parsed in rest))
        start = planning.choose(
            known,
            tail,
            needs_base=needs_base,
            remembers=memory.differs,
            live=lambda mark, base: self._notebook.live(mark, base) is not None,
            kept=self._clone_ms,
            cost=lambda index: self._space.cost(known[index].state, self._parsed[index]),
        )
        self.ms += (time.perf_counter() - begin) * 1000
        return links, start

    def unwritten(
        self, links: Sequence[states.Link], context: running.Context
    ) -> roundtrips.Problem | None:
        """The first cell that reads a file which one above it writes, and has not written now."""
        if not self._parsed.scanned:
            return None
        return roundtrips.find(
            context.files, context.directory, context.knowledge, links, self._cells
        )

    def base(self) -> states.Mark:
        """Where the notebook begins."""
        return states.Mark(state=self._space.snapshots.base, variables=self._variables)

    def find(
        self, links: Sequence[states.Link], start: planning.Start
    ) -> tuple[states.Mark, instances.Instance | None, switching.RoleSet]:
        """The mark where a plan starts, the instance that stands there, if one does, its roles."""
        mark = planning.Marks(self.base(), links)[start.index]
        if start.live:
            found = self._notebook.live(mark, start.needs_base) or self._notebook.live(mark, False)
            if found is not None:
                # The variables live here; the instance may have stood in another notebook's text.
                found.mark = mark
                return mark, found, found.roles
        snapshot = self._space.snapshots.find(mark.state)
        return mark, None, snapshot.session.get("roles") if snapshot is not None else None

    def remembered(
        self, links: Sequence[states.Link], start: planning.Start, context: running.Context
    ) -> list[records.Event] | None:
        """The events of a head that need not run: it ran in this state before.

        Not when a rerun is asked for; nor if a volatile cell would have to be replayed to get
        where it led, since then the database would not hold what its results said.
        """
        if self._request.rerun or len(links) < len(self._cells):
            return None
        link = links[-1]
        if link.after is None or link.after.sessions:
            return None
        if link.uses.written:
            # Whoever runs it wants its file.
            return None
        if not link.runs and not self._space.pure(link.before, self._parsed[-1]):
            # What was kept under other rules, by another version, say.
            return None
        reached = (
            self._space.snapshots.find(link.after.state) is not None
            or self._notebook.live(link.after, False) is not None
        )
        if not reached and not planning.replayable(links, start.index):
            return None
        return self._space.remembered(link, self._parsed[-1], self._request, context.include)

    def _foresee(
        self, index: int, link: states.Link | None, start: int
    ) -> tuple[records.Source, str]:
        if index == len(self._cells) - 1:
            return "head", "the cell to run"
        if index in self.reroll and link is not None and link.volatile:
            return "replayed", "it is rolled again"
        if link is None or (link.after is None and self._unreached(link.before)):
            if self._parsed[index].reads_only:
                return "skipped", "it reads, as far as its text tells"
            return "replayed", self._why(index)
        if not link.runs:
            return "skipped", "it changes nothing"
        if index < start:
            return "hit", "its state is kept"
        return "replayed", self._why(index)

    def _unreached(self, mark: states.Mark) -> bool:
        return self._space.knowledge.facts(mark.state) is None

    def _why(self, missed: int) -> str:
        before = self._space.knowledge.chain(self._request.notebook)
        return planning.why(self._cells, self._parsed, before, missed)

    def _clone_ms(self, state: str) -> float | None:
        snapshot = self._space.snapshots.find(state)
        return None if snapshot is None else self._space.snapshots.clone_ms(snapshot.bytes)


def _told(
    mark: states.Mark, notebook: Sequence[cells.ParsedCell], digests: Mapping[str, str]
) -> Iterator[tuple[records.EffectName, bool]]:
    """What cells from a mark on do, and whether it is volatile, as far as texts tell."""
    for cell in notebook:
        if mark.concerns_sessions(cell):
            mark = dataclasses.replace(mark, sessions=True)
            yield "pinning", False
            continue
        volatile = False
        for step in cell.steps:
            digest = digests.get(step.statement.text, "")
            volatile = volatile or mark.volatile(step, digest)
            if step.effect.name not in _CHANGES_NOTHING:
                # For what it says of those below: it is no state's, since no roll is drawn.
                mark = states.advance(mark, step, digest)
        effect = predicted(cell)
        yield effect, volatile and effect not in _CHANGES_NOTHING


def predicted(parsed: cells.ParsedCell) -> records.EffectName:
    """What a cell does, as far as its text tells."""
    effect: records.EffectName = "none"
    for step in parsed.steps:
        effect = states.stronger(effect, step.effect.name)
    return effect
