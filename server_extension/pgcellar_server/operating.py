"""What a request of the API goes through, in Jupyter Server and in the central gateway alike."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib import parse

import tornado.iostream
import tornado.web

from pgcellar.api import errors, identities, problems, traces, transport
from pgcellar_server import forwarding, routes

_UNTRACED = traces.Off()
#: The first status that says that the server is at fault.
_FAULT = 500
#: Seconds for which a reader may take nothing of what waits for it.
READER_SECONDS = 300.0
#: The largest body of a request that is no chunk of a file.
MAX_BODY = 32 << 20
#: Of one that is no notebook.
_SHORT_BODY = 1 << 20
#: Values of a body: each, however short, takes some 70 bytes of memory here and in the service, and
#: has others wait while it is made.
MAX_VALUES = 2_000_000
_BEFORE_VALUES = (b",", b"[", b"{")
#: A text that does not end is one, or each quote in it would be looked behind, to the end.
_TEXT_OR_BEFORE_VALUE = re.compile(rb'"(?>[^"\\]*(?:\\.[^"\\]*)*)(?:"|\\?\Z)|[,\[{]', re.DOTALL)


class Problems(tornado.web.RequestHandler):
    """Errors are problem documents."""

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

    def tell(self, problem: problems.Problem) -> None:
        """Finish with a problem document."""
        self.set_status(problem.status)
        for name, value in problem.headers:
            self.set_header(name, value)
        self.write(json.dumps(problem.to_json()))
        self.conclude(problems.CONTENT_TYPE)

    def conclude(self, kind: str) -> None:
        """Finish with what was written, as a content type."""
        self.set_header("Content-Type", kind)
        self.finish()


class Operating(Problems):
    """The routes of one path. Who asks is found out, and counted, before `operate`."""

    services: forwarding.Services
    operations: Mapping[str, routes.Route]
    _kind = "application/json"
    _task: asyncio.Task[None] | None = None

    def cookie(self, value: str) -> None:
        """The services set a cookie; in Jupyter Server nobody does."""

    def said(self) -> Mapping[str, str]:
        """What the gateway itself says of the request."""
        return {}

    async def operate(self, parameters: Mapping[str, str]) -> None:
        route = self.operations.get(self.request.method or "")
        if route is None:
            self.set_header("Allow", ", ".join(sorted(self.operations)))
            raise tornado.web.HTTPError(405, "This can't be done here.")
        request = forwarding.Request(
            method=route.method,
            path=self._path(route, parameters),
            body=await self._body(route),
            headers={**self._unique(route), **forwarding.headers(self.request), **self.said()},
        )
        spans: traces.Traces = self.settings.get("pgcellar_traces", _UNTRACED)
        given = request.headers.get(forwarding.TRACEPARENT)
        about = {"http.request.method": route.method, "http.route": route.path}
        with spans.span(f"{route.method} {route.path}", "server", given, about) as span:
            if span.traceparent is not None:
                named = {forwarding.TRACEPARENT: span.traceparent}
                request = dataclasses.replace(request, headers={**request.headers, **named})
            try:
                await self._forward(request)
            except errors.PgcellarError:
                span.fail()
                raise
            status = self.get_status()
            span.tell("http.response.status_code", status)
            if status >= _FAULT:
                span.fail()

    async def _forward(self, request: forwarding.Request) -> None:
        self._task = asyncio.ensure_future(
            forwarding.forward(self.services, request, self._start, self._take)
        )
        try:
            await self._task
        except (asyncio.CancelledError, tornado.iostream.StreamClosedError):
            # Who asked has left.
            return
        except errors.PgcellarError:
            if not self._headers_written:
                raise
            # It broke off. So must the answer, or half of it would be taken for all; it counts.
            self.application.log_request(self)
            self.detach().close()
            return
        if not self._finished:
            self.conclude(self._kind)

    def _unique(self, route: routes.Route) -> Mapping[str, str]:
        """A name for a request that could have one and has none: asked for again, as when the
        service has ended before it answered, a run must not become two."""
        named = routes.NAMED in route.headers
        return {transport.KEY: secrets.token_hex(16)} if named else {}

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

    async def _body(self, route: routes.Route) -> bytes | None:
        body = self.request.body
        most = _SHORT_BODY if route.body is not None and not route.long else MAX_BODY
        if len(body) > most:
            raise tornado.web.HTTPError(413, f"This request has at most {most} bytes.")
        if route.body is None:
            return body if route.binary else (b"{}" if route.method == "POST" else None)
        if sum(map(body.count, _BEFORE_VALUES)) > MAX_VALUES:
            # Most of them stand in texts, perhaps.
            await asyncio.to_thread(_check_values, body)
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
            if name == forwarding.SET_COOKIE:
                self.cookie(value)
                continue
            if name == identities.SUBJECT:
                # Between the services and the gateway.
                continue
            if name == "Content-Type":
                self._kind = value
            elif name == "Location":
                run = value.rsplit("/", 1)[1]
                value = f"{self.request.path.rstrip('/')}/{run}"
            # What an answer varies by may be said in several headers: the gateway has its own.
            add = self.add_header if name == "Vary" else self.set_header
            add(name, value)

    async def _take(self, chunk: bytes) -> None:
        self.write(chunk)
        # A slow reader is waited for, and the services with it; the run is not. But one who reads
        # nothing at all holds places that others want.
        try:
            most: float = self.settings.get("pgcellar_reader_seconds", READER_SECONDS)
            async with asyncio.timeout(most):
                await self.flush()
        except TimeoutError as exc:
            raise errors.Cancelled("Nobody reads the answer.") from exc

    def on_connection_close(self) -> None:
        """Nobody sends or reads any more."""
        if self._task is not None:
            self._task.cancel()
        super().on_connection_close()


def _check_values(body: bytes) -> None:
    """Raise BadRequest for JSON of more values than a request may have."""
    found = _TEXT_OR_BEFORE_VALUE.finditer(body)
    values = (each for each in found if not each[0].startswith(b'"'))
    if any(itertools.islice(values, MAX_VALUES, None)):
        raise errors.BadRequest(
            f"The request's body has more than {MAX_VALUES:,} values.",
            hint="Send the notebook without its outputs.",
        )
