"""Databases, schemas, tablespaces, settings, extensions, languages: what has one name alone."""

from __future__ import annotations

from pgcellar.runner.describe import catalog, constraints, pattern


async def databases(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\l`: of a notebook, its own database and no other."""
    name = pattern.literal(reader.database) if reader.notebook else "d.datname"
    provider = catalog.choice("d.datlocprovider", ("b", "builtin"), ("c", "libc"), ("i", "icu"))
    locale = "d.datlocale" if reader.version >= 17 else "d.daticulocale"
    items = [
        ("Name", name),
        ("Owner", catalog.owner("d.datdba")),
        ("Encoding", "pg_encoding_to_char(d.encoding)"),
        ("Locale Provider", provider),
        ("Collate", "d.datcollate"),
        ("Ctype", "d.datctype"),
        ("Locale", locale),
        ("ICU Rules", "d.daticurules" if reader.version >= 16 else "null"),
        ("Access privileges", catalog.acl("d.datacl")),
    ]
    source = "from pg_database d"
    if request.verbose:
        items += [
            (
                "Size",
                "case when has_database_privilege(d.datname, 'CONNECT')"
                " then pg_size_pretty(pg_database_size(d.datname)) else 'No Access' end",
            ),
            ("Tablespace", "t.spcname"),
            ("Description", "shobj_description(d.oid, 'pg_database')"),
        ]
        source += " join pg_tablespace t on t.oid = d.dattablespace"
    condition = reader.where(
        request.pattern,
        pattern.Target(name=f"{name}::name"),
        "d.datname = current_database()" if reader.notebook else None,
    )
    return [await reader.listing("List of databases", items, f"{source} {condition}", "1")]


async def schemas(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dn`; of a schema also the publications of all its tables."""
    items = [("Name", "n.nspname"), ("Owner", catalog.owner("n.nspowner"))]
    if request.verbose:
        items += [
            ("Access privileges", catalog.acl("n.nspacl")),
            ("Description", "obj_description(n.oid, 'pg_namespace')"),
        ]
    condition = reader.where(
        request.pattern,
        pattern.Target(name="n.nspname", parts=2),
        "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'" if request.unfiltered else None,
    )
    table = await reader.listing("List of schemas", items, f"from pg_namespace n {condition}", "1")
    footers: list[str] = []
    if request.pattern is not None:
        rows = await reader.rows(
            "select p.pubname from pg_publication p"
            " join pg_publication_namespace pn on pn.pnpubid = p.oid"
            " join pg_namespace n on n.oid = pn.pnnspid"
            f" where n.nspname = {pattern.literal(request.pattern)} order by 1"
        )
        footers = constraints.titled("Publications:", (f'"{name}"' for (name,) in rows))
    return [catalog.with_footers(table, footers)]


async def tablespaces(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\db`."""
    items = [
        ("Name", "s.spcname"),
        ("Owner", catalog.owner("s.spcowner")),
        ("Location", "pg_tablespace_location(s.oid)"),
    ]
    if request.verbose:
        items += [
            ("Access privileges", catalog.acl("s.spcacl")),
            ("Options", "array_to_string(s.spcoptions, ', ')"),
            (
                "Size",
                # Where one may not look, psql gives up on all of them.
                "case when has_tablespace_privilege(s.oid, 'CREATE') or s.oid = ("
                "select d.dattablespace from pg_database d where d.datname = current_database())"
                " then pg_size_pretty(pg_tablespace_size(s.oid)) else 'No Access' end",
            ),
            ("Description", "shobj_description(s.oid, 'pg_tablespace')"),
        ]
    condition = reader.where(request.pattern, pattern.Target(name="s.spcname"))
    source = f"from pg_tablespace s {condition}"
    return [await reader.listing("List of tablespaces", items, source, "1")]


async def settings(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dconfig`: without a pattern, what is not as it is by default."""
    value, ours = "current_setting(s.name)", None
    if reader.own:
        # The transaction is our doing: what the user's next one will be is shown instead.
        changed = "(s.name = 'transaction_read_only' or s.name = 'transaction_isolation')"
        value = (
            f"case when {changed} then current_setting('default_' || s.name)"
            f" else current_setting(s.name) end"
        )
        ours = f"not {changed}"
    items = [("Parameter", "s.name"), ("Value", value)]
    source = "from pg_settings s"
    if request.verbose:
        items += [
            ("Type", "s.vartype"),
            ("Context", "s.context"),
            ("Access privileges", catalog.acl("a.paracl")),
        ]
        source += " left join pg_parameter_acl a on a.parname = lower(s.name)"
    title = "List of configuration parameters"
    if request.pattern is None:
        title = "List of non-default configuration parameters"
    condition = reader.where(
        request.pattern and request.pattern.lower(),
        pattern.Target(name="lower(s.name)", dotted=True),
        "s.source <> 'default' and (s.setting <> s.boot_val or s.boot_val is null)"
        if request.pattern is None
        else None,
        ours if request.pattern is None else None,
    )
    return [await reader.listing(title, items, f"{source} {condition}", "1")]


async def extensions(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dx`, and `\\dx+` for the objects that belong to each."""
    target = pattern.Target(name="e.extname")
    if request.verbose:
        return await _contents(reader, request, target)
    items = [
        ("Name", "e.extname"),
        ("Version", "e.extversion"),
        ("Default version", "a.default_version"),
        ("Schema", "n.nspname"),
        ("Description", "obj_description(e.oid, 'pg_extension')"),
    ]
    source = (
        "from pg_extension e left join pg_namespace n on n.oid = e.extnamespace"
        " left join pg_available_extensions() a on a.name = e.extname"
        f" {reader.where(request.pattern, target)}"
    )
    return [await reader.listing("List of installed extensions", items, source, "1")]


async def _contents(
    reader: catalog.Catalog, request: catalog.Request, target: pattern.Target
) -> catalog.Shown:
    rows = await reader.rows(
        "select e.extname, pg_describe_object(d.classid, d.objid, 0)"
        " from pg_extension e left join pg_depend d on d.refobjid = e.oid and d.deptype = 'e'"
        " and d.refclassid = 'pg_catalog.pg_extension'::regclass"
        f" {reader.where(request.pattern, target)} order by 1, 2"
    )
    contents: dict[str | None, list[catalog.Row]] = {}
    for name, described in rows:
        contents.setdefault(name, []).extend([(described,)] if described is not None else [])
    if not contents:
        named = f' named "{request.pattern}"' if request.pattern is not None else ""
        return [f"Did not find any extension{named or 's'}."]
    return [
        catalog.Table(
            title=f'Objects in extension "{name}"',
            columns=("Object description",),
            rows=tuple(described),
        )
        for name, described in contents.items()
    ]


async def languages(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dL`."""
    items = [
        ("Name", "l.lanname"),
        ("Owner", catalog.owner("l.lanowner")),
        ("Trusted", "l.lanpltrusted"),
    ]
    if request.verbose:
        items += [
            ("Internal language", "not l.lanispl"),
            ("Call handler", "l.lanplcallfoid::regprocedure"),
            ("Validator", "l.lanvalidator::regprocedure"),
            ("Inline handler", "l.laninline::regprocedure"),
            ("Access privileges", catalog.acl("l.lanacl")),
        ]
    items.append(("Description", "obj_description(l.oid, 'pg_language')"))
    condition = reader.where(
        request.pattern,
        pattern.Target(name="l.lanname", parts=2),
        "l.lanplcallfoid <> 0" if request.unfiltered else None,
    )
    source = f"from pg_language l {condition}"
    return [await reader.listing("List of languages", items, source, "1")]


async def large_objects(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dl` and `\\lo_list`."""
    items = [("ID", "l.oid"), ("Owner", catalog.owner("l.lomowner"))]
    if request.verbose:
        items.append(("Access privileges", catalog.acl("l.lomacl")))
    items.append(("Description", "obj_description(l.oid, 'pg_largeobject')"))
    source = "from pg_largeobject_metadata l"
    types = (("ID", "oid"),)
    return [await reader.listing("Large objects", items, source, "l.oid", types=types)]
