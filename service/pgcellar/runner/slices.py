"""Long results in the control database, cut into slices of some thousand rows.

A result is written in one transaction, so that of one that was not finished nothing is left. The
results used longest ago go when there are too many bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import json
import zlib
from collections.abc import AsyncIterator, Sequence

from psycopg.types import json as pg_json

from pgcellar.api import errors, records
from pgcellar.control import database

Row = tuple[str | None, ...]

#: Rows of a slice, and about its bytes of text: what is decompressed for a page of a few rows.
SLICE_ROWS = 2_000
SLICE_BYTES = 1024 * 1024
#: Bytes, compressed, that all results may take by default.
DEFAULT_BYTES = 256 * 1024 * 1024
#: Results written at a time; each holds one of the control database's few connections.
_WRITERS = 2
#: What a result or a slice takes besides its rows, and a value besides its text.
_ROW_BYTES = 200
_VALUE_BYTES = 3
#: Slices fetched at a time.
_FETCH = 4
#: The key of the advisory lock that is held while a result is finished: "pgpages" in ASCII.
_LOCK = int.from_bytes(b"pgpages")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A result: its columns, the number of its rows, and how many of them, the first, are kept."""

    id: int
    state: str
    columns: tuple[records.Column, ...]
    row_count: int
    kept: int


def text_bytes(row: Row) -> int:
    """About what a row takes as text."""
    return sum(map(len, filter(None, row))) + _VALUE_BYTES * len(row)


class SliceStore:
    """The tables page_results and page_slices."""

    def __init__(self, db: database.ControlDatabase, *, max_bytes: int = DEFAULT_BYTES) -> None:
        self._db = db
        self._max_bytes = max_bytes
        self._writers = asyncio.Semaphore(_WRITERS)
        #: When results were used, as far as it is not written yet.
        self._used: dict[int, datetime.datetime] = {}

    async def close(self) -> None:
        """Write what was used when."""
        with contextlib.suppress(errors.PgcellarError):
            async with self._db.connection() as conn:
                await self._write_used(conn)

    async def find(self, key: str) -> Kept | None:
        """The result of a key."""
        found = await self._db.fetch(
            "select id, state, columns, row_count, kept from page_results where key = %s", (key,)
        )
        if not found:
            return None
        row = found[0]
        columns = tuple(records.from_json(records.Column, column) for column in row.pop("columns"))
        return Kept(columns=columns, **row)

    async def rows(self, result: Kept, offset: int, limit: int, max_bytes: int) -> list[Row] | None:
        """Rows from `offset` on; None if the result has gone meanwhile.

        At most `limit`, and no more than about `max_bytes` of text, but at least one if there is
        one.
        """
        self._used[result.id] = _now()
        end = min(offset + limit, result.kept)
        out: list[Row] = []
        size = 0
        while offset + len(out) < end:
            slices = await self._fetch(result.id, offset + len(out), end)
            if not slices:
                return None
            for first, body in slices:
                rows = await asyncio.to_thread(_unpack, body)
                for row in rows[offset + len(out) - first : end - first]:
                    size += text_bytes(row)
                    if out and size > max_bytes:
                        return out
                    out.append(row)
        return out

    async def _fetch(self, result: int, begin: int, end: int) -> list[tuple[int, bytes]]:
        """The slices that hold some of these rows; not all of them where they are many."""
        async with self._db.connection() as conn:
            cursor = await conn.execute(
                "select first, body from page_slices where result = %s and first < %s"
                " and first >= (select max(first) from page_slices where result = %s"
                " and first <= %s) order by first limit %s",
                (result, end, result, begin, _FETCH),
                binary=True,
            )
            return [(row["first"], row["body"]) for row in await cursor.fetchall()]

    @contextlib.asynccontextmanager
    async def filling(self, key: str, state: str) -> AsyncIterator[Filling]:
        """A result to be written; unless it is finished, nothing is left of it."""
        async with contextlib.AsyncExitStack() as stack:
            # At most half of the room, so that it holds for two at a time.
            yield Filling(self, key, state, stack, self._max_bytes // 2)

    # --- for a filling -----------------------------------------------------------------------

    async def begin(self, stack: contextlib.AsyncExitStack) -> tuple[database.Connection, int]:
        """A transaction, and the number of a new result; it is rolled back with the stack."""
        await stack.enter_async_context(self._writers)
        conn = await stack.enter_async_context(self._db.connection())
        # A connection that is given back within a transaction is closed.
        await conn.execute("begin")
        cursor = await conn.execute(
            "select nextval(pg_get_serial_sequence('page_results', 'id')) as id"
        )
        row = await cursor.fetchone()
        assert row is not None
        return conn, int(row["id"])

    async def commit(self, conn: database.Connection, result: Kept, key: str, size: int) -> None:
        """Make room for a result, and let it be found."""
        # One at a time: two that make room could wait for one another.
        await conn.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        await self._write_used(conn)
        await conn.execute("delete from page_results where key = %s", (key,))
        await conn.execute(
            """
            delete from page_results where id in (
              select id from (
                select id, sum(bytes) over (order by used desc, id desc) as total
                from page_results) as newest
              where total > %s)
            """,
            (self._max_bytes - size,),
        )
        await conn.execute(
            "insert into page_results (id, key, state, columns, row_count, kept, bytes, used)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                result.id,
                key,
                result.state,
                pg_json.Jsonb([records.to_json(column) for column in result.columns]),
                result.row_count,
                result.kept,
                size,
                _now(),
            ),
        )
        await conn.execute("commit")

    async def _write_used(self, conn: database.Connection) -> None:
        used, self._used = self._used, {}
        if used:
            await conn.execute(
                "update page_results set used = newer.used"
                " from unnest(%s::bigint[], %s::timestamptz[]) as newer (id, used)"
                " where page_results.id = newer.id",
                (list(used), list(used.values())),
            )


