"""Access methods and what they work with: `\\dA`, `\\dAc`, `\\dAf`, `\\dAo`, `\\dAp`."""

from __future__ import annotations

from pgcellar.runner.describe import catalog, pattern, types

_METHOD = pattern.Target(name="am.amname")
_FAMILY = pattern.Target(name="f.opfname", schema="nf.nspname", parts=3)
_FAMILY_NAME = (
    "case when pg_opfamily_is_visible(f.oid) then format('%I', f.opfname)"
    " else format('%I.%I', nf.nspname, f.opfname) end"
)
_FROM_FAMILY = (
    "from pg_opfamily f join pg_am am on am.oid = f.opfmethod"
    " join pg_namespace nf on nf.oid = f.opfnamespace"
)


async def methods(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dA`."""
    items = [
        ("Name", "am.amname"),
        ("Type", catalog.choice("am.amtype", ("i", "Index"), ("t", "Table"))),
    ]
    if request.verbose:
        items += [
            ("Handler", "am.amhandler"),
            ("Description", "obj_description(am.oid, 'pg_am')"),
        ]
    source = f"from pg_am am {reader.where(request.pattern, _METHOD)}"
    return [await reader.listing("List of access methods", items, source, "1")]


async def classes(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dAc METHOD TYPE`."""
    items = [
        ("AM", "am.amname"),
        ("Input type", "format_type(c.opcintype, null)"),
        (
            "Storage type",
            "case when c.opckeytype <> 0 and c.opckeytype <> c.opcintype"
            " then format_type(c.opckeytype, null) end",
        ),
        (
            "Operator class",
            "case when pg_opclass_is_visible(c.oid) then format('%I', c.opcname)"
            " else format('%I.%I', n.nspname, c.opcname) end",
        ),
        ("Default?", catalog.yes("c.opcdefault")),
    ]
    if request.verbose:
        items += [
            ("Operator family", _FAMILY_NAME),
            ("Owner", catalog.owner("c.opcowner")),
        ]
    of_type = _of_type(reader, request.argument(1), "t", "nt")
    source = (
        "from pg_opclass c join pg_am am on am.oid = c.opcmethod"
        " join pg_namespace n on n.oid = c.opcnamespace"
        " join pg_type t on t.oid = c.opcintype join pg_namespace nt on nt.oid = t.typnamespace"
        " left join pg_opfamily f on f.oid = c.opcfamily"
        " left join pg_namespace nf on nf.oid = f.opfnamespace"
        f" {reader.where(request.pattern, _METHOD, of_type)}"
    )
    return [await reader.listing("List of operator classes", items, source, "1, 2, 4")]


async def families(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dAf METHOD TYPE`."""
    items = [
        ("AM", "am.amname"),
        ("Operator family", _FAMILY_NAME),
        (
            "Applicable types",
            "(select string_agg(format_type(c.opcintype, null), ', ')"
            " from pg_opclass c where c.opcfamily = f.oid)",
        ),
    ]
    if request.verbose:
        items.append(("Owner", catalog.owner("f.opfowner")))
    of_type = _of_type(reader, request.argument(1), "t", "nt")
    exists = (
        "exists (select from pg_opclass oc join pg_type t on t.oid = oc.opcintype"
        " join pg_namespace nt on nt.oid = t.typnamespace"
        f" where oc.opcfamily = f.oid and {of_type})"
    )
    source = f"{_FROM_FAMILY} {reader.where(request.pattern, _METHOD, of_type and exists)}"
    return [await reader.listing("List of operator families", items, source, "1, 2")]


async def operators(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dAo METHOD FAMILY`."""
    items = [
        ("AM", "am.amname"),
        ("Operator family", _FAMILY_NAME),
        ("Operator", "o.amopopr::regoperator"),
        ("Strategy", "o.amopstrategy"),
        ("Purpose", catalog.choice("o.amoppurpose", ("o", "ordering"), ("s", "search"))),
    ]
    joins = "join pg_amop o on o.amopfamily = f.oid"
    if request.verbose:
        items += [("Sort opfamily", "s.opfname"), ("Leakproof?", catalog.yes("p.proleakproof"))]
        joins += (
            " left join pg_opfamily s on s.oid = o.amopsortfamily"
            " left join pg_operator op on op.oid = o.amopopr"
            " left join pg_proc p on p.oid = op.oprcode"
        )
    return [
        await _members(
            reader,
            request,
            "List of operators of operator families",
            items,
            joins,
            ("o.amoplefttype", "o.amoprighttype", "o.amopstrategy"),
            "Strategy",
        )
    ]


async def functions(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dAp METHOD FAMILY`."""
    items = [
        ("AM", "am.amname"),
        ("Operator family", _FAMILY_NAME),
        ("Registered left type", "format_type(p.amproclefttype, null)"),
        ("Registered right type", "format_type(p.amprocrighttype, null)"),
        ("Number", "p.amprocnum"),
        ("Function", "p.amproc::oid::regprocedure" if request.verbose else "r.proname"),
    ]
    joins = "join pg_amproc p on p.amprocfamily = f.oid left join pg_proc r on r.oid = p.amproc"
    return [
        await _members(
            reader,
            request,
            "List of support functions of operator families",
            items,
            joins,
            ("p.amproclefttype", "p.amprocrighttype", "p.amprocnum"),
            "Number",
        )
    ]


async def _members(
    reader: catalog.Catalog,
    request: catalog.Request,
    title: str,
    items: list[catalog.Item],
    joins: str,
    keys: tuple[str, str, str],
    number: str,
) -> catalog.Table:
    """What belongs to operator families; what is of one type comes before what is of two."""
    left, right, last = keys
    named = reader.where(request.argument(1), _FAMILY, clause="").strip()
    source = f"{_FROM_FAMILY} {joins} {reader.where(request.pattern, _METHOD, named)}"
    order = (
        f"1, 2, ({left} = {right}) desc, format_type({left}, null), format_type({right}, null),"
        f" {last}"
    )
    return await reader.listing(title, items, source, order, types=((number, "smallint"),))


def _of_type(reader: catalog.Catalog, text: str | None, alias: str, schema: str) -> str:
    """The condition that a pattern for types puts on one."""
    if text is None:
        return ""
    return reader.where(text, types.target(alias, schema), clause="").strip()
