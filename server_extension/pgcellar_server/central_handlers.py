"""The central gateway's handlers: whose request it is, how much of it is read, what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import logging
from collections.abc import Mapping
from http import cookies
from typing import Any

import tornado.web

from pgcellar.api import errors, identities, loglines, rates
from pgcellar_server import (
    addresses,
    counting,
    forwarding,
    limits,
    openapi,
    operating,
    people_routes,
    people_schemas,
    routes,
)

logger = logging.getLogger(__name__)

ROOT = "/pgcellar/api/v1"
#: Bytes of the body of a request without a token: addresses and passwords.
SMALL_BODY = 64 * 1024
#: For Tornado: we look ourselves. And digits of a length that are looked at.
_ANY = 1 << 62
_DIGITS = 18
#: The cookie of a login at another server that has been begun.
_FLOW = "pgcellar_flow"
_METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"


@tornado.web.stream_request_body
class Handler(operating.Problems):
    """What all handlers of the central gateway share.

    How long a body may be is looked at when the headers are there, and again as it comes: what is
    too long is answered before it is read, and the connection closed. Tornado itself would answer
    without a word of why.
    """

    #: By which requests are counted: a short name, or a route's template.
    route = counting.OTHER
    #: Bytes that the body may have, and those that came.
    most = SMALL_BODY
    _came = 0
    _has_arrived = False
    _waiting: asyncio.TimerHandle | None = None

    def prepare(self) -> None:
        """Raises HTTPError 413."""
        # Tornado's types know only what is common to connections; those of its server have this.
        self.request.connection.set_max_body_size(_ANY)  # type: ignore[union-attr]
        length = self.request.headers.get("Content-Length", "")
        if length.isdecimal() and (len(length) > _DIGITS or int(length) > self.most):
            raise self._too_large()
        if length not in ("", "0") or "Transfer-Encoding" in self.request.headers:
            seconds: float = self.settings["pgcellar_body_seconds"]
            loop = asyncio.get_running_loop()
            self._waiting = loop.call_later(seconds, self._too_slow, seconds)

    def data_received(self, chunk: bytes) -> None:
        """A part of the body. One that did not say its length may be cut off."""
        self._came += len(chunk)
        if self._came <= self.most:
            self.take(chunk)
        elif not self._finished:
            refused = self._too_large()
            self.send_error(413, exc_info=(type(refused), refused, None))

    def take(self, chunk: bytes) -> None:
        """A part of a body that is not too long; most handlers want none."""

    def arrived(self) -> None:
        """All of the body came, or no more of it is waited for."""
        self._has_arrived = True
        if self._waiting is not None:
            self._waiting.cancel()

    def on_finish(self) -> None:
        """The answer is given."""
        self.arrived()

    def on_connection_close(self) -> None:
        """Nobody sends or reads any more."""
        self.arrived()
        super().on_connection_close()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Tornado closes a connection on which an answer came before all of the request did. Who is
        not told sends the next request into it."""
        if not self._has_arrived:
            self.set_header("Connection", "close")
        super().write_error(status_code, **kwargs)

    def _too_slow(self, seconds: float) -> None:
        if not self._finished:
            told = f"The request's body did not come within {seconds:g} s."
            refused = tornado.web.HTTPError(408, told)
            self.send_error(408, exc_info=(type(refused), refused, None))

    def _too_large(self) -> tornado.web.HTTPError:
        without = " without a token that is known" if self.most == SMALL_BODY else ""
        return tornado.web.HTTPError(413, f"A request{without} has at most {self.most} bytes.")

    def set_default_headers(self) -> None:
        """Pages of other origins get at it where the settings say so; nothing is sniffed."""
        self.set_header("X-Content-Type-Options", "nosniff")
        self.clear_header("Server")
        origin, allowed = self.request.headers.get("Origin"), self.settings["pgcellar_origins"]
        if allowed:
            # Of those too that are not: a cache must not give one the answer for another.
            self.set_header("Vary", "Origin")
        if origin is not None and origin in allowed:
            self.set_header("Access-Control-Allow-Origin", origin)
            self.set_header("Access-Control-Expose-Headers", ", ".join(forwarding.RETURNED))

    def options(self, **_: str) -> None:
        """What a browser asks before it lets a page of another origin call."""
        if "Access-Control-Allow-Origin" in self._headers:
            self.set_header("Access-Control-Allow-Methods", _METHODS)
            allowed = ", ".join((*forwarding.PASSED, "Authorization"))
            self.set_header("Access-Control-Allow-Headers", allowed)
            self.set_header("Access-Control-Max-Age", "600")
        self.set_status(204)
        self.finish()

    def log_exception(self, *info: Any) -> None:
        """Errors of ours are answers; only what nobody foresaw is logged, without the query."""
        if not isinstance(info[1], (errors.PgcellarError, tornado.web.HTTPError)):
            logger.error(
                "%s %s",
                self.request.method,
                self.request.path,
                exc_info=info[1],
                extra={loglines.ABOUT: self.about()},
            )

    def about(self) -> dict[str, str]:
        """What a line of the log has besides: the run and the trace that the request is about."""
        made = self._headers.get("Location", "").rpartition("/")[2]
        run = getattr(self, "path_kwargs", {}).get("run") or made
        found = {"run": run, "trace": loglines.trace(self.request.headers.get("Traceparent"))}
        return {name: value for name, value in found.items() if value}

    @property
    def address(self) -> str:
        """Where the request is from; what proxies say of it is taken from those we trust."""
        return addresses.caller(
            self.request.remote_ip or "",
            self.request.headers.get("X-Forwarded-For", ""),
            self.settings["pgcellar_proxies"],
        )

    @property
    def secure(self) -> bool:
        """Whether who asks does so over TLS, which may end at a proxy that we trust."""
        return self.request.protocol == "https" or addresses.secure(
            self.request.remote_ip or "",
            self.request.headers.get("X-Forwarded-Proto", ""),
            self.settings["pgcellar_proxies"],
        )


