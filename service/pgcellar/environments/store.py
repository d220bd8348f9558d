"""Sandboxes in the control database: what has to be known to find them again after a restart."""

from __future__ import annotations

import dataclasses
from typing import Any

from psycopg.types import json

from pgcellar.control import database

#: The owner of sandboxes that wait for one.
NOBODY = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SandboxRow:
    """A sandbox as it was last saved."""

    name: str
    owner: str
    kind: str
    status: str
    state: dict[str, Any]


class SandboxStore:
    """The table `sandboxes`."""

    def __init__(self, db: database.ControlDatabase) -> None:
        self._db = db

    async def all(self) -> list[SandboxRow]:
        """Every sandbox, oldest first."""
        rows = await self._db.fetch(
            "select name, owner, kind, status, state from sandboxes order by created, name"
        )
        return [SandboxRow(**row) for row in rows]

    async def save(self, row: SandboxRow) -> None:
        """Insert or update one sandbox."""
        await self._db.execute(
            """
            insert into sandboxes (name, owner, kind, status, state)
            values (%(name)s, %(owner)s, %(kind)s, %(status)s, %(state)s)
            on conflict (name) do update
            set owner = excluded.owner, status = excluded.status, state = excluded.state,
                last_used = now()
            """,
            {
                "name": row.name,
                "owner": row.owner,
                "kind": row.kind,
                "status": row.status,
                "state": json.Jsonb(row.state),
            },
        )

    async def remove(self, name: str) -> None:
        """Forget a sandbox that is gone."""
        await self._db.execute("delete from sandboxes where name = %(name)s", {"name": name})
