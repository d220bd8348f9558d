"""How often strangers may try, by network address and by login; across all replicas."""

from __future__ import annotations

import dataclasses
import hashlib
import math

from pgcellar.api import errors
from pgcellar.control import windows


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """So many within so many seconds."""

    count: int
    seconds: float
    what: str


#: A class behind one address comes in within minutes.
ANONYMOUS = Rate(count=200, seconds=3600, what="anonymous identities from one address")
REGISTER = Rate(count=100, seconds=3600, what="registrations from one address")
#: Passwords that somebody tries from where they are, and that somebody tries on many accounts.
LOGIN = Rate(count=10, seconds=900, what="logins to one account from one address")
ADDRESS = Rate(count=300, seconds=900, what="logins from one address")
#: Logins at other servers that are begun; each leaves a row until it ends, or ten minutes later.
STARTS = Rate(count=1_000, seconds=900, what="logins begun from one address")
#: Each leaves a row for as long as the session, or the token, could be good; an access token lives
#: for ten minutes.
RENEWALS = Rate(count=20, seconds=600, what="renewals of one session")
TOKENS = Rate(count=100, seconds=3600, what="new tokens of one person")
#: From everywhere: slows a guesser with many addresses, and keeps nobody out for long.
ACCOUNT = Rate(count=100, seconds=900, what="logins to one account")


class Throttle:
    """Counts attempts before they are made, so that many at once are no more than one by one."""

    def __init__(self, counted: windows.Windows) -> None:
        self._windows = counted

    async def attempt(self, rate: Rate, *keys: str) -> None:
        """Count one. Raises LimitExceeded."""
        taken = await self._windows.take(
            _key(rate, keys), amount=1, limit=rate.count, seconds=rate.seconds
        )
        if not taken.admitted:
            wait = math.ceil(taken.retry_after)
            raise errors.LimitExceeded(
                f"No more than {rate.count} {rate.what} are possible in"
                f" {rate.seconds / 60:.0f} minutes; the next one is in {wait} s.",
                retry_after=wait,
            )

    async def forgive(self, rate: Rate, *keys: str) -> None:
        """What was counted were no attacks."""
        await self._windows.clear(_key(rate, keys))


def _key(rate: Rate, keys: tuple[str, ...]) -> str:
    text = "\0".join((rate.what, *keys))
    return f"identity:{hashlib.sha256(text.encode()).hexdigest()}"
