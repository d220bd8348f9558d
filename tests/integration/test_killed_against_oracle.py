"""The service process is killed at any moment, and heads give what psql gives all the same."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pathlib
import signal
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import hypothesis
import psycopg
import pytest
from hypothesis import strategies as st
from tests import cellar as cellars
from tests import contents, following, generators
from tests.fixtures_service import command_line
from tests.integration import test_equals_oracle as against
from tests.statements import scripts

from pgcellar.api import client, errors, paths, records, rendering
from pgcellar.control import database, embedded
from pgcellar.environments import spawner
from pgcellar.postgres import processes

SECONDS = 0 if "PGCELLAR_EXAMPLES" in os.environ else 600
pytestmark = pytest.mark.timeout(SECONDS)

#: When it is killed: before a head, or so many seconds after the head was asked for. A head takes
#: some hundredths of a second, and 0.3 s later its state is being kept.
BEFORE = -1.0
MOMENTS = (BEFORE, 0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.31, 0.35, 0.4)
NUMBERS = itertools.count()


class Service:
    """A service process that may be killed in the next run; the next one starts by itself."""

    def __init__(self, where: paths.Paths) -> None:
        self._paths = where
        self._last: tuple[Sequence[str], Mapping[str, Any]] = (), {}
        self._failed = False
        #: When to kill it.
        self.moment: float | None = None
        self.kills = 0

    def run(
        self, cells: Sequence[str], head: int | None = None, *, notebook: str = "n", **more: Any
    ) -> cellars.Ran:
        """Run a head, the last cell by default, however often the service is killed by the way."""
        named = tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(cells))
        last = len(cells) - 1 if head is None else head
        request = records.RunRequest(notebook=notebook, cells=named, head=last, **more)
        moment, self.moment = self.moment, None
        if moment is not None:
            asyncio.run(self._killed(request, moment))
        ran = asyncio.run(self._run(request))
        self._last = cells[: last + 1], {"notebook": notebook, **more}
        self._failed = ran.done.error is not None and ran.head.state is None
        return ran

    def fingerprint(
        self, state: str, notebook: str = "n"
    ) -> dict[str, list[str]] | cellars.Locked | None:
        """What the notebook's database holds after the head that ran last; None if that failed."""
        cells, more = self._last
        if self._failed:
            return None
        assert more["notebook"] == notebook
        ran = self.run([*cells, "select pg_catalog.current_database()"], **{**more, "rerun": True})
        if ran.done.error is not None:
            # In a transaction that is aborted.
            assert ran.done.error.sqlstate == "25P02", ran.done.error
            return cellars.LOCKED
        database = ran.results[-1].rows[0][0]
        assert database is not None
        return cellars.look(self._address(ran.done.sandbox, database))

    def forget(self, notebook: str) -> None:
        """Give a notebook's instances back."""
        asyncio.run(self._forget(notebook))

    async def _forget(self, notebook: str) -> None:
        with contextlib.closing(client.Client(self._paths)) as service:
            await service.forget(notebook)

    async def _run(self, request: records.RunRequest) -> cellars.Ran:
        events: list[records.Event] = []
        gathered = rendering.Results()
        with contextlib.closing(client.Client(self._paths)) as service:
            async with contextlib.aclosing(service.run(request)) as coming:
                async for event in coming:
                    events.append(event)
                    gathered.take(event)
        done = events[-1]
        assert isinstance(done, records.Done)
        return cellars.Ran(done=done, results=gathered.results(), events=events)

    async def _killed(self, request: records.RunRequest, moment: float) -> None:
        if moment == BEFORE:
            self._kill()
            return
        running = asyncio.create_task(self._run(request))
        await asyncio.sleep(moment)
        self._kill()
        with contextlib.suppress(errors.ServiceUnavailable):
            await running

    def _kill(self) -> None:
        """Kill the process that holds the lock, if it is there yet."""
        with contextlib.suppress(FileNotFoundError):
            pid = int(self._paths.lock.read_text().splitlines()[0])
            if "pgcellar" in processes.command(pid):
                os.kill(pid, signal.SIGKILL)
                self.kills += 1

    def _address(self, sandbox: records.SandboxInfo, dbname: str) -> contents.Address:
        """Where the sandbox's administrator reaches a database."""
        password = (self._paths.home / "control" / "password").read_text()
        query = "select state ->> 'password' from sandboxes where name = %s"
        with psycopg.connect(
            host=str(self._paths.runtime / "control"),
            user=embedded.SUPERUSER,
            password=password,
            dbname=database.DATABASE,
        ) as connection:
            row = connection.execute(query, (sandbox.name,)).fetchone()
        assert row is not None
        return contents.Address(
            host=str(self._paths.runtime / sandbox.name),
            port=5432,
            user=spawner.ADMIN_ROLE,
            password=row[0],
            dbname=dbname,
        )


@pytest.fixture(scope="module")
def service(cellar_home_module: pathlib.Path) -> Iterator[Service]:
    """A real service process, and whatever comes after it."""
    with command_line(cellar_home_module) as cli, pytest.MonkeyPatch.context() as patch:
        for name in ("PGCELLAR_HOME", "PGCELLAR_RUNTIME"):
            patch.setenv(name, cli.environment[name])
        made = Service(paths.current())
        yield made
    # Not only meant to be.
    assert made.kills > 0


@pytest.fixture(scope="module")
def folder(cellar_home_module: pathlib.Path) -> str:
    """The notebooks' folder, with the files that they read."""
    path = cellar_home_module / "notebooks"
    path.mkdir()
    scripts.write_files(path)
    return str(path)


@hypothesis.settings(
    deadline=None,
    max_examples=int(os.environ.get("PGCELLAR_EXAMPLES", "8")),
    # When exactly it is killed is chance, so that a smaller example may show nothing.
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(
    session=generators.sessions(max_cells=5, max_edits=3),
    kills=st.dictionaries(st.integers(0, 5), st.sampled_from(MOMENTS), min_size=1, max_size=2),
)
def test_heads_of_killed_services_equal_the_oracle(
    service: Service,
    oracle: following.Oracle,
    folder: str,
    session: generators.Session,
    kills: Mapping[int, float],
) -> None:
    """Every cell in turn, then edits; before some of them, or while they run, it is killed."""
    key = f"n{next(NUMBERS)}"
    cells = session.notebook.sources
    steps = [(cells, head) for head in range(len(cells))]
    steps += [(edit.notebook.sources, edit.head) for edit in session.edits if edit.head is not None]
    for number, (sources, head) in enumerate(steps):
        service.moment = kills.get(number)
        hypothesis.note(f"{service.moment}, {head} of {sources}")
        against.check(service, oracle, key, sources, head, folder)
    service.forget(key)
