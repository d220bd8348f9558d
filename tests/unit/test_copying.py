"""pgcellar.notebook.copying: `\\copy` as psql reads it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar.notebook import copying


@pytest.mark.parametrize(
    ("text", "sql", "file"),
    [
        ("\\copy binary t from f", "COPY binary t FROM STDIN", "f"),
        ("\\copy t from f;", "COPY t FROM STDIN", "f"),
        ("\\copy t from f.csv", "COPY t FROM STDIN", "f.csv"),
        ("\\copy t from 'f.csv'", "COPY t FROM STDIN", "f.csv"),
        ("\\copy t from 'it''s; a file.csv' csv;", "COPY t FROM STDIN csv", "it's; a file.csv"),
        ("\\copy t FROM 'f' ;", "COPY t FROM STDIN", "f"),
        ("\\copy\tt  from\t'f'  with (format csv)", "COPY t FROM STDIN with (format csv)", "f"),
        ('\\copy t (a, "B") from f header', 'COPY t ( a, "B" ) FROM STDIN header', "f"),
        ("\\copy t(a) from f", "COPY t ( a ) FROM STDIN", "f"),
        ('\\copy t("a (",b)from f', 'COPY t ( "a (" ,b ) FROM STDIN', "f"),
        ("\\copy s.t from f", "COPY s.t FROM STDIN", "f"),
        ('\\copy "a ""b" from f', 'COPY "a ""b" FROM STDIN', "f"),
        ('\\copy "from"."to" from f', 'COPY "from"."to" FROM STDIN', "f"),
        ("\\copy from from f", "COPY from FROM STDIN", "f"),
        ("\\copy t from 'stdin'", "COPY t FROM STDIN", "stdin"),
        ("\\copy t from f where a > 1", "COPY t FROM STDIN where a > 1", "f"),
        ("\\copy t from '' ", "COPY t FROM STDIN", ""),
        ("\\copy tablé from 'datei ü.csv'", "COPY tablé FROM STDIN", "datei ü.csv"),
    ],
)
def test_copies(text: str, sql: str, file: str) -> None:
    parsed = copying.parse(text)
    assert isinstance(parsed, copying.Copy)
    assert (in_single_spaces(parsed.sql), parsed.file) == (sql, file)


def in_single_spaces(sql: str) -> str:
    """Without those that psql adds, too."""
    return re.sub(r"(COPY|STDIN) +", r"\1 ", sql).rstrip()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\\d", "\\d is not known"),
        ("\\.", "not known"),
        ("\\copyx t from f", "\\copyx is not known"),
        ("\\copy", "can't be read"),
        ("\\copy t", "can't be read"),
        ("\\copy t from", "can't be read"),
        ("\\copy t into f", "can't be read"),
        ("\\copy t from stdin", "reads or writes a file"),
        ("\\copy t from pstdin csv", "reads or writes a file"),
        ("\\copy t to stdout", "reads or writes a file"),
        ("\\copy t from STDIN", "reads or writes a file"),
        ("\\copy t from program 'rm -rf /'", "program is not allowed"),
        ("\\copy t from PROGRAM 'x' csv", "program is not allowed"),
        ("\\copy t from program'x'", "program is not allowed"),
        ("\\copy (select 1 to f", "can't be read"),
        ("\\copy (select $$($$) to f", "can't be read"),
        ("\\copy (select 1) to'f'", "can't be read"),
        ("\\copy t (a from f", "can't be read"),
        ("\\copy t from f csv; alter system reset all", "one by one"),
        ("\\copy t to 'f' ; drop table t", "one by one"),
    ],
)
def test_refusals(text: str, says: str) -> None:
    parsed = copying.parse(text)
    assert isinstance(parsed, copying.Refusal)
    assert says in parsed.message
    assert parsed.hint


@given(st.text(st.characters(exclude_characters='\n"'), min_size=1, max_size=60))
def test_any_command_has_an_answer(text: str) -> None:
    for command in (f"\\{text}", f"\\copy {text}", f"\\copy t from {text}"):
        if command[1:].strip():
            assert isinstance(copying.parse(command), copying.Copy | copying.Refusal)


@given(st.text(st.characters(exclude_characters="\n\0", exclude_categories=("Cs",)), max_size=30))
def test_a_quoted_file_name_is_kept(name: str) -> None:
    quoted = "'" + name.replace("'", "''") + "'"
    parsed = copying.parse(f"\\copy t from {quoted} csv")
    assert isinstance(parsed, copying.Copy)
    assert parsed.file == name
    assert in_single_spaces(parsed.sql) == "COPY t FROM STDIN csv"


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("\\copy t to f", "COPY t TO STDOUT"),
        ("\\copy (select 1) to 'f' csv", "COPY ( select 1 ) TO STDOUT csv"),
        ("\\copy (select ')' from t)to 'f'", "COPY ( select ')' from t ) TO STDOUT"),
        ("\\copy (select 'a''  b', E'\\')') to f", "COPY ( select 'a''  b' , E'\\')' ) TO STDOUT"),
        ("\\copy (select $$a  b(c)$$) to f", "COPY ( select $$a b ( c ) $$ ) TO STDOUT"),
        ("\\copy (table t) to f null '(a) to b'", "COPY ( table t ) TO STDOUT null '(a) to b'"),
    ],
)
def test_the_way_out(text: str, sql: str) -> None:
    parsed = copying.parse(text)
    assert isinstance(parsed, copying.Copy)
    assert (in_single_spaces(parsed.sql), parsed.file, parsed.out) == (sql, "f", True)
