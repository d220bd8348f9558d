"""The sql-runner's HTTP face."""

from __future__ import annotations

import asyncio
import contextlib
import json

import tornado.iostream

from pgcellar.api import errors, filling, records
from pgcellar.runner import rationing, requests, service, uploads
from pgcellar.web import base

#: An event waits this long for others to leave with; a short run is over by then.
FLUSH_SECONDS = 0.005
FLUSH_BYTES = 64 * 1024


class _RunnerHandler(base.BaseHandler):
    """A handler over the runner."""

    scope = "runs"

    def initialize(self, runner: service.Runner, files: uploads.Uploads) -> None:
        """See the routes in `pgcellar.routing`."""
        self.runner = runner
        self.files = files

    def asked(self) -> records.RunRequest:
        """The run that the body asks for. Raises BadRequest or Forbidden."""
        request = self.files.confined(self.identity, self.record(records.RunRequest))
        requests.check(request)
        return request


class Runs(_RunnerHandler):
    """`POST /runs`: the events of a run, one JSON object a line."""

    _task: asyncio.Task[None] | None = None
    _timer: asyncio.TimerHandle | None = None
    _flushing: asyncio.Future[None] | None = None
    _unsent = 0
    _sent = 0

    async def post(self) -> None:
        """Run a head. A reader who leaves ends the run."""
        request = await self.received(self.asked)
        request = await rationing.admit(self.quotas, self.identity, request)
        self.set_header("Content-Type", "application/x-ndjson")
        self._task = asyncio.create_task(
            self.runner.run(self.identity.subject, request, self._send)
        )
        with contextlib.suppress(asyncio.CancelledError, tornado.iostream.StreamClosedError):
            await self._task
        if self._timer is not None:
            self._timer.cancel()
        await self.quotas.spend(self.identity, "result_bytes", self._sent)

    async def _send(self, event: records.Event) -> None:
        """Queue an event; events that come together leave together, in one write."""
        line = records.encode(event)
        self.write(line)
        self._sent += len(line)
        self._unsent += len(line)
        if self._unsent > FLUSH_BYTES:
            await self._flush_now()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush_soon)

    def _flush_soon(self) -> None:
        self._timer = None
        # Tornado keeps one flush in mind: of two at once the first would be waited for for ever.
        busy = self._flushing is not None and not self._flushing.done()
        if not self._finished and self._task is not None and not self._task.done() and not busy:
            self._unsent = 0
            self._flushing = asyncio.ensure_future(self.flush())
            self._flushing.add_done_callback(_seen)

    async def _flush_now(self) -> None:
        """Waits while the reader is slow, and the run with it."""
        while self._flushing is not None and not self._flushing.done():
            await asyncio.wait([self._flushing])
        if self._unsent:
            self._unsent = 0
            self._flushing = asyncio.ensure_future(self.flush())
            self._flushing.add_done_callback(_seen)
            await asyncio.shield(self._flushing)

    def on_connection_close(self) -> None:
        """Nobody reads any more."""
        if self._task is not None:
            self._task.cancel()


def _seen(flushed: asyncio.Future[None]) -> None:
    """That the reader left is seen elsewhere, too."""
    if not flushed.cancelled():
        flushed.exception()


class Cancel(_RunnerHandler):
    """`POST /runs/{id}/cancel`."""

    async def post(self, run: str) -> None:
        """Cancel a run; answers when the server has been told."""
        await self.runner.cancel(self.identity.subject, run)
        self.answer({})


class Plans(_RunnerHandler):
    """`POST /plans`: what a run would do; with `wake=0` no stopped sandbox is started for it."""

    async def post(self) -> None:
        """Plan a head."""
        request = await self.received(self._planned)
        wakes = self.get_query_argument("wake", "1") != "0"
        plan = await self.runner.plan(self.identity.subject, request, wakes=wakes)
        self.answer(records.to_json(plan))

    def _planned(self) -> records.RunRequest:
        body = filling.request(self.body())
        return self.files.confined(self.identity, self.record(records.RunRequest, body))


class Prepare(_RunnerHandler):
    """`POST /notebooks/prepare`: a cell is being edited."""

    async def post(self) -> None:
        """Prepare for a head; answers when the preparing has begun."""
        request = await self.received(self.asked)
        await self.runner.prepare(self.identity.subject, request)
        self.answer({})


class Pages(_RunnerHandler):
    """`POST /pages`: some rows of a long result."""

    _task: asyncio.Task[records.Page] | None = None

    async def post(self) -> None:
        """Give a page. The first one may take as long as the statement does."""
        request = await self.received(self._wanted)
        request = await rationing.admit(self.quotas, self.identity, request)
        self._task = asyncio.create_task(self.runner.page(self.identity.subject, request))
        try:
            page = await self._task
        except asyncio.CancelledError:
            return
        found = records.to_json(page)
        await self.quotas.spend(self.identity, "result_bytes", len(json.dumps(found)))
        self.answer(found)

    def _wanted(self) -> records.PageRequest:
        request = self.files.confined(self.identity, self.record(records.PageRequest))
        requests.check_page(request)
        return request

    def on_connection_close(self) -> None:
        """Nobody waits for it any more."""
        if self._task is not None:
            self._task.cancel()


class Forget(_RunnerHandler):
    """`POST /notebooks/forget`: a kernel ends."""

    async def post(self) -> None:
        """Give a notebook's instances back."""
        notebook = self.body().get("notebook")
        if not isinstance(notebook, str):
            raise errors.BadRequest("The request names no notebook.")
        await self.runner.forget(self.identity.subject, notebook)
        self.answer({})
