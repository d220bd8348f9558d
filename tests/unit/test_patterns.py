"""pgcellar.notebook.patterns: possessive groups that every Python matches alike."""

from __future__ import annotations

import ast
import pathlib
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar.notebook import patterns

PATTERNS = (
    r"(?:a|b)*+c",
    r"(?:[^'\\]++|''|\\(?:.|\Z))*+'",
    r"x(?:y(?:z)?+)++",
    r"\((?:[^()]++|\((?:[ab)]*+|\\\))*+\))*+\)",
    r"(?P<n>a|ab)?+b",
    r"[(]*+(?:(?:a|b)*+|[]()]++)*+c",
)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("(?:a|b)*+c", "(?>(?:a|b)*)c"),
        ("(a)(b)++", "(a)(?>(b)+)"),
        ("((a)?+b)*+", "(?>((?>(a)?)b)*)"),
        (r"[)]*+\)*+(a)*", r"[)]*+\)*+(a)*"),
    ],
)
def test_atomic(pattern: str, expected: str) -> None:
    assert patterns.atomic(pattern) == expected


@pytest.mark.skipif(sys.version_info < (3, 11, 5), reason="compares with what is at fault there")
@given(st.sampled_from(PATTERNS), st.text(alphabet="abcxyz'\\()", max_size=30))
def test_both_match_the_same(pattern: str, text: str) -> None:
    found = [re.search(each, text, re.DOTALL) for each in (pattern, patterns.atomic(pattern))]
    assert (found[0] and found[0].span()) == (found[1] and found[1].span())


def test_no_possessive_group_goes_past_it() -> None:
    """Or it is at fault in some Pythons."""
    root = pathlib.Path(__file__).resolve().parents[2]
    found = [
        f"{path}:{call.lineno}"
        for folder in ("service", "kernel", "server_extension")
        for path in (root / folder).rglob("*.py")
        if path != pathlib.Path(patterns.__file__)
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("re.")
        if re.search(r"\)(?:[*+?]|\{[\d,]+\})\+", ast.unparse(call))
    ]
    assert not found
