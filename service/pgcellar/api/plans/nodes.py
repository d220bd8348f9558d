"""What a plan says, worked out: where the time went, and where the planner was wrong. Pure.

PostgreSQL tells of each node what one loop of it took with all that is below it. What people look
for is what the node itself took in all, so that is worked out here, down to the nodes whose time
is spent elsewhere than where they hang: a CTE's in the scans that read it, an InitPlan's in the
node that names it, a parallel worker's beside its siblings'.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

#: Strong marks come last; None where there is nothing to see.
Mark = Literal["yellow", "orange", "red"]
Basis = Literal["time", "cost"]

#: pgAdmin's thresholds: a node's own part of the whole, in percent …
SHARES: tuple[tuple[float, Mark], ...] = ((90, "red"), (50, "orange"), (10, "yellow"))
#: … and how many times more or fewer rows there were than expected.
MISESTIMATES: tuple[tuple[float, Mark], ...] = ((1000, "red"), (100, "orange"), (10, "yellow"))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One node of a plan. What ANALYZE alone tells is None without it.

    `number` counts from 0, a node before those below it. `name` is what EXPLAIN calls it, with
    what it works on: `Index Scan using i on t`. `subplan` is the name of the subplan that begins
    here, `relationship` PostgreSQL's word for how it hangs there.
    Costs and times: `inclusive` with all that is below, over all loops; `exclusive` the node's own.
    Of parallel processes times are those that passed, not their sum. `share` is the exclusive part
    of the whole, in percent, of time where it was measured and of cost elsewhere.
    `expected_rows` and `actual_rows` are of one loop, `total_rows` of all; `misestimate` is how
    many times more rows there were than expected, or fewer where it is below 1.
    `rows_removed` are all rows that conditions removed. `buffers` are of the node and those below.
    """

    number: int
    type: str
    name: str
    relation: str | None
    schema: str | None
    alias: str | None
    index: str | None
    relationship: str | None
    subplan: str | None
    startup_cost: float | None
    total_cost: float | None
    exclusive_cost: float | None
    expected_rows: float | None
    width: int | None
    never_executed: bool
    loops: float | None
    actual_rows: float | None
    total_rows: float | None
    misestimate: float | None
    time_per_loop_ms: float | None
    inclusive_ms: float | None
    exclusive_ms: float | None
    share: float | None
    share_mark: Mark | None
    rows_mark: Mark | None
    filter: str | None
    rows_removed: float | None
    workers_planned: int | None
    workers_launched: int | None
    buffers: Mapping[str, int]
    details: Mapping[str, str]
    children: tuple[Node, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """A trigger that fired, with all of its calls."""

    name: str
    relation: str | None
    constraint: str | None
    calls: float
    ms: float | None
    share: float | None
    share_mark: Mark | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A plan; `total` is what shares are parts of, in milliseconds or in PostgreSQL's cost."""

    root: Node
    analyzed: bool
    basis: Basis
    total: float
    planning_ms: float | None
    execution_ms: float | None
    triggers: tuple[Trigger, ...]
    jit: Mapping[str, str]
    settings: Mapping[str, str]
    planning_buffers: Mapping[str, int]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, each before those below it."""
        return tuple(node for node, _ in walk(self.root))


def walk(root: Node) -> list[tuple[Node, int]]:
    """All nodes with how deep they are, each before those below it."""
    out: list[tuple[Node, int]] = []
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        out.append((node, depth))
        waiting.extend((child, depth + 1) for child in reversed(node.children))
    return out


def share_mark(share: float | None) -> Mark | None:
    """How a node's own part of the whole is marked."""
    return _mark(share, SHARES)


def rows_mark(misestimate: float | None) -> Mark | None:
    """How a misestimate of rows, in either direction, is marked."""
    if misestimate is None:
        return None
    return _mark(max(misestimate, 1 / misestimate), MISESTIMATES)


def _mark(value: float | None, thresholds: tuple[tuple[float, Mark], ...]) -> Mark | None:
    if value is None:
        return None
    return next((mark for least, mark in thresholds if value > least), None)


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON."""
    body = {
        field.name: getattr(plan, field.name)
        for field in dataclasses.fields(plan)
        if field.name not in ("root", "triggers")
    }
    triggers = [
        {field.name: getattr(trigger, field.name) for field in dataclasses.fields(trigger)}
        for trigger in plan.triggers
    ]
    return {"root": _node_json(plan.root), **body, "triggers": triggers}


def _node_json(node: Node) -> dict[str, Any]:
    body = {
        field.name: getattr(node, field.name)
        for field in dataclasses.fields(node)
        if field.name != "children"
    }
    return {**body, "children": [_node_json(child) for child in node.children]}
