"""Control databases on a real PostgreSQL, and an audit log that tests can read: a pytest plugin."""

from __future__ import annotations

import asyncio
import itertools
import pathlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from psycopg import conninfo, sql

from pgcellar.api import auditing, paths
from pgcellar.control import database, embedded

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def control_server() -> Iterator[str]:
    """A running server; how its superuser connects to the database `postgres`."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="cellar-", dir="/tmp"))
    home.chmod(0o711)
    server = embedded.Embedded(paths.Paths(home=home / "home", runtime=home / "run"))
    paths.make_home(paths.Paths(home=home / "home", runtime=home / "run"))
    asyncio.run(server.start())
    try:
        yield server.conninfo("postgres")
    finally:
        asyncio.run(server.stop())
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def control_dsn(control_server: str) -> Iterator[str]:
    """An empty database of this test's own."""
    name = sql.Identifier(f"test_{next(_NUMBERS)}")
    with psycopg.connect(control_server, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(name))
        yield conninfo.make_conninfo(control_server, dbname=name.as_string().strip('"'))
        connection.execute(sql.SQL("drop database {} with (force)").format(name))


class Acts:
    """An audit log in memory."""

    def __init__(self) -> None:
        self.acts: list[auditing.Act] = []

    async def write(self, act: auditing.Act) -> None:
        """Keep an act."""
        self.acts.append(act)

    def named(self, action: str) -> list[auditing.Act]:
        """The acts of one kind."""
        return [act for act in self.acts if act.action == action]


@pytest.fixture
async def control(cellar_home_module: pathlib.Path) -> AsyncIterator[database.ControlDatabase]:
    """An open control database; what other tests of the module left is in it."""
    where = paths.Paths(home=cellar_home_module / "home", runtime=cellar_home_module / "run")
    async with database.ControlDatabase(where) as db:
        yield db


@pytest.fixture
def acts() -> Acts:
    """An audit log."""
    return Acts()
