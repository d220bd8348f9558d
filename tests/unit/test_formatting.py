"""pgcellar.notebook.formatting: white space alone, and only where the meaning is kept."""

from __future__ import annotations

import json
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pglast import parser

from pgcellar.notebook import cells, formatting, psqlscan, statements

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("source", "formatted"),
    [
        ("select   1", "select 1"),
        ("select a,b from t where a=1 and b<2", "select a, b from t where a = 1 and b < 2"),
        ("select -1,a - -1,a-1,count( * )", "select -1, a - -1, a - 1, count(*)"),
        ("select a::int,b[1],c->>'k',d@>e", "select a::int, b[1], c->>'k', d@>e"),
        ("select  t.*  ,  f ( 1 )  from  t", "select t.*, f (1) from t"),
        ("insert into t(a,b)values(1,2)", "insert into t(a, b)values(1, 2)"),
        (
            "select aaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbbb from cccccccccccccccccc"
            " where ddddddddd between 1 and 2 and eeeeeeeeee",
            "select aaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"
            "from cccccccccccccccccc\n"
            "where ddddddddd between 1 and 2 and eeeeeeeeee",
        ),
        (
            "select case when aaaaaaaaaaaaaaaaaaaaaaa then bbbbbbbbbbbbbbbbbbbbbb when"
            " cccccccccccccccc then dddddddddd else eeeeeeee end as x",
            "select\n    case\n"
            "        when aaaaaaaaaaaaaaaaaaaaaaa then bbbbbbbbbbbbbbbbbbbbbb\n"
            "        when cccccccccccccccc then dddddddddd\n"
            "        else eeeeeeee\n"
            "    end as x",
        ),
        (
            "create table t(id int primary key,b numeric(10,2) not null default 0,"
            "constraint c check(b>0 and b<1000000))",
            "create table t(\n    id int primary key,\n    b numeric(10, 2) not null default 0,\n"
            "    constraint c check(b > 0 and b < 1000000)\n)",
        ),
        ("select a, -- one\n b -- two\n from t", "select\n    a, -- one\n    b -- two\nfrom t"),
        ("select 1 ;  select   2;", "select 1 ;  select 2;"),
        ("-- above\nselect   1;\n-- below", "-- above\nselect 1;\n-- below"),
        ("%%session b\nselect   1", "%%session b\nselect 1"),
        ("select   a,b from t \\explain   analyze\n", "select a, b from t \\explain   analyze\n"),
        ("select   1 \\gset\n\\echo   a\nselect   2;", "select 1 \\gset\n\\echo   a\nselect 2;"),
    ],
)
def test_formatted(source: str, formatted: str) -> None:
    assert formatting.format(source) == formatted
    assert formatting.format(formatted) == formatted


@pytest.mark.parametrize(
    "source",
    [
        "",
        "  \n",
        "-- a   comment",
        "select 'a   b', E'\\n  x', $$  y  $$, $q$ ' $q$, \"a  b\", U&'\\0041  '",
        "select 'a'\n       'b'",
        "\\d   t",
        "\\copy t from 'f'   csv",
        "copy t from stdin;\n1\t2\n  select   1\n\\.\n",
        "select   :x,   :'y'",
        "select   (1",
        "selct   1",
        "do $$ begin   end $$",
        "create function f() returns int language sql as $$ select   1 $$",
        "-- dialect: mysql\nselect   1",
        "%%session b",
        "select   \0 1",
        "grant   select on t to u",
    ],
)
def test_left_alone(source: str) -> None:
    assert formatting.format(source) == source


def _texts() -> list[str]:
    """SQL that people wrote: the notebooks' cells, and the SQL files of the code and the tests."""
    found = []
    for path in sorted((ROOT / "notebooks").glob("**/*.ipynb")):
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                found.append("".join(cell["source"]))
    for folder in ("tests", "service"):
        found += [path.read_text() for path in sorted((ROOT / folder).glob("**/*.sql"))]
    return found


def _meaning(source: str) -> list[str]:
    """What state ids are made of: the canonical texts of statements, and the meta-commands."""
    parsed = cells.parse(source)
    if parsed.scanned != "always":
        return [parsed.digest]
    found = []
    scanner = psqlscan.Scanner(source)
    while (step := scanner.next({})) is not None:
        if isinstance(step, psqlscan.Query):
            found.append(statements.canonical(step.text))
            found += [scanner.copy_data() for _ in range(step.copies)]
        elif isinstance(step, psqlscan.MetaCommand):
            found += [step.name, step.rest]
        else:
            found.append(step.message)
    return found


def _trees(source: str) -> list[str]:
    """The parse trees of a text that has no meta-commands, without places."""
    return [
        json.dumps(formatting._bare(json.loads(parser.parse_sql_json(each.text))["stmts"]))
        for each in statements.split(source)
        if each.kind == "sql"
    ]


def test_what_people_wrote_means_the_same() -> None:
    """State ids do not move by formatting, and formatting again changes nothing."""
    changed = 0
    for text in _texts():
        after = formatting.format(text)
        changed += after != text
        assert _meaning(after) == _meaning(text)
        assert formatting.format(after) == after
        assert "".join(after.split()) == "".join(text.split())
        if "\\" not in text and "{" not in text:
            try:
                before = _trees(text)
            except parser.ParseError:
                continue
            assert [part.replace('"stmt_len"', "") for part in _trees(after)] == before
    assert changed > 10


_PIECES = st.sampled_from(
    [
        *(
            "select ",
            "a",
            ", ",
            "from ",
            "t ",
            "where ",
            "(",
            ")",
            "and ",
            "or ",
            " -- c\n",
            "/* d */",
        ),
        *(
            "'x  y'",
            "$$  $$",
            "1",
            "-",
            "+",
            " - ",
            "::int",
            "[",
            "]",
            "case ",
            "when ",
            "then ",
            "end ",
        ),
        *(
            "with x as (",
            "insert into t ",
            "values ",
            "update t set ",
            "= ",
            "join u ",
            "on ",
            ";\n",
        ),
        *(
            "group by ",
            "order by ",
            "union all ",
            "returning ",
            "*",
            ".",
            "\n",
            "   ",
            "\\g ",
            "e'\\''",
        ),
        *(
            "create table t (",
            "between ",
            "else ",
            "distinct ",
            "filter (",
            "over (",
            "partition by ",
        ),
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    ]
)


@given(st.text(max_size=60) | st.lists(_PIECES, max_size=40).map("".join))
def test_any_text_keeps_its_meaning(source: str) -> None:
    after = formatting.format(source)
    assert _meaning(after) == _meaning(source)
    assert formatting.format(after) == after


def test_deep_brackets_are_left_alone() -> None:
    source = f"select   {'(' * 300}1{')' * 300}"
    assert formatting.format(source) == source
