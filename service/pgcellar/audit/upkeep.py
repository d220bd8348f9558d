"""What the service does by itself with people's sandboxes and states is written down, too.

Nobody waits for it: it has happened, and is told behind the back of whatever it happened for.
States that are given up for room are told together, a while later, as whoever is at a limit gives
up one for each that is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Sequence

from pgcellar.api import auditing, errors
from pgcellar.audit import runs

logger = logging.getLogger(__name__)

#: Who did what nobody asked for.
SERVICE = runs.Who(subject="pgcellar", name="pgcellar", kind="service")
#: Seconds in which states that are given up are gathered, and how many are named in one act.
LATER = 10.0
_NAMED = 100


@dataclasses.dataclass(kw_only=True, slots=True)
class _Evicted:
    """States of one sandbox that were given up."""

    owner: str
    count: int = 0
    states: list[str] = dataclasses.field(default_factory=list)


class Upkeep:
    """See the module."""

    def __init__(self, log: runs.Log, *, later: float = LATER) -> None:
        self._log = log
        self._later = later
        self._evicted: dict[str, _Evicted] = {}
        self._telling: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._noting: set[asyncio.Task[None]] = set()

    def note(self, act: auditing.Act) -> None:
        """Write down what has just been done."""
        task = asyncio.create_task(self._write(act))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    def evicted(self, owner: str, sandbox: str, states: Sequence[str]) -> None:
        """States of somebody's were given up for the limits."""
        gathered = self._evicted.setdefault(sandbox, _Evicted(owner=owner))
        gathered.count += len(states)
        gathered.states.extend(states[: _NAMED - len(gathered.states)])
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell_later())

    async def close(self) -> None:
        """Write what was gathered."""
        self._closing.set()
        if self._telling is not None:
            await self._telling
        await asyncio.gather(*self._noting)

    async def _tell_later(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), self._later)
        self._telling = None
        gathered, self._evicted = self._evicted, {}
        for sandbox, each in gathered.items():
            told = {"owner": each.owner, "count": each.count, "states": each.states}
            self.note(SERVICE.act("state.evict", sandbox, details=told))

    async def _write(self, act: auditing.Act) -> None:
        try:
            await self._log.write(act, owed=True, urgent=False)
        except errors.AuditUnavailable as exc:
            logger.error("not in the audit log: %s of %s: %s", act.action, act.target, exc)
