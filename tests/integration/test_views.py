"""Results sorted and filtered: as psql gives them, whatever values there are, and nothing else."""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from tests import cellar as cellars
from tests import oracle as oracles

from pgcellar.api import errors, records

pytestmark = pytest.mark.timeout(900)

#: Nulls, empty strings, quotes, backslashes, variables of psql, wildcards, types of one's own.
ODD = """
create type mood as enum ('sad', 'happy');
create table odd as
select g as id, nullif(g % 3, 0) as n,
  case g % 6 when 0 then '' when 1 then e'a\\tb\\nc"\\\\' when 2 then 'it''s :n %_x'
    when 3 then '50%' else 'ä€𝄞 $1' end as "s;--""x",
  decode(md5(g::text), 'hex') as b, array[g, null, g % 5] as a,
  (case when g % 2 = 0 then 'happy' else 'sad' end)::mood as m,
  (g % 50) * 1.5 as d, date '2026-01-01' + g % 40 as day, null::text as z
from generate_series(1, 500) g"""
#: Two columns of one name.
QUERY = """select id, n, "s;--""x", b, a, m as "id", d, day, z from odd -- all of it"""
#: The same with names that psql can be asked by.
NAMED = "(select * from odd) as r (c0, c1, c2, c3, c4, c5, c6, c7, c8)"
SQL = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
HOSTILE = (
    "'; drop table odd; --",
    "\\'; drop table odd; --",
    "\\",
    ":n :'n' :\"n\" :{?n}",
    "x\n\\d odd\n",
    "x\n\\! id",
    "$$ || pg_sleep(9) || $$",
    "%",
    "_",
    "') or (1=1",
    "/* */ -- \\g",
    "\u202e\u0001\U0001f4a9",
    "now",
    "the user of pg_class, current_date",
    "<img src=x onerror=alert(1)>",
)


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


def order(column: int, descending: bool = False, nulls: Any = None) -> records.Order:
    """Sort by a column."""
    return records.Order(column=column, descending=descending, nulls=nulls)


def condition(column: int, operator: Any, value: str | None = None) -> records.Filter:
    """Compare a column."""
    return records.Filter(column=column, operator=operator, value=value)


def quoted(value: str) -> str:
    """A text as a literal, in another way than ours."""
    body = value.replace("\\", "\\\\").replace("'", "''")
    return f"e'{body}'"


def sql(terms: Sequence[records.Order], conditions: Sequence[records.Filter]) -> str:
    """What a person would write."""
    tests = []
    for wanted in conditions:
        column = f"c{wanted.column}"
        if wanted.value is None:
            tests.append(f"{column} is {'not ' * (wanted.operator == 'not_null')}null")
        elif wanted.operator == "contains":
            tests.append(f"strpos(lower({column}::text), lower({quoted(wanted.value)})) > 0")
        else:
            tests.append(f"{column} {SQL[wanted.operator]} {quoted(wanted.value)}")
    by = [
        f"c{wanted.column} {'desc' if wanted.descending else 'asc'}"
        + (f" nulls {wanted.nulls}" if wanted.nulls else "")
        for wanted in terms
    ]
    text = f"select * from {NAMED}"
    if tests:
        text += f" where {' and '.join(tests)}"
    return text + (f" order by {', '.join(by)}" if by else "")


VALUES = {
    0: ("250", "0", "501"),
    1: ("1", "2"),
    2: ("", "it", "IT'S :N", "50%", "%", "_", "\\", "a\tb\nc", "𝄞", '"'),
    4: ("{1,NULL,1}",),
    5: ("happy", "sad"),
    6: ("3", "1.5", "-1"),
    7: ("2026-01-15",),
}
CONDITIONS = st.one_of(
    st.sampled_from([*VALUES]).flatmap(
        lambda column: st.builds(
            condition, st.just(column), st.sampled_from([*SQL]), st.sampled_from(VALUES[column])
        )
    ),
    st.builds(
        condition,
        st.integers(0, 8),
        st.just("contains"),
        st.sampled_from([*VALUES[2], "1", "happ", "{"]),
    ),
    st.builds(condition, st.integers(0, 8), st.sampled_from(["null", "not_null"])),
)
TERMS = st.builds(order, st.integers(0, 8), st.booleans(), st.sampled_from([None, "first", "last"]))


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(terms=st.lists(TERMS, max_size=3), conditions=st.lists(CONDITIONS, max_size=3))
def test_a_view_is_what_psql_gives(
    cellar: cellars.Cellar,
    oracle: oracles.Oracle,
    terms: list[records.Order],
    conditions: list[records.Filter],
) -> None:
    """The rows in their order, with the columns' own names."""
    # Without a last word, rows that compare equal come in any order.
    terms = [*terms, order(0)]
    page = cellar.page([ODD, QUERY], order=tuple(terms), filters=tuple(conditions))
    expected = oracle.evaluate([ODD, sql(terms, conditions)]).cells[1]
    assert expected.ok
    assert list(page.rows) == list(expected.results[0].rows)
    assert page.row_count == len(page.rows)
    assert [column.name for column in page.columns][:3] == ["id", "n", 's;--"x']
    assert page.columns[5] == records.Column(name="id", type="mood")


