"""From PostgreSQL's JSON to a plan (see `nodes`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pgcellar.api.plans import measuring, nodes

#: A plan deeper than this is no person's: JSON and Python have their own bounds on nesting.
MAX_DEPTH = 200
#: Nor is one of more nodes, as of a table with ten thousand partitions.
MAX_NODES = 5_000

_JOIN = {"Hash Join": "Hash", "Merge Join": "Merge", "Nested Loop": "Nested Loop"}
_BUFFERS = re.compile(r"(?P<kind>Shared|Local|Temp) (?P<what>Hit|Read|Dirtied|Written) Blocks\Z")
#: Members that have a place of their own, and those that say nothing to a person.
_PLACED = frozenset(
    {
        "Node Type", "Plans", "Parent Relationship", "Subplan Name", "Relation Name", "Schema",
        "Alias", "Index Name", "CTE Name", "Function Name", "Startup Cost", "Total Cost",
        "Plan Rows", "Plan Width", "Actual Startup Time", "Actual Total Time", "Actual Rows",
        "Actual Loops", "Parallel Aware", "Async Capable", "Join Type", "Strategy", "Operation",
        "Partial Mode", "Scan Direction", "Command", "Custom Plan Provider", "Tuplestore Name",
        "Inner Unique", "Workers", "Workers Planned", "Workers Launched", "Single Copy",
    }
)  # fmt: skip
_KILOBYTES = frozenset({"Peak Memory Usage", "Maximum Storage", "Disk Usage", "Average Sort Space"})
_TOGETHER = frozenset(
    {
        "Sort Method", "Sort Space Used", "Sort Space Type", "Hash Buckets", "Hash Batches",
        "Original Hash Buckets", "Original Hash Batches",
    }
)  # fmt: skip
#: Nodes that read all that is below them before they give anything.
_GREEDY = frozenset({"Sort", "Hash", "ModifyTable", "Materialize"})
_REMOVED = re.compile(r"Rows Removed by ")


#: What comes of members that are of another kind than they have always been.
_ODD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class Unreadable(Exception):
    """The text is no plan that this module knows."""


def parse(text: str) -> list[Any]:
    """What EXPLAIN (FORMAT JSON) printed. Raises Unreadable."""
    try:
        # A cost may be beyond all numbers, which JSON has no word for.
        found = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as exc:
        raise Unreadable from exc
    if not isinstance(found, list) or not any(_is_plan(each) for each in found):
        raise Unreadable
    return found


def analyse(raw: list[Any]) -> tuple[nodes.Plan, ...]:
    """The plans in what `parse` gave: one, but where a rule makes several statements of one.

    Raises Unreadable.
    """
    try:
        return tuple(_plan(each) for each in raw if _is_plan(each))
    except _ODD as exc:
        raise Unreadable from exc


def _is_plan(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("Plan"), dict)


def _plan(raw: Mapping[str, Any]) -> nodes.Plan:
    drafts = _drafts(raw["Plan"])
    root = drafts[0]
    triggers = [each for each in raw.get("Triggers") or () if isinstance(each, dict)]
    execution = _number(raw, "Execution Time")
    measuring.measure(drafts)
    analyzed = root.loops is not None
    timed = root.inclusive_ms is not None
    total = max(execution or 0.0, root.inclusive_ms or 0.0) if timed else root.inclusive_cost
    return nodes.Plan(
        root=_frozen(drafts, timed=timed, total=total),
        analyzed=analyzed,
        basis="time" if timed else "cost",
        total=total,
        planning_ms=_number(raw, "Planning Time"),
        execution_ms=execution,
        triggers=tuple(_trigger(each, total if timed else 0.0) for each in triggers),
        jit=dict(_flat(raw.get("JIT") or {})),
        settings={str(k): str(v) for k, v in (raw.get("Settings") or {}).items()},
        planning_buffers=_buffers(raw.get("Planning") or {}),
    )


def _drafts(plan: Mapping[str, Any]) -> list[measuring.Draft]:
    """The nodes to be measured, each before those below it."""
    out: list[measuring.Draft] = []
    waiting: list[tuple[Mapping[str, Any], measuring.Draft | None, int]] = [(plan, None, 0)]
    while waiting:
        raw, above, depth = waiting.pop()
        if depth > MAX_DEPTH or len(out) >= MAX_NODES:
            raise Unreadable
        draft = measuring.Draft(
            raw=raw,
            above=above,
            type=str(raw["Node Type"]),
            loops=_number(raw, "Actual Loops"),
            ms=_number(raw, "Actual Total Time"),
            cost=_number(raw, "Total Cost") or 0.0,
            rows=_number(raw, "Plan Rows"),
            relationship=_text(raw, "Parent Relationship"),
            subplan=_text(raw, "Subplan Name"),
            cte=_text(raw, "CTE Name"),
        )
        out.append(draft)
        if above is not None:
            above.below.append(draft)
        below = [each for each in raw.get("Plans") or () if isinstance(each, dict)]
        waiting.extend((each, draft, depth + 1) for each in reversed(below))
    return out


def _frozen(drafts: list[measuring.Draft], *, timed: bool, total: float) -> nodes.Node:
    made: dict[int, nodes.Node] = {}
    for number in range(len(drafts) - 1, -1, -1):
        draft = drafts[number]
        children = tuple(made.pop(id(each)) for each in draft.below)
        made[id(draft)] = _node(number, draft, children, timed=timed, total=total)
    return made[id(drafts[0])]


def _node(
    number: int,
    draft: measuring.Draft,
    children: tuple[nodes.Node, ...],
    *,
    timed: bool,
    total: float,
) -> nodes.Node:
    raw, loops = draft.raw, draft.loops
    never = loops is not None and loops == 0
    rows = None if never else _number(raw, "Actual Rows")
    misestimate = None
    if rows is not None and draft.rows is not None:
        # PostgreSQL expects one row at least, so none for one is as good as it gets.
        misestimate = max(rows, 1.0) / max(draft.rows, 1.0)
    own = draft.exclusive_ms if timed else draft.exclusive_cost
    share = None if own is None or total <= 0 else 100 * own / total
    removed = [
        value for key in raw if _REMOVED.match(key) and (value := _number(raw, key)) is not None
    ]
    return nodes.Node(
        number=number,
        type=draft.type,
        name=_name(raw),
        relation=_text(raw, "Relation Name"),
        schema=_text(raw, "Schema"),
        alias=_text(raw, "Alias"),
        index=_text(raw, "Index Name"),
        relationship=draft.relationship,
        subplan=draft.subplan,
        startup_cost=_number(raw, "Startup Cost"),
        total_cost=_number(raw, "Total Cost"),
        exclusive_cost=draft.exclusive_cost if "Total Cost" in raw else None,
        expected_rows=draft.rows,
        width=_whole(raw, "Plan Width"),
        never_executed=never,
        loops=loops,
        actual_rows=rows,
        total_rows=None if rows is None or loops is None else rows * loops,
        misestimate=misestimate,
        time_per_loop_ms=None if never else draft.ms,
        inclusive_ms=draft.inclusive_ms,
        exclusive_ms=draft.exclusive_ms,
        share=share,
        share_mark=nodes.share_mark(share),
        rows_mark=None if _stopped(draft, misestimate) else nodes.rows_mark(misestimate),
        filter=_text(raw, "Filter"),
        # As PostgreSQL gives rows, these are of one loop.
        rows_removed=sum(removed) * (loops or 0) if removed else None,
        workers_planned=_whole(raw, "Workers Planned"),
        workers_launched=_whole(raw, "Workers Launched"),
        buffers=_buffers(raw),
        details=dict(_details(raw)),
        children=children,
    )


def _stopped(draft: measuring.Draft, misestimate: float | None) -> bool:
    """Whether a LIMIT may be why there were fewer rows than expected."""
    if misestimate is None or misestimate >= 1:
        return False
    above = draft.above
    while above is not None and above.type not in _GREEDY:
        if above.type == "Limit":
            return True
        if above.type == "Aggregate":
            return False
        above = above.above
    return False


def _name(raw: Mapping[str, Any]) -> str:
    """What EXPLAIN's text calls a node."""
    kind = str(raw["Node Type"])
    operation, join = _text(raw, "Operation"), _text(raw, "Join Type")
    if kind == "ModifyTable" and operation:
        kind = operation
    elif kind == "Aggregate":
        strategy = {
            "Hashed": "HashAggregate",
            "Sorted": "GroupAggregate",
            "Mixed": "MixedAggregate",
        }
        kind = strategy.get(_text(raw, "Strategy") or "", kind)
        partial = _text(raw, "Partial Mode")
        kind = f"{partial} {kind}" if partial and partial != "Simple" else kind
    elif kind == "SetOp":
        kind = f"{'Hash' if raw.get('Strategy') == 'Hashed' else ''}SetOp {raw.get('Command', '')}"
    elif join and join != "Inner" and kind in _JOIN:
        kind = f"{_JOIN[kind]} {join} Join"
    elif operation and operation != "Select":
        kind = f"{kind} {operation}"
    if raw.get("Scan Direction") == "Backward":
        kind += " Backward"
    if raw.get("Parallel Aware"):
        kind = f"Parallel {kind}"
    return " ".join([kind.strip(), *_works_on(raw)])


