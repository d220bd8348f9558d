"""Fuzz of the whole way from a cell's text to its effect: what is called a read changes nothing.

PostgreSQL's own functions are all tried, with values that fit their arguments, in every place of a
query where a call can stand; so are functions, views, operators, casts and domains that write
behind the caller's back, and texts mangled character by character.
"""

from __future__ import annotations

import itertools
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from tests import cellar as cellars
from tests import oracle as oracles
from tests.integration import test_equals_oracle

from pgcellar.api import errors

#: Many notebooks, each run several times; a machine may be slow.
pytestmark = pytest.mark.timeout(test_equals_oracle.SECONDS)
EXAMPLES = int(os.environ.get("PGCELLAR_EXAMPLES", "150"))
#: Of so many reads one is held against pg_dump, too, which takes longer than all else.
SAMPLE = 20
SCHEMA = """
create table t (a int primary key, b text default 'x'); insert into t values (1, 'one'), (2, null);
create sequence s;
create function writes() returns int language sql as 'insert into t values (9) returning a';
create function draws() returns bigint language sql stable as $$ select nextval('s') $$;
create function sets(text) returns text language sql immutable as
  $$ select set_config('work_mem', '5MB', false) $$;
create function hides() returns int language plpgsql stable as
  $$ begin execute 'sel' || 'ect draws()'; return 1; end $$;
create function swallows() returns int language plpgsql as
  $$ begin insert into t values (8); return 1; exception when others then return 2; end $$;
create function harmless(int) returns int language sql immutable as 'select $1 + 1';
create function checks(int) returns bool language sql as 'select writes() > $1';
create procedure proceeds() language sql as 'insert into t values (7)';
create view drawing as select draws() as d;
create view writing as select writes() as w, a from t;
create operator @+ (leftarg = int, rightarg = int, function = int4pl);
create function adds(int, int) returns int language sql as 'select writes()';
create operator @* (leftarg = int, rightarg = int, function = adds);
create domain checked as int check (checks(value));
create type pair as (x int);
create function casts(pair) returns int language sql as 'select writes()';
create cast (pair as int) with function casts(pair) as implicit;
create aggregate gathers(int) (sfunc = adds, stype = int, initcond = '0');
create table guarded (a int); insert into guarded values (1); alter table guarded enable row level
security; alter table guarded force row level security;
create policy p on guarded using (draws() > 0);
create table old (a int); create rule r as on update to old do also insert into t values (6);
"""
#: Functions that end the session, wait, or have no text to call them by.
_LEFT_OUT = r"^(pg_sleep|pg_terminate|pg_cancel|pg_log_backend|pg_.*wait|pg_stat_reset)"
_FUNCTIONS = """
select proname, coalesce((select array_agg(format_type(t, null) order by n)
                          from unnest(proargtypes) with ordinality as _ (t, n)), '{}'),
       prokind::text
from pg_proc where pronamespace = 'pg_catalog'::regnamespace and proname !~ %s
  and prorettype not in ('internal'::regtype, 'trigger'::regtype, 'event_trigger'::regtype)
  and not ('internal'::regtype = any(proargtypes::oid[]))
  and not ('cstring'::regtype = any(proargtypes::oid[]))
order by oid
"""
OURS = [
    "writes()", "draws()", "sets('x')", "hides()", "swallows()", "harmless(1)", "1 @+ 2",
    "1 @* 2", "1::checked", "row(1)::pair + 1", "nextval('s')", "setval('s', 5)", "lastval()",
    "currval('s')", "lo_create(0)", "pg_advisory_lock(1)", "pg_notify('ch', 'x')", "now()",
    "set_config('work_mem', '6MB', false)", "setseed(0.5)", "random()", "txid_current()",
    "(select w from writing limit 1)", "(select d from drawing)", "(select count(*) from guarded)",
    "(select gathers(a) from t)", "query_to_xml('select writes()', true, true, '')",
    "ts_stat('select draws()::text::tsvector')", "cursor_to_xml('c', 1, true, true, '')",
    "pg_current_xact_id()", "current_setting('work_mem')", "U&\"\\006eextval\"('s')",
    "pg_catalog . nextval ( 's' )", "\"nextval\"('s')", "NextVal('s')", "nextval/**/('s')",
]  # fmt: skip
LOOK = """
select (select json_agg(row(name, setting)) from pg_settings where source = 'session'),
       (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
       (select count(*) from pg_largeobject_metadata), (select count(*) from pg_cursors),
       (select count(*) from pg_prepared_statements), array(select pg_listening_channels())
"""
PLACES = [
    "select {}", "select * from t where {} is not null", "select a from t order by {}::text",
    "with w as (select {} as x) select * from w", "values ({})", "select (select {})",
    "with w as materialized (select {} as x) select 1", "explain analyze select {}",
    "explain select {}", "select case when true then ({})::text end", "copy (select {}) to stdout",
    "select {} \\gset v_", "select 1 \\; select {}", "select 1; select {}", "table t; select {}",
    "select * from (select {} as x) as q, t", "select array[{}]", "show work_mem; select {}",
    "select exists (select {})", "select a, (select {}) from t for update", "select {} into new",
    "with w as (insert into t values (5) returning a) select {}, a from w",
    "with w as (update old set a = 1 returning a) select {}", "execute nothing; select {}",
    "select * from generate_series(1, 2) g, lateral (select {} as x) as l",
    "select count(*) filter (where {} is null) from t", "\\if :x \n select {} \n \\endif",
    "\\set q 'select {}'\n:q", "select coalesce({}::text, '')", "declare c cursor for select {}",
    "do $$ begin perform {}; end $$", "call proceeds(); select {}", "select t.*, {} from only t t",
]  # fmt: skip
_VALUES: dict[str, list[str]] = {
    "text": ["'t'", "'s'", "'1'", "'select writes()'"],
    "name": ["'t'", "'work_mem'"],
    "regclass": ["'t'", "'s'"],
    "boolean": ["true", "false"],
    "json": ["'{\"a\": 1}'"],
    "jsonb": ["'{\"a\": 1}'"],
    "bytea": ["'\\x01'"],
    "anyelement": ["1"],
    "anyarray": ["array[1]"],
    "oid": ["0", "1", "16384"],
    "timestamp with time zone": ["'2020-01-01'"],
    "interval": ["'1 s'"],
}


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module, spares=0) as made:
        yield made


