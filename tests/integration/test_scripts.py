"""psql's meta-commands and variables in notebooks, against psql itself and by hand."""

from __future__ import annotations

import pathlib
import resource
from collections.abc import Iterator

import pytest
from tests import cellar as cellars
from tests import oracle as oracles
from tests.integration import test_equals_oracle

from pgcellar.api import records

CASES = [
    [
        "\\set n 3\n\\set name 'it''s'",
        "create table t(a int, s text); insert into t values (:n, :'name'), (:n + 1, 'x:n')",
        'select a::int, s as :"name" from t where a = :n',
        "\\set n 4",
        "select count(*) from t where a >= :n",
        "\\unset n\nselect '{\"a\":1}'::json, (array[1,2,3])[1:2]",
    ],
    [
        "create table t(a int); insert into t values (5), (7)",
        "select max(a) as top, null as none from t \\gset",
        "select * from t where a < :top",
        "insert into t values (9)",
        "select max(a) as top from t \\gset last_",
        "create table u as select :top as a, :last_top as b",
        "select * from u",
        "insert into t values (11) \\gset\nselect 'x:top', count(*) from t;",
        "insert into t values (13) returning a \\gset",
        "create table v as select :a as a \\gset",
        "select a, :a as same from v",
    ],
    [
        "\\set big false\ncreate table t(a int)",
        "\\if :big\ninsert into t values (100);\n\\else\ninsert into t values (1);\n\\endif",
        "select * from t",
        "select count(*) > 0 as some from t \\gset",
        "\\if :some\nupdate t set a = a + 1;\n\\elif true\ndrop table t;\n\\endif\ntable t;",
    ],
    [
        "create table t(a int, b text)",
        "copy t from stdin;\n1\tone\n2\t\\N\n\\.\ninsert into t values (3, 'three');",
        "select * from t",
        'copy t (a, b) from stdin with (format csv);\n4,"fo,ur"\n\\.\n',
        "select * from t order by a \\g",
        "copy t from stdin;\nx\ty\n\\.\n",
        "select count(*) from t",
    ],
    [
        "create table t(a int); create function bump() returns int language sql"
        " as 'insert into t values (1) returning a'",
        "\\copy (select bump()) to 'out.csv'",
        "select count(*) from t",
        "\\copy (insert into t values (5) returning a) to 'out.csv' csv",
        "\\copy (select set_config('my.own', 'x', false)) to 'out.csv'\nselect sum(a) from t",
        "show my.own",
        "begin; insert into t values (7)",
        "\\copy (select bump()) to 'out.csv'",
        "select count(*) from t",
        "\\copy (select 1 / 0) to 'out.csv'",
        "select count(*) from t",
        "rollback; select count(*), sum(a) from t",
    ],
    # psql's own reading of it shows in what is sent.
    [
        "create table t(a text)",
        "\\copy (insert into t values ($$a   b$$), ($$f(x)$$) returning a) to 'x (y) to z.csv'",
        "\\copy (insert into t values (current_query()) returning a)to out.csv csv",
        "table t",
    ],
    # It opens the file first.
    [
        "create table t(a int)",
        "\\copy (insert into t values (1) returning a) to 'nosuch/out.csv'",
        "select count(*) from t",
    ],
    [
        "create table t(a int)",
        "\\copy (insert into t values (1) returning a) to '.'",
        "select count(*) from t",
    ],
    [
        "create table t(a int)",
        "\\copy t from 'numbers.csv'",
        "\\i more.sql",
        "select * from t",
        "\\i nested.sql\nselect count(*), :from_file from t",
        "select sum(a) from t",
    ],
    [
        "alter database pgcellar set work_mem = '6MB'; alter database pgcellar set search_path = s",
        "create schema s; create table t(a int); set lock_timeout = 7; prepare p as select 1",
        "show work_mem",
        "\\c\nshow work_mem",
        "show lock_timeout; select count(*) from pg_prepared_statements",
        "create table u(a int)",
        "set work_mem = '7MB'",
        "alter database pgcellar reset all; select schemaname from pg_tables where tablename = 'u'",
        "show work_mem; reset work_mem; show work_mem; show search_path",
        "\\c pgcellar -\nshow work_mem; show search_path; create table v(a int)",
    ],
    [
        "create role alice; create table t(a int); create temp table x(a int)",
        "begin; insert into t values (1); alter database pgcellar set role = alice",
        "\\connect - pgcellar\nselect count(*) from t",
        "select current_user, session_user, count(*) from t",
        "alter role pgcellar in database pgcellar set role = alice; \\c\nselect current_user",
        "select a from t",
        "set role pgcellar; insert into t values (2)",
        "reset role; select current_user",
        "table x",
    ],
    # Variables that psql has from the start, of which a notebook knows some.
    [
        "select :'DBNAME', :\"USER\", :'ENCODING' from (select 1 as pgcellar) x",
        "select :{?LAST_ERROR_MESSAGE}, :{?nosuch}, :{?DBNAME}, :{?LASTOID}, :{?VERBOSITY}",
        "\\if :{?PORT}\ncreate table t (a int);\n\\else\ncreate table u (a int);\n\\endif",
        "\\set DBNAME x\nselect :'DBNAME'",
        "select 5 as \"DBNAME\" \\gset\nselect :'DBNAME'",
        "\\set SHOW_CONTEXT never\nselect :'SHOW_CONTEXT'",
        "select '{\"a\":USER}', ':DBNAME', $$:ROW_COUNT$$ -- :ERROR",
        "\\if false\nselect :ROW_COUNT;\n\\endif\nselect (array[1, 2, 3])[1:2]",
        "\\set d ':USER'\nselect :d from (select 2 as pgcellar) x",
        "table t",
    ],
    # Values that it takes for those it heeds.
    [
        "create table t (a int)",
        "\\set FETCH_COUNT 10\n\\set HISTSIZE 0x10\n\\set IGNOREEOF\ninsert into t values (1)",
        "\\set HIDE_TABLEAM\n\\set SHOW_CONTEXT NEVER\n\\set WATCH_INTERVAL 1.5",
        "insert into t values (2)",
        "\\set FETCH_COUNT ' -7'\n\\set COMP_KEYWORD_CASE upper\ninsert into t values (3)",
        "\\set ECHO_HIDDEN off\n\\set SHOW_ALL_RESULTS true\n\\unset FETCH_COUNT\ntable t",
        "table t",
    ],
    # As editors on Windows save a file.
    [
        "\ufeffcreate table t(a int);",
        "\\i marked.sql",
        "\ufeff\\set x 1\nselect a + :x from t;",
        "\ufefftable t",
    ],
]

