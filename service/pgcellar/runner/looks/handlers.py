"""Looks at states over HTTP. A state never changes: what somebody has is not looked up again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from pgcellar.api import errors, names, records
from pgcellar.runner import uploads
from pgcellar.runner.looks import names as name_looks
from pgcellar.runner.looks import service
from pgcellar.web import base

A = TypeVar("A")

#: Stands in ETags: what is said of a state may become more with a version of pgcellar.
_VERSION = 1


class LookHandler(base.BaseHandler):
    """A handler over looks, which end when nobody waits for them any more."""

    scope = "states"
    _task: asyncio.Future[Any] | None = None
    _etag: str | None = None

    def initialize(self, looks: service.Looks) -> None:
        """See the routes in `pgcellar.routing`."""
        self.looks = looks

    def compute_etag(self) -> str | None:
        """Known before the answer is: Tornado asks when it has one."""
        return self._etag

    def has(self, *states: str) -> bool:
        """Whether who asks has what is said of these states."""
        # Estimates and sizes are no part of a state.
        self._etag = f'W/"{"-".join(states)}-{_VERSION}"'
        self.set_etag_header()
        return self.request.headers.get("If-None-Match") != "*" and self.check_etag_header()

    def keep_nothing(self) -> None:
        """What is answered is not all there is to say."""
        self._etag = None
        self.clear_header("ETag")
        self.set_header("Cache-Control", "no-store")

    async def wait(self, work: Coroutine[Any, Any, A]) -> A:
        """What work comes to, unless who asks has left."""
        self._task = asyncio.ensure_future(work)
        found: A = await self._task
        return found

    def on_connection_close(self) -> None:
        """Nobody waits for it any more."""
        if self._task is not None:
            self._task.cancel()


class State(LookHandler):
    """`GET /states/{id}`."""

    async def get(self, state: str) -> None:
        """The schema of a state."""
        if self.has(state):
            self.set_status(304)
            return
        try:
            found = await self.wait(self.looks.detail(self.identity.subject, state))
        except asyncio.CancelledError:
            return
        self.unchanging()
        self.answer(records.to_json(found))


class Diff(LookHandler):
    """`GET /states/{id}/diff/{id}`."""

    async def get(self, before: str, after: str) -> None:
        """What two states differ in."""
        if self.has(before, after):
            self.set_status(304)
            return
        try:
            found = await self.wait(self.looks.diff(self.identity.subject, before, after))
        except asyncio.CancelledError:
            return
        if found.complete:
            self.unchanging()
        else:
            self.keep_nothing()
        self.answer(records.to_json(found))


class Names(base.BaseHandler):
    """`POST /names`: what a head may name, for completion; a look goes on if nobody waits."""

    scope = "runs"

    def initialize(self, looks: name_looks.NameLooks, files: uploads.Uploads) -> None:
        """See the routes in `pgcellar.routing`."""
        self.looks = looks
        self.files = files

    async def post(self) -> None:
        """The names in the nearest kept state above a head."""
        asked = self.record(names.NamesRequest)
        if not isinstance(asked.run, records.RunRequest) or not isinstance(asked.known, tuple):
            raise errors.BadRequest("`run` must be a run's request, and `known` a list.")
        request = names.NamesRequest(
            run=self.files.confined(self.identity, asked.run), known=asked.known
        )
        found = await self.looks.find(self.identity.subject, request)
        self.answer(records.to_json(found))


class Vocabulary(base.BaseHandler):
    """`GET /vocabulary`: what PostgreSQL itself brings."""

    scope = "states"

    def initialize(self, looks: name_looks.NameLooks) -> None:
        """See the routes in `pgcellar.routing`."""
        self.looks = looks

    async def get(self) -> None:
        """Functions, types, keywords, settings and catalogs of the server."""
        found = await self.looks.vocabulary(self.identity.subject)
        self.answer(records.to_json(found))
