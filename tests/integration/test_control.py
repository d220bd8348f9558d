"""pgcellar.control, on a real server: migrations, and connections that heal."""

from __future__ import annotations

import asyncio
import os
import pathlib
import shutil
import signal
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest

from pgcellar.api import errors, paths
from pgcellar.control import database, migrations
from pgcellar.postgres import account, binaries, processes


@pytest.fixture(scope="module")
def bindir() -> Iterator[str]:
    """PostgreSQL where its account can run it, so that not every test copies it."""
    with tempfile.TemporaryDirectory(prefix="cellar-", dir="/tmp") as folder:
        home = pathlib.Path(folder)
        home.chmod(0o711)
        yield str(account.readable(binaries.find(), account.current(), home).bindir)


@pytest.fixture
def where(cellar_home: pathlib.Path, bindir: str, monkeypatch: pytest.MonkeyPatch) -> paths.Paths:
    """An installation of its own."""
    monkeypatch.setenv(binaries.VARIABLE, bindir)
    return paths.Paths(home=cellar_home / "home", runtime=cellar_home / "run")


@pytest.fixture
async def db(where: paths.Paths) -> AsyncIterator[database.ControlDatabase]:
    """An open control database."""
    async with database.ControlDatabase(where) as db:
        yield db


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the condition is another process's
            await asyncio.sleep(0.002)


async def kill(db: database.ControlDatabase) -> None:
    """Kill the server, and see it gone."""
    assert db.pid is not None
    process = processes.find(db.pid)
    assert process is not None
    os.kill(db.pid, signal.SIGKILL)
    await until(lambda: not process.alive())


async def remember(db: database.ControlDatabase, state: str) -> None:
    """Write a row."""
    await db.execute(
        "insert into learned (owner, state, statement, effect)"
        " values ('me', %s, 'select f()', 'write')",
        (state,),
    )


async def states(db: database.ControlDatabase) -> list[str]:
    """The rows written."""
    return [row["state"] for row in await db.fetch("select state from learned order by state")]


async def test_rows_survive_a_restart(where: paths.Paths) -> None:
    async with database.ControlDatabase(where) as db:
        await remember(db, "a")
        assert await db.fetch("select 1 as one where %(yes)s", {"yes": True}) == [{"one": 1}]
        assert await db.execute("update learned set effect = 'read'") == 1
    async with database.ControlDatabase(where) as db:
        assert await states(db) == ["a"]
    password = where.home / "control" / "password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert password.stat().st_uid == os.getuid()
    with pytest.raises(errors.ServiceUnavailable, match="closed"):
        await states(db)


async def test_what_a_killed_service_left_running_is_adopted(where: paths.Paths) -> None:
    async with database.ControlDatabase(where) as left:
        await remember(left, "a")
        async with database.ControlDatabase(where) as db:
            assert db.pid == left.pid
            assert await states(db) == ["a"]


async def test_a_killed_server_heals(db: database.ControlDatabase) -> None:
    await remember(db, "a")
    first = db.pid
    await kill(db)
    await asyncio.gather(*(remember(db, name) for name in "bcdefg"))
    assert db.pid != first
    assert await states(db) == list("abcdefg")


async def test_a_loss_in_between_is_an_error_and_then_heals(db: database.ControlDatabase) -> None:
    async def lose() -> None:
        async with db.connection() as conn:
            await kill(db)
            while True:  # the backend may outlive its postmaster by an instant
                await conn.execute("select 1")

    with pytest.raises(errors.ServiceUnavailable, match="control database"):
        await lose()
    assert await states(db) == []


async def test_an_ended_connection_is_replaced(db: database.ControlDatabase) -> None:
    async with db.connection() as conn:
        pid = conn.info.backend_pid
    async with db.connection() as conn, db.connection() as other:
        assert conn.info.backend_pid == pid
        await other.execute("select pg_terminate_backend(%s, 5000)", (pid,))
    assert await states(db) == []


async def test_a_connection_left_in_a_transaction_is_not_reused(
    db: database.ControlDatabase,
) -> None:
    async with db.connection() as conn:
        await conn.execute("begin")
        await conn.execute(
            "insert into learned (owner, state, statement, effect) values ('me', 'a', 'b', 'c')"
        )
    assert await states(db) == []


async def test_cancelling_a_query_costs_nobody_a_connection(db: database.ControlDatabase) -> None:
    for _ in range(database.CONNECTIONS + 1):
        query = asyncio.create_task(db.fetch("select pg_sleep(60)"))
        while not await db.fetch(
            "select from pg_stat_activity where query like '%sleep(60)' and state = 'active'"
            " and pid <> pg_backend_pid()"
        ):
            pass
        query.cancel()
        with pytest.raises(asyncio.CancelledError):
            await query
    assert await states(db) == []


