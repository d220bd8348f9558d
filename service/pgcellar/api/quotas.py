"""How much somebody may use: the limits there are, and how a service asks whether one is kept."""

from __future__ import annotations

import math
from typing import Literal, Protocol

from pgcellar.api import identities

#: `sandboxes`: how many at once. `cpu`: processors of a sandbox. `memory_bytes`: its memory.
#: `statement_seconds`: how long a statement may run. `snapshot_bytes`: what snapshots may take.
#: `result_bytes`: results in a day. `runs_per_minute`: runs in a minute.
Limit = Literal[
    "sandboxes",
    "cpu",
    "memory_bytes",
    "statement_seconds",
    "snapshot_bytes",
    "result_bytes",
    "runs_per_minute",
]


class Quotas(Protocol):
    """Admits what somebody is about to use. See `pgcellar.profiles`."""

    async def limit(self, who: identities.Identity, limit: Limit) -> float:
        """What a limit is for somebody; infinite if there is none."""

    async def admit(self, who: identities.Identity, limit: Limit, amount: float = 1.0) -> None:
        """Go on if a limit allows an amount.

        Of runs and result bytes the amount is what is added now. Of what somebody holds, as
        sandboxes or snapshots, it is what it would be in all, which only who keeps them knows.

        Raises LimitExceeded, with a sentence that names the limit and when it resets.
        """

    async def left(self, who: identities.Identity, limit: Limit) -> float:
        """How much of a limit over time is left."""

    async def spend(self, who: identities.Identity, limit: Limit, amount: float) -> None:
        """Count what was used, whether it was still allowed or not."""


class Unlimited:
    """No limits: satisfies `Quotas`."""

    async def limit(self, who: identities.Identity, limit: Limit) -> float:
        """See `Quotas`."""
        return math.inf

    async def admit(self, who: identities.Identity, limit: Limit, amount: float = 1.0) -> None:
        """See `Quotas`."""

    async def left(self, who: identities.Identity, limit: Limit) -> float:
        """See `Quotas`."""
        return math.inf

    async def spend(self, who: identities.Identity, limit: Limit, amount: float) -> None:
        """See `Quotas`."""
