"""What planning takes, by the length of the notebook: pure, nothing of it asks a server."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence

from tests.bench import measure

from pgcellar.notebook import cells, meanings, states
from pgcellar.notebook.lineage import graphs
from pgcellar.runner import planning

SECTION = "planning, by cells"
LENGTHS = (10, 100, 1_000, 5_000)
_BASE = states.base_id({"version": "bench"})
_CLONE_MS = 20.0
_REPLAY_MS = 5.0
#: Of four cells two write, one reads and one is a comment.
_KINDS = (
    "create table t{n} (id integer primary key, name text not null, amount numeric default 0)",
    "insert into t{n} select g, 'name ' || g, g * {n} from generate_series(1, 100) g",
    "select name, sum(amount) as total from t{n} where id > {n} group by name order by total desc",
    "-- What follows is about number {n}.",
)


class _AllKnown:
    """What is known of a notebook that has run."""

    def facts(self, state: str) -> states.Facts | None:
        """Nothing but built-in functions."""
        return states.Facts()

    def values(self, state: str, statement: str) -> Mapping[str, str | None] | None:
        """See `states.Knowledge`."""
        return None

    def roll(self, state: str, statement: str) -> str | None:
        """See `states.Knowledge`."""
        return None

    def learned(self, state: str, statement: str) -> states.Outcome | None:
        """Every read read."""
        return "read"


class _Planner:
    """One runner's memory of one notebook."""

    def __init__(self) -> None:
        self._chain = states.Chain(_AllKnown())
        self._kept = {_BASE}

    def plan(self, notebook: Sequence[str]) -> float:
        """Plan a run of the last cell, as a run does; ms."""
        begin = time.perf_counter()
        parsed = [cells.parse(text) for text in notebook]
        links = self._chain.walk(_BASE, parsed, {})
        tail = links[: len(notebook) - 1]
        known = planning.Marks(states.Mark(state=_BASE), tail)
        rest = parsed[len(known) - 1 :]
        start = planning.choose(
            known,
            tail,
            needs_base=any(one.needs_base for one in rest),
            remembers=meanings.foreseen(known[-1].memory, (one.meanings for one in rest)).differs,
            live=lambda mark, base: False,
            kept=lambda state: _CLONE_MS if state in self._kept else None,
            cost=lambda index: _REPLAY_MS,
        )
        took = (time.perf_counter() - begin) * 1000
        assert len(known) == len(notebook)
        assert start.index < len(notebook)
        # As after a run: where its head began is kept.
        self._kept.add(known[-1].state)
        return took


def plans(table: measure.Table, rounds: int) -> None:
    """A notebook met for the first time, unchanged, and after an edit."""
    took: dict[tuple[str, int], list[float]] = {}
    for length in LENGTHS:
        for key, samples in _plans(length, rounds).items():
            took[key, length] = samples
    for (what, length), samples in sorted(took.items(), key=lambda item: _ORDER[item[0][0]]):
        aim = "a few ms" if length == 1_000 and what.startswith("edit") else ""
        table.add(SECTION, f"{what}, {length:,}", samples, aim=aim)


def lineage(table: measure.Table, rounds: int) -> None:
    """The graph of a notebook after an edit, and what that affects."""
    edits = itertools.count(10_000_000)
    for length in LENGTHS[1:3]:
        # Four cells are about one table.
        kinds = len(_KINDS)
        notebook = [_KINDS[n % kinds].format(n=n - n % kinds) for n in range(length)]
        graphs.graph(notebook)
        for name, at, text in (
            ("edit in the middle", length // 2 + 1, _KINDS[1] + " limit {edit}"),
            ("edit at the top", 1, _KINDS[1] + " limit {edit}"),
            ("another definition in the middle", length // 2, _KINDS[0] + "; create view v{edit} as"
             " select 1"),
            ("another definition at the top", 0, _KINDS[0] + "; create view v{edit} as select 1"),
        ):  # fmt: skip
            samples = []
            for _ in range(rounds):
                notebook[at] = text.format(n=at - at % kinds, edit=next(edits))
                begin = time.perf_counter()
                graphs.affected(graphs.graph(notebook), at)
                samples.append((time.perf_counter() - begin) * 1000)
            aim = "5 ms" if length == 1_000 else ""
            table.add(SECTION, f"graph, {name}, {length:,}", samples, aim=aim)


_ORDER = {"first time": 0, "unchanged": 1, "edit in the middle": 2, "edit at the top": 3}


def _plans(length: int, rounds: int) -> dict[str, list[float]]:
    notebook = [_KINDS[n % len(_KINDS)].format(n=n) for n in range(length)]
    took: dict[str, list[float]] = {name: [] for name in _ORDER}
    edits = itertools.count(10_000_000)
    for _ in range(max(2, rounds // 3)):
        cells.parse.forget()
        planner = _Planner()
        took["first time"].append(planner.plan(notebook))
    for _ in range(rounds):
        took["unchanged"].append(planner.plan(notebook))
    for name, at in (("edit in the middle", length // 2), ("edit at the top", 0)):
        for _ in range(rounds):
            notebook[at] = _KINDS[0].format(n=next(edits))
            took[name].append(planner.plan(notebook))
    return took
