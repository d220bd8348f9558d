"""A control database's server for all tests of a session, and databases of a test's own."""

from __future__ import annotations

import asyncio
import itertools
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import conninfo, sql

from pgcellar.api import paths
from pgcellar.control import embedded

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
