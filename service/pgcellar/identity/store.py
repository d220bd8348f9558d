"""Accounts and their logins in the control database."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from pgcellar.api import errors, identities
from pgcellar.control import database


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Somebody who has been here."""

    subject: str
    kind: identities.Kind
    name: str
    roles: tuple[str, ...] = ()
    disabled: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """What a provider calls somebody. `password` is a hash, where we are the provider."""

    provider: str
    external: str
    password: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """An account as administrators see it."""

    account: Account
    created: datetime.datetime
    last_seen: datetime.datetime


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """Which accounts are looked for; `search` is part of a subject, a name or a login."""

    search: str | None = None
    kind: str | None = None
    disabled: bool | None = None
    role: str | None = None


class AccountStore:
    """The tables `accounts` and `logins`."""

    def __init__(self, db: database.ControlDatabase) -> None:
        self._db = db

    async def get(self, subject: str) -> Account | None:
        """The account of a subject."""
        rows = await self._db.fetch(
            "select subject, kind, name, roles, disabled from accounts where subject = %s",
            (subject,),
        )
        return account(rows[0]) if rows else None

    async def page(self, filters: Filters, *, limit: int, after: str | None) -> list[Listed]:
        """Accounts, newest first; `after` is the subject of the last one seen."""
        rows = await self._db.fetch(
            _PAGE, {**dataclasses.asdict(filters), "after": after, "limit": limit}
        )
        return [_listed(row) for row in rows]

    async def listed(self, subject: str) -> tuple[Listed, list[Login]] | None:
        """The account of a subject, with its logins, without passwords."""
        rows = await self._db.fetch(
            """
            select subject, kind, name, roles, disabled, created, last_seen
            from accounts where subject = %s
            """,
            (subject,),
        )
        if not rows:
            return None
        logins = await self._db.fetch(
            "select provider, external from logins where subject = %s order by created, provider",
            (subject,),
        )
        return _listed(rows[0]), [Login(**each) for each in logins]

    async def by_login(self, provider: str, external: str) -> tuple[Account, Login] | None:
        """The account that a login belongs to."""
        rows = await self._db.fetch(
            """
            select subject, kind, name, roles, disabled, password
            from logins join accounts using (subject)
            where provider = %s and external = %s
            """,
            (provider, external),
        )
        if not rows:
            return None
        found = Login(provider=provider, external=external, password=rows[0].pop("password"))
        return account(rows[0]), found

    async def add(self, new: Account, login: Login | None = None) -> None:
        """Add an account. Raises Conflict if the login is another's already."""
        try:
            async with self._db.connection() as conn, conn.transaction():
                await conn.execute(
                    "insert into accounts (subject, kind, name, roles) values (%s, %s, %s, %s)",
                    (new.subject, new.kind, new.name, list(new.roles)),
                )
                if login is not None:
                    await conn.execute(_LOGIN, _login(new.subject, login))
        except psycopg.errors.UniqueViolation as exc:
            raise taken() from exc

    async def ensure(self, who: Account) -> None:
        """Add an account unless there is one of this subject."""
        await self._db.execute(
            """
            insert into accounts (subject, kind, name) values (%s, %s, %s)
            on conflict (subject) do nothing
            """,
            (who.subject, who.kind, who.name),
        )

    async def upgrade(self, subject: str, name: str, login: Login) -> bool:
        """Make an anonymous account a registered one; whether it was anonymous.

        Raises Conflict if the login is another's already; then nothing has changed.
        """
        try:
            async with self._db.connection() as conn, conn.transaction():
                found = await conn.execute(
                    """
                    update accounts set kind = 'registered', name = %s
                    where subject = %s and kind = 'anonymous' and not disabled
                    """,
                    (name, subject),
                )
                if found.rowcount:
                    await conn.execute(_LOGIN, _login(subject, login))
                return bool(found.rowcount)
        except psycopg.errors.UniqueViolation as exc:
            raise taken() from exc

    async def anonymous(self) -> int:
        """How many anonymous accounts there are."""
        rows = await self._db.fetch(
            "select count(*) as count from accounts where kind = 'anonymous'"
        )
        return int(rows[0]["count"])

    async def departed(self, seconds: float, limit: int) -> list[str]:
        """Anonymous subjects of so long ago who can't come back, the oldest first."""
        rows = await self._db.fetch(
            f"""
            select subject from accounts as a
            where {_DEPARTED} and created < now() - make_interval(secs => %s)
            order by created limit %s
            """,
            (seconds, limit),
        )
        return [row["subject"] for row in rows]

    async def remove(self, subject: str) -> bool:
        """Remove the account of somebody who can't come back; whether it is gone."""
        return bool(
            await self._db.execute(
                f"delete from accounts as a where subject = %s and {_DEPARTED}", (subject,)
            )
        )

    async def seen(self, subject: str) -> None:
        """Somebody was here."""
        await self._db.execute(
            "update accounts set last_seen = now() where subject = %s", (subject,)
        )

    async def seen_at(self, noted: Mapping[str, datetime.datetime]) -> None:
        """When each of some subjects was here."""
        await self._db.execute(
            """
            update accounts as a set last_seen = greatest(a.last_seen, n.at)
            from unnest(%s::text[], %s::timestamptz[]) as n (subject, at)
            where a.subject = n.subject
            """,
            (list(noted), list(noted.values())),
        )

    async def last_seen(self, subjects: Sequence[str]) -> dict[str, datetime.datetime]:
        """When each of some subjects was here last."""
        rows = await self._db.fetch(
            "select subject, last_seen from accounts where subject = any (%s)", (list(subjects),)
        )
        return {row["subject"]: row["last_seen"] for row in rows}

    async def set_password(self, login: Login) -> None:
        """Replace the hash of a login's password."""
        await self._db.execute(
            "update logins set password = %s where provider = %s and external = %s",
            (login.password, login.provider, login.external),
        )

    async def set_disabled(self, subject: str, disabled: bool) -> bool:
        """Whether somebody may come in; whether there is such an account."""
        return bool(
            await self._db.execute(
                "update accounts set disabled = %s where subject = %s", (disabled, subject)
            )
        )

    async def set_roles(self, subject: str, roles: Sequence[str]) -> bool:
        """Give an account these roles; whether there is such an account."""
        return bool(
            await self._db.execute(
                "update accounts set roles = %s where subject = %s", (list(roles), subject)
            )
        )