@pytest.fixture(scope="module")
def functions(oracle: oracles.Oracle) -> list[tuple[str, list[str], str]]:
    """PostgreSQL's own functions with the types of their arguments."""
    with oracle.database() as terminals:
        return terminals.rows(_FUNCTIONS, (_LEFT_OUT,))


@st.composite
def calls(draw: st.DrawFn, functions: list[tuple[str, list[str], str]]) -> str:
    """A call: of PostgreSQL's functions, or something that calls one of ours."""
    if draw(st.booleans()):
        return draw(st.sampled_from(OURS))
    name, types, kind = draw(st.sampled_from(functions))
    values = [draw(st.sampled_from(_VALUES.get(one, ["'1'", "1"]))) for one in types]
    arguments = ", ".join(f"{value}::{type_}" if type_[:3] != "any" else value
                          for value, type_ in zip(values, types, strict=True))  # fmt: skip
    return f"{name}({arguments})" + (" over ()" if kind == "w" else "")


@st.composite
def texts(draw: st.DrawFn, functions: list[tuple[str, list[str], str]]) -> str:
    """A cell, sometimes mangled."""
    text = draw(st.sampled_from(PLACES)).replace("{}", draw(calls(functions)))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(text)))
        new = draw(st.sampled_from(["", "'", '"', "$$", "/*", "*/", "--", "\n", "\\", ";", "(", " ",
                                    "\\;", ":", "e'", "U&", "\u00a0", "é", "\x01"]))  # fmt: skip
        text = text[:at] + new + text[at + draw(st.integers(0, 2)) :]
    return text


def test_fuzz(
    cellar: cellars.Cellar, functions: list[tuple[str, list[str], str]], bindir: pathlib.Path
) -> None:
    """No exception escapes, and no write is taken for a read."""
    made = cellar.run([SCHEMA])
    assert made.done.error is None, made.done.error
    tail = [SCHEMA, "set statement_timeout = '5s'"]

    def held(*, dumped: bool) -> Any:
        """All that the database and the session hold, where the tail has led."""
        ran = cellar.run([*tail, LOOK])
        assert ran.done.error is None, ran.done.error
        assert ran.head.state is not None
        cellar.quiet()
        dump = cellar.dump(ran.head.state, bindir) if dumped else None
        return cellar.fingerprint(ran.head.state), ran.results[0].rows, dump

    before, dump = held(dumped=False), held(dumped=True)
    assert before[0] is not None
    assert "CREATE TABLE public.t" in dump[2]
    reads = itertools.count(1)

    @hypothesis.settings(max_examples=EXAMPLES, deadline=None)
    @hypothesis.given(texts(functions))
    def fuzz(text: str) -> None:
        ran = cellar.run([*tail, text], rerun=True)
        error = ran.done.error
        assert error is None or error.sqlstate != errors.PgcellarError.code, error
        hypothesis.event(f"{ran.head.effect}{'' if error is None else ', failed'}")
        if error is None and ran.head.effect in ("none", "read"):
            dumped = next(reads) % SAMPLE == 0
            assert held(dumped=dumped) == (dump if dumped else before)

    fuzz()
