"""The service client: a request goes on to the services, and the answer back as it comes."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import tornado.httputil

from pgcellar.api import identities, transport

#: What a request is a part of (W3C Trace Context).
TRACEPARENT = "Traceparent"
#: What a caller may say to the services besides path and body.
PASSED = (
    "Accept",
    "Content-Type",
    transport.KEY,
    "If-None-Match",
    "Last-Event-ID",
    TRACEPARENT,
)
#: What the services may say to a caller.
RETURNED = (
    "Cache-Control",
    "Content-Disposition",
    "Content-Type",
    "ETag",
    "Location",
    "Retry-After",
    "Vary",
    "X-Accel-Buffering",
)
#: What binds a login to a browser, for routes that say so.
COOKIE = "Cookie"
SET_COOKIE = "Set-Cookie"


class Services(Protocol):
    """What forwards: `pgcellar.api.client.Client`, say."""

    async def forward(
        self,
        method: str,
        path: str,
        body: bytes | None,
        take: transport.OnChunk,
        *,
        headers: Mapping[str, str],
        on_start: transport.OnStart,
    ) -> int:
        """Send a request; the answer's status. Raises PgcellarError."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request for the services."""

    method: str
    path: str
    body: bytes | None
    headers: Mapping[str, str]


#: Takes the answer's status and headers.
Start = Callable[[int, Mapping[str, str]], None]


def headers(request: tornado.httputil.HTTPServerRequest) -> dict[str, str]:
    """The headers of a caller's request that go on."""
    return {name: request.headers[name] for name in PASSED if name in request.headers}


async def forward(
    services: Services,
    request: Request,
    start: Start,
    take: Callable[[bytes], Awaitable[None]],
) -> None:
    """Forward a request; cancelling the task tells the services that nobody reads any more.

    Raises PgcellarError where the services did not answer.
    """

    def begin(status: int, found: tornado.httputil.HTTPHeaders) -> None:
        taken = (*RETURNED, SET_COOKIE, identities.SUBJECT)
        start(status, {name: found[name] for name in taken if name in found})

    await services.forward(
        request.method,
        request.path,
        request.body,
        take,
        headers=request.headers,
        on_start=begin,
    )
