"""Files that an owner uploaded, for `\\copy` and `\\i` of notebooks that come without a folder.

A file comes as chunks named by their digest, so that a broken upload goes on where it broke, and
what is there already does not travel. Each owner has a folder; nothing in it is a link.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import hashlib
import os
import pathlib
import re
import shutil
import tempfile
import time
import weakref
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from typing import BinaryIO, TypeVar, cast

from pgcellar.api import errors, identities, records

#: Bytes of a chunk at most.
CHUNK_BYTES = 4 << 20
#: Bytes of chunks and files that one owner may keep.
OWNER_BYTES = 2 << 30
#: Bytes that each file, chunk and folder takes at least: a file system has so many inodes.
BLOCK = 16 << 10
#: Seconds after which a chunk that nobody asked for goes where room is needed: it was for a file
#: that is made by now, or never will be.
STALE_SECONDS = 3600.0
#: Requests that work on files at a time, of all owners: the threads are for others too.
_AT_ONCE = 3
_DIGEST = re.compile(r"[0-9a-f]{64}")
#: A name, or names with slashes between; none begins with a dot.
_NAME = re.compile(r"[^\x00-\x1f\x7f/\\.][^\x00-\x1f\x7f/\\]{0,99}")
_DEPTH = 8

R = TypeVar("R", records.RunRequest, records.PageRequest)


class Uploads:
    """See the module. `folder` holds all owners' folders; each may have `most` bytes in it, while
    `admit` says nothing against it."""

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        most: int = OWNER_BYTES,
        admit: Callable[[], None] | None = None,
    ) -> None:
        self._room = admit
        self._folder = folder
        self._most = most
        self._used: dict[str, int] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """While this is held nobody else counts, or changes, what an owner has."""
        lock = self._turns.setdefault(owner, asyncio.Lock())
        async with lock, self._slots:
            yield

    def confined(self, identity: identities.Identity, request: R) -> R:
        """The request with the folder that this identity's notebooks may read.

        Only the operating system's user may name one. Raises Forbidden.
        """
        if identity.kind == "os" and request.directory is not None:
            return request
        if request.directory is not None:
            raise errors.Forbidden(
                "`directory` names a folder of the service's machine.",
                hint="Leave it out, and upload the files that the notebook reads.",
            )
        folder = self._files(identity.subject)
        return dataclasses.replace(request, directory=str(folder)) if folder.is_dir() else request

    def missing(self, owner: str, digests: Sequence[str]) -> list[str]:
        """Those of the chunks that have to be sent. Raises BadRequest."""
        return [
            digest for digest in dict.fromkeys(digests) if not _touched(self._chunk(owner, digest))
        ]

    def put(self, owner: str, digest: str, data: bytes) -> None:
        """Keep a chunk. Raises BadRequest, LimitExceeded or SandboxFull."""
        path = self._chunk(owner, digest)
        if len(data) > CHUNK_BYTES:
            raise errors.BadRequest(f"A chunk has at most {CHUNK_BYTES} bytes.")
        if hashlib.sha256(data).hexdigest() != digest:
            raise errors.BadRequest(
                "The chunk's SHA-256 is not the one it was sent under.", hint="Send it again."
            )
        if _touched(path):
            return
        taken = max(BLOCK, len(data))
        used = self._admit(owner, taken)
        with _writing(path) as file:
            file.write(data)
        self._used[owner] = used + taken

    def assemble(self, owner: str, name: str, digests: Sequence[str]) -> dict[str, object]:
        """Make a file of chunks, in the place of one of that name; what it is now.

        Raises BadRequest, Conflict where chunks are missing, LimitExceeded or SandboxFull.
        """
        parts = name.split("/")
        if len(parts) > _DEPTH or not all(_NAME.fullmatch(part) for part in parts):
            raise errors.BadRequest(
                f"{name[:100]!r} can't be a file's name here.",
                hint="Names have up to 100 characters, no backslash, and don't begin with a dot.",
            )
        missing = self.missing(owner, digests)
        if missing:
            raise errors.Conflict(
                f"{len(missing)} chunks of {name} are missing, the first {missing[0]}.",
                hint="Ask which are missing, send those, and try again.",
            )
        chunks = [self._chunk(owner, digest) for digest in digests]
        size = sum(chunk.stat().st_size for chunk in chunks)
        path = self._files(owner).joinpath(*parts)
        folders = sum(not folder.exists() for folder in self._folders(owner, path))
        taken = max(BLOCK, size) + folders * BLOCK
        used = self._admit(owner, taken, frozenset(digests))
        whole = hashlib.sha256()
        before = _taken(path)
        try:
            with _writing(path) as file:
                for chunk in chunks:
                    data = chunk.read_bytes()
                    whole.update(data)
                    file.write(data)
        except errors.PgcellarError:
            # Some of the folders may be there now.
            self._used.pop(owner, None)
            raise
        # What it took the place of counts no more.
        self._used[owner] = used + taken - before
        return {"name": name, "bytes": size, "sha256": whole.hexdigest()}

    def listed(self, owner: str) -> list[dict[str, object]]:
        """The owner's files."""
        root = self._files(owner)
        return [
            {"name": str(path.relative_to(root)), "bytes": path.stat().st_size}
            for path in sorted(root.rglob("*"))
            if path.is_file()
        ]

    def remove(self, owner: str, name: str) -> None:
        """Remove a file. Raises NotFound."""
        parts = name.split("/")
        path = self._files(owner).joinpath(*parts)
        if not all(_NAME.fullmatch(part) for part in parts) or not path.is_file():
            raise errors.NotFound(f"There is no file {name[:100]!r}.")
        used, gone = self._counted(owner), _taken(path)
        path.unlink()
        for folder in self._folders(owner, path):
            try:
                folder.rmdir()
            except OSError:
                break
            gone += BLOCK
        self._used[owner] = used - gone

    def forget(self, owner: str) -> None:
        """Remove all that an owner uploaded."""
        shutil.rmtree(self._home(owner), ignore_errors=True)
        self._used.pop(owner, None)

    def _home(self, owner: str) -> pathlib.Path:
        # A subject could be anything; its digest is a folder's name.
        return self._folder / hashlib.sha256(owner.encode()).hexdigest()[:32]

    def _files(self, owner: str) -> pathlib.Path:
        return self._home(owner) / "files"

    def _chunk(self, owner: str, digest: str) -> pathlib.Path:
        if not _DIGEST.fullmatch(digest):
            raise errors.BadRequest("A chunk's name is its SHA-256 in 64 small hexadecimal digits.")
        return self._home(owner) / "chunks" / digest

    def _admit(self, owner: str, size: int, needed: Collection[str] = ()) -> int:
        """How many bytes an owner has, if so many more may come.

        Raises LimitExceeded or SandboxFull.
        """
        if self._room is not None:
            self._room()
        used = self._counted(owner)
        if used + size > self._most:
            used -= self._drop_stale(owner, used + size - self._most, needed)
        self._used[owner] = used
        if used + size > self._most:
            raise errors.LimitExceeded(
                f"Your files would take more than {self._most >> 20} MiB.",
                hint="Remove files that are not needed any more. Chunks that were sent count too,"
                f" until {STALE_SECONDS / 60:.0f} minutes after they were asked for last.",
            )
        return used

    def _counted(self, owner: str) -> int:
        """How many bytes an owner has; looked through once, as that takes its time."""
        if owner not in self._used:
            return sum(map(_taken, self._home(owner).glob("*/**/*")))
        return self._used[owner]

    def _folders(self, owner: str, path: pathlib.Path) -> list[pathlib.Path]:
        """The folders of an owner's own making that a file lies in, the innermost first."""
        root = self._files(owner)
        return [folder for folder in path.parents if root in folder.parents]

    def _drop_stale(self, owner: str, wanted: int, needed: Collection[str]) -> int:
        """Drop chunks that nobody asked for lately until so many bytes are free; how many are."""
        latest = time.time() - STALE_SECONDS
        found = [(path.stat(), path) for path in (self._home(owner) / "chunks").glob("[0-9a-f]*")]
        freed = 0
        for stat, path in sorted(found, key=lambda each: each[0].st_mtime):
            if freed >= wanted or stat.st_mtime > latest:
                break
            if path.name not in needed:
                path.unlink()
                freed += max(BLOCK, stat.st_size)
        return freed


def _taken(path: pathlib.Path) -> int:
    """The bytes that something takes; none if it is not there, or can't be."""
    try:
        return max(BLOCK, path.lstat().st_size)
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _touched(path: pathlib.Path) -> bool:
    """Whether a chunk is there, which is asked for now."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def _writing(path: pathlib.Path) -> Iterator[BinaryIO]:
    """A file that is there when it is whole. Raises SandboxFull."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            try:
                yield cast(BinaryIO, file)
                file.flush()
                os.replace(file.name, path)
            except BaseException:
                pathlib.Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise errors.SandboxFull("There is no room left for files.") from exc
        raise errors.BadRequest(f"This file can't be kept: {exc.strerror}.") from exc