def _works_on(raw: Mapping[str, Any]) -> Iterator[str]:
    index = _text(raw, "Index Name")
    on = next(
        (
            name
            for key in ("Relation Name", "CTE Name", "Function Name", "Tuplestore Name")
            if (name := _text(raw, key)) is not None
        ),
        None,
    )
    if index is not None:
        yield f"using {index}" if on is not None else f"on {index}"
    alias = _text(raw, "Alias")
    schema = _text(raw, "Schema")
    if on is not None:
        yield f"on {schema}.{on}" if schema else f"on {on}"
        if alias is not None and alias != on:
            yield alias
    elif alias is not None:
        yield f"on {alias}"


def _details(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is shown below a node's line: its conditions, keys, methods, and what was removed."""
    yield from _together(raw)
    for key, value in raw.items():
        if key in _PLACED or key in _TOGETHER or _BUFFERS.match(key):
            continue
        if key == "Peak Memory Usage" and "Hash Buckets" in raw:
            continue
        if value in (0, 0.0, False) and not isinstance(value, str):
            # Counts of what did not happen.
            continue
        shown = _shown(value)
        if shown:
            yield key, f"{shown} kB" if key in _KILOBYTES else shown


def _together(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What EXPLAIN's text has on one line."""
    method, space = _text(raw, "Sort Method"), _number(raw, "Sort Space Used")
    if method is not None and space is not None:
        where = (_text(raw, "Sort Space Type") or "Memory").lower()
        yield "Sort Method", f"{method}, {space:,.0f} kB of {where}"
    buckets, batches = _number(raw, "Hash Buckets"), _number(raw, "Hash Batches")
    if buckets is not None and batches is not None:
        first = _number(raw, "Original Hash Batches")
        planned = "" if first in (None, batches) else f" (planned {first:,.0f})"
        memory = _number(raw, "Peak Memory Usage") or 0
        yield (
            "Hash",
            f"buckets {buckets:,.0f}, batches {batches:,.0f}{planned}, {memory:,.0f} kB of memory",
        )


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, int | float):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_shown(each)}" for key, each in value.items())
    return ""


