"""How much each caller may have open, and whose tokens are known to be good.

All of this is of this process alone. What must hold over several gateways the service counts.
"""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Callable, Iterator

from pgcellar.api import errors

#: Tokens remembered; those that were taken longest ago are forgotten.
_TOKENS = 10_000
#: Seconds after which somebody with too many open requests may try again.
_OPEN_SECONDS = 1.0
#: Seconds for which a token that was good is known to have been.
_KNOWN_SECONDS = 900.0


class Ceiling:
    """So many requests of each caller that are open at once; 0 for any number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: collections.Counter[str] = collections.Counter()

    @property
    def total(self) -> int:
        """How many are open, of everybody."""
        return self._open.total()

    @contextlib.contextmanager
    def held(self, caller: str) -> Iterator[None]:
        """While this is held a request is open. Raises LimitExceeded."""
        if self._most and self._open[caller] >= self._most:
            raise errors.LimitExceeded(
                f"{self._most} requests are open already.",
                hint="Close some, or wait until some have been answered; then ask again.",
                retry_after=_OPEN_SECONDS,
            )
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]


class Room:
    """So many bytes that may be held at once, of everybody; of one caller a quarter of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: collections.Counter[str] = collections.Counter()

    @contextlib.contextmanager
    def held(self, caller: str, amount: int) -> Iterator[None]:
        """While this is held an amount is. Raises LimitExceeded."""
        mine = self._held[caller] + amount > self._most // 4
        if mine or self._held.total() + amount > self._most:
            raise errors.LimitExceeded(
                f"As much is being sent {'by you ' if mine else ''}as can be held.",
                hint="Come again in a moment.",
                retry_after=_OPEN_SECONDS,
            )
        self._held[caller] += amount
        try:
            yield
        finally:
            self._held[caller] -= amount
            if not self._held[caller]:
                del self._held[caller]


class Known:
    """Whose the tokens are that the services took a while ago, by digest.

    So guesses are told apart, and what somebody asks with one token or with many is counted as one.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: collections.OrderedDict[str, tuple[float, str]] = collections.OrderedDict()

    def subject(self, digest: str) -> str | None:
        """Whose token it is; None where it is not known to be good."""
        until, subject = self._known.get(digest, (0.0, ""))
        return subject if until > self._clock() else None

    def answered(self, digest: str, status: int, subject: str | None) -> None:
        """A request with the token was answered so; the services named a subject or nobody."""
        if status == 401:
            self._known.pop(digest, None)
        elif subject is not None:
            self._known[digest] = self._clock() + _KNOWN_SECONDS, subject
            self._known.move_to_end(digest)
            if len(self._known) > _TOKENS:
                self._known.popitem(last=False)
