"""Runs a cell in the session it names, where a notebook has several (see `sessions`)."""

from __future__ import annotations

import dataclasses
import secrets
import time

from pgcellar.api import errors, records
from pgcellar.notebook import cells, states
from pgcellar.runner import instances, results, running, sessions


async def run_cell(
    held: sessions.Sessions,
    instance: instances.Instance,
    cell: cells.ParsedCell,
    context: running.Context,
    target: running.Target,
) -> results.CellRun:
    """Run a cell of a notebook with several sessions; move the instance's mark.

    Raises as `running.run_cell` does.
    """
    begin = time.perf_counter()
    before = instance.mark
    name = cell.session or states.MAIN
    shown = await held.cancel_pending(name, target.emit) if cell.cancels else 0
    if held.waits(name):
        raise results.CellFailed(_waiting(name), unharmed=not cell.cancels)
    try:
        session = await held.session(name)
    except errors.BadRequest as exc:
        raise results.CellFailed(exc.record(), unharmed=True) from exc
    mark = dataclasses.replace(before, sessions=True)

    async def work(outlet: sessions.Outlet) -> results.CellRun:
        own = dataclasses.replace(target, emit=outlet)
        return await running.run_beside(instance, mark, session, cell, context, own)

    done = await held.run(name, work, target.emit, shown)
    roll = secrets.token_hex(8)
    rerolled = context.knowledge.learn_roll(before.state, states.session_key(before, cell), roll)
    instance.mark = before.in_session(cell, roll)
    return results.CellRun(
        mark=instance.mark,
        effect="pinning",
        ms=(time.perf_counter() - begin) * 1000,
        rows=done.rows if done is not None else None,
        error=done.error if done is not None else None,
        opaque=True,
        rerolled=rerolled,
    )


def _waiting(name: str) -> records.SqlError:
    return records.SqlError(
        sqlstate=errors.Unsupported.code,
        message=f"Session {name} still waits for another session of this notebook.",
        hint="End that one's transaction in a cell of its own, or begin a cell with"
        f" %%session {name} cancel.",
    )
