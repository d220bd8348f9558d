"""The disk that everybody's sandboxes share, of which some has to stay free.

The control database and the audit log are on it, too: people who fill it must not stop those.
"""

from __future__ import annotations

import math
import os
import pathlib
import shutil

from pgcellar.api import errors

_MIB = 1 << 20
#: Files that there must be room for: an empty table is one, and takes next to no bytes.
_FILES = 20_000


class Disk:
    """The file system of a folder. Others than the service's owner leave `least` bytes free."""

    def __init__(self, folder: pathlib.Path, least: int) -> None:
        self._folder = folder
        self._least = least

    @property
    def free(self) -> int:
        """Bytes that are free."""
        return shutil.disk_usage(self._folder).free

    def full(self) -> errors.SandboxFull | None:
        """What somebody is told where too little is free; None where enough is."""
        if not self._least:
            return None
        if self.free < self._least:
            lacking = f"less than {self._least / _MIB:,.0f} MiB free"
        elif self._files() < _FILES:
            lacking = f"room for less than {_FILES:,} files"
        else:
            return None
        return errors.SandboxFull(
            f"The server's disk has {lacking}, and nothing more is put on it.",
            hint="Try again later; whoever runs the server makes room.",
        )

    def _files(self) -> float:
        """How many more there may be; some file systems, as Btrfs, have no such number."""
        found = os.statvfs(self._folder)
        return found.f_favail if found.f_files else math.inf

    def admit(self) -> None:
        """Raises SandboxFull where too little is free."""
        error = self.full()
        if error is not None:
            raise error
