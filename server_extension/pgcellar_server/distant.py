"""The service at another machine or of another account, which shows who it is, and is shown it."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from urllib import parse

from pgcellar.api import client, errors, transport

logger = logging.getLogger(__name__)

#: Connections that are kept: each has cost two signatures at either end.
_IDLE = 64


class Distant:
    """Satisfies `forwarding.Services`, by TLS with a certificate at either end.

    Raises BadRequest for what is no URL, or no certificate.
    """

    def __init__(self, url: str, *, authority: str, certfile: str, keyfile: str) -> None:
        parts = parse.urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or not parts.port:
            raise errors.BadRequest(
                f"{url!r} is not where a service listens.",
                hint="c.Gateway.service_url is `https://HOST:PORT`, of its `c.Listening.port`.",
            )
        self._url = url
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_verify_locations(authority)
            context.load_cert_chain(certfile, keyfile)
        except (OSError, ValueError) as exc:
            raise errors.BadRequest(
                f"The certificates of c.Gateway.service_url can't be read: {exc}",
                hint="`service_authority`, `service_certfile` and `service_keyfile` name files.",
            ) from exc
        self._transport = transport.Transport(
            transport.tcp(parts.hostname, parts.port, context), parts.hostname, idle=_IDLE
        )

    def close(self) -> None:
        """Drop the connections."""
        self._transport.close()

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
        try:
            return await self._transport.request(
                method, client.PREFIX + path, body, take, headers=headers, on_start=on_start
            )
        except transport.NotListening as exc:
            logger.warning("no answer at %s: %s", self._url, exc)
            raise errors.ServiceUnavailable(
                "The pgcellar service does not answer, or is not the one it should be.",
                hint="Try again in a moment; the gateway's log knows more.",
            ) from exc
