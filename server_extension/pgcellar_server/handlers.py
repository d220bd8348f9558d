"""The handlers: who asks, how often, where to, and what comes back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import tornado.iostream
import tornado.web
from jupyter_server.auth.decorator import authorized
from jupyter_server.base import handlers as jupyter

from pgcellar.api import errors, identities, rates
from pgcellar_server import forwarding, notifying, openapi, operating, routes


class _Handler(operating.Problems, jupyter.APIHandler):
    """What all handlers of the gateway share: their errors are problem documents."""

    auth_resource = "pgcellar"

    def check_xsrf_cookie(self) -> None:
        """Jupyter's check; but who shows a token that nobody knows is told that instead."""
        try:
            super().check_xsrf_cookie()
        except tornado.web.HTTPError:
            if self.current_user is None and "Authorization" in self.request.headers:
                raise self._unknown() from None
            raise

    def get_login_url(self) -> str:
        """Programs are not sent to a page. Raises Unauthenticated."""
        raise self._unknown()

    def _unknown(self) -> errors.Unauthenticated:
        return errors.Unauthenticated(
            "This server knows nobody by these credentials.",
            hint="Send a token of this server: `Authorization: Bearer TOKEN`.",
        )

    def conclude(self, kind: str) -> None:
        """Jupyter's `finish` would set a content type of its own."""
        self.finish(set_content_type=kind)

    def log_exception(self, *info: Any) -> None:
        """Errors of ours are answers."""
        if not isinstance(info[1], errors.PgcellarError):
            super().log_exception(*info)

    @property
    def caller(self) -> str:
        """Who is counted: the token, the identity, and without one the address.

        Jupyter Server gives who shows its token, and no cookie, another name at each request.
        """
        shown = self.token if self.token_authenticated else None
        if shown:
            return f"token {hashlib.sha256(shown.encode()).hexdigest()}"
        user = self.current_user
        return f"user {user.username}" if user is not None else f"from {self.request.remote_ip}"


class Operation(operating.Operating, _Handler):
    """The routes of one path."""

    def initialize(
        self,
        services: forwarding.Services,
        limiter: rates.RateLimiter,
        operations: Mapping[str, routes.Route],
    ) -> None:
        """See `app.Gateway.initialize_handlers`."""
        self.services = services
        self.limiter = limiter
        self.operations = operations

    @tornado.web.authenticated
    @authorized
    async def get(self, **parameters: str) -> None:
        """Read."""
        await self._operate(parameters)

    @tornado.web.authenticated
    @authorized
    async def post(self, **parameters: str) -> None:
        """Do."""
        await self._operate(parameters)

    @tornado.web.authenticated
    @authorized
    async def put(self, **parameters: str) -> None:
        """Make."""
        await self._operate(parameters)

    @tornado.web.authenticated
    @authorized
    async def delete(self, **parameters: str) -> None:
        """Remove."""
        await self._operate(parameters)

    async def _operate(self, parameters: Mapping[str, str]) -> None:
        self.limiter.admit(self.caller)
        await self.operate(parameters)
        if self.request.method != "GET":
            self._notify()

    def _notify(self) -> None:
        route = self.operations.get(self.request.method or "")
        if route is not None and self.current_user is not None:
            notifying.operation(
                self.event_logger,
                route.operation,
                user=self.current_user.username,
                status=self.get_status(),
                resource=self._headers.get("Location"),
            )

    def said(self) -> Mapping[str, str]:
        """See `operating.Operating`."""
        return {identities.ADDRESS: self.request.remote_ip or ""}


class CentralOperation(Operation):
    """The routes of one path at the central gateway, which knows itself where requests are from."""

    def said(self) -> Mapping[str, str]:
        """See `operating.Operating`."""
        return {}


class Document(_Handler):
    """The OpenAPI document."""

    def initialize(
        self, root: str, served: Sequence[routes.Route], named: Mapping[str, Any]
    ) -> None:
        """See `app.Gateway.initialize_handlers`."""
        self.root = root
        self.served = served
        self.named = named

    @tornado.web.authenticated
    @authorized
    def get(self) -> None:
        """As JSON."""
        self.finish(json.dumps(openapi.document(self.root, self.served, self.named)))


class Page(Document):
    """The same for people."""

    @tornado.web.authenticated
    @authorized
    def get(self) -> None:
        """As a page without scripts."""
        page = openapi.page(self.root, self.served)
        self.finish(page, set_content_type="text/html; charset=utf-8")

    @property
    def content_security_policy(self) -> str:
        """Its own style is all that is allowed."""
        return "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"


class Missing(_Handler):
    """Every path below the root that is no route."""

    @tornado.web.authenticated
    def prepare_missing(self) -> None:
        """Known callers are told that there is nothing."""
        raise errors.NotFound(f"There is nothing at {self.request.path}.")

    get = post = put = delete = patch = head = prepare_missing
