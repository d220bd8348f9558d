"""pgcellar.notebook.lexer: literals and comments are where PostgreSQL's own scanner sees them."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pglast import error, parser

from pgcellar.notebook import lexer

COMMENTS = ("SQL_COMMENT", "C_COMMENT")
#: What lexical rules are made of; more of it in one text than any person writes.
PIECES = (
    *("'", "''", '"', "a", "e'", "E'x\\''", "\\", "\n", " ", "\t", ";", "$$", "$a$", "$é$", "$1"),
    *("--", "/*", "*/", "x", "1", "é", "+", "-", "/", "*", "(", ")", "u&'", 'U&"', ".", "$"),
    *("\\copy t from 'f'\n", "select ", "re'", "a$b$", "--\n", "/* /* */ */"),
)
texts = st.lists(st.sampled_from(PIECES), max_size=20).map("".join)


def inside(source: str) -> list[tuple[int, int]]:
    """The spans of literals and comments, by PostgreSQL's scanner."""
    try:
        tokens = parser.scan(source)
    except error.Error:
        assume(False)
    opaque = ("SCONST", "USCONST", "BCONST", "XCONST", *COMMENTS)
    return [
        (token.start, token.end)
        for token in tokens
        if token.name in opaque or source[token.start] == '"' or source[token.end] == '"'
    ]


@given(texts)
def test_code_starts_at_the_first_token(source: str) -> None:
    assume("\\" not in source)
    source = source.replace(";", "; ")
    inside(source)
    tokens = [t for t in parser.scan(source) if t.name not in (*COMMENTS, "ASCII_59")]
    assert lexer.code_start(source) == (tokens[0].start if tokens else len(source))


@given(texts, texts)
def test_a_backslash_inside_a_literal_or_comment_is_no_command(before: str, after: str) -> None:
    source = f"{before}\n\\copy{after}"
    at = len(before) + 1
    # The scanner refuses a backslash in code: another character stands there for it.
    told = f"{before}\n+copy{after}"
    assume("\\" not in before + after)
    # A literal that goes on after a line break is one token to the scanner.
    assume("e'" not in told and "E'" not in told)
    spans = inside(told)
    assert (at in list(lexer.meta_lines(source))) == (
        not any(start < at <= end for start, end in spans)
    )


@given(st.text() | texts)
def test_any_text_is_taken(source: str) -> None:
    commands = list(lexer.meta_lines(source))
    assert commands == sorted(set(commands))
    assert all(source[at] == "\\" for at in commands)
    assert all(not source[:at].rpartition("\n")[2].strip(" \t") for at in commands)
    assert 0 <= lexer.code_start(source) <= len(source)


@pytest.mark.parametrize(
    ("source", "commands"),
    [
        ("\\copy t from 'f'", [0]),
        (" \t\\copy t from 'f'", [2]),
        ("select 1;\n\\copy t from 'f'\nselect 2", [10]),
        ("\\copy t from 'it''s\n\\copy t from 'f'", [0, 20]),
        ("\\copy t from $$\n\\x\n$$", [0, 16]),
        ("select 1 \\gx", []),
        ("\\", []),
        ("\\ copy", []),
        ("'\n\\copy'", []),
        ('"\n\\copy"', []),
        ("$f$\n\\copy\n$f$", []),
        ("$f$\n\\copy\n$g$", []),
        ("a$f$\n\\copy", [5]),
        ("$1$\n\\copy", [4]),
        ("/* /* */\n\\copy\n*/", []),
        ("/* */\n\\copy", [6]),
        ("-- it's\n\\copy", [8]),
        ("e'\\'\n\\copy'", []),
        ("'\\'\n\\copy", [4]),
        ("re'\\'\n\\copy", [6]),
        ("E'\\\\'\n\\copy", [6]),
        ("'unterminated\n\\copy", []),
    ],
)
def test_meta_lines(source: str, commands: list[int]) -> None:
    assert list(lexer.meta_lines(source)) == commands


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("", ""),
        (" \t\r\n\f\v", ""),
        (";; ; -- a\n/* b */;", ""),
        ("-- a\rselect 1", "select 1"),
        ("/* /* */ */ select 1", "select 1"),
        ("/* /* */ select 1", ""),
        ("/**/-1", "-1"),
        ("-- a", ""),
        ("- -1", "- -1"),
        ("'--'", "'--'"),
        ("$$/*$$", "$$/*$$"),
    ],
)
def test_code_start(source: str, code: str) -> None:
    assert source[lexer.code_start(source) :] == code


def test_literals() -> None:
    source = """select 'a''b', e'c\\'', $$d 'e'$$, $x$f$x$, "g", U&'h' -- 'i'\n /* 'j' */, 'k"""
    assert list(lexer.literals(source)) == ["a''b", "c\\'", "d 'e'", "f", "h", "k"]
    assert list(lexer.literals("$$ l")) == [" l"]


def test_long_texts_take_linear_time() -> None:
    # Each of these is quadratic in a careless scanner; 100 kB of it would take minutes.
    for piece in ("'", "$", "/*", "$a", "-", "\\", "e'", '"', "a$", "\\\n", "/", "''\\"):
        source = piece * (100_000 // len(piece))
        list(lexer.meta_lines(source))
        list(lexer.literals(source))
        lexer.code_start(source)


@pytest.mark.parametrize(
    ("text", "ambiguous", "one"),
    [
        ("select 'a\\nb'", False, True),
        ("select 'a''b', \"x\\'\", $$'\\'$$ -- '\\'", False, True),
        ("select e'\\'; x', E'a\\\\'", False, True),
        ("select /* '\\' /* ' */ */ 'c:\\\\'", False, True),
        ("select 'c:\\', 'd'", True, False),
        ("select 'c:\\'", True, False),
        ("select 'a\\'b'", True, True),
        ("select 'a\\', 'b; commit; delete from t; --'", True, False),
        ("select 'x\\''; select 2; select 'y'", True, False),
        ("select n'a\\', '", True, True),
    ],
)
def test_where_literals_end_with_the_setting_of_old(text: str, ambiguous: bool, one: bool) -> None:
    """standard_conforming_strings, off: a backslash escapes in any literal."""
    assert lexer.ambiguous(text) is ambiguous
    assert lexer.one_statement_of_old(text) is one
