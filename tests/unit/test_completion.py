"""pgcellar_kernel.completion: keywords at the cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar_kernel import completion


@pytest.mark.parametrize(
    ("code", "found", "begin"),
    [
        ("sel|", ["select"], 0),
        ("SEL|", ["SELECT"], 0),
        ("Sel|", ["SELECT"], 0),
        ("select 1 fro|", ["from"], 9),
        ("select 1 wh|ere", ["when", "where"], 9),
        ("select\nli|", ["like", "limit"], 7),
        ("(sel|", ["select"], 1),
        ("current_d|", ["current_date"], 0),
        ("nothing_known|", [], 0),
        ("select |", [], 7),
        ("|select", [], 0),
        ("", [], 0),
        ("é sel|", ["select"], 2),
        ("select '😀' fro|", ["from"], 11),
    ],
)
def test_keywords(code: str, found: list[str], begin: int) -> None:
    cursor = code.find("|")
    assert completion.keywords(code.replace("|", ""), max(cursor, 0)) == (found, begin)


@given(st.text(max_size=30), st.integers(0, 40))
def test_what_is_found_begins_as_the_word_does(code: str, cursor: int) -> None:
    found, begin = completion.keywords(code, cursor)
    word = code[begin:cursor]
    assert all(keyword.lower().startswith(word.lower()) for keyword in found if word.isascii())
    assert begin <= max(cursor, len(code))


def test_keywords_are_in_order_and_in_capitals() -> None:
    assert list(completion.KEYWORDS) == sorted({k.upper() for k in completion.KEYWORDS})