class Filling:
    """A result on its way into the control database, slice by slice."""

    def __init__(
        self,
        store: SliceStore,
        key: str,
        state: str,
        stack: contextlib.AsyncExitStack,
        max_bytes: int,
    ) -> None:
        self._store = store
        self._key = key
        self._state = state
        self._stack = stack
        self._max_bytes = max_bytes
        self._opened: tuple[database.Connection, int] | None = None
        self._rows: list[Row] = []
        self._size = 0
        self._bytes = _ROW_BYTES
        self._kept = 0
        self._full = False

    async def add(self, rows: Sequence[Row]) -> None:
        """Take the next rows; those beyond the bound are dropped. Raises ServiceUnavailable."""
        for row in rows:
            if self._full:
                return
            self._rows.append(row)
            self._size += text_bytes(row)
            if len(self._rows) >= SLICE_ROWS or self._size >= SLICE_BYTES:
                await self._cut()

    async def finish(self, columns: tuple[records.Column, ...], row_count: int) -> Kept:
        """The result came to its end. Raises ServiceUnavailable."""
        await self._cut()
        conn, number = await self._open()
        kept = Kept(
            id=number, state=self._state, columns=columns, row_count=row_count, kept=self._kept
        )
        with database.translated():
            await self._store.commit(conn, kept, self._key, self._bytes)
        return kept

    async def _cut(self) -> None:
        """Write a slice."""
        rows, self._rows, self._size = self._rows, [], 0
        if not rows or self._full:
            return
        body = await asyncio.to_thread(_pack, rows)
        size = len(body) + _ROW_BYTES
        if self._bytes + size > self._max_bytes:
            # From here on rows are counted only: pages have no holes.
            self._full = True
            return
        conn, number = await self._open()
        with database.translated():
            await conn.execute(
                "insert into page_slices (result, first, row_count, body) values (%s, %s, %s, %b)",
                (number, self._kept, len(rows), body),
            )
        self._bytes += size
        self._kept += len(rows)

    async def _open(self) -> tuple[database.Connection, int]:
        # Not before there are rows: until then the statement may take long.
        if self._opened is None:
            with database.translated():
                self._opened = await self._store.begin(self._stack)
        return self._opened


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _pack(rows: Sequence[Row]) -> bytes:
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    return zlib.compress(text.encode("utf-8", "replace"), level=1)


def _unpack(body: bytes) -> list[Row]:
    return [tuple(row) for row in json.loads(zlib.decompress(body))]
