"""Classes: who teaches them, who is in them, and how one comes in."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from pgcellar.api import auditing, errors, identities, quotas
from pgcellar.control import windows
from pgcellar.profiles import class_store, service
from pgcellar.web import authentication

#: Letters and digits that nobody mistakes when they are read from a blackboard: 10 have 49 bits.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_LENGTH = 10
#: Codes that somebody may try, and that may be tried from one address, in so many seconds.
_TRIES = 20
_TRIES_OF_ADDRESS = 500
_SECONDS = 600.0
MAX_NAME = 100


class Classes:
    """See the module."""

    def __init__(
        self,
        kept: class_store.ClassStore,
        profiles: service.Profiles,
        counted: windows.Windows,
        audit: auditing.AuditLog,
        registry: identities.Registry = identities.ANYBODY,
    ) -> None:
        self._store = kept
        self._profiles = profiles
        self._windows = counted
        self._audit = audit
        self._registry = registry

    async def create(
        self, who: identities.Identity, name: object, teacher: object = None
    ) -> dict[str, Any]:
        """A new class with its join code this once, taught by a subject, or by `who`.

        For administrators.
        """
        if not who.administers:
            raise errors.Forbidden("Only an administrator may make a class.")
        which, code = secrets.token_hex(8), _code()
        called = _name(name)
        teaches = who if teacher is None else await self._somebody(teacher)
        await self._store.add(which, called, _hash(code), teaches.subject, teaches.name)
        self._profiles.forget()
        await self._write(who, "class.create", which, teacher=teaches.subject)
        return {"id": which, "name": called, "join_code": code}

    async def of(self, who: identities.Identity) -> list[dict[str, Any]]:
        """The classes one is in; an administrator sees all."""
        found = await self._store.of(who.subject)
        if who.administers:
            mine = {each["id"] for each in found}
            found += [each for each in await self._store.all() if each["id"] not in mine]
        return found

    async def get(self, who: identities.Identity, which: str) -> dict[str, Any]:
        """A class, with its members for who teaches it."""
        role = await self._role(who, which)
        found = await self._store.get(which)
        if found is None:
            raise _missing()
        answer: dict[str, Any] = {"id": which, "name": found["name"], "role": role}
        if role != "student":
            members = await self._store.members(which)
            answer["members"] = [{**each, "joined": each["joined"].isoformat()} for each in members]
        return answer

    async def rename(self, who: identities.Identity, which: str, name: object) -> None:
        """Call a class otherwise."""
        await self.teaches(who, which)
        await self._store.rename(which, _name(name))
        await self._write(who, "class.rename", which)

    async def remove(self, who: identities.Identity, which: str) -> None:
        """Remove a class; its members keep what is theirs."""
        await self.teaches(who, which)
        await self._store.remove(which)
        self._profiles.forget()
        await self._write(who, "class.remove", which)

    async def new_code(self, who: identities.Identity, which: str) -> str:
        """Another join code; the one before is good no more."""
        await self.teaches(who, which)
        code = _code()
        await self._store.set_join_hash(which, _hash(code))
        await self._write(who, "class.code", which)
        return code

    async def join(self, who: identities.Identity, code: object, address: str) -> dict[str, Any]:
        """Become a student of the class with this code. Raises NotFound; LimitExceeded."""
        where = authentication.network(address)
        for key, count in ((who.subject, _TRIES), (where, _TRIES_OF_ADDRESS)):
            taken = await self._windows.take(f"join:{key}", amount=1, limit=count, seconds=_SECONDS)
            if not taken.admitted:
                raise errors.LimitExceeded(
                    f"No more than {count} join codes can be tried in {_SECONDS / 60:.0f}"
                    f" minutes; the next one in {taken.retry_after:.0f} s.",
                    retry_after=taken.retry_after,
                )
        text = code.strip().upper() if isinstance(code, str) else ""
        which = await self._store.join(_hash(text), who.subject, who.name)
        if which is None:
            await self._write(who, "class.join", "", "denied")
            raise errors.NotFound("No class has this join code.")
        self._profiles.forget()
        await self._write(who, "class.join", which)
        return await self.get(who, which)

    async def set_role(
        self, who: identities.Identity, which: str, subject: str, role: object
    ) -> None:
        """Make a member a teacher or a student."""
        await self.teaches(who, which)
        if role not in ("teacher", "student"):
            raise errors.BadRequest("`role` is `teacher` or `student`.")
        await self._member(which, subject)
        wanted: class_store.Role = "teacher" if role == "teacher" else "student"
        if not await self._store.set_role(which, subject, wanted):
            raise errors.Conflict("A class needs a teacher.")
        await self._write(who, "class.role", which, member=subject, role=wanted)

    async def leave(self, who: identities.Identity, which: str, subject: str) -> None:
        """Take a member out; anybody may take themselves."""
        if subject != who.subject:
            await self.teaches(who, which)
        await self._member(which, subject)
        if not await self._store.leave(which, subject):
            raise errors.Conflict("A class needs a teacher.")
        self._profiles.forget()
        await self._write(who, "class.leave", which, member=subject)

    async def set_quotas(
        self, who: identities.Identity, which: str, values: Mapping[str, object]
    ) -> None:
        """Set limits that members of a class have."""
        await self.teaches(who, which)
        await self._profiles.set_quotas(who, "class", which, values, teaches=True)

    async def quotas(self, who: identities.Identity, which: str) -> Mapping[quotas.Limit, float]:
        """The limits that are set for members of a class, for who teaches it."""
        await self.teaches(who, which)
        return await self._profiles.set_for_class(which)

    # --- inside ------------------------------------------------------------------------------

    async def _role(self, who: identities.Identity, which: str) -> str:
        """What somebody is in a class. Who is nothing there is not told that there is one."""
        role = await self._store.role(which, who.subject)
        if who.administers and role != "teacher":
            return identities.ADMINISTRATOR
        if role is None:
            raise _missing()
        return role

    async def teaches(self, who: identities.Identity, which: str) -> None:
        """Raise NotFound or Forbidden unless somebody teaches a class, or administers."""
        role = await self._role(who, which)
        if role == "student":
            raise errors.Forbidden("Only who teaches this class may do that.")
        if role == identities.ADMINISTRATOR and await self._store.get(which) is None:
            raise _missing()

    async def _somebody(self, subject: object) -> identities.Identity:
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_NAME:
            raise errors.BadRequest("`teacher` is a subject.")
        found = await self._registry.find(subject)
        if found is None or found.kind == "anonymous":
            raise errors.NotFound("There is no such account that could teach.")
        return found

    async def _member(self, which: str, subject: str) -> None:
        if await self._store.role(which, subject) is None:
            raise errors.NotFound("There is no such member.")

    async def _write(
        self,
        who: identities.Identity,
        action: str,
        target: str,
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
                token=who.token,
                details=details,
            )
        )


def _code() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode(errors="replace")).digest()


def _name(name: object) -> str:
    text = " ".join(name.split()) if isinstance(name, str) else ""
    if not 0 < len(text) <= MAX_NAME or not text.isprintable():
        raise errors.BadRequest(f"`name` is a text of 1 to {MAX_NAME} characters.")
    return text


def _missing() -> errors.NotFound:
    return errors.NotFound("There is no such class.")
