"""One session of an instance, spoken to over libpq as psql does: one simple query a statement.

Rows come in chunks and leave in batches, so that a result of any length needs bounded memory;
what goes beyond the bounds is counted and dropped. Values stay PostgreSQL's text.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, BinaryIO

import psycopg
from psycopg import pq

from pgcellar.api import errors, records

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
#: The server ends, or this session was ended: admin_shutdown, crash_shutdown, cannot_connect_now.
_ENDED = frozenset({"57P01", "57P02", "57P03"})


#: sqlserver_rejected_establishment_of_sqlconnection; libpq does not tell the server's own code.
_REJECTED = "08004"
_REFUSED = re.compile(r"FATAL:  (.*)")
#: How long a session that was closed may take to end.
_END_MS = 5000


class StatementFailed(Exception):
    """PostgreSQL refused a statement; `error.position` counts in the text that was sent."""

    def __init__(self, error: records.SqlError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """Where the results of a statement go, and how much of them; `sink` is for COPY TO STDOUT.

    `rows_first`: no row waits for the names of the columns' types, so the columns may come last.
    """

    emit: Emit
    statement: int
    max_rows: int
    max_bytes: int
    name_types: bool = True
    sink: BinaryIO | None = None
    rows_first: bool = False


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
        #: No PREPARE of the user's can have a name with it.
        self._token = secrets.token_hex(8)
        conn.add_notice_handler(self._note)

    @classmethod
    async def connect(cls, parameters: Mapping[str, Any], types: Mapping[int, str]) -> Session:
        """Connect. Raises SandboxLost if the server does not answer."""
        return cls(await _connection(parameters), types, parameters)

    @classmethod
    async def another(cls, parameters: Mapping[str, Any], types: Mapping[int, str]) -> Session:
        """Connect as a person would: the server may refuse it.

        Raises StatementFailed where it does, or SandboxLost.
        """
        return cls(await _admitted(parameters), types, parameters)

    async def renew(self) -> None:
        """Begin a new session in place of this one, as psql's `\\c` does, and see this one gone.

        Raises StatementFailed where the server refuses it, or SandboxLost.
        """
        conn = await _admitted(self._parameters)
        conn.add_notice_handler(self._note)
        old, pid = self._conn, self.pid
        self._conn, self._pg = conn, conn.pgconn
        self._prepared.clear()
        await old.close()
        # What it held, locks say, goes with it a moment later.
        with contextlib.suppress(StatementFailed):
            await self.query(f"select pg_catalog.pg_terminate_backend({pid}, {_END_MS})")

    @property
    def pid(self) -> int:
        """The server process of this session."""
        return self._pg.backend_pid

    @property
    def connection(self) -> pq.abc.PGconn:
        """The connection itself, for use while no statement runs."""
        return self._pg

    @property
    def in_transaction(self) -> bool:
        """Whether the user's own transaction block is open, or has failed."""
        return self._pg.transaction_status != _IDLE

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
            try:
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
        return await self._gather(lambda: self._pg.send_query(text.encode(self.encoding)))

    async def _gather(self, send: Callable[[], None]) -> list[tuple[str | None, ...]]:
        rows: list[tuple[str | None, ...]] = []

        async def collect(event: records.Event) -> None:
            if isinstance(event, records.Rows):
                rows.extend(event.rows)

        output = Output(
            emit=collect, statement=0, max_rows=1_000_000, max_bytes=1 << 30, name_types=False
        )
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                await self._run(send, output, None)
        except TimeoutError:
            await self._settle_cancelled()
            raise StatementFailed(
                records.SqlError(sqlstate="57014", message="The session does not answer.")
            ) from None
        return rows

    async def probe(self, name: str, text: str) -> list[tuple[str | None, ...]]:
        """The rows of a query of ours that is asked often, prepared under `name` and a token.

        Prepared by protocol, which PostgreSQL tells apart from the user's own PREPARE. Raises
        StatementFailed as `query` does.
        """
        name = f"{name}_{self._token}"
        if name not in self._prepared:
            await self._gather(lambda: self._pg.send_prepare(name.encode(), text.encode()))
            self._prepared.add(name)
        try:
            return await self._gather(lambda: self._pg.send_query_prepared(name.encode(), None))
        except StatementFailed as exc:
            if exc.error.sqlstate != _NOT_PREPARED:
                raise
        # DISCARD ALL and DEALLOCATE ALL take ours along.
        self._prepared.discard(name)
        return await self.probe(name.removesuffix(f"_{self._token}"), text)

    async def unprepare(self) -> None:
        """Forget the probes that are prepared: the user is about to list prepared statements."""
        if self._prepared and self._pg.transaction_status != pq.TransactionStatus.INERROR:
            for name in sorted(self._prepared):
                await self.query(f"deallocate {name}")
            self._prepared.clear()

    async def run(
        self,
        text: str,
        output: Output | None,
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
            raise StatementFailed(
                records.SqlError(
                    sqlstate=errors.Unsupported.code,
                    message=f"client_encoding {self.encoding} can't hold {text[exc.start]!r}.",
                    hint="RESET client_encoding: the text of a notebook is UTF-8.",
                )
            ) from exc
        try:
            return await self._run(
                lambda: self._pg.send_query(data),
                output,
                copy,
                wrapped=wrapped,
                chunked=True,
            )
        except asyncio.CancelledError:
            await asyncio.shield(self._settle_cancelled())
            raise

    # --- protocol ----------------------------------------------------------------------------

    async def _run(
        self,
        send: Callable[[], None],
        output: Output | None,
        copy: BinaryIO | None,
        *,
        wrapped: bool = False,
        chunked: bool = False,
    ) -> records.Completed | None:
        self._notices.clear()
        self._sent_notices = 0
        reader = _ResultReader(self, output, time.perf_counter(), wrapped)
        failure: records.SqlError | None = None
        async with self._readiness() as ready:
            send()
            await self._flush(ready)
            if chunked:
                self._pg.set_chunked_rows_mode(CHUNK_ROWS)
            while (result := await self._next(ready)) is not None:
                if result.status == pq.ExecStatus.FATAL_ERROR:
                    failure = failure or _error(result)
                elif result.status == pq.ExecStatus.COPY_IN:
                    await self._feed(copy, ready)
                elif result.status in _COPY_OUT:
                    await self._drain(output, ready)
                else:
                    await reader.take(result)
                await self._send_notices(output)
        await self._send_notices(output)
        await reader.finish()
        if failure is None:
            return reader.completed
        if not self.usable or failure.sqlstate in _ENDED:
            raise errors.SandboxLost(failure.message)
        raise StatementFailed(failure)

    @contextlib.asynccontextmanager
    async def _readiness(self) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever the socket has something to read."""
        loop = asyncio.get_running_loop()
        try:
            socket = self._pg.socket
        except psycopg.OperationalError as exc:
            raise errors.SandboxLost("The connection to the sandbox is closed.") from exc
        ready = asyncio.Event()
        loop.add_reader(socket, ready.set)
        try:
            yield ready
        except psycopg.OperationalError as exc:
            raise errors.SandboxLost(str(exc).strip()) from exc
        finally:
            loop.remove_reader(socket)

    async def _next(self, ready: asyncio.Event) -> pq.abc.PGresult | None:
        while self._pg.is_busy():
            await ready.wait()
            ready.clear()
            self._pg.consume_input()
        return self._pg.get_result()

    async def _flush(self, ready: asyncio.Event) -> None:
        """Send what libpq has buffered; reads too, or both ends could wait for one another."""
        if not self._pg.flush():
            return
        loop = asyncio.get_running_loop()
        socket = self._pg.socket
        loop.add_writer(socket, ready.set)
        try:
            while self._pg.flush():
                await ready.wait()
                ready.clear()
                self._pg.consume_input()
        finally:
            loop.remove_writer(socket)

    async def _feed(self, copy: BinaryIO | None, ready: asyncio.Event) -> None:
        if copy is None:
            self._pg.put_copy_end(b"a notebook has nothing to send")
        else:
            while block := await asyncio.to_thread(copy.read, COPY_BLOCK):
                self._pg.put_copy_data(block)
                await self._flush(ready)
            self._pg.put_copy_end()
        await self._flush(ready)

    async def _drain(self, output: Output | None, ready: asyncio.Event) -> None:
        """Take what COPY TO STDOUT gives: into a file, or as text within the bounds."""
        shown = 0
        while True:
            size, data = self._pg.get_copy_data(1)
            if size < 0:
                return
            if size == 0:
                await ready.wait()
                ready.clear()
                self._pg.consume_input()
            elif output is not None and output.sink is not None:
                output.sink.write(data)
            elif output is not None and shown < output.max_bytes:
                shown += size
                text = bytes(data).decode(self.encoding, "replace")
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
                    message=(diagnostic.message_primary or "")[:MAX_NOTICE],
                    detail=(diagnostic.message_detail or "")[:MAX_NOTICE] or None,
                    hint=(diagnostic.message_hint or "")[:MAX_NOTICE] or None,
                )
            )

    async def _send_notices(self, output: Output | None) -> None:
        notices, self._notices = self._notices, []
        if output is not None:
            for notice in notices[: MAX_NOTICES - self._sent_notices]:
                await output.emit(dataclasses.replace(notice, statement=output.statement))
            self._sent_notices += len(notices)
        while (notify := self._pg.notifies()) is not None:
            self._sent_notices += 1
            if output is not None and self._sent_notices <= MAX_NOTICES:
                await output.emit(records.Text(statement=output.statement, text=_heard(notify)))

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
        with contextlib.suppress(StatementFailed):
            for oid, name in await self.query(
                "select oid, pg_catalog.format_type(oid, null) from pg_catalog.pg_type"
                f" where oid in ({listed})"
            ):
                self._types[int(oid or 0)] = name or ""


class _ResultReader:
    """Turns the libpq results of one statement into events, within bounds."""

    def __init__(
        self, session: Session, output: Output | None, begin: float, wrapped: bool
    ) -> None:
        self._session = session
        self._output = output
        self._begin = begin
        self._wrapped = wrapped
        self._fields: list[tuple[str, int]] | None = None
        self._held: list[records.Event] = []
        self._unnamed: set[int] = set()
        self._tag = b""
        self._tuples: int | None = None
        self._tabular = False
        self._seen_rows = self._sent_rows = self._sent_bytes = 0
        self.completed: records.Completed | None = None

    async def take(self, result: pq.abc.PGresult) -> None:
        """One libpq result: a chunk of rows, or the end of a command."""
        if result.status == pq.ExecStatus.EMPTY_QUERY:
            return
        # With chunks, the command tag comes with the last rows or after them.
        self._tag = result.command_status or self._tag
        if result.command_tuples is not None:
            self._tuples = result.command_tuples
        if result.status in _ROWS:
            self._tabular = True
            await self._take_rows(result)
            if result.status != pq.ExecStatus.TUPLES_OK:
                return
        if self._wrapped and self._tag in _WRAPPERS:
            return
        self.completed = records.Completed(
            statement=self._output.statement if self._output else 0,
            command=self._tag.decode(),
            # A rule may return rows for an INSERT that inserted none itself.
            row_count=self._seen_rows if self._tabular else self._tuples,
            truncated=self._seen_rows > self._sent_rows,
            ms=round((time.perf_counter() - self._begin) * 1000, 3),
        )
        self._fields = None
        self._tag, self._tuples, self._tabular = b"", None, False
        self._seen_rows = self._sent_rows = self._sent_bytes = 0

    async def finish(self) -> None:
        """Send what waited for the names of its columns' types."""
        if self._held and self._unnamed:
            await self._session.learn_types(self._unnamed)
        held, self._held = self._held, []
        for event in held:
            await self._send(self._with_types(event))

    async def _take_rows(self, result: pq.abc.PGresult) -> None:
        self._seen_rows += result.ntuples
        output = self._output
        if output is None:
            return
        if self._fields is None:
            await self._send_columns(result, output)
        wanted = min(output.max_rows - self._sent_rows, result.ntuples)
        taken = 0
        while taken < wanted and self._sent_bytes < output.max_bytes:
            rows = self._decode(result, range(taken, wanted), output.max_bytes)
            taken += len(rows)
            if rows:
                await self._send_or_hold(records.Rows(statement=output.statement, rows=rows))

    async def _send_columns(self, result: pq.abc.PGresult, output: Output) -> None:
        encoding = self._session.encoding
        self._fields = [
            ((result.fname(i) or b"").decode(encoding, "replace"), result.ftype(i))
            for i in range(result.nfields)
        ]
        if output.name_types:
            self._unnamed |= {o for _, o in self._fields if self._session.type_name(o) is None}
        await self._send_or_hold(
            records.Columns(
                statement=output.statement,
                columns=tuple(
                    records.Column(name=name, type=self._session.type_name(oid) or f"{_OID}{oid}")
                    for name, oid in self._fields
                ),
            )
        )

    def _decode(
        self, result: pq.abc.PGresult, wanted: range, max_bytes: int
    ) -> tuple[tuple[str | None, ...], ...]:
        encoding = self._session.encoding
        longest = min(max_bytes, MAX_VALUE)
        width = range(result.nfields)
        rows = []
        batch = 0
        for index in wanted:
            if batch > BATCH_BYTES:
                break
            values = [result.get_value(index, column) for column in width]
            size = sum(map(len, filter(None, values)))
            if self._sent_bytes + size > max_bytes and self._sent_rows:
                # From here on rows are counted only: a page has no holes.
                self._sent_bytes = max_bytes
                break
            self._sent_bytes += size
            batch += size
            self._sent_rows += 1
            rows.append(
                tuple(
                    None if value is None else value[:longest].decode(encoding, "replace")
                    for value in values
                )
            )
        return tuple(rows)

    def _with_types(self, event: records.Event) -> records.Event:
        if not isinstance(event, records.Columns):
            return event
        return dataclasses.replace(
            event,
            columns=tuple(
                dataclasses.replace(
                    column,
                    type=self._session.type_name(int(column.type.removeprefix(_OID)))
                    or column.type.removeprefix(_OID),
                )
                if column.type.startswith(_OID)
                else column
                for column in event.columns
            ),
        )

    async def _send_or_hold(self, event: records.Event) -> None:
        rows_first = self._output is not None and self._output.rows_first
        if self._unnamed and not (rows_first and isinstance(event, records.Rows)):
            self._held.append(event)
        else:
            await self._send(event)

    async def _send(self, event: records.Event) -> None:
        if self._output is not None:
            await self._output.emit(event)


_WRAPPERS = (b"BEGIN", b"COMMIT", b"ROLLBACK")
#: Stands before the number of a type whose name is not known yet; no type's name begins so.
_OID = "\0oid "


async def _connection(parameters: Mapping[str, Any]) -> psycopg.AsyncConnection[Any]:
    try:
        return await psycopg.AsyncConnection.connect(
            **parameters, autocommit=True, client_encoding="utf8"
        )
    except psycopg.OperationalError as exc:
        raise errors.SandboxLost(f"The sandbox's PostgreSQL does not answer: {exc}") from exc


async def _admitted(parameters: Mapping[str, Any]) -> psycopg.AsyncConnection[Any]:
    try:
        return await _connection(parameters)
    except errors.SandboxLost as exc:
        refusal = _REFUSED.search(str(exc.__cause__))
        if refusal is None:
            raise
        raise StatementFailed(
            records.SqlError(sqlstate=_REJECTED, severity="FATAL", message=refusal[1])
        ) from exc


def _heard(notify: pq.misc.PGnotify) -> str:
    """A notification in psql's words."""
    name, payload = (part.decode("utf-8", "replace") for part in (notify.relname, notify.extra))
    given = f' with payload "{payload}"' if payload else ""
    return (
        f'Asynchronous notification "{name}"{given} received from server process with PID'
        f" {notify.be_pid}.\n"
    )


def _error(result: pq.abc.PGresult) -> records.SqlError:
    def field(which: pq.DiagnosticField) -> str | None:
        value = result.error_field(which)
        return None if value is None else value.decode("utf-8", "replace")

    position = field(pq.DiagnosticField.STATEMENT_POSITION)
    inner = field(pq.DiagnosticField.INTERNAL_POSITION)
    return records.SqlError(
        sqlstate=field(pq.DiagnosticField.SQLSTATE) or "XX000",
        message=field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message.decode(),
        severity=field(pq.DiagnosticField.SEVERITY) or "ERROR",
        position=int(position) if position else None,
        detail=field(pq.DiagnosticField.MESSAGE_DETAIL),
        hint=field(pq.DiagnosticField.MESSAGE_HINT),
        query=field(pq.DiagnosticField.INTERNAL_QUERY),
        query_position=int(inner) if inner else None,
        context=field(pq.DiagnosticField.CONTEXT),
    )