def test_filters_alone_leave_the_rows(cellar: cellars.Cellar, oracle: oracles.Oracle) -> None:
    page = cellar.page([ODD, QUERY], filters=(condition(1, "null"),))
    expected = oracle.evaluate([ODD, sql((), (condition(1, "null"),))]).cells[1].results[0]
    assert collections.Counter(page.rows) == collections.Counter(expected.rows)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_never_anything_but_a_value(cellar: cellars.Cellar, value: str) -> None:
    """It finds the row that holds it, by every operator on texts, under either kind of strings."""
    for setting in ("on", "off"):
        cells = [
            f"set standard_conforming_strings = {setting}; set escape_string_warning = off",
            "create table held (t text)",
            f"insert into held values ({quoted(value)}), ('other'), (null)",
            "select t, 1 as n from held",
        ]
        for operator in ("eq", "contains", "le", "ge"):
            filters = (condition(0, operator, value),)
            page = cellar.page(cells, notebook="hostile", filters=filters)
            assert (value, "1") in page.rows, operator
        page = cellar.page(cells, notebook="hostile", filters=(condition(0, "eq", value),))
        assert page.rows == ((value, "1"),)
        page = cellar.page(cells, notebook="hostile", filters=(condition(0, "contains", value),))
        assert page.rows == ((value, "1"),)


@pytest.mark.parametrize(
    "query",
    [
        "with x as (values (2, 'b'), (1, 'a')) select * from x",
        "values (2, 'b'), (1, 'a')",
        "select 2, 'b' union all select 1, 'a' -- )",
        "(select 2, 'b') union all (select 1, 'a') /* ; */ ;",
        "select 7; select 2, 'b' union select 1, 'a' order by 1 desc; select 8",
        "table two",
        "-- dialect: mysql\nselect `a`, `b` from two",
        "select distinct on (a) * from two order by a desc limit 5",
    ],
)
def test_whatever_query_it_is(cellar: cellars.Cellar, query: str) -> None:
    """In its place among the others of its cell."""
    cells = ["create table two as select 2 as a, 'b' as b union all select 1, 'a'", query]
    statement = 1 if query.startswith("select 7") else 0
    page = cellar.page(cells, notebook="forms", statement=statement, order=(order(0),))
    assert page.rows == (("1", "a"), ("2", "b"))
    page = cellar.page(
        cells, notebook="forms", statement=statement, filters=(condition(0, "gt", "1"),)
    )
    assert page.rows == (("2", "b"),)


@pytest.mark.parametrize(
    ("above", "query"),
    [
        (
            "\\set n 2\n\\set held '\\'; drop table two; -- :n'",
            "select :n, :'held' from two where a < 2",
        ),
        ("\\set held 'select :n, :''t'' from two where a < 2'\n\\set n 2\n\\set t :held", ":held"),
        ("select 2 as n, ':n' as t \\gset", "select :n, :'t' from two where a < :n;"),
        ("select 1", "-- @param n: number = 2\n-- @param t: text = b\nselect :n, :'t' from two"),
    ],
)
def test_a_cell_with_variables_is_sorted_and_filtered(
    cellar: cellars.Cellar, above: str, query: str
) -> None:
    """By what it is with their values, which are put in once."""
    cells = ["create table two as select 2 as a, 'b' as b union all select 1, 'a'", above, query]
    more: dict[str, Any] = {"notebook": "variables"}
    plain = cellar.page(cells, **more)
    assert plain.rows
    page = cellar.page(cells, order=(order(1, descending=True),), **more)
    assert page.rows == plain.rows
    assert page.columns == plain.columns
    value = plain.rows[0][1]
    assert cellar.page(cells, filters=(condition(1, "eq", value),), **more).rows == plain.rows
    assert cellar.page(cells, filters=(condition(1, "ne", value),), **more).rows == ()
    assert cellar.page(cells, filters=(condition(1, "eq", "stdin :n"),), **more).rows == ()