def _trigger(raw: Mapping[str, Any], total: float) -> nodes.Trigger:
    ms = _number(raw, "Time")
    share = None if ms is None or total <= 0 else 100 * ms / total
    return nodes.Trigger(
        name=_text(raw, "Trigger Name") or _text(raw, "Constraint Name") or "",
        relation=_text(raw, "Relation"),
        constraint=_text(raw, "Constraint Name"),
        calls=_number(raw, "Calls") or 0.0,
        ms=ms,
        share=share,
        share_mark=nodes.share_mark(share),
    )


def _buffers(raw: Mapping[str, Any]) -> dict[str, int]:
    """Blocks of 8 kB by what was done with them, without those of which there were none."""
    out: dict[str, int] = {}
    for key in raw:
        match = _BUFFERS.match(key)
        count = _whole(raw, key) if match else None
        if match and count:
            out[f"{match['kind']} {match['what']}".lower()] = count
    return out


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, each in value.items():
        if isinstance(each, dict):
            yield from _flat(each, f"{before}{key}: ")
        else:
            yield f"{before}{key}", _shown(each) or "no"


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    return value if isinstance(value, str) else None


def _number(raw: Mapping[str, Any], key: str) -> float | None:
    value = raw.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(raw: Mapping[str, Any], key: str) -> int | None:
    value = _number(raw, key)
    return None if value is None else int(value)
