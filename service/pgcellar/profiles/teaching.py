"""What who teaches a class sees of its members' work, and does for them."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Mapping
from typing import Any

from pgcellar.api import auditing, errors, identities, quotas, teaching
from pgcellar.profiles import class_store, classes, service

#: Seconds after a request for which somebody is online.
ONLINE = 300.0
MOST = 1_000
MAX_MINUTES = 24 * 60
#: Seconds until a look at a class is written down again.
_LOOK_SECONDS = 600.0
_REASON = "Whoever teaches your class stopped your sandbox."


class Teaching:
    """See the module. All of it raises NotFound or Forbidden for who does not teach the class."""

    def __init__(
        self,
        kept: class_store.ClassStore,
        taught: classes.Classes,
        profiles: service.Profiles,
        registry: identities.Registry,
        classroom: teaching.Classroom,
        audit: auditing.AuditLog,
    ) -> None:
        self._store = kept
        self._classes = taught
        self._profiles = profiles
        self._registry = registry
        self._classroom = classroom
        self._audit = audit
        self._looked: dict[tuple[str, str], float] = {}

    async def activity(
        self,
        who: identities.Identity,
        which: str,
        *,
        limit: int,
        after: str | None,
        address: str = "",
    ) -> dict[str, Any]:
        """How far each member is, and whose sandbox is stuck; by pages.

        Of another teacher's work only an administrator is told.
        """
        await self._classes.teaches(who, which)
        await self._look(who, which, address)
        members = await self._store.members_after(which, limit, after)
        subjects = [member["subject"] for member in members]
        seen = await self._registry.last_seen(subjects)
        work = await self._classroom.work(subjects)
        now = datetime.datetime.now(datetime.UTC)
        listed = [
            _member(
                member,
                seen.get(member["subject"]),
                work[member["subject"]] if _is_told(who, member) else None,
                now,
            )
            for member in members
        ]
        last = subjects[-1] if len(subjects) == limit else None
        return {"class": which, "now": now.isoformat(), "members": listed, "next": last}

    async def quotas(
        self, who: identities.Identity, which: str, subject: str, address: str = ""
    ) -> dict[str, Any]:
        """A student's limits, and how much of them is used."""
        await self._teaches(who, which, subject, "class.member", address)
        found = await self._registry.find(subject)
        if found is None:
            raise errors.NotFound("There is no such member.")
        return {"quotas": await self._profiles.remaining(found, self._classroom.held)}

    async def stop(
        self, who: identities.Identity, which: str, subject: str, address: str = ""
    ) -> None:
        """Cancel a student's runs and stop the sandbox; its states stay. Raises Conflict."""
        await self._teaches(who, which, subject, "sandbox.stop", address)
        await self._classroom.stop(subject, _REASON)
        await self._write(who, "sandbox.stop", subject, address, which)

    async def reset(
        self, who: identities.Identity, which: str, subject: str, address: str = ""
    ) -> None:
        """Remove a student's sandbox with all its states; the next run gets another.

        Raises Conflict.
        """
        await self._teaches(who, which, subject, "sandbox.reset", address)
        await self._classroom.reset(subject, _REASON)
        await self._write(who, "sandbox.reset", subject, address, which)

    async def extend(
        self,
        who: identities.Identity,
        which: str,
        subject: str,
        *,
        minutes: object,
        values: object = None,
        address: str = "",
    ) -> dict[str, Any]:
        """Let a student's sandbox be idle, and have limits at least so high, for some minutes.

        What an administrator has set for the student alone holds all the same. Raises BadRequest.
        """
        await self._teaches(who, which, subject, "sandbox.extend", address)
        if isinstance(minutes, bool) or not isinstance(minutes, int):
            raise errors.BadRequest("`minutes` is a whole number.")
        if not 1 <= minutes <= MAX_MINUTES:
            raise errors.BadRequest(f"`minutes` is from 1 to {MAX_MINUTES}.")
        if values is not None and not isinstance(values, Mapping):
            raise errors.BadRequest("`quotas` is an object of limits.")
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
        given: Mapping[quotas.Limit, float] = {}
        if values:
            given = await self._profiles.extend(who, which, subject, values, until)
        self._classroom.extend(subject, minutes * 60.0)
        await self._write(
            who, "sandbox.extend", subject, address, which, minutes=minutes, quotas=dict(given)
        )
        return {"until": until.isoformat(), "quotas": dict(given)}

    # --- inside ------------------------------------------------------------------------------

    async def _teaches(
        self, who: identities.Identity, which: str, subject: str, action: str, address: str
    ) -> None:
        """Raise NotFound or Forbidden unless somebody is a student of `who`; and write it down."""
        try:
            await self._classes.teaches(who, which)
            role = await self._store.role(which, subject)
            if role is None:
                raise errors.NotFound("There is no such member.")
            if role == "teacher" and subject != who.subject and not who.administers:
                raise errors.Forbidden("What another teacher does is theirs.")
        except errors.PgcellarError:
            await self._write(who, action, subject, address, which, outcome="denied")
            raise

    async def _look(self, who: identities.Identity, which: str, address: str) -> None:
        """Write down that somebody looked, once for as long as a page is open."""
        now = time.monotonic()
        if self._looked.get((who.subject, which), -math.inf) > now - _LOOK_SECONDS:
            return
        self._looked = {key: at for key, at in self._looked.items() if at > now - _LOOK_SECONDS}
        self._looked[who.subject, which] = now
        await self._write(who, "class.activity", which, address, which)

    async def _write(
        self,
        who: identities.Identity,
        action: str,
        target: str,
        address: str,
        which: str,
        outcome: auditing.Outcome = "done",
        **details: Any,
    ) -> None:
        await self._audit.write(
            auditing.Act(
                subject=who.subject,
                name=who.name,
                kind=who.kind,
                action=action,
                target=target,
                outcome=outcome,
                address=address,
                token=who.token,
                details={"class": which, **details},
            )
        )


def _is_told(who: identities.Identity, member: Mapping[str, Any]) -> bool:
    return member["role"] == "student" or member["subject"] == who.subject or who.administers


def _member(
    member: Mapping[str, Any],
    seen: datetime.datetime | None,
    work: teaching.Work | None,
    now: datetime.datetime,
) -> dict[str, Any]:
    busy = work is not None and bool(work.busy)
    online = seen is not None and (now - seen).total_seconds() < ONLINE
    found: dict[str, Any] = {
        "subject": member["subject"],
        "name": member["name"],
        "role": member["role"],
        "last_seen": None if seen is None else seen.isoformat(),
        "online": online or busy,
    }
    if work is not None:
        found |= {
            "notebooks": list(work.notebooks),
            "sandbox": dict(work.sandbox),
            "busy": list(work.busy),
            "queued": work.queued,
        }
    return found
