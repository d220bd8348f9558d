"""Plans: where in a chain a run starts, and what it does with every cell from there. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from pgcellar.api import records
from pgcellar.notebook import cells, states

#: What replaying a cell is taken to cost where it has not been measured: a clone is the safer bet.
UNKNOWN_MS = 1000.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Where a run starts: before the cell at `index`, on a live instance or on a new clone.

    `needs_base`: its session must be that which ran all since the base. `whole`: from there on it
    must be one, and run all that may call a function.
    """

    index: int
    live: bool
    replay_ms: float
    needs_base: bool = False
    whole: bool = False


class Marks:
    """The known marks of a chain: before the first cell, and after each one.

    No list, since a plan looks at a few of thousands. Only the last link's end may be unknown.
    """

    def __init__(self, base: states.Mark, links: Sequence[states.Link]) -> None:
        self._base = base
        self._links = links
        self._count = 1 + len(links) - (1 if links and links[-1].after is None else 0)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> states.Mark:
        index = range(self._count)[index]
        after = self._links[index - 1].after if index else self._base
        assert after is not None
        return after


def choose(
    known: Marks,
    links: Sequence[states.Link],
    *,
    needs_base: bool,
    remembers: bool,
    live: Callable[[states.Mark, bool], bool],
    kept: Callable[[str], float | None],
    cost: Callable[[int], float],
) -> Start:
    """The cheapest start for a run up to the last known mark.

    `live(mark, needs_base)` says whether an instance stands at a mark (with its whole session
    since the base, if that is needed); `kept(state)` what cloning its snapshot costs in ms, or
    None; `cost(i)` what replaying cell i costs. `needs_base` concerns what runs after the last
    mark, and so does `remembers`: it may hang on what the session remembers of functions; then a
    run starts where there is nothing to remember yet, or in the session that remembers it all. The
    base is always kept. A volatile cell is not replayed, however cheap that were, while a
    state at or below it is kept: it would be rolled anew, and what was shown of it be wrong. For
    that a session may even lack what it would remember from above such a cell.
    """
    best: Start | None = None
    lacking: Start | None = None
    best_ms = 0.0
    replay_ms = 0.0
    for index in range(len(known) - 1, -1, -1):
        mark = known[index]
        remembers = remembers or mark.memory.differs
        if index < len(known) - 1:
            link = links[index]
            replay_ms += cost(index) if link.runs else 0.0
            needs_base = needs_base or (link.runs and link.needs_base)
            if link.volatile and link.runs and (best is not None or lacking is not None):
                break
        if best is not None and replay_ms >= best_ms:
            break
        exact = remembers and mark.memory.holds
        start = Start(
            index=index, live=True, replay_ms=replay_ms, needs_base=needs_base, whole=remembers
        )
        if (mark.memory.differs or not exact) and live(mark, needs_base):
            return start if best is None or replay_ms < best_ms else best
        if exact and live(mark, needs_base):
            lacking = start
            continue
        clone_ms = kept(mark.state)
        if clone_ms is None or (needs_base and index > 0):
            continue
        if exact:
            lacking = dataclasses.replace(start, live=False)
            continue
        if best is None or clone_ms + replay_ms < best_ms:
            best = dataclasses.replace(start, live=False)
            best_ms = clone_ms + replay_ms
    return (
        best
        or lacking
        or Start(index=0, live=False, replay_ms=replay_ms, needs_base=needs_base, whole=remembers)
    )


def replayable(links: Sequence[states.Link], start: int) -> bool:
    """Whether replaying the cells from `start` on gives what they gave before: none is volatile."""
    return not any(link.volatile and link.runs for link in links[start:])


def why(
    notebook: Sequence[records.Cell],
    parsed: Sequence[cells.ParsedCell],
    before: Sequence[str],
    missed: int,
) -> str:
    """Why the tail cell at index `missed` is the first to run: which cell changed since last time.

    `before` holds the digests of the cells as they last ran.
    """
    for index in range(len(notebook) - 1):
        name = f"cell {index + 1} ({notebook[index].id})"
        verb = "has not run yet" if index >= len(before) else "changed"
        if index >= len(before) or parsed[index].digest != before[index]:
            if missed >= index:
                return f"{name} {verb}"
            lost = (
                f"after cell {index}"
                if index == missed + 1
                else (f"between cells {missed + 1} and {index}")
            )
            return f"{name} {verb}; no state is kept {lost}"
    return f"the state after cell {missed + 1} ({notebook[missed].id}) is not kept"
