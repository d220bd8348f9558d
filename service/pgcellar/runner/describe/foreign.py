"""Foreign data: `\\des`, `\\det`, `\\deu`, `\\dew`."""

from __future__ import annotations

from pgcellar.runner.describe import catalog, pattern, relations


async def servers(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\des`."""
    items = [
        ("Name", "s.srvname"),
        ("Owner", catalog.owner("s.srvowner")),
        ("Foreign-data wrapper", "w.fdwname"),
    ]
    if request.verbose:
        items += [
            ("Access privileges", catalog.acl("s.srvacl")),
            ("Type", "s.srvtype"),
            ("Version", "s.srvversion"),
            ("FDW options", catalog.options("s.srvoptions")),
            ("Description", "obj_description(s.oid, 'pg_foreign_server')"),
        ]
    condition = reader.where(request.pattern, pattern.Target(name="s.srvname"))
    source = (
        f"from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = s.srvfdw {condition}"
    )
    return [await reader.listing("List of foreign servers", items, source, "1")]


async def wrappers(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dew`."""
    items = [
        ("Name", "w.fdwname"),
        ("Owner", catalog.owner("w.fdwowner")),
        ("Handler", "w.fdwhandler::regproc"),
        ("Validator", "w.fdwvalidator::regproc"),
    ]
    if request.verbose:
        items += [
            ("Access privileges", catalog.acl("w.fdwacl")),
            ("FDW options", catalog.options("w.fdwoptions")),
            ("Description", "obj_description(w.oid, 'pg_foreign_data_wrapper')"),
        ]
    condition = reader.where(request.pattern, pattern.Target(name="w.fdwname"))
    source = f"from pg_foreign_data_wrapper w {condition}"
    return [await reader.listing("List of foreign-data wrappers", items, source, "1")]


async def mappings(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\deu`: by the name of the server."""
    items = [("Server", "m.srvname"), ("User name", "m.usename")]
    if request.verbose:
        items.append(("FDW options", catalog.options("m.umoptions")))
    target = pattern.Target(name="m.srvname", other="m.usename")
    source = f"from pg_user_mappings m {reader.where(request.pattern, target)}"
    return [await reader.listing("List of user mappings", items, source, "1, 2")]


async def tables(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\det`."""
    items = [("Schema", "n.nspname"), ("Table", "c.relname"), ("Server", "s.srvname")]
    if request.verbose:
        items += [
            ("FDW options", catalog.options("f.ftoptions")),
            ("Description", "obj_description(c.oid, 'pg_class')"),
        ]
    source = (
        "from pg_foreign_table f join pg_class c on c.oid = f.ftrelid"
        " join pg_namespace n on n.oid = c.relnamespace"
        " join pg_foreign_server s on s.oid = f.ftserver"
        f" {reader.where(request.pattern, relations.RELATION)}"
    )
    return [await reader.listing("List of foreign tables", items, source, "1, 2")]
