"""The audit log's HTTP face: one's own records, and everybody's for an administrator."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import json
import pathlib

from pgcellar.api import auditing, errors
from pgcellar.audit import anchor, exporting, reading, store, verifying
from pgcellar.web import authentication, base

_DEFAULT = 100
_TEXTS = ("subject", "action", "target", "outcome")


class _AuditHandler(base.BaseHandler):
    """A handler over the audit log."""

    scope = "audit"

    def initialize(
        self, records: reading.Reading, noted: pathlib.Path, log: auditing.AuditLog
    ) -> None:
        """See the routes in `pgcellar.observing`. `noted` is the anchor's file."""
        self.reading = records
        self.noted = noted
        self.log = log

    def filters(self) -> store.Filters:
        """What is asked for, within what may be seen. Raises BadRequest or Forbidden."""
        texts = {name: self.get_query_argument(name, None) for name in _TEXTS}
        if not self.identity.administers:
            if texts["subject"] not in (None, self.identity.subject):
                raise errors.Forbidden("Only an administrator may read others' audit records.")
            texts["subject"] = self.identity.subject
        return store.Filters(**texts, since=self._time("since"), until=self._time("until"))

    def _time(self, name: str) -> datetime.datetime | None:
        text = self.get_query_argument(name, None)
        if text is None:
            return None
        try:
            found = datetime.datetime.fromisoformat(text)
        except ValueError:
            raise errors.BadRequest(f"`{name}` is a time in ISO 8601.") from None
        return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)

    def _day(self, name: str) -> datetime.date | None:
        text = self.get_query_argument(name, None)
        try:
            return None if text is None else datetime.date.fromisoformat(text)
        except ValueError:
            raise errors.BadRequest(f"`{name}` is a date, as 2026-11-23.") from None


class Records(_AuditHandler):
    """`GET /audit`: records, newest first."""

    async def get(self) -> None:
        """A page of at most `limit`; `next`, given as `after`, leads to the next one."""
        text = self.get_query_argument("limit", str(_DEFAULT))
        if not (text.isascii() and text.isdecimal() and 1 <= len(text) <= 4):
            raise errors.BadRequest("`limit` is a whole number.")
        limit = int(text)
        if not 1 <= limit <= reading.MOST:
            raise errors.BadRequest(f"`limit` is from 1 to {reading.MOST}.")
        filters, after = self.filters(), self._after()
        with self.reading.place(self.identity.subject):
            page = await self.reading.page(filters, limit=limit, after=after)
            last = None if page.next is None else f"{page.next[0].isoformat()}.{page.next[1]}"
            self.answer({"records": page.records, "next": last})

    def _after(self) -> tuple[datetime.date, int] | None:
        text = self.get_query_argument("after", None)
        if text is None:
            return None
        day, _, seq = text.partition(".")
        try:
            if not (seq.isascii() and seq.isdecimal() and len(seq) < 19):
                raise ValueError
            return datetime.date.fromisoformat(day), int(seq)
        except ValueError:
            raise errors.BadRequest("`after` is what an answer gave as `next`.") from None


class Export(_AuditHandler):
    """`GET /audit/export`: all records that fit, oldest first, as NDJSON or CSV."""

    async def get(self) -> None:
        """Send them as they are read."""
        filters = self.filters()
        form = self.get_query_argument("format", "ndjson")
        if form not in ("ndjson", "csv"):
            raise errors.BadRequest("`format` is ndjson or csv.")
        if filters.subject != self.identity.subject:
            await self._write_down(filters)
        kind = "text/csv; charset=utf-8" if form == "csv" else "application/x-ndjson"
        with self.reading.place(self.identity.subject):
            self.set_header("Content-Type", kind)
            self.set_header("Content-Disposition", f'attachment; filename="audit.{form}"')
            if form == "csv":
                self.write(exporting.header())
            write = exporting.as_csv if form == "csv" else exporting.ndjson
            after: tuple[datetime.date, int] | None = None
            while True:
                page = await self.reading.page(filters, after=after, newest_first=False)
                self.write(await asyncio.to_thread(write, page.records))
                # A slow reader is waited for, before more is read.
                await self.flush()
                if page.next is None:
                    break
                after = page.next

    async def _write_down(self, filters: store.Filters) -> None:
        """Who takes others' records away is in them."""
        who = self.identity
        given = {name: getattr(filters, name) for name in _TEXTS}
        await self.log.write(
            auditing.Act(
                subject=who.subject,
                name=who.name,
                kind=who.kind,
                action="audit.export",
                target=filters.subject or "all",
                outcome="done",
                address=authentication.address(self.request),
                token=who.token,
                details={name: value for name, value in given.items() if value is not None},
            )
        )


class Verify(_AuditHandler):
    """`GET /audit/verify`: whether the chain holds, and where it does not."""

    async def get(self) -> None:
        """Look at all days, or those from `from` to `to`."""
        if not self.identity.administers:
            raise errors.Forbidden("Only an administrator may verify the audit log.")
        verdict = await verifying.verify(
            self.reading.records,
            since=self._day("from"),
            until=self._day("to"),
            anchor=anchor.read(self.noted),
        )
        body = dataclasses.asdict(verdict)
        self.answer({"ok": not verdict.findings, **json.loads(json.dumps(body))})
