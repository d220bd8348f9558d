"""The control database as the services see it: a few connections that heal."""

from __future__ import annotations

import asyncio
import contextlib
import select
import types
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, LiteralString, Self

import psycopg
from psycopg import pq, rows, sql

from pgcellar.api import errors, paths
from pgcellar.control import embedded, migrations

Connection = psycopg.AsyncConnection[rows.DictRow]
Parameters = Mapping[str, Any] | Sequence[Any]

DATABASE = "pgcellar"
#: Services mostly read and write single rows; more would only wait for one another's locks.
CONNECTIONS = 4
_CONNECT_TIMEOUT = 10


class ControlDatabase:
    """See the module. An embedded server, or with `dsn` another's.

    Without `migrate` it is left as it is: somebody else migrates it, as another role.
    """

    def __init__(self, where: paths.Paths, *, dsn: str | None = None, migrate: bool = True) -> None:
        self._dsn = dsn
        self._migrate = migrate
        self._embedded = embedded.Embedded(where) if dsn is None else None
        self._idle: list[Connection] = []
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._healing = asyncio.Lock()
        self._open = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def pid(self) -> int | None:
        """The number of the embedded server's postmaster."""
        return self._embedded.pid if self._embedded is not None else None

    async def open(self) -> None:
        """Start or adopt the server, make the database if it is missing, and migrate it.

        Raises ServiceUnavailable, PostgresNotFound, PostgresFailed or SandboxFull.
        """
        self._open = True
        try:
            if self._embedded is not None:
                await self._embedded.start()
                with translated():
                    await _ensure_database(self._embedded.conninfo("postgres"))
            if self._migrate:
                async with self.connection() as conn:
                    await migrations.migrate(conn)
        except BaseException:
            await asyncio.shield(self.close())
            raise

    async def close(self) -> None:
        """Close the connections and stop the embedded server."""
        self._open = False
        await self._drop_idle()
        if self._embedded is not None:
            await self._embedded.stop()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit, for nobody else meanwhile.

        Raises ServiceUnavailable when the database can't be reached, or is lost in between: what
        was under way then may or may not have happened.
        """
        async with self._slots:
            with translated():
                conn = await self._take()
                try:
                    yield conn
                finally:
                    await self._give_back(conn)

    async def execute(self, query: LiteralString, params: Parameters | None = None) -> int:
        """Run a statement; how many rows it concerned."""
        async with self.connection() as conn:
            return (await conn.execute(query, params)).rowcount

    async def fetch(
        self, query: LiteralString, params: Parameters | None = None
    ) -> list[dict[str, Any]]:
        """Run a query; its rows by column name."""
        async with self.connection() as conn:
            return await (await conn.execute(query, params)).fetchall()

    # --- connections -------------------------------------------------------------------------

    async def _take(self) -> Connection:
        if not self._open:
            raise errors.ServiceUnavailable("The control database is closed.")
        await self._heal()
        while self._idle:
            conn = self._idle.pop()
            if not _lost(conn):
                return conn
            await conn.close()
        return await _connect(self._conninfo())

    async def _give_back(self, conn: Connection) -> None:
        usable = conn.info.transaction_status == pq.TransactionStatus.IDLE
        if self._open and usable and not conn.closed:
            self._idle.append(conn)
        else:
            await conn.close()

    async def _drop_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _heal(self) -> None:
        """Start the embedded server again if it has ended."""
        if self._embedded is None:
            return
        # While another task starts it, it lives already but does not listen yet.
        if self._embedded.alive() and not self._healing.locked():
            return
        async with self._healing:
            if not self._embedded.alive():
                await self._drop_idle()
                await self._embedded.start()

    def _conninfo(self) -> str:
        if self._embedded is not None:
            return self._embedded.conninfo(DATABASE)
        assert self._dsn is not None
        return self._dsn


async def _connect(conninfo: str) -> Connection:
    return await psycopg.AsyncConnection.connect(
        conninfo,
        autocommit=True,
        row_factory=rows.dict_row,
        connect_timeout=_CONNECT_TIMEOUT,
        application_name="pgcellar control",
    )


async def _ensure_database(conninfo: str) -> None:
    async with await _connect(conninfo) as conn:
        found = await conn.execute("select from pg_database where datname = %s", (DATABASE,))
        if found.rowcount == 0:
            # Somebody else may be doing the same.
            with contextlib.suppress(
                psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation
            ):
                await conn.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))


def _lost(conn: Connection) -> bool:
    """Whether an idle connection has something to say: the server's farewell, or its end."""
    if conn.closed:
        return True
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(0))


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """The one place where the driver's errors become ours.

    What a value of somebody's request comes to that PostgreSQL can't take, is that request's fault.
    """
    try:
        yield
    except (psycopg.DataError, UnicodeEncodeError) as exc:
        raise errors.BadRequest(
            f"The control database can't take a value of this request: {_said(exc)}",
            hint="Leave out zero bytes, lone surrogates, and numbers and times out of all range.",
        ) from exc
    except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
        raise errors.ServiceUnavailable(f"The control database can't be used: {exc}") from exc


def _said(error: Exception) -> str:
    """What went wrong, without the value."""
    if isinstance(error, UnicodeEncodeError):
        return error.reason
    return str(error).partition("\n")[0]