class Operation(operating.Operating, Handler):
    """The routes of one path.

    Who asks is looked at when the headers are there: strangers send no large bodies. What is
    refused is told when a small body has been read, so that the connection stays, and at once
    instead of reading a large one.
    """

    _refusal: errors.PgcellarError | None = None

    def initialize(
        self,
        services: forwarding.Services,
        known: rates.RateLimiter,
        strangers: rates.RateLimiter,
        taken: limits.Known,
        known_open: limits.Ceiling,
        strangers_open: limits.Ceiling,
        strangers_bodies: limits.Ceiling,
        room: limits.Room,
        operations: Mapping[str, routes.Route],
    ) -> None:
        """See `central.Gateway.application`."""
        self._body_parts: list[bytes] = []
        self._sending = contextlib.ExitStack()
        self.strangers_bodies = strangers_bodies
        self.room = room
        self.services = services
        self.known_open = known_open
        self.strangers_open = strangers_open
        self.known = known
        self.strangers = strangers
        self.taken = taken
        self.operations = operations
        # Methods of one path share its template, those too that it does not have.
        self.route = next(iter(operations.values())).path

    def prepare(self) -> None:
        """Count the request, and say how long its body may be. Raises HTTPError 413."""
        if self.request.method != "OPTIONS":
            try:
                self._admit()
            except errors.PgcellarError as exc:
                if self._is_large():
                    raise
                self._refusal = exc
        super().prepare()

    def _admit(self) -> None:
        """Find out how much may be sent. Raises Unauthenticated, LimitExceeded."""
        route = self.operations.get(self.request.method or "")
        shown = self.request.headers.get_list("Authorization")
        if len(shown) != 1:
            self._admit_stranger()
            if route is not None and not route.public:
                raise errors.Unauthenticated(
                    "This request shows no access token.",
                    hint="Send `Authorization: Bearer TOKEN`.",
                )
            return
        subject = self.taken.subject(_digest(shown[0]))
        if subject is None:
            # Perhaps one of many guesses.
            self._admit_stranger()
            caller = f"from {addresses.bucket(self.address)}"
        else:
            # However many tokens they have.
            caller = f"of {subject}"
            self.known.admit(caller)
        self.most = operating.MAX_BODY
        if self._is_large():
            if subject is None:
                self._sending.enter_context(self.strangers_bodies.held(caller))
            self._sending.enter_context(self.room.held(caller, self._length()))

    def _is_large(self) -> bool:
        """Whether the body is too long for a stranger, or may be."""
        return self._length() > SMALL_BODY

    def _length(self) -> int:
        """How long the body is, or may be."""
        length = self.request.headers.get("Content-Length", "0")
        said = length.isdecimal() and len(length) <= _DIGITS
        if said and "Transfer-Encoding" not in self.request.headers:
            return min(int(length), operating.MAX_BODY)
        return operating.MAX_BODY

    def take(self, chunk: bytes) -> None:
        """See `Handler`."""
        self._body_parts.append(chunk)

    def on_finish(self) -> None:
        """See `Handler`."""
        self._sending.close()
        super().on_finish()

    def on_connection_close(self) -> None:
        """See `Handler`."""
        self._sending.close()
        super().on_connection_close()

    def _admit_stranger(self) -> None:
        self.strangers.admit(f"from {addresses.bucket(self.address)}")

    def _start(self, status: int, headers: Mapping[str, str]) -> None:
        """What the services answer says whether they took the token."""
        route = self.operations.get(self.request.method or "")
        shown = self.request.headers.get_list("Authorization")
        if len(shown) == 1 and route is not None and not route.public:
            subject = headers.get(identities.SUBJECT)
            self.taken.answered(_digest(shown[0]), status, subject)
        super()._start(status, headers)

    def _open(self) -> contextlib.AbstractContextManager[None]:
        """Hold a place among the requests that this caller may have open."""
        shown = self.request.headers.get_list("Authorization")
        subject = self.taken.subject(_digest(shown[0])) if len(shown) == 1 else None
        if subject is not None:
            return self.known_open.held(f"of {subject}")
        return self.strangers_open.held(f"from {addresses.bucket(self.address)}")

    async def _operate(self, **parameters: str) -> None:
        self.arrived()
        if self._refusal is not None:
            raise self._refusal
        self.request.body = b"".join(self._body_parts)
        self._body_parts.clear()
        # What is broken off comes to no `on_finish`.
        with self._sending, self._open():
            await self.operate(parameters)

    get = post = put = patch = delete = _operate

    def said(self) -> Mapping[str, str]:
        """See `operating.Operating`."""
        found = {identities.STRANGER: "1", identities.ADDRESS: self.address}
        if "Authorization" in self.request.headers:
            found["Authorization"] = self.request.headers["Authorization"]
        route = self.operations[self.request.method or ""]
        flow = self.get_cookie(_FLOW) if route.cookies else None
        if flow is not None:
            found[forwarding.COOKIE] = f"{_FLOW}={flow}"
        return found

    def cookie(self, value: str) -> None:
        """Pass the services' cookie on; over TLS it comes back over TLS alone."""
        if self.operations[self.request.method or ""].cookies:
            made = cookies.SimpleCookie(value)
            for morsel in made.values():
                morsel["secure"] = self.secure
                self.add_header("Set-Cookie", morsel.OutputString())


