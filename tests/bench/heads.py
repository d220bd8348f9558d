"""What the runner adds to a statement: heads over HTTP and in this process, against psycopg."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg
from tests import cellar
from tests.bench import measure

from pgcellar.api import client, records

READS = "a read, by the runner and by psycopg"
WRITES = "a write cell, by the runner and by psycopg"
AGAIN = "a notebook that nobody changed, all of it in one request"
LONG = 1_000
_CELLS = 100
_WARM_UP = 10
#: Seconds in which idle work keeps a small state and has a clone ready, on a slow disk too.
IDLE = 1.2
#: Between runs that must not meet: what one of them leaves to do at once takes less.
_APART = 0.03
#: The first cells of a run of all, which find nothing prepared, are no steady state.
_FIRST = 4

_READ_AIM = "below +2 ms"
_WRITE_AIM = "below +5 ms"
_AGAIN_AIM = "tens of ms"
_SMALL = "create table small as select g as id, md5(g::text) as name from generate_series(1, 100) g"
#: Reads are another each time: the answer to one that ran before is kept.
_READ = "select {number}"
_OVER_SMALL = "select * from small where id <> {number} order by id"
_TABLE = "create table t (n integer)"
_FILL = "insert into t select generate_series(1, 1000)"

#: A table, its rows, and two reads of it.
_KINDS = (
    "create table v{table} as select {number} as a",
    "insert into v{table} values ({number})",
    "select * from v{table} where a > {number} order by a",
    "select count(*), sum(a), {number} from v{table}",
)

#: Runs the cell at an index of a notebook of that name; ms until `Done`.
RunHead = Callable[[str, Sequence[str], int], Awaitable[float]]


class HeadFailed(Exception):
    """A cell that was to be measured failed."""


def request(
    notebook: str, cells: Sequence[str], head: int, *, whole: bool = False
) -> records.RunRequest:
    """A run as the kernel asks for it, or of the whole notebook down to a cell."""
    return records.RunRequest(
        notebook=notebook,
        cells=tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(cells)),
        head=head,
        first=0 if whole else None,
        brief=True,
    )


def _check(event: records.Event | None, source: records.Source) -> None:
    if not isinstance(event, records.Done):
        raise HeadFailed("The run did not come to its end.")
    if event.error is not None:
        raise HeadFailed(event.error.message)
    if event.cells[-1].source != source:
        raise HeadFailed(f"The last cell is no {source}: {event.cells[-1].source}")


def over_http(service: client.Client, *, again: bool = False) -> RunHead:
    """Heads in the service process; or a whole notebook `again`, whose cells need not run."""

    async def run(notebook: str, cells: Sequence[str], head: int) -> float:
        wanted = request(notebook, cells, head, whole=again)
        event: records.Event | None = None
        begin = time.perf_counter()
        async with contextlib.aclosing(service.run(wanted)) as events:
            async for event in events:  # noqa: B007 - the last is `Done`
                pass
        took = (time.perf_counter() - begin) * 1000
        _check(event, "hit" if again else "head")
        return took

    return run


def in_process(services: cellar.Cellar, *, again: bool = False) -> RunHead:
    """The same in this process; timed until `Done` on the services' loop, without the way there.

    What the runner does behind the answer's back is in no figure.
    """

    async def timed(wanted: records.RunRequest) -> float:
        last: records.Event | None = None
        took = 0.0

        async def emit(event: records.Event) -> None:
            nonlocal last, took
            last, took = event, (time.perf_counter() - begin) * 1000

        begin = time.perf_counter()
        await services.runner.run(cellar.OWNER, wanted, emit)
        _check(last, "hit" if again else "head")
        return took

    async def run(notebook: str, cells: Sequence[str], head: int) -> float:
        took: float = services.call(timed(request(notebook, cells, head, whole=again)))
        return took

    return run


class Heads:
    """The same statements by three ways, in turn."""

    def __init__(
        self,
        table: measure.Table,
        conn: psycopg.AsyncConnection[Any],
        http: RunHead,
        inside: RunHead,
    ) -> None:
        self._table = table
        self._conn = conn
        self._http = http
        self._inside = inside
        self._number = itertools.count(1_000_000)

    async def _bare(self, statement: str) -> float:
        async def work() -> None:
            cursor = await self._conn.execute(statement)
            if cursor.description is not None:
                await cursor.fetchall()

        return await measure.timed(work)

    def _report(self, section: str, what: str, took: Sequence[Sequence[float]], aim: str) -> None:
        """Rows of psycopg, of the runner in this process, and of the runner over HTTP."""
        bare = self._table.add(section, f"{what}: psycopg", took[0])
        for name, samples, wanted in (("in process", took[1], aim), ("over HTTP", took[2], "")):
            self._table.add(
                section, f"{what}: {name}", samples, against=bare, overhead=True, aim=wanted
            )

    # --- reads -------------------------------------------------------------------------------

    async def reads(self, rounds: int) -> None:
        """A read of nothing, and one over a small table."""
        await self._conn.execute(_SMALL)
        await self._read("select 1", [_READ], rounds)
        await self._read("100 rows", [_SMALL, _OVER_SMALL], rounds)
        long = [_TABLE, *(f"select {number}" for number in range(LONG - 1)), _READ]
        await self._read(f"select 1 below {LONG:,} cells", long, max(10, rounds // 4))

    async def _read(self, what: str, notebook: Sequence[str], rounds: int) -> None:
        """Its last cell, which takes a number."""
        head = len(notebook) - 1
        took: tuple[list[float], list[float], list[float]] = ([], [], [])
        for _ in range(_WARM_UP + rounds):
            cells = [*notebook[:head], notebook[head].format(number=next(self._number))]
            took[0].append(await self._bare(cells[head]))
            took[1].append(await self._inside(what, cells, head))
            took[2].append(await self._http(what, cells, head))
        self._report(READS, what, [some[_WARM_UP:] for some in took], _READ_AIM)

    async def again(self, http: RunHead, inside: RunHead, rounds: int) -> None:
        """A hundred cells, half of which write, when they have run and their states are kept."""
        cells = [
            _KINDS[n % len(_KINDS)].format(table=n // len(_KINDS), number=n) for n in range(_CELLS)
        ]
        for name, first, run in (
            ("in process", self._inside, inside),
            ("over HTTP", self._http, http),
        ):
            for head in range(_CELLS):
                await first("again", cells, head)
            await asyncio.sleep(IDLE)
            took = [await run("again", cells, _CELLS - 1) for _ in range(rounds)]
            self._table.add(AGAIN, f"{_CELLS} cells: {name}", took, aim=_AGAIN_AIM)

    # --- writes ------------------------------------------------------------------------------

    async def writes(self, rounds: int) -> None:
        """An edited cell, with and without time between edits, and a notebook run in one go."""
        for statement in (_TABLE, _FILL):
            await self._conn.execute(statement)
        for run in (self._inside, self._http):
            for head in (0, 1):
                await run("edited", [_TABLE, _FILL], head)
        await asyncio.sleep(2 * IDLE)
        await self._edits("edited, idle between", rounds, IDLE)
        await self._edits("edited at once", rounds, 0.0)
        # Instances are dropped behind it.
        await asyncio.sleep(2 * IDLE)
        await self._run_all(rounds * 3)

    async def _edits(self, what: str, rounds: int, idle: float) -> None:
        took: tuple[list[float], list[float], list[float]] = ([], [], [])
        for _ in range(1 + rounds):
            cells = [_TABLE, _FILL, self._insert("t")]
            took[0].append(await self._bare(cells[2]))
            took[1].append(await self._inside("edited", cells, 2))
            await asyncio.sleep(_APART if idle else 0.0)
            took[2].append(await self._http("edited", cells, 2))
            await asyncio.sleep(idle)
        self._report(WRITES, what, [some[1:] for some in took], _WRITE_AIM if idle else "")

    async def _run_all(self, rounds: int) -> None:
        """One new cell after the other, each the next head."""
        # Another table: otherwise the outcome of the first cell is known.
        cells = ["create table u (n integer)"]
        cells += [self._insert("u") for _ in range(_FIRST - 1 + rounds)]
        bare = [await self._bare(cell) for cell in cells]
        inside = [await self._inside("all", cells, head) for head in range(len(cells))]
        await asyncio.sleep(IDLE)
        http = [await self._http("all", cells, head) for head in range(len(cells))]
        took = [some[_FIRST:] for some in (bare, inside, http)]
        self._report(WRITES, "run all", took, _WRITE_AIM)

    def _insert(self, table: str) -> str:
        """A statement that never ran before: otherwise its outcome is known."""
        return f"insert into {table} values ({next(self._number)})"
