"""pgcellar.runner.guarding and disks: a run that takes too much is cancelled, from outside."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pathlib
import shutil

import pytest

from pgcellar.api import errors, records
from pgcellar.runner import disks, guarding


class Session:
    """Where a statement runs."""

    pid = 1
    running_for = 0.0


async def test_what_runs_while_the_disk_fills_is_cancelled(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = disks.Disk(tmp_path, 1)
    assert disk.free > 1
    assert disk.full() is None
    disk.admit()
    cancelled = asyncio.Event()

    async def size(pid: int) -> int:
        return 0

    async def cancel() -> None:
        cancelled.set()

    limits = guarding.Limits(statement_seconds=0.1, database_bytes=1, full=disk.full)
    guard = guarding.Guard(limits, session=Session, size=size, cancel=cancel)
    async with guard.watching(), asyncio.timeout(10):
        found = shutil.disk_usage(tmp_path)._replace(free=0)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: found)
        await cancelled.wait()
    assert isinstance(guard.reached, errors.SandboxFull)
    with pytest.raises(errors.SandboxFull, match="less than 0 MiB free"):
        disk.admit()


@pytest.mark.parametrize(("files", "left", "full"), [(10**6, 9, True), (10**6, 10**5, False)])
async def test_a_disk_has_room_for_so_many_files(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, files: int, left: int, full: bool
) -> None:
    """Which empty tables fill sooner than its bytes."""
    disk = disks.Disk(tmp_path, 1)
    fields = list(os.statvfs(tmp_path))
    fields[5:8] = files, left, left
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(fields))
    assert (disk.full() is not None) == full
    fields[5:8] = 0, 0, 0
    # One that does not count them, as Btrfs.
    assert disk.full() is None


async def test_without_a_bound_the_disk_is_not_looked_at(tmp_path: pathlib.Path) -> None:
    assert disks.Disk(tmp_path / "nowhere", 0).full() is None


def test_no_more_memory_than_ones_limit_is_said_to_be_it() -> None:
    limits = guarding.Limits(session_bytes=512 << 20)
    error = records.SqlError(sqlstate="53200", message="out of memory", cell="c")
    hint = limits.explained(error).hint
    assert hint is not None
    assert hint.startswith("Your limit is 512 MiB of memory for a session.")
    # Locks are in shared memory, of which PostgreSQL itself has its part to say.
    shared = dataclasses.replace(error, hint='You might need to increase "max_locks".')
    assert limits.explained(shared) == shared
    other = dataclasses.replace(error, sqlstate="53100")
    assert limits.explained(other) == other
    assert guarding.NONE.explained(error) == error
