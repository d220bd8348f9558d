"""Signing keys in the control database."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, LiteralString

from psycopg.types import json

from pgcellar.control import database


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class KeyRow:
    """A key: its public part as a JWK, its private part sealed."""

    kid: str
    public: dict[str, Any]
    private: bytes
    retired: datetime.datetime | None = None


class KeyStore:
    """The table `signing_keys`."""

    def __init__(self, db: database.ControlDatabase) -> None:
        self._db = db

    async def all(self) -> list[KeyRow]:
        """Every key that is still good for verifying, the newest first."""
        rows = await self._db.fetch(
            """
            select kid, public, private, retired from signing_keys
            where retired is null or retired > now() order by created desc, kid
            """
        )
        return [KeyRow(**row) for row in rows]

    async def first(self, row: KeyRow) -> bool:
        """Add a key if there is none that signs; whether it was added."""
        async with self._db.connection() as conn, conn.transaction():
            await conn.execute("lock table signing_keys in share row exclusive mode")
            found = await conn.execute("select from signing_keys where retired is null")
            if found.rowcount:
                return False
            await conn.execute(*_insert(row))
            return True

    async def replace(self, row: KeyRow, overlap: float) -> None:
        """Add a key that signs from now on; the others verify for `overlap` seconds more."""
        async with self._db.connection() as conn, conn.transaction():
            await conn.execute("lock table signing_keys in share row exclusive mode")
            await conn.execute(
                """
                update signing_keys set retired = now() + make_interval(secs => %s)
                where retired is null
                """,
                (overlap,),
            )
            await conn.execute("delete from signing_keys where retired < now()")
            await conn.execute(*_insert(row))


def _insert(row: KeyRow) -> tuple[LiteralString, tuple[Any, ...]]:
    return (
        "insert into signing_keys (kid, public, private, created)"
        " values (%s, %s, %s, clock_timestamp())",
        (row.kid, json.Jsonb(row.public), row.private),
    )
