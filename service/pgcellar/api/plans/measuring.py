"""What each node of a plan took by itself (see `nodes`)."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

#: `InitPlan 1 (returns $0)` until PostgreSQL 16, `InitPlan 1` since.
_RETURNS = re.compile(r"\$\d+")
_REFERENCE = re.compile(r"\$\d+|InitPlan \d+")
_GATHERS = ("Gather", "Gather Merge")


@dataclasses.dataclass(kw_only=True, slots=True, eq=False)
class Draft:
    """A node that is being measured. `ms` is of one loop, the rest of all."""

    raw: Mapping[str, Any]
    above: Draft | None
    type: str
    loops: float | None
    ms: float | None
    cost: float
    rows: float | None
    relationship: str | None
    subplan: str | None
    cte: str | None
    below: list[Draft] = dataclasses.field(default_factory=list)
    processes: float = 1.0
    inclusive_ms: float | None = None
    exclusive_ms: float | None = None
    inclusive_cost: float = 0.0
    exclusive_cost: float = 0.0

    @property
    def is_cte(self) -> bool:
        """Whether a CTE's own plan begins here."""
        return self.subplan is not None and self.subplan.startswith("CTE ")

    @property
    def is_initplan(self) -> bool:
        """Whether it is run once, by whoever first needs what it gives."""
        return self.relationship == "InitPlan"


def measure(drafts: Sequence[Draft]) -> None:
    """Work out times and costs; the drafts come each before those below it."""
    _costs(drafts)
    if any(draft.ms is not None for draft in drafts):
        _times(drafts)


def _costs(drafts: Sequence[Draft]) -> None:
    """A node's cost has those below it in it: of an inner side as often as it is expected to run,
    and of a node that a LIMIT stops early the part that is expected.
    """
    drafts[0].inclusive_cost = drafts[0].cost
    for draft in drafts:
        left = draft.inclusive_cost
        # A node of which a part counts passes that part on.
        part = draft.inclusive_cost / draft.cost if draft.cost > 0 else 0.0
        for child in draft.below:
            times = part
            if draft.type == "Nested Loop" and child.relationship == "Inner":
                times *= max(draft.below[0].rows or 1.0, 1.0)
            elif child.relationship == "SubPlan" and not _hashed(draft, child):
                times *= max(draft.rows or 1.0, 1.0)
            child.inclusive_cost = min(child.cost * times, left)
            left -= child.inclusive_cost
        draft.exclusive_cost = left


def _hashed(draft: Draft, subplan: Draft) -> bool:
    """Whether a subplan runs once, into a hash table; others run for every row."""
    return f"hashed {subplan.subplan}" in _texts(draft.raw)


def _times(drafts: Sequence[Draft]) -> None:
    for draft in drafts:
        if draft.above is not None:
            draft.processes = draft.above.processes * _processes(draft, draft.above)
        if draft.ms is not None and draft.loops is not None:
            draft.inclusive_ms = draft.ms * draft.loops / draft.processes
    spent = _spent_elsewhere(drafts)
    for draft in drafts:
        if draft.inclusive_ms is None:
            continue
        below = sum(
            child.inclusive_ms or 0.0 for child in draft.below if id(child) not in spent.moved
        )
        # Clocks are read in between, so what is below may have taken a little more.
        draft.exclusive_ms = max(draft.inclusive_ms - below - spent.of[id(draft)], 0.0)


def _processes(draft: Draft, above: Draft) -> float:
    """How many processes ran a node beside one another, for each that ran the one above it."""
    if above.type not in _GATHERS or draft.is_initplan or not draft.loops or not above.loops:
        return 1.0
    return max(draft.loops / above.loops, 1.0)


@dataclasses.dataclass(kw_only=True, slots=True)
class _Spent:
    """Times of subplans that are spent in other nodes than those they hang at: how much in which,
    and which subplans these are.
    """

    of: dict[int, float] = dataclasses.field(default_factory=lambda: collections.defaultdict(float))
    moved: set[int] = dataclasses.field(default_factory=set)


def _spent_elsewhere(drafts: Sequence[Draft]) -> _Spent:
    spent = _Spent()
    scans, users = _scans(drafts), _users(drafts)
    for draft in drafts:
        if not draft.inclusive_ms or draft.above is None:
            continue
        name = draft.subplan or ""
        if draft.is_cte:
            readers = scans[name.removeprefix("CTE ")]
        elif draft.is_initplan:
            given = _RETURNS.findall(name) or [name.partition(" (")[0]]
            own = _within(draft)
            readers = _lowest([e for key in given for e in users[key] if id(e) not in own])
        else:
            continue
        total = sum(each.inclusive_ms or 0.0 for each in readers)
        if total > 0:
            spent.moved.add(id(draft))
            # Which of them waited for it is not told: each in proportion to what it took.
            for each in readers:
                spent.of[id(each)] += draft.inclusive_ms * (each.inclusive_ms or 0.0) / total
    return spent


def _scans(drafts: Sequence[Draft]) -> dict[str, list[Draft]]:
    """The scans of each CTE."""
    out: dict[str, list[Draft]] = collections.defaultdict(list)
    for draft in drafts:
        if draft.type == "CTE Scan" and draft.cte is not None:
            out[draft.cte].append(draft)
    return out


def _users(drafts: Sequence[Draft]) -> dict[str, list[Draft]]:
    """The nodes in whose conditions and expressions each InitPlan is named."""
    out: dict[str, list[Draft]] = collections.defaultdict(list)
    for draft in drafts:
        for name in set(_REFERENCE.findall(_texts(draft.raw))):
            out[name].append(draft)
    return out


def _lowest(users: Sequence[Draft]) -> list[Draft]:
    """Those that are above no other one: higher ones pass on what they have from below."""
    higher: set[int] = set()
    for each in users:
        above = each.above
        while above is not None and id(above) not in higher:
            higher.add(id(above))
            above = above.above
    return [each for each in users if id(each) not in higher]


def _within(draft: Draft) -> set[int]:
    """A node and all below it."""
    found: set[int] = set()
    waiting = [draft]
    while waiting:
        each = waiting.pop()
        found.add(id(each))
        waiting += each.below
    return found


def _texts(raw: Mapping[str, Any]) -> str:
    found = []
    for key, value in raw.items():
        if key in ("Plans", "Subplan Name", "Node Type", "Alias", "Relation Name"):
            continue
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list):
            found += [each for each in value if isinstance(each, str)]
    return "\n".join(found)
