"""Whatever is cached, a head gives what psql gives that runs every cell from the top."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from tests import cellar as cellars
from tests import contents, following, generators
from tests import oracle as oracles
from tests.foreign import compare
from tests.statements import scripts

from pgcellar.api import errors, records, rendering
from pgcellar.notebook import cells

#: Many notebooks, each run several times; a machine may be slow. `make soak` takes its time.
SECONDS = 0 if "PGCELLAR_EXAMPLES" in os.environ else 900
pytestmark = pytest.mark.timeout(SECONDS)


@pytest.fixture(scope="module")
def cellar(cellar_home_module) -> Iterator[cellars.Cellar]:
    with cellars.Cellar(cellar_home_module) as made:
        yield made


@pytest.fixture(scope="module")
def folder(cellar_home_module: pathlib.Path) -> str:
    """The notebooks' folder, with the files that they read."""
    path = cellar_home_module / "notebooks"
    path.mkdir()
    scripts.write_files(path)
    return str(path)


NUMBERS = itertools.count()
SETTINGS = hypothesis.settings(
    deadline=None,
    # `make soak` runs many more.
    max_examples=int(os.environ.get("PGCELLAR_EXAMPLES", "25")),
    print_blob=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)


#: What may happen between two steps: mostly nothing; time for idle work; the sandbox dies.
HAPPENINGS = st.lists(
    st.sampled_from(["nothing"] * 14 + ["idle"] * 5 + ["killed"]), min_size=6, max_size=6
)


@SETTINGS
@hypothesis.given(session=generators.sessions(max_edits=6), happenings=HAPPENINGS)
def test_heads_equal_the_oracle(
    cellar: cellars.Cellar,
    oracle: following.Oracle,
    folder: str,
    session: generators.Session,
    happenings: Sequence[str],
) -> None:
    """Every cell in turn, then edits."""
    key = f"n{next(NUMBERS)}"
    hypothesis.note(f"{session.notebook.sources}")
    for head in range(len(session.notebook.cells)):
        check(cellar, oracle, key, session.notebook.sources, head, folder)
    for edit, happening in zip(session.edits, happenings, strict=False):
        if happening == "idle":
            cellar.quiet(key)
        elif happening == "killed":
            cellar.kill_sandbox()
        hypothesis.note(f"{happening}, {edit.kind}, {edit.head} of {edit.notebook.sources}")
        if edit.head is not None:
            check(cellar, oracle, key, edit.notebook.sources, edit.head, folder)
    sources = session.edits[-1].notebook.sources
    states = (
        check(cellar, oracle, key, sources, head, folder)
        for head in range(len(sources) - 1, -1, -1)
    )
    # Where the last cells fail, or leave a transaction open that locks others out, those above.
    if (state := next(filter(None, states), None)) is not None:
        check_dump(cellar, oracle, key, state)
    cellar.call(cellar.runner.forget(cellars.OWNER, key))


