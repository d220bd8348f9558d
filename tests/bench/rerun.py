"""An edit below a cell that loads for seconds: pgcellar's head against JupySQL from the top."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
from collections.abc import Iterator

from tests.bench import kernels, measure, places

#: The cells of the notebook above the one that is edited: the first loads for a few seconds.
TAIL = (
    """\
create table events as
select g as id, g % 1000 as account, md5(g::text) as token, (g % 10007) * 7 as amount
from generate_series(1, {rows}) g;
alter table events add primary key (id);
create index on events (account);
analyze events;""",
    "create table accounts as select g as account, 'account ' || g as name"
    " from generate_series(0, 999) g",
    "update accounts set name = upper(name) where account % 10 = 0",
    "create view spent as select name, sum(amount) as amount"
    " from events join accounts using (account) where account < 10 group by name",
)
_EDITED = "create table answer as select name, amount + {number} as amount from spent"
_FRESH = "drop schema public cascade; create schema public"

#: Seconds between a person's edits: keeping a state is a full copy where nothing is shared.
IDLE = 2.5


def _cells(rows: int, number: int) -> list[str]:
    return [TAIL[0].format(rows=rows), *TAIL[1:], _EDITED.format(number=number)]


async def rerun(
    table: measure.Table, section: str, home: pathlib.Path, sockets: pathlib.Path, rounds: int
) -> None:
    """Measure on the file system of `home`."""
    async with (
        places.service(home / "reruns", sockets),
        places.plain(home / "plain", sockets / "plain-reruns") as server,
    ):
        with kernels.started(kernels.PGCELLAR) as ours, kernels.jupysql(server) as magic:
            await _compare(table, section, ours, magic, server, rounds)


async def _compare(
    table: measure.Table,
    section: str,
    ours: kernels.Kernel,
    magic: kernels.Kernel,
    server: places.Plain,
    rounds: int,
) -> None:
    rows = 400_000 if rounds < 5 else 1_000_000
    numbers = iter(range(1, 1_000_000))
    first = sum(_from_the_top(ours, _cells(rows, next(numbers))))
    magic_first = sum(_by_magic(magic, _cells(rows, next(numbers))))
    idle, at_once, again, alone = [], [], [], []
    for _ in range(rounds):
        await asyncio.sleep(IDLE)
        idle.append(ours.cell(_cells(rows, next(numbers)), len(TAIL)))
    for _ in range(rounds):
        at_once.append(ours.cell(_cells(rows, next(numbers)), len(TAIL)))
    # What the last edit left to do is none of what follows.
    await asyncio.sleep(IDLE)
    for _ in range(max(2, rounds // 2)):
        again.append(sum(_by_magic(magic, _cells(rows, next(numbers)))))
    for _ in range(rounds):
        alone.append(await _alone(server, _EDITED.format(number=next(numbers))))
    bare = table.add(section, "psycopg: cell 5 alone", alone)
    edit = table.add(
        section, "pgcellar: cell 5 edited", idle, against=bare, overhead=True, aim="tens of ms"
    )
    table.add(section, "pgcellar: edited at once", at_once, against=bare, overhead=True)
    table.add(section, "JupySQL: rerun from the top", again, against=edit)
    all_five = table.add(section, "pgcellar: first run of all five", [first])
    table.add(section, "JupySQL: first run of all five", [magic_first], against=all_five)


def _from_the_top(kernel: kernels.Kernel, cells: list[str]) -> Iterator[float]:
    for head in range(len(cells)):
        yield kernel.cell(cells, head)


def _by_magic(kernel: kernels.Kernel, cells: list[str]) -> Iterator[float]:
    """All cells in a fresh schema; JupySQL knows no state, so this is what an edit takes."""
    for cell in (_FRESH, *cells):
        yield kernel.run(f"%%sql\n{cell}")


async def _alone(server: places.Plain, statement: str) -> float:
    """The edited cell by psycopg, where JupySQL has left the four above it."""
    async with await server.connect() as conn:
        await conn.execute("drop table if exists answer")

        async def work() -> None:
            await conn.execute(statement)

        return await measure.timed(work)


def rerun_on_xfs(
    table: measure.Table, section: str, below: pathlib.Path, sockets: pathlib.Path, rounds: int
) -> None:
    """The same on a file system that shares extents, where this machine lets us have one."""
    with contextlib.ExitStack() as stack:
        try:
            volume = stack.enter_context(places.xfs(below))
        except places.NoVolume as exc:
            table.skip(section, str(exc))
            return
        asyncio.run(rerun(table, section, volume, sockets, rounds))
