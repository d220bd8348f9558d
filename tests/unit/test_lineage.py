"""pgcellar.notebook.lineage: what cells read and write, and which depend on which."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import hypothesis
import pytest
from hypothesis import strategies as st
from tests import generators

from pgcellar.notebook.lineage import graphs, reading, showing
from pgcellar.notebook.lineage.objects import Ref

WORDS = """
    select from t ( ) , ; with as insert into update set create table view function begin $$ 'x'
    language plpgsql sql do execute returns atomic end call alter drop on merge using when then
    copy stdin \\. \\gset :v grant to trigger policy prepare
"""
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="selct form;'\"$\\-*/(){}\n:%\0", max_size=60),
    generators.notebooks().map(lambda notebook: "\n;".join(notebook.sources)),
    st.lists(st.sampled_from(WORDS.split())).map(" ".join),
)
SETTINGS = hypothesis.settings(
    deadline=None, suppress_health_check=list(hypothesis.HealthCheck), print_blob=True
)


def refs(*names: str) -> frozenset[Ref]:
    """Objects by their names, qualified with a schema or not."""
    parted = (name.rpartition(".") for name in names)
    return frozenset(Ref(schema=schema, name=name) for schema, _, name in parted)


def columns(*names: str) -> frozenset[Ref]:
    """Columns by table and name."""
    parted = (name.rpartition(".") for name in names)
    return frozenset(Ref(name=table, column=name) for table, _, name in parted)


def of_cell(
    source: str, above: Sequence[str] = (), base: Sequence[str] = ()
) -> reading.CellLineage:
    """The lineage of one cell below others."""
    sources = [*above, source]
    return graphs.labelled(graphs.graph(sources, base), sources, base).cells[-1]


def reaches(sources: Sequence[str], base: Sequence[str] = ()) -> tuple[int, ...]:
    """What the first of some cells affects."""
    return graphs.affected(graphs.graph(sources, base), 0)


@pytest.mark.parametrize(
    ("source", "reads", "writes"),
    [
        ("select * from t", ["t"], []),
        ('select 1 from s.t, "T" x join u using (id)', ["s.t", "T", "u"], []),
        ("table t", ["t"], []),
        ("select (select max(id) from u) from t where exists (select from v)", ["t", "u", "v"], []),
        ("with w as (select * from t) select * from w", ["t"], []),
        ("with t as (select * from t) select * from t", ["t"], []),
        ("with recursive t as (select 1 union all select * from t) select * from t", [], []),
        ("with w as (select 1), x as (select * from w, y) select * from x", ["y"], []),
        ("with w as (delete from t returning *) insert into u select * from w", [], ["t", "u"]),
        ("insert into t select * from u", ["u"], ["t"]),
        ("insert into t values (1) on conflict do nothing", [], ["t"]),
        ("update t set n = (select 1 from u) from v", ["u", "v"], ["t"]),
        ("delete from s.t using u", ["u"], ["s.t"]),
        (
            "merge into t using u on t.id = u.id when matched then update set n = 1",
            ["u"],
            ["t"],
        ),
        ("truncate t, u", [], ["t", "u"]),
        ("copy t from stdin", [], ["t"]),
        ("copy (select * from t) to stdout", ["t"], []),
        ("\\copy t from 'f.csv' csv", [], ["t"]),
        ("\\copy t to 'f.csv'", ["t"], []),
        ("copy t from stdin;\n1\t\\N\n\\.\nselect * from u", ["u"], ["t"]),
        ("refresh materialized view m", [], ["m"]),
        ("lock table t", ["t"], []),
        ("select nextval('s'), setval('x.\"S\"', 1), currval('c')", ["c"], ["s", "x.S"]),
        ("explain insert into t select * from u", ["t", "u"], []),
        ("explain (analyze) insert into t select * from u", ["u"], ["t"]),
        ("do $$ begin delete from t where id in (select id from u); end $$", ["u"], ["t"]),
        ("do $$ begin truncate only t, u; end $$", [], ["t", "u"]),
        ("do $$ begin execute 'update t set n = 1'; end $$", [], ["t"]),
        ("do $$ declare n int; begin select 1 into n from t; end $$", ["t"], []),
        ("comment on table t is 'x'", [], []),
        ("select count(*), upper('t'), now(), coalesce(a, b) from t", ["t"], []),
    ],
)
def test_queries(source: str, reads: list[str], writes: list[str]) -> None:
    found = of_cell(source)
    assert (found.reads, found.writes, found.opaque) == (refs(*reads), refs(*writes), False)


@pytest.mark.parametrize(
    ("source", "creates", "alters", "drops"),
    [
        ("create table s.t (id int)", ["s.t"], [], []),
        ("create table t (id serial)", ["t", "t_id_seq"], [], []),
        ("create table t as select 1", ["t"], [], []),
        ("select 1 as one into t", ["t"], [], []),
        ("create view v as select * from t", ["v"], [], []),
        ("create materialized view m as select 1", ["m"], [], []),
        ("create index i on t (id)", ["i"], [], []),
        ("create sequence s", ["s"], [], []),
        ("create type s.mood as enum ('ok')", ["s.mood"], [], []),
        ("create type pair as (a int, b int)", ["pair"], [], []),
        ("create domain d as int check (value > 0)", ["d"], [], []),
        ("create function f() returns int language sql as 'select 1'", ["f"], [], []),
        ("create schema s", ["s"], [], []),
        ("alter table t add column n int", [], ["t"], []),
        ("alter table t rename to u", ["u"], ["t"], []),
        ("alter type mood add value 'x'", [], ["mood"], []),
        ("create trigger g before insert on t execute function f()", [], ["t"], []),
        ("grant select on t, u to public", [], ["t", "u"], []),
        ("drop table t, s.u", [], [], ["t", "s.u"]),
        ("drop function f(int)", [], [], ["f"]),
        ("drop trigger g on s.t", [], ["s.t"], []),
    ],
)
def test_definitions(source: str, creates: list[str], alters: list[str], drops: list[str]) -> None:
    found = of_cell(source)
    expected = (refs(*creates), refs(*alters), refs(*drops))
    assert (found.creates, found.alters, found.drops) == expected


@pytest.mark.parametrize(
    "source",
    [
        "selct 1",
        "select f()",
        "call p()",
        "do language plperl 'x'",
        "do $$ begin execute 'drop ' || 'table t'; end $$",
        "do $$ begin execute format('drop table %I', 't'); end $$",
        "do $$ begin create table t (); end $$",
        "do $$ begin perform f(); end $$",
        "execute q",
        "create extension hstore",
        "drop schema s cascade",
        "truncate t cascade",
        "select * from dblink('x', 'delete from t') as u (id int)",
        "select query_to_xml('select f()', true, true, '')",
        "select lo_import('x')",
        "begin",
        "select f() as one \\gset",
        "%%session a\nselect 1",
        "\\c",
        "\\i other.sql",
        "\\nothing",
        "copy t from '/tmp/f'",
        "copy t to program 'cat'",
        "select nextval(s) from names",
        "vacuum",
        "select 1;\nselect '\ud800'",
        "select '\0'",
        "(" * 5000,
    ],
)
def test_what_may_do_anything_is_opaque(source: str) -> None:
    assert of_cell(source).opaque
    cells = ["insert into t values (1)", source, "select 1", "-- nothing"]
    assert graphs.affected(graphs.graph(cells), 0) == (1, 2)


@pytest.mark.parametrize(
    "source",
    [
        "select relname from pg_class",
        "select * from information_schema.tables",
        "select 't'::regclass",
        "select pg_get_viewdef('v')",
        "select lastval()",
        "select xmin from u",
        "\\d t",
        "\\dt+",
        "select * from t_id_seq",
    ],
)
def test_who_reads_the_catalog_depends_on_all_that_acts(source: str) -> None:
    cells = ["create view v as select 1", "select 1", source, "select 2"]
    assert reaches(cells) == (2,)
    assert graphs.affected(graphs.graph(cells), 1) == ()
    assert graphs.affected(graphs.graph(["comment on table t is 'x'", source]), 0) == (1,)
    found = of_cell(source)
    assert (found.catalog, found.opaque) == (True, False)


@pytest.mark.parametrize(
    ("changes", "between", "reader"),
    [
        ("insert into t values (1)", "", "select * from t"),
        ("insert into public.t values (1)", "", "select * from t"),
        ("drop table t", "", "create table t (id int)"),
        ("insert into t values (1)", "create view v as select * from t", "select * from v"),
        (
            "insert into t values (1)",
            "create view v as select * from t; create view w as table v",
            "table w",
        ),
        ("insert into t values (1)", "create materialized view m as table t", "table m"),
        ("insert into t values (1)", "prepare q as select * from t", "execute q"),
        (
            "insert into t values (1)",
            "create function f() returns bigint language sql as 'select count(*) from t'",
            "select f()",
        ),
        (
            "insert into t values (1)",
            "create function f() returns bigint begin atomic; select count(*) from t; end",
            "select f()",
        ),
        (
            "insert into t values (1)",
            "create function f(u) returns bigint language sql as 'select count(*) from t'",
            "select u.f from u",
        ),
        (
            "insert into t values (1)",
            "create function g() returns int language plpgsql as $$ begin"
            " return (select count(*) from t); end $$;"
            " create function f() returns int language plpgsql as $$ begin return g(); end $$",
            "do $$ begin perform f(); end $$",
        ),
        (
            "insert into t values (1)",
            "create table u (id int references t)",
            "insert into u values (1)",
        ),
        (
            "insert into u values (1)",
            "alter table u add foreign key (id) references t",
            "delete from t",
        ),
        ("insert into c values (1)", "create table c () inherits (t)", "select * from t"),
        ("insert into c values (1)", "alter table t attach partition c default", "table t"),
        ("insert into t values (1)", "create table c partition of t default", "table c"),
        ("insert into t values (1)", "alter table t rename to u", "table u"),
        ("insert into a.t values (1)", "alter table a.t set schema b", "table b.t"),
        (
            "select nextval('s')",
            "create table t (n int default nextval('s'))",
            "insert into t values (1)",
        ),
        (
            "insert into t default values",
            "create table t (id serial)",
            "select nextval('t_id_seq')",
        ),
        (
            "insert into t default values",
            "create table t (id int generated always as identity (sequence name q))",
            "select nextval('q')",
        ),
        ("alter type mood add value 'x'", "create table t (m mood)", "insert into t values ('x')"),
        ("create role r", "set role r", "select 1"),
        ("create schema s", "set search_path to s", "create table t ()"),
        ("select setseed(0.5)", "", "select random()"),
        ("select random()", "", "select random()"),
        ("set work_mem = '8MB'", "", "show work_mem"),
        ("select set_config('work_mem', '8MB', false)", "", "select 1"),
        ("\\x", "", "select 1"),
        ("\\copy t to 'f'", "", "\\copy u from 'f'"),
        ("declare c cursor with hold for select 1", "", "fetch c"),
        ("create index i on t (id)", "", "drop index i"),
        ("create view v as select * from t", "", "drop table t"),
        ("create materialized view m as select * from t", "", "drop table t cascade"),
        ("create table u as select m from t", "create table t (m mood)", "drop type mood cascade"),
        ("alter table t alter n set default f()", "", "drop function f"),
    ],
)  # fmt: skip
def test_dependencies(changes: str, between: str, reader: str) -> None:
    cells = [between, changes, reader] if between else [changes, reader]
    assert len(cells) - 1 in graphs.affected(graphs.graph(cells), len(cells) - 2)
    others = [between, reader, "select * from apart"]
    assert 2 not in graphs.affected(graphs.graph(others), 0) or "set" in between + reader


@pytest.mark.parametrize(
    ("definition", "trigger", "reader"),
    [
        (
            "create function f() returns trigger language plpgsql as"
            " $$ begin insert into log values (1); return new; end $$;"
            " create trigger g after insert on t execute function f()",
            "insert into t values (1)",
            "select * from log",
        ),
        ("create rule r as on insert to t do also insert into log values (1)",
         "insert into t values (1)", "table log"),
        (
            "create function f() returns int language sql as"
            " 'insert into log values (1) returning 1';"
            " create view v as select f()",
            "select * from v",
            "table log",
        ),
        (
            "create function f() returns int language sql as"
            " 'insert into log values (1) returning 1';"
            " create policy p on t using (f() > 0)",
            "select * from t",
            "table log",
        ),
        ("create view v as select * from t", "update v set n = 1", "select * from t"),
        ("create table u (id int references t on delete cascade)", "delete from t", "table u"),
        ("prepare q as insert into log values (1)", "execute q", "table log"),
        (
            "create function f(a int, b int) returns bool language sql as"
            " 'insert into log values (1) returning true';"
            " create operator === (function = f, leftarg = int, rightarg = int)",
            "select 1 === 2",
            "table log",
        ),
        (
            "create function f(int) returns bool language sql as"
            " 'insert into log values (1) returning true';"
            " create domain d as int check (f(value)); create table t (n d)",
            "insert into t values (1)",
            "table log",
        ),
    ],
)  # fmt: skip
def test_writes_that_do_not_show(definition: str, trigger: str, reader: str) -> None:
    graph = graphs.graph([definition, trigger, reader])
    assert 2 in graphs.affected(graph, 1)
    # The same where the base defines it.
    assert 1 in reaches([trigger, reader], base=[definition])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("insert into t values (1)", "select * from u"),
        ("insert into a.t values (1)", "select * from b.t"),
        ("select * from t", "select * from t"),
        ("select * from t", "insert into t values (1)"),
        ("create table t (id int)", "select 1"),
        ("create table u (id int references t)", "select * from t"),
        ("create view v as select * from t", "select * from t"),
        ("create view v as select * from t", "insert into t values (1)"),
        ("comment on table t is 'x'", "select * from t"),
        ("create table t (id serial)", "insert into u values ('t')"),
        ("create function f() returns int language plpgsql as $$ declare i int;"
         " begin update t set n = 1; return 1; end $$", "select i, update from u, declare"),
        ("begin; insert into t values (1); commit", "select 1"),
        ("-- nothing", "select 1"),
        ("selct", "-- nothing"),
    ],
)  # fmt: skip
def test_what_is_independent(one: str, other: str) -> None:
    assert reaches([one, other]) == ()


def test_a_foreign_key_alone_does_not_tie_tables() -> None:
    cells = [
        "create table c (id int primary key)",
        "create table o (id int, c int references c)",
        "insert into c values (1)",
        "insert into o values (1, 1)",
        "select * from o",
        "update c set id = 1",
        "select * from o where id = 1",
    ]
    graph = graphs.graph(cells)
    assert graphs.affected(graph, 2) == (3, 4, 5, 6)
    assert graphs.affected(graph, 5) == ()
    assert graphs.affected(graph, 3) == (4, 5, 6)


def test_a_transaction_over_cells_ties_them_together() -> None:
    cells = ["begin", "insert into t values (1)", "rollback", "select * from u"]
    graph = graphs.graph(cells)
    assert [graphs.affected(graph, index) for index in range(3)] == [(1, 2, 3), (2, 3), (3,)]
    closed = graphs.graph(["begin; insert into t values (1); commit", "select * from u"])
    assert graphs.affected(closed, 0) == ()


def test_variables() -> None:
    cells = [
        "\\set t one\n\\set n 1",
        "insert into one select :n",
        "insert into :t select 2",
        "select * from one",
        "select * from two",
        "\\if :n\ndelete from one;\n\\else\ndelete from two;\n\\endif",
        "\\set t two",
        "insert into :t values (3)",
        "table two",
        "select count(*) as t from one \\gset",
        "table two",
        "drop table :t",
        "table two",
    ]
    graph = graphs.graph(cells)
    assert graphs.affected(graph, 0) == (1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12)
    assert graphs.affected(graph, 1) == (2, 3, 5, 9, 11, 12)
    assert graph.cells[2].writes == refs("one")
    assert graph.cells[5].writes == refs("one")
    assert graphs.affected(graph, 6) == (7, 8, 9, 10, 11, 12)
    assert graphs.affected(graph, 7) == (8, 10, 11, 12)
    assert not graph.cells[8].opaque
    assert graph.cells[11].opaque
    assert not of_cell("select x[1:n] from u").opaque
    assert of_cell("select x[1:n] from u", ["select 2 as n \\gset"]).opaque


def test_below_what_is_not_understood_there_may_be_any_trigger() -> None:
    hidden = "do $$ begin execute 'create trig' || 'ger g …'; end $$"
    plain = ["insert into t values (1)", "select * from log", "select 1"]
    assert reaches(plain) == ()
    graph = graphs.graph([hidden, *plain])
    assert graphs.affected(graph, 1) == (2, 3)
    assert graphs.affected(graph, 2) == ()
    assert reaches(plain, base=[hidden]) == (1, 2)


def test_long_cells() -> None:
    rows = ",\n".join(f"({i}, 'it''s {i}', -1.5e3, null)" for i in range(20_000))
    found = of_cell(f"insert into s.t (a, b, c, d) values {rows};")
    assert (found.writes, found.opaque) == (refs("s.t"), False)
    assert of_cell(f"insert into t values {rows}, (f(), 1)").opaque


@pytest.mark.parametrize(
    ("source", "read", "written"),
    [
        ("select a, x.b from t x", ["t.a", "t.b"], []),
        ("select * from t", ["t.*"], []),
        ("select x.*, y.n from t x, u y", ["t.*", "u.n"], []),
        ("select a from t, u", [], []),
        ("select id, label from k, j", ["j.label", "k.id"], []),
        ("select * from k", ["k.id", "k.n"], []),
        ("with w as (select id from t) select w.id from w", ["t.id"], []),
        ('select "A".Foo from "A"', ["A.foo"], []),
        ("insert into t (a, b) select x, u.y from u", ["u.x", "u.y"], ["t.a", "t.b"]),
        ("insert into k values (1, 2)", [], ["k.id", "k.n"]),
        ("update t z set n = b.q from b where z.id = b.id", ["b.id", "b.q", "t.id"], ["t.n"]),
        ("delete from t using b where t.id = b.id", ["b.id", "t.id"], ["t.*"]),
        (
            "merge into t using b on t.id = b.id when matched then update set n = b.n"
            " when not matched then insert (id, n) values (b.id, b.n)",
            ["b.id", "b.n", "t.id"],
            ["t.id", "t.n"],
        ),
        ("vacuum t", [], []),
        ("selct", [], []),
    ],
)
def test_columns(source: str, read: list[str], written: list[str]) -> None:
    found = of_cell(source, base=["create table k (id int, n int); create table j (label text)"])
    assert found.columns_read == columns(*read)
    assert found.columns_written == columns(*written)


@pytest.mark.parametrize(
    ("table", "read"),
    [("s.t", "ab"), ("v", "ab"), ("w", "xy"), ("c", "z"), ("l", "*"), ("base", "*")],
)
def test_columns_of_tables_that_cells_make(table: str, read: str) -> None:
    cells = [
        "create table s.t (a int, b text, unique (a))",
        "create view v as select * from s.t",
        "create view w (x, y) as select 1, 2; create table c as select a as z from v",
        "create table l (like s.t)",
    ]
    found = of_cell(f"select * from {table}", cells).columns_read
    assert {str(ref) for ref in found} == {f"{table}.{name}" for name in read}


def test_text() -> None:
    cells = [
        "create table t (id int, n int)",
        "insert into t values (1)",
        "select n from t",
        "",
        "select * from t",
        "\\d t",
    ]
    graph = graphs.labelled(graphs.graph(cells), cells)
    assert showing.as_text(graph, "abcdef") == (
        "[1] a: creates t\n    a change can affect [2]–[3], [5]–[6]\n"
        "[2] b: writes t (id, n)\n    after [1] t\n    a change can affect [3], [5]–[6]\n"
        "[3] c: reads t (n)\n    after [2] t\n"
        "[4] d: nothing\n"
        "[5] e: reads t (id, n)\n    after [2] t\n"
        "[6] f: reads the catalog\n    after [2]\n"
    )


def test_json() -> None:
    cells = ["create table s.t (id int)", "select id from s.t"]
    graph = graphs.labelled(graphs.graph(cells), cells)
    found = showing.as_json(graph, ["one", "two"])
    assert found["edges"] == [{"from": "one", "to": "two", "through": ["s.t"]}]
    assert found["cells"][0]["creates"] == ["s.t"]
    assert [cell["affects"] for cell in found["cells"]] == [["two"], []]
    assert found["cells"][1]["columns_read"] == ["s.t.id"]


def test_mermaid_labels_are_escaped() -> None:
    name = '"a""]; click x <b>#\x1b[0m\n"'
    shown = showing.as_mermaid(
        graphs.graph([f"create table {name} ()", f"table {name}"]), [name, "2"]
    )
    assert shown.startswith("flowchart TD\n    c1[")
    for line in shown.splitlines()[1:]:
        assert re.fullmatch(r'    c\d+(\[".*"\]| -->\|".*"\| c\d+)', line), line
        label = line.split('"')[1]
        assert not re.search(r'["<>|\x1b\n]', label)
        assert re.sub(r"#\d+;", "", label).count("#") == 0
    assert "\x1b" not in showing.as_text(graphs.graph([f"table {name}"]), [name])


def test_no_such_cell() -> None:
    with pytest.raises(IndexError):
        graphs.affected(graphs.graph(["select 1"]), 1)
    with pytest.raises(IndexError):
        graphs.affected(graphs.graph(["select 1"]), -1)


def test_one_edit_in_a_long_notebook_is_quick() -> None:
    cells = [
        text
        for i in range(250)
        for text in (
            f"create table t{i} (id int primary key, n int)",
            f"insert into t{i} values ({i}, 1)",
            f"create view v{i} as select t.id, u.n from t{i} t join t{max(0, i - 1)} u using (id)",
            f"select * from v{i}",
        )
    ]
    graphs.graph(cells)
    cells[500] += " -- edited"
    begin = time.perf_counter()
    graph = graphs.graph(cells)
    assert graphs.affected(graph, 1)
    # About a tenth of this on a quiet machine.
    assert time.perf_counter() - begin < 1


@SETTINGS
@hypothesis.given(sources=st.lists(TEXTS, max_size=4), base=st.lists(TEXTS, max_size=1))
def test_nothing_escapes(sources: list[str], base: list[str]) -> None:
    graph = graphs.graph(sources, base)
    assert len(graph.cells) == len(sources)
    shown = graphs.labelled(graph, sources)
    for show in (showing.as_text, showing.as_mermaid, showing.as_json):
        assert show(shown, sources)


@SETTINGS
@hypothesis.given(notebook=generators.notebooks(), data=st.data())
def test_an_edit_leaves_unaffected_cells_with_the_same_sources(
    notebook: generators.Notebook, data: st.DataObject
) -> None:
    """What a cell reads comes from the same cells, as they were, unless it is affected."""
    before = graphs.graph(notebook.sources)
    index = data.draw(st.integers(0, len(notebook.cells) - 1))
    other = data.draw(generators.notebooks(max_cells=1)).sources[0]
    after = graphs.graph(notebook.replaced(index, other).sources)
    affected = {*graphs.affected(before, index), *graphs.affected(after, index)}
    for cell in set(range(len(notebook.cells))) - affected - {index}:
        assert sources_of(before, cell) == sources_of(after, cell)
        assert index not in sources_of(before, cell)


def sources_of(graph: graphs.Graph, cell: int) -> set[int]:
    """All cells that one depends on."""
    return {at for at in range(cell) if cell in graphs.affected(graph, at)}
