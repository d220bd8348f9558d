"""What is written down of a run: that it begins, with its statements, and how it ended.

Both are written behind the run's back, a moment late, with those of other runs; where nothing is to
be done without it, the beginning is safe before the run begins. A beginning without an end was cut
short.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

from pgcellar.api import auditing, errors, rates, records, redaction
from pgcellar.audit import statements

logger = logging.getLogger(__name__)

Emit = Callable[[records.Event], Awaitable[None]]

#: Characters of statements of one run; of the cells after that only digests are written. And cells
#: that are told apart; those after that have one digest together.
_MAX_TEXT = 256 * 1024
_MAX_CELLS = 1_000
#: Characters of one subject's runs, parameters and cells' ids among them, a minute and at once:
#: records stay, so nobody may write as many as they like into them. The service's owner, whose disk
#: it is, may.
_PER_MINUTE = 256 * 1024.0
_BURST = 4_300_000
#: Characters that a cell takes besides, and cells of a run that are told apart all the same, by so
#: much of their ids.
_EACH = 100
_ALWAYS = 10
_MAX_ID = 200
#: Seconds after which the beginning of a run, and its end, are handed over: a short run, and its
#: answer, wait for neither.
_SOON = 0.02
#: Longer cells are looked through in a thread.
_LONG = 16 * 1024
_CANCELLED = "57014"


class Log(Protocol):
    """What is needed of `service.Log`."""

    @property
    def up(self) -> bool:
        """Whether the database took the last acts."""

    async def write(
        self,
        act: auditing.Act,
        *,
        at: datetime.datetime | None = None,
        owed: bool = False,
        urgent: bool = True,
    ) -> None:
        """See there."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Who:
    """Whose run it is, and where from."""

    subject: str
    name: str = ""
    kind: str = ""
    address: str = ""
    token: str | None = None

    def act(
        self,
        action: str,
        target: str,
        outcome: auditing.Outcome = "done",
        *,
        details: dict[str, Any] | None = None,
        resources: dict[str, float] | None = None,
    ) -> auditing.Act:
        """Something this one did."""
        return auditing.Act(
            **{field: getattr(self, field) for field in Who.__slots__},
            action=action,
            target=target,
            outcome=outcome,
            details=details or {},
            resources=resources or {},
        )


