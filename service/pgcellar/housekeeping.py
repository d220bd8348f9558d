"""Removes what is left of people who can't come back: anonymous ones whose session is over.

The account goes last, so that what fails is tried again at the next round.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from pgcellar.api import errors

logger = logging.getLogger(__name__)

#: Seconds between two rounds; how many people go in one, and seconds for each of them.
_INTERVAL = 600.0
_AT_MOST = 500
_SECONDS = 60.0


class People(Protocol):
    """What is asked of identity and profiles."""

    async def tidy(self) -> None:
        """Remove what has expired."""

    async def departed(self, limit: int) -> list[str]:
        """Subjects who can't come back."""

    async def remove(self, subject: str) -> None:
        """Remove the account and profile of one of them."""


class Housekeeping:
    """See the module. `erase` removes all that somebody left besides the account."""

    def __init__(self, people: People, erase: Callable[[str], Awaitable[None]]) -> None:
        self._people = people
        self._erase = erase

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """While this is held there is a round now and then."""
        going = asyncio.create_task(self._go())
        try:
            yield
        finally:
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)

    async def round(self) -> int:
        """Remove what there is to remove; of how many people."""
        await self._people.tidy()
        gone = 0
        for subject in await self._people.departed(_AT_MOST):
            try:
                async with asyncio.timeout(_SECONDS):
                    await self._erase(subject)
                    await self._people.remove(subject)
                gone += 1
            except (errors.PgcellarError, OSError, TimeoutError) as exc:
                logger.warning("what %s left can't be removed: %s", subject, exc)
        if gone:
            logger.info("%d anonymous people are gone, with all they had", gone)
        return gone

    async def _go(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            try:
                await self.round()
            except errors.PgcellarError as exc:
                logger.warning("removing what has expired: %s", exc)
