"""pgcellar.notebook.psqlscan: psql's rules one by one; that they are psql's, it says itself.

`tests/integration/test_psqlscan_against_psql.py` asks it; here is what it can't show: offsets,
arguments, and what a notebook refuses.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar.notebook import psqllex, psqlscan, psqlslash, psqlvars


def steps(source: str, variables: Mapping[str, str] | None = None) -> list[psqlscan.Step]:
    """All steps; `\\set` and `\\unset` are done."""
    known = dict(variables or {})
    scanner = psqlscan.Scanner(source)
    out = []
    while (step := scanner.next(known)) is not None:
        out.append(step)
        if isinstance(step, psqlscan.MetaCommand) and step.name == "set":
            known[step.arguments[0]] = "".join(step.arguments[1:])
        if isinstance(step, psqlscan.MetaCommand) and step.name == "unset":
            known.pop(step.arguments[0], None)
    return out


def queries(source: str, variables: Mapping[str, str] | None = None) -> list[str]:
    return [s.text for s in steps(source, variables) if isinstance(s, psqlscan.Query)]


def problems(source: str) -> list[tuple[str, int]]:
    return [(s.message, s.start) for s in steps(source) if isinstance(s, psqlscan.Problem)]


def command(source: str, variables: Mapping[str, str] | None = None) -> psqlscan.MetaCommand:
    (found,) = steps(source, variables)
    assert isinstance(found, psqlscan.MetaCommand)
    return found


def query(source: str, variables: Mapping[str, str] | None = None) -> psqlscan.Query:
    found = steps(source, variables)[0]
    assert isinstance(found, psqlscan.Query)
    return found


OPAQUE = """select ';' , ";", $$;$$, $a$;$$;$a$, e'\\';', u&';' /* ; /* ; */ ; */ -- ;"""
ROUTINE = "create function f() begin atomic a; select case end; b; end"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", []),
        (" \n-- c\n", []),
        (";", [""]),
        ("select 1", ["select 1"]),
        ("select 1; select 2;\n", ["select 1", "select 2"]),
        (OPAQUE, [OPAQUE]),
        ("select (1; (2); 3); 4", ["select (1; (2); 3)", "4"]),
        ("select 1); select 2", ["select 1)", "select 2"]),
        ("select 'a' -- c\n\n\n 'b;'", ["select 'a' -- c\n 'b;'"]),
        ("select 'a\n\n;'", ["select 'a\n\n;'"]),
        ("/* c */ -- d\n select 1", ["/* c */ -- d\n select 1"]),
        ("select 1\\;select 2\\:; select 3", ["select 1;select 2:", "select 3"]),
        ("select '\\'; select 2", ["select '\\'", "select 2"]),
        ("select e'\\'; select 2", ["select e'\\'; select 2"]),
        (f"{ROUTINE}; c", [ROUTINE, "c"]),
        ("\ufeffselect 1", ["select 1"]),
    ],
)
def test_queries(source: str, expected: list[str]) -> None:
    assert queries(source) == expected


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [
        ("select :x", "1", "select 1"),
        ("select :'x', :\"x\"", "a'b\"c", "select 'a''b\"c', \"a'b\"\"c\""),
        ("select :'x'", "a\\b", "select  E'a\\\\b'"),
        ("select :{?x}, :{?y}", "", "select TRUE, FALSE"),
        ("select 1::x, :=x, ':x', \":x\", $$:x$$ /*:x*/ -- :x", "1", None),
        ("select :::x, a[1:2], :xy, :'y', : x, :'x", "1", None),
        ("select :x", ":x :y", "select :x :y"),
        ("select \\:x", "1", "select :x"),
        ("select :é", "1", None),
    ],
)
def test_variables(source: str, value: str, expected: str | None) -> None:
    if expected is None:
        expected = source.replace(":::x", "::1")
    assert queries(source, {"x": value}) == [expected]
    assert query(source, {"x": value}).interpolated == (expected not in (source, "select :x"))


def test_a_value_is_scanned_like_the_text() -> None:
    found = steps("select :x there; b", {"x": "1; select 2 \\echo hi "})
    assert [type(step) for step in found] == [
        psqlscan.Query,
        psqlscan.MetaCommand,
        psqlscan.Query,
    ]
    assert queries("select :x;' ; b", {"x": "'"}) == ["select ';' ", "b"]
    assert queries("select :x ; */ 1; b", {"x": "/*"}) == ["select /* ; */ 1", "b"]
    assert queries(":x f() begin ; end; b", {"x": "create function"}) == [
        "create function f() begin ; end",
        "b",
    ]


