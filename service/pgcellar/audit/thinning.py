"""What somebody is kept from doing again and again is written down together.

Records can't be taken back, so nobody may fill the log by being refused. After so many denials of
one subject the next ones are gathered, and written a while later as one act that says how many.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import logging
from collections.abc import Awaitable, Callable

from pgcellar.api import auditing, errors, rates

logger = logging.getLogger(__name__)

#: Denials of one subject that are written each for itself: a minute, and at once.
_PER_MINUTE = 6.0
_BURST = 20
#: Seconds after which what was gathered is written.
_LATER = 60.0
#: Subjects of whom denials are gathered; then all is written that is there.
_SUBJECTS = 1_000
#: Targets of one subject's that are told apart, so that none is hidden among many, and characters
#: of each; the rest are counted together.
_TARGETS = 50
_CHARACTERS = 200
_OTHERS = "others"


class Thinned:
    """An audit log before another one; satisfies `auditing.AuditLog`."""

    def __init__(self, log: auditing.AuditLog, *, later: float = _LATER) -> None:
        self._log = log
        self._later = later
        self._rate = rates.RateLimiter(_PER_MINUTE, _BURST)
        #: Of each subject and action the newest act, and how many there were of each target.
        self._more: dict[tuple[str, str], tuple[auditing.Act, collections.Counter[str]]] = {}
        self._telling: asyncio.Task[None] | None = None
        self._full = asyncio.Event()
        self._closing = False
        self._noting: set[asyncio.Task[None]] = set()

    async def write(self, act: auditing.Act) -> None:
        """Write an act down; a denial perhaps later. Raises AuditUnavailable."""
        if act.outcome == "denied" and act.subject and not self._admits(act):
            key = act.subject, act.action
            _, targets = self._more.get(key, (act, collections.Counter()))
            self._more[key] = act, targets
            target = act.target[:_CHARACTERS]
            targets[target if target in targets or len(targets) < _TARGETS else _OTHERS] += 1
            if self._telling is None:
                self._telling = asyncio.create_task(self._tell_later())
            if len(self._more) >= _SUBJECTS:
                self._full.set()
            return
        await self._log.write(act)

    def note(self, act: auditing.Act) -> None:
        """The same behind the back of whoever was answered already."""
        task = asyncio.create_task(self._kept(act, self.write))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def close(self) -> None:
        """Write what was gathered."""
        await asyncio.gather(*self._noting)
        self._closing = True
        self._full.set()
        if self._telling is not None:
            await self._telling

    def _admits(self, act: auditing.Act) -> bool:
        try:
            self._rate.admit(act.subject)
        except errors.LimitExceeded:
            return False
        return True

    async def _tell_later(self) -> None:
        while self._more:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), self._later)
            if not self._closing:
                self._full.clear()
            gathered, self._more = self._more, {}
            for act, targets in gathered.values():
                found = {"times": targets.total(), "targets": dict(targets)}
                told = dataclasses.replace(act, details={**act.details, **found})
                await self._kept(told, self._log.write)
        self._telling = None

    async def _kept(
        self, act: auditing.Act, write: Callable[[auditing.Act], Awaitable[None]]
    ) -> None:
        """Nobody waits for it: what can't be written stands in the service's log."""
        try:
            await write(act)
        except errors.AuditUnavailable as exc:
            logger.error(
                "not in the audit log: %s of %s: %s %s", act.action, act.subject, act.target, exc
            )