class Anybodys(Handler):
    """What is answered without asking who it is; it counts as a stranger's request all the same."""

    def answer(self) -> None:
        """Answer a GET."""
        self.refuse()

    def refuse(self) -> None:
        """Answer any other method. Raises HTTPError 405."""
        self.set_header("Allow", "GET, OPTIONS")
        raise tornado.web.HTTPError(405, "This can't be done here.")

    def _read(self) -> None:
        self._admit()
        self.answer()

    def _other(self) -> None:
        self._admit()
        self.refuse()

    def _admit(self) -> None:
        # Not before the request has been read: that would cost its connection.
        self.arrived()
        strangers: rates.RateLimiter = self.settings["pgcellar_strangers"]
        strangers.admit(f"from {addresses.bucket(self.address)}")

    get = _read
    head = post = put = patch = delete = _other


class Document(Anybodys):
    """The OpenAPI document."""

    route = "document"

    def answer(self) -> None:
        """As JSON."""
        self.write(_document())
        self.conclude("application/json")


class Page(Anybodys):
    """The same for people."""

    route = "page"

    def answer(self) -> None:
        """As a page without scripts."""
        policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        self.set_header("Content-Security-Policy", policy)
        self.write(openapi.page(ROOT, people_routes.ALL))
        self.conclude("text/html; charset=utf-8")


class Health(Handler):
    """For whoever keeps it running."""

    route = "health"

    def get(self) -> None:
        """200 while the gateway runs."""
        self.write('{"status": "ok"}')
        self.conclude("application/json")


class Missing(Anybodys):
    """Every path that is no route."""

    def answer(self) -> None:
        """Raises NotFound."""
        raise errors.NotFound(f"There is nothing at {self.request.path}.")

    refuse = answer


@functools.cache
def _document() -> str:
    """Made once: strangers may ask for it as often as they like."""
    return json.dumps(openapi.document(ROOT, people_routes.ALL, people_schemas.ALL))


def _digest(shown: str) -> str:
    return hashlib.sha256(shown.encode("utf-8", "replace")).hexdigest()
