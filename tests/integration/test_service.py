"""The service process: started by whoever comes first, killed at any moment, gone when idle."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import os
import pathlib
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from tests.fixtures_service import CommandLine

from pgcellar.api import client, errors, launcher, paths, records

CELLS = ["create table t (a int)", "insert into t select generate_series(1, 5)"]
COUNT = "select count(*) from t"


def where(cli: CommandLine) -> paths.Paths:
    """The paths of a test's service."""
    digest = subprocess.run(
        [sys.executable, "-c", "from pgcellar.api import paths; print(paths.current().runtime)"],
        env=cli.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    return paths.Paths(home=cli.home / "home", runtime=pathlib.Path(digest))


def request(*cells: str) -> records.RunRequest:
    """A run of the last of these cells."""
    return records.RunRequest(
        notebook="n",
        cells=tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(cells)),
        head=len(cells) - 1,
    )


async def run(service: client.Client, *cells: str) -> tuple[records.Done, list[records.Rows]]:
    """Run the last cell."""
    rows = []
    async with contextlib.aclosing(service.run(request(*cells))) as events:
        async for event in events:
            if isinstance(event, records.Rows):
                rows.append(event)
            if isinstance(event, records.Done):
                return event, rows
    raise AssertionError("no Done")


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def postmasters(cli: CommandLine) -> list[int]:
    """The sandboxes' servers of a test's service."""
    found = (cli.home / "home" / "sandboxes").glob("*/data/postmaster.pid")
    out = []
    for path in found:
        with contextlib.suppress(OSError, ValueError):
            pid = int(path.read_text().split()[0])
            os.kill(pid, 0)
            out.append(pid)
    return out


async def test_eight_clients_start_one_service(fresh_cli: CommandLine) -> None:
    """Whoever comes first; nobody comes too late."""
    place = where(fresh_cli)
    await asyncio.gather(*(launcher.start(place) for _ in range(8)))
    with contextlib.closing(client.Client(place)) as service:
        statuses = await asyncio.gather(*(service.status() for _ in range(4)))
    assert len({status["pid"] for status in statuses}) == 1
    folder, socket = os.stat(place.socket.parent), os.stat(place.socket)
    assert stat.S_IMODE(folder.st_mode) & 0o077 == 0
    assert stat.S_IMODE(socket.st_mode) == 0o600
    assert folder.st_uid == os.getuid()


async def test_a_folder_of_somebody_else_is_refused(fresh_cli: CommandLine) -> None:
    """Nobody talks to a socket another user put there."""
    place = where(fresh_cli)
    place.socket.parent.mkdir(parents=True)
    place.socket.parent.chmod(0o777)
    with pytest.raises(errors.ServiceUnavailable, match="not this user's own"):
        await launcher.start(place)
    place.socket.parent.chmod(0o700)


