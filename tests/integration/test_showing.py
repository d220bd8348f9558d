"""\\explain and \\chart with a real server: what they do is what their statements do, no more."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest
from tests import cellar as cellars
from tests import following
from tests.integration import test_equals_oracle

from pgcellar.api import charts, gathering, records, rendering
from pgcellar.api.plans import bundles

EVIL = "</td><script>alert(1)</script>"
TABLE = (
    "create table t (a int, b text);"
    " insert into t select i, 'b' || i % 3 from generate_series(1, 9) i"
)
FUNCTION = (
    "create function f() returns int language sql as $$ insert into t values (0); select 1 $$"
)


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


#: Cells with our commands, and what psql is to run in their place.
NOTEBOOKS = [
    [
        (TABLE, TABLE),
        ("select * from t \\explain", "explain (format json) select * from t"),
        ("insert into t values (10) \\explain", "explain (format json) insert into t values (10)"),
        ("select count(*) from t", None),
        (
            "insert into t values (10, 'x') returning a \\explain analyze",
            "explain (format json, analyze) insert into t values (10, 'x') returning a",
        ),
        ("select count(*), max(a) from t", None),
        (
            "delete from t where a < 3\n\\explain (analyze, timing off)\nselect count(*) from t",
            "explain (format json, analyze, timing off) delete from t where a < 3;"
            "select count(*) from t",
        ),
        ("select count(*), min(a) from t", None),
    ],
    [
        (f"{TABLE}; create sequence s", None),
        (FUNCTION, None),
        ("select f() \\explain", "explain (format json) select f()"),
        ("select count(*) from t", None),
        ("select f() \\explain analyze", "explain (format json, analyze) select f()"),
        ("select count(*) from t", None),
        (
            "select nextval('s') \\explain analyze",
            "explain (format json, analyze) select nextval('s')",
        ),
        ("select nextval('s')", None),
    ],
    [
        (f"{TABLE}; create sequence s", None),
        (
            "insert into t values (11);\n\\explain analyze",
            "insert into t values (11); explain (format json, analyze) insert into t values (11)",
        ),
        ("select count(*) from t", None),
        ("select max(a) from t;\n\\chart histogram", "select max(a) from t; select max(a) from t"),
        (
            "insert into t values (12) returning a \\chart histogram",
            "insert into t values (12) returning a",
        ),
        ("select count(*) from t", None),
        (
            "select setval('s', 7);\n\\chart histogram",
            "select setval('s', 7); select setval('s', 7)",
        ),
        (
            "begin; insert into t values (14) \\explain analyze",
            "begin; explain (format json, analyze) insert into t values (14)",
        ),
        ("select count(*) from t; rollback", None),
        ("select count(*) from t", None),
    ],
]


@pytest.mark.parametrize("number", range(len(NOTEBOOKS)))
def test_equals_psql_with_the_statement(
    cellar: cellars.Cellar, oracle: following.Oracle, number: int
) -> None:
    """Results and content of the cells between, in order, again, and the last one alone."""
    cells = [ours for ours, _ in NOTEBOOKS[number]]
    instead = [theirs or ours for ours, theirs in NOTEBOOKS[number]]
    heads = [i for i, cell in enumerate(cells) if "\\explain" not in cell]
    for order in (range(len(cells)), heads, [len(cells) - 1], reversed(heads)):
        for head in order:
            if head in heads:
                key = f"o{number}"
                test_equals_oracle.check(cellar, oracle, key, cells, head, run_as=instead)
            else:
                cellar.run(cells, head, notebook=f"o{number}")
    test_equals_oracle.check(
        cellar, oracle, f"o{number} again", cells, len(cells) - 1, run_as=instead
    )


@pytest.mark.parametrize("query", ["insert into t values (1, 'x')", "select a from t"])
@pytest.mark.parametrize("options", ["", ", ANALYZE"])
def test_state_and_effect_are_those_of_the_statement(
    cellar: cellars.Cellar, query: str, options: str
) -> None:
    statement = f"EXPLAIN (FORMAT JSON{options}) {query}"
    asked = f"{query} \\explain {options.strip(', ')}"
    before = cellar.run([TABLE], notebook="s").head
    one = cellar.run([TABLE, asked], notebook="s")
    other = cellar.run([TABLE, statement], notebook="s")
    assert (one.head.state, one.head.effect) == (other.head.state, other.head.effect)
    assert (one.head.state == before.state) == (one.head.effect == "read")
    assert one.head.effect == ("write" if options and "insert" in query else "read")
    # What was remembered of the one is not given for the other.
    assert [bundles.MIME in rendering.mime_bundle(r.results[0]) for r in (one, other)] == [
        True,
        False,
    ]


def test_a_plan_of_a_read_leaves_no_trace_and_is_not_remembered(cellar: cellars.Cellar) -> None:
    cells = [TABLE, "select * from t \\explain analyze"]
    first, second = (cellar.run(cells, notebook="r") for _ in range(2))
    state = cellar.run([TABLE], notebook="r").head.state
    assert (first.head.state, first.head.source) == (state, "head")
    assert (second.head.state, second.head.source) == (state, "head")


def test_what_is_sent_is_a_table_to_who_knows_no_plans(cellar: cellars.Cellar) -> None:
    ran = cellar.run([TABLE, "select a from t where a > 3 \\explain analyze buffers"])
    kinds = [type(event) for event in ran.events if isinstance(event, records.Event)]
    assert kinds[-4:] == [records.Columns, records.Rows, records.Completed, records.Done]
    completed = ran.events[-2]
    assert isinstance(completed, records.Completed)
    assert completed.explain is not None
    assert completed.explain.query == "select a from t where a > 3"
    assert completed.explain.options == ("ANALYZE", "BUFFERS")
    assert records.decode(records.encode(completed)) == completed
    (result,) = ran.results
    assert [column.name for column in result.columns] == ["QUERY PLAN"]
    assert json.loads(result.rows[0][0] or "")[0]["Plan"]["Node Type"] == "Seq Scan"
    plan = rendering.mime_bundle(result)[bundles.MIME]["plan"]
    assert plan["root"]["rows_removed"] == 3
    assert plan["root"]["total_rows"] == 6


@pytest.mark.parametrize(
    ("cell", "position"),
    [("select nope from t \\explain", 8), ("\n  select 1 from nope\n\\explain analyze", 18)],
)
def test_errors_are_at_their_place(cellar: cellars.Cellar, cell: str, position: int) -> None:
    error = cellar.run([TABLE, cell]).done.error
    assert error is not None
    assert error.position == position


def test_an_option_that_this_server_does_not_know(cellar: cellars.Cellar) -> None:
    error = cellar.run([TABLE, "select 1 \\explain timing"]).done.error
    assert error is not None
    assert "TIMING" in error.message
    assert error.position is None


def test_a_chart(cellar: cellars.Cellar) -> None:
    query = "select b, count(*) as n from t group by b order by b"
    ran = cellar.run([TABLE, f"{query} \\chart bar x=b y=n title='Per b'"])
    (result,) = ran.results
    bundle = rendering.mime_bundle(result)
    assert bundle[charts.MIME]["data"]["values"] == [
        {"x": "b0", "y": 3},
        {"x": "b1", "y": 3},
        {"x": "b2", "y": 3},
    ]
    assert bundle["text/plain"].splitlines()[2] == " b0 | 3"
    assert ran.head.state == cellar.run([TABLE]).head.state


def test_a_chart_has_more_rows_than_a_table(cellar: cellars.Cellar) -> None:
    query = "select i as x, i % 7 as y from generate_series(1, 6000) i \\chart line"
    (result,) = cellar.run([query]).results
    assert (len(result.rows), result.row_count, result.truncated) == (5000, 6000, True)
    drawn = rendering.mime_bundle(result)[charts.MIME]
    assert drawn["title"]["subtitle"] == "The first 5,000 of 6,000 rows"
    (few,) = cellar.run([query], max_rows=10).results
    assert len(few.rows) == 10


def test_what_can_not_be_drawn_has_an_error_and_its_state(cellar: cellars.Cellar) -> None:
    """It is shown as a table; the cell goes on, and the cells below it, too."""
    cells = [
        TABLE,
        "insert into t values (10) returning a \\chart bar x=nosuch\nselect count(*) from t",
    ]
    ran = cellar.run(cells, notebook="c")
    error = ran.done.error
    assert error is not None
    assert error.message == 'There is no column "nosuch" in the result.'
    assert error.hint == "There are: a (integer)."
    assert error.position == cells[1].index("\\chart") + 1
    assert [result.rows for result in ran.results] == [(("10",),), (("10",),)]
    plain = cells[1].replace(" \\chart bar x=nosuch", ";")
    assert ran.head.state == cellar.run([TABLE, plain], notebook="c").head.state
    below = cellar.run([*cells, "select max(a) from t"], notebook="c")
    assert below.done.error is None
    assert below.results[0].rows == (("10",),)


def test_names_and_values_are_no_markup(cellar: cellars.Cellar) -> None:
    name = '"' + EVIL.replace('"', '""')[:60] + '"'
    cells = [
        f"create table {name} ({name} text); insert into {name} values ('{EVIL}')",
        f"select {name} as {name} from {name} where {name} <> '{EVIL}' \\explain verbose",
    ]
    ran = cellar.run(cells)
    assert ran.done.error is None
    shown = rendering.mime_bundle(ran.results[0])["text/html"]
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_what_run_prints(cellar: cellars.Cellar) -> None:
    cells = [records.Cell(id="a", source="select 1 as a, 2 as b \\chart bar")]
    ran = cellar.run([cells[0].source])
    gathered = gathering.NotebookRun(cells)
    for event in ran.events:
        gathered.take(event)
    (result,) = gathered.to_json()["cells"][0]["results"]
    assert result["rows"] == [["1", "2"]]
    assert result["chart"]["mark"] == {"type": "bar"}
    assert "plan" not in result


def test_both_are_listed(cellar: cellars.Cellar) -> None:
    listed = [row[0] for row in cellar.run(["\\?"]).results[0].rows]
    assert "\\explain [OPTION …]" in listed
    assert "\\chart KIND x=COLUMN y=COLUMN" in listed
