"""How many files, sockets among them, this process may have open: as many as it is let."""

from __future__ import annotations

import contextlib
import resource

#: Those that are not for callers: connections to other servers, logs, the event loop.
_OWN = 256


def room(most: int) -> int:
    """So many connections, or as many as this process may have; it takes what it is let."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS says that there is no limit, and lets nobody have that, but what they name.
    for wanted in (hard, most + _OWN):
        if soft != hard and (soft < wanted or wanted == hard):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                break
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return most
    return max(1, min(most, soft - _OWN))
