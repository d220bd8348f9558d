"""Results and errors as text, HTML and JSON."""

from __future__ import annotations

import dataclasses
import html.parser
import json
from typing import Any

import nbconvert
import nbformat
import pytest

from pgcellar.api import records, rendering


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A query, what it returns, and what psql 18 printed for it."""

    sql: str
    columns: list[tuple[str, str]]
    rows: list[tuple[str | None, ...]]
    text: str

    @property
    def result(self) -> rendering.Result:
        """What the query returns."""
        return table(self.columns, self.rows)


def table(
    columns: list[tuple[str, str]], rows: list[tuple[str | None, ...]], **more: Any
) -> rendering.Result:
    """A result of rows."""
    values: dict[str, Any] = {"command": f"SELECT {len(rows)}", "row_count": len(rows), **more}
    return rendering.Result(
        columns=tuple(records.Column(name=name, type=kind) for name, kind in columns),
        rows=tuple(rows),
        tabular=True,
        **values,
    )


CASES = [
    Case(
        sql="select 1",
        columns=[("?column?", "integer")],
        rows=[("1",)],
        text=" ?column? \n----------\n        1\n(1 row)",
    ),
    Case(
        sql="select null as a, null::int as b",
        columns=[("a", "text"), ("b", "integer")],
        rows=[(None, None)],
        text=" a | b \n---+---\n   |  \n(1 row)",
    ),
    Case(
        sql="select 1 as a where false",
        columns=[("a", "integer")],
        rows=[],
        text=" a \n---\n(0 rows)",
    ),
    Case(sql="select", columns=[], rows=[()], text="--\n(1 row)"),
    Case(
        sql="select 'a  ' as \"trailing blanks\"",
        columns=[("trailing blanks", "text")],
        rows=[("a  ",)],
        text=" trailing blanks \n-----------------\n a  \n(1 row)",
    ),
    Case(
        sql="values (1, 'a'), (22, 'bb'), (333, null)",
        columns=[("column1", "integer"), ("column2", "text")],
        rows=[("1", "a"), ("22", "bb"), ("333", None)],
        text=" column1 | column2 \n---------+---------\n"
        "       1 | a\n      22 | bb\n     333 | \n(3 rows)",
    ),
    Case(
        sql="select E'a\\nbb' as x, E'1\\n2\\n3' as y, 7 as z",
        columns=[("x", "text"), ("y", "text"), ("z", "integer")],
        rows=[("a\nbb", "1\n2\n3", "7")],
        text=" x  | y | z \n----+---+---\n a +| 1+| 7\n bb | 2+| \n    | 3 | \n(1 row)",
    ),
    Case(
        sql="select 5 as n, E'one\\ntwo' as x",
        columns=[("n", "integer"), ("x", "text")],
        rows=[("5", "one\ntwo")],
        text=" n |  x  \n---+-----\n 5 | one+\n   | two\n(1 row)",
    ),
    Case(
        sql="select 1 as \"two\nlines\", 'abc' as y",
        columns=[("two\nlines", "integer"), ("y", "text")],
        rows=[("1", "abc")],
        text="  two +|  y  \n lines |     \n-------+-----\n     1 | abc\n(1 row)",
    ),
    Case(
        sql="select E'a\\n' as x",
        columns=[("x", "text")],
        rows=[("a\n",)],
        text=" x \n---\n a+\n \n(1 row)",
    ),
    Case(
        sql="select '日本語' as \"名前\", 1 as n",
        columns=[("名前", "text"), ("n", "integer")],
        rows=[("日本語", "1")],
        text="  名前  | n \n--------+---\n 日本語 | 1\n(1 row)",
    ),
    Case(
        sql="select U&'e\\0301' as a, U&'\\+01F469\\200D\\+01F467' as b, 1 as c",
        columns=[("a", "text"), ("b", "text"), ("c", "integer")],
        rows=[("e\u0301", "\U0001f469\u200d\U0001f467", "1")],
        text=" a |  b   | c \n---+------+---\n e\u0301 | \U0001f469\u200d\U0001f467 | 1\n(1 row)",
    ),
    Case(
        sql="select E'\\x1b[31mred' as esc, E'a\\rb' as cr, U&'\\009B' as csi",
        columns=[("esc", "text"), ("cr", "text"), ("csi", "text")],
        rows=[("\x1b[31mred", "a\rb", "\x9b")],
        text="     esc     |  cr  |  csi   \n-------------+------+--------\n"
        " \\x1B[31mred | a\\rb | \\u009B\n(1 row)",
    ),
    Case(
        sql="select E'a\\tb' as tab, E'12345678\\t9' as tab2",
        columns=[("tab", "text"), ("tab2", "text")],
        rows=[("a\tb", "12345678\t9")],
        text="    tab    |       tab2        \n-----------+-------------------\n"
        " a       b | 12345678        9\n(1 row)",
    ),
    Case(
        sql="select 1.5::numeric(10,2) as a, 2::float8 as b, 4::money as c, true as d",
        columns=[
            ("a", "numeric(10,2)"),
            ("b", "double precision"),
            ("c", "money"),
            ("d", "boolean"),
        ],
        rows=[("1.50", "2", "$4.00", "t")],
        text="  a   | b |   c   | d \n------+---+-------+---\n 1.50 | 2 | $4.00 | t\n(1 row)",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sql)
def test_text_is_psqls(case: Case) -> None:
    """To the last blank."""
    assert rendering.as_text(case.result) == case.text


def test_text_of_a_command_is_its_tag() -> None:
    """With its rows, where it returns any."""
    assert rendering.as_text(rendering.Result(command="CREATE TABLE")) == "CREATE TABLE"
    returning = table([("a", "integer")], [("1",)], command="INSERT 0 1")
    assert rendering.as_text(returning) == " a \n---\n 1\n(1 row)\n\nINSERT 0 1"


def test_text_says_what_is_not_shown() -> None:
    """A truncated result has more rows than it shows."""
    result = table([("a", "integer")], [("1",), ("2",)], row_count=10_000_000, truncated=True)
    assert rendering.as_text(result).endswith("\n(10000000 rows; the first 2 are shown)")
    assert "(10000000 rows; the first 2 are shown)" in rendering.as_html(result)
    page = dataclasses.replace(result, offset=40)
    assert rendering.as_text(page).endswith("\n(10000000 rows; rows 41 to 42 are shown)")


def test_text_shows_marks_that_reorder() -> None:
    """psql doesn't; but the row would read otherwise than it is."""
    text = rendering.as_text(table([("a", "text")], [("user\u202e nimda\u2066",)]))
    assert "user\\u202E nimda\\u2066" in text


