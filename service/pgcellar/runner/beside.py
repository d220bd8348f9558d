"""Runs a cell in the session it names, where a notebook has several (see `sessions`)."""

from __future__ import annotations

import dataclasses
import secrets
import time

from pgcellar.api import errors, records
from pgcellar.notebook import cells, states
from pgcellar.runner import connections, executor, instances, results, running, sessions


class _EndedBefore(Exception):
    """The session had ended before the cell came, and the news of it came after."""


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
    attempt = _Attempt(held, instance, name, cell, context, target, shown)
    try:
        done = await attempt.run()
    except _EndedBefore:
        done = await attempt.run()
    # What a pending cell does to variables nobody sees.
    variables = before.variables if done is None else done.mark.variables
    roll = secrets.token_hex(8)
    key = states.session_key(before, cell, context.digests, context.include)
    rerolled = False
    if key is not None:
        rerolled = context.knowledge.learn_roll(before.state, key, roll)
        context.knowledge.learn_values(before.state, key, dict(variables))
    instance.mark = before.in_session(cell, key or "", roll, variables)
    return results.CellRun(
        mark=instance.mark,
        effect="pinning",
        ms=(time.perf_counter() - begin) * 1000,
        rows=done.rows if done is not None else None,
        error=done.error if done is not None else None,
        opaque=True,
        rerolled=rerolled,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Attempt:
    """A cell in its session, its statements numbered from `first` on."""

    held: sessions.Sessions
    instance: instances.Instance
    name: str
    cell: cells.ParsedCell
    context: running.Context
    target: running.Target
    first: int

    async def run(self) -> results.CellRun | None:
        """Run it; None if it was left pending. Raises _EndedBefore, and as `run_cell` does."""
        session, place = await self._session()
        if self.name == states.MAIN:
            self.instance.session = session
        if place == "another's":
            await self.target.emit(_anew(self.name, self.first))
        mark = dataclasses.replace(self.instance.mark, sessions=True)
        said = 0

        async def work(outlet: sessions.Outlet) -> results.CellRun:
            nonlocal said
            own = dataclasses.replace(self.target, emit=outlet)
            try:
                return await running.run_beside(
                    self.instance, mark, session, self.cell, self.context, own
                )
            finally:
                said = outlet.count

        try:
            return await self.held.run(self.name, work, self.target.emit, self.first)
        except errors.SandboxLost as exc:
            if place == "its own" and not said:
                raise _EndedBefore from exc
            raise

    async def _session(self) -> tuple[executor.Session, sessions.Place]:
        try:
            return await self.held.session(self.name)
        except errors.BadRequest as exc:
            raise results.CellFailed(exc.record(), unharmed=True) from exc
        except connections.StatementFailed as exc:
            raise results.CellFailed(exc.error, unharmed=True) from exc


def _anew(name: str, statement: int) -> records.Notice:
    return records.Notice(
        statement=statement,
        severity="WARNING",
        sqlstate="08006",
        message=f"Session {name} had ended; this is a new one.",
    )


def _waiting(name: str) -> records.SqlError:
    return records.SqlError(
        sqlstate=errors.Unsupported.code,
        message=f"Session {name} still waits for another session of this notebook.",
        hint="End that one's transaction in a cell of its own, or begin a cell with"
        f" %%session {name} cancel.",
    )
