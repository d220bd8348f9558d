"""pgcellar.postgres.account: whom servers run as, and copies of what that account can't read."""

from __future__ import annotations

import asyncio
import os
import pathlib
import pwd
import shutil
import sys

import pytest

from pgcellar.api import errors
from pgcellar.postgres import account, binaries, folders

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root changes accounts")
as_user = pytest.mark.skipif(os.getuid() == 0, reason="what an ordinary user sees")


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """We are root, on a machine that has these accounts, name → uid."""
    known: dict[str, int] = {}

    def getpwnam(name: str) -> pwd.struct_passwd:
        return pwd.struct_passwd((name, "x", known[name], known[name], "", "/", "/bin/false"))

    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    monkeypatch.delenv(account.VARIABLE, raising=False)
    return known


@as_user
def test_an_ordinary_user_needs_no_account(tmp_path: pathlib.Path) -> None:
    assert account.current() is None
    found = binaries.find()
    assert account.readable(found, None, tmp_path) is found


def test_pgcellar_comes_before_nobody(pretended: dict[str, int]) -> None:
    pretended["nobody"] = 65534
    assert account.current() == account.Account(name="nobody", uid=65534, gid=65534)
    pretended["pgcellar"] = 990
    assert account.current() == account.Account(name="pgcellar", uid=990, gid=990)


def test_a_named_account_wins(pretended: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    pretended |= {"pgcellar": 990, "db": 991}
    monkeypatch.setenv(account.VARIABLE, "db")
    assert account.current() == account.Account(name="db", uid=991, gid=991)


@pytest.mark.parametrize(("name", "why"), [("ghost", "no account ghost"), ("toor", "refuses")])
def test_an_unknown_account_or_root_is_refused(
    name: str, why: str, pretended: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretended |= {"toor": 0, "nobody": 65534}
    monkeypatch.setenv(account.VARIABLE, name)
    with pytest.raises(errors.PostgresFailed, match=why):
        account.current()


@pytest.mark.usefixtures("pretended")
def test_without_any_account_the_hint_says_how_to_make_one() -> None:
    with pytest.raises(errors.PostgresFailed, match="pgcellar nor nobody") as caught:
        account.current()
    assert "useradd" in (caught.value.hint or "")


async def test_subprocesses_run_as_the_account() -> None:
    who = account.current()
    process = await asyncio.create_subprocess_exec(
        shutil.which("sh") or "/bin/sh",
        *("-c", "id -u; id -g; id -G; umask"),
        stdout=asyncio.subprocess.PIPE,
        cwd="/",
        **account.popen_kwargs(who),
    )
    output, _ = await process.communicate()
    uid, gid, groups, umask = output.decode().splitlines()
    assert int(umask, 8) == 0o077
    assert int(uid) == (who.uid if who else os.getuid())
    assert int(gid) == (who.gid if who else os.getgid())
    if who is not None:
        assert groups == gid


@as_root
def test_what_the_account_can_run_is_not_copied(cellar_home: pathlib.Path) -> None:
    who, found = account.current(), binaries.find()
    copied = account.readable(found, who, cellar_home)
    assert account.readable(copied, who, cellar_home / "other") == copied
    assert not (cellar_home / "other").exists()


@as_root
@pytest.mark.skipif(sys.platform != "linux", reason="relative library paths are Linux's")
def test_a_closed_installation_is_copied_once(cellar_home: pathlib.Path) -> None:
    who = account.current()
    assert who is not None
    closed = closed_copy(cellar_home)
    copied = account.readable(closed, who, cellar_home)
    assert copied.bindir.is_relative_to(cellar_home / "postgres")
    assert folders.closed(copied.bindir / "postgres", who) is None
    before = copied.bindir.stat()
    assert account.readable(closed, who, cellar_home) == copied
    assert copied.bindir.stat() == before
    assert all(
        path.stat().st_uid == 0 and not path.stat().st_mode & 0o022
        for path in copied.bindir.rglob("*")
    )


@as_root
async def test_concurrent_copiers_make_one_copy(cellar_home: pathlib.Path) -> None:
    who = account.current()
    closed = closed_copy(cellar_home)
    left = cellar_home / "postgres" / ".copy-of-a-killed-one"
    left.mkdir(parents=True)
    program = (
        "import pathlib, sys\n"
        "from pgcellar.postgres import account, binaries\n"
        "found = binaries.Binaries(bindir=pathlib.Path(sys.argv[1]), version='0.1', origin='')\n"
        "print(account.readable(found, account.current(), pathlib.Path(sys.argv[2])).bindir)\n"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, str(closed.bindir), str(cellar_home)),
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]
    outputs = {(await process.communicate())[0] for process in processes}
    assert len(outputs) == 1
    assert os.listdir(cellar_home / "postgres") != []
    assert who is not None
    assert {path.name[:3] for path in (cellar_home / "postgres").iterdir()} == {"0.1", ".lo"}


@as_root
def test_a_home_closed_to_the_account_is_an_error(cellar_home: pathlib.Path) -> None:
    who = account.current()
    closed = closed_copy(cellar_home)
    (cellar_home / "shut").mkdir(mode=0o700)
    with pytest.raises(errors.PostgresFailed, match="is closed") as caught:
        account.readable(closed, who, cellar_home / "shut")
    assert "chmod o+x" in (caught.value.hint or "")


def closed_copy(home: pathlib.Path) -> binaries.Binaries:
    """A small installation that only root can reach, with libraries beside it as in a wheel."""
    wheel = home / "closed" / "wheel"
    (wheel / "prefix" / "share").mkdir(parents=True)
    (wheel / "prefix" / "share" / "data").write_text("data")
    (home / "closed" / "wheel.libs").mkdir()
    (home / "closed" / "wheel.libs" / "lib").write_text("0.1")
    bindir = wheel / "prefix" / "bin"
    bindir.mkdir()
    postgres = bindir / "postgres"
    postgres.write_text('#!/bin/sh\nexec cat "${0%/*}/../../../wheel.libs/lib"\n')
    postgres.chmod(0o700)
    (home / "closed").chmod(0o700)
    return binaries.Binaries(bindir=bindir, version="0.1", origin="a test")
