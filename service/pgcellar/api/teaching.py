"""What a teacher's page is told of people's work, and may do to their sandboxes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pgcellar.api import quotas


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """How one person's work stands, as JSON has it.

    `notebooks` are those that ran last, `sandbox` how it stands, `busy` the runs under way, and
    `queued` how many more wait for their turn.
    """

    notebooks: Sequence[Mapping[str, Any]]
    sandbox: Mapping[str, Any]
    busy: Sequence[Mapping[str, Any]]
    queued: int


class Classroom(Protocol):
    """Knows and stops people's work. Who may ask is for whoever asks it to know."""

    async def work(self, owners: Sequence[str]) -> Mapping[str, Work]:
        """How the work of each owner stands."""

    async def held(self, owner: str) -> Mapping[quotas.Limit, float]:
        """What an owner holds now of what is limited, as far as that can be said.

        Not of memory, which is limited by session and known of the whole server, nor of processors.
        """

    async def stop(self, owner: str, reason: str) -> None:
        """Cancel an owner's runs and stop the sandbox; its states stay.

        Raises Conflict if it can't be stopped now.
        """

    async def reset(self, owner: str, reason: str) -> None:
        """Cancel an owner's runs and remove the sandbox with all its states. Raises Conflict."""

    def extend(self, owner: str, seconds: float) -> None:
        """Let an owner's sandbox be idle for so long."""
