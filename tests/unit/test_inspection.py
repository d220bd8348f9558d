"""pgcellar_kernel.inspection: the syntax of the command at the cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar_kernel import inspection, sheets
from pgcellar_kernel.language import catalog, definitions


@pytest.mark.parametrize(
    ("code", "begins"),
    [
        ("sel|ect 1", "[ WITH"),
        ("|select 1", "[ WITH"),
        ("select| 1", "[ WITH"),
        ("create table| t (a int)", "CREATE [ [ GLOBAL"),
        ("cre|ate table t (a int)", "CREATE [ [ GLOBAL"),
        ("create temp table| t (a int)", "CREATE [ [ GLOBAL"),
        ("create unlogged\n  tab|le t (a int)", "CREATE [ [ GLOBAL"),
        ("create unique ind|ex on t (a)", "CREATE [ UNIQUE ] INDEX"),
        ("create or replace func|tion f()", "CREATE [ OR REPLACE ] FUNCTION"),
        ("create materialized vi|ew v as select 1", "CREATE MATERIALIZED VIEW"),
        ("create table t as sel|ect 1", "[ WITH"),
        ("create operator cl|ass c", "CREATE OPERATOR CLASS"),
        ("create text search diction|ary d", "CREATE TEXT SEARCH DICTIONARY"),
        ("drop table a; vac|uum", "VACUUM"),
        ("insert in|to t values (1)", "[ WITH [ RECURSIVE ] with_query [, ...] ]\nINSERT"),
        ("delete fr|om t", "[ WITH [ RECURSIVE ] with_query [, ...] ]\nDELETE"),
    ],
)
def test_the_syntax_of_a_command(code: str, begins: str) -> None:
    found = inspection.syntax(code.replace("|", ""), code.index("|"))
    assert found is not None
    assert found.startswith(begins), found


@pytest.mark.parametrize(
    "code",
    [
        "",
        "|",
        "select 1 from fli|ghts",
        "create; tab|le",
        "1 + 1|",
        "é|",
        "select up|date_time",
        'select "sel|ect"',
    ],
)
def test_what_is_no_command(code: str) -> None:
    assert inspection.syntax(code.replace("|", ""), max(code.find("|"), 0)) is None


@given(st.text(), st.integers(0, 100))
def test_nothing_escapes(code: str, cursor: int) -> None:
    inspection.syntax(code, cursor)


def test_a_long_cell_is_not_looked_through() -> None:
    code = "x" * 10_000_000 + " vacuum " + "y" * 10_000_000
    assert inspection.syntax(code, 10_000_003) == inspection.syntax("vacuum", 3)


KNOWN = definitions.over(
    catalog.of_names(None, catalog.words(None)),
    [
        """create table orders (id int primary key, total numeric(10, 2) not null,
           customer_id int references customers (id));
           create view v as select id, total as amount from orders;
           create type mood as enum ('good', 'bad');
           create function tax(amount numeric) returns numeric language sql as 'select 1';
           create table "<b>" ("<i>" int);"""
    ],
)


def seen(code: str) -> str:
    """The text of what is told at the mark `|`."""
    cursor = code.index("|")
    found = inspection.inspect(code.replace("|", "", 1), cursor, KNOWN)
    return found.get("text/plain", "")


@pytest.mark.parametrize(
    ("code", "begins"),
    [
        ("select * from ord|ers", "public.orders: table\n\ncolumn"),
        ("select * from orders|", "public.orders: table"),
        ("select * from v|", "public.v: view"),
        ("select to|tal from orders", "total: column of public.orders\nnumeric(10, 2), not null"),
        ("select o.to|tal from orders o", "total: column of public.orders"),
        ("select o|.total from orders o", "public.orders: table"),
        ("select am|ount from v", "amount: column of public.v\nnumeric(10, 2)"),
        ("select x.a| from (select 1::int as a) x", "a: column of x\nint"),
        ("with c as (select id from orders) select * from c|", "c: cte\n\ncolumn  type"),
        ("select ta|x(1)", "public.tax: function\n\ntax(amount numeric) → numeric"),
        ("select tax(|", "public.tax: function"),
        ("select 'a'::mo|od", "public.mood: enum\ngood, bad"),
        ("update orders set tot|al = 1", "total: column of public.orders"),
        ("insert into orders (cust|omer_id) values (1)", "customer_id: column of public.orders"),
        ("select orders.id| ", "id: column of public.orders"),
        ("select pub|lic.tax(1)", "public: schema"),
        ("create table made (k int); select k| from made", "k: column of public.made"),
        ("sel|ect 1", "[ WITH"),
        ("\\d|t", "\\dt: list tables"),
    ],
)
def test_what_a_name_is(code: str, begins: str) -> None:
    assert seen(code).startswith(begins), seen(code)


@pytest.mark.parametrize(
    "code", ["select 'orders|'", "-- orders|", "select 1 + |1", "|", "nothing|"]
)
def test_nothing_is_told_of_what_is_no_name(code: str) -> None:
    assert seen(code) == ""


def test_keys_are_told() -> None:
    found = seen("select * from orders|")
    assert 'FOREIGN KEY ("customer_id") REFERENCES "customers"("id")' in found
    assert 'PRIMARY KEY ("id")' in seen("select id| from orders")


def test_what_a_name_holds_is_no_markup() -> None:
    code = 'select * from "<b>"'
    found = inspection.inspect(code, len(code) - 1, KNOWN)
    assert "&lt;b&gt;: table" in found["text/html"]
    assert "<td>&lt;i&gt;</td>" in found["text/html"]
    assert "<b>:" not in found["text/html"]


def test_a_sheet_is_bounded() -> None:
    rows = tuple((f"c{number}", "x" * 1000) for number in range(5000))
    found = sheets.Sheet(title="t", header=("column", "type"), rows=rows)
    assert "… and 4800 more" in found.text()
    assert len(found.html()) < 200_000


@given(st.text(max_size=60), st.integers(-3, 80))
def test_any_text_and_cursor_can_be_inspected(code: str, cursor: int) -> None:
    assert isinstance(inspection.inspect(code, cursor, KNOWN), dict)