def test_variables_are_those_of_the_moment() -> None:
    assert queries("select :x \\set x 2 \\\\ , :x;", {"x": "1"}) == ["select 1  , 2"]
    scanner = psqlscan.Scanner("select 1 as x \\gset\nselect :x;")
    first = scanner.next({})
    assert isinstance(first, psqlscan.Query)
    assert first.ending is not None
    second = scanner.next({"x": "7"})
    assert isinstance(second, psqlscan.Query)
    assert second.text == "select 7"


def test_starts_are_offsets_in_the_source() -> None:
    source = "-- c\n  select 1,\n\n \\echo hi\n 2;/* d */z"
    echo, first, last = steps(source)
    assert source[echo.start :].startswith("\\echo")
    assert source[first.start :].startswith("select")
    assert source[last.start :].startswith("/* d */z")


def test_offsets_in_an_interpolated_query() -> None:
    source = "-- c\n  select :x,\n\n 'é' :'x' \\; y"
    found = query(source, {"x": "long value"})
    assert found.text == "select long value,\n 'é' 'long value' ; y"
    assert found.start == source.index("select")
    for part in ("select", ",", "'é'", "; y", "y"):
        assert found.source_offset(found.text.index(part)) == source.index(part)
    assert found.source_offset(found.text.index("value")) is None
    assert found.source_offset(found.text.rindex("value")) is None
    assert found.source_offset(len(found.text)) == len(source)
    assert found.source_offset(len(found.text) + 1) is None
    assert found.source_offset(-1) is None


def test_what_a_value_holds_starts_at_its_reference() -> None:
    source = "select 1; :x 2"
    found = steps(source, {"x": "select 3; \\echo a\\\\ select 4"})
    assert [step.start for step in found] == [0, *[source.index(":x")] * 3]


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        ("\\echo", ()),
        ("\\echo  a\tb  ", ("a", "b")),
        ("\\echo 'a b' 'it''s' ''", ("a b", "it's", "")),
        ("\\echo a'b c'd\"e f\"", ('ab cd"e f"',)),
        (r"\echo '\n\t\b\r\f\q\\\'\x41\101\303\251'", ("\n\t\b\r\fq\\'AAé",)),
        (r"\echo '\377' 'a\0b'", ("�", "a")),
        ("\\echo :x :'x' :\"x\" :{?x} :{?y}", ("v w", "'v w'", '"v w"', "TRUE", "FALSE")),
        ("\\echo a:x ':x' \":x\" :y :'y' : :: :'x :{x", None),
        ("\\echo a; ';'", ("a;", ";")),
        ("\\dt a;; ';'", ("a", ";")),
        ("\\gset x;", None),
        ("\\o |cat 'a b' \\\\ c", ("|cat 'a b' \\\\ c",)),
        ("\\copy t from 'a b' :x \\\\ c", ("t from 'a b' :x \\\\ c",)),
        ("\\COPY t", ("t",)),
        ("\\! ls `date` ", ("ls `date` ",)),
        ("\\h create  table", ("create  table",)),
        ('\\c "A""b" Cd', ('A"b', "Cd")),
        ('\\password "Ab"Cd', ("Abcd",)),
    ],
)
def test_arguments(source: str, arguments: tuple[str, ...] | None) -> None:
    if source.startswith("\\gset"):
        ending = query(source).ending
        assert ending is not None
        assert ending.arguments == ("x;",)
    elif arguments is None:
        assert problems(source) == [(psqlslash.UNTERMINATED, 0)]
    else:
        assert command(source, {"x": "v w"}).arguments == arguments


def test_options_of_g() -> None:
    def ending(source: str) -> psqlscan.MetaCommand | None:
        return query(source).ending

    for source, arguments in (
        ("select 1 \\g", ()),
        ("select 1 \\g 'a b'", ("a b",)),
        ("select 1 \\gx |cat 'a' \\g", ("|cat 'a' \\g",)),
        ("select 1 \\g (format=csv expanded=on) |cat b", ("(format=csv", "expanded=on)", "|cat b")),
        ("select 1 \\g (format=csv) f |cat", ("(format=csv)", "f", "|cat")),
    ):
        found = ending(source)
        assert found is not None
        assert found.arguments == arguments


