"""The plan of a cell's last query, and two such plans side by side, for front ends."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from pgcellar.api import client, errors, order, records, rendering


def explained(place: order.Place, *, analyze: bool) -> order.Place:
    """The place with `\\explain` at the end of its head, or in the place of what ends it now."""
    head = place.cells[place.head]
    lines = head.source.rstrip().splitlines()
    while lines and lines[-1].lstrip().startswith("\\"):
        lines.pop()
    source = "\n".join(lines).rstrip().removesuffix(";")
    command = "\\explain analyze" if analyze else "\\explain"
    head = dataclasses.replace(head, source=f"{source}\n{command}")
    return dataclasses.replace(place, cells=(*place.cells[:-1], head))


async def explain(service: client.Client, request: records.RunRequest) -> Mapping[str, Any]:
    """The MIME bundle of the plan that a head ending with `\\explain` gives.

    It is a run like any other; the notebook's states are not concerned. Raises Conflict where there
    is no plan.
    """
    shown = rendering.Results()
    bundle: Mapping[str, Any] | None = None
    async for event in service.run(request):
        result = shown.take(event)
        if isinstance(event, records.Completed) and event.explain and result:
            bundle = rendering.mime_bundle(result)
        elif isinstance(event, records.Done) and event.error:
            failed = event.error
            raise errors.Conflict(
                f"There is no plan: {failed.message}", hint=failed.hint or failed.detail
            )
    if bundle is None:
        raise errors.Conflict("The cell does not end with a query, so it has no plan.")
    return bundle


def compare(before: object, after: object) -> Mapping[str, Any]:
    """Two plans, as PostgreSQL's JSON, side by side as HTML. Raises BadRequest."""
    from pgcellar.api.plans import comparing, page, reading

    try:
        plans = [reading.analyse(reading.parse(json.dumps(raw)))[0] for raw in (before, after)]
    except (reading.Unreadable, RecursionError) as exc:
        raise errors.BadRequest(
            "`before` and `after` must be plans as PostgreSQL has them."
        ) from exc
    return {"text/html": page.comparison(comparing.compare(*plans))}
