"""User profiles: preferences, and what somebody may use and has left."""

from __future__ import annotations

import collections
import datetime
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pgcellar.api import auditing, errors, identities, quotas
from pgcellar.control import windows
from pgcellar.profiles import limits, store

#: How long another replica's change of a quota may go unnoticed.
READ_SECONDS = 5.0
_REMEMBERED = 4096
MAX_CHANGES = 200

#: What a subject holds now of what is limited: `api.teaching.Classroom.held`.
Held = Callable[[str], Awaitable[Mapping[quotas.Limit, float]]]


class Profiles:
    """See the module; satisfies `api.quotas.Quotas`."""

    def __init__(
        self,
        kept: store.ProfileStore,
        counted: windows.Windows,
        audit: auditing.AuditLog,
        defaults: limits.Defaults | None = None,
        registry: identities.Registry = identities.ANYBODY,
    ) -> None:
        self._store = kept
        self._windows = counted
        self._audit = audit
        self._defaults = defaults or limits.Defaults()
        self._registry = registry
        self._known: collections.OrderedDict[
            tuple[str, str], tuple[float, dict[quotas.Limit, float]]
        ] = collections.OrderedDict()

    async def preferences(self, who: identities.Identity) -> dict[str, Any]:
        """What somebody prefers."""
        return await self._store.preferences(who.subject)

    async def prefer(self, who: identities.Identity, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change preferences; null takes one back."""
        if len(changes) > MAX_CHANGES:
            raise errors.BadRequest(f"No more than {MAX_CHANGES} preferences change at once.")
        return await self._store.prefer(who.subject, changes)

    # --- quotas ------------------------------------------------------------------------------

    async def limits(self, who: identities.Identity) -> dict[quotas.Limit, float]:
        """Every limit of somebody."""
        key = (who.subject, who.kind)
        known = self._known.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        default = self._defaults.of(who.kind)
        found = dict(default)
        if who.kind not in ("os", "service"):
            classes, own = await self._store.limits(who.subject)
            found = limits.resolve(default, classes, own)
        self._known[key] = (time.monotonic() + READ_SECONDS, found)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found

    async def limit(self, who: identities.Identity, limit: quotas.Limit) -> float:
        """What a limit is for somebody; infinite if there is none."""
        return (await self.limits(who))[limit]

    async def admit(
        self, who: identities.Identity, limit: quotas.Limit, amount: float = 1.0
    ) -> None:
        """Go on if a limit allows an amount; see the Protocol. Raises LimitExceeded."""
        value = await self.limit(who, limit)
        if math.isinf(value):
            return
        seconds = limits.WINDOWS.get(limit)
        if seconds is None:
            taken = windows.Taken(admitted=amount <= value)
        else:
            taken = await self._windows.take(
                _key(who, limit), amount=amount, limit=value, seconds=seconds
            )
        if taken.admitted:
            return
        told = f"Your limit is {limits.sentence(limit, value)}"
        wait = math.ceil(taken.retry_after)
        await self._write(who, "quota.deny", limit, "denied", limit=value, amount=amount)
        if wait:
            raise errors.LimitExceeded(
                f"{told}, and it is reached; there is room again in {wait} s.", retry_after=wait
            )
        raise errors.LimitExceeded(
            f"{told}, and this would be more; waiting does not help.",
            hint="Use less, or ask your teacher or an administrator for more.",
        )

    async def left(self, who: identities.Identity, limit: quotas.Limit) -> float:
        """How much of a limit over time is left."""
        value = await self.limit(who, limit)
        if math.isinf(value):
            return value
        used = await self._windows.used(_key(who, limit), seconds=limits.WINDOWS[limit])
        return max(value - used, 0.0)

    async def spend(self, who: identities.Identity, limit: quotas.Limit, amount: float) -> None:
        """Count what was used, whether it was still allowed or not."""
        if math.isfinite(await self.limit(who, limit)):
            await self._windows.take(
                _key(who, limit), amount=amount, limit=limits.MOST, seconds=limits.WINDOWS[limit]
            )

    async def remaining(
        self, who: identities.Identity, held: Held
    ) -> dict[str, dict[str, float | None]]:
        """Every limit: its value, None for no limit, and how much of it is used.

        Of what is counted over time it says what is `left`, of what is held what is `used`.
        """
        found: dict[str, dict[str, float | None]] = {}
        for name, value in (await self.limits(who)).items():
            found[name] = {"limit": None if math.isinf(value) else value}
            if math.isfinite(value) and name in limits.WINDOWS:
                left = await self.left(who, name)
                found[name] |= {"left": left, "seconds": limits.WINDOWS[name]}
        for name, used in (await held(who.subject)).items():
            found[name]["used"] = used
        return found

    async def quotas_of(self, who: identities.Identity, subject: str, held: Held) -> dict[str, Any]:
        """Somebody's limits and what is used of them, and what is `set` for them alone.

        For administrators. Raises Forbidden or NotFound.
        """
        if not who.administers:
            raise errors.Forbidden("Only an administrator may see others' limits.")
        found = await self._somebody(subject)
        own = await self._store.set_for("subject", subject)
        return {"subject": subject, "set": own, "quotas": await self.remaining(found, held)}

    async def set_for_class(self, which: str) -> dict[quotas.Limit, float]:
        """The limits that are set for the members of a class."""
        return await self._store.set_for("class", which)

    async def set_quotas(
        self,
        who: identities.Identity,
        kind: store.Kind,
        target: str,
        values: Mapping[str, object],
        *,
        teaches: bool = False,
    ) -> None:
        """Set limits of a class or a subject; null takes one back.

        An administrator may set any; who `teaches` a class, those of the class within bounds.
        """
        found = limits.checked(values)
        if not who.administers:
            if not (teaches and kind == "class"):
                raise errors.Forbidden("Only an administrator may set these limits.")
            self._check_given(found)
        if kind == "subject":
            await self._somebody(target)
        await self._store.set_quotas(kind, target, found)
        self._known.clear()
        await self._write(who, "quota.set", f"{kind}:{target}", "done", **found)

    async def extend(
        self,
        who: identities.Identity,
        which: str,
        subject: str,
        values: Mapping[str, object],
        until: datetime.datetime,
    ) -> dict[quotas.Limit, float]:
        """Give a member of a class that `who` teaches limits at least so high until a time.

        Raises BadRequest, Forbidden, or NotFound if they have just left the class.
        """
        found = limits.checked(values)
        given = {name: value for name, value in found.items() if value is not None}
        if len(given) < len(found):
            raise errors.BadRequest("A limit for a while is a number.")
        if not who.administers:
            self._check_given(found)
        await self._store.extend(which, subject, given, until)
        self._known.clear()
        return given

    async def remove(self, subject: str) -> None:
        """Remove all that is kept of somebody who can't come back."""
        await self._store.remove(subject)
        self.forget()

    def forget(self) -> None:
        """Somebody came into a class or left it: other limits may hold."""
        self._known.clear()

    def _check_given(self, values: Mapping[quotas.Limit, float | None]) -> None:
        """Raise Forbidden for what is more than a teacher may give."""
        for name, value in values.items():
            most = self._defaults.teacher[name]
            if value is not None and value > most:
                raise errors.Forbidden(f"A teacher may give {limits.sentence(name, most)} at most.")

    async def _somebody(self, subject: str) -> identities.Identity:
        found = await self._registry.find(subject)
        if found is None:
            raise errors.NotFound("There is no such account.")
        return found

    async def _write(
        self,
        who: identities.Identity,
        action: str,
        target: str,
        outcome: auditing.Outcome,
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


def _key(who: identities.Identity, limit: quotas.Limit) -> str:
    return f"quota:{limit}:{who.subject}"
