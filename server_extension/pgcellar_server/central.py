"""The central gateway: the same API on a port of its own, for people with tokens.

There is no Jupyter Server in it, so that nobody gets at its kernels, terminals and files. Who
somebody is the services find out, from the token that goes on to them; a request without one is
nobody's, and comes to the public routes alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import ipaddress
import json
import logging
import signal
import ssl
from collections.abc import Mapping, Sequence
from http import cookies
from typing import Any

import tornado.httpserver
import tornado.netutil
import tornado.web
import traitlets
import traitlets.config

from pgcellar.api import client, errors, identities, rates
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
#: The cookie of a login at another server that has been begun.
_FLOW = "pgcellar_flow"
#: Seconds for the whole of a request's headers, and for its body.
_HEADER_SECONDS = 30.0
_BODY_SECONDS = 300.0
_MAX_HEADERS = 32 * 1024
#: Bytes of the body of a request without a token: addresses and passwords.
_SMALL_BODY = 64 * 1024
#: Larger bodies that one address may send at once with tokens that are not known to be good.
_STRANGERS_BODIES = 8
#: Seconds that requests get to end when the gateway stops.
_GRACE = 10.0
_METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"


class Gateway(traitlets.config.Application):
    """See the module. Configured by `pgcellar_gateway_config.py` in the working folder."""

    name = "pgcellar-gateway"
    description = "The central gateway: SQL notebooks without hidden state over REST"

    ip = traitlets.Unicode("127.0.0.1", help="The address to listen at.").tag(config=True)
    port = traitlets.Int(8443, min=0, max=65535, help="The port; 0 for any.").tag(config=True)
    certfile = traitlets.Unicode("", help="The certificate; empty for no TLS.").tag(config=True)
    keyfile = traitlets.Unicode("", help="Its key.").tag(config=True)
    trusted_proxies = traitlets.List(
        traitlets.Unicode(),
        help="Networks of proxies whose word for a caller's address is taken, `10.0.0.0/8` say.",
    ).tag(config=True)
    allow_origins = traitlets.List(
        traitlets.Unicode(), help="Origins whose pages may call the API, with tokens."
    ).tag(config=True)
    requests_per_minute = traitlets.Float(
        1200.0, min=0, help="Requests that one person may make in a minute; 0 for any number."
    ).tag(config=True)
    burst = traitlets.Int(200, min=1, help="Requests of one person that may come at once.").tag(
        config=True
    )
    strangers_per_minute = traitlets.Float(
        6000.0,
        min=0,
        help="Requests without a token that one address may make in a minute; a whole class may"
        " share one.",
    ).tag(config=True)
    open_requests = traitlets.Int(
        100,
        min=0,
        help="Requests of one person that may be open at once, followed runs among them; 0 for any"
        " number.",
    ).tag(config=True)
    strangers_open = traitlets.Int(
        500, min=0, help="The same, of one address without a token that is known to be good."
    ).tag(config=True)
    metrics_port = traitlets.Int(
        0, min=0, max=65535, help="TCP port that answers /metrics alone; 0 for none."
    ).tag(config=True)
    metrics_ip = traitlets.Unicode("127.0.0.1", help="The address of that port.").tag(config=True)
    config_file = traitlets.Unicode(
        "pgcellar_gateway_config.py", help="The configuration file."
    ).tag(config=True)

    aliases = {  # noqa: RUF012 - traitlets' own way
        "ip": "Gateway.ip",
        "port": "Gateway.port",
        "certfile": "Gateway.certfile",
        "keyfile": "Gateway.keyfile",
        "config": "Gateway.config_file",
    }

    def initialize(self, argv: Sequence[str] | None = None) -> None:
        """Read the command line, and the configuration file."""
        self.parse_command_line(list(argv) if argv is not None else None)
        given = self.cli_config
        with contextlib.suppress(traitlets.config.loader.ConfigFileNotFound):
            self.load_config_file(self.config_file)
        self.update_config(given)

    def start(self) -> None:
        """Serve until stopped."""
        asyncio.run(self.serve())

    async def serve(self) -> None:
        """See `start`."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        services = client.Client()
        ceilings = limits.Ceiling(self.open_requests), limits.Ceiling(self.strangers_open)
        counts = counting.Counts(lambda: sum(each.total for each in ceilings))
        server = tornado.httpserver.HTTPServer(
            self.application(services, *ceilings, counts),
            ssl_options=self._tls(),
            max_body_size=_SMALL_BODY,
            max_buffer_size=operating.MAX_BODY + _MAX_HEADERS + 1,
            max_header_size=_MAX_HEADERS,
            idle_connection_timeout=_HEADER_SECONDS,
            body_timeout=_BODY_SECONDS,
        )
        sockets = tornado.netutil.bind_sockets(self.port, self.ip)
        server.add_sockets(sockets)
        scheme = "https" if self.certfile else "http"
        at = sockets[0].getsockname()[1]
        monitored = counts.listen(self.metrics_port, self.metrics_ip) if self.metrics_port else None
        print(f"serving at {scheme}://{self.ip}:{at}{ROOT}", flush=True)
        await stopping.wait()
        server.stop()
        if monitored is not None:
            monitored.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await server.close_all_connections()
        services.close()

    def application(
        self,
        services: forwarding.Services,
        known_open: limits.Ceiling,
        strangers_open: limits.Ceiling,
        counts: counting.Counts,
    ) -> tornado.web.Application:
        """The routes over some services."""
        origins = frozenset(self.allow_origins)
        proxies = tuple(ipaddress.ip_network(each) for each in self.trusted_proxies)
        strangers = max(self.burst, int(self.strangers_per_minute / 10))
        given = {
            "services": services,
            "known": rates.RateLimiter(self.requests_per_minute, self.burst),
            "strangers": rates.RateLimiter(self.strangers_per_minute, strangers),
            "taken": limits.Known(),
            "known_open": known_open,
            "strangers_open": strangers_open,
            "strangers_bodies": limits.Ceiling(_STRANGERS_BODIES),
        }

        def answered(handler: tornado.web.RequestHandler) -> None:
            _count(counts, handler)
            _log(handler)

        return tornado.web.Application(
            [
                ("/healthz", Health),
                (f"{ROOT}/openapi.json", Document),
                (f"{ROOT}/?", Page),
                *(
                    (ROOT + pattern, Operation, {**given, "operations": operations})
                    for pattern, operations in routes.table(people_routes.ALL).items()
                ),
            ],
            default_handler_class=Missing,
            log_function=answered,
            pgcellar_origins=origins,
            pgcellar_proxies=proxies,
        )

    def _tls(self) -> ssl.SSLContext | None:
        if not self.certfile:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certfile, self.keyfile or None)
        return context


