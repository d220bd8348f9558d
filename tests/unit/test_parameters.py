"""pgcellar.notebook.parameters: comment lines that set variables."""

from __future__ import annotations

import contextlib

import hypothesis
import pytest
from hypothesis import strategies as st

from pgcellar.notebook import parameters, psqlscan

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def value(source: str) -> str | None:
    """The value of the only parameter."""
    (found,) = parameters.parse(source)
    return found.value


@pytest.mark.parametrize(
    ("line", "kind", "found"),
    [
        ("-- @param a: slider(1, 12)", "slider", "1"),
        ("--@param a:slider( -1.5 , 12, .5 )=3", "slider", "3"),
        ("  -- @param a: number", "number", "0"),
        ("-- @param a: number(2, 3)", "number", "2"),
        ("-- @param a: text", "text", ""),
        ("-- @param a: text =  two words ", "text", "two words"),
        ("-- @param a: text() = ' = '", "text", " = "),
        ("-- @param a: checkbox", "checkbox", "false"),
        ("-- @param a: date = 2024-02-29", "date", "2024-02-29"),
        ("-- @param a: dropdown(x, 'y, z')", "dropdown", "x"),
        ("-- @param a: dropdown(select f(')', \"(\") from t)", "dropdown", None),
        ("-- @param a: Dropdown(table t) = b", "dropdown", "b"),
        ("-- @param a: select-multiple(values (1))", "select-multiple", "{}"),
        ("%%session b\n\n-- note\n-- @param a: text = x", "text", "x"),
        ("/* dialect: mysql */ -- @param a: text = x", "text", "x"),
    ],
)
def test_what_is_a_parameter(line: str, kind: str, found: str | None) -> None:
    (parameter,) = parameters.parse(f"{line}\r\nselect 1")
    assert (parameter.name, parameter.kind, parameter.value) == ("a", kind, found)


@pytest.mark.parametrize(
    "source",
    [
        "-- @param a the number of rows",
        "-- @param a: text that is shown",
        "-- @param a: integer",
        "-- @param: text",
        "-- param a: text",
        "-- @param ä: text",
        "select 1; -- @param a: text",
        "--\rselect 1;\n-- @param a: text",
        "select 1\n-- @param a: text",
        "/*\n-- @param a: text\n*/",
    ],
)
def test_what_is_a_comment(source: str) -> None:
    assert parameters.parse(source) == ()
    assert parameters.as_psql(source) == source


@pytest.mark.parametrize(
    "line",
    [
        "slidr(1, 2)", "slider", "slider()", "slider(1)", "slider(a, b)", "slider(1, 2) = 3",
        "slider(1, 2, 0)", "slider(1, 2) = x", "number(1)", "number = x", "text(1)",
        "text = it's", "text = a\\b", "text() and more", "checkbox = yes", "checkbox(1)", "date",
        "date = tomorrow", "date = 2023-02-29", "dropdown()", "dropdown(select (1)",
        "dropdown(a 'b')", "select-multiple(a) = b", "select-multiple()",
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(line: str) -> None:
    source = f"-- note\n-- @param a: {line}"
    with pytest.raises(parameters.ParameterError) as caught:
        parameters.parse(source)
    assert caught.value.start == source.index("-- @param")
    assert caught.value.message.endswith(".")
    assert caught.value.hint.endswith((".", "5", "7.5", "Berlin", "true", "31", ")", "}"))


def test_a_comment_ends_where_it_does_for_postgresql() -> None:
    assert value("-- @param a: text = x\rselect 1") == "x"


def test_no_name_is_there_twice() -> None:
    with pytest.raises(parameters.ParameterError, match="twice"):
        parameters.parse("-- @param a: text\n-- @param a: number")


def test_the_text_that_psql_would_be_given_has_the_same_lines() -> None:
    source = (
        "-- @param a: slider(1, 12) = 5\r\n-- note\n"
        "-- @param b: dropdown(select x from t;)\n-- @param c: dropdown(values (1) order by 1)\n"
        "select :a"
    )
    assert parameters.as_psql(source) == (
        "\\set a '5'" + " " * 20 + "\r\n-- note\n"
        'select "b" from (select x from t) as _ ("b") where "b" is not null order by 1 limit 1'
        " \\gset\n"
        'select "c" from (values (1) order by 1) as _ ("c") where "c" is not null limit 1 \\gset\n'
        "select :a"
    )


@hypothesis.given(TEXTS, TEXTS)
def test_any_value_can_be_written_and_read_again(first: str, second: str) -> None:
    """And psql's own scanner reads the same."""
    source = "-- @param a: text\n-- @param b: text = x\nselect 1"
    written = parameters.with_values(source, {"a": first, "b": second})
    assert written.count("\n") == 2
    assert [one.value for one in parameters.parse(written)] == [first, second]
    scanner = psqlscan.Scanner(parameters.as_psql(written))
    for name, expected in (("a", first), ("b", second)):
        command = scanner.next({})
        assert isinstance(command, psqlscan.MetaCommand)
        assert (command.name, "".join(command.arguments[1:])) == ("set", expected)
        assert command.arguments[0] == name


@hypothesis.given(st.lists(TEXTS).map(tuple))
def test_arrays(texts: tuple[str, ...]) -> None:
    assert parameters.elements(parameters.array(texts)) == texts


def test_only_what_is_new_is_edited() -> None:
    source = "-- @param a: slider(1, 9)\n-- @param b: text = x\nselect 1"
    assert parameters.edits(source, {"a": "1", "b": "x", "c": "y"}) == []
    assert parameters.edits(source, {"a": "2"}) == [
        ("-- @param a: slider(1, 9)", "-- @param a: slider(1, 9) = 2")
    ]
    assert value(parameters.with_values("-- @param b: text = x", {"b": ""})) == ""


@pytest.mark.parametrize(
    "line",
    [
        f"-- @param a: text = x{' ' * 200_000}y",
        f"-- @param a: dropdown(x{' ' * 200_000}y)",
        f"-- @param a: dropdown({' ' * 200_000}x 'y')",
        f"-- @param a: text{' ' * 200_000}y",
        "\n".join(f"-- @param a{i}: text = x" for i in range(20_000)),
    ],
    ids=["value", "choice", "choices", "kind", "many"],
)
def test_long_texts_take_linear_time(line: str) -> None:
    """Minutes, were it quadratic."""
    with contextlib.suppress(parameters.ParameterError):
        parameters.with_values(line, {f"a{i}": "z" for i in range(20_000)})


def test_what_stands_twice_is_edited_where_it_means_something() -> None:
    source = "-- -- @param a: text = x\n-- @param a: text = x\nselect 1"
    assert value(parameters.with_values(source, {"a": "y"})) == "y"
