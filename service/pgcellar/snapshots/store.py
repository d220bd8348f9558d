"""The snapshot index in the control database."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

from psycopg.types import json

from pgcellar.control import database


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """One materialised state of a sandbox.

    `cost_ms` is what replaying it from its parent snapshot would take; `session` what its session
    held (settings, prepared statements …), which a connection to a clone is given; `cell` the first
    line of the cell that made it.
    """

    state: str
    parent: str | None
    database: str
    status: str = "ready"
    bytes: int = 0
    cost_ms: float = 0.0
    hits: int = 0
    cell: str = ""
    session: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    created: datetime.datetime
    last_used: datetime.datetime


class SnapshotStore:
    """The table `snapshots`."""

    def __init__(self, db: database.ControlDatabase) -> None:
        self._db = db

    async def of(self, sandbox: str) -> list[Snapshot]:
        """All rows of one sandbox."""
        rows = await self._db.fetch(
            """
            select state, parent, database, status, bytes, cost_ms, hits, cell, session, created,
                   last_used
            from snapshots where sandbox = %(sandbox)s
            """,
            {"sandbox": sandbox},
        )
        return [Snapshot(**row) for row in rows]

    async def save(self, sandbox: str, snapshot: Snapshot) -> None:
        """Insert or update one row."""
        await self._db.execute(
            """
            insert into snapshots (sandbox, state, parent, database, status, bytes, cost_ms, hits,
                                   cell, session, created, last_used)
            values (%(sandbox)s, %(state)s, %(parent)s, %(database)s, %(status)s, %(bytes)s,
                    %(cost_ms)s, %(hits)s, %(cell)s, %(session)s, %(created)s, %(last_used)s)
            on conflict (sandbox, state) do update
            set status = excluded.status, bytes = excluded.bytes, cost_ms = excluded.cost_ms,
                hits = excluded.hits, last_used = excluded.last_used,
                database = excluded.database
            """,
            {
                "sandbox": sandbox,
                "state": snapshot.state,
                "parent": snapshot.parent,
                "database": snapshot.database,
                "status": snapshot.status,
                "bytes": snapshot.bytes,
                "cost_ms": snapshot.cost_ms,
                "hits": snapshot.hits,
                "cell": snapshot.cell,
                "session": json.Jsonb(dict(snapshot.session)),
                "created": snapshot.created,
                "last_used": snapshot.last_used,
            },
        )

    async def remove(self, sandbox: str, state: str) -> None:
        """Forget one snapshot."""
        await self._db.execute(
            "delete from snapshots where sandbox = %(sandbox)s and state = %(state)s",
            {"sandbox": sandbox, "state": state},
        )

    async def keep_only(self, sandboxes: list[str]) -> None:
        """Forget the snapshots of sandboxes that are gone."""
        await self._db.execute(
            "delete from snapshots where not (sandbox = any(%(names)s))", {"names": sandboxes}
        )
