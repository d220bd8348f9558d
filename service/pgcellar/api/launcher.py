"""Starts this user's service process when it is needed, whoever needs it first.

The race is settled by the service itself: it holds an exclusive lock for its whole life, and a
process that can't have the lock ends at once. Clients may therefore start as many as they like;
all of them then wait for the one socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pathlib
import stat
import subprocess
import sys
import time

from pgcellar.api import detached, errors, paths

#: A first start on a slow disk creates the control database (initdb, about a second).
START_TIMEOUT = 60.0
_POLL = 0.01
#: Bytes of log from which a new one is begun; the last one is kept beside it.
_LOG_LIMIT = 4 << 20


async def start(where: paths.Paths) -> None:
    """Start the service unless it answers already; returns when its socket accepts connections.

    Raises ServiceUnavailable, with the log's last lines, if it does not come up in time.
    """
    deadline = time.monotonic() + START_TIMEOUT
    process: detached.Detached | None = None
    while not await _answers(where):
        if process is not None and process.poll():
            raise _failed(where, f"it ended with status {process.returncode}")
        # Whoever holds the lock is starting, or ending. Another beside it would end at once, or
        # worse, come up when nobody wants it any more.
        held = _held(where)
        if held:
            _check_runtime(where)
        elif process is None or process.poll() is not None:
            process = _spawn(where)
        if time.monotonic() > deadline:
            raise _failed(where, f"its socket did not answer within {START_TIMEOUT:.0f} s")
        await asyncio.sleep(_POLL)


def check_owner(where: paths.Paths) -> None:
    """Refuse a socket folder that another user made.

    The folder may lie below /tmp, where anybody could have put one for us to talk to.
    Raises ServiceUnavailable.
    """
    try:
        info = os.lstat(where.socket.parent)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o022:
        raise errors.ServiceUnavailable(
            f"The folder {where.socket.parent} is not this user's own.",
            hint="Remove it, or set PGCELLAR_RUNTIME to a private folder.",
        )


async def _answers(where: paths.Paths) -> bool:
    check_owner(where)
    try:
        _, writer = await asyncio.open_unix_connection(str(where.socket))
    except OSError:
        return False
    writer.close()
    return True


def _held(where: paths.Paths) -> bool:
    """Whether a service process lives."""
    try:
        with where.lock.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _check_runtime(where: paths.Paths) -> None:
    """Refuse to wait for a service whose socket is elsewhere."""
    socket = paths.served(where)
    if socket is not None and socket != where.socket:
        base = socket.parent.parent.parent
        raise errors.ServiceUnavailable(
            f"The service of {where.home} runs already, and listens at {socket}.",
            hint=f"Set PGCELLAR_RUNTIME={base}, or stop it with `pgcellar service stop` there.",
        )


def _spawn(where: paths.Paths) -> detached.Detached:
    paths.make_home(where)
    environment = {
        **os.environ,
        "PGCELLAR_HOME": str(where.home),
        "PGCELLAR_RUNTIME": str(where.runtime.parent),
    }
    with contextlib.suppress(FileNotFoundError):
        if where.log.stat().st_size > _LOG_LIMIT:
            where.log.replace(where.log.with_suffix(".log.1"))
    with where.log.open("ab") as log:
        return detached.Detached(
            [sys.executable, "-m", "pgcellar", "service", "run"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=pathlib.Path("/"),
            start_new_session=True,
        )


def _failed(where: paths.Paths, why: str) -> errors.ServiceUnavailable:
    try:
        tail = where.log.read_text(errors="replace").splitlines()[-5:]
    except OSError:
        tail = []
    return errors.ServiceUnavailable(
        "\n".join([f"The pgcellar service did not start: {why}.", *tail]),
        hint=f"Run `pgcellar doctor`; the service's log is {where.log}.",
    )


async def wait_stopped(where: paths.Paths) -> None:
    """Wait until a service that was told to stop has stopped its sandboxes and is gone.

    Raises ServiceUnavailable after `START_TIMEOUT`.
    """
    deadline = time.monotonic() + START_TIMEOUT
    with contextlib.suppress(FileNotFoundError), where.lock.open("r+") as lock:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                await asyncio.sleep(_POLL)
        raise _failed(where, "it does not end")
