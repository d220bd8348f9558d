"""Whose run is next."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar.runner import turns

PLACES, EACH = 32, 8


class Hall:
    """People who come, and stay until they are sent away."""

    def __init__(self, places: int = PLACES, each: int = EACH) -> None:
        self._turns = turns.Turns(places, each)
        self.running: list[tuple[str, asyncio.Event]] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, owner: str, times: int = 1) -> asyncio.Task[None]:
        """They come in, or wait; the last one's task."""
        for _ in range(times):
            self.tasks.append(asyncio.create_task(self._stay(owner)))
        await self.settle()
        return self.tasks[-1]

    async def _stay(self, owner: str) -> None:
        async with self._turns.take(owner):
            mine = owner, asyncio.Event()
            self.running.append(mine)
            try:
                await mine[1].wait()
            finally:
                self.running.remove(mine)

    async def leave(self, owner: str) -> None:
        """The first of an owner's goes."""
        next(gone for name, gone in self.running if name == owner).set()
        await self.settle()

    async def settle(self) -> None:
        """Let everybody do what they can."""
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def held(self) -> dict[str, int]:
        """Places by owner."""
        return dict(collections.Counter(name for name, _ in self.running))

    async def close(self) -> None:
        """Send all away."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def hall(places: int = PLACES, each: int = EACH) -> AsyncIterator[Hall]:
    """A hall, empty before and after."""
    made = Hall(places, each)
    try:
        yield made
    finally:
        await made.close()


async def test_one_alone_has_what_one_may_have() -> None:
    async with hall() as inside:
        await inside.come("ann", 50)
        assert inside.held == {"ann": EACH}
        await inside.leave("ann")
        assert inside.held == {"ann": EACH}


async def test_a_few_who_stay_leave_places_to_everybody() -> None:
    async with hall() as inside:
        for number in range(4):
            await inside.come(f"greedy {number}", 50)
        for number in range(8):
            await inside.come(f"person {number}")
            assert inside.held[f"person {number}"] == 1, inside.held


async def test_first_come_first_served() -> None:
    async with hall(2, 2) as inside:
        for name in ("a", "b", "c", "d"):
            await inside.come(name)
        assert inside.held == {"a": 1, "b": 1}
        await inside.leave("b")
        assert inside.held == {"a": 1, "c": 1}
        await inside.leave("a")
        assert inside.held == {"c": 1, "d": 1}


async def test_who_goes_while_waiting_takes_no_place() -> None:
    async with hall(1, 1) as inside:
        await inside.come("a")
        waiting = await inside.come("b")
        waiting.cancel()
        await inside.come("c")
        await inside.leave("a")
        assert inside.held == {"c": 1}


async def test_who_goes_when_their_turn_comes_gives_it_on() -> None:
    async with hall(1, 1) as inside:
        await inside.come("a")
        waiting = await inside.come("b")
        await inside.come("c")
        # b hears of its turn a step after a has gone.
        inside.running[0][1].set()
        await asyncio.sleep(0)
        assert not inside.running
        waiting.cancel()
        await inside.settle()
        assert inside.held == {"c": 1}


async def test_who_goes_as_another_leaves_takes_no_place() -> None:
    async with hall(1, 1) as inside:
        await inside.come("a")
        waiting = await inside.come("b")
        await inside.come("c")
        # a leaves while b, who goes too, still stands in the queue.
        inside.running[0][1].set()
        waiting.cancel()
        await inside.settle()
        assert inside.held == {"c": 1}
        assert [task.cancelled() for task in inside.tasks[:2]] == [False, True]
        assert inside.tasks[0].exception() is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=80))
def test_nobody_waits_without_need(steps: list[tuple[str, bool]]) -> None:
    """However people come and go: places are kept, and with none held nobody waits."""

    async def play() -> None:
        async with hall(8, 4) as inside:
            for owner, comes in steps:
                if comes:
                    await inside.come(owner)
                elif owner in inside.held:
                    await inside.leave(owner)
                waiting = {task for task in inside.tasks if not task.done()}
                assert sum(inside.held.values()) <= 8
                assert max(inside.held.values(), default=0) <= 4
                assert (not waiting) or inside.held
            while inside.held:
                await inside.leave(next(iter(inside.held)))
            assert all(task.done() for task in inside.tasks)

    asyncio.run(play())


@pytest.mark.parametrize("places", [1, 2, 5])
async def test_few_places_serve_one_alone(places: int) -> None:
    async with hall(places) as inside:
        await inside.come("a", 3)
        while inside.running:
            await inside.leave("a")
        assert all(task.done() for task in inside.tasks)
