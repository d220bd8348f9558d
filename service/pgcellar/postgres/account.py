"""The account PostgreSQL runs as. It refuses to be root, so under root it is another's process."""

from __future__ import annotations

import dataclasses
import fcntl
import functools
import hashlib
import os
import pathlib
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

from pgcellar.api import errors
from pgcellar.postgres import binaries as programs
from pgcellar.postgres import faults, folders

#: Names the account to use under root.
VARIABLE = "PGCELLAR_SERVER_USER"
#: Tried in this order where none is named.
NAMES = ("pgcellar", "nobody")
#: The parts of an installation that a running server needs.
_PARTS = ("bin", "lib", "share")
_PRIVATE_UMASK = 0o077
_RUN_TIMEOUT = 20.0
_TEMPORARY = ".copy-"
#: What only the building of extensions needs.
_BUILD_ONLY = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """An account of this machine that is not root."""

    name: str
    uid: int
    gid: int


def current() -> Account | None:
    """The account to run servers as; None where that is simply us, as we are not root.

    Raises PostgresFailed if there is none, or if the one named can't be used.
    """
    if os.getuid() != 0:
        return None
    named = os.environ.get(VARIABLE)
    for name in (named,) if named else NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
        raise errors.PostgresFailed(
            f"PostgreSQL refuses to run as root, which the account {name} is.",
            hint=f"Set {VARIABLE} to an ordinary account.",
        )
    missing = " nor ".join([named] if named else NAMES)
    raise errors.PostgresFailed(
        f"PostgreSQL refuses to run as root, and there is no account {missing}.",
        hint=f"Run `useradd --system pgcellar`, or set {VARIABLE} to an ordinary account.",
    )


def popen_kwargs(account: Account | None) -> dict[str, Any]:
    """What makes a subprocess run as the account, its files readable to nobody else."""
    found: dict[str, Any] = {"umask": _PRIVATE_UMASK}
    if account is not None:
        found |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return found


def readable(
    binaries: programs.Binaries, account: Account | None, home: pathlib.Path
) -> programs.Binaries:
    """The same programs where the account can run them: there, or in a copy below `home`.

    A virtual environment of root's often lies below /root, which is closed to everybody else.
    Raises PostgresFailed or SandboxFull.
    """
    if account is None:
        return binaries
    modified = pathlib.Path(binaries.path("postgres")).stat().st_mtime_ns
    if _runs(binaries, account, modified):
        return binaries
    digest = hashlib.sha256(f"{binaries.bindir}\0{modified}".encode()).hexdigest()[:10]
    store = folders.private_folder(home / "postgres", mode=folders.PASSABLE)
    prefix = binaries.bindir.parent
    target = store / f"{binaries.version}-{digest}"
    with faults.translated(f"PostgreSQL can't be copied to {target}"):
        _copy(prefix, target)
    copied = target / prefix.parent.name / prefix.name / "bin"
    found = dataclasses.replace(binaries, bindir=copied, origin=f"{binaries.origin}, copied")
    folders.check_reachable(copied, account)
    if not _runs(found, account, modified):
        raise errors.PostgresFailed(
            f"The account {account.name} can't run {found.path('postgres')}.",
            hint="Is that file system mounted noexec? Set PGCELLAR_HOME to a folder on another.",
        )
    return found


@functools.cache
def _runs(binaries: programs.Binaries, account: Account, modified: int) -> bool:
    """Whether the account can read all of the installation and run it."""
    prefix = binaries.bindir.parent
    if folders.closed(binaries.bindir / "postgres", account) is not None:
        return False
    for path in _entries(prefix):
        info = path.stat()
        need = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(info.st_mode) else 0)
        if not folders.allows(info, account, need):
            return False
    try:
        # The modes may grant it and access lists, a mount option or a library may not.
        said = subprocess.run(
            [binaries.path("postgres"), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            timeout=_RUN_TIMEOUT,
            **popen_kwargs(account),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return said.returncode == 0


def _entries(prefix: pathlib.Path) -> Iterator[pathlib.Path]:
    for part in _PARTS:
        for folder, _, files in os.walk(prefix / part):
            yield pathlib.Path(folder)
            yield from (pathlib.Path(folder, file) for file in files)


def _copy(prefix: pathlib.Path, target: pathlib.Path) -> None:
    """Copy an installation to `target`, as PARENT/PREFIX/bin …, unless it is there.

    A wheel keeps its libraries in `PARENT.libs`, which its programs look for by a relative path.
    """
    if target.exists():
        return
    with (target.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return
        for left in target.parent.glob(f"{_TEMPORARY}*"):
            shutil.rmtree(left)
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=target.parent))
        place = temporary / prefix.parent.name / prefix.name
        for part in _PARTS:
            if (prefix / part).is_dir():
                shutil.copytree(prefix / part, place / part, ignore=_BUILD_ONLY)
        libraries = prefix.parent.with_name(f"{prefix.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, temporary / libraries.name)
        for folder, _, files in os.walk(temporary):
            pathlib.Path(folder).chmod(0o755)
            for file in files:
                path = pathlib.Path(folder, file)
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
        temporary.rename(target)
