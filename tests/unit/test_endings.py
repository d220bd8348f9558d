"""The arguments of \\explain and \\chart, and what becomes of the query before them."""

from __future__ import annotations

import pytest

from pgcellar.notebook import cells, psqlscan, scripts, showing


def steps(source: str) -> list[cells.Step]:
    """All steps of a cell."""

    def none(name: str) -> psqlscan.Problem:
        return psqlscan.Problem(message=name, hint="", start=0)

    script = scripts.Script(cells.parse(source), (), none)
    found = []
    while (step := script.next()) is not None:
        found.append(step)
    return found


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("select 1 \\explain", "EXPLAIN (FORMAT JSON) select 1 "),
        ("select 1\n\\explain analyze", "EXPLAIN (FORMAT JSON, ANALYZE) select 1"),
        ("select 1 \\explain verbose;", "EXPLAIN (FORMAT JSON, VERBOSE) select 1 "),
        (
            "select 1 \\explain (ANALYZE, timing off, buffers=on)",
            "EXPLAIN (FORMAT JSON, ANALYZE, TIMING off, BUFFERS on) select 1 ",
        ),
        ("select 1 \\explain serialize text", "EXPLAIN (FORMAT JSON, SERIALIZE text) select 1 "),
        ("\\set o analyze\nselect 1 \\explain :o", "EXPLAIN (FORMAT JSON, ANALYZE) select 1 "),
        ("\\set q 'table t'\n:q \\explain", "EXPLAIN (FORMAT JSON) table t "),
    ],
)
def test_what_is_sent(source: str, sent: str) -> None:
    (step,) = steps(source)
    assert step.effect.refusal is None
    assert step.statement.text == sent
    assert isinstance(step.shown, showing.Explain)


def test_an_empty_buffer_explains_the_query_before() -> None:
    first, second, third = steps("select 1;\n\\explain\n\\explain analyze")
    assert first.shown is None
    assert second.statement.text == "EXPLAIN (FORMAT JSON) select 1"
    assert third.statement.text == "EXPLAIN (FORMAT JSON, ANALYZE) select 1"
    assert third.shown == showing.Explain(query="select 1", options=("ANALYZE",))


@pytest.mark.parametrize(
    "query",
    [
        *("select 1", "insert into t values (1)", "delete from t returning nextval('s')"),
        *("create table u as select 1", "execute p", "select set_config('a.b', 'c', false)"),
        *("select * from t for update", "declare c cursor for select 1", "select random()"),
        "with x as (insert into t values (1) returning *) select * from x",
    ],
)
@pytest.mark.parametrize("options", ["", "analyze", "verbose, analyze off"])
def test_it_is_the_statement_that_it_runs(query: str, options: str) -> None:
    """So its effect is, and so the state is that it leads to."""
    (step,) = steps(f"{query} \\explain {options}")
    (same,) = cells.parse(step.statement.text).steps
    assert step.effect == same.effect
    assert step.statement.canonical == same.statement.canonical


def test_positions_are_those_of_the_cell() -> None:
    (step,) = steps("  select nope \\explain")
    assert step.origin is not None
    at = step.statement.text.index("nope")
    assert step.origin.source_offset(at) == 9
    assert step.origin.source_offset(3) is None


def test_a_chart_leaves_its_query_as_it_is() -> None:
    (step,) = steps("select a, b from t\n\\chart bar x=a y=b")
    (same,) = cells.parse("select a, b from t").steps
    assert step.effect == same.effect
    assert step.statement.canonical == same.statement.canonical
    _, again = steps("select a from t;\n\\chart point")
    assert (again.statement.text, again.shown) == ("select a from t", showing.Chart(kind="point"))


@pytest.mark.parametrize(
    ("arguments", "chart"),
    [
        ("bar", showing.Chart(kind="bar")),
        ("BAR X=a", showing.Chart(kind="bar", x="a")),
        ("line x=a y=b,c;", showing.Chart(kind="line", x="a", y=("b", "c"))),
        ("line y=b y=c", showing.Chart(kind="line", y=("b", "c"))),
        ("point color=c y=b", showing.Chart(kind="point", y=("b",), color="c")),
        (
            'pie x="Odd, ""name""" y=n title=\'It\'\'s; y=1\'',
            showing.Chart(kind="pie", x='Odd, "name"', y=("n",), title="It's; y=1"),
        ),
        ("histogram x=Größe", showing.Chart(kind="histogram", x="Größe")),
        ("bar y=", showing.Chart(kind="bar")),
    ],
)
def test_settings_of_charts(arguments: str, chart: showing.Chart) -> None:
    (step,) = steps(f"select 1 \\chart {arguments}")
    assert step.effect.refusal is None
    assert step.shown == chart


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("\\explain", "\\explain has no query before it.", "end of a query"),
        ("-- nothing\n\\chart bar", "\\chart has no query before it.", "end of a query"),
        ("select 1 \\chart", "does not name its kind", "area, bar"),
        ("select 1 \\chart bra x=a", '"bra" is no kind', "area, bar"),
        ("select 1 \\chart bar a", '"a" is no setting', "x=COLUMN"),
        ("select 1 \\chart bar size=a", '"size=a" is no setting', "x=COLUMN"),
        ("select 1 \\chart bar x=a,b", "one x", "x=COLUMN"),
        ("select 1 \\chart bar y=a,b color=c", "several columns as y", "colors"),
        ("select 1 \\explain foo", '"foo" is no option', "analyze, buffers"),
        ("select 1 \\explain on", '"on" is no option', "analyze"),
        ("select 1 \\explain format xml", "takes no format", "EXPLAIN (FORMAT …)"),
        ("select 1 \\explain analyze) select 2 --", '"select" is no option', "analyze"),
        ("select 1\\; select 2 \\explain", "one by one", "semicolon"),
    ],
)
def test_what_is_refused(source: str, message: str, hint: str) -> None:
    step = steps(source)[-1]
    assert message in (step.effect.refusal or "")
    assert hint in (step.effect.hint or "")
    assert step.statement.text == ""
