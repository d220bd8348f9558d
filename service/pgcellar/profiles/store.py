"""Preferences and quotas in the control database."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Literal

import psycopg
from psycopg.types import json

from pgcellar.api import errors, quotas
from pgcellar.control import database

Kind = Literal["class", "subject"]


class ProfileStore:
    """The tables `profiles` and `quotas`; and `members`, where somebody is removed."""

    def __init__(self, db: database.ControlDatabase) -> None:
        self._db = db

    async def preferences(self, subject: str) -> dict[str, Any]:
        """What somebody prefers."""
        rows = await self._db.fetch(
            "select preferences from profiles where subject = %s", (subject,)
        )
        return dict(rows[0]["preferences"]) if rows else {}

    async def prefer(self, subject: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change preferences, null takes one back; all of them. Raises BadRequest if too large."""
        try:
            rows = await self._db.fetch(
                """
                insert into profiles as p (subject, preferences)
                values (%(subject)s, jsonb_strip_nulls(%(changes)s))
                on conflict (subject) do update set
                    preferences = (p.preferences || %(changes)s) - %(gone)s::text[],
                    updated = now()
                returning preferences
                """,
                {
                    "subject": subject,
                    "changes": json.Jsonb(dict(changes)),
                    "gone": [name for name, value in changes.items() if value is None],
                },
            )
        except psycopg.errors.CheckViolation as exc:
            raise errors.BadRequest("All preferences together may take 64 KiB.") from exc
        return dict(rows[0]["preferences"])

    async def remove(self, subject: str) -> None:
        """Remove somebody's preferences, quotas and memberships."""
        async with self._db.connection() as conn, conn.transaction():
            await conn.execute("delete from profiles where subject = %s", (subject,))
            await conn.execute("delete from members where subject = %s", (subject,))
            await conn.execute(
                "delete from quotas where kind = 'subject' and target = %s", (subject,)
            )

    async def limits(
        self, subject: str
    ) -> tuple[list[dict[quotas.Limit, float]], dict[quotas.Limit, float]]:
        """What is set for the classes of a subject, or given for a while, and for the subject."""
        rows = await self._db.fetch(
            """
            select kind, target, name, value from quotas
            where kind = 'subject' and target = %(subject)s or kind = 'class' and target in (
                select class from members where subject = %(subject)s
            )
            union all
            select 'given', class, name, value from extensions
            where subject = %(subject)s and until > now()
            """,
            {"subject": subject},
        )
        own: dict[quotas.Limit, float] = {}
        classes: dict[tuple[str, str], dict[quotas.Limit, float]] = {}
        for row in rows:
            key = row["kind"], row["target"]
            into = own if row["kind"] == "subject" else classes.setdefault(key, {})
            into[row["name"]] = row["value"]
        return list(classes.values()), own

    async def set_for(self, kind: Kind, target: str) -> dict[quotas.Limit, float]:
        """What is set for a class or a subject itself."""
        rows = await self._db.fetch(
            "select name, value from quotas where kind = %s and target = %s order by name",
            (kind, target),
        )
        return {row["name"]: row["value"] for row in rows}

    async def extend(
        self,
        which: str,
        subject: str,
        values: Mapping[quotas.Limit, float],
        until: datetime.datetime,
    ) -> None:
        """Give a member limits until a time. Raises NotFound if there is no such member."""
        try:
            async with self._db.connection() as conn, conn.transaction():
                await conn.execute("delete from extensions where until < now()")
                for name, value in values.items():
                    await conn.execute(
                        """
                        insert into extensions (class, subject, name, value, until)
                        values (%s, %s, %s, %s, %s) on conflict (class, subject, name)
                        do update set value = excluded.value, until = excluded.until
                        """,
                        (which, subject, name, value, until),
                    )
        except psycopg.errors.ForeignKeyViolation as exc:
            raise errors.NotFound("There is no such member.") from exc

    async def set_quotas(
        self, kind: Kind, target: str, values: Mapping[quotas.Limit, float | None]
    ) -> None:
        """Set limits for a class or a subject; None takes one back."""
        async with self._db.connection() as conn, conn.transaction():
            for name, value in values.items():
                if value is None:
                    await conn.execute(
                        "delete from quotas where kind = %s and target = %s and name = %s",
                        (kind, target, name),
                    )
                    continue
                await conn.execute(
                    """
                    insert into quotas (kind, target, name, value) values (%s, %s, %s, %s)
                    on conflict (kind, target, name) do update set value = excluded.value
                    """,
                    (kind, target, name, value),
                )