_DEPARTED = (
    "kind = 'anonymous' and not exists (select from grants as g where g.subject = a.subject)"
)

_LOGIN = "insert into logins (subject, provider, external, password) values (%s, %s, %s, %s)"


_PAGE = """
select subject, kind, name, roles, disabled, created, last_seen from accounts as a
where (%(kind)s::text is null or kind = %(kind)s)
    and (%(disabled)s::boolean is null or disabled = %(disabled)s)
    and (%(role)s::text is null or %(role)s = any (roles))
    and (%(search)s::text is null or position(lower(%(search)s) in lower(name)) > 0
        or position(lower(%(search)s) in lower(subject)) > 0
        or exists (select from logins as l where l.subject = a.subject
            and position(lower(%(search)s) in lower(l.external)) > 0))
    and (%(after)s::text is null or (created, subject) < (
        select last.created, last.subject from accounts as last where last.subject = %(after)s))
order by created desc, subject desc limit %(limit)s
"""


def _login(subject: str, login: Login) -> tuple[Any, ...]:
    return subject, login.provider, login.external, login.password


def account(row: dict[str, Any]) -> Account:
    """A row of `accounts`."""
    return Account(**{**row, "roles": tuple(row["roles"])})


def _listed(row: dict[str, Any]) -> Listed:
    created, last_seen = row.pop("created"), row.pop("last_seen")
    return Listed(account=account(row), created=created, last_seen=last_seen)


def taken() -> errors.Conflict:
    """Somebody has this login."""
    return errors.Conflict("There is an account with this login.", hint="Log in to it.")
