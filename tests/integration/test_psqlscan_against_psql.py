"""pgcellar.notebook.psqlscan against psql: of one text, both send the same queries.

`psql --echo-queries` writes each query as it sends it. A driver of the scanner has to write the
same; it does for `\\set`, `\\gset`, `\\echo` and `\\p` what psql does, and runs the queries on a
connection of its own.
"""

from __future__ import annotations

import contextlib
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from tests import contents
from tests import oracle as oracles

from pgcellar.notebook import psqlscan, psqlslash

DATABASE = "psqlscan"
PSQL = ("--no-psqlrc", "--quiet", "--echo-queries", "--output=/dev/null", "--file=script.sql")
_ERROR = re.compile(r"^psql:script\.sql:\d+: error: (.*)", re.MULTILINE)
_WORD = re.compile(r"\s*(?![ebnx]'|u&)[a-zé_]", re.IGNORECASE)
#: What psql says of a query's results, and of strings that it goes on without.
_NOT_SCANNING = re.compile(r".*\\gset$|invalid variable name|unterminated quoted string")

Outcome = tuple[str, list[str]]
Compare = Callable[[str], None]


class Unfit(Exception):
    """The scanner chose to differ from psql here."""


@pytest.fixture(scope="module")
def address(oracle: oracles.Oracle) -> Iterator[contents.Address]:
    """An empty database, but for the table t."""
    with contextlib.closing(oracle.address("postgres").connect()) as connection:
        connection.execute(f"create database {DATABASE}")
        found = oracle.address(DATABASE)
        with contextlib.closing(found.connect()) as inside:
            inside.execute("create table t(a text)")
        yield found
        connection.execute(f"drop database {DATABASE} with (force)")


@pytest.fixture(scope="module")
def compare(address: contents.Address, bindir: pathlib.Path) -> Iterator[Compare]:
    """Asserts that psql and the scanner make the same of a text."""
    with (
        contextlib.closing(address.connect()) as connection,
        tempfile.TemporaryDirectory(prefix="psqlscan-") as folder,
    ):

        def assert_same(source: str) -> None:
            script = pathlib.Path(folder, "script.sql")
            script.write_text(source, encoding="utf-8", newline="")
            done = subprocess.run(
                [bindir / "psql", *PSQL],
                env={"LC_ALL": "C", "PGCLIENTENCODING": "UTF8", **address.environment()},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=oracles.PSQL_TIMEOUT_S,
                check=False,
            )
            said = _ERROR.findall(done.stderr.decode())
            errors = [message for message in said if not _NOT_SCANNING.match(message)]
            expected = (done.stdout.decode(), errors)
            driver = Driver(source, connection)
            shown, problems = driver.run()
            if driver.last is not None and driver.last.semicolon:
                shown = shown.removesuffix("\n") + ";\n"
            assert (shown, problems) == expected

        yield assert_same


