"""What a database holds, in forms that compare equal when two databases hold the same.

`canonical_dump` is pg_dump's word, complete and slow; `fingerprint` reads the catalogs and the
rows in a few milliseconds, and knows what the tests' notebooks can make. Planner statistics,
physical order and object identifiers are part of neither.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
import re
import subprocess
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

#: A database may have settings that would keep us from looking at it.
_UNTOUCHED = (
    "-c statement_timeout=0 -c default_transaction_read_only=off -c role=none"
    " -c local_preload_libraries="
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """A database and who connects to it; `host` is the folder of a Unix socket."""

    host: str
    port: int
    user: str
    dbname: str
    password: str | None = None

    def environment(self) -> dict[str, str]:
        """The address as libpq's environment variables."""
        named = {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGDATABASE": self.dbname,
        }
        return named if self.password is None else {**named, "PGPASSWORD": self.password}

    def connect(self) -> psycopg.Connection[Any]:
        """A connection in autocommit mode."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            dbname=self.dbname,
            password=self.password,
            autocommit=True,
            options=_UNTOUCHED,
        )


# --- pg_dump ---------------------------------------------------------------------------------

_COPY = re.compile(r"COPY .* FROM stdin;")
#: Lines that say how to restore, which versions of pg_dump disagree on, not what is held.
_NOISE = re.compile(
    r"\\(un)?restrict .*|-- Dumped (from|by) .*|SELECT pg_catalog\.set_config\(.*|"
    r"SET (\w+_timeout|client_\w+|check_function_bodies|default_table\w+|row_security|"
    r"standard_conforming_strings|xmloption) = .*;"
)


#: Where what is said of another object begins.
_PIECE = re.compile(r"^--\n(?=-- (?:Data for )?Name: )", re.MULTILINE)


class LockedError(Exception):
    """Somebody's open transaction keeps a table from being dumped."""


