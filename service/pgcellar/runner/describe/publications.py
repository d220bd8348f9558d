"""Publications, subscriptions, extended statistics, comments: `\\dRp`, `\\dRs`, `\\dX`, `\\dd`."""

from __future__ import annotations

from pgcellar.runner.describe import catalog, constraints, pattern

_STATISTICS = pattern.Target(
    name="s.stxname",
    schema="n.nspname",
    visible="pg_statistics_obj_is_visible(s.oid)",
    parts=3,
)


async def publications(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dRp`, and `\\dRp+` for what each publishes."""
    items = [
        ("Owner", catalog.owner("p.pubowner")),
        ("All tables", "p.puballtables"),
        ("Inserts", "p.pubinsert"),
        ("Updates", "p.pubupdate"),
        ("Deletes", "p.pubdelete"),
        ("Truncates", "p.pubtruncate"),
    ]
    if reader.version >= 18:
        generated = catalog.choice("p.pubgencols", ("n", "none"), ("s", "stored"))
        items.append(("Generated columns", generated))
    items.append(("Via root", "p.pubviaroot"))
    condition = reader.where(request.pattern, pattern.Target(name="p.pubname"))
    source = f"from pg_publication p {condition}"
    if not request.verbose:
        items.insert(0, ("Name", "p.pubname"))
        return [await reader.listing("List of publications", items, source, "1")]
    values = ", ".join(expression for _, expression in items)
    rows, tables, schemas = await reader.ask(
        f"select p.oid, p.pubname, {values} {source} order by 2", _TABLES, _SCHEMAS
    )
    if not rows:
        named = f' named "{request.pattern}"' if request.pattern is not None else "s"
        return [f"Did not find any publication{named}."]
    out: catalog.Shown = []
    for oid, name, *found in rows:
        listed = [
            constraints.published(table, names, condition)
            for number, table, names, condition in tables
            if number == oid
        ]
        footers = constraints.titled("Tables:", listed)
        footers += constraints.titled(
            "Tables from schemas:", (f'"{schema}"' for number, schema in schemas if number == oid)
        )
        out.append(
            catalog.Table(
                title=f"Publication {name}",
                columns=tuple(header for header, _ in items),
                rows=(tuple(found),),
                footers=tuple(footers),
            )
        )
    return out


_TABLES = """
select p.oid, (n.nspname || '.') || c.relname,
  case when r.prattrs is not null then (
    select string_agg(a.attname, ', ' order by k.place)
    from unnest(r.prattrs::int2[]) with ordinality k (number, place)
    join pg_attribute a on a.attrelid = r.prrelid and a.attnum = k.number) end,
  pg_get_expr(r.prqual, c.oid)
from pg_publication p
join pg_publication_rel r on r.prpubid = p.oid
join pg_class c on c.oid = r.prrelid
join pg_namespace n on n.oid = c.relnamespace
where not p.puballtables order by n.nspname, c.relname
"""
_SCHEMAS = """
select r.pnpubid, n.nspname
from pg_publication_namespace r join pg_namespace n on n.oid = r.pnnspid order by 2
"""


async def subscriptions(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dRs`. How they connect is not for everyone to read, so `+` shows nothing more."""
    items = [
        ("Name", "s.subname"),
        ("Owner", catalog.owner("s.subowner")),
        ("Enabled", "s.subenabled"),
        ("Publication", "s.subpublications"),
    ]
    condition = reader.where(
        request.pattern,
        pattern.Target(name="s.subname"),
        "s.subdbid = (select d.oid from pg_database d where d.datname = current_database())",
    )
    source = f"from pg_subscription s {condition}"
    return [await reader.listing("List of subscriptions", items, source, "1")]


async def statistics(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dX`."""
    definition = (
        "format('%s FROM %s', pg_get_statisticsobjdef_columns(s.oid), s.stxrelid::regclass)"
    )
    items = [
        ("Schema", "s.stxnamespace::regnamespace"),
        ("Name", "s.stxname"),
        ("Definition", definition),
        *(
            (header, f"case when '{letter}'::\"char\" = any (s.stxkind) then 'defined' end")
            for header, letter in (("Ndistinct", "d"), ("Dependencies", "f"), ("MCV", "m"))
        ),
    ]
    source = (
        "from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace"
        f" {reader.where(request.pattern, _STATISTICS)}"
    )
    order = "n.nspname, s.stxname"
    return [await reader.listing("List of extended statistics", items, source, order)]


#: What has a comment and no list of its own: catalog, kind, name and schema, and what is visible.
_DESCRIBED = (
    (
        "pg_constraint",
        "table constraint",
        "select o.oid, o.conname as name, c.relnamespace as schema,"
        " pg_table_is_visible(c.oid) as visible"
        " from pg_constraint o join pg_class c on c.oid = o.conrelid",
    ),
    (
        "pg_constraint",
        "domain constraint",
        "select o.oid, o.conname as name, t.typnamespace as schema,"
        " pg_type_is_visible(t.oid) as visible"
        " from pg_constraint o join pg_type t on t.oid = o.contypid",
    ),
    (
        "pg_opclass",
        "operator class",
        "select o.oid, o.opcname as name, o.opcnamespace as schema,"
        " pg_opclass_is_visible(o.oid) as visible from pg_opclass o",
    ),
    (
        "pg_opfamily",
        "operator family",
        "select o.oid, o.opfname as name, o.opfnamespace as schema,"
        " pg_opfamily_is_visible(o.oid) as visible from pg_opfamily o",
    ),
    (
        "pg_rewrite",
        "rule",
        "select o.oid, o.rulename as name, c.relnamespace as schema,"
        " pg_table_is_visible(c.oid) as visible"
        " from pg_rewrite o join pg_class c on c.oid = o.ev_class where o.rulename <> '_RETURN'",
    ),
    (
        "pg_trigger",
        "trigger",
        "select o.oid, o.tgname as name, c.relnamespace as schema,"
        " pg_table_is_visible(c.oid) as visible"
        " from pg_trigger o join pg_class c on c.oid = o.tgrelid",
    ),
)


async def descriptions(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dd`: comments on what no other command shows them of."""
    every = " union all ".join(
        f"select o.oid, o.name, o.schema, o.visible, '{kind}' as kind,"
        f" 'pg_catalog.{table}'::regclass as class from ({query}) o"
        for table, kind, query in _DESCRIBED
    )
    items = [
        ("Schema", "n.nspname"),
        ("Name", "o.name"),
        ("Object", "o.kind"),
        ("Description", "d.description"),
    ]
    condition = reader.where(
        request.pattern,
        pattern.Target(name="o.name", schema="n.nspname", visible="o.visible", parts=3),
        catalog.own_schema("n.nspname") if request.unfiltered else None,
    )
    source = (
        f"from ({every}) o join pg_namespace n on n.oid = o.schema"
        " join pg_description d on d.classoid = o.class and d.objoid = o.oid and d.objsubid = 0"
        f" {condition}"
    )
    return [await reader.listing("Object descriptions", items, source, "1, 2, 3")]
