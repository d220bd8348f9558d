"""The database tier: every snapshot a database of the sandbox that accepts no connections.

Cloning is `CREATE DATABASE … TEMPLATE … STRATEGY FILE_COPY`; on PostgreSQL 18 and a file system
that shares extents it costs the same for any size. Whether files are shared is probed, never
believed (DESIGN.md, section 4).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import pathlib
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, Protocol

import psycopg
import psycopg.rows
from psycopg import sql

from pgcellar.api import errors
from pgcellar.snapshots import attributes, roles

logger = logging.getLogger(__name__)

#: Snapshots and instances are told apart by name; whatever has neither prefix is not ours.
SNAPSHOT_PREFIX = "s_"
INSTANCE_PREFIX = "i_"

#: The user's role, as the base prepares it. It owns its instances; snapshots are out of its reach.
_USER_ROLE = "pgcellar"
#: Clones and drops at once; more would only queue up in the server.
_COPIES = 2
#: Control sessions in all: besides those, one or two that must never wait (terminate a session).
_SESSIONS = _COPIES + 2
#: CREATE DATABASE gives up after 5 s of waiting for sessions on its source to end.
_TERMINATE_MS = 5000
#: What a user's open transaction holds must not hold up the sandbox.
_LOCK_TIMEOUT = "set lock_timeout = '10s'"
#: Seconds that a statement of ours waits before it is looked who holds it up.
_PATIENCE = 0.5
_END_BLOCKERS = """
select pg_terminate_backend(pid)
from unnest(pg_blocking_pids(%(pid)s)) as blocking (pid) join pg_stat_activity using (pid)
where usename <> current_user
"""
#: PostgreSQL looks for a deadlock once, when a process has waited for deadlock_timeout. Who holds a
#: buffer that VACUUM wants for itself nobody tells: it is a cursor, in somebody's transaction.
_WAITS = """
select asked.pid, pg_blocking_pids(asked.pid) || pg_safe_snapshot_blocking_pids(asked.pid)
       || array(select other.pid from pg_stat_activity other
                where a.wait_event_type = 'BufferPin' and other.datname = a.datname
                  and other.pid <> a.pid and other.state = 'idle in transaction')
from unnest(%(pids)s::int[]) as asked (pid) left join pg_stat_activity a using (pid)
where cardinality(pg_safe_snapshot_blocking_pids(asked.pid)) > 0
   or exists (
     select from pg_locks l
     where l.pid = asked.pid and not l.granted
       and clock_timestamp() - l.waitstart
         > current_setting('deadlock_timeout')::interval + interval '100 ms')
   or a.wait_event_type = 'BufferPin'
      and clock_timestamp() - a.query_start > current_setting('deadlock_timeout')::interval
"""
#: _IOW(0x94, 9, int): share one file's extents with another, or fail.
_FICLONE = 0x40049409
_DISK_FULL = "53100"
#: Server settings that show in results.
_RESULT_SETTINGS = (
    "TimeZone", "DateStyle", "IntervalStyle", "bytea_output", "default_text_search_config",
    "extra_float_digits", "lc_monetary", "lc_numeric", "lc_time", "search_path", "xmlbinary",
    "standard_conforming_strings", "array_nulls", "default_transaction_isolation",
)  # fmt: skip
#: Categories of settings that show in results where the administrator has set them.
_RESULT_CATEGORIES = "^(Client Connection|Version and Platform|Query Tuning|Lock|Error|Customized)"


#: Blocks come before tuples: an index is built from a table's blocks, then filled with tuples.
_ADVANCE = """
select 'COPY' as what, '' as phase, bytes_processed as done, nullif(bytes_total, 0) as total,
       tuples_processed as rows
from pg_stat_progress_copy where pid = %(pid)s
union all
select command, phase,
       case when phase ~ 'tuples' then tuples_done else blocks_done end,
       nullif(case when phase ~ 'tuples' then tuples_total else blocks_total end, 0), null
from pg_stat_progress_create_index where pid = %(pid)s
union all
select 'VACUUM', phase,
       case when phase = 'vacuuming heap' then heap_blks_vacuumed else heap_blks_scanned end,
       nullif(heap_blks_total, 0), null
from pg_stat_progress_vacuum where pid = %(pid)s
union all
select command, phase, heap_blks_scanned, nullif(heap_blks_total, 0), null
from pg_stat_progress_cluster where pid = %(pid)s
union all
select 'ANALYZE', phase, sample_blks_scanned, nullif(sample_blks_total, 0), null
from pg_stat_progress_analyze where pid = %(pid)s
union all
select 'Waiting until other sessions have ended their serializable transactions', '', null, null,
       null
