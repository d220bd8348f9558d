"""Figures of a plan as a person reads them. Pure."""

from __future__ import annotations

from pgcellar.api.plans import nodes

#: Nodes that are drawn of one plan; JSON has them all.
MAX_SHOWN = 500
#: Characters of a condition that are drawn.
MAX_DETAIL = 1_000
#: What a mark is where there are no colors.
SIGNS = {None: "", "yellow": "!", "orange": "!!", "red": "!!!"}


def ms(value: float | None) -> str:
    """A time."""
    if value is None:
        return ""
    if value >= 10_000:
        return f"{value / 1000:,.1f} s"
    return f"{value:,.0f} ms" if value >= 1_000 else f"{value:.2f} ms"


def count(value: float | None) -> str:
    """A number of rows or loops; PostgreSQL 18 gives rows of a loop with a fraction."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 10 or value.is_integer() else f"{value:,.2f}"


def cost(value: float | None) -> str:
    """A cost."""
    return "" if value is None else f"{value:,.2f}"


def percent(value: float | None) -> str:
    """A share."""
    return "" if value is None else f"{value:.1f} %"


def times(misestimate: float | None) -> str:
    """A misestimate: `12 × more`, where it is as much as twofold."""
    if misestimate is None:
        return ""
    factor = max(misestimate, 1 / misestimate)
    if factor < 2:
        return ""
    return f"{factor:,.0f} × {'more' if misestimate > 1 else 'fewer'}"


def details(node: nodes.Node) -> list[tuple[str, str]]:
    """What is shown below a node: conditions, keys, workers, buffers."""
    found = [(name, clipped(text)) for name, text in node.details.items()]
    if node.workers_planned is not None:
        launched = "" if node.workers_launched is None else f", {node.workers_launched} launched"
        found.append(("Workers", f"{node.workers_planned} planned{launched}"))
    if node.buffers:
        found.append(("Buffers", buffers(node)))
    return found


def buffers(node: nodes.Node) -> str:
    """Buffers, of the node and those below."""
    return ", ".join(f"{name} {number:,}" for name, number in node.buffers.items())


def clipped(text: str) -> str:
    """A text that is not too long to be shown."""
    return text if len(text) <= MAX_DETAIL else f"{text[:MAX_DETAIL]}…"


def summary(plan: nodes.Plan) -> list[tuple[str, str]]:
    """What stands below the tree."""
    found = [
        ("Planning", ms(plan.planning_ms)),
        ("Execution", ms(plan.execution_ms)),
        *(
            (
                f"Trigger {trigger.name}",
                f"{ms(trigger.ms)} in {count(trigger.calls)} calls {SIGNS[trigger.share_mark]}",
            )
            for trigger in plan.triggers
        ),
        ("JIT", "; ".join(f"{name}: {value}" for name, value in plan.jit.items())),
        ("Settings", ", ".join(f"{name} = {value}" for name, value in plan.settings.items())),
    ]
    return [(name, clipped(text.strip())) for name, text in found if text]
