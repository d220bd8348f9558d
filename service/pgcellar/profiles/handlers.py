"""The profiles' HTTP face."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from pgcellar.api import auditing, identities
from pgcellar.api import teaching as api
from pgcellar.control import database, windows
from pgcellar.profiles import class_store, classes, limits, service, store, teaching
from pgcellar.web import authentication, base


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The profiles service. `profiles` satisfies `api.quotas.Quotas`."""

    profiles: service.Profiles
    classes: classes.Classes
    #: What teachers see and do, over a classroom.
    teaching: Callable[[api.Classroom], teaching.Teaching]


def compose(
    db: database.ControlDatabase,
    audit: auditing.AuditLog,
    defaults: limits.Defaults | None = None,
    registry: identities.Registry = identities.ANYBODY,
) -> Parts:
    """The parts over one control database."""
    counted = windows.Windows(db)
    profiles = service.Profiles(store.ProfileStore(db), counted, audit, defaults, registry)
    kept = class_store.ClassStore(db)
    taught = classes.Classes(kept, profiles, counted, audit, registry)

    def over(classroom: api.Classroom) -> teaching.Teaching:
        return teaching.Teaching(kept, taught, profiles, registry, classroom, audit)

    return Parts(profiles=profiles, classes=taught, teaching=over)


class _ProfilesHandler(base.BaseHandler):
    scope = "profiles"

    def initialize(self, parts: Parts, held: service.Held) -> None:
        """See the routes in `pgcellar.people`."""
        self.held = held
        self.profiles = parts.profiles
        self.classes = parts.classes


class Me(_ProfilesHandler):
    """`GET /profiles/me`."""

    async def get(self) -> None:
        """One's profile."""
        self.answer(
            {
                "subject": self.identity.subject,
                "name": self.identity.name,
                "kind": self.identity.kind,
                "preferences": await self.profiles.preferences(self.identity),
                "classes": await self.classes.of(self.identity),
            }
        )


class Preferences(_ProfilesHandler):
    """`PATCH /profiles/me/preferences`."""

    async def patch(self) -> None:
        """Change some; null takes one back."""
        self.answer({"preferences": await self.profiles.prefer(self.identity, self.body())})


class MyQuotas(_ProfilesHandler):
    """`GET /profiles/me/quotas`."""

    async def get(self) -> None:
        """One's limits, and how much of them is used."""
        self.answer({"quotas": await self.profiles.remaining(self.identity, self.held)})


class Quotas(_ProfilesHandler):
    """`/profiles/subjects/{subject}/quotas`."""

    scope = "admin"

    async def get(self, subject: str) -> None:
        """Limits of somebody."""
        self.answer(await self.profiles.quotas_of(self.identity, subject, self.held))

    async def patch(self, subject: str) -> None:
        """Set limits of somebody."""
        await self.profiles.set_quotas(self.identity, "subject", subject, self.body())
        self.set_status(204)


class Classes(_ProfilesHandler):
    """`/profiles/classes`."""

    async def get(self) -> None:
        """The classes one is in, by pages."""
        found, more = self.paged(await self.classes.of(self.identity), _id)
        self.answer({"classes": found, "next": more})

    async def post(self) -> None:
        """Make a class."""
        asked = self.body()
        made = await self.classes.create(self.identity, asked.get("name"), asked.get("teacher"))
        self.set_status(201)
        self.answer(made)


class Join(_ProfilesHandler):
    """`POST /profiles/classes/join`."""

    async def post(self) -> None:
        """Become a student of the class with a `code`."""
        address = authentication.address(self.request)
        self.answer(await self.classes.join(self.identity, self.body().get("code"), address))


class Class(_ProfilesHandler):
    """`/profiles/classes/{id}`."""

    async def get(self, which: str) -> None:
        """A class; its members by pages."""
        found = await self.classes.get(self.identity, which)
        if "members" in found:
            found["members"], found["next"] = self.paged(found["members"], _subject)
        self.answer(found)

    async def patch(self, which: str) -> None:
        """Rename it."""
        await self.classes.rename(self.identity, which, self.body().get("name"))
        self.set_status(204)

    async def delete(self, which: str) -> None:
        """Remove it."""
        await self.classes.remove(self.identity, which)
        self.set_status(204)


class Code(_ProfilesHandler):
    """`POST /profiles/classes/{id}/code`."""

    async def post(self, which: str) -> None:
        """Another join code, shown this once."""
        self.answer({"join_code": await self.classes.new_code(self.identity, which)})


class Member(_ProfilesHandler):
    """`/profiles/classes/{id}/members/{subject}`."""

    async def patch(self, which: str, subject: str) -> None:
        """Make a member a `teacher` or a `student`."""
        await self.classes.set_role(self.identity, which, subject, self.body().get("role"))
        self.set_status(204)

    async def delete(self, which: str, subject: str) -> None:
        """Take a member out."""
        await self.classes.leave(self.identity, which, subject)
        self.set_status(204)


class ClassQuotas(_ProfilesHandler):
    """`/profiles/classes/{id}/quotas`."""

    async def get(self, which: str) -> None:
        """The limits that are set for its members."""
        self.answer({"quotas": await self.classes.quotas(self.identity, which)})

    async def patch(self, which: str) -> None:
        """Set limits that its members have."""
        await self.classes.set_quotas(self.identity, which, self.body())
        self.set_status(204)


def _id(listed: Mapping[str, Any]) -> str:
    return str(listed["id"])


def _subject(member: Mapping[str, Any]) -> str:
    return str(member["subject"])


def routes(at: str, parts: Parts, held: service.Held) -> list[Any]:
    """The profiles' routes under a prefix; `held` says what somebody holds now."""
    given = {"parts": parts, "held": held}
    which = f"{at}/profiles/classes/([0-9a-f]{{16}})"
    subject = authentication.SUBJECT
    return [
        (f"{at}/profiles/me", Me, given),
        (f"{at}/profiles/me/preferences", Preferences, given),
        (f"{at}/profiles/me/quotas", MyQuotas, given),
        (f"{at}/profiles/subjects/{subject}/quotas", Quotas, given),
        (f"{at}/profiles/classes", Classes, given),
        (f"{at}/profiles/classes/join", Join, given),
        (which, Class, given),
        (f"{which}/code", Code, given),
        (f"{which}/members/{subject}", Member, given),
        (f"{which}/quotas", ClassQuotas, given),
    ]
