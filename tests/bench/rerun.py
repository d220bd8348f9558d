"""An edit below a cell that loads for seconds: pgcellar's head against JupySQL from the top."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pathlib

from tests.bench import kernels, measure, places

from pgcellar.snapshots import driver

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
#: The edited cell: one that touches little, and one that reads most of what was loaded, which a
#: new clone has in no cache.
EDITS = {
    "writes a row": "insert into accounts values (1000 + {number}, 'an account more')",
    "reads the load": "create table answer as select name, amount + {number} as amount from spent",
}
_SMALL = "writes a row"
_ROWS = 1_500_000
_FEW_ROWS = 400_000
_FRESH = "drop schema public cascade; create schema public"

#: Seconds between a person's edits; where no extents are shared, idle work is copies of all.
IDLE = 1.5
IDLE_COPYING = 3.5


class _Notebook:
    """The cells, of which the last is another each time."""

    def __init__(self, rows: int) -> None:
        self._tail = [TAIL[0].format(rows=rows), *TAIL[1:]]
        self._numbers = itertools.count(1)

    def edited(self, edit: str) -> list[str]:
        """The notebook after an edit of its last cell."""
        return [*self._tail, self.last(edit)]

    def last(self, edit: str) -> str:
        """The last cell after an edit."""
        return EDITS[edit].format(number=next(self._numbers))


async def rerun(
    table: measure.Table, section: str, home: pathlib.Path, sockets: pathlib.Path, rounds: int
) -> None:
    """Measure on the file system of `home`."""
    async with (
        places.service(home / "reruns", sockets),
        places.plain(home / "plain", sockets / "plain-reruns") as server,
    ):
        with kernels.started(kernels.PGCELLAR) as ours, kernels.jupysql(server) as magic:
            idle = IDLE if driver.shares_extents(home) else IDLE_COPYING
            await _Reruns(ours, magic, server, rounds, idle).compare(table, section)


class _Reruns:
    """One comparison; `idle` is in seconds."""

    def __init__(
        self,
        ours: kernels.Kernel,
        magic: kernels.Kernel,
        server: places.Plain,
        rounds: int,
        idle: float,
    ) -> None:
        self._ours = ours
        self._magic = magic
        self._server = server
        self._rounds = rounds
        self._idle = idle
        self._notebook = _Notebook(_ROWS if rounds > 2 else _FEW_ROWS)

    async def compare(self, table: measure.Table, section: str) -> None:
        """Measure, and add the rows."""
        first = _from_the_top(self._ours, self._notebook.edited(_SMALL))
        magic_first = _by_magic(self._magic, self._notebook.edited(_SMALL))
        rows = {edit: await self._edits(table, section, edit) for edit in EDITS}
        again = [
            _by_magic(self._magic, self._notebook.edited(_SMALL))
            for _ in range(max(2, self._rounds // 2))
        ]
        table.add(section, "JupySQL: rerun from the top", again, against=rows[_SMALL])
        all_five = table.add(section, "pgcellar: first run of all five", [first])
        table.add(section, "JupySQL: first run of all five", [magic_first], against=all_five)

    async def _edits(self, table: measure.Table, section: str, edit: str) -> measure.Row:
        """The rows of one kind of edit; that of pgcellar after idle."""
        idle = [await self._after_idle(edit) for _ in range(self._rounds)]
        at_once = [self._edit(edit) for _ in range(self._rounds)]
        # What the last edit leaves to do is none of what follows.
        await asyncio.sleep(self._idle)
        alone = [await _alone(self._server, self._notebook.last(edit)) for _ in range(self._rounds)]
        bare = table.add(section, f"psycopg: edit that {edit}", alone)
        name = f"pgcellar: edit that {edit}"
        row = table.add(
            section, f"{name}, after idle", idle, against=bare, overhead=True, aim="tens of ms"
        )
        table.add(section, f"{name}, at once", at_once, against=bare, overhead=True)
        return row

    async def _after_idle(self, edit: str) -> float:
        await asyncio.sleep(self._idle)
        return self._edit(edit)

    def _edit(self, edit: str) -> float:
        return self._ours.cell(self._notebook.edited(edit), len(TAIL))


def _from_the_top(kernel: kernels.Kernel, cells: list[str]) -> float:
    return sum(kernel.cell(cells, head) for head in range(len(cells)))


def _by_magic(kernel: kernels.Kernel, cells: list[str]) -> float:
    """All cells in a fresh schema; JupySQL knows no state, so this is what an edit takes."""
    return sum(kernel.run(f"%%sql\n{cell}") for cell in (_FRESH, *cells))


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
