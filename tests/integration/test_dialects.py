"""Cells of other dialects: they are what they are translated to, on a real PostgreSQL."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest
from tests import cellar as cellars
from tests import following
from tests.fixtures_service import CommandLine
from tests.integration import test_equals_oracle

from pgcellar.api import records, rendering
from pgcellar.notebook import cells

MYSQL = "-- dialect: mysql\n"
CASES = [
    [
        MYSQL + "create table `t` (`id` int auto_increment primary key, `n` varchar(10), d date,"
        " k int(11) unsigned default 0) engine=InnoDB default charset=utf8mb4;",
        MYSQL + "insert into `t` (`n`, d) values (\"it's\", '2024-02-29'), ('b\\\\c', null);\n"
        "insert ignore into t (id, n) values (1, 'again')",
        "select * from t",
        MYSQL + "select date_format(d, '%Y-%m') as m, ifnull(n, '-') as n, if(k > 0, 'x', 'y') as k"
        " from t order by id limit 1, 5",
        MYSQL + "select count(*), group_concat(n separator ';') from t",
        MYSQL + "select * from nowhere",
        MYSQL + "update t set k = k + 1 where n <=> null; update t set k = 7 / 2",
        "table t",
    ],
    [
        "create table t (a int, b text); insert into t values (1, 'x'), (2, 'yy')",
        "-- dialect: tsql\nselect top 2 [a], len([b]) as l from [t] order by [a] desc",
        "-- dialect: sqlite\nselect ifnull(a, 0) as a, substr(b, 1, 1) as b from t",
        "-- dialect: oracle\ncreate table u as select decode(a, 1, 'one', 'more') as w from t",
        "-- dialect: duckdb\nselect a // 2 as h, list_contains([1, 2], a) as c from t",
        "-- dialect: snowflake\nselect iff(a > 1, 'big', 'small') as s from t",
        "-- dialect: bigquery\nselect safe_divide(a, a - 1) as q from `t`",
        "table u",
    ],
    [
        "\\set n 3\n\\set name 'it''s'",
        MYSQL + "create table t (a int); insert into t values (1), (:n)",
        MYSQL + "select a + :n as a from t where a < :n",
        "\\set n 9",
        MYSQL + "delete from t where a = :n - 6",
        "table t",
    ],
]  # fmt: skip


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


@pytest.mark.parametrize("number", range(len(CASES)))
def test_equals_psql_with_the_translation(
    cellar: cellars.Cellar, oracle: following.Oracle, number: int
) -> None:
    """In order, again, from the bottom up; results and content."""
    sources, key = CASES[number], f"d{number}"
    translated = [cells.parse(source).source for source in sources]
    assert not any(cells.parse(source).refused for source in sources)
    heads = range(len(sources))
    for order in (heads, heads, reversed(heads)):
        for head in order:
            test_equals_oracle.check(cellar, oracle, key, sources, head, run_as=translated)
        cellar.quiet(key)


def test_it_leads_where_its_translation_leads(cellar: cellars.Cellar) -> None:
    """The same states, so hits; and what is shown is not what the other cell showed."""
    ours = ["create table x (a int)", MYSQL + "insert into `x` values (ifnull(null, 2))"]
    theirs = [ours[0], cells.parse(ours[1]).source]
    one = cellar.run(ours, notebook="same")
    other = cellar.run(theirs, notebook="same")
    assert one.head.state == other.head.state
    assert (one.head.source, other.head.source) == ("head", "hit")
    again = cellar.run(ours, notebook="same")
    assert again.head.source == "hit"
    shown = 'Run as PostgreSQL:\nINSERT INTO "x" VALUES (COALESCE(NULL, 2))\n'
    for ran, count in ((one, 1), (other, 0), (again, 1)):
        texts = [event.text for event in ran.events if isinstance(event, records.Text)]
        assert texts == [shown] * count
        assert (ran.head.translated is not None) == bool(count)


def test_warnings_are_shown(cellar: cellars.Cellar) -> None:
    source = MYSQL + "create table w (a int comment 'c') engine=myisam"
    for _ in range(2):
        ran = cellar.run([source], notebook="warn")
        warnings = [e.message for e in ran.events if isinstance(e, records.Notice)]
        assert "Statement 1 (line 2): left out ENGINE=myisam" in warnings
        assert len(warnings) == 2


def test_an_error_shows_the_line_of_what_was_run(cellar: cellars.Cellar) -> None:
    source = MYSQL + "select 1;\nselect `nope` from (select ifnull(1, 2) as yes) as t"
    error = cellar.run([source]).done.error
    assert error is not None
    assert (error.cell, error.sqlstate, error.position) == ("c0", "42703", None)
    assert error.query == cells.parse(source).source
    assert error.query_position is not None
    assert error.query[error.query_position - 1 :].startswith('"nope"')
    shown = rendering.render_error(error, source)
    assert 'LINE 2: SELECT "nope" FROM' in shown
    # In the tail as well.
    below = cellar.run([MYSQL + "insert into `nowhere` values (1)", "select 1"]).done.error
    assert below is not None
    assert (below.cell, below.position) == ("c0", None)
    assert below.query is not None
    assert below.query[(below.query_position or 0) - 1 :].startswith('"nowhere"')


@pytest.mark.parametrize(
    ("source", "message", "at"),
    [
        (MYSQL + "select 1;\nreplace into t values (1)", "Statement 2 (line 3) has", "replace"),
        (MYSQL + "select from from", "Statement 1 (line 2) can't be read as mysql", "select"),
        (MYSQL + "show tables", "has no counterpart in PostgreSQL", "show"),
        (MYSQL + "\\d t", "The meta-command \\d in line 2 can't stand", "\\d"),
        ("-- dialect: mysqll\nselect 1", 'The dialect "mysqll" is not known.', "--"),
        (MYSQL + "select 'a", "can't be read as mysql", "--"),
        (MYSQL + "create database d", "reaches beyond this notebook's database", None),
    ],
)  # fmt: skip
def test_what_has_no_counterpart(
    cellar: cellars.Cellar, source: str, message: str, at: str | None
) -> None:
    """Named with its cell and place, as head and in the tail, and nothing of it is run."""
    for sources in ([source], ["create table t (a int)", source, "select 1"]):
        error = cellar.run(sources, notebook="refused").done.error
        assert error is not None
        assert message in error.message
        assert (error.cell, error.sqlstate) == (f"c{sources.index(source)}", "PC008")
        assert error.hint
        assert error.position == (None if at is None else source.index(at) + 1)


def test_the_command_line(fresh_cli: CommandLine) -> None:
    """A tag tells the dialect; what was run is shown, in the outputs and in JSON."""
    sources = ["create table t (a int)", "insert into `t` values (:n)", "select `b` from t"]
    path = fresh_cli.notebook(sources)
    content = json.loads(path.read_text())
    for cell in content["cells"][1:]:
        cell["metadata"]["tags"] = ["dialect:mysql"]
    # Without a cell tagged `parameters` they are set above the first.
    path.write_text(json.dumps(content))
    ran = fresh_cli("run", str(path), "-P", "n=3")
    assert 'Run as PostgreSQL:\nINSERT INTO "t" VALUES (:n)\n' in ran.stdout
    assert 'LINE 1: SELECT "b" FROM t' in ran.stderr
    assert "in cell c3" in ran.stderr
    assert ran.returncode == 1
    done = json.loads(fresh_cli("run", str(path), "-P", "n=3", "--json").stdout)
    assert [cell["translated"] for cell in done["cells"]] == [
        None, 'INSERT INTO "t" VALUES (:n)', 'SELECT "b" FROM t',
    ]  # fmt: skip
    graph = fresh_cli.json("plan", str(path), "--graph")["graph"]
    assert graph["cells"][2]["reads"] == ["t"]
    content["cells"][1]["metadata"]["tags"] = ["dialect:mysq"]
    path.write_text(json.dumps(content))
    wrong = fresh_cli("run", str(path))
    assert "Did you mean mysql" in wrong.stderr
    assert "in cell c2" in wrong.stderr
    assert "Traceback" not in wrong.stderr