class Runs:
    """See the module. With `strict` no run begins before its beginning is written."""

    def __init__(self, log: Log, policy: statements.Statements, *, strict: bool = False) -> None:
        self._log = log
        self._policy = policy
        self._strict = strict
        self._rate = rates.RateLimiter(_PER_MINUTE, _BURST)
        self._writing: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait until the ends of all runs are handed over."""
        await asyncio.gather(*self._writing)

    @contextlib.asynccontextmanager
    async def watch(self, who: Who, request: records.RunRequest, emit: Emit) -> AsyncIterator[Emit]:
        """While this is held a run goes on, which tells its events to what is given.

        Raises AuditUnavailable.
        """
        beginning = _Beginning(self._begin(who, request, datetime.datetime.now(datetime.UTC)))
        run = ""
        dones: list[records.Done] = []

        async def tell(event: records.Event) -> None:
            nonlocal run
            if isinstance(event, records.Started):
                run = event.run
            if isinstance(event, records.Done):
                dones.append(event)
            await emit(event)

        try:
            if self._strict or not self._log.up:
                await asyncio.shield(beginning.task())
            yield tell
        finally:
            task = asyncio.create_task(self._end(beginning, who, request, run, dones))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _begin(self, who: Who, request: records.RunRequest, at: datetime.datetime) -> None:
        details = {
            "cells": await self._cells(who, heads(request)),
            **await self._parameters(who, request),
        }
        if request.directory is not None:
            details["directory"] = request.directory
        act = who.act("run.start", request.notebook, details=details)
        await self._log.write(act, at=at, urgent=self._strict)

    async def _end(
        self,
        beginning: _Beginning,
        who: Who,
        request: records.RunRequest,
        run: str,
        dones: Sequence[records.Done],
    ) -> None:
        # Whoever runs has the answer first.
        await asyncio.sleep(_SOON)
        try:
            await beginning.task()
        except errors.AuditUnavailable:
            if not dones:
                # The run did not begin.
                return
        except Exception:
            logger.exception("the beginning of run %s was not written down", run)
        try:
            replayed = {
                report.id for done in dones for report in done.cells if report.source == "replayed"
            }
            tail = [cell for cell in request.cells[: request.head] if cell.id in replayed]
            outcome, details, resources = ended(run, dones)
            if tail:
                details["replayed"] = await self._cells(who, tail)
            states: dict[str, Any] = details.get("states", {})
            if not self._affords(who, sum(_EACH + len(each) for each in states)):
                details["states"] = dict(list(states.items())[-1:])
            act = who.act(
                "run.end", request.notebook, outcome, details=details, resources=resources
            )
            await self._log.write(act, owed=True, urgent=False)
        except Exception:
            logger.exception("the end of run %s was not written down", run)

    async def _cells(self, who: Who, cells: Sequence[records.Cell]) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        left = _MAX_TEXT
        for number, cell in enumerate(cells[:_MAX_CELLS]):
            if len(cell.source) > _LONG:
                found = await asyncio.to_thread(self._policy.of, cell.source)
            else:
                found = self._policy.of(cell.source)
            text = found.get("text", "")
            left -= len(text)
            name, taken = cell.id, _EACH + len(cell.id)
            if left < 0 or not self._affords(who, taken + len(text)):
                found.pop("text", None)
                if not self._affords(who, taken):
                    if number >= _ALWAYS:
                        break
                    name = name[:_MAX_ID]
            out.append({"cell": name, **found})
        if len(out) < len(cells):
            out.append(await asyncio.to_thread(self._rest, cells[len(out) :]))
        return out

    def _rest(self, cells: Sequence[records.Cell]) -> dict[str, Any]:
        digests = "".join(self._policy.of(cell.source).get("digest", "") for cell in cells)
        return {"cells": len(cells), **({"digest": statements.digest(digests)} if digests else {})}

    def _affords(self, who: Who, characters: int) -> bool:
        if who.kind == "os":
            return True
        try:
            self._rate.admit(who.subject, characters)
        except errors.LimitExceeded:
            return False
        return True

    async def _parameters(self, who: Who, request: records.RunRequest) -> dict[str, Any]:
        """Parameters are values in statements, and are treated as those are."""
        if not request.parameters or self._policy.policy == "none":
            return {}
        size = sum(len(name) + len(value) for name, value in request.parameters.items())
        if self._policy.policy != "text":
            clean: Any = sorted(request.parameters)
        elif size > _LONG:
            clean = await asyncio.to_thread(redaction.details, request.parameters)
        else:
            clean = redaction.details(request.parameters)
        if self._affords(who, size):
            return {"parameters": clean}
        return {"parameters": {"digest": statements.digest(json.dumps(clean, sort_keys=True))}}


class _Beginning:
    """The writing of a run's beginning: soon, or when its task is asked for."""

    def __init__(self, writing: Coroutine[Any, Any, None]) -> None:
        self._writing = writing
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(_SOON, self.task)

    def task(self) -> asyncio.Task[None]:
        """The task that writes, begun now if it has not."""
        self._timer.cancel()
        if self._task is None:
            self._task = asyncio.create_task(self._writing)
        return self._task


def heads(request: records.RunRequest) -> Sequence[records.Cell]:
    """The cells that a request wants run as heads."""
    first = request.head if request.first is None else request.first
    return request.cells[first : request.head + 1]


def ended(
    run: str, dones: Sequence[records.Done]
) -> tuple[auditing.Outcome, dict[str, Any], dict[str, float]]:
    """Outcome, details and resources of a run that is over. Pure."""
    details: dict[str, Any] = {"run": run}
    states = {done.cells[-1].id: done.cells[-1].state for done in dones if done.cells}
    if states:
        details["states"] = states
    failed = [done.error for done in dones if done.error is not None]
    if failed:
        details["error"] = {"sqlstate": failed[-1].sqlstate, "cell": failed[-1].cell}
    elif not dones:
        details["error"] = {"sqlstate": _CANCELLED, "cell": None}
    if dones:
        details["sandbox"] = dones[-1].sandbox.name
    resources = {
        "ms": round(sum(done.totals.ms for done in dones), 3),
        "rows": sum(done.cells[-1].rows or 0 for done in dones if done.cells),
        "hits": sum(done.totals.hits for done in dones),
        "replayed": sum(done.totals.replayed for done in dones),
    }
    return "failed" if failed or not dones else "done", details, resources