@hypothesis.settings(SETTINGS, max_examples=max(5, SETTINGS.max_examples // 5))
@hypothesis.given(session=generators.sessions(max_edits=3), happenings=HAPPENINGS)
def test_pages_equal_the_oracle(
    cellar: cellars.Cellar,
    oracle: following.Oracle,
    folder: str,
    session: generators.Session,
    happenings: Sequence[str],
) -> None:
    """Of whatever cell, whether it ran or not; and asking for them changes nothing."""
    key = f"n{next(NUMBERS)}"
    notebooks = [session.notebook, *(edit.notebook for edit in session.edits)]
    for notebook, happening in zip(notebooks, happenings, strict=False):
        if happening == "killed":
            cellar.kill_sandbox()
        hypothesis.note(f"{happening}: {notebook.sources}")
        last = len(notebook.sources) - 1
        for head in range(last, -1, -1):
            check_pages(cellar, oracle, key, notebook.sources[: head + 1], folder)
        if last >= 0:
            check(cellar, oracle, key, notebook.sources, last, folder)
    cellar.call(cellar.runner.forget(cellars.OWNER, key))


def check_pages(
    cellar: cellars.Cellar,
    oracle: following.Oracle,
    key: str,
    sources: Sequence[str],
    folder: str,
) -> None:
    """The pages of the last cell, if it has any."""
    outcome = oracle.follower.evaluate(sources, folder).cells[-1]
    for statement in range(len(cells.parse(sources[-1]).steps)):
        try:
            pages = [
                cellar.page(
                    sources,
                    notebook=key,
                    statement=statement,
                    offset=offset,
                    limit=3,
                    directory=folder,
                )
                for offset in (3, 0)
            ]
        except errors.NoPages:
            return
        assert outcome.ok
        expected = outcome.results[statement]
        assert [column.name for column in pages[0].columns] == list(expected.columns or ())
        assert {page.row_count for page in pages} == {len(expected.rows)}
        rest = pages[0].row_count - 6
        rows = [*pages[1].rows, *pages[0].rows]
        if rest > 0:
            rows += cellar.page(
                sources, notebook=key, statement=statement, offset=6, directory=folder
            ).rows
        assert collections.Counter(rows) == collections.Counter(expected.rows)


def check(
    cellar: cellars.Notebooks,
    oracle: following.Oracle,
    key: str,
    sources: Sequence[str],
    head: int,
    directory: str | None = None,
    run_as: Sequence[str] | None = None,
    above: Sequence[str] = (),
    parameters: Mapping[str, str] | None = None,
) -> str | None:
    """One head against the oracle: results, errors, and what the database holds.

    The state it led to, if it led to one, and others may look at it. After a head that fails the
    database holds what it did before.

    The oracle runs `run_as` in place of `sources`, if they are given, below the cells `above`,
    which the first of `sources` stands for.
    """
    expected = oracle.follower.evaluate([*above, *(run_as or sources)[: head + 1]], directory)
    oracle.compared += 1
    where = {"notebook": key, "directory": directory, "parameters": dict(parameters or {})}
    ran = cellar.run(sources[: head + 1], head, **where)
    error = ran.done.error
    stopped = [
        i for i in expected.failed if i < len(above) and not cells.parse(above[i]).reads_only
    ]
    if stopped:
        assert error is not None, expected.cells[stopped[0]]
        assert error.cell == "c0"
        check_code(error, expected.cells[stopped[0]].error)
        return None
    if above and error is not None and error.cell == "c0":
        # A read above that was not certain to change nothing had to run, and failed.
        codes = [expected.cells[i].error for i in expected.failed if i < len(above)]
        if error.sqlstate in {each.sqlstate for each in codes if each is not None}:
            return None
    expected = dataclasses.replace(expected, cells=expected.cells[len(above) :])
    failed = [index for index in expected.failed if index != head]
    if error is not None and error.cell != f"c{head}":
        culprit = int(error.cell[1:])
        assert culprit in failed, (error, expected.cells[culprit])
        assert all(cells.parse(sources[i]).reads_only for i in failed if i < culprit)
        check_code(error, expected.cells[culprit].error)
        return None
    assert all(cells.parse(sources[i]).reads_only for i in failed), (error, failed)
    outcome = expected.cells[head]
    assert (error is None) == outcome.ok, (error, outcome)
    if error is not None:
        check_code(error, outcome.error)
        if not outcome.inside:
            before = ran.done.cells[-2] if head else None
            check_content(cellar, oracle, sources[:head], before, where, above)
            return None
    # A translation comes with notices of its own; errors behind the first are shown as notices,
    # at the end as a result that is nothing else.
    ours = ran.results
    if run_as or error is not None:
        outcome = dataclasses.replace(outcome, notices=())
        ours = [one for one in map(without_notices, ours) if one.command or one.notices]
    verdict = compare.results(ours, outcome)
    assert verdict.kind == "same", (verdict, ran.results, outcome)
    return check_content(cellar, oracle, sources[: head + 1], ran.head, where, above)


def check_content(
    cellar: cellars.Notebooks,
    oracle: following.Oracle,
    sources: Sequence[str],
    last: records.CellReport | None,
    where: Mapping[str, Any],
    above: Sequence[str],
) -> str | None:
    """What the database holds after these cells, as the report on the `last` of them has it."""
    key = where["notebook"]
    state = last.state if last is not None else None
    held = cellar.fingerprint(state, key) if state is not None else None
    if held is None:
        # A hit needs no instance, and one in which a head failed is of no more use; a read below
        # it does, and finds one in the same state.
        below = cellar.run([*sources, "select 1"], rerun=True, **where)
        # In an open transaction a read counts, but changes nothing; so does one by a role that may
        # not look whether sequences moved, or where settings may be made that nobody can list. What
        # was volatile above is rolled anew where its state is not kept; then nothing shows the
        # values.
        same = state in (None, below.head.state)
        rolled = any(cell.volatile for cell in below.done.cells)
        texts = [*above, *sources]
        counts = below.head.effect != "read" or "role" in "".join(texts)
        assert same or rolled or counts, (below.done, last)
        state = below.head.state
        assert state is not None, below.done
        held = cellar.fingerprint(state, key)
    if held == cellars.LOCKED:
        return None
    assert held == oracle.follower.fingerprint()
    return state


def check_dump(cellar: cellars.Cellar, oracle: following.Oracle, key: str, state: str) -> None:
    """All that pg_dump finds in the state that was checked last; a fingerprint is quicker."""
    ours = cellar.dump(state, oracle.bindir, key)
    if ours != cellars.LOCKED:
        assert ours is not None
        assert contents.pieces(ours) == contents.pieces(oracle.follower.dump())


def without_notices(result: rendering.Result) -> rendering.Result:
    """With texts alone: what COPY and \\echo gave, but not how a cell was translated."""
    texts = tuple(
        one
        for one in result.notices
        if isinstance(one, records.Text) and not one.text.startswith("Run as PostgreSQL:")
    )
    return dataclasses.replace(result, notices=texts)


def check_code(error: records.SqlError, expected: oracles.CellError | None) -> None:
    """The same code; psql's own errors have none."""
    assert expected is not None
    own = expected.sqlstate is None and error.sqlstate.startswith("PC")
    assert own or error.sqlstate == expected.sqlstate, (error, expected)
