"""How often each caller may ask: token buckets (a generic cell rate algorithm, ITU-T I.371)."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable

from pgcellar.api import errors

#: Callers remembered; those that asked longest ago are forgotten, which is to their good.
_CALLERS = 10_000


class RateLimiter:
    """So many requests a minute for each caller, with bursts of as many as `burst` at once.

    0 a minute are any number. What is counted is of this process alone.
    """

    def __init__(
        self, per_minute: float, burst: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 60.0 / per_minute if per_minute > 0 else 0.0
        self._burst = burst
        self._clock = clock
        #: When each caller's bucket will be full again.
        self._full: collections.OrderedDict[str, float] = collections.OrderedDict()

    def admit(self, caller: str, amount: float = 1.0) -> None:
        """Count a request, or something else of which this is so much. Raises LimitExceeded."""
        if not self._interval:
            return
        now = self._clock()
        before = max(self._full.pop(caller, now), now)
        full = before + amount * self._interval
        wait = full - now - self._burst * self._interval
        self._full[caller] = before if wait > 0 else full
        while len(self._full) > _CALLERS:
            self._full.popitem(last=False)
        if wait > 0:
            raise errors.LimitExceeded(
                f"More than {60.0 / self._interval:g} requests a minute.",
                hint=f"Come again in {wait:.1f} s.",
                retry_after=wait,
            )
