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
from pgcellar.audit import service

logger = logging.getLogger(__name__)

#: Denials of one subject that are written each for itself: a minute, and at once.
_PER_MINUTE = 6.0
_BURST = 20
#: The same of all who are nobody yet, as who fails to log in. One address can't come to as many
#: (`identity.throttle`), but one may have many addresses.
_STRANGERS_PER_MINUTE = 60.0
_STRANGERS_BURST = 300
#: Seconds after which what was gathered is written.
_LATER = 60.0
#: Subjects of whom denials are gathered; then all is written that is there.
_SUBJECTS = 1_000
#: Targets of one subject's that are told apart, so that none is hidden among many, and addresses,
#: since another may have the subject's token; and characters of each. The rest are counted
#: together.
_TOLD = 50
_CHARACTERS = 200
_OTHERS = "others"


class _Gathered:
    """Denials of one subject and action: the newest, and how many there were of what."""

    def __init__(self) -> None:
        self.newest: auditing.Act
        self.targets: collections.Counter[str] = collections.Counter()
        self.addresses: collections.Counter[str] = collections.Counter()

    def add(self, act: auditing.Act) -> None:
        """One more."""
        self.newest = act
        for counted, what in (self.targets, act.target), (self.addresses, act.address):
            what = what[:_CHARACTERS]
            counted[what if what in counted or len(counted) < _TOLD else _OTHERS] += 1

    def told(self) -> auditing.Act:
        """All of them as one act."""
        found = {
            "times": self.targets.total(),
            "targets": dict(self.targets),
            "addresses": dict(self.addresses),
        }
        return dataclasses.replace(self.newest, details={**self.newest.details, **found})


class Thinned:
    """An audit log before another one; satisfies `auditing.AuditLog`."""

    def __init__(self, log: auditing.AuditLog, *, later: float = _LATER) -> None:
        self._log = log
        self._later = later
        self._rate = rates.RateLimiter(_PER_MINUTE, _BURST)
        self._strangers = rates.RateLimiter(_STRANGERS_PER_MINUTE, _STRANGERS_BURST)
        #: By subject and action.
        self._more: collections.defaultdict[tuple[str, str], _Gathered]
        self._more = collections.defaultdict(_Gathered)
        self._telling: asyncio.Task[None] | None = None
        self._full = asyncio.Event()
        self._closing = False
        self._noting: set[asyncio.Task[None]] = set()

    async def write(self, act: auditing.Act) -> None:
        """Write an act down; a denial perhaps later. Raises AuditUnavailable."""
        if act.outcome == "denied" and not self._admits(act):
            self._more[act.subject, act.action].add(service.located(act))
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
            (self._rate if act.subject else self._strangers).admit(act.subject)
        except errors.LimitExceeded:
            return False
        return True

    async def _tell_later(self) -> None:
        while self._more:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), self._later)
            if not self._closing:
                self._full.clear()
            gathered, self._more = self._more, collections.defaultdict(_Gathered)
            for each in gathered.values():
                await self._kept(each.told(), self._log.write)
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