#: What psql refuses in these words.
REFUSED = [
    "\\c;", "\\conninfo;", "\\x;", "\\timing;", "\\echo;", "\\r;", "\\set;", "\\if;", "\\endif;",
    "select 1 \\g;", "select 1 \\gset;", "\\l;", "\\z;", "\\sf;", "\\?;", "\\h;", "\\X", "\\DT",
    "\\set VERBOSITY nonsense", "\\set ECHO", "\\set ECHO_HIDDEN maybe", "\\set HISTCONTROL x",
]  # fmt: skip
#: What it refuses in others.
REFUSED_OTHERWISE = [
    "\\set FETCH_COUNT x", "\\set HISTSIZE 12a", "\\set WATCH_INTERVAL x", "\\set QUIET maybe",
    "\\set AUTOCOMMIT maybe", "\\set ON_ERROR_STOP o", "\\set a; 1",
]  # fmt: skip


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all cases."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A notebook's folder with files."""
    made = tmp_path_factory.mktemp("notebook")
    made.chmod(0o755)
    (made / "numbers.csv").write_text("1\n2\n3\n")
    (made / "more.sql").write_text("insert into t values (4);\ninsert into t values (5)\n")
    (made / "marked.sql").write_text("\ufeffinsert into t values (6);\n", encoding="utf-8")
    (made / "nested.sql").write_text(
        "\\set from_file 7\n\\i more.sql\n\\copy t from 'numbers.csv'\n"
    )
    return made


@pytest.mark.parametrize("number", range(len(CASES)))
def test_equals_psql(
    cellar: cellars.Cellar, oracle: oracles.Oracle, folder: pathlib.Path, number: int
) -> None:
    """In order, again, the last alone, from the bottom up; results and content."""
    cells, key = CASES[number], f"s{number}"
    heads = range(len(cells))
    for order in (heads, heads, [len(cells) - 1], reversed(heads)):
        for head in order:
            test_equals_oracle.check(cellar, oracle, key, cells, head, str(folder))
        cellar.quiet(key)
    for head in reversed(heads):
        test_equals_oracle.check(cellar, oracle, f"{key} again", cells, head, str(folder))


def test_what_psql_refuses(cellar: cellars.Cellar, oracle: oracles.Oracle) -> None:
    """In its words, where they are about the command; with a hint."""
    for cell in (*REFUSED, *REFUSED_OTHERWISE):
        (expected,) = oracle.evaluate([cell]).cells
        error = cellar.run([cell], notebook="refused").done.error
        assert expected.error is not None, cell
        assert error is not None, cell
        assert cell in REFUSED_OTHERWISE or error.message == expected.error.message
        assert error.hint


