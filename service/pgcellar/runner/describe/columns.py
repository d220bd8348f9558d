"""The tables that `\\d NAME` shows: the columns of a relation, or what a sequence counts by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgcellar.runner.describe import catalog

#: Kinds of relations: what they are called, and whether they may be unlogged.
_TITLES = {
    "r": ("Table", True),
    "v": ("View", False),
    "m": ("Materialized view", True),
    "S": ("Sequence", True),
    "i": ("Index", True),
    "I": ("Partitioned index", True),
    "s": ("Special relation", False),
    "t": ("TOAST table", False),
    "c": ("Composite type", False),
    "f": ("Foreign table", False),
    "p": ("Partitioned table", True),
}
_DEFAULTED = frozenset("rvmfcp")
_COMPRESSED = frozenset("rpm")
_MEASURED = frozenset("rimfpI")
_SEQUENCE = (
    ("Type", "text"),
    ("Start", "bigint"),
    ("Minimum", "bigint"),
    ("Maximum", "bigint"),
    ("Increment", "bigint"),
    ("Cycles?", "text"),
    ("Cache", "bigint"),
)
_STORAGE = {"p": "plain", "m": "main", "x": "extended", "e": "external"}
_COMPRESSION = {"p": "pglz", "l": "lz4"}


#: The columns of relations: number of the relation, and then as `shown` reads them.
COLUMNS = f"""
    select a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod),
      case when a.attcollation <> t.typcollation then l.collname end,
      case when a.attnotnull then 'not null' else '' end,
      pg_get_expr(d.adbin, d.adrelid, true), a.attidentity, a.attgenerated,
      case when a.attnum > i.indnkeyatts then 'no' else 'yes' end,
      case when i.indexrelid is not null then pg_get_indexdef(i.indexrelid, a.attnum, true) end,
      {catalog.options("a.attfdwoptions")},
      a.attstorage, a.attcompression,
      case when a.attstattarget <> (0 - 1) then a.attstattarget end,
      col_description(a.attrelid, a.attnum)
    from pg_attribute a
    join pg_type t on t.oid = a.atttypid
    left join pg_collation l on l.oid = a.attcollation
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    left join pg_index i on i.indexrelid = a.attrelid
    where a.attrelid = any (:oids) and a.attnum > 0 and not a.attisdropped
    order by a.attrelid, a.attnum"""


_OWNER = "quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(a.attname)"
#: What sequences count by, and the column they belong to, if they do.
SEQUENCES = f"""
    select s.seqrelid, format_type(s.seqtypid, null), s.seqstart, s.seqmin, s.seqmax,
      s.seqincrement, {catalog.yes("s.seqcycle")}, s.seqcache, d.deptype, {_OWNER}
    from pg_sequence s
    left join pg_depend d on d.objid = s.seqrelid and d.classid = 'pg_catalog.pg_class'::regclass
      and d.refclassid = 'pg_catalog.pg_class'::regclass
      and {catalog.kinds("d.deptype", "ai")}
    left join pg_class c on c.oid = d.refobjid
    left join pg_namespace n on n.oid = c.relnamespace
    left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where s.seqrelid = any (:oids)"""


def title(kind: str, unlogged: bool, schema: str, name: str) -> str:
    """What stands above a relation."""
    called, may = _TITLES.get(kind, (f"?{kind}?", False))
    if unlogged and may:
        called = f"Unlogged {called[0].lower()}{called[1:]}"
    return f'{called} "{schema}.{name}"'


def shown(
    kind: str,
    heading: str,
    rows: Sequence[catalog.Row],
    footers: tuple[str, ...],
    *,
    verbose: bool,
) -> catalog.Table:
    """The columns of a relation; rows are those of `COLUMNS` without the relation."""
    index = kind in "iI"
    headers = ["Column", "Type"]
    if kind in _DEFAULTED:
        headers += ["Collation", "Nullable", "Default"]
    if index:
        headers += ["Key?", "Definition"]
    if kind == "f":
        headers.append("FDW options")
    if verbose:
        headers.append("Storage")
        headers += ["Compression"] * (kind in _COMPRESSED)
        headers += ["Stats target"] * (kind in _MEASURED)
        headers += ["Description"] * (kind in _DEFAULTED)
    return catalog.Table(
        title=heading,
        columns=tuple(headers),
        rows=tuple(tuple(values[header] for header in headers) for values in map(_values, rows)),
        footers=footers,
        counted=False,
        expandable=False,
    )


def sequence(heading: str, row: catalog.Row) -> catalog.Table:
    """What a sequence counts by; the row is one of `SEQUENCES` without the relation."""
    *values, dependence, name = row
    owned = {"a": "Owned by", "i": "Sequence for identity column"}.get(dependence or "")
    return catalog.Table(
        title=heading,
        columns=tuple(name for name, _ in _SEQUENCE),
        types=_SEQUENCE,
        rows=(tuple(values),),
        footers=(f"{owned}: {name}",) if owned else (),
        counted=False,
        expandable=False,
    )


def _values(row: catalog.Row) -> Mapping[str, str | None]:
    name, kind, collation, nullable, default, identity, generated, key, definition = row[:9]
    options, storage, compression, target, description = row[9:]
    if identity:
        default = f"generated {'always' if identity == 'a' else 'by default'} as identity"
    elif generated:
        default = f"generated always as ({default}){' stored' if generated == 's' else ''}"
    return {
        "Column": name,
        "Type": kind,
        "Collation": collation,
        "Nullable": nullable,
        "Default": default,
        "Key?": key,
        "Definition": definition,
        "FDW options": options,
        "Storage": _STORAGE.get(storage or "", "???"),
        "Compression": _COMPRESSION.get(compression or "", "" if not compression else "???"),
        "Stats target": target,
        "Description": description,
    }
