"""Accepted runs over HTTP: resources that can be looked at, followed, cancelled and fetched."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import json
from collections.abc import Sequence

import tornado.iostream

from pgcellar.api import columnar, errors, filling, records
from pgcellar.runner import ledger, rationing, recordings, uploads
from pgcellar.web import base

#: Runs on one page of a list.
MAX_PAGE = 200
_DEFAULT_PAGE = 50
_NDJSON, _SSE = "application/x-ndjson", "text/event-stream"
#: Characters of what an answer gives as `next`, at most.
_CURSOR = 300


class LedgerHandler(base.BaseHandler):
    """A handler over the ledger."""

    scope = "runs"

    def initialize(self, ledger: ledger.Ledger, files: uploads.Uploads) -> None:
        """See the routes in `pgcellar.routing`."""
        self.ledger = ledger
        self.files = files

    @property
    def owner(self) -> str:
        """Whose runs are meant."""
        return self.identity.subject


class Runs(LedgerHandler):
    """`/accepted`: runs that go on by themselves."""

    async def post(self) -> None:
        """Accept a run: 202, or 200 where its Idempotency-Key has named it before."""
        request, deadline = await self.received(self._asked)

        async def admit() -> None:
            await rationing.begin(self.quotas, self.identity)

        run, new = await self.ledger.submit(
            self.owner, request, key=self.key(), deadline=deadline, admit=admit
        )
        self.set_status(202 if new else 200)
        self.set_header("Location", f"{self.request.path.rstrip('/')}/{run.id}")
        self.answer(records.to_json(run))

    def _asked(self) -> tuple[records.RunRequest, float | None]:
        body = filling.request(self.body())
        deadline = body.pop("deadline", None)
        if deadline is not None and type(deadline) not in (int, float):
            raise errors.BadRequest("`deadline` is a number of seconds.")
        return self.files.confined(self.identity, self.record(records.RunRequest, body)), deadline

    async def get(self) -> None:
        """The caller's runs, newest first, by pages."""
        limit = self.whole("limit", _DEFAULT_PAGE, 1, MAX_PAGE)
        after = _unpacked(self.get_query_argument("after", ""))
        runs = await self.ledger.page(self.owner, limit + 1, after)
        more = _packed(runs[limit - 1]) if len(runs) > limit else None
        self.answer({"runs": [records.to_json(run) for run in runs[:limit]], "next": more})


class Run(LedgerHandler):
    """`/accepted/{id}`."""

    async def get(self, run: str) -> None:
        """How a run stands."""
        self.answer(records.to_json(await self.ledger.info(self.owner, run)))


class Cancel(LedgerHandler):
    """`/accepted/{id}/cancel`."""

    async def post(self, run: str) -> None:
        """Cancel a run; how it stands right then."""
        await self.ledger.cancel(self.owner, run)
        self.answer(records.to_json(await self.ledger.info(self.owner, run)))


class Events(LedgerHandler):
    """`/accepted/{id}/events`: as they come, in the form that the Accept header asks for."""

    async def get(self, run: str) -> None:
        """Follow a run from its first event, or from the one after Last-Event-ID."""
        streams = _SSE in self.request.headers.get("Accept", "")
        after = self.request.headers.get("Last-Event-ID") or self.get_query_argument("after", None)
        recordings.position(after)
        await self.ledger.info(self.owner, run)
        self.set_header("Content-Type", _SSE if streams else _NDJSON)
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")
        with contextlib.suppress(tornado.iostream.StreamClosedError):
            async with contextlib.aclosing(self.ledger.follow(self.owner, run, after)) as lines:
                async for line in lines:
                    self.write(_event(line) if streams else _numbered(line))
                    # A slow reader is waited for here; the run is not.
                    await self.flush()


class Result(LedgerHandler):
    """`/accepted/{id}/result`: what a run that is over gave."""

    async def get(self, run: str) -> None:
        """The object that `pgcellar run --json` prints; it never changes."""
        found = await self.ledger.result(self.owner, run)
        self.unchanging()
        self.answer({**found.to_json(), "run": run})


class Table(LedgerHandler):
    """`/accepted/{id}/results/{statement}.{form}`: the rows of one statement of the last head."""

    async def get(self, run: str, statement: str, form: str) -> None:
        """As CSV, Arrow or Parquet. Raises NotFound, or Unsupported."""
        found = await self.ledger.result(self.owner, run)
        results = found.cells[-1].results if found.cells else []
        number = int(statement)
        if number >= len(results) or not results[number].tabular:
            raise errors.NotFound(f"Statement {number} of run {run} gave no rows.")
        columns, rows = results[number].columns, results[number].rows
        if form == "csv":
            media_type = "text/csv; charset=utf-8; header=present"
            body = await asyncio.to_thread(_csv, columns, rows)
        else:
            kind: columnar.Form = "parquet" if form == "parquet" else "arrow"
            media_type = columnar.MEDIA_TYPES[kind]
            body = await asyncio.to_thread(columnar.encode, kind, columns, rows)
        self.unchanging()
        self.set_header("Content-Type", media_type)
        self.set_header("Content-Disposition", f'attachment; filename="{run}-{number}.{form}"')
        self.write(body)


def _csv(columns: Sequence[records.Column], rows: Sequence[Sequence[str | None]]) -> bytes:
    """Null is nothing at all, an empty text is quoted."""
    names = tuple(column.name for column in columns)
    return "".join(",".join(map(_field, row)) + "\r\n" for row in (names, *rows)).encode()


def _field(value: str | None) -> str:
    """A value as PostgreSQL's COPY … CSV writes it."""
    if value is None:
        return ""
    if value == "" or any(character in value for character in ',"\r\n') or value == "\\.":
        return '"' + value.replace('"', '""') + '"'
    return value


def _numbered(line: recordings.Line) -> bytes:
    return b'{"id":"%s",%s' % (line.id.encode(), line.line[1:])


def _event(line: recordings.Line) -> bytes:
    return b"id: %s\ndata: %s\n" % (line.id.encode(), line.line)


def _packed(run: records.RunInfo) -> str:
    return base64.urlsafe_b64encode(json.dumps([run.created, run.id]).encode()).decode()


def _unpacked(cursor: str) -> tuple[str, str] | None:
    if not cursor:
        return None
    try:
        if len(cursor) > _CURSOR:
            raise ValueError
        created, identity = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        datetime.datetime.fromisoformat(created)
    except (ValueError, TypeError, RecursionError) as exc:
        raise errors.BadRequest(
            "`after` is not what an answer gave as `next`.", hint="Leave it out to begin anew."
        ) from exc
    return created, str(identity)
