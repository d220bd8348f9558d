"""How far long statements are, as the runner tells it while they run."""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Iterator

import pytest
from tests import cellar as cellars

from pgcellar.api import records
from pgcellar.runner import advances

#: A row takes ten milliseconds, and there are seven or eight in a block.
SLOW = (
    "create function slow(a int) returns int immutable language plpgsql as"
    " 'begin perform pg_sleep(0.01); return a; end'"
)
TABLE = "create table t as select a, repeat('x', 1000) as b from generate_series(1, 150) a"
INDEX = "create index on t (slow(a))"


@pytest.fixture
def cellar(cellar_home: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[cellars.Cellar]:
    """One that looks early and often."""
    monkeypatch.setattr(advances, "FIRST", 0.1)
    monkeypatch.setattr(advances, "INTERVAL", 0.05)
    with cellars.Cellar(cellar_home) as made:
        yield made


def told(ran: cellars.Ran) -> list[records.Progress]:
    """What was told of long statements."""
    return [
        event
        for event in ran.events
        if isinstance(event, records.Progress) and event.what not in (None, "replay")
    ]


def check(steps: list[records.Progress], what: str) -> None:
    """It goes on, and never beyond its end."""
    assert len(steps) > 2
    assert {step.what for step in steps} == {what}
    counted = [step for step in steps if step.total]
    done = [step.done or 0 for step in counted]
    assert len(set(done)) > 2
    assert done == sorted(done)
    assert all(0 <= (step.done or 0) <= (step.total or 0) for step in counted)


def test_an_index_is_created(cellar: cellars.Cellar) -> None:
    steps = told(cellar.run([SLOW, TABLE, INDEX]))
    check(steps, "CREATE INDEX")
    assert any(step.message.startswith("CREATE INDEX: building index") for step in steps)
    assert all(step.cell is None for step in steps)


def test_a_file_is_loaded(cellar: cellars.Cellar, tmp_path: pathlib.Path) -> None:
    """Of which PostgreSQL knows no size, but we do."""
    (tmp_path / "t.csv").write_text("".join(f"{n},{'x' * 2000}\n" for n in range(150)))
    cells = [SLOW, "create table t (a int check (slow(a) >= 0), b text)", "\\copy t from t.csv csv"]
    check(told(cellar.run(cells, directory=str(tmp_path))), "COPY")


def test_a_tail_cell_is_replayed(cellar: cellars.Cellar) -> None:
    """It is said which of how many, and how far its statement is."""
    ran = cellar.run([SLOW, TABLE, "create index on t (slow(a + 1))", "select 1"])
    steps = told(ran)
    check(steps, "CREATE INDEX")
    assert {step.cell for step in steps} == {ran.done.cells[2].id}
    assert steps[0].message.startswith("Replaying cell 3 of 3 … CREATE INDEX: building")
    (waiting,) = [
        event
        for event in ran.events
        if isinstance(event, records.Progress) and event.what == "replay"
    ]
    assert (waiting.message, waiting.done, waiting.total) == ("Replaying cell 3 of 3 …", 2, 3)


def test_short_statements_are_not_looked_at(cellar: cellars.Cellar) -> None:
    assert told(cellar.run([SLOW, TABLE, "select count(*) from t"])) == []
    many = ";".join(["select pg_sleep(0.02)"] * 20)
    assert told(cellar.run([many])) == []


def test_what_postgresql_says_nothing_of(cellar: cellars.Cellar) -> None:
    assert told(cellar.run(["select pg_sleep(0.4)"])) == []


def test_a_statement_that_waits_for_another_notebook(cellar: cellars.Cellar) -> None:
    """For a snapshot that is safe, as in PostgreSQL; whoever waits is told for what."""
    other = [TABLE, "begin isolation level serializable; delete from t", "rollback"]
    for head in range(2):
        assert cellar.run(other, head, notebook="other").done.error is None
    waits = threading.Event()
    events: list[records.Event] = []

    async def emit(event: records.Event) -> None:
        events.append(event)
        if isinstance(event, records.Progress) and event.message.startswith("Waiting until other"):
            waits.set()

    begin = "begin isolation level serializable read only deferrable; select 1"
    cells = (records.Cell(id="c", source=begin),)
    request = records.RunRequest(notebook="n", cells=cells, head=0)
    waiting = cellar.submit(cellar.runner.run(cellars.OWNER, request, emit))
    assert waits.wait(cellars.TIMEOUT)
    assert cellar.run(other, 2, notebook="other").done.error is None
    waiting.result(cellars.TIMEOUT)
    done = events[-1]
    assert isinstance(done, records.Done)
    assert done.error is None
