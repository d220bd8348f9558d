"""What is written down about who did what."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Protocol

Outcome = Literal["done", "failed", "denied"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """Something that somebody did, or was kept from doing.

    `action` is a noun and a verb, as `run.start`, `login.password`, `token.revoke`, `quota.set`;
    `target` names what it was done to. `details` must be JSON; secrets are taken out of it before
    anything is written. `resources` are what it cost: milliseconds, rows, bytes.
    """

    subject: str
    name: str
    kind: str
    action: str
    target: str
    outcome: Outcome
    address: str = ""
    token: str | None = None
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    resources: Mapping[str, float] = dataclasses.field(default_factory=dict)


class AuditLog(Protocol):
    """Takes down acts. See `pgcellar.audit`."""

    async def write(self, act: Act) -> None:
        """Write an act down, or keep it until that can be done.

        Raises AuditUnavailable where the policy is not to go on without.
        """