class Driver:
    """Does what psql would, as far as the scanner's steps depend on it."""

    def __init__(self, source: str, connection: psycopg.Connection[Any]) -> None:
        self._source = source
        self._scanner = psqlscan.Scanner(source)
        self._connection = connection
        self._variables: dict[str, str] = {}
        self._previous = ""
        self._pieces: tuple[tuple[int, int], ...] = ()
        self._shown: list[str] = []
        #: The last query, if it was the last thing shown and no command ended it.
        self.last: psqlscan.Query | None = None

    def run(self) -> Outcome:
        """What is shown on stdout, and the first lines of the scanner's problems."""
        problems = []
        while (step := self._scanner.next(self._variables)) is not None:
            if isinstance(step, psqlscan.Problem):
                if step.message in (psqlslash.UNTERMINATED, psqlslash.BACKQUOTES):
                    raise Unfit
                problems.append(step.message.partition("\n")[0])
                continue
            if self.last is not None:
                self._shown[-1] += ";"
                self._previous = self._shown[-1]
                self.last = None
            if isinstance(step, psqlscan.Query):
                self._query(step)
            else:
                self._command(step)
        self._connection.execute("rollback")
        self._connection.execute("reset all")
        return "".join(f"{line}\n" for line in self._shown), problems

    def _query(self, query: psqlscan.Query) -> None:
        again = not query.text or query.pieces is self._pieces
        if query.ending is None or not again:
            self._previous = query.text
        self._pieces = query.pieces
        self._shown.append(self._previous)
        if query.ending is None:
            self.last = query
        self._execute(query)

    def _execute(self, query: psqlscan.Query) -> None:
        # psql 18.6 takes a statement without words for the one before it, when it counts COPY.
        if "copy" in self._source and not _WORD.match(query.text):
            raise Unfit
        server = self._connection.pgconn
        server.send_query(query.text.encode())
        results = []
        copies = query.copies
        while (result := server.get_result()) is not None:
            if result.status == psycopg.pq.ExecStatus.COPY_IN:
                server.put_copy_data(self._scanner.copy_data().encode())
                server.put_copy_end()
                copies -= 1
            results.append(result)
        for _ in range(copies):
            self._scanner.copy_data()
        last = results[-1]
        if query.ending is None or query.ending.name != "gset" or last.ntuples != 1:
            return
        prefix = "".join(query.ending.arguments[:1])
        for column in range(last.nfields):
            name = prefix + (last.fname(column) or b"").decode()
            value = last.get_value(0, column)
            # psql stops at the first column that can't be a variable.
            if not re.fullmatch(r"\w+", name):
                return
            self._variables.pop(name, None)
            if value is not None:
                self._variables[name] = value.decode()

    def _command(self, command: psqlscan.MetaCommand) -> None:
        match command.name, command.arguments:
            case "echo", arguments:
                self._shown.append(" ".join(arguments))
            case "set", (name, *values):
                self._variables[name] = "".join(values)
            case "unset", (name, *_):
                self._variables.pop(name, None)
            case "p", _:
                text = self._scanner.buffer or self._previous
                if text:
                    self._shown.append(text)


