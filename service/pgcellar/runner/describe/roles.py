"""Roles: `\\du`, `\\dg`, `\\drg`, `\\drds`.

Of the roles of a sandbox a notebook has those of its state. Others have names that say they are
parked (see `snapshots.roles`), and one is the service's own.
"""

from __future__ import annotations

from pgcellar.runner.describe import catalog, pattern


def _own(role: str) -> str:
    """A condition: a row of pg_roles is a role of this state. A parked one's number is its own."""
    return (
        f"{role}.rolname <> 'pgcellar_admin' and {role}.rolname !~"
        f" (('^pgcellar_parked_' || {role}.oid::text) || '_[0-9a-f]{{8}}$')"
    )


async def roles(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\du` and `\\dg`."""
    flags = (
        ("Superuser", "r.rolsuper"),
        ("No inheritance", "not r.rolinherit"),
        ("Create role", "r.rolcreaterole"),
        ("Create DB", "r.rolcreatedb"),
        ("Cannot login", "not r.rolcanlogin"),
        ("Replication", "r.rolreplication"),
        ("Bypass RLS", "r.rolbypassrls"),
    )
    listed = ", ".join(f"case when {condition} then '{text}' end" for text, condition in flags)
    attributes = (
        f"concat_ws(E'\\n', case when {' or '.join(c for _, c in flags)}"
        f" then concat_ws(', ', {listed}) end,"
        " case when r.rolconnlimit = 0 then 'No connections'"
        " when r.rolconnlimit = 1 then '1 connection'"
        " when r.rolconnlimit > 1 then r.rolconnlimit::text || ' connections' end,"
        " case when r.rolvaliduntil is not null"
        " then 'Password valid until ' || r.rolvaliduntil::text end)"
    )
    items = [("Role name", "r.rolname"), ("Attributes", attributes)]
    if request.verbose:
        items.append(("Description", "shobj_description(r.oid, 'pg_authid')"))
    condition = reader.where(
        request.pattern,
        pattern.Target(name="r.rolname"),
        _own("r"),
        "r.rolname !~ '^pg_'" if request.unfiltered else None,
    )
    source = f"from pg_roles r {condition}"
    return [await reader.listing("List of roles", items, source, "1", counted=False)]


async def grants(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\drg`: which roles are members of which."""
    new = reader.version >= 16
    options = (
        "concat_ws(', ', case when a.admin_option then 'ADMIN' end,"
        f" case when {'a.inherit_option' if new else 'm.rolinherit'} then 'INHERIT' end,"
        f" case when {'a.set_option' if new else 'true'} then 'SET' end)"
    )
    items = [
        ("Role name", "m.rolname"),
        ("Member of", "r.rolname"),
        ("Options", options),
        ("Grantor", "g.rolname"),
    ]
    condition = reader.where(
        request.pattern,
        pattern.Target(name="m.rolname"),
        _own("m"),
        _own("r"),
        "m.rolname !~ '^pg_'" if request.unfiltered else None,
    )
    source = (
        "from pg_roles m join pg_auth_members a on m.oid = a.member"
        " left join pg_roles r on a.roleid = r.oid"
        f" left join pg_roles g on a.grantor = g.oid {condition}"
    )
    return [await reader.listing("List of role grants", items, source, "1, 2, 4")]


async def settings(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\drds ROLE DATABASE`: the settings that new sessions begin with, here."""
    role, database = request.pattern, request.argument(1)
    name = "d.datname"
    hidden = None
    if reader.notebook:
        # All other databases are those of other states.
        name = f"case when d.oid is not null then {pattern.literal(reader.database)} end"
        hidden = "(s.setdatabase = 0 or d.datname = current_database())"
    items = [
        ("Role", "r.rolname"),
        ("Database", name),
        ("Settings", "array_to_string(s.setconfig, E'\\n')"),
    ]
    conditions = [hidden, f"(r.rolname is null or {_own('r')})"]
    conditions += [reader.where(role, pattern.Target(name="r.rolname"), clause="")]
    conditions += [reader.where(database, pattern.Target(name=f"({name})"), clause="")]
    source = (
        "from pg_db_role_setting s left join pg_database d on d.oid = s.setdatabase"
        " left join pg_roles r on r.oid = s.setrole"
        f" {reader.where(None, pattern.Target(name=name), *conditions)}"
    )
    table = await reader.listing("List of settings", items, source, "1, 2")
    if table.rows:
        return [table]
    if role is None:
        return ["Did not find any settings."]
    where = f' and database "{database}"' if database is not None else ""
    return [f'Did not find any settings for role "{role}"{where}.']
