"""pgcellar's services in this process, for tests that look behind the API."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal, TypeVar

import psycopg
from tests import contents

from pgcellar import app
from pgcellar.api import paths, records, rendering
from pgcellar.runner import service, workspace

OWNER = "tester"
TIMEOUT = 120.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ran:
    """What a run gave."""

    done: records.Done
    results: list[rendering.Result]
    events: list[records.Event]

    @property
    def head(self) -> records.CellReport:
        """The report on the head."""
        return self.done.cells[-1]

    @property
    def sources(self) -> list[str]:
        """How every cell up to the head was dealt with."""
        return [cell.source for cell in self.done.cells]


Locked = Literal["locked"]
LOCKED: Locked = "locked"
Found = TypeVar("Found")


class Cellar:
    """The services on an event loop of their own, in a thread; a test calls them from outside."""

    def __init__(self, home: pathlib.Path, **settings: Any) -> None:
        self.home = home
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = contextlib.AsyncExitStack()
        self.runner: service.Runner

    def __enter__(self) -> Cellar:
        self._thread.start()
        where = paths.Paths(home=self.home / "home", runtime=self.home / "run")
        self.app = made = app.ServiceApp(where, **self._settings)
        self.runner = self.call(self._stack.enter_async_context(made.services()))
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the services' loop."""
        return self.submit(work).result(TIMEOUT)

    def submit(self, work: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        """Begin a coroutine on the services' loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(
        self, cells: Sequence[str], head: int | None = None, *, notebook: str = "n", **more: Any
    ) -> Ran:
        """Run a head, the last cell by default."""
        return self.start(cells, head, notebook=notebook, **more).result(TIMEOUT)

    def start(
        self, cells: Sequence[str], head: int | None = None, *, notebook: str = "n", **more: Any
    ) -> concurrent.futures.Future[Ran]:
        """Begin to run a head."""
        return self.start_for(OWNER, cells, head, notebook=notebook, **more)

    def start_for(
        self,
        owner: str,
        cells: Sequence[str],
        head: int | None = None,
        *,
        notebook: str = "n",
        **more: Any,
    ) -> concurrent.futures.Future[Ran]:
        """Begin to run a head of somebody's."""
        request = records.RunRequest(
            notebook=notebook,
            cells=tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(cells)),
            head=len(cells) - 1 if head is None else head,
            **more,
        )
        return self.submit(self._run(owner, request))

    async def _run(self, owner: str, request: records.RunRequest) -> Ran:
        events: list[records.Event] = []
        gathered = rendering.Results()

        async def emit(event: records.Event) -> None:
            events.append(event)
            gathered.take(event)

        await self.runner.run(owner, request, emit)
        done = events[-1]
        assert isinstance(done, records.Done)
        return Ran(done=done, results=gathered.results(), events=events)

    def page(self, cells: Sequence[str], *, notebook: str = "n", **more: Any) -> records.Page:
        """A page of what the last cell gives."""
        found: records.Page = self.start_page(cells, notebook=notebook, **more).result(TIMEOUT)
        return found

    def start_page(
        self, cells: Sequence[str], *, notebook: str = "n", **more: Any
    ) -> concurrent.futures.Future[records.Page]:
        """Begin to ask for a page."""
        request = records.PageRequest(
            notebook=notebook,
            cells=tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(cells)),
            head=len(cells) - 1,
            **more,
        )
        return self.submit(self.runner.page(OWNER, request))

    def space(self) -> workspace.Workspace:
        """What the runner holds of the sandbox."""
        found: workspace.Workspace = self.call(self.runner.space(OWNER))
        return found

    def quiet(self, notebook: str = "n") -> None:
        """Wait until the idle work of a notebook is done."""

        async def wait() -> None:
            held = (await self.runner.space(OWNER)).notebook(notebook)
            async with held.lock:
                if held._task is not None:
                    await asyncio.gather(held._task, return_exceptions=True)

        self.call(wait())

    def fingerprint(self, state: str, notebook: str = "n") -> dict[str, list[str]] | Locked | None:
        """What the live instance at a state holds; None if none stands there.

        LOCKED where the notebook's own open transaction keeps others from looking.
        """

        return self._looked(state, notebook, _look)

    def dump(self, state: str, bindir: pathlib.Path, notebook: str = "n") -> str | None:
        """The same, as pg_dump has it."""
        return self._looked(state, notebook, lambda at: contents.canonical_dump(at, bindir))

    def _looked(
        self, state: str, notebook: str, look: Callable[[contents.Address], Found]
    ) -> Found | None:
        async def work() -> Found | None:
            space = await self.runner.space(OWNER)
            held = space.notebook(notebook)
            async with held.lock:
                await held.quiet()
                for instance in held.instances:
                    if instance.mark.state == state:
                        address = await self.address(instance.database)
                        # Under the names that roles have in this state.
                        async with space.switch.using(instance.roles, alone=True):
                            return await asyncio.to_thread(look, address)
            return None

        found: Found | None = self.call(work())
        return found

    async def address(self, database: str) -> contents.Address:
        """Where a database of the sandbox is reached by its administrator."""
        parameters = (await self.sandbox()).endpoint.conninfo(database, admin=True)
        return contents.Address(
            host=parameters["host"],
            port=parameters["port"],
            user=parameters["user"],
            password=parameters["password"],
            dbname=database,
        )

    async def sandbox(self) -> Any:
        """The owner's sandbox."""
        return (await self.runner._workspace(OWNER, service._silent))[0]

    def kill_sandbox(self) -> None:
        """Kill the sandbox's server with SIGKILL, and see it dead."""
        sandbox = self.call(self.sandbox())
        pid = int((pathlib.Path(sandbox.endpoint.data) / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        while sandbox.alive():
            time.sleep(0.005)


def _look(address: contents.Address) -> dict[str, list[str]] | Locked:
    with address.connect() as connection:
        connection.execute("set lock_timeout = '300ms'")
        try:
            return contents.fingerprint(connection)
        except psycopg.errors.LockNotAvailable:
            return LOCKED