async def test_no_second_process_while_one_is_ending(
    fresh_cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would come up when nobody wants it any more."""
    place = where(fresh_cli)
    paths.make_home(place)
    monkeypatch.setattr(launcher, "START_TIMEOUT", 0.5)
    with place.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(errors.ServiceUnavailable, match="did not answer"):
            await launcher.start(place)
    assert not place.log.exists()


def test_a_home_has_one_service(fresh_cli: CommandLine, tmp_path: pathlib.Path) -> None:
    """Whatever the environment: a desktop's session has another runtime folder than su's."""
    (usual := tmp_path / "run").mkdir(mode=0o700)
    bare = {name: text for name, text in fresh_cli.environment.items() if "RUNTIME" not in name}
    desktop = dataclasses.replace(fresh_cli, environment={**bare, "XDG_RUNTIME_DIR": str(usual)})
    first = fresh_cli.json("service", "start")
    assert desktop.json("service", "status")["pid"] == first["pid"]
    assert desktop.run([*CELLS, COUNT])["cells"][2]["results"][0]["rows"] == [["5"]]
    other = fresh_cli("service", "start", PGCELLAR_RUNTIME=str(usual))
    assert other.returncode == 2
    assert "listens at" in other.stderr
    assert f"PGCELLAR_RUNTIME={fresh_cli.home / 'run'}" in other.stderr
    assert fresh_cli.json("service", "status")["pid"] == first["pid"]


def test_a_service_whose_socket_is_gone_ends(fresh_cli: CommandLine) -> None:
    """And the next one starts in its place; what was not kept yet is replayed."""
    first = fresh_cli.json("service", "start")
    fresh_cli.run(CELLS)
    where(fresh_cli).socket.unlink()
    again = fresh_cli.run([*CELLS, COUNT], "--head", "3")
    assert again["cells"][2]["results"][0]["rows"] == [["5"]]
    assert fresh_cli.json("service", "status")["pid"] != first["pid"]


@pytest.mark.parametrize("moment", ["idle", "running", "keeping"])
async def test_a_killed_service_is_survived(fresh_cli: CommandLine, moment: str) -> None:
    """The next run starts another, and nothing of the old one is left."""
    place = where(fresh_cli)
    with contextlib.closing(client.Client(place)) as service:
        await run(service, *CELLS)
        pid = (await service.status())["pid"]
        if moment == "running":
            sleeping = asyncio.create_task(run(service, *CELLS, "select pg_sleep(60)"))
            await asyncio.sleep(0.5)
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(errors.ServiceUnavailable):
                await sleeping
        else:
            await asyncio.sleep(0.0 if moment == "idle" else 0.31)
            os.kill(pid, signal.SIGKILL)
        done, rows = await run(service, *CELLS, COUNT)
        assert done.error is None
        assert rows[0].rows == (("5",),)
        assert (await service.gc())["strays_dropped"] == 0
    until(lambda: len(postmasters(fresh_cli)) <= 2)


async def test_a_killed_sandbox_is_reported_and_healed(fresh_cli: CommandLine) -> None:
    """Reported on the run it hit, healed by the next; one killed idle is not even noticed."""
    with contextlib.closing(client.Client(where(fresh_cli))) as service:
        await run(service, *CELLS)
        for pid in postmasters(fresh_cli):
            os.kill(pid, signal.SIGKILL)
        # Its sessions end a moment after it.
        await asyncio.sleep(0.3)
        done, rows = await run(service, *CELLS, COUNT)
        assert rows[0].rows == (("5",),), done
        sleeping = asyncio.create_task(run(service, *CELLS, "select pg_sleep(60)"))
        await asyncio.sleep(0.5)
        for pid in postmasters(fresh_cli):
            os.kill(pid, signal.SIGKILL)
        done, _ = await sleeping
        assert done.error is not None
        assert "ended while the cell ran" in done.error.message
        done, rows = await run(service, *CELLS, COUNT)
        assert (done.error, rows[0].rows) == (None, (("5",),))


async def test_a_killed_control_database_is_survived(fresh_cli: CommandLine) -> None:
    """Runs go on, and states are kept again."""
    with contextlib.closing(client.Client(where(fresh_cli))) as service:
        await run(service, *CELLS)
        (pidfile,) = (fresh_cli.home / "home" / "control").glob("*/postmaster.pid")
        os.kill(int(pidfile.read_text().split()[0]), signal.SIGKILL)
        done, rows = await run(service, *CELLS, COUNT)
        assert (done.error, rows[0].rows) == (None, (("5",),))
        await asyncio.sleep(1.5)
        done, _ = await run(service, *CELLS, COUNT)
        assert done.error is None
        assert len(await service.states()) >= 1


async def test_a_reader_who_leaves_ends_the_run(fresh_cli: CommandLine) -> None:
    """The next run need not wait for a minute's sleep."""
    with contextlib.closing(client.Client(where(fresh_cli))) as service:
        await run(service, "select 1")
        async with contextlib.aclosing(service.run(request("select pg_sleep(60)"))) as events:
            async for _ in events:
                break
        begin = time.monotonic()
        done, _ = await run(service, "select 2")
        assert done.error is None
        assert time.monotonic() - begin < 20


async def test_cancelling_reaches_postgresql(fresh_cli: CommandLine) -> None:
    """And the run says so."""
    with contextlib.closing(client.Client(where(fresh_cli))) as service:
        await run(service, "select 1")
        cancelled = 0.0
        async with contextlib.aclosing(service.run(request("select pg_sleep(60)"))) as events:
            async for event in events:
                if isinstance(event, records.Started):
                    await asyncio.sleep(0.3)
                    cancelled = time.monotonic()
                    await service.cancel(event.run)
                if isinstance(event, records.Done):
                    assert event.error is not None
                    assert event.error.sqlstate == "57014"
        assert time.monotonic() - cancelled < 5


@pytest.mark.parametrize(
    "cell",
    [
        "select g, case when g > 1000 then pg_sleep(600) end from generate_series(1, 2000) g",
        "select 1, null; select pg_sleep(600)",
    ],
)
async def test_rows_come_while_the_cell_runs(cli: CommandLine, cell: str) -> None:
    """What is shown first is there before the rest is; only then it is cancelled."""
    rows, done = [], None
    with contextlib.closing(client.Client(where(cli))) as service:
        async with contextlib.aclosing(service.run(request(cell))) as events:
            async for event in events:
                if isinstance(event, records.Started):
                    run = event.run
                if isinstance(event, records.Rows):
                    rows += event.rows
                    await service.cancel(run)
                if isinstance(event, records.Done):
                    done = event
    assert rows[0] == ("1", None)
    assert done is not None
    assert done.error is not None
    assert done.error.sqlstate == "57014"


def test_an_idle_service_ends_and_its_sandbox_before_it(fresh_cli: CommandLine) -> None:
    """By configuration; states are there for the next."""
    home = fresh_cli.home / "home"
    home.mkdir()
    (home / "pgcellar_config.py").write_text(
        "c.ServiceApp.idle_timeout = 8\nc.ServiceApp.sandbox_idle_timeout = 1\n"
        "c.ServiceApp.spares = 0\n"
    )
    cells = [*CELLS, "insert into t select generate_series(1, 200000)"]
    fresh_cli.run(cells)
    until(lambda: not postmasters(fresh_cli))
    assert fresh_cli.json("service", "status")["status"] == "running"
    again = fresh_cli.run([*cells, COUNT], "--head", "4")
    assert again["cells"][3]["results"][0]["rows"] == [["200005"]]
    assert again["totals"]["replayed"] == 0
    until(lambda: not where(fresh_cli).socket.exists(), seconds=40)


def test_a_spare_sandbox_waits(fresh_cli: CommandLine) -> None:
    """For whoever crashes next."""
    fresh_cli.run(["select 1"])
    until(lambda: len(postmasters(fresh_cli)) == 2)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can ask as another user")
def test_another_user_is_refused(fresh_cli: CommandLine) -> None:
    """By the folder's permissions."""
    fresh_cli.run(["select 1"])
    socket = where(fresh_cli).socket
    asked = subprocess.run(
        [sys.executable, "-c", f"import os, socket; os.setuid(65534); "
         f"socket.socket(socket.AF_UNIX).connect({str(socket)!r})"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "PermissionError" in asked.stderr


@pytest.mark.parametrize("slow", [0.0, 0.05])
async def test_a_large_result_comes_whole(fresh_cli: CommandLine, slow: float) -> None:
    """However it is cut, and however slow its reader is."""
    service = client.Client(where(fresh_cli))
    try:
        for text in (
            "select repeat('x', 3000000)",
            "select repeat('x', 1000) as a, i from generate_series(1, 3000) i",
            "do $$ begin for i in 1..200 loop raise notice '%', repeat('x', 9000);"
            " if i % 50 = 0 then perform pg_sleep(0.02); end if; end loop; end $$",
        ):
            size = 0
            async with (
                asyncio.timeout(30),
                contextlib.aclosing(
                    service.run(dataclasses.replace(request(text), max_rows=5000))
                ) as events,
            ):
                async for event in events:
                    await asyncio.sleep(slow if size < 1 << 20 else 0.0)
                    size += len(str(event))
            assert size > 1_500_000
    finally:
        service.close()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"notebook": "n", "cells": [{"id": 5, "source": 5}], "head": 0}',
        b'{"notebook": "n", "cells": [{"id": "a", "source": null}], "head": 0}',
        b'{"notebook": "n", "cells": [{"id": "a", "source": "select 1"}], "head": "0"}',
        b'{"notebook": {"a": 1}, "cells": [{"id": "a", "source": "select 1"}], "head": 0}',
        b'{"notebook": "n", "cells": 5, "head": 0}',
        b'{"notebook": "n", "cells": [{"id": "a", "source": "x"}], "head": 0, "max_rows": null}',
        b'{"notebook": "n", "cells": [{"id": "a", "source": "x"}], "head": 0, "reroll": 5}',
        b'{"notebook": "n", "cells": [{"id": "a", "source": "x"}], "head": 0, "parameters": [1]}',
        b'{"notebook": "n", "cells": [{"id": "a", "source": "x"}], "head": 0,'
        b' "parameters": {"a": "\\ud800"}}',
    ],
)
async def test_a_request_that_is_none(cli: CommandLine, body: bytes) -> None:
    """Is answered as one, without a traceback."""
    cli.run(["select 1"])
    reader, writer = await asyncio.open_unix_connection(str(where(cli).socket))
    head = f"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    async with asyncio.timeout(20):
        status = await reader.readline()
    writer.close()
    assert b" 400 " in status, status
