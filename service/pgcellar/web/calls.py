"""The request that is being answered, for those who are not handed it: audit, traces and logs."""

from __future__ import annotations

import contextvars
import dataclasses

import tornado.httputil

from pgcellar.api import identities
from pgcellar.web import authentication


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """Who asks, from where, and as part of which trace (W3C's header `traceparent`)."""

    identity: identities.Identity
    address: str
    traceparent: str | None


current: contextvars.ContextVar[Call | None] = contextvars.ContextVar("call", default=None)
#: The id of the run that this task works for.
run: contextvars.ContextVar[str | None] = contextvars.ContextVar("run", default=None)


def begin(request: tornado.httputil.HTTPServerRequest, identity: identities.Identity) -> None:
    """From here on this task, and those it starts, work for a request."""
    traceparent = request.headers.get("traceparent")
    address = authentication.address(request)
    current.set(Call(identity=identity, address=address, traceparent=traceparent))