def test_pages_of_a_view_fit_together(cellar: cellars.Cellar) -> None:
    """From one execution, anywhere in it; the state is that of the head."""
    cells = ["create table t as select g from generate_series(1, 20000) g", "select g from t"]
    more: dict[str, Any] = {"notebook": "long", "order": (order(0, descending=True),)}
    first = cellar.page(cells, limit=3, **more)
    last = cellar.page(cells, offset=19_997, limit=10, **more)
    assert first.rows == (("20000",), ("19999",), ("19998",))
    assert last.rows == (("3",), ("2",), ("1",))
    assert (first.execution, first.row_count) == (last.execution, 20_000)
    assert first.state == cellar.run(cells, notebook="long").head.state
    filtered = cellar.page(cells, notebook="long", filters=(condition(0, "le", "7"),))
    assert (filtered.row_count, filtered.complete) == (7, True)


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["create table w (a int); select 1"], "does more than read"),
        (["select now()"], "decided"),
        (["show work_mem"], "decided"),
        (["explain select 1"], "Only what a query|decided"),
        (["select g from generate_series(1, 3) g; select random()"], "decided"),
    ],
)
def test_what_has_no_pages_has_no_views(
    cellar: cellars.Cellar, cells: Sequence[str], says: str
) -> None:
    """Also where another statement of the cell is the reason."""
    with pytest.raises(errors.NoPages, match=says):
        cellar.page(cells, notebook="none", order=(order(0),))


def test_what_can_not_be_compared_says_so(cellar: cellars.Cellar) -> None:
    """By what PostgreSQL says of it; the notebook goes on."""
    cells = ["""select 1 as a, '{"a": 1}'::json as j"""]
    for more, says in (
        ({"order": (order(1),)}, "ordering operator for type json"),
        ({"filters": (condition(0, "eq", "abc"),)}, "invalid input syntax for type integer"),
        ({"filters": (condition(1, "eq", "{}"),)}, "operator does not exist"),
        ({"filters": (condition(0, "lt", "9" * 30),)}, "out of range"),
    ):
        with pytest.raises(errors.NoPages, match=says) as caught:
            cellar.page(cells, notebook="compare", **more)
        assert "can't be sorted and filtered so" in str(caught.value)
    days = ["create table days (d date)", "select d from days"]
    for value in ("now", '"n"ow', "yesterday"):
        with pytest.raises(errors.NoPages, match="as the clock"):
            cellar.page(days, notebook="days", filters=(condition(0, "gt", value),))
    page = cellar.page(cells, notebook="compare", filters=(condition(1, "contains", '"A"'),))
    assert page.row_count == 1


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"order": (order(1),)}, "Column 1 is asked for, but the result has 1"),
        ({"order": (order(-1),)}, "Column -1"),
        ({"filters": (condition(5, "null"),)}, "Column 5"),
        ({"filters": (condition(0, "like", "x"),)}, "operator"),
        ({"filters": (condition(0, "= 1 or 1 =", "x"),)}, "operator"),
        ({"filters": (condition(0, "eq"),)}, "`value`"),
        ({"filters": (condition(0, "eq", "a\0b"),)}, "`value`"),
        ({"filters": (condition(0, "eq", "\ud800"),)}, "`value`"),
        ({"filters": (condition(0, "eq", "x" * 10_001),)}, "`value`"),
        ({"order": (order(0),) * 33}, "32"),
        ({"order": (order("0; drop table t"),)}, "`column`"),  # type: ignore[arg-type]
        ({"order": (order(True),)}, "`column`"),
        ({"order": (order(0, "desc; --"),)}, "`column`"),  # type: ignore[arg-type]
        ({"order": (order(0, nulls="first; --"),)}, "`column`"),
        ({"order": "g desc"}, "arrays"),
        ({"filters": ("g = 1",)}, "`filters`"),
    ],
)
def test_what_makes_no_sense_is_refused(
    cellar: cellars.Cellar, more: dict[str, Any], says: str
) -> None:
    """Before anything runs, or where the result is known."""
    with pytest.raises(errors.BadRequest, match=says):
        cellar.page(["select g from generate_series(1, 3) g"], notebook="bad", **more)
