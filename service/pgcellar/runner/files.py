"""Files that cells read: confined to the notebook's folder, known by their content's digest."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import stat
from collections.abc import Iterator
from typing import BinaryIO

from pgcellar.api import errors
from pgcellar.notebook import copying

_BLOCK = 1 << 20
#: A file's identity and the digest of its content; the content is read again if any part differs.
_Stamp = tuple[int, int, int, int, int]


class Files:
    """Finds files and remembers their digests while they don't change."""

    def __init__(self) -> None:
        self._digests: dict[pathlib.Path, tuple[_Stamp, str]] = {}

    def digest(self, directory: str | None, command: str) -> str:
        """The digest of the file a `\\copy` reads.

        Raises FileRefused if it can't be read, or lies outside of the notebook's folder.
        """
        parsed = copying.parse(command)
        if isinstance(parsed, copying.Refusal):
            return ""
        with self.open(directory, parsed.file) as (path, file):
            info = os.fstat(file.fileno())
            stamp = (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
            known = self._digests.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            hashed = hashlib.sha256()
            while block := file.read(_BLOCK):
                hashed.update(block)
            self._digests[path] = (stamp, hashed.hexdigest())
            return hashed.hexdigest()

    @contextlib.contextmanager
    def open(self, directory: str | None, name: str) -> Iterator[tuple[pathlib.Path, BinaryIO]]:
        """Open a file of the notebook's folder for reading. Raises FileRefused."""
        if directory is None:
            raise errors.FileRefused(
                f"{name}: this notebook has no folder to read files from.",
                hint="Save the notebook first; files lie beside it.",
            )
        try:
            folder = pathlib.Path(directory).resolve()
            path = (folder / name).resolve()
        except (OSError, RuntimeError, ValueError) as exc:
            # A loop of links; a name with a character that no file's can have.
            raise errors.FileRefused(
                f"{name!r} is no file's name here: {exc}.",
                hint="File names count from the notebook's folder.",
            ) from exc
        if not path.is_relative_to(folder):
            raise errors.FileRefused(
                f"{name} lies outside of the notebook's folder {folder}.",
                hint="Copy the file into that folder.",
            )
        try:
            # The path is resolved, so its last part can't be a link any more; if it became one in
            # the meantime, somebody is playing tricks.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as exc:
            raise errors.FileRefused(
                f"{path}: {exc.strerror or exc}.",
                hint="File names count from the notebook's folder.",
            ) from exc
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise errors.FileRefused(f"{path} is not a regular file.")
        with os.fdopen(handle, "rb") as file:
            yield path, file
