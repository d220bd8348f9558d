"""Turns what goes wrong around PostgreSQL into pgcellar's errors, in one place."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from pgcellar.api import errors

#: What the C library calls a full disk; PostgreSQL passes it on, and we run it untranslated.
_FULL = ("No space left on device", "Disk quota exceeded")
_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_FULL_HINT = "Free some disk space, or set PGCELLAR_HOME to a folder on a larger disk."


def failure(what: str, output: str = "", *, hint: str | None = None) -> errors.PgcellarError:
    """SandboxFull if a program's `output` says so, else PostgresFailed; `what` comes first."""
    message = "\n".join(filter(None, (what, output.strip())))
    if any(phrase in output for phrase in _FULL):
        return errors.SandboxFull(message, hint=_FULL_HINT)
    return errors.PostgresFailed(message, hint=hint)


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """OSError becomes SandboxFull where the disk is full, else PostgresFailed."""
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL_ERRNOS:
            raise errors.SandboxFull(f"{what}: {exc}", hint=_FULL_HINT) from exc
        raise errors.PostgresFailed(f"{what}: {exc}") from exc
