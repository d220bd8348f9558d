"""Pages of long results: the head runs once more for all its rows, which are kept in slices.

Only where its results are functions of the state, so that whoever has the notebook in the same
state gets the same pages, until they are evicted. Nothing is kept before somebody asks for a page.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Protocol

from pgcellar.api import errors, records
from pgcellar.runner import gates, outputs, slices

#: Seconds that a run for pages goes on when nobody waits for it any more: who scrolls leaves one
#: request for the next.
GRACE = 1.0
#: Each brings the notebook nearer: its tail has run, its head has. Beyond that it keeps changing.
_ATTEMPTS = 5


class Head(Protocol):
    """The head of a notebook."""

    async def standing(self) -> gates.Standing | None:
        """See `run.Run.standing`."""

    async def run(self, emit: outputs.Emit, gate: gates.Gate) -> records.Done:
        """Run it for all its rows, where the gate lets it; its `Done`, which `emit` does not get.

        Events come as they do, but for columns, which may come after their rows.
        """


@dataclasses.dataclass(slots=True)
class _Fill:
    """One run for pages, and how many wait for it."""

    task: asyncio.Task[slices.Kept | None]
    waiting: int = 0


class Pages:
    """See the module."""

    def __init__(self, kept: slices.SliceStore) -> None:
        self._kept = kept
        self._fills: dict[str, _Fill] = {}
        self._tasks: set[asyncio.Task[slices.Kept | None]] = set()

    async def close(self) -> None:
        """End what runs for pages; nothing is left of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def page(self, request: records.PageRequest, head: Head) -> records.Page:
        """A page of what a statement of the head gives.

        Raises NoPages, or whatever kept the head from running.
        """
        for _ in range(_ATTEMPTS):
            standing = await self.standing(head)
            key = f"{standing.key} {request.statement}"
            result = await self._kept.find(key)
            if result is None:
                result = await self._filled(key, standing, request.statement, head)
            if result is None:
                continue
            rows = await self._kept.rows(
                result, request.offset, min(request.limit, records.MAX_PAGE_ROWS), request.max_bytes
            )
            if rows is not None:
                return records.Page(
                    state=result.state,
                    execution=result.id,
                    columns=result.columns,
                    rows=tuple(rows),
                    offset=request.offset,
                    row_count=result.row_count,
                    kept=result.kept,
                    complete=result.kept == result.row_count,
                )
        raise unsteady()

    async def standing(self, head: Head) -> gates.Standing:
        """Where the head begins, for which its tail may have to run. Raises NoPages."""
        standing = await head.standing()
        if standing is None:
            # Only running the tail tells where the head begins.
            _check(await head.run(_nowhere, gates.Gate(None)))
            standing = await head.standing()
        if standing is None:
            raise errors.NoPages(
                "What the cell reads can't be told: settings or locks of the cells above keep"
                " the catalogs from being read.",
                hint="Look for statement_timeout, lock_timeout or LOCK in the cells above.",
            )
        return standing

    async def _filled(
        self, key: str, standing: gates.Standing, statement: int, head: Head
    ) -> slices.Kept | None:
        """The result of a key, for which the head runs once, however many ask.

        None if its state turned out to be another.
        """
        fill = self._fills.get(key)
        if fill is None:
            task = asyncio.create_task(self._fill(key, standing, statement, head))
            self._tasks.add(task)
            fill = self._fills[key] = _Fill(task=task)
            made = fill
            task.add_done_callback(lambda _: self._ended(key, made))
        fill.waiting += 1
        try:
            return await asyncio.shield(fill.task)
        except asyncio.CancelledError:
            if fill.task.cancelled():
                raise errors.ServiceUnavailable("The pgcellar service ends.") from None
            raise
        finally:
            fill.waiting -= 1
            if fill.waiting == 0 and not fill.task.done():
                asyncio.get_running_loop().call_later(GRACE, self._leave, key, fill)

    def _leave(self, key: str, fill: _Fill) -> None:
        """Cancel a run that nobody has come back to."""
        if fill.waiting == 0 and not fill.task.done():
            self._forget(key, fill)
            fill.task.cancel()

    def _ended(self, key: str, fill: _Fill) -> None:
        self._forget(key, fill)
        self._tasks.discard(fill.task)
        if not fill.task.cancelled():
            # Whoever waits sees it; nobody may.
            fill.task.exception()

    def _forget(self, key: str, fill: _Fill) -> None:
        """Who comes now needs another run."""
        if self._fills.get(key) is fill:
            del self._fills[key]

    async def _fill(
        self, key: str, standing: gates.Standing, statement: int, head: Head
    ) -> slices.Kept | None:
        """Run the head, and keep what the statement gives."""
        async with self._kept.filling(key, standing.state) as filling:
            taker = _Taker(statement, filling)
            if standing.events is not None:
                for event in standing.events:
                    await taker.take(event)
                return await taker.finish()
            gate = gates.Gate(standing.key)
            done = await head.run(taker.take, gate)
            _check(done)
            if not gate.opened:
                return None
            report = done.cells[-1]
            if report.effect != "read" or report.state != standing.state:
                raise errors.NoPages(
                    f"Cell {report.id} has no pages: it wrote, though nothing in it looks so.",
                    hint="Make what it gives a table, by CREATE TABLE … AS, and page through that.",
                )
            return await taker.finish()


class _Taker:
    """Takes the rows of one statement out of the events of a run."""

    def __init__(self, statement: int, filling: slices.Filling) -> None:
        self._statement = statement
        self._filling = filling
        self._columns: tuple[records.Column, ...] | None = None
        self._row_count = 0

    async def take(self, event: records.Event) -> None:
        """Take one event. Raises ServiceUnavailable."""
        if not isinstance(event, records.Columns | records.Rows | records.Completed):
            return
        if event.statement != self._statement:
            return
        if isinstance(event, records.Rows):
            await self._filling.add(event.rows)
        elif isinstance(event, records.Columns):
            self._columns = event.columns
        else:
            self._row_count = event.row_count or 0

    async def finish(self) -> slices.Kept:
        """All came. Raises NoPages or ServiceUnavailable."""
        if self._columns is None:
            raise errors.NoPages(f"Statement {self._statement + 1} of the cell returns no rows.")
        return await self._filling.finish(self._columns, self._row_count)


def unsteady() -> errors.NoPages:
    """Why there are no pages where each run leads elsewhere."""
    return errors.NoPages(
        "What the cells above give is another each time they run, so there is no result to page"
        " through.",
        hint="Run the cell again, and look why the cells above it are replayed.",
    )


def _check(done: records.Done) -> None:
    """Raise what ended a run."""
    error = done.error
    if error is None:
        return
    if error.sqlstate.startswith("PC") or error.sqlstate == errors.Cancelled.code:
        raise errors.from_code(error.sqlstate, error.message, error.hint)
    raise errors.NoPages(
        f"Cell {error.cell} fails: {error.message} ({error.sqlstate})",
        hint="Run that cell to see the whole error.",
    )


async def _nowhere(_: records.Event) -> None:
    """The tail shows nothing."""
