"""The central gateway's services, for a Jupyter Server whose person works in classes there.

The browser talks to its own server, which shows the central gateway a token that never leaves it.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from urllib import parse

import tornado.httputil

from pgcellar.api import errors, problems, transport

#: Below the central gateway's URL.
ROOT = "/pgcellar/api/v1"
#: Seconds before its end at which an access token is not shown any more.
_EARLY = 30.0
_UNKNOWN = "The central gateway does not take the token that this Jupyter server has."
_ANEW = "Whoever runs this server gives it a new one, as PGCELLAR_TOKEN, and starts it again."


class Elsewhere:
    """Satisfies `forwarding.Services`, as whoever a token makes the caller.

    `token` is a personal access token; without one `hub_token`, JupyterHub's, is exchanged for
    access tokens at the central gateway. Raises BadRequest for what is no URL.
    """

    def __init__(self, url: str, *, token: str = "", hub_token: str = "") -> None:
        parts = parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise errors.BadRequest(
                f"{url!r} is no gateway's URL.",
                hint="c.Gateway.central_url begins with https:// or http://.",
            )
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._url = url
        self._root = parts.path.rstrip("/").removesuffix(ROOT) + ROOT
        self._token = token
        self._hub_token = hub_token
        self._access = ("", 0.0)
        self._transport = transport.Transport(
            transport.tcp(parts.hostname, parts.port or (443 if tls else 80), tls),
            parts.netloc.rpartition("@")[2],
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
        refused = False

        def start(status: int, found: tornado.httputil.HTTPHeaders) -> None:
            nonlocal refused
            refused = status == 401
            if not refused:
                on_start(status, found)

        async def pass_on(chunk: bytes) -> None:
            if not refused:
                await take(chunk)

        shown = {**headers, "Authorization": f"Bearer {await self._bearer()}"}
        answered = await self._request(method, path, body, pass_on, shown, start)
        if refused:
            # Passed on it would say that this server does not know its own person.
            self._access = ("", 0.0)
            raise errors.Forbidden(_UNKNOWN, hint=_ANEW)
        return answered

    async def _bearer(self) -> str:
        if self._token:
            return self._token
        if not self._hub_token:
            raise errors.Forbidden(
                "This Jupyter server has no token for the central gateway.",
                hint="Whoever runs it puts a personal access token into its environment, as"
                " PGCELLAR_TOKEN.",
            )
        access, ends = self._access
        if time.monotonic() < ends:
            return access
        answer = bytearray()

        async def take(chunk: bytes) -> None:
            answer.extend(chunk)

        asked = json.dumps({"token": self._hub_token}).encode()
        status = await self._request("POST", "/identity/login/jupyterhub", asked, take, {})
        if status == 401:
            raise errors.Forbidden(_UNKNOWN, hint="Is the hub the one that the gateway asks?")
        if status != 200:
            raise problems.error(status, bytes(answer))
        given = json.loads(bytes(answer))
        self._access = (given["access_token"], time.monotonic() + given["expires_in"] - _EARLY)
        return self._access[0]

    async def _request(
        self,
        method: str,
        path: str,
        body: bytes | None,
        take: transport.OnChunk,
        headers: Mapping[str, str],
        start: transport.OnStart | None = None,
    ) -> int:
        try:
            return await self._transport.request(
                method, self._root + path, body, take, headers=headers, on_start=start
            )
        except (transport.NotListening, errors.ServiceUnavailable) as exc:
            raise errors.ServiceUnavailable(
                f"The central gateway does not answer at {self._url}.",
                hint="Try again in a moment; whoever runs it knows more.",
            ) from exc