def test_what_was_typed() -> None:
    found = command("  \\set x  'a b' :x \\\\", {"x": "1"})
    assert (found.name, found.rest, found.start) == ("set", "x  'a b' :x", 2)
    assert found.arguments == ("x", "a b", "1")
    assert found.quoted == (False, True, True)


@pytest.mark.parametrize("name", ["g", "gx", "gset", "gexec", "gdesc", "crosstabview", "watch"])
def test_commands_that_send(name: str) -> None:
    found = query(f"select (1 \\{name} \\\\ ;")
    assert found.text == "select (1 "
    assert found.ending is not None
    assert found.ending.name == name
    assert queries(f"select (1 \\{name} \\\\ 2; 3") == ["select (1 ", "2", "3"]


def test_an_empty_buffer_sends_the_query_before() -> None:
    first, again = steps("select 1;\n\\gx")
    assert isinstance(first, psqlscan.Query)
    assert isinstance(again, psqlscan.Query)
    assert (again.text, again.start, again.source_offset(7)) == ("select 1", 0, 7)
    assert again.ending is not None
    assert queries("\\g") == [""]
    assert problems("\\watch") == [("\\watch cannot be used with an empty query", 0)]
    assert problems("select 1 \\parse") == [("\\parse: missing required argument", 9)]


def test_a_command_in_the_midst_of_a_query() -> None:
    source = "select $1\n\\bind 5\n, 2 \\echo a \\\\ , 3 \\g"
    bind, echo, found = steps(source)
    assert isinstance(bind, psqlscan.MetaCommand)
    assert bind.arguments == ("5",)
    assert isinstance(echo, psqlscan.MetaCommand)
    assert isinstance(found, psqlscan.Query)
    assert found.text == "select $1\n, 2  , 3 "


def test_the_query_buffer() -> None:
    scanner = psqlscan.Scanner("select 1;\nselect 2\n\\p\n\\r\n\\p\n")
    assert scanner.previous is None
    scanner.next({})
    assert scanner.previous is not None
    assert scanner.previous.text == "select 1"
    scanner.next({})
    assert scanner.buffer == "select 2"
    scanner.next({})
    assert scanner.buffer == ""
    scanner.next({})
    assert scanner.next({}) is None


def test_quitting() -> None:
    found = steps("select 1 \\q\nselect 2; \\if 1")
    assert [type(step) for step in found] == [psqlscan.MetaCommand, psqlscan.Query]
    assert queries("\\if 1\nselect 1 \\q\n\\endif") == ["select 1 "]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("\\if 1\na;\\elif 1\nb;\\else\nc;\\endif\nd", ["a", "d"]),
        ("\\if 0\na;\\elif 1\nb;\\else\nc;\\endif\nd", ["b", "d"]),
        ("\\if 0\na;\\elif 0\nb;\\else\nc;\\endif\nd", ["c", "d"]),
        (
            "\\if 0 \\if 1 \\\\ a; \\else \\\\ b; \\endif \\\\ c; \\else \\\\ d; \\endif \\\\ e",
            ["d", "e"],
        ),
        ("\\if :{?x} \\\\ a; \\endif b", []),
        ("select a\n\\if 0\n, (b\n\\else\n, c\n\\endif\n, d; e", ["select a\n, c\n, d", "e"]),
        ("\\if 0\n'\n\\endif\n'; \\endif\na", ["a"]),
        ("\\if 0\n\\g\n\\o |x \\endif\n\\copy x \\endif\n\\endif\na", ["a"]),
    ],
)
def test_branches(source: str, expected: list[str]) -> None:
    assert [text.strip() for text in queries(source)] == expected


@pytest.mark.parametrize("word", ["true", "T", "tr", "yes", "y", "ON", "on", "1"])
def test_true(word: str) -> None:
    assert psqlvars.boolean(word) is True


@pytest.mark.parametrize("word", ["false", "F", "no", "n", "OFF", "of", "0"])
def test_false(word: str) -> None:
    assert psqlvars.boolean(word) is False


@pytest.mark.parametrize("word", ["", "o", "truee", "2", "01", "offf", ":x", "a b"])
def test_neither_true_nor_false(word: str) -> None:
    assert psqlvars.boolean(word) is None
    message = f'unrecognized value "{word}" for "\\if expression": Boolean expected'
    source = f"\\if '{word}'\nselect 1;\n\\else\nselect 2;\n\\endif"
    assert problems(source) == [(message, 0)]
    assert queries(source) == ["select 2"]


