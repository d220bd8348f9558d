"""psql's describing commands in notebooks."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Iterator

import pytest
from tests import cellar as cellars

from pgcellar.api import records, rendering
from pgcellar.runner import special

TABLES = """
create schema s;
create type mood as enum ('sad', 'happy');
create domain positive as int check (value > 0);
create table t(a int primary key, b text not null default 'x', m mood, p positive);
create table s.child(id serial primary key, t int references t);
create index on s.child (t);
create view v as select a, b from t;
create materialized view mv as select count(*) from t;
create function f(x int) returns int language sql as 'select x + 1';
create function trig() returns trigger language plpgsql as 'begin return new; end';
create trigger tr before insert on t for each row execute function trig();
create table part(k int) partition by range (k);
create table part1 partition of part for values from (0) to (10);
alter table t enable row level security;
create policy pol on t using (a > 0);
comment on table t is 'a table';
create extension hstore;
create sequence sq;
grant select on t to public;
"""


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


def shown(ran: cellars.Ran) -> str:
    """All that was shown, as text."""
    out = []
    for result in ran.results:
        out += [rendering.render_notice(notice) for notice in result.notices]
        out.append(rendering.as_text(result))
    return "\n".join(out)


@pytest.mark.parametrize("command", sorted(special.DESCRIBING))
@pytest.mark.parametrize("suffix", ["", "+"])
@pytest.mark.parametrize("pattern", ["", " t", " s.*", " nosuch", " f"])
def test_every_command_answers(
    cellar: cellars.Cellar, command: str, suffix: str, pattern: str
) -> None:
    """Something is shown or refused in a sentence; the state stays and the session goes on."""
    cell = f"{command}{suffix}{pattern}"
    ran = cellar.run([TABLES, cell], notebook="all")
    if ran.done.error is not None:
        assert ran.done.error.sqlstate in ("PC008", "42602", "42883", "42501"), ran.done.error
    assert cellar.run([TABLES, cell, "select 1"], notebook="all").done.error is None or (
        ran.done.error is not None
    )


def test_what_describes_a_table(cellar: cellars.Cellar) -> None:
    text = shown(cellar.run([TABLES, "\\d t"], notebook="all"))
    for part in ("Column", "integer", "not null", "Indexes", "t_pkey", "Triggers", "tr BEFORE"):
        assert part in text, text
    text = shown(cellar.run([TABLES, "\\sf f"], notebook="all"))
    assert "select x + 1" in text
    assert "\\copy" in shown(cellar.run(["\\?"], notebook="all"))
    assert "INSERT INTO" in shown(cellar.run(["\\h insert"], notebook="all"))


@pytest.mark.parametrize("command", ["\\dt", "\\dv", "\\di", "\\ds", "\\dn", "\\dx"])
def test_lists_what_psql_lists(cellar: cellars.Cellar, command: str) -> None:
    ran = cellar.run([TABLES, command], notebook="all")
    state = ran.head.state
    held = next(i for i in cellar.space().notebook("all").instances if i.mark.state == state)
    address = cellar.call(cellar.address(held.database))
    psql = pathlib.Path(cellar.call(cellar.sandbox())._spawner._binaries.bindir) / "psql"
    done = subprocess.run(
        [psql, "-X", "-A", "-t", "-c", command],
        env={**address.environment(), "LC_ALL": "C", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    ours = {
        row[1]
        if len(row) > 1 and command[:2] == "\\d" and command not in ("\\dn", "\\dx")
        else row[0]
        for row in ran.results[0].rows
    }
    index = 0 if command in ("\\dn", "\\dx") else 1
    assert ours == {line.split("|")[index] for line in done.stdout.splitlines() if "|" in line}


def test_in_an_open_transaction(cellar: cellars.Cellar) -> None:
    cells = ["begin; create table inside (a int)", "\\dt", "rollback", "\\dt"]
    texts = [shown(cellar.run(cells, head, notebook="tx")) for head in range(4)]
    assert "inside" in texts[1]
    assert "inside" not in texts[3]


@pytest.mark.parametrize(
    "cell",
    [
        "\\d 'x; drop table t; --'",
        '\\d "x\'; drop table t; --"',
        "\\dt '",
        "\\df (((",
        "\\dt *.*.*.*",
        "\\sf nosuch(",
        "\\d " + "x" * 5000,
        "\\dq",
        "\\dS+",
    ],
)
def test_patterns_are_no_sql(cellar: cellars.Cellar, cell: str) -> None:
    ran = cellar.run(["create table t(a int)", cell], notebook="evil")
    assert ran.done.error is None or ran.done.error.message
    assert ran.done.error is None or ran.done.error.sqlstate != "PC000", ran.done.error
    after = cellar.run(["create table t(a int)", "select * from t"], notebook="evil")
    assert after.done.error is None


def test_notices_still_arrive_afterwards(cellar: cellars.Cellar) -> None:
    """The session's own handlers are back in their place."""
    say = "do $$ begin raise notice 'heard'; end $$"
    ran = cellar.run(["\\d pg_class\n" + say], notebook="handlers")
    assert any(isinstance(event, records.Notice) for event in ran.events)
