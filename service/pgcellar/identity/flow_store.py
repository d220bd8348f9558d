"""Logins under way at other servers, in the control database."""

from __future__ import annotations

import dataclasses

from pgcellar.control import database
from pgcellar.identity import grant_store

#: How long somebody may take to log in there.
SECONDS = 600.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """What has to be known when somebody comes back. `subject` is who is to be upgraded.

    `nonce` is empty where the server signs nothing that could have it.
    """

    provider: str
    verifier: str
    nonce: str
    subject: str | None = None


class FlowStore:
    """The table `flows`."""

    def __init__(self, db: database.ControlDatabase) -> None:
        self._db = db

    async def add(self, state: str, flow: Flow) -> None:
        """Remember a login that begins."""
        await self._db.execute(
            """
            insert into flows (hash, provider, verifier, nonce, subject, expires)
            values (%s, %s, %s, %s, %s, now() + make_interval(secs => %s))
            """,
            (
                grant_store.digest(state),
                flow.provider,
                flow.verifier,
                flow.nonce,
                flow.subject,
                SECONDS,
            ),
        )

    async def take(self, state: str, provider: str) -> Flow | None:
        """The login that was begun with this state; once."""
        rows = await self._db.fetch(
            """
            delete from flows where hash = %s and provider = %s and expires > now()
            returning provider, verifier, nonce, subject
            """,
            (grant_store.digest(state), provider),
        )
        return Flow(**rows[0]) if rows else None

    async def tidy(self) -> None:
        """Remove logins that were not finished."""
        await self._db.execute("delete from flows where expires < now()")
