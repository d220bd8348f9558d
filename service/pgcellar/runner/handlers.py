"""The sql-runner's HTTP face."""

from __future__ import annotations

import asyncio
import contextlib

import tornado.iostream

from pgcellar.api import errors, records
from pgcellar.runner import service
from pgcellar.web import base


class _RunnerHandler(base.BaseHandler):
    """A handler over the runner, for one owner."""

    def initialize(self, runner: service.Runner, owner: str) -> None:
        """See the routes in `pgcellar.app`."""
        self.runner = runner
        self.owner = owner


class Runs(_RunnerHandler):
    """`POST /runs`: the events of a run, one JSON object a line."""

    _task: asyncio.Task[None] | None = None

    async def post(self) -> None:
        """Run a head. A reader who leaves ends the run."""
        request = self.record(records.RunRequest)
        service.check(request)
        self.set_header("Content-Type", "application/x-ndjson")
        self._task = asyncio.create_task(self.runner.run(self.owner, request, self._send))
        with contextlib.suppress(asyncio.CancelledError, tornado.iostream.StreamClosedError):
            await self._task

    async def _send(self, event: records.Event) -> None:
        self.write(records.encode(event))
        await self.flush()

    def on_connection_close(self) -> None:
        """Nobody reads any more."""
        if self._task is not None:
            self._task.cancel()


class Cancel(_RunnerHandler):
    """`POST /runs/{id}/cancel`."""

    async def post(self, run: str) -> None:
        """Cancel a run; answers when the server has been told."""
        await self.runner.cancel(run)
        self.answer({})


class Plans(_RunnerHandler):
    """`POST /plans`: what a run would do."""

    async def post(self) -> None:
        """Plan a head."""
        request = self.record(records.RunRequest)
        self.answer(records.to_json(await self.runner.plan(self.owner, request)))


class Forget(_RunnerHandler):
    """`POST /notebooks/forget`: a kernel ends."""

    async def post(self) -> None:
        """Give a notebook's instances back."""
        notebook = self.body().get("notebook")
        if not isinstance(notebook, str):
            raise errors.BadRequest("The request names no notebook.")
        await self.runner.forget(self.owner, notebook)
        self.answer({})
