"""Uploaded files: what an owner may keep, and what goes where room is needed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pathlib
import time
from collections.abc import Callable

import pytest

from pgcellar.api import errors
from pgcellar.runner import uploads

_CHUNK = 1 << 20


def chunk(number: int) -> tuple[str, bytes]:
    """A chunk of 1 MiB, and its name."""
    data = bytes([number]) * _CHUNK
    return hashlib.sha256(data).hexdigest(), data


@pytest.fixture
async def kept(tmp_path: pathlib.Path) -> uploads.Uploads:
    """Four MiB for each owner."""
    return uploads.Uploads(tmp_path, most=4 * _CHUNK)


async def test_removing_a_file_makes_room_for_another(
    kept: uploads.Uploads, tmp_path: pathlib.Path
) -> None:
    """The chunks of a file go too, when they are old and room is needed; but not before."""
    for number in (1, 2):
        kept.put("ann", *chunk(number))
    kept.assemble("ann", "a", [chunk(number)[0] for number in (1, 2)])
    kept.remove("ann", "a")
    kept.put("ann", *chunk(3))
    kept.put("ann", *chunk(4))
    with pytest.raises(errors.LimitExceeded, match="more than 4 MiB"):
        kept.assemble("ann", "b", [chunk(3)[0]])
    for number in (1, 2):
        (path,) = tmp_path.rglob(chunk(number)[0])
        hour = time.time() - uploads.STALE_SECONDS - number
        os.utime(path, (hour, hour))
    # What is asked for stays, however old.
    assert kept.missing("ann", [chunk(1)[0]]) == []
    kept.assemble("ann", "b", [chunk(3)[0]])
    assert kept.missing("ann", [chunk(number)[0] for number in (1, 2, 3, 4)]) == [chunk(2)[0]]


async def test_a_chunk_that_is_needed_now_does_not_go(
    kept: uploads.Uploads, tmp_path: pathlib.Path
) -> None:
    for number in (1, 2, 3):
        kept.put("ann", *chunk(number))
        (path,) = tmp_path.rglob(chunk(number)[0])
        os.utime(path, (number, number))
    made = kept.assemble("ann", "a", [chunk(1)[0], chunk(2)[0]])
    assert made["bytes"] == 2 * _CHUNK
    assert kept.missing("ann", [chunk(1)[0], chunk(2)[0]]) == []


def filled(make: Callable[[int], object]) -> int:
    """How many there may be of something."""
    for number in range(2_000):
        try:
            make(number)
        except errors.LimitExceeded:
            return number
    raise AssertionError("there may be any number")


async def test_files_and_folders_of_no_bytes_take_room(kept: uploads.Uploads) -> None:
    """Each is an inode, of which a file system has so many."""
    made = filled(lambda number: kept.assemble("ann", f"a/{number}/b/c", []))
    assert made == (4 * _CHUNK // uploads.BLOCK - 1) // 3
    for number in range(made):
        kept.remove("ann", f"a/{number}/b/c")
    assert kept.listed("ann") == []
    # The folders have gone with them, and all that they took.
    assert filled(lambda number: kept.assemble("ann", f"d{number}", [])) == (
        4 * _CHUNK // uploads.BLOCK
    )


async def test_what_was_there_before_is_counted(
    kept: uploads.Uploads, tmp_path: pathlib.Path
) -> None:
    kept.assemble("ann", "a/b", [])
    # The same file in the place of itself takes no more.
    for _ in range(3):
        kept.assemble("ann", "a/b", [])
    left = 4 * _CHUNK // uploads.BLOCK - 2
    again = uploads.Uploads(tmp_path, most=4 * _CHUNK)
    assert filled(lambda number: again.assemble("ann", f"d{number}", [])) == left


async def test_chunks_of_a_byte_take_a_block(kept: uploads.Uploads) -> None:
    def put(number: int) -> None:
        data = number.to_bytes(2)
        kept.put("ann", hashlib.sha256(data).hexdigest(), data)

    assert filled(put) == 4 * _CHUNK // uploads.BLOCK


async def test_of_one_owner_one_request_works_at_a_time(kept: uploads.Uploads) -> None:
    """Many at once get no more room than one after the other."""
    digest, data = chunk(1)
    kept.put("ann", digest, data)

    async def make(number: int) -> bool:
        async with kept.turn("ann"):
            try:
                await asyncio.to_thread(kept.assemble, "ann", f"f{number}", [digest])
            except errors.LimitExceeded:
                return False
        return True

    done = await asyncio.gather(*(make(number) for number in range(10)))
    assert sum(done) == 3
    assert sum(int(str(each["bytes"])) for each in kept.listed("ann")) == 3 * _CHUNK


async def test_a_neighbour_does_not_wait_for_anothers_turn(kept: uploads.Uploads) -> None:
    async with kept.turn("ann"), kept.turn("bob"):
        pass