async def test_more_tasks_than_connections(db: database.ControlDatabase) -> None:
    counts = await asyncio.gather(
        *(db.fetch("select count(*) as n from pg_stat_activity") for _ in range(20))
    )
    assert all(rows[0]["n"] > 0 for rows in counts)


async def test_an_external_database(
    db: database.ControlDatabase, where: paths.Paths, cellar_home: pathlib.Path
) -> None:
    assert db._embedded is not None
    dsn = db._embedded.conninfo("postgres")
    elsewhere = paths.Paths(home=cellar_home / "other", runtime=cellar_home / "other")
    async with database.ControlDatabase(elsewhere, dsn=dsn) as external:
        await remember(external, "a")
        assert await states(external) == ["a"]
    assert not elsewhere.home.exists()
    assert await states(db) == []
    with pytest.raises(errors.ServiceUnavailable, match="control database"):
        await database.ControlDatabase(elsewhere, dsn="host=/nowhere").open()


async def test_a_lost_password_is_told(where: paths.Paths) -> None:
    async with database.ControlDatabase(where):
        pass
    (where.home / "control" / "password").unlink()
    with pytest.raises(errors.PostgresFailed, match="is gone"):
        await database.ControlDatabase(where).open()


# --- migrations --------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of the migrations."""
    return shutil.copytree(migrations.FOLDER, tmp_path / "migrations")


def add(folder: pathlib.Path, sql: str, name: str = "more") -> pathlib.Path:
    """One more migration."""
    number = len(list(folder.iterdir())) + 1
    path = folder / f"{number:04}_{name}.sql"
    path.write_text(sql)
    return path


async def test_migrating_again_does_nothing(db: database.ControlDatabase) -> None:
    async with db.connection() as conn:
        assert await migrations.migrate(conn) == 0
    rows = await db.fetch("select version, name from schema_version")
    assert rows[0] == {"version": 1, "name": "start"}


async def test_concurrent_migrators_apply_each_once(
    db: database.ControlDatabase, folder: pathlib.Path
) -> None:
    add(folder, "create table b (x int); select pg_sleep(0.05); insert into b values (1);")
    add(folder, "create table c (x int); comment on table c is '100% c';")

    async def migrate() -> int:
        async with db.connection() as conn:
            return await migrations.migrate(conn, folder)

    assert sorted(await asyncio.gather(migrate(), migrate(), migrate())) == [0, 0, 2]
    assert await db.fetch("select x from b") == [{"x": 1}]


async def test_a_failing_migration_leaves_nothing_of_itself(
    db: database.ControlDatabase, folder: pathlib.Path
) -> None:
    add(folder, "create table b ();")
    failing = add(folder, "create table c (); select 1 / 0;")
    async with db.connection() as conn:
        with pytest.raises(errors.ServiceUnavailable, match="division by zero") as caught:
            await migrations.migrate(conn, folder)
        assert isinstance(caught.value.__cause__, psycopg.Error)
    (row,) = await db.fetch("select to_regclass('b') is not null b, to_regclass('c') is null c")
    assert row == {"b": True, "c": True}
    failing.write_text("create table c ();")
    async with db.connection() as conn:
        assert await migrations.migrate(conn, folder) == 1


async def test_a_changed_file_is_refused_but_not_other_line_ends(
    db: database.ControlDatabase, folder: pathlib.Path
) -> None:
    path = folder / "0001_start.sql"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    async with db.connection() as conn:
        assert await migrations.migrate(conn, folder) == 0
        path.write_text(path.read_text() + "-- a word more")
        with pytest.raises(errors.ServiceUnavailable, match="0001_start was changed"):
            await migrations.migrate(conn, folder)


async def test_a_newer_database_is_refused(
    db: database.ControlDatabase, folder: pathlib.Path
) -> None:
    known = len(list(folder.iterdir()))
    added = add(folder, "select 1;")
    async with db.connection() as conn:
        await migrations.migrate(conn, folder)
        added.unlink()
        with pytest.raises(
            errors.ServiceUnavailable, match=f"version {known + 1}.* knows {known}"
        ) as caught:
            await migrations.migrate(conn, folder)
    assert "Upgrade" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["9999_gap.sql", "0001_twice.sql", "2_short.sql"])
def test_misnumbered_files_are_refused(folder: pathlib.Path, name: str) -> None:
    (folder / name).write_text("select 1;")
    with pytest.raises(errors.ServiceUnavailable, match="should be number"):
        migrations.load(folder)
