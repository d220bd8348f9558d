"""Templates of data folders: whole, without secrets, root's own, and as good as initdb's work."""

from __future__ import annotations

import asyncio
import os
import pathlib
import stat
from collections.abc import AsyncIterator

import psycopg
import pytest

from pgcellar.api import errors
from pgcellar.postgres import account, binaries, folders, server, templates

SUPERUSER = templates.SUPERUSER
HBA = "local all all scram-sha-256\n"


@pytest.fixture
def kept(cellar_home: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> templates.Templates:
    """Templates of this test alone."""
    monkeypatch.delenv(templates.VARIABLE)
    return templates.Templates(cellar_home / templates.FOLDER)


class Servers:
    """Servers from templates."""

    def __init__(self, home: pathlib.Path) -> None:
        self._home = home
        self._made: list[server.Server] = []

    def make(
        self, name: str, kept: templates.Templates | None, superuser: str = SUPERUSER
    ) -> server.Server:
        """One that is not initialised."""
        owner = account.current()
        made = server.Server(
            binaries=account.readable(binaries.find(), owner, self._home),
            data=self._home / name / "data",
            sockets=self._home / "run" / name,
            settings={"shared_buffers": "16MB", "fsync": "off"},
            account=owner,
            superuser=superuser,
            kept=kept,
        )
        self._made.append(made)
        return made

    async def close(self) -> None:
        """End them."""
        for made in self._made:
            await made.kill()


@pytest.fixture
async def servers(cellar_home: pathlib.Path) -> AsyncIterator[Servers]:
    made = Servers(cellar_home)
    yield made
    await made.close()


def template(home: pathlib.Path) -> pathlib.Path:
    (found,) = (home / templates.FOLDER).glob("[0-9]*")
    return found


async def connect(one: server.Server, password: str) -> psycopg.AsyncConnection:
    conninfo = one.conninfo("postgres", SUPERUSER, password)
    return await psycopg.AsyncConnection.connect(conninfo, autocommit=True)


async def test_every_copy_has_a_password_of_its_own(
    servers: Servers, kept: templates.Templates
) -> None:
    one, two = servers.make("one", kept), servers.make("two", kept)
    await asyncio.gather(
        one.initialise(password="it's \\ one", hba=HBA),
        two.initialise(password="two", hba=HBA),
    )
    for each, right, wrong in ((one, "it's \\ one", "two"), (two, "two", "it's \\ one")):
        await each.start()
        async with await connect(each, right) as conn:
            await conn.execute("create table t (i int)")
        with pytest.raises(psycopg.OperationalError, match="password"):
            await connect(each, wrong)


async def test_a_superuser_of_another_name(servers: Servers, kept: templates.Templates) -> None:
    one = servers.make("one", kept, superuser="The Boss")
    await one.initialise(password="x", hba=HBA)
    await one.start()
    conninfo = one.conninfo("postgres", "The Boss", "x")
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as conn:
        await conn.execute("create database d")
        await conn.execute("alter system set work_mem = '5MB'")


async def test_what_is_copied_is_what_initdb_makes(
    servers: Servers, kept: templates.Templates
) -> None:
    query = "select name, setting from pg_settings where name !~ 'director|file$' order by name"
    catalog = "select relname, relkind, relacl::text from pg_class order by oid"
    database = "select datname, encoding, datcollate, datlocprovider, datacl::text from pg_database"
    said = []
    for name, source in (("made", None), ("copied", kept)):
        one = servers.make(name, source)
        await one.initialise(password="secret", hba=HBA)
        await one.start()
        async with await connect(one, "secret") as conn:
            asked = [await conn.execute(q) for q in (query, catalog, database)]  # type: ignore[arg-type]
            said.append([await cursor.fetchall() for cursor in asked])
    assert said[0] == said[1]


async def test_the_template_is_nobody_s_to_change(
    servers: Servers, kept: templates.Templates, cellar_home: pathlib.Path
) -> None:
    one = servers.make("one", kept)
    await one.initialise(password="the password", hba=HBA)
    found = template(cellar_home)
    for path in (found, *found.rglob("*")):
        info = path.lstat()
        assert info.st_uid == os.getuid()
        assert not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    modes = {stat.S_IMODE(path.lstat().st_mode) for path in one.data.rglob("*")}
    assert modes == {0o600, 0o700}
    assert stat.S_IMODE(one.data.stat().st_mode) == 0o700


async def test_an_interrupted_template_is_none(
    servers: Servers, kept: templates.Templates, cellar_home: pathlib.Path
) -> None:
    one = servers.make("one", kept)
    making = asyncio.create_task(one.initialise(password="x", hba=HBA))
    async with asyncio.timeout(20):
        while not list(cellar_home.glob(f"{templates.FOLDER}/.*.new/global")):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert [path.name for path in (cellar_home / templates.FOLDER).iterdir()] == [".lock"]
    assert not one.initialised
    await one.initialise(password="x", hba=HBA)
    assert template(cellar_home).is_dir()


async def test_a_template_that_lost_a_file_is_told_of(
    servers: Servers, kept: templates.Templates, cellar_home: pathlib.Path
) -> None:
    await servers.make("one", kept).initialise(password="x", hba=HBA)
    (template(cellar_home) / "global" / "pg_control").unlink()
    two = servers.make("two", kept)
    with pytest.raises(errors.PostgresFailed, match="pg_control") as raised:
        await two.initialise(password="x", hba=HBA)
    assert str(template(cellar_home)) in (raised.value.hint or "")
    assert not two.initialised


@pytest.mark.skipif(os.getuid() != 0, reason="only root takes files from another account")
def test_root_takes_plain_files_of_the_account_s_only(tmp_path: pathlib.Path) -> None:
    owner = account.current()
    assert owner is not None
    tree = tmp_path / "tree"
    tree.mkdir()
    for spoil in ("link", "hard", "roots"):
        secret = tmp_path / f"secret-{spoil}"
        secret.write_text("secret")
        secret.chmod(0o600)
        placed = tree / spoil
        if spoil == "link":
            placed.symlink_to(secret)
        elif spoil == "hard":
            placed.hardlink_to(secret)
            os.chown(secret, owner.uid, owner.gid)
        else:
            placed.write_text("root's")
        with pytest.raises(OSError, match=r"not a file|symbolic links"):
            folders.take(tree, owner)
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        placed.unlink()
