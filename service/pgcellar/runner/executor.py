"""One session of an instance, spoken to over libpq as psql does: one simple query a statement.

Rows come in chunks and leave in batches, so that a result of any length needs bounded memory;
what goes beyond the bounds is counted and dropped. Values stay PostgreSQL's text.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import secrets
import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, BinaryIO

import psycopg
from psycopg import pq

from pgcellar.api import errors, records
from pgcellar.notebook import databases
from pgcellar.runner import connections, outputs

Emit = Callable[[records.Event], Awaitable[None]]

#: Rows asked of libpq at a time: enough that the cost per chunk vanishes, few enough that rows of
#: a megabyte each still fit in memory.
CHUNK_ROWS = 500
COPY_BLOCK = 256 * 1024
#: Notices and notifications: a loop that raises one per row must not fill the notebook.
MAX_NOTICES = 500
#: Characters of a notice that are shown.
MAX_NOTICE = 16 * 1024
#: Bytes after which decoded rows leave, though their chunk has more.
BATCH_BYTES = 1024 * 1024
#: Bytes of a single value that are taken: what is longer is cut.
MAX_VALUE = records.DEFAULT_MAX_BYTES
#: Probes are small catalog queries; one that takes longer meets a lock or a setting of the user's.
PROBE_TIMEOUT = 15.0
CANCEL_TIMEOUT = 5.0

_COPY_OUT = (pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH)
_ROWS = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_CHUNK)
_IDLE = pq.TransactionStatus.IDLE
_NOT_PREPARED = "26000"
_MEANINGS = (b"DateStyle", b"IntervalStyle", b"TimeZone", b"standard_conforming_strings")
#: Before what is ours and begins a transaction, in one message with it. Where the user's defaults
#: are serializable, read only and deferrable, it would wait for transactions of other instances.
_PLAINLY = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;"
#: The server ends, or this session was ended: admin_shutdown, crash_shutdown, cannot_connect_now.
_ENDED = frozenset({"57P01", "57P02", "57P03"})
#: How long a session that was closed may take to end.
_END_MS = 5000


class Session:
    """One connection. Not for two tasks at once, but for `cancel`, which may come at any time."""

    def __init__(
        self,
        conn: psycopg.AsyncConnection[Any],
        types: Mapping[int, str],
        parameters: Mapping[str, Any],
    ) -> None:
        self._conn = conn
        self._pg = conn.pgconn
        self._types = dict(types)
        self._parameters = parameters
        self._notices: list[records.Notice] = []
        self._sent_notices = 0
        self._prepared: set[str] = set()
        self._began: float | None = None
        #: Bytes of the file that is fed to the statement that runs; None if there is none.
        self.fed: int | None = None
        #: No PREPARE of the user's can have a name with it.
        self._token = secrets.token_hex(8)
        conn.add_notice_handler(self._note)

    @classmethod
    async def connect(cls, parameters: Mapping[str, Any], types: Mapping[int, str]) -> Session:
        """Connect. Raises SandboxLost if the server does not answer."""
        return cls(await connections.connect(parameters), types, parameters)

    @classmethod
    async def another(cls, parameters: Mapping[str, Any], types: Mapping[int, str]) -> Session:
        """Connect as a person would: the server may refuse it.

        Raises StatementFailed where it does, or SandboxLost.
        """
        return cls(await connections.admitted(parameters), types, parameters)

    async def renew(self) -> None:
        """Begin a new session in place of this one, as psql's `\\c` does, and see this one gone.

        Raises StatementFailed where the server refuses it, or SandboxLost.
        """
        conn = await connections.admitted(self._parameters)
        conn.add_notice_handler(self._note)
        old, pid = self._conn, self.pid
        self._conn, self._pg = conn, conn.pgconn
        self._prepared.clear()
        await old.close()
        # What it held, locks say, goes with it a moment later.
        with contextlib.suppress(connections.StatementFailed):
            await self.query(f"select pg_catalog.pg_terminate_backend({pid}, {_END_MS})")

    @property
    def pid(self) -> int:
        """The server process of this session."""
        return self._pg.backend_pid

    @property
    def running_for(self) -> float:
        """Seconds since the user's statement that runs began; 0 if none does."""
        return 0.0 if self._began is None else time.perf_counter() - self._began

    @property
    def connection(self) -> pq.abc.PGconn:
        """The connection itself, for use while no statement runs."""
        return self._pg

    @property
    def in_transaction(self) -> bool:
        """Whether the user's own transaction block is open, or has failed."""
        return self._pg.transaction_status != _IDLE

    @property
    def escapes(self) -> bool:
        """Whether backslashes escape in any literal: standard_conforming_strings is off."""
        return self._pg.parameter_status(b"standard_conforming_strings") == b"off"

    @property
    def is_utf8(self) -> bool:
        """Whether texts go to the server, and come from it, as UTF-8."""
        return self._pg.parameter_status(b"client_encoding") in (None, b"UTF8")

    @property
    def meanings(self) -> tuple[bytes | None, ...]:
        """What the server says of the settings that say what a literal means."""
        return tuple(map(self._pg.parameter_status, _MEANINGS))

    @property
    def busy(self) -> bool:
        """Whether a statement runs, or waits."""
        return self._pg.transaction_status == pq.TransactionStatus.ACTIVE

    @property
    def usable(self) -> bool:
        """Whether the connection stands, as far as is known here."""
        return not self._conn.closed and self._pg.status == pq.ConnStatus.OK

    def check(self) -> bool:
        """Whether the connection still stands, having looked at what came in while it was idle."""
        # What comes in for a statement that runs is that statement's.
        if self.usable and not self.busy:
            waiting = select.poll()
            try:
                waiting.register(self._pg.socket, select.POLLIN)
                # Why the server ended it may come in before the end itself.
                while waiting.poll(0):
                    self._pg.consume_input()
            except psycopg.OperationalError:
                return False
        return self.usable

    async def close(self) -> None:
        """Close the connection; the server process ends a moment later."""
        await self._conn.close()

    async def cancel(self) -> None:
        """Ask the server to cancel what runs."""
        with contextlib.suppress(psycopg.Error):
            await self._conn.cancel_safe(timeout=CANCEL_TIMEOUT)

    async def query(self, text: str) -> list[tuple[str | None, ...]]:
        """The rows of a query of ours, as text.

        Raises StatementFailed, also after `PROBE_TIMEOUT`.
        """
        if not self.in_transaction:
            text = _PLAINLY + text
        return await self._gather(lambda: self._pg.send_query(text.encode(self.encoding)))

    async def _gather(self, send: Callable[[], None]) -> list[tuple[str | None, ...]]:
        rows: list[tuple[str | None, ...]] = []

        async def collect(event: records.Event) -> None:
            if isinstance(event, records.Rows):
                rows.extend(event.rows)

        output = outputs.Output(
            emit=collect, statement=0, max_rows=1_000_000, max_bytes=1 << 30, name_types=False
        )
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                await self._run(send, output, None)
        except TimeoutError:
            await self._settle_cancelled()
            raise connections.StatementFailed(
                records.SqlError(sqlstate="57014", message="The session does not answer.")
            ) from None
        return rows

    async def probe(self, name: str, text: str) -> list[tuple[str | None, ...]]:
        """The rows of a query of ours that is asked often, prepared under `name` and a token.

        Prepared by protocol, which PostgreSQL tells apart from the user's own PREPARE. Raises
        connections.StatementFailed as `query` does; NotPrepared if DISCARD ALL or DEALLOCATE ALL
        took ours along, and then the next call prepares it again.
        """
        name = f"{name}_{self._token}"
        if name not in self._prepared:
            await self._gather(lambda: self._pg.send_prepare(name.encode(), text.encode()))
            self._prepared.add(name)
        try:
            return await self._gather(lambda: self._pg.send_query_prepared(name.encode(), None))
        except connections.StatementFailed as exc:
            if exc.error.sqlstate != _NOT_PREPARED:
                raise
            self._prepared.discard(name)
            # In a transaction, which is aborted now: only who began it can try again.
            raise connections.NotPrepared(exc.error) from exc

    async def unprepare(self) -> None:
        """Forget the probes that are prepared: the user is about to list prepared statements."""
        if self._prepared and self._pg.transaction_status != pq.TransactionStatus.INERROR:
            for name in sorted(self._prepared):
                await self.query(f"deallocate {name}")
            self._prepared.clear()

    async def run(
        self,
        text: str,
        output: outputs.Output | None,
        copy: BinaryIO | None = None,
        *,
        wrapped: bool = False,
    ) -> records.Completed | None:
        """Run one statement; its last result, or None if there was none.

        With `copy`, the statement is a COPY FROM STDIN and is fed that file. Without `output`
        results are dropped. `wrapped` says that BEGIN and COMMIT of ours stand around it, whose
        results are not the statement's. If the task is cancelled, the statement is cancelled and
        awaited first. Raises StatementFailed, or SandboxLost when the connection breaks.
        """
        try:
            data = text.encode(self.encoding)
        except UnicodeEncodeError as exc:
            raise connections.StatementFailed(
                records.SqlError(
                    sqlstate=errors.Unsupported.code,
                    message=f"client_encoding {self.encoding} can't hold {text[exc.start]!r}.",
                    hint="RESET client_encoding: the text of a notebook is UTF-8.",
                )
            ) from exc
        self._began = time.perf_counter()
        try:
            return await self._run(
                lambda: self._pg.send_query(data),
                output,
                copy,
                wrapped=wrapped,
                chunked=True,
            )
        except (asyncio.CancelledError, OSError):
            # Or the file can't be written that takes what it gives.
            await asyncio.shield(self._settle_cancelled())
            raise
        finally:
            self._began = self.fed = None

    # --- protocol ----------------------------------------------------------------------------

    async def _run(
        self,
        send: Callable[[], None],
        output: outputs.Output | None,
        copy: BinaryIO | None,
        *,
        wrapped: bool = False,
        chunked: bool = False,
    ) -> records.Completed | None:
        self._notices.clear()
        self._sent_notices = 0
        reader = outputs.ResultReader(self, output, time.perf_counter(), wrapped)
        failure: records.SqlError | None = None
        try:
            async with self._readiness() as ready:
                send()
                await self._flush(ready)
                if chunked:
                    self._pg.set_chunked_rows_mode(CHUNK_ROWS)
                while (result := await self._next(ready)) is not None:
                    if result.status == pq.ExecStatus.FATAL_ERROR:
                        failure = failure or connections.error(result)
                    elif result.status == pq.ExecStatus.COPY_IN:
                        await self._feed(copy, ready)
                    elif result.status in _COPY_OUT:
                        await self._drain(output, ready, binary=bool(result.binary_tuples))
                    else:
                        await reader.take(result)
                    await self._send_notices(output)
        except errors.SandboxLost as exc:
            if failure is None:
                raise
            # The server said why it ended the session.
            raise connections.ended(failure) from exc
        await self._send_notices(output)
        await reader.finish()
        if failure is None:
            return reader.completed
        if not self.usable or failure.sqlstate in _ENDED:
            raise connections.ended(failure)
        raise connections.StatementFailed(failure)

    @contextlib.asynccontextmanager
    async def _readiness(self) -> AsyncIterator[connections.Readiness]:
        """To wait until the socket has something to read."""
        loop = asyncio.get_running_loop()
        try:
            socket = self._pg.socket
        except psycopg.OperationalError as exc:
            raise errors.SandboxLost("The connection to the sandbox is closed.") from exc
        ready = connections.Readiness(loop, socket)
        try:
            yield ready
        except psycopg.OperationalError as exc:
            raise errors.SandboxLost("The connection to the sandbox broke.") from exc
        finally:
            loop.remove_reader(socket)

    async def _next(self, ready: connections.Readiness) -> pq.abc.PGresult | None:
        while self._pg.is_busy():
            await ready.wait()
            self._pg.consume_input()
        return self._pg.get_result()

    async def _flush(self, ready: connections.Readiness) -> None:
        """Send what libpq has buffered; reads too, or both ends could wait for one another."""
        if not self._pg.flush():
            return
        loop = asyncio.get_running_loop()
        socket = self._pg.socket
        loop.add_writer(socket, ready.wake)
        try:
            while self._pg.flush():
                await ready.wait()
                self._pg.consume_input()
        finally:
            loop.remove_writer(socket)

    async def _feed(self, copy: BinaryIO | None, ready: connections.Readiness) -> None:
        if copy is None:
            self._pg.put_copy_end(b"a notebook has nothing to send")
        else:
            self.fed = _size(copy)
            while block := await asyncio.to_thread(copy.read, COPY_BLOCK):
                self._pg.put_copy_data(block)
                await self._flush(ready)
            self._pg.put_copy_end()
        await self._flush(ready)

    async def _drain(
        self, output: outputs.Output | None, ready: connections.Readiness, *, binary: bool
    ) -> None:
        """Take what COPY TO STDOUT gives: into a file, or as text within the bounds.

        Its binary format is no text; each part is shown as a bytea is.
        """
        shown = 0
        most = 0 if output is None else min(output.max_bytes, outputs.MAX_VALUE)
        while True:
            size, data = self._pg.get_copy_data(1)
            if size < 0:
                return
            if size == 0:
                await ready.wait()
                self._pg.consume_input()
            elif output is not None and output.sink is not None:
                output.sink.write(data)
            elif output is not None and shown < most:
                # A row may be as long as PostgreSQL's memory.
                part = bytes(data[: most - shown])
                shown += size
                text = f"\\x{part.hex()}\n" if binary else part.decode(self.encoding, "replace")
                await output.emit(records.Text(statement=output.statement, text=text))

    async def _settle_cancelled(self) -> None:
        """Cancel what runs and read it off, or close the connection if that takes too long."""
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT), self._readiness() as ready:
                await self.cancel()
                while (result := await self._next(ready)) is not None:
                    if result.status == pq.ExecStatus.COPY_IN:
                        # The server waits for more, and libpq would say so for ever.
                        self._pg.put_copy_end(b"cancelled")
                        await self._flush(ready)
                    elif result.status in _COPY_OUT:
                        await self._conn.close()
                        return
        except (TimeoutError, errors.PgcellarError):
            await self._conn.close()

    def _note(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if len(self._notices) < MAX_NOTICES:
            self._notices.append(
                records.Notice(
                    statement=0,
                    severity=diagnostic.severity or "NOTICE",
                    sqlstate=diagnostic.sqlstate or "00000",
                    message=self._told(diagnostic.message_primary),
                    detail=self._told(diagnostic.message_detail) or None,
                    hint=self._told(diagnostic.message_hint) or None,
                )
            )

    def _told(self, text: str | None) -> str:
        """A part of a notice, in which the database has the name that notebooks give it."""
        return (text or "").replace(self._pg.db.decode(), databases.NAME)[:MAX_NOTICE]

    async def _send_notices(self, output: outputs.Output | None) -> None:
        notices, self._notices = self._notices, []
        if output is not None:
            for notice in notices[: MAX_NOTICES - self._sent_notices]:
                await output.emit(dataclasses.replace(notice, statement=output.statement))
            self._sent_notices += len(notices)
        while (notify := self._pg.notifies()) is not None:
            self._sent_notices += 1
            if output is not None and self._sent_notices <= MAX_NOTICES:
                await output.emit(
                    records.Text(statement=output.statement, text=connections.heard(notify))
                )

    # --- for the reader ----------------------------------------------------------------------

    @property
    def encoding(self) -> str:
        """Python's name for the session's client encoding, which the user may change."""
        try:
            return self._conn.info.encoding
        except psycopg.NotSupportedError:
            return "utf-8"

    def type_name(self, oid: int) -> str | None:
        """The name of a type, if it is known."""
        return self._types.get(oid)

    async def learn_types(self, oids: set[int]) -> None:
        """Ask for the names of types; what can't be asked now stays a number."""
        wanted = sorted(oid for oid in oids if oid not in self._types)
        if not wanted or self._pg.transaction_status == pq.TransactionStatus.INERROR:
            return
        listed = ",".join(map(str, wanted))
        with contextlib.suppress(connections.StatementFailed):
            for oid, name in await self.query(
                "select oid, pg_catalog.format_type(oid, null) from pg_catalog.pg_type"
                f" where oid in ({listed})"
            ):
                self._types[int(oid or 0)] = name or ""


def _size(file: BinaryIO) -> int:
    """Bytes of a file from where it stands."""
    here = file.tell()
    size = file.seek(0, io.SEEK_END) - here
    file.seek(here)
    return size
