"""pgcellar.notebook.dialects: cells in another database's SQL."""

from __future__ import annotations

import contextlib

import hypothesis
import pytest
from hypothesis import strategies as st
from pglast import parser

from pgcellar.notebook import dialects


@pytest.mark.parametrize(
    ("source", "dialect"),
    [
        ("-- dialect: mysql\nselect 1", "mysql"),
        ("\n  --dialect:MySQL  \r\nselect 1", "MySQL"),
        ("-- dialect: no such\n", "no such"),
        ("-- dialect:", ""),
        ("-- the dialect: mysql\n", None),
        ("select 1 -- dialect: mysql", None),
        ("-- a note\n-- dialect: mysql\n", None),
        ("", None),
    ],
)
def test_declared(source: str, dialect: str | None) -> None:
    assert dialects.declared(source) == dialect


@pytest.mark.parametrize(
    ("source", "sql"),
    [
        (
            "-- dialect: mysql\nselect `a`, ifnull(b, 1) from t limit 2, 3;\n\ntable u;",
            'SELECT "a", COALESCE(b, 1) FROM t LIMIT 3 OFFSET 2;\nSELECT * FROM u',
        ),
        ("-- dialect: tsql\nselect top 3 [a b] from [t]", 'SELECT "a b" FROM "t" LIMIT 3'),
        ("-- dialect: sqlserver\nselect len('x')", "SELECT LENGTH('x')"),
        ("-- dialect: sqlite\nselect ifnull(a, 'it''s; x') from t", None),
        ("-- dialect: mysql\n", ""),
        ("-- dialect: mysql\n;;", ""),
    ],
)
def test_translations(source: str, sql: str | None) -> None:
    found = dialects.to_postgres(source)
    assert sql is None or found.sql == sql
    assert found.warnings == ()
    parser.parse_sql_json(found.sql)


@pytest.mark.parametrize("source", ["select 1;;", "\\d t", "-- dialect: postgres\n\\d t", "\0"])
def test_postgresql_stays_as_it_is(source: str) -> None:
    assert dialects.to_postgres(source) == dialects.Translation(sql=source, dialect="postgres")
    assert dialects.to_postgres(source, "PostgreSQL").sql == source


def test_the_cells_own_declaration_wins() -> None:
    assert dialects.to_postgres("select `a`", "mysql").sql == 'SELECT "a"'
    assert dialects.to_postgres("-- dialect: tsql\nselect [a]", "mysql").dialect == "tsql"
    text = "-- dialect: postgres\nselect 'a' || 'b'"
    assert dialects.to_postgres(text, "mysql").sql == text


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mysq", "mysql"),
        ("snowflak", "snowflake"),
        ("Orcale", "oracle"),
        ("xyzzy", "bigquery, clickhouse"),
        ("", "bigquery, clickhouse"),
    ],
)
def test_an_unknown_dialect(name: str, hint: str) -> None:
    with pytest.raises(dialects.DialectError, match=f'"{name}" is not known') as caught:
        dialects.to_postgres(f"-- dialect: {name}\nselect 1")
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("source", "message", "at"),
    [
        ("select 1;\nselect from from (", r"Statement 2 \(line 3\).*near '\('", "select from"),
        ("select 1;\n\n show tables", r"Statement 2 \(line 4\) has no counter", "show"),
        ("show tables", r"Statement 1 \(line 2\) has no counterpart", "show"),
        ("select 1;\n\\set x 1", r"meta-command \\set in line 3", "\\set"),
        ("select 'a", "can't be read as mysql", "-- dialect"),
        ("\\d t'", r"meta-command \\d in line 2", "\\d"),
        ("select " + "(" * 3000, r"Statement 1 \(line 2\) can't be read", "select"),
    ],
)  # fmt: skip
def test_what_cannot_be_translated(source: str, message: str, at: str) -> None:
    text = f"-- dialect: mysql\n{source}"
    with pytest.raises(dialects.DialectError, match=message) as caught:
        dialects.to_postgres(text)
    assert caught.value.hint
    assert caught.value.start == text.index(at)
    assert len(str(caught.value)) < 300


def test_a_backslash_in_a_literal_is_no_command() -> None:
    assert "can't" not in dialects.to_postgres("-- dialect: mysql\nselect 'a\n\\b'").sql


@pytest.mark.parametrize(
    ("source", "warning"),
    [
        ("-- dialect: duckdb\nselect 1;\nselect * exclude (a) from t", "Statement 2 (line 3): "),
        ("-- dialect: sqlite\ninsert or replace into t values (1)", "PostgreSQL can't read it"),
        ("-- dialect: mysql\noptimize table t", "stays as it is"),
    ],
)  # fmt: skip
def test_warnings(source: str, warning: str) -> None:
    (found,) = dialects.to_postgres(source).warnings[:1]
    assert warning in found


def test_known_names_are_sqlglots() -> None:
    assert {"bigquery", "duckdb", "mysql", "oracle", "snowflake", "tsql"} <= set(dialects.known())
    for name in dialects.known():
        assert dialects.to_postgres("select 1", name).dialect


@hypothesis.settings(deadline=None)
@hypothesis.given(
    st.one_of(st.text(), st.text(alphabet="selct from`'\"\\/*-#;()\n", max_size=80)),
    st.sampled_from(["mysql", "tsql", "sqlite", "bigquery", "oracle", "snowflake", "duckdb"]),
)
def test_nothing_but_its_own_error_escapes(source: str, dialect: str) -> None:
    with contextlib.suppress(dialects.DialectError):
        assert isinstance(dialects.to_postgres(source, dialect).sql, str)