def texts(ran: cellars.Ran) -> str:
    """What was printed."""
    return "".join(event.text for event in ran.events if isinstance(event, records.Text))


def test_an_edit_of_a_variable_reruns_what_names_it(cellar: cellars.Cellar) -> None:
    cells = ["\\set n 3", "create table t as select :n as a", "create table u ()", "table t"]
    for head in range(4):
        cellar.run(cells, head, notebook="edit")
    states = [cellar.run(cells, head, notebook="edit").head.state for head in range(4)]
    cells[0] = "\\set n 3 \\set m 4"
    assert [cellar.run(cells, h, notebook="edit").head.state for h in range(4)] == states
    cells[0] = "\\set n 4"
    assert cellar.run(cells, notebook="edit").results[0].rows == (("4",),)


def test_a_changed_file_reruns_its_cell(cellar: cellars.Cellar, tmp_path: pathlib.Path) -> None:
    cells = ["create table t(a int)", "\\i load.sql", "select sum(a) from t"]
    (tmp_path / "load.sql").write_text("\\copy t from 'n.csv'\n")
    (tmp_path / "n.csv").write_text("1\n")
    assert cellar.run(cells, notebook="f", directory=str(tmp_path)).results[0].rows == (("1",),)
    (tmp_path / "n.csv").write_text("2\n")
    assert cellar.run(cells, notebook="f", directory=str(tmp_path)).results[0].rows == (("2",),)
    (tmp_path / "load.sql").write_text("insert into t values (8);")
    assert cellar.run(cells, notebook="f", directory=str(tmp_path)).results[0].rows == (("8",),)


def test_parameters_are_variables_from_the_start(cellar: cellars.Cellar) -> None:
    cells = ["create table t as select :'month' as m", "table t"]
    hostile = "x'; drop table t; --"
    for value in ("3", hostile, "3"):
        ran = cellar.run(cells, notebook="p", parameters={"month": value})
        assert ran.results[0].rows == ((value,),)
    assert cellar.run(cells, notebook="p").done.error is not None


def test_what_is_shown(cellar: cellars.Cellar, tmp_path: pathlib.Path) -> None:
    assert texts(cellar.run(["\\echo a  'b  c'\n\\echo -n d"])) == "a b  c\nd"
    assert texts(cellar.run(["\\set a 1", "\\set"])) == "a = '1'\n"
    ran = cellar.run(["\\x", "select 1 as one, 'a\nb' as two"])
    assert ran.results[0].expanded
    ran = cellar.run(["\\timing on", "select 1"])
    assert texts(ran).startswith("Time: ")
    assert cellar.run(["select 1 \\gx"]).results[0].expanded
    copied = cellar.run(["copy (values (1, 'a'), (2, null)) to stdout"])
    assert texts(copied) == "1\ta\n2\t\\N\n"
    cell = "\\copy (select 1, 'x') to 'out.csv' csv"
    cellar.run([cell], directory=str(tmp_path))
    assert (tmp_path / "out.csv").read_text() == "1,x\n"


def test_a_saved_file_is_the_heads(cellar: cellars.Cellar, tmp_path: pathlib.Path) -> None:
    """Whatever its query does: it is written whenever its cell is run, and by no cell below."""
    file = tmp_path / "out.csv"
    cells = [
        "create table t(a int)",
        "\\copy (insert into t values (1) returning a) to 'out.csv'",
        "select count(*) from t",
    ]

    def run(head: int) -> cellars.Ran:
        return cellar.run(cells[: head + 1], directory=str(tmp_path), notebook="saved")

    assert run(2).results[0].rows == (("1",),)
    assert not file.exists()
    for _ in range(2):
        ran = run(1)
        assert ran.done.cells[-1].source == "head"
        assert file.read_text() == "1\n"
        file.unlink()
    assert run(2).results[0].rows == (("1",),)
    assert not file.exists()


def test_a_file_that_finds_no_room(cellar: cellars.Cellar, tmp_path: pathlib.Path) -> None:
    """Its cell fails, the file is as it was, and the notebook goes on."""
    cells = [
        "create temp table t(a int)",
        "\\copy (select 1) to 'out.csv'",
        "select count(*) from t",
    ]
    where = {"notebook": "room", "directory": str(tmp_path)}
    assert cellar.run(cells, 1, **where).done.error is None
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for query in ("select repeat('x', 1000) from generate_series(1, 10000)", "table t"):
        cells[1] = f"insert into t values (1);\n\\copy ({query}) to 'out.csv'"
        size = 1 << 20 if "repeat" in query else 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            error = cellar.run(cells, 1, **where).done.error
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert error is not None
        assert (error.sqlstate, error.message.split(": ")[-1]) == ("PC010", "File too large.")
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "1\n"
    cells[1] = "table t"
    assert cellar.run(cells, **where).results[0].rows == (("0",),)


