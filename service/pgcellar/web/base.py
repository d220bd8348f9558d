"""What every handler shares: who asks, JSON in, problem documents out (RFC 9457)."""

from __future__ import annotations

import http
import json
import logging
import os
import socket
import struct
import traceback
from typing import Any, TypeVar

import tornado.web

from pgcellar.api import errors, identities, paths, records
from pgcellar.web import calls

logger = logging.getLogger(__name__)

R = TypeVar("R")

#: The one place where an error's class becomes a status.
STATUS: dict[type[errors.PgcellarError], int] = {
    errors.BadRequest: 400,
    errors.NotebookInvalid: 400,
    errors.Unsupported: 400,
    errors.FileRefused: 403,
    errors.NotFound: 404,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NoPages: 409,
    errors.Conflict: 409,
    errors.LimitExceeded: 429,
    errors.AuditUnavailable: 503,
    errors.Cancelled: 409,
    errors.PostgresNotFound: 503,
    errors.PostgresFailed: 503,
    errors.SandboxLost: 503,
    errors.ServiceUnavailable: 503,
    errors.SandboxFull: 507,
}
#: struct ucred: pid, uid, gid.
_PEER = struct.Struct("iII")


class BaseHandler(tornado.web.RequestHandler):
    """A handler that only this machine's owner of the service reaches."""

    #: Answers anybody, and so may tell nothing.
    public = False
    #: The scope that a token needs for requests of this handler.
    scope = "service"

    identity: identities.Identity

    def prepare(self) -> None:
        """The socket's permissions admit its owner only; the kernel is asked as well."""
        uid = self._peer_uid()
        if uid is not None and uid not in (os.getuid(), 0):
            raise tornado.web.HTTPError(403, "This service belongs to another user.")
        name = paths.user_name()
        self.identity = identities.Identity(
            subject=name, name=name, kind="os", roles=(identities.ADMINISTRATOR,)
        )
        calls.begin(self.request, self.identity)

    def _peer_uid(self) -> int | None:
        connection: Any = self.request.connection
        peer = connection.stream.socket
        if peer.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
            return None
        raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        return int(_PEER.unpack(raw)[1])

    def record(self, cls: type[R]) -> R:
        """The request's body as a record. Raises BadRequest."""
        try:
            return records.from_json(cls, self.body())
        except (ValueError, TypeError, AttributeError) as exc:
            raise errors.BadRequest(f"The request's body is not as it should be: {exc}") from exc

    def body(self) -> dict[str, Any]:
        """The request's body, a JSON object. Raises BadRequest."""
        try:
            found = json.loads(self.request.body)
        except (ValueError, RecursionError) as exc:
            raise errors.BadRequest(f"The request's body is not JSON: {exc}") from exc
        if not isinstance(found, dict):
            raise errors.BadRequest("The request's body is not a JSON object.")
        return found

    def answer(self, body: dict[str, Any]) -> None:
        """Finish with a JSON object."""
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(body))

    def log_exception(self, *info: Any) -> None:
        """Errors of ours are answers; only what nobody foresaw is logged with its traceback."""
        if not isinstance(info[1], (errors.PgcellarError, tornado.web.HTTPError)):
            logger.error("%s %s", self.request.method, self.request.path, exc_info=info[1])

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A problem document; never a traceback."""
        cause = kwargs.get("exc_info", (None, None, None))[1]
        code, hint = "PC000", None
        detail = http.HTTPStatus(status_code).phrase
        if isinstance(cause, errors.PgcellarError):
            status_code = STATUS.get(type(cause), 500)
            code, detail, hint = cause.code, cause.message, cause.hint
        elif isinstance(cause, tornado.web.HTTPError):
            detail = cause.log_message or detail
        elif cause is not None:
            detail = "The service met an error it did not foresee."
            hint = "Its log has the details: `pgcellar service status` names it."
            logger.debug("%s", traceback.format_exception(cause))
        self.set_status(status_code)
        self.set_header("Content-Type", "application/problem+json")
        self.finish(
            json.dumps(
                {
                    "type": f"urn:pgcellar:{code}",
                    "title": http.HTTPStatus(status_code).phrase,
                    "status": status_code,
                    "code": code,
                    "detail": detail,
                    "hint": hint,
                }
            )
        )


class Missing(BaseHandler):
    """Every path that is no route."""

    def prepare(self) -> None:
        """Answer 404, as a problem document."""
        super().prepare()
        raise errors.NotFound(f"There is nothing at {self.request.path}.")


class Health(BaseHandler):
    """Liveness and readiness: the service listens only when it is ready."""

    def get(self) -> None:
        """200 while the service runs."""
        self.answer({"status": "ok"})
