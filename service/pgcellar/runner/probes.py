"""Questions to PostgreSQL that decide what is certain, what is pinned, and what wrote."""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
from collections.abc import Iterable, Mapping
from typing import Any

from pgcellar.notebook import states
from pgcellar.runner import connections, executor

#: Built-in functions that are volatile, but change neither data nor session. Whatever else is
#: volatile, in the server's own catalog, counts as having a side effect.
HARMLESS = (
    "random", "random_normal", "clock_timestamp", "timeofday", "gen_random_uuid", "uuidv4",
    "uuidv7", "pg_sleep", "pg_sleep_for", "pg_sleep_until", "pg_relation_size", "pg_table_size",
    "pg_total_relation_size", "pg_indexes_size", "pg_database_size", "pg_tablespace_size",
    "currval", "lastval", "pg_column_size", "pg_get_viewdef", "pg_my_temp_schema",
    "pg_sequence_last_value", "pg_is_in_recovery", "pg_backend_pid",
)  # fmt: skip

#: Built-in functions that are not immutable, but decided by the state, the session's settings and
#: their arguments. The result of a read that names another one is never kept.
STATE_ONLY = (
    "array_out", "array_to_json", "array_to_string", "avg", "concat", "concat_ws",
    "convert", "count", "date_add", "date_bin", "date_part", "date_subtract", "date_trunc",
    "enum_first", "enum_last", "enum_range", "extract", "format", "generate_series", "isfinite",
    "json_agg", "json_agg_strict", "json_build_array", "json_build_object", "json_object_agg",
    "json_object_agg_strict", "json_object_agg_unique",     "jsonb_agg",
    "jsonb_agg_strict", "jsonb_build_array", "jsonb_build_object", "jsonb_object_agg",
    "jsonb_object_agg_strict", "jsonb_object_agg_unique", "jsonb_path_exists_tz",
    "jsonb_path_query_array_tz", "jsonb_path_query_first_tz", "jsonb_path_query_tz",
        "length", "lower", "make_timestamptz", "max", "min", "overlaps", "phraseto_tsquery",
    "plainto_tsquery", "quote_literal", "quote_nullable", "row_to_json", "setweight", "string_agg",
    "sum", "text",     "timezone", "to_char", "to_date", "to_json",
    "to_jsonb", "to_number", "to_timestamp", "to_tsquery", "to_tsvector", "ts_headline",
    "tstzrange", "upper", "websearch_to_tsquery", "xmlagg",
)  # fmt: skip

