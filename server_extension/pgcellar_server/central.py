"""The central gateway: the same API on a port of its own, for people with tokens.

There is no Jupyter Server in it, so that nobody gets at its kernels, terminals and files. Who
somebody is the services find out, from the token that goes on to them; a request without one is
nobody's, and comes to the public routes alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
import ssl
import sys
from collections.abc import Sequence
from typing import Any

import tornado.netutil
import tornado.web
import traitlets
import traitlets.config

from pgcellar.api import client, descriptors, errors, loglines, rates
from pgcellar.api import traces as tracing
from pgcellar_server import (
    addresses,
    central_handlers,
    counting,
    distant,
    doors,
    forwarding,
    limits,
    operating,
    people_routes,
    routes,
    watching,
)

#: Seconds more for a body until the connection is closed without an answer.
_MORE_SECONDS = 10.0
_MAX_HEADERS = 32 * 1024
#: Larger bodies that one address may send at once with tokens that are not known to be good.
_STRANGERS_BODIES = 8
#: Seconds that requests get to end when the gateway stops.
_GRACE = 10.0


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
        help="Networks of proxies, `10.0.0.0/8` say, whose word is taken for a caller's address,"
        " and for whether they come by TLS.",
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
    connections = traitlets.Int(
        10_000, min=1, help="Connections that may be open at once; what is more is closed."
    ).tag(config=True)
    connections_each = traitlets.Int(
        2500,
        min=0,
        help="The same, of one address that is no trusted proxy's; a whole class may share one. 0"
        " for any number.",
    ).tag(config=True)
    header_seconds = traitlets.Float(
        30.0, help="Seconds for all of a request's headers, and between two requests."
    ).tag(config=True)
    body_seconds = traitlets.Float(300.0, help="Seconds for all of a request's body.").tag(
        config=True
    )
    reader_seconds = traitlets.Float(
        operating.READER_SECONDS,
        help="Seconds for which who reads an answer may take nothing of it; then it is closed.",
    ).tag(config=True)
    body_bytes = traitlets.Int(
        512 << 20,
        min=4 * operating.MAX_BODY,
        help="Bytes of large bodies that the gateway holds at once, a quarter of one person; what"
        " is more is refused.",
    ).tag(config=True)
    service_url = traitlets.Unicode(
        "",
        help="The service's port, `https://HOST:PORT`, where the gateway runs on another machine or"
        " as another user; empty for its own user's.",
    ).tag(config=True)
    service_authority = traitlets.Unicode(
        "", help="The authority of the service's certificate, and of the gateway's."
    ).tag(config=True)
    service_certfile = traitlets.Unicode(
        "", help="The certificate that the gateway shows the service."
    ).tag(config=True)
    service_keyfile = traitlets.Unicode("", help="Its key.").tag(config=True)
    metrics_port = traitlets.Int(
        0, min=0, max=65535, help="TCP port that answers /metrics alone; 0 for none."
    ).tag(config=True)
    metrics_ip = traitlets.Unicode("127.0.0.1", help="The address of that port.").tag(config=True)
    log_lines = traitlets.Enum(["text", "json"], "text", help="The form of the gateway's log.").tag(
        config=True
    )
    traces = traitlets.Unicode(
        "", help="URL of a collector that takes OTLP over HTTP; empty for no traces."
    ).tag(config=True)
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
        """Serve until stopped. Settings that can't be are told, and end it."""
        form: Any = self.log_lines
        loglines.configure(form, os.environ.get("PGCELLAR_LOG", "INFO"), dict)
        try:
            asyncio.run(self.serve())
        except errors.PgcellarError as exc:
            sys.exit(exc.message if exc.hint is None else f"{exc.message}\n{exc.hint}")

    async def serve(self) -> None:
        """See `start`."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        services = self._services()
        spans = tracing.to(self.traces, self.name)
        ceilings = limits.Ceiling(self.open_requests), limits.Ceiling(self.strangers_open)
        counts = counting.Counts(lambda: sum(each.total for each in ceilings), lambda: server.total)
        server = doors.Door(
            self.application(services, *ceilings, counts, spans),
            most=descriptors.room(self.connections),
            each=self.connections_each,
            bucket=self._bucket,
            ssl_options=self._tls(),
            max_buffer_size=operating.MAX_BODY + _MAX_HEADERS + 1,
            # Until a handler has seen the headers.
            max_body_size=central_handlers.SMALL_BODY,
            max_header_size=_MAX_HEADERS,
            idle_connection_timeout=self.header_seconds,
            body_timeout=self.body_seconds + _MORE_SECONDS,
        )
        sockets = tornado.netutil.bind_sockets(self.port, self.ip)
        server.add_sockets(sockets)
        scheme = "https" if self.certfile else "http"
        at = sockets[0].getsockname()[1]
        monitored = counts.listen(self.metrics_port, self.metrics_ip) if self.metrics_port else None
        print(f"serving at {scheme}://{self.ip}:{at}{central_handlers.ROOT}", flush=True)
        await stopping.wait()
        server.stop()
        if monitored is not None:
            monitored.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await server.close_all_connections()
        services.close()
        spans.close()

    def application(
        self,
        services: forwarding.Services,
        known_open: limits.Ceiling,
        strangers_open: limits.Ceiling,
        counts: counting.Counts,
        spans: tracing.Traces,
    ) -> tornado.web.Application:
        """The routes over some services."""
        origins = frozenset(self.allow_origins)
        strangers = max(self.burst, int(self.strangers_per_minute / 10))
        counted = rates.RateLimiter(self.strangers_per_minute, strangers)
        given = {
            "services": services,
            "known": rates.RateLimiter(self.requests_per_minute, self.burst),
            "strangers": counted,
            "taken": limits.Known(),
            "known_open": known_open,
            "strangers_open": strangers_open,
            "strangers_bodies": limits.Ceiling(_STRANGERS_BODIES),
            "room": limits.Room(self.body_bytes),
        }

        return tornado.web.Application(
            [
                ("/healthz", central_handlers.Health),
                (f"{central_handlers.ROOT}/openapi.json", central_handlers.Document),
                (f"{central_handlers.ROOT}/?", central_handlers.Page),
                *(
                    (
                        central_handlers.ROOT + pattern,
                        central_handlers.Operation,
                        {**given, "operations": operations},
                    )
                    for pattern, operations in routes.table(people_routes.ALL).items()
                ),
            ],
            default_handler_class=central_handlers.Missing,
            log_function=watching.Watching(counts).answered,
            pgcellar_origins=origins,
            pgcellar_proxies=self._proxies(),
            pgcellar_body_seconds=self.body_seconds,
            pgcellar_strangers=counted,
            pgcellar_traces=spans,
            pgcellar_reader_seconds=self.reader_seconds,
        )

    def _bucket(self, peer: str) -> str | None:
        proxied = addresses.trusted(peer, self._proxies())
        return None if proxied else addresses.bucket(peer)

    def _proxies(self) -> Sequence[addresses.Network]:
        return tuple(ipaddress.ip_network(each) for each in self.trusted_proxies)

    def _services(self) -> client.Client | distant.Distant:
        if not self.service_url:
            return client.Client()
        return distant.Distant(
            self.service_url,
            authority=self.service_authority,
            certfile=self.service_certfile,
            keyfile=self.service_keyfile,
        )

    def _tls(self) -> ssl.SSLContext | None:
        if not self.certfile:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.certfile, self.keyfile or None)
        except OSError as exc:
            raise errors.BadRequest(
                f"The gateway's certificate can't be read: {exc}",
                hint="c.Gateway.certfile and keyfile name files in PEM.",
            ) from exc
        return context


def main() -> None:
    """`pgcellar-gateway`."""
    Gateway.launch_instance()
