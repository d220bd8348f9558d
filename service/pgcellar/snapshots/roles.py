"""The roles of a sandbox: roles are the server's, not a database's, but here they belong to states.

At any time one set of roles is called by its names; every other role is parked: it has a name that
says so, and keeps its number, which is all that the databases of other states know it by. Switching
from one set to another is a matter of names, attributes and memberships (docs/decisions/0014).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from psycopg import sql

from pgcellar.api import errors

PARKED = "pgcellar_parked_"
#: Its number is its own: a role that a person names so is none of these.
_PARKED = re.compile(rf"{PARKED}(\d{{1,10}})_[0-9a-f]{{8}}")
#: PostgreSQL 15's CREATEROLE may alter every role that is not a superuser.
SINCE = 16

_FIRST_USER_OID = 16384
_FLAGS = {
    "inherit": "INHERIT",
    "createrole": "CREATEROLE",
    "createdb": "CREATEDB",
    "canlogin": "LOGIN",
}
_ROLES = """
select r.oid::int8 as oid, r.rolname as name, r.rolinherit as inherit,
       r.rolcreaterole as createrole, r.rolcreatedb as createdb, r.rolcanlogin as canlogin,
       r.rolconnlimit as connection_limit, r.rolvaliduntil::text as valid_until,
       r.rolpassword as password, coalesce(s.setconfig, '{}') as settings,
       shobj_description(r.oid, 'pg_authid') as comment
from pg_authid r left join pg_db_role_setting s on s.setrole = r.oid and s.setdatabase = 0
where r.oid >= %(first)s and r.rolname not in (%(user)s, session_user)
order by r.oid
"""
_MEMBERS = """
select m.roleid::int8 as role, m.member::int8 as member, m.grantor::int8 as grantor,
       m.admin_option as admin, m.inherit_option as inherit, m.set_option as set
from pg_auth_members m where m.roleid >= %(first)s
order by m.oid
"""
#: What of one database, or of the server, depends on roles; a membership that one of them granted,
#: but none of which they are a part, since that goes with them.
_NEEDED = """
with dropped as (select oid from pg_authid where rolname = any(%(names)s))
select 1 from pg_shdepend d
where d.refclassid = 'pg_authid'::regclass
  and d.refobjid in (select oid from dropped)
  and (d.dbid = (select oid from pg_database where datname = %(database)s)
       or d.classid = 'pg_database'::regclass
          and d.objid = (select oid from pg_database where datname = %(database)s)
       or d.classid = 'pg_auth_members'::regclass
          and exists (
            select from pg_auth_members m
            where m.oid = d.objid
              and m.roleid not in (select oid from dropped)
              and m.member not in (select oid from dropped))
       or d.dbid = 0
          and d.classid not in ('pg_auth_members'::regclass, 'pg_database'::regclass))