class Outline(html.parser.HTMLParser):
    """The tags and the text of a fragment."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(fragment)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag begins."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """A text."""
        self.texts.append(data)


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</td></table><b>",
        "' style='x",
        "&lt;i&gt;",
        "{value} {0} %s",
        "<!-- ",
    ],
)
def test_html_makes_no_markup_of_values(hostile: str) -> None:
    """Nor of names, types or command tags."""
    result = table([(hostile, hostile)], [(hostile,)], command=hostile)
    outline = Outline(rendering.as_html(result))
    assert set(outline.tags) <= {"div", "table", "thead", "tbody", "tr", "th", "td"}
    assert {name for name, _ in outline.attributes} <= {"style", "title"}
    assert outline.texts.count(hostile) == 2


def test_html_tells_null_from_text() -> None:
    """And aligns numbers to the right."""
    shown = rendering.as_html(
        table([("a", "text"), ("n", "integer")], [(None, "1"), ("NULL", "2")])
    )
    assert shown.count('font-style:italic">NULL</span>') == 1
    assert shown.count("text-align:right") == 3


def test_json_round_trips() -> None:
    """Values as PostgreSQL's text, null as null."""
    body = rendering.as_json(table([("a", "integer")], [("1",), (None,)], ms=1.5))
    assert json.loads(json.dumps(body)) == {
        "command": "SELECT 2",
        "columns": [{"name": "a", "type": "integer"}],
        "rows": [["1"], [None]],
        "row_count": 2,
        "truncated": False,
        "ms": 1.5,
        "statement": 0,
    }


def test_a_bundle_has_html_where_there_are_rows() -> None:
    """Text and JSON it always has."""
    rows = rendering.mime_bundle(table([("a", "integer")], []))
    assert list(rows) == ["text/plain", "text/html", rendering.MIME]
    assert list(rendering.mime_bundle(rendering.Result(command="SET"))) == [
        "text/plain",
        rendering.MIME,
    ]


def test_a_notebook_as_html_has_a_plain_table() -> None:
    """As whoever has neither our extension nor a kernel sees it, with the number of all rows."""
    result = table([("name", "text"), ("n", "integer")], [["<b>Ada</b>", "1"], [None, "2"]])
    result = dataclasses.replace(result, row_count=1_000_000, truncated=True)
    output = nbformat.v4.new_output("display_data", rendering.mime_bundle(result))
    cell = nbformat.v4.new_code_cell("select name, n from t", outputs=[output])
    page, _ = nbconvert.HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    shown = page[page.index("<table") :]
    assert shown.count("<tr>") == 3
    assert "&lt;b&gt;Ada&lt;/b&gt;" in shown
    assert "<b>Ada" not in page
    assert "NULL" in shown
    assert "1000000 rows; the first 2 are shown" in shown.replace(",", "")


# --- errors and notices: expected texts are psql's, with the SQLSTATE put in -------------------

MISSING = 'ERROR:  42703: column "nope" does not exist'


def missing(source: str) -> str:
    """The error on the column `nope` in a source."""
    error = records.SqlError(
        sqlstate="42703",
        message='column "nope" does not exist',
        position=source.index("nope") + 1,
    )
    return rendering.render_error(error, source)