def canonical_dump(
    address: Address, bindir: pathlib.Path, *, lock_timeout_ms: int | None = None
) -> str:
    """Schema, data and sequence states as pg_dump writes them, each table's rows sorted.

    The state of a sequence is its `setval` line. The user must be able to read everything: where
    rows are hidden by policies, that is a superuser. Raises LockedError after `lock_timeout_ms`.
    """
    patience = [] if lock_timeout_ms is None else [f"--lock-wait-timeout={lock_timeout_ms}"]
    done = subprocess.run(
        [bindir / "pg_dump", "--no-sync", *patience],
        env={"PATH": os.environ["PATH"], "PGCLIENTENCODING": "UTF8", **address.environment()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if b"due to lock timeout" in done.stderr:
        raise LockedError
    if done.returncode != 0:
        raise RuntimeError(f"pg_dump failed: {done.stderr.decode(errors='replace')}")
    lines: list[str] = []
    rows: list[str] | None = None
    for line in done.stdout.decode().split("\n"):
        if rows is not None:
            if line == r"\.":
                lines += [*sorted(rows), line]
                rows = None
            else:
                rows.append(line)
        elif not _NOISE.fullmatch(line):
            lines.append(line)
            rows = [] if _COPY.fullmatch(line) else None
    return "\n".join(lines) + "\n"


def pieces(dump: str) -> collections.Counter[str]:
    """What a dump says of each object.

    What hangs on nothing that comes later is dumped in the order of its numbers, which two
    databases may have given in another one.
    """
    return collections.Counter(piece.strip() for piece in _PIECE.split(dump))


# --- fingerprint -----------------------------------------------------------------------------

# Every query gives one text per object. A row constructor's text tells null from ''. Names are
# qualified by the catalog's own functions, since the search path holds nothing but pg_catalog.
_USER_SCHEMA = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
_SORTED_ACL = "(select array_agg(a::text order by a::text) from unnest({}) a)"

_CATALOG: Mapping[str, str] = {
    "schemas": f"""
        select row(n.nspname, nspowner::regrole, {_SORTED_ACL.format("nspacl")})
        from pg_namespace n where {_USER_SCHEMA}""",
    "relations": f"""
        select row(c.oid::regclass, relkind, relpersistence, relowner::regrole,
                   {_SORTED_ACL.format("relacl")}, reloptions, relrowsecurity,
                   relforcerowsecurity, relreplident, relispopulated,
                   pg_get_partkeydef(c.oid),
                   pg_get_expr(relpartbound, c.oid),
                   (select array_agg(inhparent::regclass::text order by inhseqno)
                    from pg_inherits where inhrelid = c.oid))
        from pg_class c join pg_namespace n on n.oid = relnamespace
        where {_USER_SCHEMA} and relkind not in ('i', 'I')""",
    # The place among the live columns, not attnum, which counts dropped ones too.
    "columns": f"""
        select row(attrelid::regclass,
                   row_number() over (partition by attrelid order by attnum),
                   attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
                   attgenerated, attcollation::regcollation, attstorage, attcompression,
                   {_SORTED_ACL.format("attacl")}, attoptions, attislocal,
                   pg_get_expr(adbin, adrelid))
        from pg_attribute a join pg_class c on c.oid = attrelid
        join pg_namespace n on n.oid = relnamespace
        left join pg_attrdef on adrelid = attrelid and adnum = attnum
        where {_USER_SCHEMA} and relkind not in ('i', 'I', 'S') and attnum > 0
          and not attisdropped""",
    "constraints": f"""
        select row(nullif(conrelid, 0)::regclass, nullif(contypid, 0)::regtype, conname,
                   convalidated, pg_get_constraintdef(c.oid))
        from pg_constraint c join pg_namespace n on n.oid = connamespace where {_USER_SCHEMA}""",
    "indexes": f"""
        select row(pg_get_indexdef(indexrelid), indisvalid, indisclustered, indisreplident)
        from pg_index join pg_class c on c.oid = indexrelid
        join pg_namespace n on n.oid = relnamespace where {_USER_SCHEMA}""",
    "views and rules": f"""
        select row(c.oid::regclass, rulename, ev_enabled, pg_get_ruledef(r.oid))
        from pg_rewrite r join pg_class c on c.oid = ev_class
        join pg_namespace n on n.oid = relnamespace where {_USER_SCHEMA}""",
    "functions": f"""
        select row(p.oid::regprocedure, proowner::regrole, {_SORTED_ACL.format("proacl")},
                   case when prokind <> 'a' then pg_get_functiondef(p.oid) end,
                   (select row(aggtransfn, aggfinalfn, aggtranstype::regtype, agginitval)
                    from pg_aggregate where aggfnoid = p.oid))
        from pg_proc p join pg_namespace n on n.oid = pronamespace where {_USER_SCHEMA}""",
    "operators": f"""
        select row(o.oid::regoperator, oprowner::regrole, oprcode)
        from pg_operator o join pg_namespace n on n.oid = oprnamespace where {_USER_SCHEMA}""",
    "triggers": f"""
        select row(tgenabled, pg_get_triggerdef(t.oid))
        from pg_trigger t join pg_class c on c.oid = tgrelid
        join pg_namespace n on n.oid = relnamespace where {_USER_SCHEMA} and not tgisinternal""",
    "policies": "select pg_policies from pg_policies",
    # Tables and views have a row type, and every type an array type; relations cover those.
    "types": f"""
        select row(t.oid::regtype, typtype, typowner::regrole, {_SORTED_ACL.format("typacl")},
                   typnotnull, typdefault, nullif(typbasetype, 0)::regtype, typtypmod,
                   (select array_agg(enumlabel order by enumsortorder) from pg_enum
                    where enumtypid = t.oid))
        from pg_type t join pg_namespace n on n.oid = typnamespace
        where {_USER_SCHEMA} and typtype in ('d', 'e', 'r', 'm')""",
    "sequences": f"""
        select row(c.oid::regclass, seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax,
                   seqcache, seqcycle, refobjid::regclass, refobjsubid)
        from pg_sequence join pg_class c on c.oid = seqrelid
        join pg_namespace n on n.oid = relnamespace
        left join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid
          and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
        where {_USER_SCHEMA}""",
    "comments": """
        select row(o.type, o.identity, description)
        from pg_description d, pg_identify_object(classoid, objoid, objsubid) o
        where objoid >= 16384 or (classoid, objoid) = ('pg_namespace'::regclass, 2200)
          or classoid = 'pg_largeobject'::regclass""",
    "statistics": f"""
        select pg_get_statisticsobjdef(s.oid)
        from pg_statistic_ext s join pg_namespace n on n.oid = stxnamespace
        where {_USER_SCHEMA}""",
    "default privileges": """
        select row(defaclrole::regrole, nullif(defaclnamespace, 0)::regnamespace, defaclobjtype,
                   defaclacl)
        from pg_default_acl""",
    "the database": f"""
        select row(datdba::regrole, {_SORTED_ACL.format("datacl")}, datconnlimit, datistemplate,
                   shobj_description(d.oid, 'pg_database'))
        from pg_database d where datname = current_database()""",
    "settings": """
        select row(setrole::regrole, setconfig)
        from pg_db_role_setting join pg_database d on d.oid = setdatabase
        where datname = current_database()""",
    "extensions": "select row(extname, extversion, extnamespace::regnamespace) from pg_extension",
    "large objects": f"""
        select row(m.oid, lomowner::regrole, {_SORTED_ACL.format("lomacl")},
                   (select array_agg(row(pageno, data) order by pageno)
                    from pg_largeobject where loid = m.oid))
        from pg_largeobject_metadata m""",
    "casts": """
        select row(castsource::regtype, casttarget::regtype, nullif(castfunc, 0)::regprocedure,
                   castcontext, castmethod)
        from pg_cast where oid >= 16384""",
    "collations": f"""
        select row(c.oid::regcollation, collowner::regrole, collprovider, collisdeterministic,
                   collcollate)
        from pg_collation c join pg_namespace n on n.oid = collnamespace where {_USER_SCHEMA}""",
    "text search": f"""
        select row(c.oid::regconfig, cfgowner::regrole,
                   (select array_agg(row(maptokentype, mapseqno, mapdict::regdictionary)::text
                                     order by maptokentype, mapseqno)
                    from pg_ts_config_map where mapcfg = c.oid))
        from pg_ts_config c join pg_namespace n on n.oid = cfgnamespace where {_USER_SCHEMA}""",
    "event triggers": """
        select row(evtname, evtevent, evtowner::regrole, evtfoid::regprocedure, evtenabled,
                   evttags)
        from pg_event_trigger""",
    "publications": """
        select row(pubname, pubowner::regrole, puballtables, pubinsert, pubupdate, pubdelete,
                   (select array_agg(row(prrelid::regclass, pg_get_expr(prqual, prrelid),
                                         prattrs)::text order by prrelid::regclass::text)
                    from pg_publication_rel where prpubid = p.oid))
        from pg_publication p""",
    # What other notebooks make has other names, here and at the oracle.
    "roles": r"""
        select row(rolname, rolcanlogin, rolcreaterole, rolinherit, rolconnlimit, rolconfig,
                   shobj_description(r.oid, 'pg_authid'),
                   (select array_agg(row(roleid::regrole, to_jsonb(m)
                                         - '{oid,roleid,member,grantor}'::text[])::text
                                     order by roleid::regrole::text)
                    from pg_auth_members m where member = r.oid
                      and roleid::regrole::text !~ '^(pgcellar_parked_|stale)'))
        from pg_roles r
        where oid >= 16384 and not rolsuper and rolname !~ '^(pgcellar_parked_|stale)'""",
}

_CATALOG_QUERY = " union all ".join(
    f"select '{section}', object::text from ({query}) as _ (object)"
    for section, query in _CATALOG.items()
)

_WITH_CONTENTS = f"""
    select relkind, nspname, relname
    from pg_class c join pg_namespace n on n.oid = relnamespace
    where {_USER_SCHEMA} and (relkind in ('r', 'S') or relkind = 'm' and relispopulated)"""


def fingerprint(connection: psycopg.Connection[Any]) -> dict[str, list[str]]:
    """Everything the database of an idle connection holds, by kind, each kind sorted.

    There is a section for each kind of object, and `rows of SCHEMA.TABLE` for each table.
    Languages, operator classes and dictionaries are left to `canonical_dump`.
    """
    found: dict[str, list[str]] = {section: [] for section in _CATALOG}
    with connection.transaction():
        # Row texts depend on the session; views and functions must not run in a writing one.
        connection.execute(
            "set transaction isolation level repeatable read, read only;"
            "set local search_path = pg_catalog; set local timezone = 'UTC';"
            "set local datestyle = 'ISO, MDY'; set local intervalstyle = 'postgres';"
            "set local extra_float_digits = 1; set local bytea_output = 'hex'"
        )
        relations = connection.execute(_WITH_CONTENTS).fetchall()
        for section, text in connection.execute(_CATALOG_QUERY):
            found[section].append(text)
        for kind, schema, name in relations:
            if kind != "S":
                found[f"rows of {schema}.{name}"] = []
        if relations:
            for section, text in connection.execute(_contents_query(relations)):
                found[section].append(text)
    return {section: sorted(texts) for section, texts in found.items()}


def _contents_query(relations: list[tuple[str, str, str]]) -> sql.Composed:
    """All rows of all tables, and the states of all sequences, as one query."""
    parts = []
    for kind, schema, name in relations:
        table = sql.Identifier(schema, name)
        if kind == "S":
            part = sql.SQL("select 'sequences', row({}, last_value, is_called)::text from {}")
            parts.append(part.format(f"{schema}.{name}", table))
        else:
            # Only: rows of partitions and children are theirs.
            part = sql.SQL("select {}, (_.*)::text from only {} as _")
            parts.append(part.format(f"rows of {schema}.{name}", table))
    return sql.SQL(" union all ").join(parts)
