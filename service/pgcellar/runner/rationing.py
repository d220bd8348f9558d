"""What a request may use: asked before it begins, so that nothing is half done."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from pgcellar.api import identities, quotas, records

R = TypeVar("R", records.RunRequest, records.PageRequest)


async def admit(kept: quotas.Quotas, who: identities.Identity, request: R) -> R:
    """The request, with no more bytes of results than are left. Raises LimitExceeded."""
    await begin(kept, who)
    left = await kept.left(who, "result_bytes")
    if left >= request.max_bytes:
        return request
    return dataclasses.replace(request, max_bytes=int(left))


async def begin(kept: quotas.Quotas, who: identities.Identity) -> None:
    """Somebody is about to run something. Raises LimitExceeded."""
    await kept.admit(who, "sandboxes")
    await kept.admit(who, "result_bytes")
    await kept.admit(who, "runs_per_minute")
