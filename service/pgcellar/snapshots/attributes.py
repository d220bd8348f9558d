"""What belongs to a database but lies outside of it: a clone does not carry it.

That is its owner, its grants, its comment, its connection limit, and the settings that new sessions
begin with (ALTER DATABASE … SET, ALTER ROLE … IN DATABASE). It belongs to the state; PostgreSQL is
asked for it when a state is kept, and a clone is given it back (docs/decisions/0017).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from psycopg import sql

from pgcellar.api import errors
from pgcellar.snapshots import roles

#: `settings` are rows of pg_db_role_setting, roles by number; grants are by name, as PostgreSQL
#: writes them, so both are read and written under the roles of the state. What roles of other
#: states have to do with it is of no state, and left out.
_READ = """
with parked as (select oid from pg_authid where rolname ~ %(parked)s)
select d.datdba::int8 as owner,
       case when not exists (select from aclexplode(d.datacl) where grantee in (table parked))
         then d.datacl::text[]
         -- As if they had never been granted anything.
         else nullif(array(
           select item::text from unnest(d.datacl) as _ (item)
           where not exists (select from aclexplode(array[item]) e
                             where e.grantee in (table parked))),
           acldefault('d', d.datdba)::text[]) end as grants,
       d.datconnlimit as connection_limit,
       d.datistemplate as template, shobj_description(d.oid, 'pg_database') as comment,
       (select coalesce(json_agg(json_build_object('role', setrole::int8, 'values', setconfig)
                                 order by setrole), '[]')
        from pg_db_role_setting
        where setdatabase = d.oid and setrole not in (table parked)) as settings,
       u.oid = d.datdba as own,
       d.datallowconn and not exists (select from pg_db_role_setting
                                      where setdatabase = 0 and setrole = u.oid)
         and not exists (select from aclexplode(d.datacl) where grantee in (table parked))
         and not exists (select from pg_db_role_setting
                         where setdatabase = d.oid and setrole in (table parked)) as clean,
       d.datdba in (table parked) as foreign
from pg_database d, pg_authid u
where d.datname = %(database)s and u.rolname = %(user)s
"""
#: As the rows are, once and for all: commands could give neither grants made by others than the
#: owner, nor lists, nor what only a library knows; and they would be many. A superuser's statements
#: on these catalogs are seen by all sessions as the commands' would be. One round trip, and one
#: transaction, as all that is sent together. What is right already is left alone.
_WRITE = """
with wanted as (
  select d.oid, coalesce({owner}::int8::oid, u.oid) as owner, {grants}::text[]::aclitem[] as grants
  from pg_database d, pg_authid u where d.datname = {database} and u.rolname = {user}
)
update pg_database d set datdba = w.owner, datacl = w.grants, datconnlimit = {connection_limit},
       datistemplate = {template}, datallowconn = true
from wanted w where d.oid = w.oid
 and (d.datdba, d.datconnlimit, d.datistemplate, d.datallowconn, d.datacl::text)
     is distinct from (w.owner, {connection_limit}, {template}, true, w.grants::text);

with wanted as (
  select d.oid, d.datdba as role, 'o'::"char" as kind from pg_database d where datname = {database}
  union
  select d.oid, role, 'a' from pg_database d, aclexplode(datacl) a,
         lateral (values (a.grantor), (a.grantee)) _ (role)
  where datname = {database} and role >= 16384 and role <> datdba
), removed as (
  delete from pg_shdepend s using pg_database d
  where d.datname = {database} and s.dbid = 0 and s.classid = 'pg_database'::regclass
    and s.objid = d.oid and s.deptype in ('a', 'o')
    and (s.refobjid, s.deptype) not in (select role, kind from wanted)
)
insert into pg_shdepend
select 0, 'pg_database'::regclass, w.oid, 0, 'pg_authid'::regclass, w.role, w.kind from wanted w
where not exists (
  select from pg_shdepend s
  where s.dbid = 0 and s.classid = 'pg_database'::regclass and s.objid = w.oid
    and s.refobjid = w.role and s.deptype = w.kind);

delete from pg_db_role_setting
where setdatabase = (select oid from pg_database where datname = {database})
   or setdatabase = 0 and setrole = (select oid from pg_authid where rolname = {user});

insert into pg_db_role_setting
select d.oid, (s->>'role')::oid, array(select jsonb_array_elements_text(s->'values'))
from pg_database d, jsonb_array_elements({settings}::jsonb) s
where d.datname = {database} and ((s->>'role')::oid = 0
      or exists (select from pg_authid r where r.oid = (s->>'role')::oid));

comment on database {name} is {comment}
"""


_OWNERS = """
select d.datname as database, nullif(d.datdba, u.oid)::int8 as owner
from pg_database d, pg_authid u where u.rolname = %(user)s
"""


class Sessions(Protocol):
    """The administrator's sessions."""

    async def execute(self, statement: sql.Composed) -> None:
        """Run statements without parameters, in one transaction."""

    async def fetch(self, query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of a query."""


class Attributes:
    """Reads and writes what belongs to databases of one sandbox.

    Plain JSON, as a snapshot's row holds it; None is what a new instance has, which the user's role
    owns.
    """

    def __init__(self, sessions: Sessions, user: str) -> None:
        self._sessions = sessions
        self._user = user

    async def read(self, database: str) -> dict[str, Any] | None:
        """What belongs to a database now.

        Raises RolesLost if a role of another state owns it: whoever runs under that must have
        reached over from another database.
        """
        found, _, foreign = await self._look(database)
        if foreign:
            raise errors.RolesLost("Another notebook has changed this notebook's database.")
        return None if found == _NEW else found

    async def owners(self) -> dict[str, int | None]:
        """The owner of every database of the server, None where it is the user's role."""
        rows = await self._sessions.fetch(_OWNERS, {"user": self._user})
        return {row["database"]: row["owner"] for row in rows}

    async def write(self, database: str, wanted: Mapping[str, Any] | None) -> None:
        """Make this belong to a database; and undo ALTER ROLE … SET on the user's own role, which
        no session should begin with.
        """
        values = {**_NEW, **(wanted or {})}
        # Nearly always there is nothing to do, and looking is cheaper.
        if await self._look(database) == (values, True, False):
            return
        settings = json.dumps(values.pop("settings"))
        await self._sessions.execute(
            sql.SQL(_WRITE).format(
                name=sql.Identifier(database),
                database=sql.Literal(database),
                user=sql.Literal(self._user),
                settings=sql.Literal(settings),
                **{key: sql.Literal(value) for key, value in values.items()},
            )
        )

    async def _look(self, database: str) -> tuple[dict[str, Any] | None, bool, bool]:
        """What belongs to a database, whether all the rest is as it should be, and whether a role
        of another state owns it.
        """
        rows = await self._sessions.fetch(
            _READ, {"database": database, "user": self._user, "parked": f"^{roles.PARKED}"}
        )
        if not rows:
            return None, True, False
        (found,) = rows
        clean = found.pop("clean")
        if found.pop("own"):
            found["owner"] = None
        return found, clean, found.pop("foreign")


_NEW: Mapping[str, Any] = {
    "owner": None,
    "grants": None,
    "connection_limit": -1,
    "template": False,
    "comment": None,
    "settings": [],
}