@pytest.mark.parametrize(
    ("source", "message", "start"),
    [
        ("\\endif", "\\endif: no matching \\if", 0),
        (" \\else x \\\\ y", "\\else: no matching \\if", 1),
        ("\\elif 1", "\\elif: no matching \\if", 0),
        ("\\if 1\n\\else\n\\else\n\\endif", "\\else: cannot occur after \\else", 12),
        ("\\if 1\n\\else\n\\elif 0\n\\endif", "\\elif: cannot occur after \\else", 12),
        ("x;\\if 1\n\\if 0", "reached EOF without finding closing \\endif(s)", 2),
        ("\\foo bar \\\\ ;", "invalid command \\foo", 0),
        ("\\ foo", "invalid command \\", 0),
        ("\\if 0\n\\foo\n\\endif", "invalid command \\foo", 6),
        ("\\echo 'a", "unterminated quoted string", 0),
        ('\\echo "a', "unterminated quoted string", 0),
        ("\\echo `date`", psqlslash.BACKQUOTES, 0),
        ("\\if `true`\n\\endif", psqlslash.BACKQUOTES, 0),
        ("\\set x `date`", psqlslash.BACKQUOTES, 0),
        ("\\.", "invalid command \\.", 0),
    ],
)
def test_problems(source: str, message: str, start: int) -> None:
    if source.startswith("\\set"):
        scanner = psqlscan.Scanner(source)
        step = scanner.next({})
        assert isinstance(step, psqlscan.Problem)
        assert (step.message, step.start) == (message, start)
        assert step.hint
    else:
        assert problems(source) == [(message, start)]


def test_a_query_stays_when_its_command_has_a_problem() -> None:
    problem, found = steps("select 1 \\g `date`\n, 2;")
    assert isinstance(problem, psqlscan.Problem)
    assert isinstance(found, psqlscan.Query)
    assert found.text == "select 1 \n, 2"


def copied(source: str, count: int = 1) -> tuple[list[str], list[str]]:
    """The data of the first query's COPYs, and the queries after it."""
    scanner = psqlscan.Scanner(source)
    scanner.next({})
    data = [scanner.copy_data() for _ in range(count)]
    rest = []
    while (step := scanner.next({})) is not None:
        assert isinstance(step, psqlscan.Query)
        rest.append(step.text)
    return data, rest


@pytest.mark.parametrize(
    ("below", "data", "rest"),
    [
        ("\n1\n2\n\\.\nselect 2", "1\n2\n", ["select 2"]),
        ("\n\\.\nselect 2", "", ["select 2"]),
        (" select 0;\n'\n\\.\nselect 2", "'\n", ["select 0", "select 2"]),
        (" select 0\n1\n\\.\n\n + 2", "1\n", ["select 0\n + 2"]),
        (" select '0\n1\n\\.\n\n'", "1\n", ["select '0\n\n'"]),
        ("\n1\r\n\\.\r\nselect 2", "1\r\n", ["select 2"]),
        ("\n1\n\\.x\n \\.\n", "1\n\\.x\n \\.\n", []),
        ("\n1\n2", "1\n2", []),
        ("\n1\n\\.", "1\n", []),
        ("\n", "", []),
        ("", "", []),
    ],
)
def test_data(below: str, data: str, rest: list[str]) -> None:
    assert copied("copy t from stdin;" + below) == ([data], rest)


def test_data_of_two() -> None:
    source = "copy t from stdin\\; copy t from stdin; select 0;\n1\n\\.\n2\n\\.\nselect 3"
    assert copied(source, 2) == (["1\n", "2\n"], ["select 0", "select 3"])
    source = "copy t from stdin; copy t from stdin;\n1\n\\.\n2\n\\.\nselect 3"
    scanner = psqlscan.Scanner(source)
    data = []
    for _ in range(2):
        scanner.next({})
        data.append(scanner.copy_data())
    assert data == ["1\n", "2\n"]
    last = scanner.next({})
    assert isinstance(last, psqlscan.Query)
    assert (last.text, last.start) == ("select 3", source.index("select 3"))
    assert last.source_offset(3) == source.index("select 3") + 3


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("copy t from stdin", 1),
        ("COPY s.t (a, b) FROM /* c */ STDIN with (format csv)", 1),
        ("copy t from stdin\\; select 1\\; copy t from stdout", 2),
        ("copy t from 'stdin'", 0),
        ("copy (select from stdin) to stdout", 0),
        ("copy from from stdin", 0),
        ("select copy from stdin", 0),
    ],
)
def test_copies_are_counted(source: str, count: int) -> None:
    assert query(source).copies == count
    assert query(f"{source} \\g").copies == count


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("select 1", True),
        ("select 1::int, a := 1, b[1 : 2], '{\"a\": 1}'", True),
        ('select 1::int::text, (a)::"char"', True),
        ("select e'\\n'", False),
        ("select :x", False),
        ("select :'x'", False),
        ('select :"x"', False),
        ("select :{?x}", False),
        ("select :::x", False),
        ("select ':é'", False),
        ("\\d", False),
    ],
)
def test_plain_texts(source: str, plain: bool) -> None:
    assert psqlscan.is_plain(source) is plain


