"""The tables of the audit log. It is written as a role that may insert and read, no more."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from pgcellar.api import errors
from pgcellar.audit import chain
from pgcellar.control import database

#: The advisory lock of whoever adds to the chain: "pgaudit" in ASCII.
LOCK = int.from_bytes(b"pgaudit")
_COLUMNS = (
    "day, seq, id, at, subject, name, kind, action, target, outcome, address, token, details,"
    " resources, previous, hash"
)
#: The lock comes in a statement of its own: the next one then sees what its last holder wrote.
_BEGIN: LiteralString = f"""
    begin;
    set local role pgcellar_audit_writer;
    select pg_advisory_xact_lock({LOCK});
    select (clock_timestamp() at time zone 'UTC')::date as today,
        record.day, record.seq, record.hash, closing.day as closed, closing.hash as closing
    from (select) as one
    left join lateral (
        select day, seq, hash from audit.records order by day desc, seq desc limit 1
    ) as record on true
    left join lateral (
        select day, hash from audit.closings order by day desc limit 1
    ) as closing on true
"""
_WRITE = """
    insert into audit.closings select * from json_populate_recordset(null::audit.closings, %s);
    insert into audit.records select * from json_populate_recordset(null::audit.records, %s);
    commit
"""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """Which records. Action and target are whole, or end with `*`."""

    subject: str | None = None
    action: str | None = None
    target: str | None = None
    outcome: str | None = None
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A record's place, and its hash."""

    day: datetime.date
    seq: int
    hash: bytes


class AuditStore:
    """The schema `audit`."""

    def __init__(self, db: database.ControlDatabase) -> None:
        self._db = db

    async def append(
        self,
        entries: Sequence[chain.Entry],
        *,
        again: bool = False,
        today: datetime.date | None = None,
    ) -> Place | None:
        """Add entries to the chain, all or none; the place of the last, None if there was nothing.

        With `again`, those that are there already are left out. `today` is the database's, if not
        given. Raises ServiceUnavailable; what was to be added may then be there, or not.
        """
        try:
            # Not `conn.transaction()`: two messages to the server and back, no more. A connection
            # that is given back within a transaction is closed.
            async with self._db.connection() as conn, conn.cursor() as cursor:
                return await _append(conn, cursor, entries, again, today)
        except psycopg.Error as exc:
            raise errors.ServiceUnavailable(f"The audit log can't be used: {exc}") from exc

    async def find(
        self,
        filters: Filters,
        *,
        limit: int,
        after: tuple[datetime.date, int] | None = None,
        newest_first: bool = True,
    ) -> list[chain.Record]:
        """The records that fit, beginning behind the place `after`."""
        query, params = _query(filters, limit, after, newest_first)
        async with self._as("pgcellar_audit_writer") as conn:
            rows = await (await conn.execute(query, params)).fetchall()
        return [_record(row) for row in rows]

    async def page(
        self,
        filters: Filters,
        *,
        limit: int,
        max_bytes: int,
        after: tuple[datetime.date, int] | None = None,
        newest_first: bool = True,
    ) -> tuple[list[chain.Record], bool]:
        """The same, up to the one whose details make it `max_bytes`; and whether more may fit."""
        query, params = _query(filters, limit, after, newest_first)
        paged = sql.SQL(
            """
            select {columns}, fit from (
                select found.*, count(*) over () as fit,
                    sum(octet_length(details::text)) over (order by {order})
                        - octet_length(details::text) as before
                from ({query}) as found
            ) as sized where before < %(max_bytes)s order by {order}
            """
        ).format(columns=sql.SQL(_COLUMNS), order=_order(newest_first), query=query)
        async with self._as("pgcellar_audit_writer") as conn:
            cursor = await conn.execute(paged, {**params, "max_bytes": max_bytes})
            rows = await cursor.fetchall()
        fit = rows[0]["fit"] if rows else 0
        return [_record(row) for row in rows], fit == limit or len(rows) < fit

    async def links(self, day: datetime.date) -> list[tuple[int, bytes, bytes]]:
        """Number, hash before, and hash of every record of a day, in order."""
        async with self._as("pgcellar_audit_writer") as conn:
            cursor = await conn.execute(
                "select seq, previous, hash from audit.records where day = %s order by seq", (day,)
            )
            return [(r["seq"], r["previous"], r["hash"]) for r in await cursor.fetchall()]

    async def closings(self) -> list[chain.Closing]:
        """The closed days, in order."""
        async with self._as("pgcellar_audit_writer") as conn:
            cursor = await conn.execute(
                "select day, records, opening, last, hash from audit.closings order by day"
            )
            return [chain.Closing(**row) for row in await cursor.fetchall()]

    async def days(self) -> tuple[list[datetime.date], set[datetime.date]]:
        """The days that have records, in order, and those whose records were given up."""
        async with self._as("pgcellar_audit_writer") as conn:
            # As a loose scan: a day may have a million records.
            held = await conn.execute(
                """
                with recursive held(day) as (
                    (select min(day) from audit.records)
                    union all
                    select (select min(day) from audit.records where day > held.day)
                    from held where held.day is not null
                )
                select day from held where day is not null order by day
                """
            )
            days = [row["day"] for row in await held.fetchall()]
            gone = await conn.execute("select day from audit.expirations")
            return days, {row["day"] for row in await gone.fetchall()}

    async def expire(self, before: datetime.date) -> list[tuple[datetime.date, int]]:
        """Give up the records of closed days before a date; the days, and how many each had."""
        async with self._as("pgcellar_audit_keeper") as conn:
            cursor = await conn.execute("select * from audit.expire(%s)", (before,))
            return [(row["expired"], row["removed"]) for row in await cursor.fetchall()]

    @contextlib.asynccontextmanager
    async def _as(self, role: LiteralString) -> AsyncIterator[database.Connection]:
        """A transaction under a role. What goes wrong in it is a ServiceUnavailable."""
        begin: LiteralString = f"set local role {role}"
        try:
            async with self._db.connection() as conn, conn.transaction():
                await conn.execute(begin)
                yield conn
        except psycopg.Error as exc:
            raise errors.ServiceUnavailable(f"The audit log can't be used: {exc}") from exc


