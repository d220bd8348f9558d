"""What every handler shares: who asks, JSON in, problem documents out (RFC 9457)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tornado.web

from pgcellar.api import errors, identities, problems, quotas, records, transport
from pgcellar.web import authentication, calls, pacing

logger = logging.getLogger(__name__)

R = TypeVar("R")
#: Entries on a page.
MOST = 1_000
#: Characters of the name that a request may have.
_KEY = 255
#: Bytes of a body that takes some ms to be looked through.
_LONG = 256 << 10


class BaseHandler(tornado.web.RequestHandler):
    """A handler of requests whose identity is known; of anybody's where `public` says so."""

    #: Answers anybody, and so may tell nothing.
    public = False
    #: The scope that a token needs for requests of this handler.
    scope = "service"

    identity: identities.Identity
    #: What was answered in place of what was asked for.
    problem: problems.Problem | None = None

    async def prepare(self) -> None:
        """Find out who asks. Raises Unauthenticated, LimitExceeded or Forbidden."""
        paced: pacing.Pace = self.settings["pgcellar_pace"]
        if self.public:
            paced.stranger(self.request)
            return
        how: authentication.Authentication = self.settings["pgcellar_authentication"]
        try:
            self.identity = await how.identify(self.request)
        except errors.Unauthenticated:
            # Perhaps one of many guesses.
            paced.stranger(self.request)
            raise
        self._name_subject()
        paced.person(self.request, self.identity)
        calls.begin(self.request, self.identity)
        # Where a scope has no part of its own, reading is one.
        reads = self.request.method in ("GET", "HEAD") and ":" not in self.scope
        self.allow(f"{self.scope}:read" if reads else self.scope)

    def _name_subject(self) -> None:
        """Tell the gateway whose request it was: it counts what each one asks."""
        if identities.STRANGER in self.request.headers and hasattr(self, "identity"):
            self.set_header(identities.SUBJECT, self.identity.subject)

    @property
    def quotas(self) -> quotas.Quotas:
        """What whoever asks may use."""
        found: quotas.Quotas = self.settings["pgcellar_quotas"]
        return found

    def allow(self, scope: str) -> None:
        """Raise Forbidden unless the request's token has a scope."""
        if not self.identity.may(scope):
            lacking = dict.fromkeys((scope.removesuffix(":read"), scope))
            raise errors.Forbidden(
                "This token may not do that: it lacks the scope "
                f"{' or '.join(f'`{each}`' for each in lacking)}.",
                hint="Make a token with that scope.",
            )

    def record(self, cls: type[R], body: dict[str, Any] | None = None) -> R:
        """The request's body as a record. Raises BadRequest."""
        try:
            return records.from_json(cls, self.body() if body is None else body)
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

    async def received(self, work: Callable[[], R]) -> R:
        """What is made of the request's body: of a long one in a thread, so that others are
        answered meanwhile."""
        return work() if len(self.request.body) < _LONG else await asyncio.to_thread(work)

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number among the query's arguments. Raises BadRequest."""
        text = self.get_query_argument(name, str(default))
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise errors.BadRequest(f"`{name}` is a whole number.")
        if not least <= int(text) <= most:
            raise errors.BadRequest(f"`{name}` is from {least} to {most}.")
        return int(text)

    def paged(self, found: Sequence[R], name: Callable[[R], str]) -> tuple[Sequence[R], str | None]:
        """Those on the page that `limit` and `after` ask for, and what leads to the next one.

        For lists that are bounded, and at hand as a whole. Raises BadRequest.
        """
        limit = self.whole("limit", MOST, 1, MOST)
        after = self.get_query_argument("after", "", strip=False)
        begin = 0
        if after:
            names = [name(each) for each in found]
            if after not in names:
                raise errors.BadRequest(
                    "`after` is not what an answer gave as `next`, or not there any more.",
                    hint="Leave it out to begin anew.",
                )
            begin = names.index(after) + 1
        page = found[begin : begin + limit]
        return page, name(page[-1]) if begin + limit < len(found) else None

    def key(self) -> str | None:
        """The name of this request's own, if it has one. Raises BadRequest."""
        key = self.request.headers.get(transport.KEY)
        if key is not None and not (0 < len(key) <= _KEY and key.isprintable()):
            raise errors.BadRequest(f"An {transport.KEY} has 1 to {_KEY} printable characters.")
        return key

    def unchanging(self) -> None:
        """What is answered here never changes: Tornado's ETag of it may be kept.

        But only for who asked: ids of states are the same for everybody, and a browser may be many
        people's.
        """
        self.set_header("Vary", "Authorization, Cookie")
        self.set_header("Cache-Control", "private, max-age=31536000, immutable")

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
        if isinstance(cause, errors.PgcellarError):
            problem = problems.of(cause)
        elif isinstance(cause, tornado.web.HTTPError):
            problem = problems.plain(status_code, cause.log_message)
        elif cause is not None:
            problem = problems.unforeseen()
        else:
            problem = problems.plain(status_code)
        self.problem = problem
        self.set_status(problem.status)
        self._name_subject()
        for name, value in problem.headers:
            self.set_header(name, value)
        self.set_header("Content-Type", problems.CONTENT_TYPE)
        self.finish(json.dumps(problem.to_json()))


class Missing(BaseHandler):
    """Every path that is no route."""

    async def prepare(self) -> None:
        """Answer 404, as a problem document."""
        await super().prepare()
        raise errors.NotFound(f"There is nothing at {self.request.path}.")


class Health(BaseHandler):
    """Liveness and readiness: the service listens only when it is ready."""

    public = True

    def get(self) -> None:
        """200 while the service runs."""
        self.answer({"status": "ok"})
