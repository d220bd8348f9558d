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


class PinStore:
    """The tables `pins` and `tags`."""

    def __init__(self, db: database.ControlDatabase) -> None:
        self._db = db

    async def pinned(self, owner: str) -> set[str]:
        """The states an owner has pinned."""
        rows = await self._db.fetch("select state from pins where owner = %s", (owner,))
        return {row["state"] for row in rows}

    async def tags(self, owner: str) -> dict[str, str]:
        """An owner's tags, with the state of each."""
        rows = await self._db.fetch("select name, state from tags where owner = %s", (owner,))
        return {row["name"]: row["state"] for row in rows}

    async def pin(self, owner: str, state: str) -> None:
        """Pin a state."""
        await self._db.execute(
            "insert into pins (owner, state) values (%s, %s) on conflict do nothing", (owner, state)
        )

    async def unpin(self, owner: str, state: str) -> None:
        """Unpin a state."""
        await self._db.execute("delete from pins where owner = %s and state = %s", (owner, state))

    async def tag(self, owner: str, state: str, tag: str) -> None:
        """Give a tag to a state, and take it from any other."""
        await self._db.execute(
            "insert into tags (owner, name, state) values (%s, %s, %s)"
            " on conflict (owner, name) do update set state = excluded.state, created = now()",
            (owner, tag, state),
        )

    async def untag(self, owner: str, tag: str) -> None:
        """Remove a tag."""
        await self._db.execute("delete from tags where owner = %s and name = %s", (owner, tag))

    async def forget(self, owner: str) -> None:
        """Remove all pins and tags of an owner."""
        for table in ("pins", "tags"):
            await self._db.execute(f"delete from {table} where owner = %s", (owner,))
