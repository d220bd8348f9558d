"""Where entries wait while the control database is down: a file, synced before anybody goes on.

One line an entry, in order. The file is emptied when all of it is in the database; whoever is
killed before that writes some of it again, and the entries' ids tell.
"""

from __future__ import annotations

import logging
import os
import pathlib
from collections.abc import Sequence

from pgcellar.audit import chain

logger = logging.getLogger(__name__)


class Spool:
    """See the module. One process has it; calls don't overlap. Blocking."""

    def __init__(self, path: pathlib.Path, *, max_bytes: int) -> None:
        self._path = path
        self.max_bytes = max_bytes
        self._read = 0
        self._size = 0
        self.count = 0

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._size - self._read

    def open(self) -> None:
        """Find what an earlier process left. A last line without its end was never promised."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        with open(handle, "r+b") as file:
            content = file.read()
            self._size = content.rfind(b"\n") + 1
            file.truncate(self._size)
        self.count = content.count(b"\n")

    def room(self, lines: Sequence[bytes]) -> bool:
        """Whether the bound lets these lines in."""
        return self.size + sum(map(len, lines)) <= self.max_bytes

    def append(self, lines: Sequence[bytes]) -> None:
        """Add lines, each with its newline; on return the disk has them. Raises OSError."""
        with self._path.open("r+b") as file:
            # What a failed attempt left behind is written over.
            file.seek(self._size)
            file.writelines(lines)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
            self._size = file.tell()
        self.count += len(lines)

    def first(self, count: int) -> tuple[list[chain.Entry], int]:
        """The entries of the first lines that wait, and how many bytes those are."""
        entries: list[chain.Entry] = []
        size = 0
        with self._path.open("rb") as file:
            file.seek(self._read)
            while len(entries) < count and self._read + size < self._size:
                line = file.readline()
                size += len(line)
                try:
                    entries.append(chain.parse(line))
                except ValueError:
                    self._put_aside(line)
        return entries, size

    def drop(self, size: int) -> None:
        """Forget that many bytes: the database has them."""
        self._read += size
        with self._path.open("r+b") as file:
            if self._read >= self._size:
                file.truncate(0)
                os.fsync(file.fileno())
                self._read = self._size = self.count = 0
            else:
                file.seek(self._read)
                self.count = file.read(self._size - self._read).count(b"\n")

    def _put_aside(self, line: bytes) -> None:
        """A line that was changed on the disk must neither be lost nor hold up the others."""
        aside = self._path.with_suffix(".damaged")
        logger.error("a line of %s is damaged; it is kept in %s", self._path, aside)
        with aside.open("ab") as file:
            file.write(line)