def test_a_read_that_may_call_functions_is_saved(
    cellar: cellars.Cellar, tmp_path: pathlib.Path
) -> None:
    cells = [
        "create type boxed as (x int); create function unbox(boxed) returns int language sql"
        " immutable as 'select $1.x'; create cast (boxed as int) with function unbox(boxed)",
        "\\copy (select 1 as x, null as y) to 'out.csv' with (format csv, header)",
    ]
    ran = cellar.run(cells, directory=str(tmp_path))
    assert (ran.done.error, ran.done.cells[-1].effect) == (None, "read")
    assert (tmp_path / "out.csv").read_text() == "x,y\n1,\n"


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("\\! id", "not known"),
        ("\\copy t to program 'id'", "program"),
        ("\\copy t to '../out.csv'", "outside"),
        ("\\copy t from '/etc/passwd'", "outside"),
        ("\\i ../x.sql", "outside"),
        ("\\i /etc/passwd", "outside"),
        ("\\i missing.sql", "No such file"),
        ("\\echo `id`", "backquote"),
        ("\\set x `id`", "backquote"),
        ("\\o out.txt", "not known"),
        ("select 1 \\g out.txt", "not known"),
        ("select 1 \\g |id", "not known"),
        ("\\connect postgres", "one database"),
        ("\\if true\nselect 1;", "endif"),
        ("\\nonsense", "invalid command"),
        ("select 1 \\; select 2;", "no meaning"),
        ("select 1 where false \\gset", "no rows"),
        ("values (1), (2) \\gset", "more than one row"),
        ('select 1 as "bad name" \\gset', "invalid variable name"),
        ("select 1 \\gexec", "not known"),
        ("\\gdesc", "not known"),
        ("\\set AUTOCOMMIT off", "can't be changed"),
        ("\\unset AUTOCOMMIT", "can't be changed"),
        ("select :ROW_COUNT", "own variable ROW_COUNT"),
        ("\\echo :SQLSTATE", "own variable SQLSTATE"),
        ("\\if :ERROR\n\\endif", "own variable ERROR"),
        ("select :{?SQLSTATE}", "own variable SQLSTATE"),
        ("\\set VERBOSITY terse\n\\unset VERBOSITY\nselect :'VERBOSITY'", "variable VERBOSITY"),
        ("\\set ON_ERROR_ROLLBACK", "can't be changed"),
        ("\\set SINGLELINE on", "can't be changed"),
        ("\\i loop.sql", "too deep"),
    ],
)
def test_refusals(cellar: cellars.Cellar, tmp_path: pathlib.Path, cell: str, says: str) -> None:
    """Each in a sentence, and nothing of the host is touched."""
    (tmp_path / "loop.sql").write_text("\\i loop.sql\n")
    cells = ["create table t(a int)", cell]
    error = cellar.run(cells, notebook="no", directory=str(tmp_path)).done.error
    assert error is not None
    assert says in error.message.lower() or says in error.message
    assert not (tmp_path / "out.txt").exists()
    assert not (tmp_path.parent / "out.csv").exists()


def test_variables_that_psql_heeds(cellar: cellars.Cellar) -> None:
    """Those that change nothing here may be set, but not by a query, as in psql."""
    cells = ["\\set ON_ERROR_STOP on\n\\set AUTOCOMMIT on\n\\set QUIET 1\n\\unset SINGLESTEP"]
    cells += [
        "select 97 as \"EOF\", 'ok' as _foo \\gset IGNORE",
        "select :'IGNORE_foo', :{?IGNOREEOF}",
    ]
    ran = [cellar.run(cells, head, notebook="heeded") for head in range(3)]
    assert [one.done.error for one in ran] == [None] * 3
    notices = [event.message for event in ran[1].events if isinstance(event, records.Notice)]
    assert notices == ['attempt to \\gset into specially treated variable "IGNOREEOF" ignored']
    assert ran[2].results[0].rows == (("ok", "t"),)


def test_positions_are_those_of_the_cell(cellar: cellars.Cellar) -> None:
    source = "\\set a 1\nselect :a, nosuch;"
    error = cellar.run([source]).done.error
    assert error is not None
    assert error.position == source.index("nosuch") + 1
