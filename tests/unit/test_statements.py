"""Cells are split where PostgreSQL splits them, and nothing is lost."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st
from tests import generators

from pgcellar.notebook import lexer, statements

FRAGMENTS = st.lists(
    st.sampled_from(
        ["select 1", ";", "'", '"', "$$", "$a$", "--", "\n", "/*", "*/", "\\d", "\\", "é", "(", ")",
         " ", "E'\\''", "begin atomic", "end", "create function f() returns int", "\r\n", "\0"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("", []),
        ("-- only\n/* a /* nested */ comment */ ;;", []),
        ("select 1; select 2;", ["select 1", "select 2"]),
        ("/* x */ select 'a;b' -- c\n; select $$;$$", ["select 'a;b' -- c", "select $$;$$"]),
        ("select 1;\n\\copy t from 'x.csv' csv\nselect 2", ["select 1", "\\copy t from 'x.csv' csv",
                                                            "select 2"]),
        ("select '\n\\no command\n'", ["select '\n\\no command\n'"]),
        ("create function f() returns int begin atomic select 1; select 2; end; selec 3",
         ["create function f() returns int begin atomic select 1; select 2; end", "selec 3"]),
        ("create rule r as on insert to t do also (insert into u values (1); select 1); oops",
         ["create rule r as on insert to t do also (insert into u values (1); select 1)", "oops"]),
        ("select 'unterminated; select 2", ["select 'unterminated; select 2"]),
        ("selec 1; select 2", ["selec 1", "select 2"]),
        ("select E'it\\'s;'; select 2", ["select E'it\\'s;'", "select 2"]),
    ],
)  # fmt: skip
def test_split(source: str, texts: list[str]) -> None:
    """Statements as typed, without what only separates them."""
    assert [statement.text for statement in statements.split(source)] == texts


@hypothesis.given(source=st.one_of(FRAGMENTS, st.text(max_size=60)))
def test_split_never_raises_and_positions_are_right(source: str) -> None:
    """Any text at all."""
    for statement in statements.split(source):
        assert source[statement.start :].startswith(statement.text)


@hypothesis.given(source=FRAGMENTS)
def test_nothing_is_dropped(source: str) -> None:
    """Outside of the statements there are only blanks, comments and semicolons."""
    rest = source
    for statement in reversed(statements.split(source)):
        rest = rest[: statement.start] + "\n" + rest[statement.start + len(statement.text) :]
    if "\0" not in source and "'" not in rest and '"' not in rest and "$" not in rest:
        assert lexer.code_start(rest) == len(rest)


@hypothesis.given(
    notebook=generators.notebooks(max_cells=3), blank=st.sampled_from(["  ", "\n", "\t"])
)
def test_canonical_text_ignores_white_space_only(notebook: generators.Notebook, blank: str) -> None:
    """Reformatted cells mean the same."""
    for source in notebook.sources:
        one = [statement.canonical for statement in statements.split(source)]
        other = generators.reformatted(source, blank)
        assert one == [statement.canonical for statement in statements.split(other)]


def test_canonical_text_keeps_tokens_apart() -> None:
    """Texts of different meaning have different canonical forms."""
    texts = ["select 1", "select 2", "select '1'", "select - -1", "select --1\n", "select a.b",
             "select 'a  b'", "select 'a b'", "select $$a$$", 'select "A"', "select A"]  # fmt: skip
    assert len({statements.canonical(text) for text in texts}) == len(texts)
    assert statements.canonical("select  1 /* x */ + 2") == statements.canonical("select 1+2")
