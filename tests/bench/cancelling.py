"""What it takes to cancel a statement: from the wish until its cell has ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import psycopg
from tests.bench import heads, kernels, measure, places

from pgcellar.api import client, records

SECTION = "cancelling `pg_sleep(100)`: from the wish to the end of its cell"
#: After so many seconds the statement has surely reached PostgreSQL.
_UNDER_WAY = 0.3
_AIM = "below 200 ms"
_SLEEP = "select pg_sleep(100), {number}"


class NotCancelled(Exception):
    """A statement that was cancelled came to its end, or failed otherwise."""


async def cancels(
    table: measure.Table, service: client.Client, server: places.Plain, rounds: int
) -> None:
    """By psycopg, by the service, and by a kernel that is interrupted."""
    took: tuple[list[float], list[float], list[float]] = ([], [], [])
    with kernels.started(kernels.PGCELLAR) as kernel:
        for number in range(1 + rounds):
            took[0].append(await _psycopg(server, _SLEEP.format(number=number)))
            took[1].append(await _service(service, _SLEEP.format(number=-1 - number)))
            took[2].append(kernel.interrupted(_SLEEP.format(number=number), _UNDER_WAY))
    bare = table.add(SECTION, "psycopg: cancel_safe", took[0][1:])
    for name, samples in (("over HTTP", took[1]), ("kernel interrupted", took[2])):
        table.add(SECTION, f"pgcellar: {name}", samples[1:], against=bare, overhead=True, aim=_AIM)


async def _psycopg(server: places.Plain, statement: str) -> float:
    async with await server.connect() as conn:

        async def work() -> None:
            await conn.execute(statement)

        return await _until_ended(work, conn.cancel_safe, psycopg.errors.QueryCanceled)


async def _service(service: client.Client, statement: str) -> float:
    run = ""
    done: records.Event | None = None

    async def work() -> None:
        nonlocal run, done
        wanted = heads.request("cancelled", [statement], 0)
        async with contextlib.aclosing(service.run(wanted)) as events:
            async for done in events:
                if isinstance(done, records.Started):
                    run = done.run

    async def cancel() -> None:
        await service.cancel(run)

    took = await _until_ended(work, cancel)
    if not isinstance(done, records.Done) or done.error is None or done.error.sqlstate != "57014":
        raise NotCancelled("The run was not cancelled.")
    return took


async def _until_ended(
    work: Callable[[], Awaitable[None]],
    cancel: Callable[[], Awaitable[None]],
    *expected: type[Exception],
) -> float:
    """Begin the work, cancel it when it is under way; ms from then until it has ended."""
    task = asyncio.ensure_future(work())
    await asyncio.sleep(_UNDER_WAY)
    begin = time.perf_counter()
    await cancel()
    with contextlib.suppress(*expected):
        await task
    return (time.perf_counter() - begin) * 1000
