"""How far owners came in their notebooks, in the control database."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence

from pgcellar.control import database

#: Notebooks of one owner that are remembered, and for how long.
KEPT_NOTEBOOKS = 50
KEPT = datetime.timedelta(days=180)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The last cell that somebody ran in a notebook: which of how many, and what came of it.

    `whole` says that `cells` is all there are: a kernel knows only those that were run.
    """

    owner: str
    notebook: str
    cell: str
    number: int
    cells: int
    whole: bool
    furthest: int
    status: str
    sqlstate: str | None
    at: datetime.datetime


class ProgressStore:
    """The table progress."""

    def __init__(self, db: database.ControlDatabase) -> None:
        self._db = db

    async def save(self, steps: Sequence[Step]) -> None:
        """Take down steps, each of another notebook."""
        names = [field.name for field in dataclasses.fields(Step)]
        columns = {name: [getattr(step, name) for step in steps] for name in names}
        await self._db.execute(
            """
            insert into progress as p
                (owner, notebook, cell, number, cells, furthest, status, sqlstate, at)
            select owner, notebook, cell, number, cells, furthest, status, sqlstate, at
            from unnest(%(owner)s::text[], %(notebook)s::text[], %(cell)s::text[],
                %(number)s::int[], %(cells)s::int[], %(furthest)s::int[], %(status)s::text[],
                %(sqlstate)s::text[], %(at)s::timestamptz[])
                as s (owner, notebook, cell, number, cells, furthest, status, sqlstate, at)
            on conflict (owner, notebook) do update set
                cell = excluded.cell, number = excluded.number,
                cells = case when (excluded.owner, excluded.notebook) in (
                        select * from unnest(%(whole_owner)s::text[], %(whole_notebook)s::text[]))
                    then excluded.cells else greatest(p.cells, excluded.cells) end,
                furthest = greatest(p.furthest, excluded.furthest),
                status = excluded.status, sqlstate = excluded.sqlstate, at = excluded.at
            """,
            {
                **columns,
                "whole_owner": [step.owner for step in steps if step.whole],
                "whole_notebook": [step.notebook for step in steps if step.whole],
            },
        )

    async def of(self, owners: Sequence[str], notebooks: int) -> list[Step]:
        """The notebooks that each of some owners ran last, the last first, at most so many."""
        rows = await self._db.fetch(
            """
            select p.owner, notebook, cell, number, cells, true as whole,
                least(furthest, cells) as furthest, status, sqlstate, at
            from unnest(%(owners)s::text[]) as asked (owner)
            cross join lateral (
                select * from progress where progress.owner = asked.owner
                order by at desc limit %(notebooks)s) as p
            order by p.owner, at desc
            """,
            {"owners": list(owners), "notebooks": notebooks},
        )
        return [Step(**row) for row in rows]

    async def forget(self, owner: str) -> None:
        """Forget all of an owner's."""
        await self._db.execute("delete from progress where owner = %s", (owner,))

    async def tidy(self) -> None:
        """Forget what is old, or too much."""
        await self._db.execute(
            """
            delete from progress using (
                select owner, notebook,
                    row_number() over (partition by owner order by at desc) as place
                from progress) as placed
            where progress.owner = placed.owner and progress.notebook = placed.notebook
                and (place > %(notebooks)s or at < now() - %(kept)s::interval)
            """,
            {"notebooks": KEPT_NOTEBOOKS, "kept": KEPT},
        )
