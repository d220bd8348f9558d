"""Errors as problem documents (RFC 9457): the one place where a class becomes an HTTP status."""

from __future__ import annotations

import dataclasses
import http
import json
import math
from typing import Any

from pgcellar.api import errors

CONTENT_TYPE = "application/problem+json"
STATUS: dict[type[errors.PgcellarError], int] = {
    errors.BadRequest: 400,
    errors.NotebookInvalid: 400,
    errors.Unsupported: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.FileRefused: 403,
    errors.NotFound: 404,
    errors.Cancelled: 409,
    errors.Conflict: 409,
    errors.NoPages: 409,
    errors.LimitExceeded: 429,
    errors.AuditUnavailable: 503,
    errors.PostgresFailed: 503,
    errors.PostgresNotFound: 503,
    errors.SandboxLost: 503,
    errors.ServiceUnavailable: 503,
    errors.SandboxFull: 507,
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A problem document, and the headers that go with it."""

    status: int
    code: str
    detail: str
    hint: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document."""
        return {
            "type": f"urn:pgcellar:{self.code}",
            "title": http.HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "hint": self.hint,
        }


def of(error: errors.PgcellarError) -> Problem:
    """An error of ours as a problem."""
    headers: list[tuple[str, str]] = []
    if isinstance(error, errors.LimitExceeded) and error.retry_after > 0:
        headers.append(("Retry-After", str(math.ceil(error.retry_after))))
    if isinstance(error, errors.Unauthenticated):
        headers.append(("WWW-Authenticate", 'Bearer realm="pgcellar"'))
    return Problem(
        status=STATUS.get(type(error), 500),
        code=error.code,
        detail=error.message,
        hint=error.hint,
        headers=tuple(headers),
    )


def plain(status: int, detail: str | None = None) -> Problem:
    """A problem that HTTP has a name for."""
    found = detail or http.HTTPStatus(status).phrase
    return Problem(status=status, code="PC000", detail=found)


def unforeseen() -> Problem:
    """A fault of ours, whose details are in the log and nowhere else."""
    return Problem(
        status=500,
        code="PC000",
        detail="The service met an error it did not foresee.",
        hint="Its log has the details: `pgcellar service status` names it.",
    )


def error(status: int, content: bytes) -> errors.PgcellarError:
    """The error that a problem document tells of."""
    try:
        body = json.loads(content)
        return errors.from_code(body["code"], body["detail"], body.get("hint"))
    except (ValueError, KeyError, TypeError):
        return errors.ServiceUnavailable(f"The pgcellar service answered {status}.")
