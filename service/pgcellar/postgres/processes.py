"""Processes that need not be our children: whether they live, what they are, how they end.

A number is not a process: it is given to another as soon as the first has ended. With /proc a
process is told from its successor by its start time, and a zombie (dead, but not yet waited for)
from one that lives; without it (macOS) the number has to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import time

PROC = pathlib.Path("/proc")
#: The kernel gives it in one piece.
_LONGEST_STAT = 4096
_POLL = 0.004
#: Fields of /proc/PID/stat after the program's name, which may hold blanks and brackets.
_STATE, _PARENT, _STARTED = 0, 1, 19


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process that was alive when this was made. `started` is None where there is no /proc."""

    pid: int
    started: str | None

    def alive(self) -> bool:
        """Whether it still runs. Waits for it, in the sense of wait(2), if it was our child."""
        return find(self.pid) == self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)

    async def ended(self, seconds: float) -> bool:
        """Wait until it has ended; False if it has not after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(_POLL)
        return True


def find(pid: int) -> Process | None:
    """The living process of that number."""
    if not PROC.is_dir():
        _reap(pid)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return Process(pid=pid, started=None)
    fields = _stat(pid)
    if fields is None:
        return None
    if fields[_STATE] in "ZX":
        if int(fields[_PARENT]) == os.getpid():
            _reap(pid)
        return None
    return Process(pid=pid, started=fields[_STARTED])


def command(pid: int) -> list[str]:
    """A process's command line; empty if it has ended. Needs no right over the process."""
    if PROC.is_dir():
        try:
            return os.fsdecode((PROC / str(pid) / "cmdline").read_bytes()).split("\0")
        except OSError:
            return []
    said = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True
    )
    return said.stdout.split()


def owner(pid: int) -> int | None:
    """The user a process runs as; None if it has ended, or can't be told."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[2]) for line in lines if line.startswith("Uid:")), None)


def children(pid: int) -> list[Process]:
    """The living children of a process."""
    found = (find(other) for other in _numbers() if _parent(other) == pid)
    return [process for process in found if process is not None]


def memory(pid: int) -> int | None:
    """Bytes a process has in memory, its share of what it shares; None if that can't be told."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)


def works_in(pid: int, folder: pathlib.Path) -> bool:
    """Whether it is the process's working folder, as far as we may look."""
    try:
        return (PROC / str(pid) / "cwd").samefile(folder)
    except OSError:
        return False


def working_in(folder: pathlib.Path) -> list[Process]:
    """The processes whose working folder it is, as far as we may look."""
    found = (find(pid) for pid in _numbers() if works_in(pid, folder))
    return [process for process in found if process is not None]


def _numbers() -> list[int]:
    if not PROC.is_dir():
        return []
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal()]


def _parent(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[_PARENT]) if fields is not None else None


def _stat(pid: int) -> list[str] | None:
    try:
        # By hand, which takes a quarter of the time: this is asked at every run.
        file = os.open(f"{PROC}/{pid}/stat", os.O_RDONLY)
        try:
            text = os.read(file, _LONGEST_STAT)
        finally:
            os.close(file)
    except OSError:
        return None
    return text.rpartition(b")")[2].decode().split()


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
