"""Classes and their members in the control database."""

from __future__ import annotations

from typing import Any, Literal, LiteralString

from pgcellar.control import database

Role = Literal["teacher", "student"]


class ClassStore:
    """The tables `classes` and `members`."""

    def __init__(self, db: database.ControlDatabase) -> None:
        self._db = db

    async def add(self, new: str, name: str, join_hash: bytes, by: str, by_name: str) -> None:
        """Add a class with its first teacher."""
        async with self._db.connection() as conn, conn.transaction():
            await conn.execute(
                "insert into classes (id, name, join_hash) values (%s, %s, %s)",
                (new, name, join_hash),
            )
            await conn.execute(
                "insert into members (class, subject, name, role) values (%s, %s, %s, 'teacher')",
                (new, by, by_name),
            )

    async def get(self, which: str) -> dict[str, Any] | None:
        """A class."""
        rows = await self._db.fetch("select id, name, created from classes where id = %s", (which,))
        return rows[0] if rows else None

    async def of(self, subject: str) -> list[dict[str, Any]]:
        """The classes somebody is in, and as what."""
        return await self._db.fetch(
            """
            select id, classes.name, role from classes join members on class = id
            where subject = %s order by classes.name, id
            """,
            (subject,),
        )

    async def all(self) -> list[dict[str, Any]]:
        """Every class."""
        return await self._db.fetch("select id, name from classes order by name, id")

    async def role(self, which: str, subject: str) -> Role | None:
        """What somebody is in a class."""
        rows = await self._db.fetch(
            "select role from members where class = %s and subject = %s", (which, subject)
        )
        return rows[0]["role"] if rows else None

    async def members(self, which: str) -> list[dict[str, Any]]:
        """Who is in a class, teachers first."""
        return await self._db.fetch(
            """
            select subject, name, role, joined from members where class = %s
            order by role desc, joined, subject
            """,
            (which,),
        )

    async def members_after(
        self, which: str, limit: int, after: str | None
    ) -> list[dict[str, Any]]:
        """Who is in a class, by subject; `after` is the last one seen."""
        return await self._db.fetch(
            """
            select subject, name, role from members where class = %s and subject > %s
            order by subject limit %s
            """,
            (which, after or "", limit),
        )

    async def rename(self, which: str, name: str) -> None:
        """Call a class otherwise."""
        await self._db.execute("update classes set name = %s where id = %s", (name, which))

    async def set_join_hash(self, which: str, join_hash: bytes | None) -> None:
        """From now on another code is needed to join; none opens it no more."""
        await self._db.execute(
            "update classes set join_hash = %s where id = %s", (join_hash, which)
        )

    async def remove(self, which: str) -> None:
        """Remove a class with its members and quotas."""
        async with self._db.connection() as conn, conn.transaction():
            await conn.execute("delete from classes where id = %s", (which,))
            await conn.execute("delete from quotas where kind = 'class' and target = %s", (which,))

    async def join(self, join_hash: bytes, subject: str, name: str) -> str | None:
        """Make somebody a student of the class with this code; which one that is."""
        rows = await self._db.fetch(
            """
            with found as (select id from classes where join_hash = %(hash)s), joined as (
                insert into members (class, subject, name, role)
                select id, %(subject)s, %(name)s, 'student' from found
                on conflict (class, subject) do nothing
            )
            select id from found
            """,
            {"hash": join_hash, "subject": subject, "name": name},
        )
        return rows[0]["id"] if rows else None

    async def set_role(self, which: str, subject: str, role: Role) -> bool:
        """Make a member a teacher or a student; False if that would leave no teacher."""
        return await self._keeping_a_teacher(
            """
            update members set role = %(role)s where class = %(class)s and subject = %(subject)s
                and (%(role)s = 'teacher' or exists (
                    select from members as other where other.class = %(class)s
                        and other.role = 'teacher' and other.subject <> %(subject)s))
            """,
            {"class": which, "subject": subject, "role": role},
        )

    async def leave(self, which: str, subject: str) -> bool:
        """Take a member out; False if that would leave no teacher, or nobody was there."""
        return await self._keeping_a_teacher(
            """
            delete from members where class = %(class)s and subject = %(subject)s
                and (role = 'student' or exists (
                    select from members as other where other.class = %(class)s
                        and other.role = 'teacher' and other.subject <> %(subject)s))
            """,
            {"class": which, "subject": subject},
        )

    async def _keeping_a_teacher(self, query: LiteralString, params: dict[str, Any]) -> bool:
        """Of two teachers who leave at once one stays: the class's row is locked."""
        async with self._db.connection() as conn, conn.transaction():
            await conn.execute(
                "select from classes where id = %(class)s for update", {"class": params["class"]}
            )
            return bool((await conn.execute(query, params)).rowcount)