from pg_stat_activity where pid = %(pid)s and wait_event = 'SafeSnapshot'
limit 1
"""


class Server(Protocol):
    """What the driver needs to know of a sandbox's server."""

    @property
    def data(self) -> str | None:
        """Its data folder, if it lies on this machine."""

    @property
    def server_version(self) -> str:
        """PostgreSQL's version."""

    def conninfo(self, database: str, *, admin: bool = False) -> dict[str, Any]:
        """Connection parameters."""


class DatabaseDriver:
    """Creates, clones and drops databases of one sandbox through control sessions."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._idle: list[psycopg.AsyncConnection[Any]] = []
        self._closed = False
        self._slots = asyncio.Semaphore(_SESSIONS)
        self._copies = asyncio.Semaphore(_COPIES)
        self.shares_extents = False

    async def open(self) -> None:
        """Probe the file system. Connections are made when they are needed."""
        if self._server.data is not None and self._major >= 18:
            self.shares_extents = shares_extents(pathlib.Path(self._server.data))

    async def close(self) -> None:
        """Close the control sessions; those in use are closed when they come back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close()

    async def prepare_base(self, database: str, extensions: tuple[str, ...] = ()) -> None:
        """Make the base: an empty database as every notebook finds it, sealed."""
        await self._execute(
            sql.SQL(
                "DO $$ BEGIN CREATE ROLE {role} LOGIN;"
                " EXCEPTION WHEN duplicate_object THEN NULL; END $$"
            ).format(role=sql.Identifier(_USER_ROLE))
        )
        if self._major >= roles.SINCE:
            await self._execute(
                sql.SQL("ALTER ROLE {} CREATEROLE").format(sql.Identifier(_USER_ROLE))
            )
        work = database + "_new"
        await self.drop(work)
        await self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 STRATEGY FILE_COPY").format(
                sql.Identifier(work)
            )
        )
        parameters = self._server.conninfo(work, admin=True)
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as conn:
            await conn.execute(
                sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(_USER_ROLE))
            )
            for extension in extensions:
                statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} CASCADE")
                try:
                    await conn.execute(statement.format(sql.Identifier(extension)))
                except psycopg.Error as exc:
                    raise errors.PgcellarError(
                        f"The extension {extension} can't be put into the base: {exc}",
                        hint="Whoever operates pgcellar lists it in `c.ServiceApp.extensions`.",
                    ) from exc
        await self._execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                sql.Identifier(work), sql.Identifier(database)
            )
        )
        await self._execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(database))
        )

    async def clone(self, source: str, target: str, *, sealed: bool) -> None:
        """Clone a database nobody is connected to. Cancelling the task cancels it at the server.

        A sealed clone is a snapshot; another is the user's own, and accepts sessions.
        Raises SandboxFull where the disk is, PgcellarError for any other refusal.
        """
        async with self._copies:
            await self._execute(
                sql.SQL(
                    "CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY FILE_COPY"
                    " ALLOW_CONNECTIONS {}"
                ).format(
                    sql.Identifier(target),
                    sql.Identifier(source),
                    sql.SQL("DEFAULT") if sealed else sql.Identifier(_USER_ROLE),
                    sql.Literal(not sealed),
                )
            )

    async def drop(self, database: str) -> None:
        """Drop a database, and end the sessions on it; one that is gone is fine."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        async with self._copies:
            try:
                await self._execute(statement.format(sql.Identifier(database)))
            except errors.PgcellarError as exc:
                if not isinstance(exc.__cause__, psycopg.errors.WrongObjectType):
                    raise
                # Its owner has made it a template.
                await self.attributes.write(database, None)
                await self._execute(statement.format(sql.Identifier(database)))

    async def size(self, database: str) -> int:
        """The logical size of a database in bytes; with shared extents it takes less."""
        row = await self._fetch("select pg_database_size(%(name)s)", {"name": database})
        return int(row[0][0])

    async def databases(self) -> set[str]:
        """The names of all snapshots and instances there are."""
        rows = await self._fetch(
            "select datname from pg_database where datname ~ %(ours)s",
            {"ours": f"^({SNAPSHOT_PREFIX}|{INSTANCE_PREFIX})"},
        )
        return {row[0] for row in rows}

    async def terminate(self, pid: int) -> bool:
        """End a session and wait until it is gone; whether it went within 5 s."""
        # False also means that there was no such process any more.
        rows = await self._fetch(
            "select pg_terminate_backend(%(pid)s, %(timeout)s)"
            " or not exists (select from pg_stat_activity where pid = %(pid)s)",
            {"pid": pid, "timeout": _TERMINATE_MS},
        )
        return bool(rows[0][0])

    async def size_at(self, pid: int) -> int | None:
        """Bytes of the database that a server process works in; None if there is no such one."""
        rows = await self._fetch(
            "select pg_database_size(datid) from pg_stat_activity"
            " where pid = %(pid)s and datid is not null",
            {"pid": pid},
        )
        return int(rows[0][0]) if rows else None

    async def advance_at(self, pid: int) -> dict[str, Any] | None:
        """How far a server process's command is, as PostgreSQL says; None if it says nothing."""
        async with (
            self._session() as conn,
            conn.cursor(row_factory=psycopg.rows.dict_row) as cursor,
        ):
            return await (await cursor.execute(_ADVANCE, {"pid": pid})).fetchone()

    async def waits(self, pids: Collection[int]) -> dict[int, list[int]]:
        """For whom these server processes wait, where it has been too long for a deadlock."""
        rows = await self._fetch(_WAITS, {"pids": list(pids)})
        return {row[0]: row[1] for row in rows}

    async def ping(self) -> None:
        """Make a new session. Raises SandboxLost where the server takes none."""
        conn = await self._connect()
        await conn.close()

    async def describe(self) -> Mapping[str, object]:
        """What the base's id is made of: whatever of the server determines results."""
        rows = await self._fetch(
            """
            select json_build_object(
              'version', current_setting('server_version'),
              'encoding', pg_encoding_to_char(encoding),
              'collate', datcollate, 'ctype', datctype,
              'available', (
                select md5(string_agg(name || ' ' || default_version, ',' order by name))
                from pg_available_extensions),
              'settings', (select json_object_agg(name, setting order by name) from pg_settings
                           where name = any(%(settings)s)
                              or source in ('configuration file', 'command line')
                                 and category ~ %(categories)s))
            from pg_database where datname = 'template0'
            """,
            {"settings": list(_RESULT_SETTINGS), "categories": _RESULT_CATEGORIES},
        )
        found: Mapping[str, object] = rows[0][0]
        return found

    @property
    def roles(self) -> roles.Roles:
        """The roles of the sandbox."""
        return roles.Roles(self, _USER_ROLE)

    @property
    def attributes(self) -> attributes.Attributes:
        """What belongs to the databases of the sandbox."""
        return attributes.Attributes(self, _USER_ROLE)

    @property
    def _major(self) -> int:
        return int(self._server.server_version.split(".")[0])

    # --- control sessions --------------------------------------------------------------------

    async def execute(self, statement: sql.Composed) -> None:
        """Run a statement in a control session."""
        await self._execute(statement)

    async def fetch(self, query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of a query in a control session."""
        async with self._session() as conn:
            cursor = conn.cursor(row_factory=psycopg.rows.dict_row)
            return await (await cursor.execute(query, parameters)).fetchall()

    async def _execute(self, statement: sql.Composed) -> None:
        """Run a statement; an open transaction of the user's that holds it up is ended.

        What such a session did is replayed when it is asked for again.
        """
        async with self._session() as conn:
            work = asyncio.create_task(conn.execute(statement))
            try:
                while not (await asyncio.wait({work}, timeout=_PATIENCE))[0]:
                    await self._fetch(_END_BLOCKERS, {"pid": conn.info.backend_pid})
            except BaseException:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                raise
            await work

    async def _fetch(self, query: Any, parameters: Mapping[str, Any]) -> list[Any]:
        async with self._session() as conn:
            return await (await conn.execute(query, parameters)).fetchall()

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        async with self._slots:
            conn = self._idle.pop() if self._idle else await self._connect()
            try:
                yield conn
            except psycopg.Error as exc:
                if exc.sqlstate == _DISK_FULL:
                    raise errors.SandboxFull(
                        "The disk that holds the sandbox is full.",
                        hint="Free space there, or evict snapshots with `pgcellar gc`.",
                    ) from exc
                raise errors.PgcellarError(f"The sandbox refused to clone: {exc}") from exc
            finally:
                if conn.broken or conn.closed or self._closed:
                    await conn.close()
                else:
                    self._idle.append(conn)

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        try:
            conn = await psycopg.AsyncConnection.connect(
                **self._server.conninfo("postgres", admin=True), autocommit=True
            )
            try:
                await conn.execute(_LOCK_TIMEOUT)
                if self.shares_extents:
                    await conn.execute("set file_copy_method = clone")
            except BaseException:
                # Idle work is cancelled whenever somebody comes.
                await conn.close()
                raise
        except psycopg.OperationalError as exc:
            raise errors.SandboxLost("The sandbox's PostgreSQL does not answer.") from exc
        return conn


def shares_extents(folder: pathlib.Path) -> bool:
    """Whether files of a folder can share their extents (XFS, Btrfs), by trying it."""
    try:
        with tempfile.TemporaryFile(dir=folder) as one, tempfile.TemporaryFile(dir=folder) as two:
            one.write(b"\0" * 65536)
            one.flush()
            fcntl.ioctl(two.fileno(), _FICLONE, one.fileno())
    except OSError:
        return False
    return os.name == "posix"
