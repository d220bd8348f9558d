"""Accepted runs in the control database: what they ask for, how they stand, what they gave."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import functools
import hashlib
import json
import zlib
from typing import Any

from psycopg.types import json as pg_json

from pgcellar.api import errors, records
from pgcellar.control import database

#: Bytes that take some ms to pack.
_LONG = 256 << 10
_COLUMNS = "id, notebook, head, status, attempt, created, finished, state, error"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """A run as it was asked for. `deadline` is in seconds from when it begins."""

    id: str
    owner: str
    key: str | None
    request: records.RunRequest
    deadline: float | None
    attempt: int = 1

    @property
    def body(self) -> bytes:
        """The request as it is kept."""
        return json.dumps(records.to_json(self.request), sort_keys=True).encode()

    @property
    def digest(self) -> str:
        """What tells two requests with one key apart."""
        text = self.body + json.dumps(self.deadline).encode()
        return hashlib.sha256(text).hexdigest()


class RunStore:
    """The table runs."""

    def __init__(self, db: database.ControlDatabase) -> None:
        self._db = db

    async def add(self, run: Accepted) -> records.RunInfo | None:
        """Take down a run; None, and nothing done, where its owner has used its key before."""
        asked = run.body
        # Others are answered while a long one is packed.
        pack = functools.partial(zlib.compress, asked)
        packed = pack() if len(asked) < _LONG else await asyncio.to_thread(pack)
        rows = await self._db.fetch(
            f"""
            insert into runs (id, owner, key, digest, notebook, head, request, deadline)
            values (%(id)s, %(owner)s, %(key)s, %(digest)s, %(notebook)s, %(head)s, %(request)s,
                    %(deadline)s)
            on conflict (owner, key) do nothing
            returning {_COLUMNS}
            """,
            {
                "id": run.id,
                "owner": run.owner,
                "key": run.key,
                "digest": run.digest,
                "notebook": run.request.notebook,
                "head": run.request.cells[run.request.head].id,
                "request": packed,
                "deadline": run.deadline,
            },
        )
        return _info(rows[0]) if rows else None

    async def by_key(self, owner: str, key: str) -> tuple[records.RunInfo, str] | None:
        """The run that has an owner's key, and the digest of what it asks for."""
        rows = await self._db.fetch(
            f"select {_COLUMNS}, digest from runs where owner = %s and key = %s", (owner, key)
        )
        if not rows:
            return None
        digest = rows[0].pop("digest")
        return _info(rows[0]), digest

    async def find(self, owner: str, identity: str) -> records.RunInfo | None:
        """An owner's run."""
        rows = await self._db.fetch(
            f"select {_COLUMNS} from runs where owner = %s and id = %s", (owner, identity)
        )
        return _info(rows[0]) if rows else None

    async def page(
        self, owner: str, limit: int, after: tuple[str, str] | None
    ) -> list[records.RunInfo]:
        """An owner's runs, newest first; `after` is the time and the id of the last one seen."""
        time, identity = after or ("infinity", "")
        rows = await self._db.fetch(
            f"select {_COLUMNS} from runs where owner = %s and (created, id) < (%s, %s)"
            " order by created desc, id desc limit %s",
            (owner, time, identity, limit),
        )
        return [_info(row) for row in rows]

    async def unfinished(self) -> list[Accepted]:
        """Runs that a service that ended has left, oldest first; each begins another attempt."""
        rows = await self._db.fetch(
            """
            update runs set attempt = attempt + 1 where status = 'queued'
            returning id, owner, key, request, deadline, attempt, created
            """
        )
        rows.sort(key=lambda row: (row.pop("created"), row["id"]))
        return [Accepted(**{**row, "request": _request(row["request"])}) for row in rows]

    async def finish(
        self,
        identity: str,
        status: records.RunStatus,
        *,
        state: str | None,
        error: records.SqlError | None,
        events: bytes,
    ) -> None:
        """A run is over; what it gave, as lines."""
        await self._db.execute(
            """
            update runs set status = %(status)s, finished = now(), state = %(state)s,
                error = %(error)s, events = %(events)s
            where id = %(id)s
            """,
            {
                "id": identity,
                "status": status,
                "state": state,
                "error": None if error is None else pg_json.Jsonb(records.to_json(error)),
                "events": zlib.compress(events, level=1),
            },
        )

    async def events(self, owner: str, identity: str) -> tuple[int, list[bytes]] | None:
        """The attempt and the lines of a run that is over."""
        rows = await self._db.fetch(
            "select attempt, events from runs where owner = %s and id = %s", (owner, identity)
        )
        if not rows or rows[0]["events"] is None:
            return None
        return rows[0]["attempt"], zlib.decompress(rows[0]["events"]).splitlines(keepends=True)

    async def request(self, owner: str, identity: str) -> records.RunRequest:
        """What an owner's run asks for. Raises NotFound."""
        rows = await self._db.fetch(
            "select request from runs where owner = %s and id = %s", (owner, identity)
        )
        if not rows:
            raise errors.NotFound(f"There is no run {identity}.")
        return _request(rows[0]["request"])

    async def forget(self, before: datetime.timedelta) -> int:
        """Drop runs that ended longer ago; how many that were."""
        return await self._db.execute(
            "delete from runs where finished < now() - %s::interval", (before,)
        )

    async def trim(self, most: int, owner: str | None = None) -> int:
        """Drop the oldest runs of an owner, or of each, beyond so many bytes; how many.

        The last one stays, whatever its size.
        """
        return await self._db.execute(
            """
            with sized as (
                select id, owner, created, octet_length(request)
                    + coalesce(octet_length(events), 0) as size
                from runs
                where finished is not null and (%(owner)s::text is null or owner = %(owner)s)
            ), summed as (
                select id, sum(size) over (partition by owner order by created desc, id desc) - size
                    as newer
                from sized
            )
            delete from runs using summed where runs.id = summed.id and newer >= %(most)s
            """,
            {"owner": owner, "most": most},
        )

    async def remove(self, owner: str) -> None:
        """Drop all runs of an owner."""
        await self._db.execute("delete from runs where owner = %s", (owner,))


def _request(body: bytes) -> records.RunRequest:
    return records.from_json(records.RunRequest, json.loads(zlib.decompress(body)))


def _info(row: dict[str, Any]) -> records.RunInfo:
    created, finished, error = row["created"], row["finished"], row["error"]
    return records.RunInfo(
        **{
            **row,
            "created": created.isoformat(),
            "finished": None if finished is None else finished.isoformat(),
            "error": None if error is None else records.from_json(records.SqlError, error),
        }
    )
