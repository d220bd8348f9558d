"""Lists of relations: `\\dt` and its like, `\\dP`, `\\dp`, `\\ddp`."""

from __future__ import annotations

from pgcellar.runner.describe import catalog, pattern

#: Letters of the commands, with the kinds of relations they list and what those are called.
_LISTED = {
    "t": ("rp", "tables"),
    "i": ("iI", "indexes"),
    "v": ("v", "views"),
    "m": ("m", "materialized views"),
    "s": ("S", "sequences"),
    "E": ("f", "foreign tables"),
}
_DEFAULT = "tvmsE"
_KIND = catalog.choice(
    "c.relkind",
    ("r", "table"),
    ("v", "view"),
    ("m", "materialized view"),
    ("i", "index"),
    ("S", "sequence"),
    ("t", "TOAST table"),
    ("f", "foreign table"),
    ("p", "partitioned table"),
    ("I", "partitioned index"),
    ("s", "special"),
)
_PERSISTENCE = catalog.choice(
    "c.relpersistence", ("p", "permanent"), ("t", "temporary"), ("u", "unlogged")
)
_FROM = "from pg_class c left join pg_namespace n on n.oid = c.relnamespace"
_DESCRIPTION = ("Description", "obj_description(c.oid, 'pg_class')")

#: What patterns for relations are matched with.
RELATION = pattern.Target(
    name="c.relname", schema="n.nspname", visible="pg_table_is_visible(c.oid)", parts=3
)