BY_HAND = [
    # Where queries end.
    "select 1;\n\n  select (2;3) -- x\n\n;  ;; select 4",
    "select ')' , (1;\n2) ); select 3",
    "select '\n\n;\n' ;\n\n\n$$\n\n;\n$$;\n/*\n\n;*/ select 1;",
    "select E'a'\n 'b\\'c;'; select 2;",
    "select E'a'\r 'b\\';c'; select 2;",
    "select E'a' -- c\r 'b\\';c'; select 2;",
    "select 'a'\r 'b\\'; select 2;\r\nselect 3;\r\n",
    "select e'\\';' ; select n'\\' ; select b'\\' ; select u&'\\' ; select U&\"\\;\" ; select 2",
    "select x e'\\';' , xe'\\' ; select 1e'\\' ; select 1.e'\\' ; select .5e'\\' ; select 1.5e-3;",
    "select $a$ $b$ ; $b$ $$ ; $a$; select $1$ ; $ ; $é$ ; $é$ ; x$a$ ; select 1$a$ ; $a$;",
    "select 1 /* /* ; */ ; */ + /*/ ; */ 2; select 3 **/* ; */ 4 --; \n; select 5 +-- ;\n 6;",
    "-- first\n/* kept */ -- also\nselect 1;\n-- dropped\n\n \t select 2 -- kept\n -- this too\n;",
    "/* nothing but a comment */",
    "-- nothing",
    "",
    "\n\n",
    ";",
    "\ufeffselect 1;\ufeff",
    "select 'unterminated;\nselect 2;\n",
    "select $$ unterminated; \\g\n",
    "select (1;\nselect 2;\n",
    "select \"a\"\"b;\" , 'a''b;' , '\\' ; select 2",
    "select 1\v;\f\tselect 2",
    # Bodies of functions.
    "create function f() returns int begin atomic select 1; select 2; end; select 3;",
    "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC select case when true then 1 end; END; select 3;",
    "create or replace function f(begin int) returns int begin atomic; end; select 3;",
    "create (x) function f(:x) begin ; end; create (function) f() begin ; end; select 2;",
    "\\set x 1\ncreate function f(:x begin, case) begin ; (:x end) ; end; select 2;",
    "create U&x function f() begin ; end; create N'x' function f() begin ; end; select 2;",
    "create function begin() begin ; end ; select 3; begin; select 4; end;",
    "create table function (begin int); begin; select 1; end; select 2;",
    "create or function f() begin ; end; select 3;",
    "create\n /* c */ procedure -- d\n p() begin ; end; select 3;",
    "create function f() begin \\; end; select 1; select 2;",
    "create function f(\\;) begin ; end; create ( \\; ) function f() begin ; end; select 2;",
    "create function f() begin \\; end \\; begin ; end; create \\; function f() begin ; end;",
    "create function f() begin ; \\g\nselect 1; select 2;",
    "create n'x' function f() begin ; end ; create u&x function f() begin ; end ; select 1;",
    'create "function" f() begin ; end ; create $1function g() begin; end; select 1;',
    "create function f() begin 'begin' /* begin */ \"begin\" $$ begin $$ (begin) ; end ; select 1;",
    # Backslashes.
    "select 1\\; select 2\\;; select 3\\:x;",
    "select 1 \\g\nselect 2 \\gx\n\\g\n\\g \\\\ select 3; \\g\n;\n\\g\n",
    "\\g\n\\gset\n\\p\n;\n\\p\n",
    "select 1\n\\p\n  \\p\n, 2\n\\p\n\\r\n\\p\nselect 3;\n\\p",
    "select (1 \\g\nselect 2;",
    "select (1 \\r\nselect 2;",
    "select 1 \\echo a b \\\\ , 2 \\echo c\n, 3;",
    "\\echo a\\echo b\\\\select 1;\\\\select 2;\nselect 3;",
    "\\foo bar \\\\ select 1;\nselect 2;\\\nselect 3\\ \n;",
    "select 1 \\q\nselect 2;",
    "select 1;\\q\nselect 2;",
    "\\if true\nselect 1 \\q\n\\endif\n",
    "select 1 \\parse\n;",
    "\\.\nselect 1;",
    "\\echo 'it''s' \"a \"\"b\" a'b c'd '\\n\\t\\b\\r\\f\\x41\\101\\303\\251\\q' '' x;; ';'",
    "\\set x 'a b'\n\\echo :x :'x' :\"x\" ':x' \":x\" a:x:x :{?x} :{?y} :y :'y' :{x :{?x :: :=\n",
    "\\set\tx a\v b\f;\n\\echo [ :x ]\nselect :x;",
    # Variables.
    "\\set x 1\nselect :x, :'x', :\"x\", ':x', \":x\", $$:x$$, 1::x, :::x, :=x, :{?x}, :{?y}, :y;",
    "\\set x 'a\\\\b''c\"d'\nselect :'x', :\"x\";",
    "\\set x '1; select 2 \\\\echo hi '\nselect :x there;\nselect 3;",
    "\\set x '\\''\nselect :x;:x, :x \";:x\" ;",
    "\\set x 'select E\\'a\\'\\n\\'b\\\\\\';\\''\n:x; select 1;",
    "\\set x ':y'\n\\set y ':x'\nselect :x; :y;",
    "\\set x ':x :x'\nselect :x;",
    "\\set x '-- c'\nselect 1 :x ; select 2\n;",
    "\\set x '/* '\nselect 1 :x ; */ ; select 2;",
    "\\set x '$a$'\nselect :x ; $a$; :x;:x",
    "\\set x\nselect 1\n:x\\p\n:x;\n:x\n;",
    "\\set x '\\\\p'\nselect 1\n:x\n;",
    "\\set x '\\\\set y '\nselect 1 :x 5 \\\\ , :y;",
    '\\set é 1\n\\set 1 2\nselect :é, a[1:1], :1x, :"é";',
    "\\set x 'a\\nb\\n\\nc'\nselect :x\n\n:x;",
    "\\set x 'begin ; '\ncreate function f() :x end; select 1;",
    "\\set x 'create '\n\\set y 'function'\n:x:y f() begin ; end; select 1;",
    "select 1 as x, 'a b' as y \\gset\nselect :x, :y, :'y';\nselect 2 as x \\gset p_\nselect :p_x;",
    "select 1 as x, null as y \\gset\n\\echo :x :y\nselect 3 as x where false \\gset\nselect :x;",
    "select 1 as x\\;select 2 as x \\gset\nselect :x;",
    "\\set x 1\nselect :x \\unset x \\\\ , :x;",
    # Conditions.
    "\\if true\nselect 1;\n\\else\nselect 2;\n\\endif\nselect 3;",
    "\\if false\nselect 1;\n\\elif 0\nselect 2;\n\\elif yes\nselect 3;\n\\else\nselect 4;\n\\endif",
    "\\if no \\if true \\echo a \\else \\echo b \\endif \\else \\echo c \\endif\nselect 1;",
    "\\if t\\if of\\else\\if on\\echo deep\\endif\\endif\\endif",
    "\\if nonsense\nselect 1;\n\\elif :x\nselect 2;\n\\else\nselect 3;\n\\endif",
    "\\set x o\n\\if :x\n\\elif :{?x}\nselect 1;\n\\endif\n",
    "\\if a b\n\\endif\n\\if\n\\endif\n\\if ''\n\\endif",
    "\\else\n\\elif 1\n\\endif\n\\if 1\n\\else\n\\else\n\\elif 0\n\\endif\nselect 1;",
    "select 1\n\\if false\n, 2;\n(\n\\else\n, 3\n\\endif\n, 4;\nselect 5;",
    "select (1\n\\if false\n), 2;\n\\elif true\n) \\if 0 ( ; \\endif ;\n\\endif\nselect 5;",
    "\\if false\n\\set x 1\n\\foo\n\\echo :x `date`\n\\endif\n\\echo :x\n",
    "\\if false\n\\g | cat \\endif\n\\copy t \\endif\n\\endif\n\\echo a",
    "\\if false\nselect '\n\\endif\n';\n/*\n\\endif\n*/\n\\endif\nselect 1;",
    "\\if false\ncreate function\n\\endif\ncreate function f() begin ; end ; select 1;",
    "\\if true\nselect 1",
    "\\if false\nselect 1",
    "\\if true\n\\if false\n",
    "\\set x false\n\\if :x\n\\endif\\echo a\n\\if 0 \\elif :x\n\\elif true\\echo b\n\\endif",
    # Data.
    "copy t from stdin;\n1\n;\n\\.\nselect 2;",
    "copy t from stdin; select 1;\n'\n\\.\nselect 2;",
    "copy t from stdin; copy t from stdin;\n1\n\\.\n2\n\\.\n\nselect 2;",
    "copy t from stdin; select '\nx\n\\.\n;\n\n'; select 2;",
    "copy t from stdin \\g\n\\\\.\n\\.\nselect 2;",
    "copy t from stdin;\n1\n2\n",
    "copy t from stdin;",
    "\\set x 'copy t from stdin; select '\n:x 3;\n1\n\\.\nselect 4;",
    "copy t from stdin\\; select 1;\n1\n\\.\nselect 2;\n",
    "copy no from stdin; select 1;\n'\n\\.\nselect 2;",
    "copy t from stdin\\;copy no from stdin;\n1\n\\.\n'\n\\.\nselect 2;",
    "copy no from stdin\\;select 1\\; copy t (a) from stdin;\n'\n\\.\n'\n\\.\nselect 2;",
    'copy from "a" (from from) stdin;\n\'\n\\.\nselect 2;',
    "copy a b c d e from stdin;\n'\n\\.\nselect 2;",
    "copy a b c d e f from stdin;\nselect 1;\nselect 2;",
    "copy a from b stdin; copy (stdin) from; copy stdin; from copy; select 1;",
    "copy from from stdin; copy t (stdin) from from; select 1;",
    "copy from stdout\\g\n'\n\\.\nselect 2;",
    "\\if 0\ncopy t from stdin;\n\\endif\nselect 2;\nselect 3;",
    "\\if 0\ncopy t from stdin\n\\endif\nselect 2;\nselect 3;",
    "copy \\if 0\n from stdin\n\\else\nno from stdin \\endif\n;\n;'\n\\.\nselect 2;",
    "a \\if 1\n\\; copy no from stdin \\else\n\\; copy no from stdin \\endif\n;\n\\.\na;\n\\.\nb;",
    "create function f() \\if 0\nbegin \\endif\n ; end; select 1;",
    "create \\if 0\nfoo\n\\endif\n function f() begin ; end; select 1;",
    "create function f() begin \\if 0\n ; end \\endif\n ; end; select 1;",
    "copy t from stdin \\r\nselect 2;\nselect 3;",
    "copy t from stdin;\r\n1\r\n\\.\r\nselect 2;\r\n",
]


