"""What stands below a table: indexes, constraints, policies, statistics, rules, publications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pgcellar.runner.describe import catalog

#: Since PostgreSQL 18.
_NOT_NULL_SINCE = 18
_FIRING = (
    ("O", "Rules:"),
    ("D", "Disabled rules:"),
    ("A", "Rules firing always:"),
    ("R", "Rules firing on replica only:"),
)
_COMMANDS = {"r": " FOR SELECT", "a": " FOR INSERT", "w": " FOR UPDATE", "d": " FOR DELETE"}
_GATHERED = {"d": "ndistinct", "f": "dependencies", "m": "mcv"}


def queries(version: int) -> Mapping[str, str]:
    """Queries by name, of rows that begin with the relation's number."""
    return {
        "indexes": _indexes(version),
        "checks": _CHECKS,
        "keys": _KEYS,
        "references": _REFERENCES,
        "policies": _POLICIES,
        "statistics": _STATISTICS,
        "rules": _RULES,
        "publications": _PUBLICATIONS,
        "not_null": _NOT_NULL if version >= _NOT_NULL_SINCE else "select 0 where false",
    }


def lines(
    facts: Mapping[str, str | None], found: Mapping[str, Sequence[catalog.Row]], *, verbose: bool
) -> list[str]:
    """The lines, in psql's order."""
    out = titled("Indexes:", map(_index, found["indexes"]))
    out += titled("Check constraints:", (f'"{name}" {text}' for name, text in found["checks"]))
    out += titled("Foreign-key constraints:", map(_key, found["keys"]))
    out += titled("Referenced by:", map(_reference, found["references"]))
    out += _secured(facts, found["policies"])
    out += titled("Statistics objects:", map(_statistic, found["statistics"]))
    if facts["kind"] != "m":
        for letter, title in _FIRING:
            rules = [rule or "" for enabled, rule in found["rules"] if enabled == letter]
            out += titled(title, rules)
    out += titled("Publications:", (published(*row) for row in found["publications"]))
    if verbose:
        out += titled("Not-null constraints:", map(_never_null, found["not_null"]))
    return out


def published(name: str | None, names: str | None, condition: str | None) -> str:
    """One side of a publication: a name, the columns that are published, and which rows."""
    shown = f'"{name}"'
    if names is not None:
        shown += f" ({names})"
    if condition is not None:
        shown += f" WHERE {condition}"
    return shown


def titled(title: str, items: Iterable[str]) -> list[str]:
    """A title and the items below it; nothing where there are none."""
    shown = [f"    {item}" for item in items]
    return [title, *shown] if shown else []


# --- indexes and constraints -------------------------------------------------------------------


def _indexes(version: int) -> str:
    period = "k.conperiod" if version >= _NOT_NULL_SINCE else "false"
    return f"""
    select i.indrelid, c.relname, i.indisprimary, i.indisunique, i.indisclustered, i.indisvalid,
      i.indisreplident, k.contype, k.condeferrable, k.condeferred, {period},
      pg_get_indexdef(i.indexrelid, 0, true), pg_get_constraintdef(k.oid, true), ts.spcname
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    left join pg_constraint k on k.conindid = i.indexrelid and k.conrelid = i.indrelid
      and {catalog.kinds("k.contype", "pux")}
    left join pg_tablespace ts on ts.oid = c.reltablespace
    where i.indrelid = any (:oids)
    order by i.indrelid, i.indisprimary desc, c.relname"""


def _index(row: catalog.Row) -> str:
    name, primary, unique, clustered, valid, identity = row[:6]
    kind, deferrable, deferred, period, definition, constraint, space = row[6:]
    shown = f'"{name}"'
    if kind == "x" or period == "t":
        shown += f" {constraint}"
    else:
        if primary == "t":
            shown += " PRIMARY KEY,"
        elif unique == "t":
            shown += " UNIQUE CONSTRAINT," if kind == "u" else " UNIQUE,"
        shown += f" {(definition or '').partition(' USING ')[2]}"
        shown += " DEFERRABLE" * (deferrable == "t")
        shown += " INITIALLY DEFERRED" * (deferred == "t")
    shown += " CLUSTER" * (clustered == "t")
    shown += " INVALID" * (valid == "f")
    shown += " REPLICA IDENTITY" * (identity == "t")
    return f'{shown}, tablespace "{space}"' if space is not None else shown


_CHECKS = """
    select c.conrelid, c.conname, pg_get_constraintdef(c.oid, true) from pg_constraint c
    where c.conrelid = any (:oids) and c.contype = 'c' order by c.conrelid, c.conname"""


# Each relation with itself and all that it is a partition of.
_LINE = """
    (select r.oid, r.oid as above from unnest(:oids) r (oid)
     union
     select r.oid, p.relid
     from unnest(:oids) r (oid), pg_partition_ancestors(r.oid) p (relid)
    ) l"""