class _Handler(operating.Problems):
    def set_default_headers(self) -> None:
        """Pages of other origins get at it where the settings say so; nothing is sniffed."""
        self.set_header("X-Content-Type-Options", "nosniff")
        self.clear_header("Server")
        origin = self.request.headers.get("Origin")
        if origin is not None and origin in self.settings["pgcellar_origins"]:
            self.set_header("Access-Control-Allow-Origin", origin)
            self.set_header("Vary", "Origin")
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
            logger.error("%s %s", self.request.method, self.request.path, exc_info=info[1])

    @property
    def address(self) -> str:
        """Where the request is from; what proxies say of it is taken from those we trust."""
        return addresses.caller(
            self.request.remote_ip or "",
            self.request.headers.get("X-Forwarded-For", ""),
            self.settings["pgcellar_proxies"],
        )


@tornado.web.stream_request_body
class Operation(operating.Operating, _Handler):
    """The routes of one path.

    Who asks is looked at when the headers are there: strangers send no large bodies, and what is
    refused is told when a body has been read, or its sender would not hear it.
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
        operations: Mapping[str, routes.Route],
    ) -> None:
        """See `Gateway.application`."""
        self._body_parts: list[bytes] = []
        self._sending = contextlib.ExitStack()
        self.strangers_bodies = strangers_bodies
        self.services = services
        self.known_open = known_open
        self.strangers_open = strangers_open
        self.known = known
        self.strangers = strangers
        self.taken = taken
        self.operations = operations

    def prepare(self) -> None:
        """Count the request, and say how long its body may be."""
        if self.request.method == "OPTIONS":
            return
        try:
            self._admit()
        except errors.PgcellarError as exc:
            self._refusal = exc

    def _admit(self) -> None:
        """Raises Unauthenticated, LimitExceeded."""
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
            if self._is_large():
                where = addresses.bucket(self.address)
                self._sending.enter_context(self.strangers_bodies.held(f"from {where}"))
        # Tornado's types know only what is common to connections; those of its server have this.
        self.request.connection.set_max_body_size(operating.MAX_BODY + 1)  # type: ignore[union-attr]
        if subject is not None:
            # However many tokens they have.
            self.known.admit(f"of {subject}")

    def _is_large(self) -> bool:
        """Whether the body is too long for a stranger, or may be."""
        length = self.request.headers.get("Content-Length", "0")
        return "Transfer-Encoding" in self.request.headers or not (
            length.isdecimal() and int(length) <= _SMALL_BODY
        )

    def data_received(self, chunk: bytes) -> None:
        """A part of the body."""
        self._body_parts.append(chunk)

    def on_finish(self) -> None:
        """The answer is given."""
        self._sending.close()

    def on_connection_close(self) -> None:
        """Nobody sends or reads any more."""
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
        if self._refusal is not None:
            raise self._refusal
        self.request.body = b"".join(self._body_parts)
        self._body_parts.clear()
        with self._open():
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
                morsel["secure"] = self.request.protocol == "https"
                self.add_header("Set-Cookie", morsel.OutputString())


class Document(_Handler):
    """The OpenAPI document."""

    def get(self) -> None:
        """As JSON."""
        self.write(_document())
        self.conclude("application/json")


class Page(_Handler):
    """The same for people."""

    def get(self) -> None:
        """As a page without scripts."""
        policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        self.set_header("Content-Security-Policy", policy)
        self.write(openapi.page(ROOT, people_routes.ALL))
        self.conclude("text/html; charset=utf-8")


class Health(_Handler):
    """For whoever keeps it running."""

    def get(self) -> None:
        """200 while the gateway runs."""
        self.write('{"status": "ok"}')
        self.conclude("application/json")


class Missing(_Handler):
    """Every path that is no route."""

    def prepare(self) -> None:
        """Answer 404, as a problem document."""
        if self.request.method != "OPTIONS":
            raise errors.NotFound(f"There is nothing at {self.request.path}.")


@functools.cache
def _document() -> str:
    """Made once: strangers may ask for it as often as they like."""
    return json.dumps(openapi.document(ROOT, people_routes.ALL, people_schemas.ALL))


def _digest(shown: str) -> str:
    return hashlib.sha256(shown.encode("utf-8", "replace")).hexdigest()


def _count(counts: counting.Counts, handler: tornado.web.RequestHandler) -> None:
    """By the route's template, since a path is whatever somebody asks for."""
    request, route = handler.request, counting.OTHER
    method = request.method or ""
    if isinstance(handler, Operation) and method in handler.operations:
        route = handler.operations[method].path
    elif isinstance(handler, Document | Page | Health):
        route = type(handler).__name__.lower()
    counts.answered(method, route, handler.get_status(), request.request_time())


def _log(handler: tornado.web.RequestHandler) -> None:
    """One line for a request: never its query nor its headers, which may have secrets."""
    request = handler.request
    logger.info(
        "%s %s %s %.1f ms",
        request.method,
        request.path,
        handler.get_status(),
        request.request_time() * 1000,
    )


def main() -> None:
    """`pgcellar-gateway`."""
    Gateway.launch_instance()
