"""What stands below a relation, besides its constraints: an index' nature, triggers, its family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgcellar.runner.describe import catalog, constraints

_TRIGGERS = (
    ("O", "Triggers:"),
    ("D", "Disabled user triggers:"),
    ("I", "Disabled internal triggers:"),
    ("A", "Triggers firing always:"),
    ("R", "Triggers firing on replica only:"),
)


_INDEX = """
select i.indexrelid, i.indisprimary, i.indisunique, i.indnullsnotdistinct, i.indisclustered,
  i.indisvalid, i.indisreplident, k.condeferrable, k.condeferred,
  am.amname, n.nspname, c.relname, pg_get_expr(i.indpred, i.indrelid, true)
from pg_index i
join pg_class c on c.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_class ic on ic.oid = i.indexrelid
join pg_am am on am.oid = ic.relam
left join pg_constraint k on k.conindid = i.indexrelid and k.conrelid = i.indrelid
  and k.contype = any ('{p,u,x}'::"char"[])
where i.indexrelid = any (:oids)
"""


def index_line(row: catalog.Row) -> str:
    """What an index is, and of which table."""
    primary, unique, strict, clustered, valid, identity = row[:6]
    deferrable, deferred, method, schema, table, predicate = row[6:]
    shown = ""
    if primary == "t":
        shown = "primary key, "
    elif unique == "t":
        shown = "unique nulls not distinct, " if strict == "t" else "unique, "
    shown += f'{method}, for table "{schema}.{table}"'
    if predicate is not None:
        shown += f", predicate ({predicate})"
    shown += ", clustered" * (clustered == "t")
    shown += ", invalid" * (valid == "f")
    shown += ", deferrable" * (deferrable == "t")
    shown += ", initially deferred" * (deferred == "t")
    shown += ", replica identity" * (identity == "t")
    return shown


def view_rules(rows: Sequence[catalog.Row]) -> list[str]:
    """The rules of a view."""
    return ["Rules:", *(f" {rule}" for _, rule in rows)] if rows else []


# A trigger of a partition may be a copy of one further up.
_TRIGGER = """
select t.tgrelid, case when t.tgenabled = 'D' and t.tgisinternal then 'I' else t.tgenabled end,
  pg_get_triggerdef(t.oid, true),
  case when t.tgparentid <> 0 then (
    select r.tgrelid::regclass from pg_trigger r
    where r.tgname = t.tgname and r.tgparentid = 0
      and r.tgrelid = any (array(select p.relid from pg_partition_ancestors(t.tgrelid) p (relid)))
    limit 1) end
from pg_trigger t
where t.tgrelid = any (:oids) and (not t.tgisinternal or t.tgenabled = 'D')
order by t.tgrelid, t.tgname
"""


def triggers(rows: Sequence[catalog.Row]) -> list[str]:
    """Triggers, by when they fire."""
    out: list[str] = []
    for letter, title in _TRIGGERS:
        shown = []
        for enabled, definition, above in rows:
            if enabled == letter:
                text = (definition or "").partition(" TRIGGER ")[2]
                shown.append(text if above is None else f"{text}, ON TABLE {above}")
        out += constraints.titled(title, shown)
    return out


_PARENTS = """
select h.inhrelid, h.inhparent::regclass
from pg_inherits h join pg_class c on c.oid = h.inhparent
where h.inhrelid = any (:oids) and c.relkind <> 'p' and c.relkind <> 'I'
order by h.inhrelid, h.inhseqno
"""
_CHILDREN = """
select h.inhparent, c.oid::regclass, pg_get_expr(c.relpartbound, c.oid), h.inhdetachpending,
  c.relkind = 'p' or c.relkind = 'I'
from pg_inherits h join pg_class c on c.oid = h.inhrelid
where h.inhparent = any (:oids)
order by h.inhparent, coalesce(pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT', false),
  c.oid::regclass::text
"""


def family(kind: str, found: Mapping[str, Sequence[catalog.Row]], *, verbose: bool) -> list[str]:
    """What a relation inherits from, and what does from it."""
    out = _indented("Inherits: ", [name or "" for (name,) in found["parents"]])
    children = found["children"]
    partitioned = kind in "pI"
    if partitioned and (not verbose or not children):
        hint = " (Use \\d+ to list them.)" if children else ""
        out.append(f"Number of partitions: {len(children)}{hint}")
    elif not verbose and children:
        out.append(f"Number of child tables: {len(children)} (Use \\d+ to list them.)")
    else:
        title = "Partitions: " if partitioned else "Child tables: "
        out += _indented(title, [_child(*row) for row in children])
    return out


def _child(
    name: str | None, bound: str | None, detached: str | None, partitioned: str | None
) -> str:
    shown = name or ""
    if bound is not None:
        shown += f" {bound}"
    shown += ", PARTITIONED" * (partitioned == "t")
    return shown + " DETACH PENDING" * (detached == "t")


def _indented(title: str, items: Sequence[str]) -> list[str]:
    """One line of all items, each below the other."""
    return [title + (",\n" + " " * len(title)).join(items)] if items else []


#: Queries by name, of rows that begin with the relation's number.
QUERIES: Mapping[str, str] = {
    "index": _INDEX,
    "triggers": _TRIGGER,
    "parents": _PARENTS,
    "children": _CHILDREN,
}
