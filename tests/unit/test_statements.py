"""pgcellar.notebook.statements: nothing is dropped, and equal canonical texts mean the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pglast import error, parser
from tests import generators

from pgcellar.notebook import lexer, statements

PIECES = (
    *("select 1", "selct", ";", ";", "\n", " ", "'", "'a;b'", '"', '"x;y"', "$$", "$$;$$", "$f$"),
    *("--", "-- c;\n", "/*", "*/", "/* ; */", "\\", "\\copy t from 'x;'\n", "\\d\n", "(", ")"),
    *("begin atomic", "end", "é", "日本", "😀", "e'\\'", "$1", "1abc", "insert into t values (1)"),
    *("create function f() returns int begin atomic select 1; select 2; end", "\r\n", "\t", "\f"),
)
pieces = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
#: Python counts more characters as blanks than PostgreSQL does; lone surrogates and NUL are in
#: `test_bad_characters`.
printable = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), include_characters=" \n\t"),
    max_size=60,
)
cells = pieces | printable


def texts(source: str) -> list[str]:
    return [statement.text for statement in statements.split(source)]


@given(cells)
def test_positions_are_those_of_the_cell(source: str) -> None:
    end = 0
    for statement in statements.split(source):
        assert statement.text
        assert statement.start >= end
        end = statement.start + len(statement.text)
        assert source[statement.start : end] == statement.text
        assert source[end : end + len(statement.end)] == statement.end


@pytest.mark.parametrize(
    ("source", "ends"),
    [
        ("select 1", [""]),
        ("select 1;", [";"]),
        ("select 1 ;; select 2\n-- two\n; -- three;", [" ;", "\n;"]),
        ("create function f() returns int begin atomic select 1; end; select 2", [";", ""]),
        ("selct 1; select (2;", [";", ";"]),
    ],
)
def test_the_semicolon_stands_behind_the_text(source: str, ends: list[str]) -> None:
    assert [statement.end for statement in statements.split(source)] == ends


@given(cells)
def test_nothing_is_dropped(source: str) -> None:
    position = 0
    for statement in statements.split(source):
        between = source[position : statement.start]
        assert lexer.code_start(between) == len(between), f"dropped: {between!r}"
        position = statement.start + len(statement.text)
    rest = source[position:]
    assert lexer.code_start(rest) == len(rest), f"dropped: {rest!r}"


@given(generators.notebooks(max_cells=4))
def test_generated_cells_split_as_postgresql_does(notebook: generators.Notebook) -> None:
    for source in notebook.sources:
        try:
            expected = parser.split(source, with_parser=True)
        except error.Error:
            continue
        found = [parser.fingerprint(text) for text in texts(source)]
        assert found == [parser.fingerprint(text) for text in expected if not _blank(text)]


def _blank(text: str) -> bool:
    return lexer.code_start(text) == len(text)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", []),
        (" ; ;; \n -- nothing; at all\n /* a; /* b */ ; */ ;", []),
        ("select 1", ["select 1"]),
        ("select 1 ;", ["select 1"]),
        (";select 1;;select 2;", ["select 1", "select 2"]),
        ("select ';'; select $$;$$; select \";\"", ["select ';'", "select $$;$$", 'select ";"']),
        ("select 1 /* ; */; -- ;\nselect 2", ["select 1 /* ; */", "select 2"]),
        ("select 'é'; select 2; 日本; select 3", ["select 'é'", "select 2", "日本", "select 3"]),
        ("selct 1; select 2", ["selct 1", "select 2"]),
        ("selct (1; 2); select 3", ["selct (1; 2)", "select 3"]),
        ("select 1; select 'a; select 2", ["select 1; select 'a; select 2"]),
        ("select 1)); select 2", ["select 1))", "select 2"]),
        ("select 1\r\n;\r\nselect 2\r\n", ["select 1", "select 2"]),
        (
            "create function f() returns int begin atomic select 1; select 2; end; selct 3; select",
            [
                "create function f() returns int begin atomic select 1; select 2; end",
                "selct 3",
                "select",
            ],
        ),
        (
            "create rule r as on insert to t do (delete from a; delete from b); selct",
            ["create rule r as on insert to t do (delete from a; delete from b)", "selct"],
        ),
        ("begin; select 1; end", ["begin", "select 1", "end"]),
    ],
)
def test_split(source: str, expected: list[str]) -> None:
    assert texts(source) == expected


def test_meta_commands_end_with_their_line() -> None:
    source = "select 1\n \\copy t from 'a;b' -- c \r\nselect 2; \\d\n\\."
    found = statements.split(source)
    assert [(s.kind, s.text.strip()) for s in found] == [
        ("sql", "select 1"),
        ("meta", "\\copy t from 'a;b' -- c"),
        ("sql", "select 2"),
        ("sql", "\\d"),
        ("meta", "\\."),
    ]
    assert found[1].canonical == found[1].text


def test_meta_commands_inside_literals_are_text() -> None:
    for source in (
        "select '\n\\d\n'",
        'select 1 as "\n\\d"',
        "do $$\n\\d\n$$",
        "/*\n\\d\n*/ select",
    ):
        assert [s.kind for s in statements.split(source)] == ["sql"]


@pytest.mark.parametrize(
    "source",
    [
        "'",
        '"',
        "$$",
        "$a$",
        "\\",
        "e'\\",
        "/*",
        "--",
        "(",
        ")",
        "u&'\\",
        "select U&'\\zzzz'",
        ":'a'",
    ],
)
def test_odd_texts(source: str) -> None:
    for text in (source, f"select 1; {source}", f"{source}\n\\copy t from 'f'", source * 3):
        assert "".join(texts(text)).replace(" ", "") or lexer.code_start(text) == len(text)


def test_a_hundred_kilobytes_of_anything() -> None:
    for piece in ("'", "$$", "(", "/*", "select 1;", "selct 1;", "\\d\n", "begin atomic;", "1abc "):
        statements.split(piece * (100_000 // len(piece)))


# --- canonical text --------------------------------------------------------------------------


@given(generators.notebooks(max_cells=3), st.sampled_from(generators.BLANKS))
def test_reformatting_keeps_the_canonical_text(notebook: generators.Notebook, blank: str) -> None:
    for source in notebook.sources:
        before = [s.canonical for s in statements.split(source)]
        after = [s.canonical for s in statements.split(generators.reformatted(source, blank))]
        assert after == before


@given(cells)
def test_canonical_text_is_its_own_canonical_text(source: str) -> None:
    for statement in statements.split(source):
        if statement.kind == "sql":
            again = statements.canonical(statement.canonical)
            assert statements.canonical(again) == again


TOKENS = (
    *("select", "SELECT", "a", "A", '"a"', "1", "1.0", "'a'", "'A'", "'a '", "e'a'", "$$a$$"),
    *("$x$a$x$", "+", "-", "=", "<>", "!=", "(", ")", ",", ".", "::", "$1", "é", "u&'a'", "x'1'"),
)


@given(st.lists(st.sampled_from(TOKENS), max_size=8), st.lists(st.sampled_from(TOKENS), max_size=8))
def test_other_tokens_make_another_text(one: list[str], other: list[str]) -> None:
    try:
        first, second = (parser.scan(" ".join(tokens)) for tokens in (one, other))
    except error.Error:
        assume(False)
    # Two words may make one token: `a` and a literal after `e`.
    assume(len(first) == len(one) and len(second) == len(other))
    equal = statements.canonical(" ".join(one)) == statements.canonical(" ".join(other))
    assert equal == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select 1 -- one", "select 1"),
        ("select  1\n,\t2", "select 1,2"),
        ("select/**/1", "select 1"),
        ("select 1 --x\n+ 2", "select 1 + 2"),
        ("select a . b", "select a.b"),
        ("select 'a  b' ", "select /* 'x' */ 'a  b'"),
    ],
)
def test_equal_canonical_texts(one: str, other: str) -> None:
    assert statements.canonical(one) == statements.canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select 'a b'", "select 'a  b'"),
        ("select 'a -- b'", "select 'a'"),
        ("do $$ begin end $$", "do $$ begin  end $$"),
        ("do $$ begin end -- x\n$$", "do $$ begin end \n$$"),
        ('select 1 as "a b"', 'select 1 as "a  b"'),
        ("select A", "select a"),
        ("select 'a' 'b'", "select 'a'\n'b'"),
        ("select 1 - -1", "select 1 --1"),
        ("select @-1", "select @ -1"),
        ("select a<-1", "select a<- 1 + 0"),
        ("select u&'a'", "select u & 'a'"),
        ("select 'a", "select 'a "),
    ],
)
def test_different_canonical_texts(one: str, other: str) -> None:
    assert statements.canonical(one) != statements.canonical(other)


def test_a_long_statement_is_its_own_canonical_text() -> None:
    text = f"select  '{'x' * statements.LONG_TEXT}' -- c"
    assert statements.canonical(text) == text
    assert [s.text for s in statements.split(text)] == [text]


def test_what_cannot_be_scanned_is_its_own_canonical_text() -> None:
    for text in ("select  'a", "select  $a$ b", "select  1abc"):
        assert statements.canonical(text) == text


def test_blanks_in_literals_are_kept() -> None:
    source = "select  'a  b',  $$  -- c  $$,  \"d  e\""
    assert re.findall(r"'.*?'|\$\$.*?\$\$|\".*?\"", statements.canonical(source)) == [
        "'a  b'",
        "$$  -- c  $$",
        '"d  e"',
    ]
