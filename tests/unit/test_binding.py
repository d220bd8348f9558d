"""pgcellar.notebook.binding: cells with their variables put in."""

from __future__ import annotations

import pytest

from pgcellar.notebook import binding, cells, psqlscan, scripts

FILES = {"a.sql": "select :n"}


def include(name: str) -> str | psqlscan.Problem:
    """A folder with one file."""
    return FILES.get(name, psqlscan.Problem(message=f"{name} is not there.", hint="", start=0))


def texts(source: str, **variables: str) -> list[str] | None:
    """What a cell does."""
    return binding.texts(cells.parse(source), tuple(sorted(variables.items())), include)


def bound(source: str, **variables: str) -> cells.ParsedCell:
    """The cell with variables put in."""
    return binding.bound(cells.parse(source), tuple(sorted(variables.items())))


@pytest.mark.parametrize(
    "source",
    [
        "select :n",
        "-- @param n: slider(1, 9) = 5\nselect :n",
        "\\set n 5\nselect :n",
        "select :n \\gx",
        "select :n \\chart bar",
        "\\echo :n",
        "\\i a.sql",
        "\\if :n\nselect 1\n\\else\nselect 2\n\\endif",
        "\\d t:n",
        "\\set a ':' n\nselect :a",
        "select :via",
        "copy t from stdin;\n1\n\\.\nselect :n",
    ],
)
def test_a_variable_that_nothing_names_has_no_part(source: str) -> None:
    """One that is named has: also by another's value, and by one that is put together."""
    given = {"n": "1", "via": ":n"}
    assert texts(source, **given) == texts(source, **given, other="1")
    assert texts(source, **given) is not None
    if "n: " not in source and "set n" not in source:
        assert texts(source, **given) != texts(source, **{**given, "n": "0"})


def test_what_only_running_tells() -> None:
    assert texts("select 1 as n \\gset\nselect :n") is None
    assert texts("select 1", n="2") == texts("select  1 -- one", n="3")
    assert texts("\\set", n="2") != texts("\\set", n="3")
    assert texts("select 1", **{scripts.EXPANDED: "on"}) == texts("select 1")


@pytest.mark.parametrize(
    ("source", "sql"),
    [
        ("-- @param n: slider(1, 9) = 5\nselect :n, :'t'", "select 5, 'it''s :n'"),
        ("\\set n 7\nselect :n; select :'t' -- :n", "select 7; select 'it''s :n'"),
        ("select :\"n\", '{1,2}'::int[], :missing", "select \"3\", '{1,2}'::int[], :missing"),
        ("-- dialect: mysql\nselect `a`, 1", 'select "a", 1'),
    ],
)
def test_a_cell_of_sql_and_variables_is_bound(source: str, sql: str) -> None:
    found = bound(source, n="3", t="it's :n")
    wanted = [step.statement.canonical.lower() for step in cells.plain(sql).steps]
    assert [step.statement.canonical.lower() for step in found.steps] == wanted
    assert found.scanned == "nothing"
    assert [step.statement.text for step in cells.plain(found.source).steps] == [
        step.statement.text for step in found.steps
    ]


@pytest.mark.parametrize(
    "source",
    [
        "\\d t",
        "\\echo x\nselect 1",
        "select 1 as n \\gset",
        "select 1 \\gx",
        "select 1 \\chart bar",
        "\\i a.sql",
        "\\x\nselect 1",
        "\\set AUTOCOMMIT off\nselect 1",
        "copy t from stdin;\n1\n\\.",
        "%%session b\nselect :n",
    ],
)
def test_what_is_more_than_that_stays(source: str) -> None:
    assert bound(source, n="3") == cells.parse(source)


def test_a_value_is_read_once() -> None:
    """What is in it is neither a variable nor a line of ours."""
    value = "-- dialect: mysql\nselect ':n', :n"
    found = bound(":text", n="3", text=value)
    assert [step.statement.canonical for step in found.steps] == ["select ':n' , 3"]
    assert found.translation is None
