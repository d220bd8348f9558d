"""pgcellar.notebook.scripts and .scanning: the steps of cells with commands and variables."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar.notebook import cells, psqlscan, scanning, scripts

FILES = {
    "a.sql": "select 'a';\n\\set from_a 1",
    "loop.sql": "\\i loop.sql",
    **{f"{level}.sql": f"\\i {level + 1}.sql\n" * 1_000 for level in range(9)},
    "9.sql": "",
}


def include(name: str) -> str | psqlscan.Problem:
    """A folder with two files."""
    missing = psqlscan.Problem(message=f"{name} is not there.", hint="", start=0)
    return FILES.get(name, missing)


def steps(
    source: str, variables: Mapping[str, str] | None = None
) -> tuple[list[cells.Step], scripts.Script]:
    """All steps of a cell; every \\gset gives one column `x`."""
    before = tuple(sorted((variables or {}).items()))
    script = scripts.Script(cells.parse(source), before, include)
    out: list[cells.Step] = []
    while (step := script.next()) is not None:
        out.append(step)
        assert len(out) <= len(source) + 100
        if step.gset is not None:
            script.assign(step.gset, {"x": "1", "none": None})
    return out, script


@pytest.mark.parametrize(
    ("source", "needs"),
    [
        ("select 1", "nothing"),
        ("", "nothing"),
        ("select 1::int, '10'::text", "nothing"),
        ("select '10:30'", "variables"),
        ("select :x", "variables"),
        ("select '\\d'", "nothing"),
        ("select '\\d' -- \\x\n, E'\\'\\\\'", "nothing"),
        ("\\d", "always"),
        ("select 1 \\gset", "always"),
        ("copy t from stdin", "always"),
    ],
)
def test_needs(source: str, needs: str) -> None:
    assert scanning.needs(source) == needs


def test_variables_go_from_step_to_step() -> None:
    found, script = steps("\\set a 1\nselect :a;\nselect 2 as x \\gset p_\nselect :p_x, :none;")
    assert [step.statement.text.rstrip() for step in found] == [
        "select 1",
        "select 2 as x",
        "select 1, :none",
    ]
    assert script.frozen() == (("a", "1"), ("p_x", "1"))


def test_plain_cells_are_scanned_where_variables_are_set() -> None:
    plain, script = steps("select '1:a', :a")
    assert script.static
    assert plain == list(cells.parse("select '1:a', :a").steps)
    (step,), _ = steps("select '1:a', :a", {"a": "7"})
    assert step.statement.text == "select '1:a', 7"
    assert step.origin is not None
    assert step.origin.source_offset(len("select '1:a'")) == len("select '1:a'")


def test_included_files() -> None:
    found, _ = steps("\\i a.sql\nselect :from_a;")
    assert [step.statement.text for step in found] == ["select 'a'", "select 1"]
    assert [step.included for step in found] == [True, False]
    for source in ("\\i loop.sql", "\\i nosuch.sql", "\\i", "\\i a b"):
        (step,), _ = steps(source)
        assert step.effect.refusal


def test_files_within_files_have_an_end() -> None:
    """Nine levels, of a thousand each."""
    found, _ = steps("\\i 0.sql")
    refusal = found[-1].effect.refusal
    assert refusal is not None
    assert "more than 1,000 files" in refusal
    texts = scripts.included("\\i 0.sql\n\\i 0.sql", include)
    assert texts is not None
    assert len(texts) == 10


def test_a_cell_has_an_end() -> None:
    many = "\\unset x\n" * (scripts.MAX_STEPS + 1)
    (refused,), _ = steps(many)
    assert refused.effect.refusal is not None
    assert "100,000 statements" in refused.effect.refusal
    assert steps(many[: len("\\unset x\n") * 100])[0] == []


def test_data_that_says_the_clock() -> None:
    for word in ("now", "n\\ow", "\\ttomorrow", "\\x6eow", "to\\144ay", '"to"day'):
        (step,), _ = steps(f"copy t from stdin;\n{word}\n\\.\n")
        assert step.effect.volatile, word
    (step,), _ = steps("copy t from stdin;\n2020-01-01\tknown\\nnext\n\\N\tNULL\n\\.\n")
    assert not step.effect.volatile


def test_data_in_line_enters_the_state() -> None:
    (one,), _ = steps("copy t from stdin;\n1\n\\.\n")
    (other,), _ = steps("copy t from stdin;\n2\n\\.\n")
    assert (one.data, other.data) == ("1\n", "2\n")
    assert one.statement.text == other.statement.text
    assert one.statement.canonical != other.statement.canonical


def test_after_a_refusal_nothing_follows() -> None:
    found, _ = steps("select 1;\n\\! id\ndrop table t;")
    assert [step.effect.refusal is None for step in found] == [True, False]


def test_values_that_name_one_another_have_a_bound() -> None:
    lines = ["\\set a0 '1,1,1,1,1,1,1,1'"]
    lines += [f"\\set a{n} ':a{n - 1},:a{n - 1},:a{n - 1},:a{n - 1}'" for n in range(1, 30)]
    found, _ = steps("\n".join([*lines, "select :a29;"]))
    assert found[-1].effect.refusal
    grown = "\\set a 1234567890\n" + "\\set a :a:a:a:a\n" * 12
    found, _ = steps(grown)
    assert found[-1].effect.refusal


TEXTS = st.lists(
    st.sampled_from(
        [
            *(
                "select 1",
                ";",
                "\n",
                " ",
                "\\d",
                "\\set a ",
                "'",
                '"',
                "$$",
                "--",
                "/*",
                "*/",
                ":a",
            ),
            *(
                ":'a'",
                "\\gset",
                "\\if ",
                "true",
                "\\else",
                "\\endif",
                "\\i a.sql",
                "\\copy t from x",
            ),
            *("\\copy t from x", "copy t from stdin"),
            *("\\.", "\\", "`", "\\x", "insert into t values (:a)", "(", ")"),
            *("begin atomic", "create function", "end", "\0", "\ud800", "é", "\\;", ":{?a}"),
        ]
    ),
    max_size=25,
).map("".join)


def test_a_variable_that_cannot_be_sent() -> None:
    (step,), _ = steps(":a", {"a": "\ud800"})
    assert step.effect.refusal


@given(TEXTS | st.text(max_size=60), st.dictionaries(st.sampled_from("ab"), TEXTS, max_size=2))
def test_any_text_has_steps(source: str, variables: dict[str, str]) -> None:
    """No exception escapes, it ends, and what is sent can be classified."""
    found, _ = steps(source, variables)
    for step in found:
        assert step.effect.refusal or step.statement.text or step.says is not None
