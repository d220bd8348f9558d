"""A port of the service for gateways that are not its own account's processes on its machine.

Both ends show a certificate of one authority, which is made for this alone. Who shows one is a
gateway, whose word is taken for where a request is from; nobody is the service's owner here, and
only a token makes a request somebody's.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import tornado.httpserver
import tornado.iostream
import tornado.web
import traitlets
import traitlets.config

from pgcellar.api import descriptors, errors

#: Seconds for a request's headers, and for which a kept connection may be idle.
_IDLE_SECONDS = 60.0
#: Seconds for a handshake, and how many go on at once: a gateway's takes some milliseconds, but one
#: that has just started may want hundreds.
_HANDSHAKE_SECONDS = 10.0
_HANDSHAKES = 512


class Listening(traitlets.config.Configurable):
    """The settings of that port."""

    port = traitlets.Int(
        0, min=0, max=65535, help="TCP port for gateways of elsewhere; 0 for none."
    ).tag(config=True)
    ip = traitlets.Unicode("127.0.0.1", help="The address of that port.").tag(config=True)
    certfile = traitlets.Unicode("", help="The service's certificate.").tag(config=True)
    keyfile = traitlets.Unicode("", help="Its key.").tag(config=True)
    authority = traitlets.Unicode(
        "", help="The authority whose certificates gateways show, and nobody else has."
    ).tag(config=True)

    def listen(
        self, routed: tornado.web.Application, *, max_body: int
    ) -> tornado.httpserver.HTTPServer | None:
        """The port, if one is wanted. Raises BadRequest where a file is no good."""
        if not self.port:
            return None
        server = _Port(
            routed,
            ssl_options=self._tls(),
            max_buffer_size=max_body,
            max_body_size=max_body,
            idle_connection_timeout=_IDLE_SECONDS,
        )
        server.listen(self.port, address=self.ip)
        return server

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(self.authority)
            context.load_cert_chain(self.certfile, self.keyfile)
        except (OSError, ValueError) as exc:
            raise errors.BadRequest(
                f"The certificates of c.Listening.port can't be read: {exc}",
                hint="`authority`, `certfile` and `keyfile` name files in PEM; see the docs on"
                " identity.",
            ) from exc
        return context


class _Port(tornado.httpserver.HTTPServer):
    """Only who has shown a certificate is served; who has not yet is one of a few, for a moment."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Tornado's way to be made."""
        super().initialize(*args, **kwargs)
        self._most = descriptors.room(_HANDSHAKES)
        #: Those whose handshake goes on, the oldest first.
        self._greeted: dict[tornado.iostream.IOStream, asyncio.Task[None]] = {}

    def handle_stream(self, stream: tornado.iostream.IOStream, address: tuple[Any, ...]) -> None:
        """A connection came. One too many takes the place of the one that has been silent longest:
        however many say nothing, a gateway that speaks at once comes in."""
        while len(self._greeted) >= self._most:
            oldest = next(iter(self._greeted))
            self._greeted.pop(oldest)
            oldest.close()
        self._greeted[stream] = asyncio.create_task(self._greet(stream, address))

    async def _greet(self, stream: tornado.iostream.IOStream, address: tuple[Any, ...]) -> None:
        assert isinstance(stream, tornado.iostream.SSLIOStream)
        try:
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                await stream.wait_for_handshake()
        except OSError:
            # Or TimeoutError, which is one.
            stream.close()
            return
        finally:
            self._greeted.pop(stream, None)
        super().handle_stream(stream, address)
