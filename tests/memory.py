"""Where servers of tests lie: a third of what tests take is the disk's, and few are about it."""

from __future__ import annotations

import os
import pathlib
import shutil

_SHARED = pathlib.Path("/dev/shm")


def folder(needed: int) -> pathlib.Path | None:
    """A folder in memory with so many bytes of room, and in which programs run; or None."""
    if not os.access(_SHARED, os.W_OK) or shutil.disk_usage(_SHARED).free < needed:
        return None
    return None if os.statvfs(_SHARED).f_flag & os.ST_NOEXEC else _SHARED
