"""What a front end is given of a plan. Pure."""

from __future__ import annotations

from typing import Any

from pgcellar.api.plans import nodes, page, reading, text
from pgcellar.notebook import showing

MIME = "application/vnd.pgcellar.plan+json"
#: Changes when a member is taken away or gets another meaning; members may come at any time.
VERSION = 1


def of(printed: str, explain: showing.Explain) -> dict[str, Any]:
    """The bundle of a plan, which `printed` is as JSON. Raises reading.Unreadable."""
    raw = reading.parse(printed)
    plans = reading.analyse(raw)
    try:
        return {
            "text/plain": "\n\n".join(text.render(plan) for plan in plans),
            "text/html": page.render(plans[0], raw, plans[1:]),
            MIME: as_json(raw, plans, explain),
        }
    except RecursionError as exc:
        raise reading.Unreadable from exc


def as_json(
    raw: list[Any], plans: tuple[nodes.Plan, ...], explain: showing.Explain
) -> dict[str, Any]:
    """The plan as `application/vnd.pgcellar.plan+json`."""
    return {
        "version": VERSION,
        "query": explain.query,
        "options": list(explain.options),
        "plan": nodes.to_json(plans[0]),
        "others": [nodes.to_json(plan) for plan in plans[1:]],
        "raw": raw,
    }