async def listed(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\d` alone, and `\\dt`, `\\dv` … in any combination."""
    letters = [letter for letter in request.command[1:] if letter in _LISTED]
    if not letters or request.command[1] not in _LISTED:
        letters = list(_DEFAULT)
    wanted = set(letters)
    kinds = "".join(_LISTED[letter][0] for letter in sorted(wanted))
    filtered = not request.system and request.pattern is None
    if not filtered:
        kinds += "t" * ("t" in wanted) + "s" * ("s" in wanted)
    called = _LISTED[letters[0]][1] if len(wanted) == 1 else "relations"
    items = [
        ("Schema", "n.nspname"),
        ("Name", "c.relname"),
        ("Type", _KIND),
        ("Owner", catalog.owner("c.relowner")),
    ]
    source = _FROM
    if "i" in wanted:
        items.append(("Table", "c2.relname"))
        source += (
            " left join pg_index i on i.indexrelid = c.oid"
            " left join pg_class c2 on c2.oid = i.indrelid"
        )
    if request.verbose:
        items.append(("Persistence", _PERSISTENCE))
        if wanted & set("tmi"):
            items.append(("Access method", "am.amname"))
            source += " left join pg_am am on am.oid = c.relam"
        items += [("Size", "pg_size_pretty(pg_table_size(c.oid))"), _DESCRIPTION]
    condition = reader.where(
        request.pattern,
        RELATION,
        catalog.kinds("c.relkind", kinds),
        f"{catalog.own_schema('n.nspname')} and n.nspname !~ '^pg_toast'" if filtered else None,
    )
    table = await reader.listing(f"List of {called}", items, f"{source} {condition}", "1, 2")
    if table.rows:
        return [table]
    if request.pattern is not None:
        return [f'Did not find any {called} named "{request.pattern}".']
    return [f"Did not find any {called}."]


async def partitioned(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dP`, of tables (`t`) or indexes (`i`) alone, or with those that are partitions (`n`)."""
    flags = set(request.command[2:])
    tables, indexes, nested = "t" in flags, "i" in flags, "n" in flags
    both = tables == indexes
    called = "relations" if both else "tables" if tables else "indexes"
    kinds = "pI" if both else "p" if tables else "I"
    items = [
        ("Schema", "n.nspname"),
        ("Name", "c.relname"),
        ("Owner", catalog.owner("c.relowner")),
    ]
    order = ["n.nspname"]
    if both:
        items.append(("Type", _KIND))
        order.append(f"{_KIND} desc")
    if nested or request.pattern is not None:
        items.append(("Parent name", "h.inhparent::regclass"))
        order.append("h.inhparent::regclass::text nulls first")
    if both or indexes:
        items.append(("Table", "i.indrelid::regclass"))
    source = (
        f"{_FROM} left join pg_index i on i.indexrelid = c.oid"
        " left join pg_inherits h on h.inhrelid = c.oid and c.relispartition"
    )
    if request.verbose:
        items.append(("Access method", "am.amname"))
        source += (
            " left join pg_am am on am.oid = c.relam"
            " left join lateral ("
            "select sum(pg_table_size(p.relid)) as total,"
            " sum(case when p.isleaf and p.level = 1 then pg_table_size(p.relid) else 0 end)"
            " as leaves from pg_partition_tree(c.oid) p) s on true"
        )
        if nested:
            items.append(("Leaf partition size", "pg_size_pretty(s.leaves)"))
        items += [("Total size", "pg_size_pretty(s.total)"), _DESCRIPTION]
    condition = reader.where(
        request.pattern,
        RELATION,
        catalog.kinds("c.relkind", kinds),
        "not c.relispartition" if not nested and request.pattern is None else None,
        f"{catalog.own_schema('n.nspname')} and n.nspname !~ '^pg_toast'"
        if request.pattern is None
        else None,
    )
    order.append("c.relname")
    title = f"List of partitioned {called}"
    return [await reader.listing(title, items, f"{source} {condition}", ", ".join(order))]


_COLUMN_PRIVILEGES = (
    "array_to_string(array(select (a.attname || E':\\n  ') ||"
    " array_to_string(a.attacl, E'\\n  ') from pg_attribute a where a.attrelid = c.oid"
    " and not a.attisdropped and a.attacl is not null order by a.attnum), E'\\n')"
)
_POLICIES = (
    "array_to_string(array(select p.polname"
    " || case when not p.polpermissive then ' (RESTRICTIVE)' else '' end"
    " || case when p.polcmd <> '*' then (' (' || p.polcmd::text) || '):' else ':' end"
    " || case when p.polqual is not null"
    " then E'\\n  (u): ' || pg_get_expr(p.polqual, p.polrelid) else '' end"
    " || case when p.polwithcheck is not null"
    " then E'\\n  (c): ' || pg_get_expr(p.polwithcheck, p.polrelid) else '' end"
    " || case when p.polroles <> '{0}'::oid[] then E'\\n  to: ' || array_to_string(array("
    "select r.rolname from pg_roles r where r.oid = any (p.polroles) order by 1), ', ')"
    " else '' end"
    " from pg_policy p where p.polrelid = c.oid order by p.oid), E'\\n')"
)


async def privileges(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dp` and `\\z`: who may do what with relations."""
    items = [
        ("Schema", "n.nspname"),
        ("Name", "c.relname"),
        ("Type", _KIND),
        ("Access privileges", catalog.acl("c.relacl")),
        ("Column privileges", _COLUMN_PRIVILEGES),
        ("Policies", _POLICIES),
    ]
    condition = reader.where(
        request.pattern,
        RELATION,
        catalog.kinds("c.relkind", "rvmSfp"),
        catalog.own_schema("n.nspname") if request.unfiltered else None,
    )
    return [await reader.listing("Access privileges", items, f"{_FROM} {condition}", "1, 2")]


async def default_privileges(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\ddp`: what new objects will have."""
    kind = catalog.choice(
        "d.defaclobjtype",
        ("r", "table"),
        ("S", "sequence"),
        ("f", "function"),
        ("T", "type"),
        ("n", "schema"),
        ("L", "large object"),
    )
    role = catalog.owner("d.defaclrole")
    items = [
        ("Owner", role),
        ("Schema", "n.nspname"),
        ("Type", kind),
        ("Access privileges", catalog.acl("d.defaclacl")),
    ]
    condition = reader.where(request.pattern, pattern.Target(name="n.nspname", other=role, parts=3))
    source = (
        f"from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace {condition}"
    )
    return [await reader.listing("Default access privileges", items, source, "1, 2, 3")]
