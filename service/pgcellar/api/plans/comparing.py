"""Two plans of one cell, node by node: what became slower, and what another way. Pure.

Nodes are matched by what they work on: first those of one kind over the same relations, then those
of one class (a hash join and a nested loop of the same two tables are one join, done otherwise).
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from pgcellar.api.plans import nodes

_CLASSES = {
    "Hash Join": "join", "Merge Join": "join", "Nested Loop": "join",
    "Aggregate": "aggregate", "Group": "aggregate", "WindowAgg": "window",
    "Sort": "sort", "Incremental Sort": "sort", "Gather": "gather", "Gather Merge": "gather",
    "Append": "append", "Merge Append": "append",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A node before and after; one of them is None where it came or went. `depth` is where it is
    shown, and `changed`: it is done in another way.
    """

    before: nodes.Node | None
    after: nodes.Node | None
    depth: int
    changed: bool

    def ratio(self, member: str) -> float | None:
        """How many times as much it is after as before, where there is both."""
        if self.before is None or self.after is None:
            return None
        before, after = getattr(self.before, member), getattr(self.after, member)
        return after / before if before and after is not None else None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All nodes of two plans, in the order of the one after; those that went come last."""

    before: nodes.Plan
    after: nodes.Plan
    pairs: tuple[Pair, ...]


def compare(before: nodes.Plan, after: nodes.Plan) -> Comparison:
    """Match the nodes of two plans."""
    old, new = nodes.walk(before.root), nodes.walk(after.root)
    old_keys, new_keys = _keys(old), _keys(new)
    matched: dict[int, nodes.Node] = {}
    free = {node.number: node for node, _ in old}
    for key in _PASSES:
        waiting: dict[Hashable, list[nodes.Node]] = collections.defaultdict(list)
        for node in reversed(free.values()):
            waiting[key(old_keys[node.number])].append(node)
        for node, _ in new:
            if node.number not in matched and (found := waiting[key(new_keys[node.number])]):
                matched[node.number] = found.pop()
                del free[matched[node.number].number]
    pairs = [_pair(matched.get(node.number), node, depth) for node, depth in new]
    gone = [Pair(before=n, after=None, depth=d, changed=True) for n, d in old if n.number in free]
    return Comparison(before=before, after=after, pairs=(*pairs, *gone))


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON: the pairs by the numbers of their nodes in the two plans."""
    return {
        "before": nodes.to_json(comparison.before),
        "after": nodes.to_json(comparison.after),
        "pairs": [
            {
                "before": None if pair.before is None else pair.before.number,
                "after": None if pair.after is None else pair.after.number,
                "depth": pair.depth,
                "changed": pair.changed,
                "time_ratio": pair.ratio("exclusive_ms"),
                "rows_ratio": pair.ratio("total_rows"),
                "cost_ratio": pair.ratio("exclusive_cost"),
            }
            for pair in comparison.pairs
        ],
    }


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Key:
    """What a node is, and what it works on."""

    name: str
    type: str
    group: str
    works_on: tuple[str, ...]


_PASSES: tuple[Callable[[_Key], Hashable], ...] = (
    lambda key: (key.name, key.works_on),
    lambda key: (key.type, key.works_on),
    lambda key: (key.group, key.works_on),
)


def _keys(listed: Sequence[tuple[nodes.Node, int]]) -> Mapping[int, _Key]:
    works_on: dict[int, tuple[str, ...]] = {}
    keys: dict[int, _Key] = {}
    for node, _ in reversed(listed):
        below = [name for child in node.children for name in works_on[child.number]]
        if node.relation is not None or not node.children:
            below.append(node.alias or node.relation or node.name)
        works_on[node.number] = tuple(sorted(below))
        scan = "scan" if not node.children or node.relation is not None else node.type
        keys[node.number] = _Key(
            name=node.name,
            type=node.type,
            group=_CLASSES.get(node.type, scan),
            works_on=works_on[node.number],
        )
    return keys


def _pair(before: nodes.Node | None, after: nodes.Node, depth: int) -> Pair:
    changed = before is None or before.name != after.name
    return Pair(before=before, after=after, depth=depth, changed=changed)