limit 1
"""


class Sessions(Protocol):
    """The administrator's sessions."""

    async def execute(self, statement: sql.Composed) -> None:
        """Run a statement."""

    async def fetch(self, query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of a query."""


class Roles:
    """Reads and switches the set of roles of one sandbox.

    A set is plain JSON, as a snapshot's row holds it: `roles`, rows of `_ROLES`, and `members`,
    rows of `_MEMBERS`; None is the empty one.
    """

    def __init__(self, sessions: Sessions, user: str) -> None:
        self._sessions = sessions
        self._user = user

    async def read(self) -> dict[str, Any] | None:
        """The set that is called by its names now."""
        roles = [row for row in await self._all() if not _parked(row)]
        if not roles:
            return None
        oids = {row["oid"] for row in roles}
        return {"roles": roles, "members": [m for m in await self._members() if m["role"] in oids]}

    async def switch(self, target: Mapping[str, Any] | None) -> None:
        """Call these roles by their names, and park all others.

        Raises RolesLost if one of them is there no more.
        """
        rows = {row["oid"]: row for row in await self._all()}
        wanted = {row["oid"]: row for row in (target or {}).get("roles", ())}
        if not wanted.keys() <= rows.keys():
            raise errors.RolesLost("A role that this state knows is not there any more.")
        for oid, row in rows.items():
            if not _parked(row) and wanted.get(oid, {}).get("name") != row["name"]:
                row["name"] = await self._park(row)
        for oid, row in wanted.items():
            if rows[oid]["name"] != row["name"]:
                await self._rename(rows[oid]["name"], row["name"])
            await self._give_back(rows[oid], row)
        if target and wanted:
            await self._join(wanted.keys(), target["members"])

    async def drop(self, names: tuple[str, ...], database: str) -> bool:
        """Take roles out of the set that only databases of other states still need.

        False, and nothing done, if an object of this database depends on one of them.
        """
        needed = await self._sessions.fetch(_NEEDED, {"names": list(names), "database": database})
        if needed:
            return False
        for name in names:
            row = next((row for row in await self._all() if row["name"] == name), None)
            if row is not None:
                # Dropping it would.
                await self._do(
                    "ALTER ROLE {} IN DATABASE {} RESET ALL",
                    sql.Identifier(name),
                    sql.Identifier(database),
                )
                for member in reversed(await self._members()):
                    if row["oid"] in (member["role"], member["member"]):
                        await self._leave(member)
                await self._park(row)
        return True

    async def _members(self) -> list[dict[str, Any]]:
        return await self._sessions.fetch(_MEMBERS, {"first": _FIRST_USER_OID})

    async def _all(self) -> list[dict[str, Any]]:
        return await self._sessions.fetch(_ROLES, {"first": _FIRST_USER_OID, "user": self._user})

    async def _park(self, row: Mapping[str, Any]) -> str:
        """Rename a role out of the way; its new name, which nobody could have taken before."""
        name = f"{PARKED}{row['oid']}_{secrets.token_hex(4)}"
        await self._rename(row["name"], name)
        return name

    async def _rename(self, old: str, new: str) -> None:
        await self._do("ALTER ROLE {} RENAME TO {}", sql.Identifier(old), sql.Identifier(new))

    async def _give_back(self, now: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """Give a role the attributes it has in a state."""
        name = sql.Identifier(row["name"])
        if any(now[key] != row[key] for key in (*_FLAGS, "connection_limit", "valid_until")):
            flags = " ".join(word if row[key] else f"NO{word}" for key, word in _FLAGS.items())
            await self._do(
                f"ALTER ROLE {{}} WITH {flags} CONNECTION LIMIT {{}} VALID UNTIL {{}}",
                name,
                sql.Literal(row["connection_limit"]),
                sql.Literal(row["valid_until"] or "infinity"),
            )
        # Renaming clears a password that is hashed with the name.
        if now["password"] != row["password"]:
            await self._do("ALTER ROLE {} PASSWORD {}", name, sql.Literal(row["password"]))
        if now["comment"] != row["comment"]:
            await self._do("COMMENT ON ROLE {} IS {}", name, sql.Literal(row["comment"]))
        if now["settings"] != row["settings"]:
            await self._do("ALTER ROLE {} RESET ALL", name)
            for setting in row["settings"]:
                key, _, value = setting.partition("=")
                # The value of a list is no literal; set_config takes it as it is kept. A setting
                # that the server would not take now is left out: the role matters more.
                body = sql.SQL(
                    "BEGIN PERFORM pg_catalog.set_config({key}, {value}, true);"
                    " ALTER ROLE {name} SET {setting} FROM CURRENT;"
                    " EXCEPTION WHEN OTHERS THEN NULL; END"
                ).format(
                    key=sql.Literal(key),
                    value=sql.Literal(value),
                    name=name,
                    setting=sql.Identifier(*key.split(".")),
                )
                await self._do("DO {}", sql.Literal(body.as_string()))

    async def _join(self, oids: Collection[int], members: Sequence[Mapping[str, Any]]) -> None:
        """Make the memberships in these roles what they are in a state. Raises RolesLost."""
        for member in reversed(await self._members()):
            if member["role"] in oids and member not in members:
                await self._leave(member)
        # Taking one away may have taken others along.
        now = await self._members()
        pending = [member for member in members if member not in now]
        while pending:
            refused = []
            for member in pending:
                try:
                    await self._grant(member)
                except errors.SandboxLost:
                    raise
                except errors.PgcellarError:
                    # Its grantor may be given the right to grant by one that comes later.
                    refused.append(member)
            if len(refused) == len(pending):
                raise errors.RolesLost("A membership that this state knows can't be given back.")
            pending = refused

    async def _leave(self, member: Mapping[str, Any]) -> None:
        names = await self._names(member)
        await self._do("REVOKE {} FROM {} GRANTED BY {} CASCADE", *names)

    async def _grant(self, member: Mapping[str, Any]) -> None:
        options = ", ".join(
            f"{key.upper()} {'TRUE' if member[key] else 'FALSE'}"
            for key in ("admin", "inherit", "set")
        )
        names = await self._names(member)
        await self._do(f"GRANT {{}} TO {{}} WITH {options} GRANTED BY {{}}", *names)

    async def _names(self, member: Mapping[str, Any]) -> Sequence[sql.Identifier]:
        rows = await self._sessions.fetch(
            "select oid::int8 as oid, rolname as name from pg_authid where oid = any(%(oids)s)",
            {"oids": [member["role"], member["member"], member["grantor"]]},
        )
        names = {row["oid"]: row["name"] for row in rows}
        if not all(member[key] in names for key in ("role", "member", "grantor")):
            raise errors.RolesLost("A role that this state knows is not there any more.")
        return [sql.Identifier(names[member[key]]) for key in ("role", "member", "grantor")]

    async def _do(self, text: str, *parts: sql.Composable) -> None:
        await self._sessions.execute(sql.SQL(text).format(*parts))


def _parked(row: Mapping[str, Any]) -> bool:
    found = _PARKED.fullmatch(row["name"])
    return found is not None and int(found[1]) == row["oid"]
