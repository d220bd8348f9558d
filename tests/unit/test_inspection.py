"""pgcellar_kernel.inspection: the syntax of the command at the cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar_kernel import inspection


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
