"""Who of those that wait may run next: first come, first served, but nobody takes all places."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator

#: Who holds places takes one more while so many times as many are free, and more than this part of
#: all, so that a few who hold theirs for long leave enough to everybody else.
_LEFT = 3
_KEPT = 4


class Turns:
    """`places` in all, of one owner at most `each`; the last ones are for who has none."""

    def __init__(self, places: int, each: int) -> None:
        self._free = places
        self._kept = places // _KEPT
        self._each = each
        self._held: collections.Counter[str] = collections.Counter()
        self._waiting: dict[asyncio.Future[None], str] = {}

    @contextlib.asynccontextmanager
    async def take(self, owner: str) -> AsyncIterator[None]:
        """A place, while this is held."""
        await self._turn(owner)
        try:
            yield
        finally:
            self._give_back(owner)

    async def _turn(self, owner: str) -> None:
        if self._may(owner):
            # Nobody who waits may take it: they would have.
            self._occupy(owner)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = owner
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(owner)
            else:
                del self._waiting[turn]
            raise

    def _may(self, owner: str) -> bool:
        held = self._held[owner]
        left = max(self._kept, _LEFT * held) if held else 0
        return held < self._each and self._free > left

    def _occupy(self, owner: str) -> None:
        self._free -= 1
        self._held[owner] += 1

    def _give_back(self, owner: str) -> None:
        self._free += 1
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        for turn, waiting in list(self._waiting.items()):
            if not self._free:
                break
            # One that was cancelled this moment takes itself out when it hears of it.
            if not turn.done() and self._may(waiting):
                del self._waiting[turn]
                self._occupy(waiting)
                turn.set_result(None)
