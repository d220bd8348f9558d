"""Lineage against PostgreSQL: whatever an edit changes below it, it was said to affect.

For every edit the notebook is run from the top before and after it. A cell that is not affected
must have the same results; and of a table that holds something else in the end, a cell that read
it there would have to be affected.
"""

from __future__ import annotations

import os

import hypothesis
import pytest
from hypothesis import strategies as st
from tests import generators
from tests import oracle as oracles

from pgcellar.notebook.lineage import graphs

#: Many notebooks, each run several times; a machine may be slow.
pytestmark = pytest.mark.timeout(900)

SETTINGS = hypothesis.settings(
    deadline=None,
    max_examples=int(os.environ.get("PGCELLAR_EXAMPLES", "25")),
    suppress_health_check=list(hypothesis.HealthCheck),
    print_blob=True,
)
#: Cells in which one object acts on others without naming them; few names, so that they meet.
TRICKY = (
    "create table a (id int primary key, n int)",
    "create table b (id serial primary key, a int references a on delete cascade)",
    "create table c (id int) partition by range (id)",
    "create table c1 partition of c for values from (0) to (100)",
    "create table d (like a including all)",
    "create table e () inherits (d)",
    "create table a as select 1 as id, 2 as n",
    "insert into a values (1, 1), (2, 2) on conflict do nothing",
    "insert into a values (3, 3)",
    "insert into b (a) values (1), (null)",
    "insert into c values (5)",
    "insert into d values (7, 7)",
    "insert into e values (8, 8)",
    "delete from a where id = 1",
    "update a set n = n + 1",
    "update d set n = n * 2",
    "delete from c1",
    "truncate a",
    "truncate a cascade",
    "truncate d",
    "drop table a",
    "drop table a cascade",
    "drop table if exists d cascade",
    "alter table a rename to f",
    "alter table f rename to a",
    "alter table a rename column n to m",
    "alter table d no inherit e",
    "alter table e no inherit d",
    "alter table a add column x int default nextval('s')",
    "alter table a alter column n set default 9",
    "create sequence s",
    "drop sequence s cascade",
    "select nextval('s') as next",
    "select setval('s', 40)",
    "select nextval('b_id_seq')",
    "create view v as select * from a",
    "create or replace view v as select id, n + 100 as n from a",
    "create view w as select count(*) as k from v",
    "create materialized view m as select * from a",
    "refresh materialized view m",
    "drop view v cascade",
    "insert into v values (20, 20)",
    "create table log (t text)",
    "create or replace function f() returns trigger language plpgsql as"
    " $$ begin insert into log values (tg_op); return null; end $$",
    "create or replace function f() returns trigger language plpgsql as"
    " $$ begin update d set n = n + 1; return null; end $$",
    "create trigger g after insert or delete on a execute function f()",
    "drop function f() cascade",
    "create or replace function h() returns bigint language sql as 'select count(*) from a'",
    "create or replace function h() returns bigint language sql as"
    " $$ insert into log values ('h'); select 1::bigint $$",
    "select h()",
    "create view u as select h() as h",
    "select * from u",
    "create rule r as on update to a do also insert into log values ('r')",
    "create domain p as int check (value < 50)",
    "create table q (x p)",
    "insert into q values (10)",
    "insert into q values (60)",
    "alter domain p drop constraint p_check",
    "create schema z",
    "set search_path to z, public",
    "reset search_path",
    "\\set v a",
    "\\set v d",
    "insert into :v values (70, 70)",
    "do $$ begin execute 'create or replace rule r as on insert to d do also"
    " insert into lo' || 'g values (1)'; end $$",
    "create table z.a (id int, n int)",
    "select * from public.a",
    "alter table a set schema z",
    "drop schema z cascade",
    "create unique index a_n on a (n)",
    "drop index a_n",
    "prepare x as select count(*) from a",
    "execute x",
    "deallocate x",
    "copy a from stdin;\n30\t30\n\\.\n",
    "copy d (id) from stdin;\n31\n\\.\nselect * from d",
    "select count(*) as a from a \\gset",
    "select :a as a",
    "create role r_one; set role r_one",
    "grant select on a to r_one",
    "reset role",
    "begin; insert into a values (50, 50); rollback",
    "begin",
    "commit",
    "do $$ begin insert into log values ('do'); exception when others then null; end $$",
    "select * from a",
    "select * from b",
    "select * from c",
    "select * from d",
    "select * from v",
    "select * from w",
    "select * from m",
    "select * from log",
    "select * from q",
    "select * from f",
    "table e",
    "select relname from pg_class where relname ~ '^[a-z]$'",
)


@SETTINGS
@hypothesis.given(notebook=generators.notebooks(max_cells=8), data=st.data())
def test_what_an_edit_changes_was_said_to_be_affected(
    oracle: oracles.Oracle, notebook: generators.Notebook, data: st.DataObject
) -> None:
    """A cell is deleted, or replaced by one that another notebook has."""
    index = data.draw(st.integers(0, len(notebook.cells) - 1))
    texts = data.draw(st.sampled_from([[], data.draw(generators.notebooks(max_cells=1)).sources]))
    check(oracle, notebook.sources, index, texts[:1])


@SETTINGS
@hypothesis.given(
    opening=st.lists(st.sampled_from(TRICKY[:10]), max_size=4),
    rest=st.lists(st.sampled_from(TRICKY), min_size=2, max_size=9),
    instead=st.lists(st.sampled_from(TRICKY), max_size=1),
    data=st.data(),
)
def test_what_a_tricky_edit_changes_was_said_to_be_affected(
    oracle: oracles.Oracle,
    opening: list[str],
    rest: list[str],
    instead: list[str],
    data: st.DataObject,
) -> None:
    sources = [*opening, *rest]
    check(oracle, sources, data.draw(st.integers(0, len(sources) - 1)), instead)


def check(oracle: oracles.Oracle, sources: list[str], index: int, instead: list[str]) -> None:
    """One cell deleted, or replaced, in a notebook."""
    edited = [*sources[:index], *instead, *sources[index + 1 :]]
    shift = len(edited) - len(sources)

    def affected(*last: str) -> set[int]:
        found = set(graphs.affected(graphs.graph([*sources, *last]), index))
        if instead:
            found.update(graphs.affected(graphs.graph([*edited, *last]), index))
        return found

    (old, held), (new, holds) = ran(oracle, sources), ran(oracle, edited)
    for cell in set(range(index + 1, len(sources))) - affected():
        assert shown(old[cell]) == shown(new[cell + shift])
    for name in changed(held, holds):
        assert len(sources) in affected(f"select * from {name}"), name


def ran(
    oracle: oracles.Oracle, sources: list[str]
) -> tuple[tuple[oracles.CellOutcome, ...], dict[str, list[str]]]:
    """What the cells gave, and what the database holds."""
    done = oracle.evaluate(sources)
    return done.cells, oracle.fingerprint(done.dbname)


def changed(one: dict[str, list[str]], other: dict[str, list[str]]) -> set[str]:
    """The tables and sequences that hold something else, by their names."""
    tables = {
        section.removeprefix("rows of ")
        for section in one.keys() | other.keys()
        if section.startswith("rows of ") and one.get(section) != other.get(section)
    }
    # Each as (schema.name,value,whether it was called).
    moved = set(one["sequences"]) ^ set(other["sequences"])
    return tables | {text.strip("()").split(",")[0] for text in moved}


def shown(outcome: oracles.CellOutcome) -> object:
    """What a cell showed; rows of a table come in any order."""
    results = [(r.command, r.columns, sorted(map(repr, r.rows))) for r in outcome.results]
    return results, outcome.notices, outcome.error