PIECES = (
    *(
        "select ",
        "'",
        "''",
        '"',
        "e'",
        "$$",
        "$a$",
        "--",
        "/*",
        "*/",
        "(",
        ")",
        ";",
        "\\;",
        "\n",
        " ",
    ),
    *(":x", ":'x'", ":y", "\\g\n", "\\echo a ", "\\if 1\n", "\\if 0\n", "\\else\n", "\\endif\n"),
    *(
        "\\set x 1\n",
        "\\\\",
        "\\",
        "`",
        "é",
        "begin ",
        "end ",
        "create function ",
        "\r",
        "\r\n",
        "1",
    ),
)
texts = st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text()


@given(source=texts, x=texts, y=texts)
def test_any_text_is_taken(source: str, x: str, y: str) -> None:
    variables = {"x": x, "y": y}
    scanner = psqlscan.Scanner(source)
    end = 0
    while (step := scanner.next(variables)) is not None:
        assert 0 <= step.start <= len(source)
        if not isinstance(step, psqlscan.Query):
            continue
        for position, character in enumerate(step.text):
            offset = step.source_offset(position)
            if offset is None:
                assert step.interpolated
            else:
                assert source[offset] == character
        if step.ending is None and step.text and not step.interpolated:
            assert step.start >= end
            end = step.start
    assert scanner.next(variables) is None


@given(source=texts)
def test_plain_texts_are_queries_alone(source: str) -> None:
    if psqlscan.is_plain(source):
        found = steps(source, {"x": "1"})
        assert all(isinstance(step, psqlscan.Query) for step in found)
        assert not any(step.interpolated for step in found if isinstance(step, psqlscan.Query))


@given(source=texts.filter(lambda text: "\r" not in text))
def test_runs_change_nothing(source: str) -> None:
    """The expressions that take much at once find what the rules find one by one."""

    class Slow(psqlscan.Scanner):
        def __init__(self, source: str) -> None:
            super().__init__(source)
            self._lexer._runs = False

    def run(scanner: psqlscan.Scanner) -> list[psqlscan.Step]:
        return list(iter(lambda: scanner.next({"x": "1"}), None))

    assert run(Slow(source)) == run(psqlscan.Scanner(source))


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "source",
    [
        "select '" + "x" * 10 * MEGABYTE + "';",
        "select '" + "x" * 10 * MEGABYTE,
        "select $a$" + "x $ \n" * 2 * MEGABYTE + "$a$;",
        "select e'" + "\\n" * 5 * MEGABYTE + "';",
        "insert into t values " + "(1, (f(g(2))), 'it''s'),\n" * 200_000 + "(1);",
        "\n" * MEGABYTE + "-- c\n" * 200_000,
        "select " + "(" * 10_000 + ")" * 10_000,
        "select " + "((((((a " * 2_000,
        "select '" * 2_000,
        "\\echo a \\\\ " * 2_000,
        "select 1\n" + "\\if 0\n, 2\n\\endif\n" * 1_000,
        "copy t from stdin;\n" + "1\t2\n" * MEGABYTE,
    ],
    ids=lambda source: re.sub(r"\s+", " ", source[:20]),
)
def test_long_texts_take_linear_time(source: str) -> None:
    started = time.perf_counter()
    steps(source)
    # Milliseconds, where nothing else runs; minutes, were the time quadratic.
    assert time.perf_counter() - started < 5


def test_output_is_cut_anywhere() -> None:
    output = psqllex.Output()
    for text, offset in (("abc", 0), ("def", psqllex.NOWHERE), ("g", 9), ("h", 10)):
        output.add(text, offset, 0)
    for length in range(8, -1, -1):
        output.cut(length)
        assert (output.text, output.length) == ("abcdefgh"[:length], length)
        assert output.pieces == [p for p in [(0, 0), (3, -1), (6, 9)] if p[0] < length]
