"""Where the results of a statement go, and how libpq's results become events, within bounds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Awaitable, Callable
from typing import BinaryIO, Protocol

from psycopg import pq

from pgcellar.api import records

Emit = Callable[[records.Event], Awaitable[None]]

#: Bytes after which decoded rows leave, though their chunk has more.
BATCH_BYTES = 1024 * 1024
#: Bytes of a single value that are taken: what is longer is cut.
MAX_VALUE = records.DEFAULT_MAX_BYTES

_ROWS = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_CHUNK)
_WRAPPERS = (b"BEGIN", b"COMMIT", b"ROLLBACK")
#: Stands before the number of a type whose name is not known yet; no type's name begins so.
_OID = "\0oid "


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


class Reading(Protocol):
    """What a reader needs of the session whose results it reads."""

    @property
    def encoding(self) -> str:
        """Python's name for the session's client encoding."""

    def type_name(self, oid: int) -> str | None:
        """The name of a type, if it is known."""

    async def learn_types(self, oids: set[int]) -> None:
        """Ask for the names of types."""


class ResultReader:
    """Turns the libpq results of one statement into events, within bounds."""

    def __init__(
        self, session: Reading, output: Output | None, begin: float, wrapped: bool
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
        if self._tabular and not self._tag:
            # Of several tables that rules give for one statement: whoever runs it tells its end.
            await self._send_or_hold(self.completed)
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
        # Of a BINARY cursor: bytes that are no text, and may have NUL characters among them.
        raw = [column for column in width if result.fformat(column) == pq.Format.BINARY]
        rows = []
        batch = 0
        for index in wanted:
            if batch > BATCH_BYTES:
                break
            values = [result.get_value(index, column) for column in width]
            for column in raw:
                values[column] = _in_hex(values[column])
            size = sum(map(len, filter(None, values)))
            if self._sent_bytes + size > max_bytes and self._sent_rows:
                # From here on rows are counted only: a page has no holes.
                self._sent_bytes = max_bytes
                break
            if size > longest:
                values = [value and value[:longest] for value in values]
            self._sent_bytes += size
            batch += size
            self._sent_rows += 1
            rows.append(
                tuple(
                    [
                        None if value is None else value.decode(encoding, "replace")
                        for value in values
                    ]
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


def _in_hex(value: bytes | None) -> bytes | None:
    """Bytes as PostgreSQL writes bytea."""
    return None if value is None else b"\\x" + value.hex().encode()
