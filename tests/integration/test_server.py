"""pgcellar.postgres.server, with real servers: one life of each, and the ways it may end."""

from __future__ import annotations

import asyncio
import ctypes
import dataclasses
import os
import pathlib
import pwd
import signal
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest

from pgcellar.api import errors
from pgcellar.postgres import account, binaries, folders, memory, postmaster, processes, server

SUPERUSER = "boss"
PASSWORD = "it's \\ secret"
HBA = "local all all scram-sha-256\n"
SETTINGS = {"shared_buffers": "16MB", "fsync": "off"}
LINUX = pytest.mark.skipif(not processes.PROC.is_dir(), reason="needs /proc")
#: The oldest release tested with, where it is installed.
OLD = pathlib.Path("/usr/lib/postgresql/15/bin")

Make = Callable[..., server.Server]


@pytest.fixture(scope="module")
def installation() -> Iterator[binaries.Binaries]:
    """The programs, where the account can run them."""
    with tempfile.TemporaryDirectory(prefix="cellar-", dir="/tmp") as folder:
        home = pathlib.Path(folder)
        home.chmod(0o711)
        yield account.readable(binaries.find(), account.current(), home)


@pytest.fixture
async def make(installation: binaries.Binaries, cellar_home: pathlib.Path) -> AsyncIterator[Make]:
    """Makes Server objects; what they started is ended with the test."""
    made: list[server.Server] = []

    def make(name: str = "one", **changes: object) -> server.Server:
        keywords: dict[str, object] = {
            "binaries": installation,
            "data": cellar_home / name / "data",
            "sockets": cellar_home / "run" / name,
            "settings": SETTINGS,
            "account": account.current(),
            "superuser": SUPERUSER,
        }
        made.append(server.Server(**{**keywords, **changes}))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        await each.kill()


async def ask(one: server.Server, query: str) -> object:
    """The first value of a query's first row."""
    conninfo = one.conninfo("postgres", SUPERUSER, PASSWORD)
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as conn:
        row = await (await conn.execute(query.encode())).fetchone()
        assert row is not None
        return row[0]


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the condition is another process's
            await asyncio.sleep(0.002)


async def started(one: server.Server) -> server.Server:
    """Initialise and start it."""
    await one.initialise(password=PASSWORD, hba=HBA)
    await one.start()
    return one


async def test_a_life(make: Make) -> None:
    one = make()
    assert not one.initialised
    assert not one.clean()
    assert not one.alive()
    await one.stop()
    await one.initialise(password=PASSWORD, hba=HBA)
    assert one.initialised
    assert sorted(path.name for path in one.data.parent.iterdir()) == ["data"]
    assert stat.S_IMODE(one.data.stat().st_mode) == 0o700
    await one.start()
    assert one.alive()
    assert await ask(one, "show shared_buffers") == "16MB"
    assert await ask(one, "show listen_addresses") == ""
    assert await ask(one, "show server_encoding") == "UTF8"
    assert await ask(one, "select 'a' < 'B'") is False
    assert await ask(one, "select lower('Ä')") == "ä"
    assert stat.S_IMODE(one.sockets.stat().st_mode) == 0o700
    with pytest.raises(psycopg.OperationalError):
        await psycopg.AsyncConnection.connect(one.conninfo("postgres", SUPERUSER, "wrong"))
    await one.stop()
    assert not one.alive()
    assert one.clean()
    one.destroy()
    assert not one.sockets.exists()
    assert list(one.data.parent.iterdir()) == []


