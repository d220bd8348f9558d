"""Who may start a sandbox when as many run as may."""

from __future__ import annotations

import asyncio

import pytest

from pgcellar.api import errors
from pgcellar.environments import admission


class Machine:
    """What an admission is for: `idle` of the running ones can be stopped."""

    def __init__(self, *, limit: int, queue: int = 10, patience: float = 5.0) -> None:
        self.running: list[str] = []
        self.order: list[str] = []
        self.idle = 0
        self.most = 0
        self.admission = admission.Admission(
            limit=limit,
            queue=queue,
            patience=patience,
            running=lambda: len(self.running),
            make_room=self._make_room,
        )

    async def _make_room(self) -> bool:
        if not self.idle:
            return False
        self.idle -= 1
        await asyncio.sleep(0.01)
        self.running.pop(0)
        return True

    async def start(self, name: str, seconds: float = 0.01) -> None:
        """Start one."""
        async with self.admission.enter():
            await asyncio.sleep(seconds)
            self.running.append(name)
            self.order.append(name)
            self.most = max(self.most, len(self.running))


async def test_any_number_without_a_limit() -> None:
    machine = Machine(limit=0)
    await asyncio.gather(*(machine.start(str(i)) for i in range(10)))
    assert len(machine.running) == 10


async def test_those_that_start_count() -> None:
    machine = Machine(limit=2)
    late = [asyncio.create_task(machine.start(str(i), 0.3)) for i in range(4)]
    await asyncio.sleep(0.5)
    assert sorted(machine.running) == ["0", "1"]
    machine.idle = 2
    await asyncio.gather(*late)
    assert machine.running == ["2", "3"]
    assert machine.most == 2


async def test_first_come_first_served() -> None:
    machine = Machine(limit=1)
    await machine.start("first")
    late = []
    for name in "abc":
        late.append(asyncio.create_task(machine.start(name)))
        await asyncio.sleep(0.02)
    machine.idle = 3
    await asyncio.gather(*late)
    assert machine.order == ["first", "a", "b", "c"]


async def test_who_waits_too_long_is_told_so() -> None:
    machine = Machine(limit=1, patience=0.1)
    await machine.start("first")
    with pytest.raises(errors.LimitExceeded, match=r"All 1 sandboxes .* none fell idle") as raised:
        await machine.start("second")
    assert raised.value.retry_after > 0
    assert machine.admission.waiting == 0
    machine.idle = 1
    await machine.start("third")
    assert machine.running == ["third"]


async def test_the_queue_has_an_end() -> None:
    machine = Machine(limit=1, queue=2)
    await machine.start("first")
    late = [asyncio.create_task(machine.start(name)) for name in "ab"]
    await asyncio.sleep(0.02)
    with pytest.raises(errors.LimitExceeded, match="as many people wait"):
        await machine.start("c")
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    machine.idle = 1
    await machine.start("d")
    assert machine.running == ["d"]


async def test_who_fails_to_start_leaves_room() -> None:
    machine = Machine(limit=1)
    with pytest.raises(ZeroDivisionError):
        async with machine.admission.enter():
            raise ZeroDivisionError
    await machine.start("next")
    assert machine.running == ["next"]
