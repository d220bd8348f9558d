"""The postmaster of a data folder, as its `postmaster.pid` and the process table show it."""

from __future__ import annotations

import dataclasses
import pathlib
import signal

from pgcellar.postgres import account as accounts
from pgcellar.postgres import memory, processes

#: Lines of postmaster.pid, from 0. The last is written when the status first changes.
_PID, _SOCKETS, _STATUS = 0, 4, 7
_PROGRAM = "postgres"
#: How PostgreSQL titles the processes of a server other than the postmaster.
_CHILD_TITLE = "postgres:"
#: Seconds for the kernel to take back the memory of processes that have ended.
_RELEASE_TIMEOUT = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PidFile:
    """What a postmaster says of itself. `status` is e.g. "ready" or "starting"."""

    pid: int
    sockets: str
    status: str


def read(data: pathlib.Path) -> PidFile | None:
    """The data folder's postmaster.pid; None if there is none, or a half-written one."""
    try:
        lines = (data / "postmaster.pid").read_text(errors="replace").splitlines()
    except OSError:
        return None
    if len(lines) <= _SOCKETS or not lines[_PID].isdecimal():
        return None
    status = lines[_STATUS].strip() if len(lines) > _STATUS else "starting"
    return PidFile(pid=int(lines[_PID]), sockets=lines[_SOCKETS], status=status)


def running(data: pathlib.Path, account: accounts.Account | None) -> processes.Process | None:
    """The data folder's living postmaster.

    After a crash its number may long be another process's, so that process must be a postmaster
    by its command line, of this very folder, and run as the right user. (Start times would tell
    the same until somebody sets the clock.)
    """
    said = read(data)
    if said is None:
        return None
    process = processes.find(said.pid)
    words = processes.command(said.pid)
    if process is None or not words or pathlib.PurePath(words[0]).name != _PROGRAM:
        return None
    owner = processes.owner(said.pid)
    if account is not None and owner not in (None, account.uid):
        return None
    ours = str(data) in words or processes.works_in(said.pid, data)
    return process if ours else None


def stragglers(data: pathlib.Path) -> list[processes.Process]:
    """What a killed postmaster left: children that compute do not notice, and hold its memory."""
    return [
        process
        for process in processes.working_in(data)
        if "".join(processes.command(process.pid)[:1]).startswith(_CHILD_TITLE)
    ]


async def end(data: pathlib.Path, process: processes.Process | None, seconds: float) -> None:
    """Kill a postmaster, if any, and everything of its server; wait until all have ended."""
    doomed = processes.children(process.pid) if process is not None else []
    if process is not None:
        # First, so that it doesn't start new ones in their place.
        process.signal(signal.SIGKILL)
        await process.ended(seconds)
    for other in {*doomed, *stragglers(data)}:
        other.signal(signal.SIGKILL)
        await other.ended(seconds)
    await memory.unused(data, _RELEASE_TIMEOUT)