async def _append(
    conn: database.Connection,
    cursor: psycopg.AsyncCursor[dict[str, Any]],
    entries: Sequence[chain.Entry],
    again: bool,
    today: datetime.date | None,
) -> Place | None:
    # Several statements can't be prepared.
    await cursor.execute(_BEGIN, prepare=False)
    while cursor.nextset():
        pass
    (found,) = await cursor.fetchall()
    if again:
        entries = await _missing(conn, entries)
    if not entries:
        await conn.execute("commit")
        return None
    day, seq, previous, closing = _continue(found, today)
    rows = []
    for entry in entries:
        seq += 1
        digest = chain.link(previous, entry)
        rows.append(_row(day, seq, entry, previous, digest))
        previous = digest
    closings = [] if closing is None else [_closing_row(closing)]
    async with psycopg.AsyncClientCursor(conn) as writer:
        await writer.execute(_WRITE, (json.dumps(closings), json.dumps(rows)))
    return Place(day=day, seq=seq, hash=previous)


async def _missing(
    conn: database.Connection, entries: Sequence[chain.Entry]
) -> Sequence[chain.Entry]:
    cursor = await conn.execute(
        "select id::text from audit.records where id = any(%s::uuid[])",
        ([entry.id for entry in entries],),
    )
    there = {row["id"] for row in await cursor.fetchall()}
    return [entry for entry in entries if entry.id not in there]


def _continue(
    found: dict[str, Any], today: datetime.date | None
) -> tuple[datetime.date, int, bytes, chain.Closing | None]:
    """The day to write on, the last number in it, the hash to go on from, and what is closed."""
    now: datetime.date = today or found["today"]
    day, closed = found["day"], found["closed"]
    opening: bytes = chain.GENESIS if closed is None else found["closing"]
    if day is None or (closed is not None and day <= closed):
        # A clock that was set back does not write on a closed day.
        after = now if closed is None else closed + datetime.timedelta(days=1)
        return max(now, after), 0, opening, None
    if day >= now:
        return day, found["seq"], found["hash"], None
    closing = chain.close(day, found["seq"], opening, found["hash"])
    return now, 0, closing.hash, closing


def _row(
    day: datetime.date, seq: int, entry: chain.Entry, previous: bytes, digest: bytes
) -> dict[str, Any]:
    body = {name: getattr(entry, name) for name in chain.Entry.__slots__}
    body.update(
        day=day.isoformat(),
        seq=seq,
        at=entry.at.isoformat(),
        previous=f"\\x{previous.hex()}",
        hash=f"\\x{digest.hex()}",
    )
    return body


def _closing_row(closing: chain.Closing) -> dict[str, Any]:
    return {
        "day": closing.day.isoformat(),
        "records": closing.records,
        "opening": f"\\x{closing.opening.hex()}",
        "last": f"\\x{closing.last.hex()}",
        "hash": f"\\x{closing.hash.hex()}",
    }


def _record(row: dict[str, Any]) -> chain.Record:
    row["id"] = str(row["id"])
    entry = chain.Entry(**{name: row[name] for name in chain.Entry.__slots__})
    return chain.Record(
        day=row["day"], seq=row["seq"], entry=entry, previous=row["previous"], hash=row["hash"]
    )


def _query(
    filters: Filters, limit: int, after: tuple[datetime.date, int] | None, newest_first: bool
) -> tuple[sql.Composed, dict[str, Any]]:
    """The records that fit behind a place, and the parameters."""
    conditions, params = _conditions(filters)
    if after is not None:
        sign = sql.SQL("<" if newest_first else ">")
        conditions.append(sql.SQL("(day, seq) {} (%(day)s, %(seq)s)").format(sign))
        params.update(day=after[0], seq=after[1])
    where = sql.SQL("where {}").format(sql.SQL(" and ").join(conditions))
    query = sql.SQL("select {} from audit.records {} order by {} limit %(limit)s").format(
        sql.SQL(_COLUMNS), where if conditions else sql.SQL(""), _order(newest_first)
    )
    return query, {**params, "limit": limit}


def _order(newest_first: bool) -> sql.SQL:
    return sql.SQL("day desc, seq desc" if newest_first else "day, seq")


def _conditions(filters: Filters) -> tuple[list[sql.Composable], dict[str, Any]]:
    out: list[sql.Composable] = []
    params: dict[str, Any] = {}
    for name in ("subject", "action", "target", "outcome"):
        value = getattr(filters, name)
        if value is None:
            continue
        prefix = name in ("action", "target") and value.endswith("*")
        params[name] = value[:-1] if prefix else value
        form = "starts_with({}, {})" if prefix else "{} = {}"
        out.append(sql.SQL(form).format(sql.Identifier(name), sql.Placeholder(name)))
    if filters.since is not None:
        params["since"] = filters.since
        out.append(sql.SQL("at >= %(since)s"))
    if filters.until is not None:
        params["until"] = filters.until
        out.append(sql.SQL("at < %(until)s"))
    return out, params
