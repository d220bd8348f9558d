"""A session on a clone of a kept state, which is read and then dropped: nobody sees that it was.

It is the user's own role that reads, in transactions that are READ ONLY; what it may not read is
not read. The clock runs outside of the session, since user code may run in it (a cast, a policy).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping

from pgcellar.api import errors, records
from pgcellar.runner import connections, executor, outputs, switching, workspace

#: What the session begins with: names are written with their schemas, rows are as text what they
#: are in any other state, and a table that a policy hides rows of is an error.
_OPTIONS = (
    "-c search_path=pg_catalog -c default_transaction_read_only=on -c row_security=off"
    " -c lock_timeout=5s -c jit=off"
)
#: Bytes of text that one answer may have.
MAX_BYTES = 16 << 20

Row = tuple[str | None, ...]


class Deadline:
    """A point in time by which all must be done."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then, 0 if it is over."""
        return max(0.0, self._end - time.monotonic())


class Side:
    """One state that is looked at."""

    def __init__(
        self,
        space: workspace.Workspace,
        roles: switching.RoleSet,
        session: executor.Session,
        size: int,
        settings: Mapping[str, str],
    ) -> None:
        self._switch = space.switch
        self._roles = roles
        self._session = session
        self.bytes = size
        #: What the session of the state had set.
        self.settings = settings

    async def rows(
        self, query: str, deadline: Deadline, *, max_rows: int, max_bytes: int = MAX_BYTES
    ) -> tuple[list[Row], bool]:
        """The rows of a query, as text, and whether that is all of them.

        Raises StatementFailed, or TimeoutError; after the latter the session is of no more use.
        """
        found: list[Row] = []

        async def take(event: records.Event) -> None:
            if isinstance(event, records.Rows):
                found.extend(event.rows)

        output = outputs.Output(
            emit=take, statement=0, max_rows=max_rows, max_bytes=max_bytes, name_types=False
        )
        if not deadline.left:
            raise TimeoutError
        # Roles have their names in this state, and are no others'.
        async with asyncio.timeout(deadline.left), self._switch.using(self._roles):
            done = await self._session.run(query, output)
        return found, done is not None and not done.truncated


@contextlib.asynccontextmanager
async def open_side(space: workspace.Workspace, state: str) -> AsyncIterator[Side]:
    """Look at a state while this is held. Raises NotFound if it is not kept."""
    snapshot = space.snapshots.find(state)
    if snapshot is None:
        raise errors.NotFound(f"The state {state[:12]} is not kept.")
    async with space.maker.looking(state, _OPTIONS) as session:
        yield Side(
            space,
            snapshot.session.get("roles"),
            session,
            snapshot.bytes,
            snapshot.session.get("settings") or {},
        )


def failed(exc: connections.StatementFailed) -> str:
    """Why PostgreSQL refused something."""
    return f"{exc.error.message} ({exc.error.sqlstate})"
