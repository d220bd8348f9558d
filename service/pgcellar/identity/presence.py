"""Who was here when: every request with a token is noted, and written down now and then."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
from collections.abc import AsyncIterator, Mapping, Sequence

from pgcellar.api import errors, identities
from pgcellar.identity import store

logger = logging.getLogger(__name__)

#: Seconds between two writes.
_WRITE_SECONDS = 60.0


class Presence:
    """See the module; satisfies `identities.Verifier`."""

    def __init__(self, verifier: identities.Verifier, accounts: store.AccountStore) -> None:
        self._verifier = verifier
        self._accounts = accounts
        self._noted: dict[str, datetime.datetime] = {}

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """While this is held what is noted is written."""
        writing = asyncio.create_task(self._write())
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await self._flush()

    async def verify(self, token: str, audience: str) -> identities.Identity:
        """See `identities.Verifier`."""
        who = await self._verifier.verify(token, audience)
        self._noted[who.subject] = datetime.datetime.now(datetime.UTC)
        return who

    async def of(self, subjects: Sequence[str]) -> Mapping[str, datetime.datetime]:
        """When each of some subjects was seen last; without those who have no account."""
        # First, since what is being written stands in neither.
        noted = dict(self._noted)
        return {**await self._accounts.last_seen(subjects), **_only(noted, subjects)}

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(_WRITE_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        noted = dict(self._noted)
        if not noted:
            return
        try:
            await self._accounts.seen_at(noted)
        except errors.PgcellarError as exc:
            logger.warning("when %d people were seen can't be written: %s", len(noted), exc)
            return
        for subject, at in noted.items():
            if self._noted.get(subject) == at:
                del self._noted[subject]


def _only(
    noted: Mapping[str, datetime.datetime], subjects: Sequence[str]
) -> dict[str, datetime.datetime]:
    return {subject: noted[subject] for subject in subjects if subject in noted}