_SAFELY = (
    "BEGIN;SELECT pg_catalog.current_setting('search_path');"
    "SET LOCAL search_path = pg_catalog, pg_temp"
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SessionState:
    """What a session holds besides the database: what can be restored, and `pins`, which can't.

    `prepared` holds the texts of prepared statements by name, `listening` channels. `prefixes` are
    those of the settings of libraries that are loaded, as `plpgsql`: by a read, too, so they don't
    tell whether one wrote.
    """

    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    prepared: Mapping[str, str] = dataclasses.field(default_factory=dict)
    listening: tuple[str, ...] = ()
    role: str | None = None
    pins: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = dataclasses.field(default=(), compare=False)

    @classmethod
    def of_json(cls, body: Mapping[str, Any]) -> SessionState:
        """What `to_json` made."""
        return cls(
            settings=body.get("settings", {}),
            prepared=body.get("prepared", {}),
            listening=tuple(body.get("listening", ())),
            role=body.get("role"),
            prefixes=tuple(body.get("prefixes", ())),
        )

    def to_json(self) -> dict[str, Any]:
        """What can be restored, for a snapshot's row."""
        body: dict[str, Any] = {"settings": dict(self.settings)}
        if self.prepared:
            body["prepared"] = dict(self.prepared)
        if self.listening:
            body["listening"] = list(self.listening)
        if self.role is not None:
            body["role"] = self.role
        if self.prefixes:
            body["prefixes"] = list(self.prefixes)
        return body


def _sql(name: str) -> str:
    text = importlib.resources.files(__package__).joinpath(name).read_text()
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


def _names(names: Iterable[str]) -> str:
    return ",".join(f"'{name}'" for name in names)


_FACTS = (
    _sql("facts.sql")
    .replace("{harmless}", _names(HARMLESS))
    .replace("{state_only}", _names(STATE_ONLY))
)
_PINS = _sql("pins.sql")
_SETTLED = f"select pg_catalog.json_build_object('pins', ({_PINS}), 'facts', ({_FACTS}))"
_EFFECTS = f"""
select distinct lower(proname::text) from pg_catalog.pg_proc
where oid < 16384 and provolatile = 'v'
  and proname <> all (array[{_names(HARMLESS)}]::name[])
  and prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
"""
_IMPURE = f"""
select distinct lower(proname::text) from pg_catalog.pg_proc
where oid < 16384 and provolatile <> 'i'
  and proname <> all (array[{_names(STATE_ONLY)}]::name[])
"""
_TYPES = "select oid, pg_catalog.format_type(oid, null) from pg_catalog.pg_type where oid < 16384"
_SEQUENCES = """
select oid::regclass::text from pg_catalog.pg_class where relkind = 'S' order by 1
"""
#: ANALYZE evaluates what stands in indexes and statistics, and so calls it.
_CALLED_BY_ANALYZE = """
select from pg_catalog.pg_depend d left join pg_catalog.pg_class c on c.oid = d.objid
where d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.refobjid >= 16384
  and (d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
       or d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and c.relkind in ('i', 'I'))
"""
#: Functions, views and policies that show the text that was sent.
_SHOWS_TEXT = """
with stored(tree) as (
  select prosqlbody::text from pg_catalog.pg_proc where prosqlbody is not null and oid >= 16384
  union all select ev_action::text from pg_catalog.pg_rewrite where oid >= 16384
  union all select polqual::text from pg_catalog.pg_policy where polqual is not null
)
select from pg_catalog.pg_proc where oid >= 16384 and prosrc ~* 'current_query'
union all
select from stored
where tree ~ pg_catalog.format(':funcid %s ',
                               'pg_catalog.current_query()'::pg_catalog.regprocedure::oid)
"""
#: Libraries that are not called as their settings begin.
_LIBRARIES = {"hnsw": "vector", "ivfflat": "vector"}
#: LOAD is the superuser's; to look at a function in C loads what it is in.
_LOAD = """
select pg_catalog.fmgr_c_validator(pg_catalog.min(p.oid))
from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang
where l.lanname = 'c' and pg_catalog.has_function_privilege(p.oid, 'execute')
  and pg_catalog.regexp_replace(p.probin, '.*/', '') = any (array[{libraries}])
group by p.probin
"""


async def builtin_effects(session: executor.Session) -> frozenset[str]:
    """The built-in functions with side effects, as this server's catalog lists them."""
    return frozenset(name or "" for (name,) in await session.query(_EFFECTS))


async def builtin_impure(session: executor.Session) -> frozenset[str]:
    """The built-in functions whose result the state does not decide."""
    return frozenset(name or "" for (name,) in await session.query(_IMPURE))


async def builtin_types(session: executor.Session) -> dict[int, str]:
    """The names of the built-in types by number."""
    return {int(oid or 0): name or "" for oid, name in await session.query(_TYPES)}


async def facts(session: executor.Session) -> states.Facts:
    """The facts of the state the session's instance is in, without the built-in names."""
    body, _ = await _ask(session, "facts", _FACTS)
    return _facts(body)


async def session_state(session: executor.Session, custom: Iterable[str] = ()) -> SessionState:
    """What the session holds now; `custom` names settings that PostgreSQL does not list."""
    if session.in_transaction:
        return SessionState(pins=("an open transaction",))
    body, path = await _ask(session, "pins", _PINS)
    return await _held(session, body, path, custom)


async def settled(
    session: executor.Session, custom: Iterable[str] = ()
) -> tuple[SessionState, states.Facts]:
    """What `session_state` and `facts` give, in half the time; outside of a transaction only."""
    body, path = await _ask(session, "settled", _SETTLED)
    return await _held(session, body["pins"], path, custom), _facts(body["facts"])


def _facts(body: Mapping[str, Any]) -> states.Facts:
    return states.Facts(
        names=frozenset(body["names"]),
        reached=body["reached"],
        impure=frozenset(body["impure"]),
        impure_reached=body["impure_reached"],
    )


async def _held(
    session: executor.Session, body: Mapping[str, Any], path: str, custom: Iterable[str]
) -> SessionState:
    held = SessionState.of_json(body)
    settings = {**held.settings, **await _custom(session, custom)}
    if path != body["reset_path"]:
        settings["search_path"] = path
    return dataclasses.replace(held, settings=settings, pins=tuple(body["pins"]))


async def _custom(session: executor.Session, names: Iterable[str]) -> dict[str, str]:
    """The values of settings of the user's own naming, where they are set."""
    wanted = sorted(names)
    if not wanted:
        return {}
    values = await session.query(
        "select "
        + ", ".join(f"pg_catalog.current_setting({_literal(name)}, true)" for name in wanted)
    )
    pairs = zip(wanted, values[0], strict=True)
    return {name: value for name, value in pairs if value is not None}


async def restore(session: executor.Session, held: SessionState) -> None:
    """Give a new session what an old one held. Raises StatementFailed."""
    if held.prefixes:
        libraries = ",".join(_literal(_LIBRARIES.get(name, name)) for name in held.prefixes)
        await session.query(_LOAD.replace("{libraries}", libraries))
    if held.settings:
        await session.query(f"select {_set_config(held.settings)}")
    if held.prepared:
        # In a message of its own each: PostgreSQL shows the whole message as a statement's text.
        await session.query("BEGIN")
        for text in held.prepared.values():
            await session.query(text)
        await session.query("COMMIT")
    for channel in held.listening:
        quoted = channel.replace('"', '""')
        await session.query(f'listen "{quoted}"')
    if held.role is not None:
        # Last: it may be allowed less.
        await session.query(f"select {_set_config({'role': held.role})}")


def _set_config(settings: Mapping[str, str]) -> str:
    return ", ".join(
        f"pg_catalog.set_config({_literal(name)}, {_literal(value)}, false)"
        for name, value in settings.items()
    )


async def sequences(session: executor.Session) -> tuple[tuple[str | None, ...], ...] | None:
    """The position of every sequence; some move it without a transaction id being assigned.

    None if the session may not look at one of them.
    """
    names = [name or "" for (name,) in await session.query(_SEQUENCES)]
    if not names:
        return ()
    union = " union all ".join(
        f"select {_literal(name)}, last_value::text, is_called::text from {name}" for name in names
    )
    try:
        return tuple(await session.query(union))
    except connections.StatementFailed:
        return None


async def shows_text(session: executor.Session) -> bool:
    """Whether what a read reaches may show the text that was sent."""
    return bool(await session.query(_SHOWS_TEXT))


async def analyze(session: executor.Session, relation: str) -> None:
    """Gather the statistics of a relation, unless a function of the user's would run for it: psql
    would not have called that. Raises StatementFailed.
    """
    if not await session.query(_CALLED_BY_ANALYZE):
        await session.query(f"ANALYZE {relation}")


async def assigned_transaction(session: executor.Session) -> bool:
    """Whether the open transaction has written (a transaction id was assigned)."""
    rows = await session.query("select pg_catalog.pg_current_xact_id_if_assigned() is not null")
    return rows[0][0] == "t"


async def _ask(session: executor.Session, name: str, query: str) -> tuple[dict[str, Any], str]:
    """The JSON object a probe gives, and the session's search path.

    A function or operator of the user's would be taken for a built-in one wherever it fits better,
    so a probe runs with nothing but the catalog on its path; prepared, since planning it takes four
    times as long as running it.
    """
    try:
        rows = await session.query(_SAFELY)
        body = _object(await session.probe(name, query))
    except connections.NotPrepared:
        await session.query("ROLLBACK")
        return await _ask(session, name, query)
    except connections.StatementFailed:
        await session.query("ROLLBACK")
        raise
    await session.query("COMMIT")
    return body, rows[0][0] or ""


def _object(rows: list[tuple[str | None, ...]]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(rows[0][0] or "{}")
    return found


def _literal(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace("'", "''")
    return f" E'{quoted}'"
