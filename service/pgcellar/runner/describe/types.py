"""Types and what belongs to them: `\\dT`, `\\dD`, `\\dC`, `\\dc`, `\\dO`."""

from __future__ import annotations

from pgcellar.runner.describe import catalog, pattern

#: Names that SQL's grammar knows, and the catalog does not.
_NAMES = {
    "decimal": "numeric",
    "float": "double precision",
    "int": "integer",
    "decimal[]": "numeric[]",
    "float[]": "double precision[]",
    "int[]": "integer[]",
}
_ELEMENTS = (
    "array_to_string(array(select e.enumlabel from pg_enum e where e.enumtypid = t.oid"
    " order by e.enumsortorder), E'\\n')"
)
_CHECKS = (
    "array_to_string(array(select pg_get_constraintdef(r.oid, true) from pg_constraint r"
    " where r.contypid = t.oid and r.contype = 'c' order by r.conname), ' ')"
)
_COLLATION = pattern.Target(
    name="c.collname", schema="n.nspname", visible="pg_collation_is_visible(c.oid)", parts=3
)
_CONVERSION = pattern.Target(
    name="c.conname", schema="n.nspname", visible="pg_conversion_is_visible(c.oid)", parts=3
)


def named(text: str | None) -> str | None:
    """A pattern for types with the name that the catalog knows."""
    return None if text is None else _NAMES.get(text, text)


def target(alias: str, schema: str, *, visible: bool = True) -> pattern.Target:
    """What patterns for types are matched with; `alias` is that of pg_type."""
    return pattern.Target(
        name=f"{alias}.typname",
        other=f"format_type({alias}.oid, null)",
        schema=f"{schema}.nspname",
        visible=f"pg_type_is_visible({alias}.oid)" if visible else None,
        parts=3,
    )


async def data_types(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dT`."""
    items = [("Schema", "n.nspname"), ("Name", "format_type(t.oid, null)")]
    if request.verbose:
        items += [
            ("Internal name", "t.typname"),
            (
                "Size",
                "case when t.typrelid <> 0 then 'tuple' when t.typlen < 0 then 'var'"
                " else t.typlen::text end",
            ),
            ("Elements", _ELEMENTS),
            ("Owner", catalog.owner("t.typowner")),
            ("Access privileges", catalog.acl("t.typacl")),
        ]
    items.append(("Description", "obj_description(t.oid, 'pg_type')"))
    arrays = request.pattern is not None and "[]" in request.pattern
    condition = reader.where(
        named(request.pattern),
        target("t", "n"),
        "(t.typrelid = 0 or exists ("
        "select from pg_class c where c.oid = t.typrelid and c.relkind = 'c'))",
        None
        if arrays
        else "not exists (select from pg_type e where e.oid = t.typelem and e.typarray = t.oid)",
        catalog.own_schema("n.nspname") if request.unfiltered else None,
    )
    source = f"from pg_type t left join pg_namespace n on n.oid = t.typnamespace {condition}"
    return [await reader.listing("List of data types", items, source, "1, 2")]


async def domains(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dD`."""
    items = [
        ("Schema", "n.nspname"),
        ("Name", "t.typname"),
        ("Type", "format_type(t.typbasetype, t.typtypmod)"),
        (
            "Collation",
            "(select c.collname from pg_collation c, pg_type b where c.oid = t.typcollation"
            " and b.oid = t.typbasetype and t.typcollation <> b.typcollation)",
        ),
        ("Nullable", "case when t.typnotnull then 'not null' end"),
        ("Default", "t.typdefault"),
        ("Check", _CHECKS),
    ]
    if request.verbose:
        items += [
            ("Access privileges", catalog.acl("t.typacl")),
            ("Description", "obj_description(t.oid, 'pg_type')"),
        ]
    condition = reader.where(
        request.pattern,
        pattern.Target(
            name="t.typname", schema="n.nspname", visible="pg_type_is_visible(t.oid)", parts=3
        ),
        "t.typtype = 'd'",
        catalog.own_schema("n.nspname") if request.unfiltered else None,
    )
    source = f"from pg_type t left join pg_namespace n on n.oid = t.typnamespace {condition}"
    return [await reader.listing("List of domains", items, source, "1, 2")]


async def casts(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dC`: casts from or to a type."""
    items = [
        ("Source type", "format_type(c.castsource, null)"),
        ("Target type", "format_type(c.casttarget, null)"),
        (
            "Function",
            "case when c.castmethod = 'b' then '(binary coercible)'"
            " when c.castmethod = 'i' then '(with inout)' else p.proname end",
        ),
        (
            "Implicit?",
            catalog.choice("c.castcontext", ("e", "no"), ("a", "in assignment"), other="'yes'"),
        ),
    ]
    if request.verbose:
        items += [
            ("Leakproof?", "case when p.proleakproof then 'yes' else 'no' end"),
            ("Description", "obj_description(c.oid, 'pg_cast')"),
        ]
    sides = [
        reader.where(request.pattern, target(alias, f"n{alias}"), clause="") for alias in ("s", "t")
    ]
    source = (
        "from pg_cast c left join pg_proc p on p.oid = c.castfunc"
        " left join pg_type s on s.oid = c.castsource"
        " left join pg_namespace ns on ns.oid = s.typnamespace"
        " left join pg_type t on t.oid = c.casttarget"
        " left join pg_namespace nt on nt.oid = t.typnamespace"
        f" where ({sides[0] or 'true'}) or ({sides[1] or 'true'})"
    )
    return [await reader.listing("List of casts", items, source, "1, 2")]


async def conversions(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dc`."""
    items = [
        ("Schema", "n.nspname"),
        ("Name", "c.conname"),
        ("Source", "pg_encoding_to_char(c.conforencoding)"),
        ("Destination", "pg_encoding_to_char(c.contoencoding)"),
        ("Default?", catalog.yes("c.condefault")),
    ]
    if request.verbose:
        items.append(("Description", "obj_description(c.oid, 'pg_conversion')"))
    condition = reader.where(
        request.pattern,
        _CONVERSION,
        catalog.own_schema("n.nspname") if request.unfiltered else None,
    )
    source = f"from pg_conversion c join pg_namespace n on n.oid = c.connamespace {condition}"
    return [await reader.listing("List of conversions", items, source, "1, 2")]


async def collations(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dO`."""
    locale = "c.colllocale" if reader.version >= 17 else "c.colliculocale"
    provider = catalog.choice(
        "c.collprovider", ("d", "default"), ("b", "builtin"), ("c", "libc"), ("i", "icu")
    )
    items = [
        ("Schema", "n.nspname"),
        ("Name", "c.collname"),
        ("Provider", provider),
        ("Collate", "c.collcollate"),
        ("Ctype", "c.collctype"),
        ("Locale", locale),
        ("ICU Rules", "c.collicurules" if reader.version >= 16 else "null"),
        ("Deterministic?", catalog.yes("c.collisdeterministic")),
    ]
    if request.verbose:
        items.append(("Description", "obj_description(c.oid, 'pg_collation')"))
    encoding = "pg_char_to_encoding(getdatabaseencoding())"
    condition = reader.where(
        request.pattern,
        _COLLATION,
        f"(c.collencoding = (0 - 1) or c.collencoding = {encoding})",
        catalog.own_schema("n.nspname") if request.unfiltered else None,
    )
    source = f"from pg_collation c join pg_namespace n on n.oid = c.collnamespace {condition}"
    return [await reader.listing("List of collations", items, source, "1, 2")]
