"""The teachers' HTTP face: what a class does, and its members' sandboxes."""

from __future__ import annotations

from typing import Any

from pgcellar.api import errors
from pgcellar.profiles import teaching
from pgcellar.web import authentication, base

_DEFAULT = 200
_MAX_SUBJECT = 80


class _TeachingHandler(base.BaseHandler):
    scope = "profiles"

    def initialize(self, teaching: teaching.Teaching) -> None:
        """See the routes in `pgcellar.people`."""
        self.teaching = teaching

    @property
    def address(self) -> str:
        """Where the request is from."""
        return authentication.address(self.request)


class Activity(_TeachingHandler):
    """`GET /profiles/classes/{id}/activity`."""

    async def get(self, which: str) -> None:
        """A page of at most `limit` members; `next`, given as `after`, leads to the next."""
        limit = self.whole("limit", _DEFAULT, 1, teaching.MOST)
        after = self.get_query_argument("after", None)
        if after is not None and not 0 < len(after) <= _MAX_SUBJECT:
            raise errors.BadRequest("`after` is what an answer gave as `next`.")
        self.set_header("Cache-Control", "no-store")
        self.answer(
            await self.teaching.activity(
                self.identity, which, limit=limit, after=after, address=self.address
            )
        )


class MemberQuotas(_TeachingHandler):
    """`GET /profiles/classes/{id}/members/{subject}/quotas`."""

    async def get(self, which: str, subject: str) -> None:
        """What a student may use, and has left."""
        self.set_header("Cache-Control", "no-store")
        self.answer(await self.teaching.quotas(self.identity, which, subject, self.address))


class Stop(_TeachingHandler):
    """`POST /profiles/classes/{id}/members/{subject}/sandbox/stop`."""

    async def post(self, which: str, subject: str) -> None:
        """Cancel what runs, and stop it."""
        await self.teaching.stop(self.identity, which, subject, self.address)
        self.set_status(204)


class Reset(_TeachingHandler):
    """`POST /profiles/classes/{id}/members/{subject}/sandbox/reset`."""

    async def post(self, which: str, subject: str) -> None:
        """Remove it, with all its states, if the body says `confirm`."""
        if self.body().get("confirm") is not True:
            raise errors.BadRequest(
                "All states of this sandbox would be removed, and replayed when needed.",
                hint='Send {"confirm": true} if that is meant.',
            )
        await self.teaching.reset(self.identity, which, subject, self.address)
        self.set_status(204)


class Extend(_TeachingHandler):
    """`POST /profiles/classes/{id}/members/{subject}/sandbox/extend`."""

    async def post(self, which: str, subject: str) -> None:
        """For so many `minutes` it may be idle, and `quotas` hold."""
        asked = self.body()
        self.answer(
            await self.teaching.extend(
                self.identity,
                which,
                subject,
                minutes=asked.get("minutes"),
                values=asked.get("quotas"),
                address=self.address,
            )
        )


def routes(at: str, parts: teaching.Teaching) -> list[Any]:
    """The teachers' routes under a prefix."""
    given = {"teaching": parts}
    which = f"{at}/profiles/classes/([0-9a-f]{{16}})"
    sandbox = f"{which}/members/{authentication.SUBJECT}/sandbox"
    return [
        (f"{which}/activity", Activity, given),
        (f"{which}/members/{authentication.SUBJECT}/quotas", MemberQuotas, given),
        (f"{sandbox}/stop", Stop, given),
        (f"{sandbox}/reset", Reset, given),
        (f"{sandbox}/extend", Extend, given),
    ]
