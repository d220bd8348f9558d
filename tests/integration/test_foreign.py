"""A few files of SQL that none of us wrote; `python -m tests.foreign` runs hundreds."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from tests import oracle as oracles
from tests.foreign import cutting, run, setup, sources

from pgcellar.api import rendering

#: All there, wherever PostgreSQL is: what pgbench runs, and what initdb runs.
FILES = ("pgbench tpcb-like", "pgbench select-only", "information_schema")
OPTIONS = run.Options(cap=8, edits=2)


@pytest.fixture(scope="module")
def harness(oracle: oracles.Oracle, cellar_home_module: pathlib.Path) -> Iterator[run.Harness]:
    """Services for all files."""
    made = run.Harness(oracle, cellar_home_module, OPTIONS)
    yield made
    made.close()


@pytest.mark.parametrize("name", FILES)
def test_files_run_as_in_psql(harness: run.Harness, bindir: pathlib.Path, name: str) -> None:
    """From the top, in random order, and with edits: every head is psql's."""
    found = {s.name: s for s in sources.pgbench(bindir, OPTIONS.seed)}
    found |= {s.name: s for s in sources.extensions(sources.sharedir(bindir))}
    row = harness.run(found[name])
    assert row.trouble is None
    assert row.tally.differences == []
    assert row.cells > 1
    assert row.tally.same > 2 * row.cells


def test_the_harness_sees_what_differs(
    harness: run.Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same file, before and after the product begins to lose results."""
    text = "create table t (a int, b text);\ncopy t from stdin;\n1\tone\n\\.\nselect * from t;"
    good = harness.run(sources.Source(name="good", text=text))
    assert (good.trouble, good.tally.differences, good.tally.refused) == (None, [], {})
    monkeypatch.setattr(rendering.Results, "results", lambda self: self._results[:-1])
    bad = harness.run(sources.Source(name="bad", text=text))
    assert {found.aspect for found in bad.tally.differences} == {"results"}


def test_scripts_are_cut_where_psql_cuts() -> None:
    """Literals, comments, bodies, meta-commands, and rows of a COPY."""
    script = """
-- one; two
select ';', "a;b", $x$ ; $x$, E'\\';' /* ; /* ; */ */;
create function f() returns int begin atomic select 1; select case when true then 2 end; end;
\\set x 1
select 1 \\gset
create rule r as on insert to t do (delete from u; delete from v);;
copy t (a) from stdin;
1;
\\.
select 2"""
    pieces = cutting.cut(script)
    kinds = [piece.kind for piece in pieces]
    assert kinds == ["sql", "sql", "meta", "sent", "sql", "copy", "sql"]
    assert pieces[0].text.startswith("-- one; two\nselect")
    assert pieces[1].text.endswith("end")
    assert pieces[5].rows == "1;\n"
    assert pieces[6].text == "select 2"


def test_a_suites_setup_is_taken_as_far_as_it_is_needed() -> None:
    """What a file names, what that is made of, and the data of the suite."""
    made = setup.Setup(
        "create table a (x int);\n\\set filename :abs_srcdir '/data/a.data'\n"
        "COPY a FROM :'filename';\n"
        "create table b as select * from a; create table c (y int); insert into c values (1);"
    )
    assert made.needed("select * from b") == (
        "create table a (x int)",
        "\\copy a from 'data/a.data'",
        "create table b as select * from a",
    )
