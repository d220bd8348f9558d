"""Schemas of states, and differences between two: bounded in time, in bytes, and in number."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Callable

from pgcellar.api import catalogs, errors
from pgcellar.runner import connections, workspace
from pgcellar.runner.looks import catalog, rows, schemas, sides

#: Seconds that a look may take.
DETAIL_SECONDS = 20.0
DIFF_SECONDS = 45.0
#: Looks at a time, of all owners; of one owner it is one.
_AT_ONCE = 4
_RUN_AGAIN = (
    "Run the cell that leads to it again (in REST with `rerun`): it is kept a moment later."
)

Using = Callable[[str], contextlib.AbstractAsyncContextManager[workspace.Workspace]]


class Looks:
    """See the module. `using` gives the workspace of an owner's sandbox."""

    def __init__(self, using: Using) -> None:
        self._using = using
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._turns: dict[str, asyncio.Lock] = collections.defaultdict(asyncio.Lock)

    async def detail(self, owner: str, state: str) -> catalogs.StateDetail:
        """The schema of a state. Raises NotFound if it is not kept, or ServiceUnavailable."""
        async with self._turn(owner) as space:
            if space.snapshots.find(state) is None:
                raise errors.NotFound(f"The state {state[:12]} is not kept.", hint=_RUN_AGAIN)
            deadline = sides.Deadline(DETAIL_SECONDS)
            async with sides.open_side(space, state) as side:
                return await _read(side, state, deadline)

    async def diff(self, owner: str, before: str, after: str) -> catalogs.StateDiff:
        """What two states differ in.

        Raises Conflict if one is not kept, LimitExceeded where the schemas are too large, or
        ServiceUnavailable.
        """
        async with self._turn(owner) as space:
            for state in (before, after):
                if space.snapshots.find(state) is None:
                    raise errors.Conflict(
                        f"The state {state[:12]} is not kept, so there is nothing to compare.",
                        hint=_RUN_AGAIN + " `PUT /states/{id}/pin` keeps it from being evicted.",
                    )
            deadline = sides.Deadline(DIFF_SECONDS)
            async with (
                sides.open_side(space, before) as one,
                sides.open_side(space, after) as other,
            ):
                return await _diff((before, one), (after, other), deadline)

    @contextlib.asynccontextmanager
    async def _turn(self, owner: str) -> AsyncIterator[workspace.Workspace]:
        async with self._turns[owner], self._slots, self._using(owner) as space:
            yield space


async def _diff(
    before: tuple[str, sides.Side], after: tuple[str, sides.Side], deadline: sides.Deadline
) -> catalogs.StateDiff:
    one, other = before[1], after[1]
    first = await _read(one, before[0], deadline)
    second = await _read(other, after[0], deadline)
    if not (first.complete and second.complete):
        raise errors.LimitExceeded(
            f"A state has more than {catalog.MAX_OBJECTS} tables, functions or other objects, which"
            " is more than is compared.",
            hint="Compare in SQL, in a notebook.",
        )
    listed = rows.tables(first, second)
    found = [await rows.compare(one, other, table, deadline) for table in listed]
    differing = sorted(
        (table for table in found if table is not None), key=lambda each: (each.schema, each.name)
    )
    return catalogs.StateDiff(
        before=before[0],
        after=after[0],
        objects=schemas.difference(first, second),
        tables=tuple(differing),
        equal=len(found) - len(differing),
        complete=all(table.complete for table in differing),
    )


async def _read(side: sides.Side, state: str, deadline: sides.Deadline) -> catalogs.StateDetail:
    try:
        return await catalog.read(side, state, deadline)
    except connections.StatementFailed as exc:
        raise errors.ServiceUnavailable(
            f"The catalog of the state {state[:12]} can't be read: {sides.failed(exc)}"
        ) from exc
    except TimeoutError:
        raise errors.ServiceUnavailable(
            f"The catalog of the state {state[:12]} could not be read in time.",
            hint="Ask again when nothing runs in the sandbox.",
        ) from None
