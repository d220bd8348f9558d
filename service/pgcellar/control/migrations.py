"""Brings the control database to this code's version: numbered SQL files, each applied once.

The files lie in the folder of the same name. An applied file is never edited; what it did is
changed by the next one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import pathlib
import re
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from psycopg import rows

from pgcellar.api import errors

FOLDER = pathlib.Path(__file__).with_name("migrations")
#: The key of the advisory lock that one migrator holds at a time: "pgcellar" in ASCII.
_LOCK = int.from_bytes(b"pgcellar")
_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    """One SQL file."""

    version: int
    name: str
    sql: bytes

    @property
    def digest(self) -> str:
        """What tells whether the file was changed; the line ends of a checkout don't count."""
        return hashlib.sha256(self.sql.replace(b"\r\n", b"\n")).hexdigest()


async def migrate(conn: psycopg.AsyncConnection[Any], folder: pathlib.Path = FOLDER) -> int:
    """Apply what is missing; how many that were. The connection must be in autocommit.

    Any number of processes may do this at once. Raises ServiceUnavailable if the database is
    newer than the code, an applied file was changed, or a file fails; those before it stay.
    """
    migrations = load(folder)
    try:
        async with _locked(conn):
            applied = await _applied(conn)
            _check(migrations, applied)
            missing = [each for each in migrations if each.version not in applied]
            for migration in missing:
                await _apply(conn, migration)
    except psycopg.Error as exc:
        raise errors.ServiceUnavailable(f"The control database can't be migrated: {exc}") from exc
    return len(missing)


def load(folder: pathlib.Path) -> list[Migration]:
    """The migrations in a folder, in order. Raises ServiceUnavailable for a misnumbered one."""
    found = []
    for number, path in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None or int(match[1]) != number:
            raise errors.ServiceUnavailable(
                f"The migration {path} should be number {number:04} and be called so."
            )
        found.append(Migration(version=number, name=match[2], sql=path.read_bytes()))
    return found


def _check(migrations: list[Migration], applied: dict[int, str]) -> None:
    known = {migration.version: migration for migration in migrations}
    newest = max(applied, default=0)
    if newest > len(known):
        raise errors.ServiceUnavailable(
            f"The control database has version {newest}, and this pgcellar knows {len(known)}.",
            hint="Upgrade pgcellar to the version that was used here before.",
        )
    for version, digest in applied.items():
        if known[version].digest != digest:
            raise errors.ServiceUnavailable(
                f"Migration {version:04}_{known[version].name} was changed after the control"
                " database had applied it.",
                hint="Restore the file; put changes into a new one.",
            )


@contextlib.asynccontextmanager
async def _locked(conn: psycopg.AsyncConnection[Any]) -> AsyncIterator[None]:
    await conn.execute("select pg_advisory_lock(%s)", (_LOCK,))
    try:
        yield
    finally:
        if not conn.closed:
            await conn.execute("select pg_advisory_unlock(%s)", (_LOCK,))


async def _applied(conn: psycopg.AsyncConnection[Any]) -> dict[int, str]:
    """Version → digest of what the database has."""
    await conn.execute(
        """
        create table if not exists schema_version (
            version int primary key,
            name text,
            digest text,
            applied timestamptz default now()
        )
        """
    )
    async with conn.cursor(row_factory=rows.tuple_row) as cursor:
        await cursor.execute("select version, digest from schema_version order by version")
        return dict(await cursor.fetchall())


async def _apply(conn: psycopg.AsyncConnection[Any], migration: Migration) -> None:
    async with conn.transaction():
        await conn.execute(migration.sql)
        await conn.execute(
            "insert into schema_version (version, name, digest) values (%s, %s, %s)",
            (migration.version, migration.name, migration.digest),
        )
