"""`\\d NAME`: relations that a pattern matches, each with its columns and all that belongs to it.

Whatever the pattern matches is asked for at once: the relations in one message to the server, and
everything about all of them in a second one. What is found goes on as numbers, never as names.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence

from pgcellar.runner.describe import catalog, columns, constraints, footers, relations

#: Relations asked for in one message.
_BATCH = 500

#: Kinds of relations that may have indexes, constraints and the like.
_TABULAR = frozenset("rmfptI")

_FACTS = f"""
select c.oid, c.relkind, c.relpersistence = 'u' as unlogged, n.nspname, c.relname,
  c.relispartition, c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
  case when c.reloftype <> 0 then format_type(c.reloftype, null) end as typed,
  am.amname, ts.spcname,
  array_to_string(c.reloptions || array(
    select 'toast.' || o from unnest(tc.reloptions) o), ', ') as options,
  case when c.relispartition then (select h.inhparent::regclass
    from pg_inherits h where h.inhrelid = c.oid) end as parent,
  case when c.relispartition then (select h.inhdetachpending
    from pg_inherits h where h.inhrelid = c.oid) end as detached,
  case when c.relispartition then pg_get_expr(c.relpartbound, c.oid) end as bound,
  case when c.relispartition then pg_get_partition_constraintdef(c.oid) end as partition,
  case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as key,
  case when {catalog.kinds("c.relkind", "vm")} then pg_get_viewdef(c.oid, true) end as view,
  case when c.relkind = 't' then (
    select (n2.nspname || '.') || c2.relname from pg_class c2
    join pg_namespace n2 on n2.oid = c2.relnamespace where c2.reltoastrelid = c.oid) end as owner,
  case when c.relkind = 'f' then s.srvname end as server,
  {catalog.options("ft.ftoptions")} as fdwoptions
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_class tc on tc.oid = c.reltoastrelid
left join pg_am am on am.oid = c.relam
left join pg_tablespace ts on ts.oid = c.reltablespace
left join pg_foreign_table ft on ft.ftrelid = c.oid
left join pg_foreign_server s on s.oid = ft.ftserver
where c.oid = any (:oids)
"""
_NAMES = (
    "oid", "kind", "unlogged", "schema", "name", "is_partition", "secured", "forced", "identity",
    "typed", "method", "space", "options", "parent", "detached", "bound", "partition", "key",
    "view", "owner", "server", "fdwoptions",
)  # fmt: skip

Facts = Mapping[str, str | None]
_Found = Mapping[str, Sequence[catalog.Row]]


async def describe(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """Everything about the relations that the pattern matches.

    Raises StatementFailed if it is no pattern.
    """
    condition = reader.where(request.pattern, relations.RELATION)
    rows = await reader.rows(
        "select c.oid from pg_class c left join pg_namespace n on n.oid = c.relnamespace"
        f" {condition} order by n.nspname, c.relname"
    )
    if not rows:
        return [f'Did not find any relation named "{request.pattern}".']
    oids = [oid or "" for (oid,) in rows]
    out: catalog.Shown = []
    for start in range(0, len(oids), _BATCH):
        out += await _described(reader, oids[start : start + _BATCH], verbose=request.verbose)
    return out


async def _described(
    reader: catalog.Catalog, oids: Sequence[str], *, verbose: bool
) -> catalog.Shown:
    queries = {
        "facts": _FACTS,
        "columns": columns.COLUMNS,
        "sequences": columns.SEQUENCES,
        **constraints.queries(reader.version),
        **footers.QUERIES,
    }
    answers = await reader.ask(*queries.values(), oids=oids)
    grouped = {name: _by_relation(rows) for name, rows in zip(queries, answers, strict=True)}
    out: catalog.Shown = []
    for oid in oids:
        found = {name: rows.get(oid, []) for name, rows in grouped.items()}
        if not found["facts"]:
            # Dropped in between.
            continue
        facts = dict(zip(_NAMES[1:], found["facts"][0], strict=True))
        out.append(_table(facts, found, reader.version, verbose=verbose))
    return out


def _by_relation(rows: Sequence[catalog.Row]) -> Mapping[str, list[catalog.Row]]:
    out: dict[str, list[catalog.Row]] = collections.defaultdict(list)
    for oid, *values in rows:
        out[oid or ""].append(tuple(values))
    return out


def _table(facts: Facts, found: _Found, version: int, *, verbose: bool) -> catalog.Table:
    kind = facts["kind"] or ""
    heading = columns.title(
        kind, facts["unlogged"] == "t", facts["schema"] or "", facts["name"] or ""
    )
    if kind == "S" and found["sequences"]:
        return columns.sequence(heading, found["sequences"][0])
    lines = [
        *_partition(facts, verbose=verbose),
        *_index(kind, found),
    ]
    if kind in _TABULAR:
        lines += constraints.lines(facts, found, verbose=verbose)
    if facts["view"] is not None and verbose:
        lines += ["View definition:", facts["view"]]
        lines += footers.view_rules(found["rules"]) if kind == "v" else []
    lines += footers.triggers(found["triggers"])
    lines += _foreign(facts) if kind == "f" else []
    if kind in _TABULAR:
        lines += footers.family(kind, found, verbose=verbose)
        lines += _nature(facts, version, verbose=verbose)
    elif kind == "i":
        lines += _space(facts)
    if verbose and facts["options"]:
        lines.append(f"Options: {facts['options']}")
    return columns.shown(kind, heading, found["columns"], tuple(lines), verbose=verbose)


def _partition(facts: Facts, *, verbose: bool) -> list[str]:
    out = []
    if facts["is_partition"] == "t":
        pending = " DETACH PENDING" if facts["detached"] == "t" else ""
        out.append(f"Partition of: {facts['parent']} {facts['bound'] or ''}{pending}")
        if verbose:
            constraint = facts["partition"]
            out.append(
                f"Partition constraint: {constraint}" if constraint else "No partition constraint"
            )
    if facts["kind"] == "p":
        out.append(f"Partition key: {facts['key']}")
    if facts["owner"] is not None:
        out.append(f'Owning table: "{facts["owner"]}"')
    return out


def _index(kind: str, found: _Found) -> list[str]:
    return [footers.index_line(found["index"][0])] if kind in "iI" and found["index"] else []


def _foreign(facts: Facts) -> list[str]:
    options = facts["fdwoptions"]
    return [f"Server: {facts['server']}", *([f"FDW options: {options}"] if options else [])]


def _nature(facts: Facts, version: int, *, verbose: bool) -> list[str]:
    kind, out = facts["kind"] or "", []
    if facts["typed"] is not None:
        out.append(f"Typed table of type: {facts['typed']}")
    identity = {"f": "FULL", "n": "NOTHING"}.get(facts["identity"] or "")
    # The catalog itself has none, of which nobody needs to be told.
    if verbose and kind in "rmp" and identity and facts["schema"] != "pg_catalog":
        out.append(f"Replica Identity: {identity}")
    out += _space(facts)
    if verbose and facts["method"] is not None:
        out.append(f"Access method: {facts['method']}")
    return out


def _space(facts: Facts) -> list[str]:
    return [f'Tablespace: "{facts["space"]}"'] if facts["space"] is not None else []