@pytest.mark.parametrize(
    ("source", "excerpt"),
    [
        ("select nope", "LINE 1: select nope\n               ^"),
        ("select 1,\n  2,\n\tnope from t", "LINE 3:  nope from t\n         ^"),
        ("select 'a\tb',\tnope", "LINE 1: select 'a b', nope\n                      ^"),
        ("select 1\r\n, nope\r\n, 3", "LINE 2: , nope\n          ^"),
        ("select '日本語', nope", "LINE 1: select '日本語', nope\n                         ^"),
        (
            "select " + "1," * 60 + "nope",
            "LINE 1: ...1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,nope\n"
            "                                                                   ^",
        ),
        (
            "select nope, " + "2," * 60 + "3",
            "LINE 1: select nope, 2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2...\n"
            "               ^",
        ),
        (
            "select " + "1," * 60 + "nope," + "2," * 60 + "3",
            "LINE 1: ...1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,nope,2,2,2...\n"
            "                                                             ^",
        ),
        (
            "select " + "'日本語'," * 20 + "nope," + "'日本'," * 20 + "1",
            "LINE 1: ...語','日本語','日本語','日本語','日本語','日本語',nope,'日本...\n"
            "                                                            ^",
        ),
    ],
)
def test_an_error_shows_its_line_as_psql_does(source: str, excerpt: str) -> None:
    """Shortened where it is long; a caret under the position, counted in columns."""
    assert missing(source) == f"{MISSING}\n{excerpt}"


def test_a_caret_counts_no_combining_marks() -> None:
    """libpq counts each as a column, and its caret stands beside the place."""
    line, caret = missing("select 'e\u0301e\u0301', nope").splitlines()[1:]
    assert caret.index("^") == line.replace("\u0301", "").index("nope")


def test_an_error_has_its_parts_in_psqls_order() -> None:
    """Each on a line of its own."""
    error = records.SqlError(
        sqlstate="23505",
        message="duplicate key",
        severity="FATAL",
        detail="Key (a)=(1) already exists.",
        hint="Don't.",
        context="line 1 at SQL statement",
    )
    assert rendering.render_error(error, "").splitlines() == [
        "FATAL:  23505: duplicate key",
        "DETAIL:  Key (a)=(1) already exists.",
        "HINT:  Don't.",
        "CONTEXT:  line 1 at SQL statement",
    ]


@pytest.mark.parametrize(("position", "shown"), [(0, False), (1, True), (4, True), (5, False)])
def test_a_position_outside_of_the_source_is_not_shown(position: int, shown: bool) -> None:
    """Just behind its end is inside: that is where a text that breaks off is wrong."""
    error = records.SqlError(sqlstate="42601", message="m", position=position)
    assert ("LINE 1: " in rendering.render_error(error, "sel")) is shown


def test_nothing_in_an_error_moves_the_cursor() -> None:
    """Messages, and the source itself, may hold what the user's data holds."""
    error = records.SqlError(
        sqlstate="P0001", message="a\x1b[2J\nb", detail="\x9b", hint="\x07", position=1
    )
    text = rendering.render_error(error, "\x1b]0;title\x07select")
    notice = records.Notice(
        statement=0, severity="NOTICE", sqlstate="00000", message="\x1b[1m", hint="h", detail="d"
    )
    text += rendering.render_notice(notice)
    assert not [c for c in text if c != "\n" and not c.isprintable()]
    assert rendering.render_notice(notice) == "NOTICE:  \\x1B[1m\nDETAIL:  d\nHINT:  h"


# --- gathering events -------------------------------------------------------------------------


def test_events_become_one_result_per_statement() -> None:
    """Each as soon as it is complete."""
    column = records.Column(name="a", type="integer")
    notice = records.Notice(statement=1, severity="NOTICE", sqlstate="00000", message="hi")
    results = rendering.Results()
    taken = [
        results.take(event)
        for event in (
            records.Started(run="r"),
            records.Columns(statement=0, columns=(column,)),
            records.Rows(statement=0, rows=(("1",),)),
            records.Rows(statement=0, rows=(("2",), (None,))),
            records.Completed(
                statement=0, command="SELECT 3", row_count=3, truncated=False, ms=2.0
            ),
            notice,
            records.Completed(statement=1, command="DO", row_count=None, truncated=False, ms=1.0),
        )
    ]
    first = table([("a", "integer")], [("1",), ("2",), (None,)], ms=2.0)
    second = rendering.Result(command="DO", notices=(notice,), ms=1.0, statement=1)
    assert [result for result in taken if result] == results.results() == [first, second]


def test_notices_before_an_error_are_kept() -> None:
    """The statement they belong to has no result."""
    notice = records.Notice(statement=0, severity="WARNING", sqlstate="01000", message="careful")
    results = rendering.Results()
    assert results.take(notice) is None
    assert results.results() == [rendering.Result(command="", notices=(notice,))]


def test_rows_that_nobody_counts() -> None:
    """As in what `\\d` shows of a table."""
    result = table([("a", "text")], [("x",)], row_count=None)
    assert rendering.as_text(result) == " a \n---\n x"
    assert "row" not in rendering.as_html(result)
