"""Sessions and personal access tokens in the control database; of their secrets only hashes."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from typing import Any, Literal

from pgcellar.api import errors
from pgcellar.control import database

#: The advisory locks of who adds to a subject's grants: "toke" in ASCII.
_LOCK = 0x746F6B65

Kind = Literal["session", "personal"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """What somebody was given: a session, or a personal access token."""

    id: str
    subject: str
    kind: Kind
    name: str
    scopes: tuple[str, ...]
    created: datetime.datetime
    last_used: datetime.datetime | None
    expires: datetime.datetime


def digest(secret: str) -> bytes:
    """What is kept of a secret: 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


class GrantStore:
    """The tables `grants`, `secrets` and `refused`. `lifetime` is that of access tokens."""

    def __init__(self, db: database.ControlDatabase, *, lifetime: float) -> None:
        self._db = db
        self._lifetime = lifetime

    async def add(
        self,
        new: str,
        *,
        subject: str,
        kind: Kind,
        name: str,
        scopes: tuple[str, ...],
        secret: str,
        seconds: float,
        most: int | None = None,
    ) -> Grant:
        """Add a grant with the id `new`. Raises LimitExceeded where `most` of its kind are good."""
        async with self._db.connection() as conn, conn.transaction():
            if most is not None:
                # Many at once are counted one after the other.
                await conn.execute(
                    "select pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK, subject)
                )
                counted = await conn.execute(
                    """
                    select count(*) as n from grants
                    where subject = %s and kind = %s and revoked is null and expires > now()
                    """,
                    (subject, kind),
                )
                if (await counted.fetchall())[0]["n"] >= most:
                    raise errors.LimitExceeded(
                        f"You have {most} personal access tokens.", hint="Revoke some."
                    )
            made = await conn.execute(
                """
                insert into grants (id, subject, kind, name, scopes, expires)
                values (%s, %s, %s, %s, %s, now() + make_interval(secs => %s))
                returning id, subject, kind, name, scopes, created, last_used, expires
                """,
                (new, subject, kind, name, list(scopes), seconds),
            )
            (row,) = await made.fetchall()
            await conn.execute(
                "insert into secrets (hash, grant_id) values (%s, %s)", (digest(secret), new)
            )
        return _grant(row)

    async def renew(self, old: str, new: str) -> Grant | None:
        """Exchange a session's secret for another; None if it isn't good for that."""
        async with self._db.connection() as conn, conn.transaction():
            found = await conn.execute(_RENEW, (digest(old),))
            rows = await found.fetchall()
            if not rows:
                return None
            await conn.execute(
                "insert into secrets (hash, grant_id) values (%s, %s)",
                (digest(new), rows[0]["id"]),
            )
        return _grant(rows[0])

    async def named(self, secret: str) -> str | None:
        """The grant that a secret is of, or was; None if there is none."""
        rows = await self._db.fetch(
            "select grant_id from secrets where hash = %s", (digest(secret),)
        )
        return rows[0]["grant_id"] if rows else None

    async def renewed(self, old: str, new: str) -> Grant | None:
        """The session whose secret was exchanged for another, which nobody has used; else None."""
        rows = await self._db.fetch(
            """
            select id, subject, grants.kind, name, scopes, grants.created, last_used, expires
            from secrets as old join secrets as new using (grant_id) join grants on id = grant_id
            where old.hash = %s and old.used is not null and new.hash = %s and new.used is null
                and kind = 'session' and revoked is null and expires > now()
            """,
            (digest(old), digest(new)),
        )
        return _grant(rows[0]) if rows else None

    async def reused(self, secret: str) -> tuple[str, str] | None:
        """If a session's secret was used before: its subject and the session, now revoked."""
        rows = await self._db.fetch(
            """
            select subject, id from secrets join grants on id = grant_id
            where hash = %s and used is not null and kind = 'session'
            """,
            (digest(secret),),
        )
        if not rows:
            return None
        subject, session = rows[0]["subject"], rows[0]["id"]
        await self.revoke(subject, session)
        return subject, session

    async def personal(self, secret: str) -> Grant | None:
        """The personal access token with this secret, if it is good."""
        rows = await self._db.fetch(
            """
            update grants set last_used = now() from secrets
            where id = grant_id and hash = %s and kind = 'personal' and revoked is null
                and expires > now()
            returning id, subject, kind, name, scopes, grants.created, last_used, expires
            """,
            (digest(secret),),
        )
        return _grant(rows[0]) if rows else None

    async def tokens(self, subject: str) -> list[Grant]:
        """Somebody's personal access tokens that are good, the newest first."""
        rows = await self._db.fetch(
            """
            select id, subject, kind, name, scopes, created, last_used, expires from grants
            where subject = %s and kind = 'personal' and revoked is null and expires > now()
            order by created desc, id
            """,
            (subject,),
        )
        return [_grant(row) for row in rows]

    async def sessions(self, subject: str, *, limit: int, after: str | None) -> list[Grant]:
        """Somebody's open sessions, the newest first; `after` is the id of the last one seen."""
        rows = await self._db.fetch(
            """
            select id, subject, kind, name, scopes, created, last_used, expires from grants
            where subject = %(subject)s and kind = 'session'
                and revoked is null and expires > now()
                and (%(after)s::text is null or (created, id) < (
                    select last.created, last.id from grants as last
                    where last.id = %(after)s and last.subject = %(subject)s))
            order by created desc, id desc limit %(limit)s
            """,
            {"subject": subject, "after": after, "limit": limit},
        )
        return [_grant(row) for row in rows]

    async def logged_in(self, subject: str) -> int:
        """How many open sessions somebody has."""
        rows = await self._db.fetch(
            """
            select count(*) as count from grants
            where subject = %s and kind = 'session' and revoked is null and expires > now()
            """,
            (subject,),
        )
        return int(rows[0]["count"])

    async def revoke(self, subject: str, grant: str | None = None) -> int:
        """Revoke one of a subject's grants, or all; how many. Their access tokens are refused."""
        return await self._db.execute(
            """
            with gone as (
                update grants set revoked = now()
                where subject = %(subject)s and revoked is null
                    and (%(id)s::text is null or id = %(id)s)
                returning id
            )
            insert into refused (target, until)
            select id, now() + make_interval(secs => %(seconds)s) from gone
            on conflict (target) do update set until = excluded.until
            """,
            {"subject": subject, "id": grant, "seconds": self._lifetime},
        )

    # --- what access tokens are refused for --------------------------------------------------

    async def refuse(self, subject: str) -> None:
        """Refuse every access token that a subject has."""
        await self._db.execute(
            """
            insert into refused (target, until) values (%s, now() + make_interval(secs => %s))
            on conflict (target) do update set until = excluded.until
            """,
            (subject, self._lifetime),
        )

    async def accept(self, subject: str) -> None:
        """Take a subject's access tokens again."""
        await self._db.execute("delete from refused where target = %s", (subject,))

    async def refused(self) -> frozenset[str]:
        """The subjects and grants whose access tokens are refused."""
        rows = await self._db.fetch("select target from refused where until > now()")
        return frozenset(row["target"] for row in rows)

    async def tidy(self) -> None:
        """Remove what has expired; until then a revoked session sees its secrets reused."""
        await self._db.execute("delete from grants where expires < now()")
        await self._db.execute("delete from refused where until < now()")


_RENEW = """
with secret as (
    update secrets set used = now() from grants
    where hash = %s and used is null and id = grant_id and kind = 'session'
        and revoked is null and expires > now()
    returning grant_id
)
update grants set last_used = now() from secret where id = grant_id
returning id, subject, kind, name, scopes, created, last_used, expires
"""


def _grant(row: dict[str, Any]) -> Grant:
    return Grant(**{**row, "scopes": tuple(row["scopes"])})