_KEYS = f"""
    select l.oid, c.conname, pg_get_constraintdef(c.oid, true), c.conrelid::regclass,
      c.conrelid = l.oid
    from {_LINE} join pg_constraint c on c.conrelid = l.above
    where c.contype = 'f' and c.conparentid = 0
    order by l.oid, (c.conrelid = l.oid) desc, c.conname"""


def _key(row: catalog.Row) -> str:
    name, definition, table, own = row
    shown = f'"{name}" {definition}'
    return shown if own == "t" else f'TABLE "{table}" CONSTRAINT {shown}'


_REFERENCES = f"""
    select l.oid, c.conname, c.conrelid::regclass, pg_get_constraintdef(c.oid, true)
    from {_LINE} join pg_constraint c on c.confrelid = l.above
    where c.contype = 'f' and c.conparentid = 0
    order by l.oid, c.conname"""


def _reference(row: catalog.Row) -> str:
    name, table, definition = row
    return f'TABLE "{table}" CONSTRAINT "{name}" {definition}'


_NOT_NULL = """
    select c.conrelid, c.conname, a.attname, c.connoinherit, c.conislocal, c.coninhcount <> 0,
      c.convalidated
    from pg_constraint c
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    where c.contype = 'n' and c.conrelid = any (:oids)
    order by c.conrelid, a.attnum"""


def _never_null(row: catalog.Row) -> str:
    name, column, alone, local, inherited, valid = row
    shown = f'"{name}" NOT NULL "{column}"'
    if alone == "t":
        shown += " NO INHERIT"
    elif local == "f":
        shown += " (inherited)"
    elif inherited == "t":
        shown += " (local, inherited)"
    return f"{shown} NOT VALID" if valid == "f" else shown


# --- policies, statistics, rules, publications -------------------------------------------------


_POLICIES = """
    select p.polrelid, p.polname, p.polpermissive, p.polcmd,
      case when p.polroles <> '{0}'::oid[] then array_to_string(array(
        select r.rolname from pg_roles r where r.oid = any (p.polroles) order by 1), ',') end,
      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
    from pg_policy p where p.polrelid = any (:oids) order by p.polrelid, p.polname"""


def _secured(facts: Mapping[str, str | None], policies: Sequence[catalog.Row]) -> list[str]:
    """Policies, under a title that says whether they hold."""
    secured, forced = facts["secured"] == "t", facts["forced"] == "t"
    if secured:
        title = "Policies (forced row security enabled):" if forced else "Policies:"
        if not policies:
            title = title if forced else "Policies (row security enabled):"
            return [f"{title} (none)"]
    else:
        title = "Policies (row security disabled):"
    return titled(title, map(_policy, policies))


def _policy(row: catalog.Row) -> str:
    name, permissive, command, roles, using, check = row
    shown = f'POLICY "{name}"'
    shown += " AS RESTRICTIVE" * (permissive == "f")
    shown += _COMMANDS.get(command or "", "")
    if roles is not None:
        shown += f"\n      TO {roles}"
    if using is not None:
        shown += f"\n      USING ({using})"
    if check is not None:
        shown += f"\n      WITH CHECK ({check})"
    return shown


_STATISTICS = """
    select s.stxrelid, n.nspname, s.stxname, array_to_string(s.stxkind, ''),
      pg_get_statisticsobjdef_columns(s.oid), s.stxrelid::regclass,
      case when s.stxstattarget <> (0 - 1) then s.stxstattarget end
    from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace
    where s.stxrelid = any (:oids) order by s.stxrelid, n.nspname, s.stxname"""


def _statistic(row: catalog.Row) -> str:
    schema, name, kinds, names, table, target = row
    some = [text for letter, text in _GATHERED.items() if letter in (kinds or "")]
    shown = f'"{schema}.{name}"'
    if 0 < len(some) < len(_GATHERED):
        shown += f" ({', '.join(some)})"
    shown += f" ON {names} FROM {table}"
    return f"{shown}; STATISTICS {target}" if target is not None else shown


_RULES = """
    select r.ev_class, r.ev_enabled, substr(rtrim(pg_get_ruledef(r.oid, true), ';'), 13)
    from pg_rewrite r where r.ev_class = any (:oids) and r.rulename <> '_RETURN'
    order by r.ev_class, r.rulename"""


_PUBLICATIONS = """
    select r.oid, p.pubname,
      case when pr.prattrs is not null then (
        select string_agg(a.attname, ', ' order by k.place)
        from unnest(pr.prattrs::int2[]) with ordinality k (number, place)
        join pg_attribute a on a.attrelid = pr.prrelid and a.attnum = k.number) end,
      pg_get_expr(pr.prqual, pr.prrelid)
    from unnest(:oids) r (oid)
    join pg_class c on c.oid = r.oid
    cross join pg_publication p
    left join pg_publication_rel pr on pr.prpubid = p.oid and pr.prrelid = r.oid
    left join pg_publication_namespace pn on pn.pnpubid = p.oid and pn.pnnspid = c.relnamespace
    where pr.oid is not null
      or ((p.puballtables or pn.oid is not null) and pg_relation_is_publishable(r.oid))
    order by r.oid, p.pubname"""
