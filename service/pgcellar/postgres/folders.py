"""Folders that are safe to keep sockets and data in, and that the server's account can reach.

A folder below /tmp may have been put there by anybody, before us. What lies in a folder that
everybody may write to is therefore used only if it is ours, and nothing is ever followed there.
"""

from __future__ import annotations

import errno
import os
import pathlib
import secrets
import shutil
import stat
from typing import TYPE_CHECKING

from pgcellar.api import errors
from pgcellar.postgres import faults

if TYPE_CHECKING:
    from pgcellar.postgres import account as accounts

#: Folders above one that the server's account owns: it may pass, not look.
PASSABLE = 0o711
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_HINT = "Remove it, or set PGCELLAR_HOME and PGCELLAR_RUNTIME to folders of your own."


def private_folder(
    path: pathlib.Path, *, account: accounts.Account | None = None, mode: int = 0o700
) -> pathlib.Path:
    """Make `path`, with its parents, or check the one that is there; it gets `mode`.

    With an account (under root) the folder is given to the account, and its parents must let it
    pass. Raises PostgresFailed for a folder that is another's, that others may write to, that is
    a link, or that the account can't reach.
    """
    path = path.absolute()
    owners = {os.getuid()} | ({account.uid} if account else set())
    parent_mode = PASSABLE if os.getuid() == 0 else 0o700
    with faults.translated(f"The folder {path} can't be made"):
        for parent in (*reversed(path.parents[:-1]), path):
            _make(parent, mode if parent == path else parent_mode)
            _check_shared(parent, owners)
        _settle(path, owners, account, mode)
    if account is not None:
        check_reachable(path, account)
    return path


def closed(path: pathlib.Path, account: accounts.Account) -> pathlib.Path | None:
    """The uppermost folder above `path` that the account can't pass; None if it can pass all."""
    for parent in reversed(pathlib.Path(os.path.realpath(path)).parents):
        if not allows(parent.stat(), account, stat.S_IXOTH):
            return parent
    return None


def check_reachable(path: pathlib.Path, account: accounts.Account) -> None:
    """Raises PostgresFailed if a folder above `path` is closed to the account."""
    barrier = closed(path, account)
    if barrier is not None:
        raise errors.PostgresFailed(
            f"PostgreSQL's account, {account.name}, can't reach {path}: {barrier} is closed to it.",
            hint=f"Run `chmod o+x {barrier}`, or set PGCELLAR_HOME and PGCELLAR_RUNTIME.",
        )


def allows(info: os.stat_result, account: accounts.Account, bits: int) -> bool:
    """Whether the mode grants the account all of some permissions, given as bits for others."""
    if info.st_uid == account.uid:
        bits <<= 6
    elif info.st_gid == account.gid:
        bits <<= 3
    return info.st_mode & bits == bits


def give(path: pathlib.Path, account: accounts.Account) -> None:
    """Make the account the owner of the whole tree; links are given, not followed."""
    for _, folders, files, handle in os.fwalk(path, follow_symlinks=False):
        os.fchown(handle, account.uid, account.gid)
        for name in (*folders, *files):
            os.chown(name, account.uid, account.gid, dir_fd=handle, follow_symlinks=False)


def take(path: pathlib.Path, account: accounts.Account) -> None:
    """Make the account's tree root's own, for everybody to read, and nobody else to change.

    Raises OSError for what is no plain file or folder of the account's: root would open up
    whatever else was put there.
    """
    for _, _, files, handle in os.fwalk(path, follow_symlinks=False):
        os.fchown(handle, 0, 0)
        os.fchmod(handle, 0o755)
        for name in files:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
            try:
                info = os.fstat(file)
                if (info.st_uid, info.st_nlink) != (account.uid, 1) or not stat.S_ISREG(
                    info.st_mode
                ):
                    raise OSError(errno.EPERM, "not a file of PostgreSQL's account", name)
                os.fchown(file, 0, 0)
                os.fchmod(file, 0o644)
            finally:
                os.close(file)


def remove(path: pathlib.Path) -> None:
    """Remove a tree, if it's there. Killed halfway, it leaves nothing under the old name."""
    doomed = path.with_name(f".{path.name}.{secrets.token_hex(4)}.gone")
    try:
        path.rename(doomed)
    except FileNotFoundError:
        return
    while True:
        try:
            shutil.rmtree(doomed)
            return
        except FileNotFoundError:
            # A program that was killed in there removes its own files to the last.
            if not doomed.exists():
                return


def sweep(path: pathlib.Path) -> None:
    """Remove what a killed `remove`, or a killed maker of `path`, left beside it."""
    for left in path.parent.glob(f".{path.name}.*"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _make(path: pathlib.Path, mode: int) -> None:
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        return
    path.chmod(mode)  # mkdir's mode is subject to the umask


def _check_shared(path: pathlib.Path, owners: set[int]) -> None:
    """Refuse what somebody else may have put, or may replace, where everybody may write."""
    above = path.parent.stat()
    if not above.st_mode & stat.S_IWOTH:
        return
    if not above.st_mode & stat.S_ISVTX:
        raise errors.PostgresFailed(
            f"Anybody may replace what is in {path.parent}.",
            hint=f"Run `chmod o-w {path.parent}`, or set PGCELLAR_HOME and PGCELLAR_RUNTIME.",
        )
    info = path.lstat()
    sticky = info.st_mode & stat.S_ISVTX
    if info.st_uid not in owners | {0} or (info.st_mode & _OTHERS_WRITE and not sticky):
        raise errors.PostgresFailed(f"The folder {path} is not this user's own.", hint=_HINT)


def _settle(
    path: pathlib.Path, owners: set[int], account: accounts.Account | None, mode: int
) -> None:
    """Check the folder itself, then give it its owner and mode: on one handle, without races."""
    if path.is_symlink() or not path.is_dir():
        raise errors.PostgresFailed(f"{path} is not a folder.", hint=_HINT)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        info, above = os.fstat(handle), path.parent.stat()
        # Where only root writes, a folder of another account's was given to it by root.
        given = os.getuid() == 0 == above.st_uid and not above.st_mode & _OTHERS_WRITE
        if not (info.st_uid in owners or given) or info.st_mode & _OTHERS_WRITE:
            raise errors.PostgresFailed(f"The folder {path} is not this user's own.", hint=_HINT)
        if account is not None and info.st_uid != account.uid:
            os.fchown(handle, account.uid, account.gid)
        if stat.S_IMODE(info.st_mode) != mode:
            os.fchmod(handle, mode)
    finally:
        os.close(handle)