@pytest.mark.parametrize("source", BY_HAND)
def test_by_hand(compare: Compare, source: str) -> None:
    compare(source)


FRAGMENTS = (
    *(
        "'a'",
        "'it''s'",
        "';'",
        "'",
        "'\\'",
        "E'\\''",
        "e'x\\\\",
        "u&'d'",
        '"q;"',
        '"',
        "b'1'",
        "n'x'",
    ),
    *(
        "$$;$$",
        "$$",
        "$a$ ; $b$ $a$",
        "$a$",
        "$1",
        "$",
        "-- c ; '\n",
        "--",
        "/* ; ' */",
        "/*",
        "*/",
    ),
    *(
        "/* /* */ */",
        "select ",
        "select ",
        "1",
        " ",
        "\n",
        "\n",
        "\n\n",
        "\t",
        ";",
        ";",
        ";\n",
        "(",
    ),
    *(")", ",", "+", "-", "/", "*", "::", ":=", ":", ":x", ":x", ":y", ":'x'", ':"x"', ":{?x}"),
    *(":{?y}", ":nope", ":'nope'", "é", "a", "e", "1 as x ", "'2' as y ", "create function f() "),
    *("create or replace procedure p() ", "create ", "function ", "begin ", "end ", "case "),
    *(
        "\\;",
        "\\:",
        "\\g\n",
        "\\gset\n",
        "\\gset p_\n",
        "\\gset \\\\ ",
        "\\p\n",
        "\\r\n",
        "\\foo\n",
    ),
    *("\\set x 1\n", "\\set x 'a b' c\n", "\\set x '\\''\n", "\\set y :x ';'\n", "\\set y :y:x\n"),
    *(
        "\\set x '-- '\n",
        "\\set x\n",
        "\\set x '1; select 2 \\\\\\\\echo hi '\n",
        "\\set y ':x;\\n'\n",
    ),
    *(
        "\\set x '\\\\set y '\n",
        "\\set y '/*'\n",
        "\\set x 'E\\'a\\'\\n\\'b\\\\\\';'\n",
        "\\unset x\n",
    ),
    *(
        "\\set x '\\\\\\\\p'\n",
        "\\set y true\n",
        "\\echo a :x :'x' :y \\\\ ",
        "\\echo ",
        "\\echo b;\n",
    ),
    *(
        "\\if true\n",
        "\\if false\n",
        "\\if :{?x}\n",
        "\\if :y\n",
        "\\if 0 \\\\ ",
        "\\if 1 ",
        "\\elif 1\n",
    ),
    *(
        "\\elif :y\n",
        "\\else\n",
        "\\else ",
        "\\endif\n",
        "\\endif\n",
        "\\endif ",
        "\\\\ ",
        "\\q\n",
        "\r",
    ),
    *("\r\n", "copy t from stdin;\n1\n\\.\n", "copy t from stdin;", "\\.\n", "\v"),
)


#: Drawn more often than the others: what statements and lines end with, and opens no literal.
COMMON = (
    *(";", "\n", "select ", "1", ":x", ":y", "(", ")", "begin ", "end ", "create function ", "\\;"),
    *("\\if 0 ", "\\else ", "\\endif\n", "copy t from stdin;", "\\p\n", "\\g\n", "'a'\n", "E'b'"),
    *("\\set x '1; select 2 \\\\\\\\echo hi '\n", "\\set y '; select $a$ '\n", "\\echo c\n"),
)
scripts = st.lists(st.sampled_from(FRAGMENTS) | st.sampled_from(COMMON), min_size=4, max_size=40)


@settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(fragments=scripts)
@example(fragments=["select 1;"])
def test_fragments(compare: Compare, fragments: list[str]) -> None:
    try:
        compare("".join(fragments))
    except Unfit:
        assume(False)
