"""Frees the shared memory that a killed postmaster left.

It is a System V segment of a few bytes, which outlives its processes. The next start on the same
data folder frees it; where the folder is removed instead nobody would, and the kernel holds only
some thousands of them before no server can start any more.
"""

from __future__ import annotations

import asyncio
import ctypes
import pathlib
import time

from pgcellar.postgres import processes

#: The segment's key and number, in postmaster.pid, counted from 0.
_LINE = 6
_REMOVE = 0  # IPC_RMID
_POLL = 0.004
#: Columns of /proc/sysvipc/shm.
_KEY, _ID, _ATTACHED, _OWNER = 0, 1, 6, 7


def release(data: pathlib.Path) -> None:
    """Free what the postmaster.pid of a server that does not run names.

    That file is the server's account's: only a segment of the data folder's own owner is touched,
    and none that a process uses.
    """
    row = _row(data)
    if row is not None and row[_ATTACHED] == "0":
        ctypes.CDLL(None).shmctl(int(row[_ID]), _REMOVE, None)


async def unused(data: pathlib.Path, seconds: float) -> bool:
    """Wait until no process uses what that file names; False if one does after so many seconds.

    A process that has ended may use it still, for as long as another looks into its memory (to
    tell its command line, say).
    """
    deadline = time.monotonic() + seconds
    while (row := _row(data)) is not None and row[_ATTACHED] != "0":
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL)
    return True


def _row(data: pathlib.Path) -> list[str] | None:
    """What the kernel says of the segment that the data folder's postmaster.pid names."""
    try:
        owner = data.stat().st_uid
        words = (data / "postmaster.pid").read_text(errors="replace").splitlines()[_LINE].split()
        table = (processes.PROC / "sysvipc" / "shm").read_text().splitlines()[1:]
    except (OSError, IndexError):
        return None
    for row in map(str.split, table):
        if [row[_KEY], row[_ID]] == words and row[_OWNER] == str(owner):
            return row
    return None
