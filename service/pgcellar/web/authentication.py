"""Who asks: by the Unix socket's other end, or by an access token."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from typing import Any

import tornado.httputil

from pgcellar.api import errors, identities, paths, transport

#: The audience of tokens that the services take.
AUDIENCE = "pgcellar"
#: What a subject looks like in a path.
SUBJECT = "([A-Za-z0-9_.:@-]{1,80})"
_MAX_ADDRESS = 100
_BEARER = "bearer "


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Authentication:
    """How the requests of one application are told apart.

    Over the Unix socket, whose permissions admit its owner only, a request without a token is the
    owner's own. A gateway, which is the owner too, or has shown a certificate at a port, shows the
    token of whom it speaks for, and says where they are.
    """

    verifier: identities.Verifier | None = None

    async def identify(self, request: tornado.httputil.HTTPServerRequest) -> identities.Identity:
        """Whose request it is. Raises Unauthenticated or Forbidden."""
        uid = _peer_uid(request)
        if uid is not None and uid not in (os.getuid(), 0):
            raise errors.Forbidden("This service belongs to another user.")
        shown = request.headers.get_list("Authorization")
        if shown:
            if len(shown) > 1 or not shown[0].lower().startswith(_BEARER):
                raise errors.Unauthenticated("The Authorization header is not `Bearer TOKEN`.")
            return await self._verify(shown[0][len(_BEARER) :].strip())
        if uid is None or identities.STRANGER in request.headers:
            raise errors.Unauthenticated(
                "This request shows no access token.",
                hint="Send `Authorization: Bearer TOKEN`.",
            )
        return owner()

    async def _verify(self, token: str) -> identities.Identity:
        if self.verifier is None:
            raise errors.Unauthenticated("This service takes no access tokens.")
        return await self.verifier.verify(token, AUDIENCE)


def address(request: tornado.httputil.HTTPServerRequest) -> str:
    """Where a request is from; empty for the owner's own programs.

    A Unix socket's peer has no address, and what it says is taken: nobody but the owner gets there.
    So is what a gateway says that has shown its certificate.
    """
    certified = request.protocol == "https" and bool(request.get_ssl_certificate())
    if _peer_uid(request) is None and not certified:
        return request.remote_ip or ""
    return request.headers.get(identities.ADDRESS, "")[:_MAX_ADDRESS]


def network(address: str) -> str:
    """What is counted as one address: who has one of IPv6 has 2⁶⁴ of them."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def owner() -> identities.Identity:
    """The operating system's user that the service runs as, who administers it."""
    name = paths.user_name()
    return identities.Identity(
        subject=name, name=name, kind="os", roles=(identities.ADMINISTRATOR,)
    )


def _peer_uid(request: tornado.httputil.HTTPServerRequest) -> int | None:
    """The account at the other end of a Unix socket; None for other connections."""
    connection: Any = request.connection
    return transport.peer(connection.stream.socket)
