"""The handlers: who asks, how often, where to, and what comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib import parse

import tornado.iostream
import tornado.web
from jupyter_server.auth.decorator import authorized
from jupyter_server.base import handlers as jupyter

from pgcellar.api import errors, problems
from pgcellar_server import forwarding, limits, openapi, routes

#: The largest body of a request that is no chunk of a file.
MAX_BODY = 32 << 20


class _Handler(jupyter.APIHandler):
    """What all handlers of the gateway share: their errors are problem documents."""

    auth_resource = "pgcellar"

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A problem document; never a traceback."""
        cause = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(cause, errors.PgcellarError):
            problem = problems.of(cause)
        elif isinstance(cause, tornado.web.HTTPError):
            problem = problems.plain(status_code, cause.log_message)
        elif cause is None:
            problem = problems.plain(status_code)
        else:
            problem = problems.unforeseen()
        self.tell(problem)

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

    def tell(self, problem: problems.Problem) -> None:
        """Finish with a problem document."""
        self.set_status(problem.status)
        for name, value in problem.headers:
            self.set_header(name, value)
        self.finish(json.dumps(problem.to_json()), set_content_type=problems.CONTENT_TYPE)

    def log_exception(self, *info: Any) -> None:
        """Errors of ours are answers."""
        if not isinstance(info[1], errors.PgcellarError):
            super().log_exception(*info)

    @property
    def caller(self) -> str:
        """Who is counted: the identity, and without one the address."""
        user = self.current_user
        return f"user {user.username}" if user is not None else f"from {self.request.remote_ip}"


class Operation(_Handler):
    """The routes of one path."""

    def initialize(
        self,
        services: forwarding.Services,
        limiter: limits.RateLimiter,
        operations: Mapping[str, routes.Route],
    ) -> None:
        """See `app.Gateway.initialize_handlers`."""
        self.services = services
        self.limiter = limiter
        self.operations = operations
        self._kind = "application/json"
        self._task: asyncio.Task[None] | None = None

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
        route = self.operations.get(self.request.method or "")
        if route is None:
            self.set_header("Allow", ", ".join(sorted(self.operations)))
            raise tornado.web.HTTPError(405, "This can't be done here.")
        request = forwarding.Request(
            method=route.method,
            path=self._path(route, parameters),
            body=self._body(route),
            headers=forwarding.headers(self.request),
        )
        self._task = asyncio.ensure_future(
            forwarding.forward(self.services, request, self._start, self._take)
        )
        try:
            await self._task
        except (asyncio.CancelledError, tornado.iostream.StreamClosedError):
            # Who asked has left.
            return
        if not self._finished:
            self.finish(set_content_type=self._kind)

    def _path(self, route: routes.Route, parameters: Mapping[str, str]) -> str:
        quoted = {name: parse.quote(value, safe="/") for name, value in parameters.items()}
        known = {each["name"] for each in route.query}
        given = [
            (name, value)
            for name in known
            for value in self.get_query_arguments(name, strip=False)[:1]
        ]
        query = f"?{parse.urlencode(given)}" if given else ""
        return route.service.format(**quoted) + query

    def _body(self, route: routes.Route) -> bytes | None:
        body = self.request.body
        if len(body) > MAX_BODY:
            raise tornado.web.HTTPError(413, f"A request has at most {MAX_BODY} bytes.")
        if route.body is None:
            return body if route.binary else (b"{}" if route.method == "POST" else None)
        try:
            found = json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise errors.BadRequest(f"The request's body is not JSON: {exc}") from exc
        if not isinstance(found, dict):
            raise errors.BadRequest("The request's body is not a JSON object.")
        if "directory" in found:
            raise errors.Forbidden(
                "`directory` names a folder of the service's machine.",
                hint="Leave it out, and upload the files that the notebook reads.",
            )
        return body

    def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.set_status(status)
        for name, value in headers.items():
            if name == "Content-Type":
                self._kind = value
            elif name == "Location":
                run = value.rsplit("/", 1)[1]
                value = f"{self.request.path.rstrip('/')}/{run}"
            self.set_header(name, value)

    async def _take(self, chunk: bytes) -> None:
        self.write(chunk)
        # A slow reader is waited for, and the services with it; the run is not.
        await self.flush()

    def on_connection_close(self) -> None:
        """Nobody reads any more."""
        if self._task is not None:
            self._task.cancel()


class Document(_Handler):
    """The OpenAPI document."""

    def initialize(self, root: str) -> None:
        """See `app.Gateway.initialize_handlers`."""
        self.root = root

    @tornado.web.authenticated
    @authorized
    def get(self) -> None:
        """As JSON."""
        self.finish(json.dumps(openapi.document(self.root)))


class Page(Document):
    """The same for people."""

    @tornado.web.authenticated
    @authorized
    def get(self) -> None:
        """As a page without scripts."""
        self.finish(openapi.page(self.root), set_content_type="text/html; charset=utf-8")

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
