"""Where things run: temporary homes, the service process, a plain server, an XFS volume, facts.

Everything here is a context manager that leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib.metadata
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
from psycopg import sql

from pgcellar.api import client, errors
from pgcellar.environments import local, spawner
from pgcellar.postgres import binaries
from pgcellar.snapshots import driver

#: Sparse: row 6 fills some 700 MB of it.
XFS_BYTES = 4 * 1024**3
#: How long the spare sandbox, which the service makes soon after the first, is waited for.
SPARE_SECONDS = 20.0
_START_SECONDS = 60.0
_DATABASE = "bench"
_UNMOUNT_TRIES = 50


@contextlib.contextmanager
def folder() -> Iterator[pathlib.Path]:
    """A folder for servers: short, as socket paths are, and passable for their account."""
    mask = os.umask(0o022)
    path = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.umask(mask)


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set environment variables, for processes we start too."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# --- pgcellar ------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def service(home: pathlib.Path, sockets: pathlib.Path) -> AsyncIterator[client.Client]:
    """A service process of its own, for clients and kernels started in this context."""
    with (
        environment(PGCELLAR_HOME=str(home), PGCELLAR_RUNTIME=str(sockets)),
        _process(home),
        # Nobody but us starts it, so that it is gone when we have ended it.
        contextlib.closing(client.Client(start=False)) as talking,
    ):
        await _serving(talking)
        await talking.states()  # starts the sandbox
        await _spare(home)
        yield talking


@contextlib.contextmanager
def _process(home: pathlib.Path) -> Iterator[None]:
    """The process; told to end it stops its servers first."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "service.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pgcellar", "service", "run"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(_START_SECONDS)


async def _serving(talking: client.Client) -> None:
    """Wait until the service answers. Raises ServiceUnavailable."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            await talking.status()
            return
        except errors.ServiceUnavailable:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.05)


async def _spare(home: pathlib.Path) -> None:
    """Wait until the service has made its spare sandbox, which takes a core for a second."""
    deadline = time.monotonic() + SPARE_SECONDS
    while len(list(home.glob("sandboxes/*/data/postmaster.pid"))) < 2:
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(0.1)


# --- without pgcellar ----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plain:
    """A server with a sandbox's binaries and settings, with a database of the user's own."""

    endpoint: spawner.Endpoint

    @property
    def url(self) -> str:
        """Where it is, as SQLAlchemy spells it."""
        at = self.endpoint
        return f"postgresql://{spawner.USER_ROLE}@/{_DATABASE}?host={at.host}&port={at.port}"

    async def connect(self) -> psycopg.AsyncConnection[Any]:
        """A connection as a user of psycopg makes it, in autocommit as psql is."""
        return await psycopg.AsyncConnection.connect(
            **self.endpoint.conninfo(_DATABASE), autocommit=True
        )


@contextlib.asynccontextmanager
async def plain(home: pathlib.Path, sockets: pathlib.Path) -> AsyncIterator[Plain]:
    """A server as a sandbox is, but nothing of pgcellar's between it and its user."""
    made = local.LocalSpawner("plain", {}, home=home, runtime=sockets)
    try:
        async for _ in made.start():
            pass
        found = Plain(endpoint=made.endpoint())
        await _prepare(found.endpoint)
        yield found
    finally:
        await made.remove()


async def _prepare(endpoint: spawner.Endpoint) -> None:
    role, database = sql.Identifier(spawner.USER_ROLE), sql.Identifier(_DATABASE)
    admin = endpoint.conninfo(spawner.ADMIN_DATABASE, admin=True)
    async with await psycopg.AsyncConnection.connect(**admin, autocommit=True) as conn:
        await conn.execute(sql.SQL("create role {} login").format(role))
        await conn.execute(sql.SQL("create database {} owner {}").format(database, role))


# --- file systems --------------------------------------------------------------------------------


class NoVolume(Exception):
    """An XFS volume can't be had here."""


@contextlib.contextmanager
def xfs(below: pathlib.Path, size: int = XFS_BYTES) -> Iterator[pathlib.Path]:
    """A new XFS volume with reflinks, mounted below a folder from a file in it.

    Raises NoVolume.
    """
    if os.geteuid() != 0:
        raise NoVolume("only root can mount an XFS volume")
    if shutil.which("mkfs.xfs") is None:
        raise NoVolume("there is no mkfs.xfs (the package xfsprogs has it)")
    image, mount = below / "xfs.img", below / "xfs"
    try:
        with image.open("wb") as file:
            file.truncate(size)
        mount.mkdir()
        _call("mkfs.xfs", "-q", "-m", "reflink=1", str(image))
        _call("mount", "-o", "loop", str(image), str(mount))
        try:
            mount.chmod(0o711)
            yield mount
        finally:
            _unmount(mount)
    finally:
        image.unlink(missing_ok=True)


def _unmount(mount: pathlib.Path) -> None:
    """Unmount, for which the last process that was told to end may not be gone yet."""
    for _ in range(_UNMOUNT_TRIES):
        try:
            return _call("umount", str(mount))
        except NoVolume:
            time.sleep(0.1)
    _call("umount", "--lazy", str(mount))


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoVolume(f"{command[0]}: {done.stderr.strip() or done.returncode}")


def file_system(path: pathlib.Path) -> str:
    """The type of the file system a path lies on, as far as this machine tells."""
    try:
        mounts = [
            line.split() for line in pathlib.Path("/proc/self/mounts").read_text().split("\n")
        ]
    except OSError:
        return "unknown"
    resolved = path.resolve()
    # Of several mounts on one place the last is the one that is seen.
    over = [m for m in mounts if len(m) > 2 and resolved.is_relative_to(m[1])]
    return max(enumerate(over), key=lambda pair: (len(pair[1][1]), pair[0]))[1][2]


# --- facts ---------------------------------------------------------------------------------------


def facts(home: pathlib.Path) -> dict[str, str]:
    """What of this machine the figures depend on."""
    shared = driver.shares_extents(home)
    return {
        "cores": f"{os.cpu_count()}, {_processor()}",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "postgresql": f"{binaries.find().version} from {binaries.find().origin}",
        "file system": f"{file_system(home)}, {'copy-on-write' if shared else 'no copy-on-write'}",
        "beside": ", ".join(
            f"{name} {importlib.metadata.version(name)}"
            for name in ("ipykernel", "jupyter-client", "jupysql", "psycopg")
        ),
    }


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