@pytest.mark.skipif(not OLD.is_dir(), reason="PostgreSQL 15 is not installed")
async def test_the_oldest_release(
    make: Make, cellar_home: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(binaries.VARIABLE, str(OLD))
    found = account.readable(binaries.find(), account.current(), cellar_home)
    one = await started(make(binaries=found))
    assert str(await ask(one, "show server_version")).startswith("15.")
    assert await ask(one, "select 'a' < 'B'") is False
    await one.stop()
    assert one.clean()
    with pytest.raises(errors.PostgresFailed, match="was made by PostgreSQL 15"):
        await make().start()


async def test_settings_are_read_anew_at_each_start(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    one = await started(make())
    await one.stop()
    value = "a 'quoted' \\ value, $1\nof two lines"
    two = make(settings={**SETTINGS, "my.text": value, "timezone": "UTC"})
    await two.start()
    monkeypatch.delenv("PGTZ")  # libpq would pass it on
    assert await ask(two, "show my.text") == value
    assert await ask(two, "show timezone") == "UTC"


async def test_another_object_adopts_and_stops(make: Make) -> None:
    one = await started(make())
    two = make()
    assert not two.alive()
    assert two.adopt()
    assert two.alive()
    assert two.pid == one.pid
    await make().start()
    assert (await ask(two, "select 1"), one.pid) == (1, postmaster_pid(one))
    await two.stop()
    assert not one.alive()
    assert not two.alive()
    assert not two.adopt()
    assert two.clean()


async def test_one_that_nobody_knows_is_stopped(make: Make) -> None:
    one = await started(make())
    await make().stop()
    assert not one.alive()
    await one.start()
    await make().kill()
    assert not one.alive()
    assert not one.clean()


async def test_a_crash_is_noticed_and_survived(make: Make) -> None:
    one = await started(make())
    assert one.pid is not None
    first = one.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: not one.alive())
    assert not make().adopt()
    assert not one.clean()
    await one.stop()
    await one.start()
    assert one.pid != first
    assert await ask(one, "select 1") == 1


@LINUX
async def test_a_computing_child_of_a_crashed_server_is_ended(make: Make) -> None:
    one = await started(make())
    conninfo = one.conninfo("postgres", SUPERUSER, PASSWORD)
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as conn:
        endless = asyncio.create_task(conn.execute("do $$ begin loop end loop; end $$"))
        child = conn.info.backend_pid
        await until(lambda: "DO" in " ".join(processes.command(child)))
        assert one.pid is not None
        os.kill(one.pid, signal.SIGKILL)
        await until(lambda: not one.alive())
        assert processes.find(child) is not None
        await one.start()
        assert processes.find(child) is None
        with pytest.raises(psycopg.OperationalError):
            await endless
    assert await ask(one, "select 1") == 1


@LINUX
async def test_a_frozen_server_is_ended_with_its_children(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_QUIT_TIMEOUT", 0.05)
    one = await started(make())
    assert one.pid is not None
    children = processes.children(one.pid)
    assert children
    os.kill(one.pid, signal.SIGSTOP)
    await one.stop(timeout=0.05)
    assert not one.alive()
    assert not any(child.alive() for child in children)
    await one.start()


@LINUX
async def test_a_crashed_server_leaves_no_shared_memory(make: Make) -> None:
    one = await started(make())
    assert one.pid is not None
    row = (one.data / "postmaster.pid").read_text().splitlines()[6].split()
    table = processes.PROC / "sysvipc" / "shm"

    def present() -> bool:
        return any(line.split()[:2] == row for line in table.read_text().splitlines())

    assert present()
    memory.release(one.data)
    assert present()  # as long as the server uses it
    os.kill(one.pid, signal.SIGKILL)
    await until(lambda: not one.alive())
    await make().kill()
    assert present()
    one.destroy()
    assert not present()


@LINUX
async def test_shared_memory_that_is_still_used_is_waited_for(make: Make) -> None:
    """As is that of a process that has ended, while another process looks into its memory."""
    one = await started(make())
    assert one.pid is not None
    words = (one.data / "postmaster.pid").read_text().splitlines()[6].split()
    library = ctypes.CDLL(None)
    library.shmat.restype = ctypes.c_void_p
    place = library.shmat(int(words[1]), None, 0)
    assert place not in (None, ctypes.c_void_p(-1).value)
    os.kill(one.pid, signal.SIGKILL)
    await until(lambda: not one.alive())
    ending = asyncio.create_task(make().kill())
    assert not await memory.unused(one.data, 0.2)
    assert not ending.done()
    assert library.shmdt(ctypes.c_void_p(place)) == 0
    await ending
    assert await memory.unused(one.data, 0)
    one.destroy()


@LINUX
async def test_a_crashed_server_leaves_nothing_in_dev_shm(make: Make) -> None:
    """Its dynamic segments lie in its data folder."""
    made = make()
    await made.initialise(password=PASSWORD, hba=HBA)
    await made.start()
    pid = made.pid
    assert pid is not None
    mapped = pathlib.Path(f"/proc/{pid}/maps").read_text()
    assert "/dev/shm/PostgreSQL." not in mapped
    assert "/pg_dynshmem/" in mapped
    await made.kill()


async def test_a_number_given_to_another_process_is_not_the_server(make: Make) -> None:
    one = await started(make())
    pidfile = one.data / "postmaster.pid"
    lines = pidfile.read_text().splitlines()
    assert one.pid is not None
    os.kill(one.pid, signal.SIGKILL)
    await until(lambda: not one.alive())
    # A process of the server's own account, as another sandbox's would be.
    other = await asyncio.create_subprocess_exec(
        "sleep", "60", cwd="/", **account.popen_kwargs(account.current())
    )
    try:
        pidfile.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        assert not one.adopt()
        await one.stop()
        assert other.returncode is None
        await one.start()
        assert await ask(one, "select 1") == 1
    finally:
        other.kill()
        await other.wait()


async def test_a_lost_socket_is_made_again(make: Make) -> None:
    one = await started(make())
    folders.remove(one.sockets)
    assert not make().adopt()
    await one.start()
    assert await ask(one, "select 1") == 1


async def test_a_failed_start_shows_the_log(make: Make) -> None:
    one = make(settings={"shared_buffers": "wrong"})
    await one.initialise(password=PASSWORD, hba=HBA)
    with pytest.raises(errors.PostgresFailed, match='parameter "shared_buffers": "wrong"'):
        await one.start()
    assert not one.alive()
    await make().start()


async def test_a_late_start_is_an_error_and_leaves_nothing(make: Make) -> None:
    one = make()
    await one.initialise(password=PASSWORD, hba=HBA)
    with pytest.raises(errors.PostgresFailed, match="not ready within 0 s"):
        await one.start(timeout=0)
    assert not one.alive()
    assert postmaster.running(one.data, account.current()) is None


async def test_a_full_disk_is_named(
    make: Make, installation: binaries.Binaries, cellar_home: pathlib.Path
) -> None:
    await make().initialise(password=PASSWORD, hba=HBA)
    postgres = cellar_home / "postgres"
    postgres.write_text("#!/bin/sh\necho 'FATAL: could not write: No space left on device'\n")
    postgres.chmod(0o755)
    full = dataclasses.replace(installation, bindir=cellar_home)
    with pytest.raises(errors.SandboxFull, match="No space left on device"):
        await make(binaries=full).start()


async def test_a_killed_initdb_leaves_nothing(make: Make) -> None:
    one = make()
    making = asyncio.create_task(one.initialise(password=PASSWORD, hba=HBA))
    await until(lambda: list(one.data.parent.glob(".data.*.new/global")))
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert not one.initialised
    assert list(one.data.parent.iterdir()) == []
    folders.private_folder(one.data.parent / ".data.1234.new")
    await started(one)
    assert sorted(path.name for path in one.data.parent.iterdir()) == ["data", "data.log"]


async def test_a_failed_initdb_tells_why(make: Make) -> None:
    with pytest.raises(errors.PostgresFailed, match="pg_nobody"):
        await make(superuser="pg_nobody").initialise(password=PASSWORD, hba=HBA)


async def test_refusals(make: Make, cellar_home: pathlib.Path) -> None:
    with pytest.raises(errors.PostgresFailed, match="no PostgreSQL data folder"):
        await make().start()
    with pytest.raises(errors.PostgresFailed, match="bytes"):
        await make(sockets=cellar_home / ("long" * 25)).start()
    await make().initialise(password=PASSWORD, hba=HBA)
    with pytest.raises(errors.PostgresFailed, match="no name"):
        await make(settings={"a = b\nc": "1"}).start()
    sockets = cellar_home / "run" / "one"
    sockets.chmod(0o777)
    with pytest.raises(errors.PostgresFailed, match="own"):
        await make().start()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
async def test_another_account_takes_over(make: Make) -> None:
    entry = pwd.getpwnam("daemon")
    one = make(account=account.Account(name="daemon", uid=entry.pw_uid, gid=entry.pw_gid))
    await started(one)
    assert one.data.stat().st_uid == entry.pw_uid
    await one.stop()
    two = make()
    await two.start()
    assert await ask(two, "select 1") == 1


def postmaster_pid(one: server.Server) -> int:
    """What the data folder says."""
    said = postmaster.read(one.data)
    assert said is not None
    return said.pid
