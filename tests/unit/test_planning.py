"""The cheapest start, and the reason for it; and which snapshots go first."""

from __future__ import annotations

import datetime

from pgcellar.api import records
from pgcellar.notebook import cells, states
from pgcellar.runner import planning
from pgcellar.snapshots import eviction, store

TEXTS = ["create table t (a int)", "insert into t values (1)", "insert into t values (2)"]
PARSED = [cells.parse(text) for text in TEXTS]
BASE = "0" * 64
LINKS = [link for link in states.Chain(None).walk(BASE, PARSED, {})]  # type: ignore[arg-type]
MARKS = planning.marks(BASE, LINKS)
NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)


def choose(
    *, kept: set[int], live: set[int] = frozenset(), base: bool = False, cost: float = 10.0
) -> planning.Start:  # type: ignore[assignment]
    """The start with snapshots and instances at these places."""
    return planning.choose(
        MARKS,
        LINKS,
        needs_base=base,
        live=lambda mark, needs: MARKS.index(mark) in live and not needs,
        kept=lambda state: 50.0 if [m.state for m in MARKS].index(state) in kept | {0} else None,
        cost=lambda index: cost,
    )


def test_the_nearest_snapshot_unless_replay_is_cheaper() -> None:
    """By what it costs in all."""
    assert choose(kept={2}).index == 2
    assert choose(kept={3}).index == 3
    assert choose(kept=set()).index == 0
    assert choose(kept={1}, live={0}, cost=10.0) == planning.Start(
        index=0, live=True, replay_ms=30.0
    )
    assert choose(kept={1}, live={0}, cost=1000.0).index == 1
    assert choose(kept={3}, live={3}).live


def test_from_the_base_where_the_whole_session_is_needed() -> None:
    """Neither snapshot nor instance will do."""
    assert choose(kept={2, 3}, live={3}, base=True) == planning.Start(
        index=0, live=False, replay_ms=30.0
    )


def test_why_names_the_changed_cell() -> None:
    """Or says that the state is not kept."""
    notebook = [records.Cell(id=f"c{i}", source=text) for i, text in enumerate(TEXTS)]
    digests = [parsed.digest for parsed in PARSED]
    assert planning.why(notebook, PARSED, digests, 1) == "the state after cell 2 (c1) is not kept"
    assert planning.why(notebook, PARSED, [digests[0], "x"], 1) == "cell 2 (c1) changed"
    assert planning.why(notebook, PARSED, digests[:1], 1) == "cell 2 (c1) has not run yet"


def test_volatile_cells_are_not_replayed_for_a_remembered_result() -> None:
    """The database would not hold what it said."""
    (link,) = states.Chain(None).walk(BASE, [cells.parse("insert into t values (now())")], {})  # type: ignore[arg-type]
    assert not planning.replayable([link], 0)
    assert planning.replayable(LINKS, 0)


def snapshot(name: str, **more: object) -> store.Snapshot:
    """A snapshot of 10 MB that took a second."""
    plain = {"bytes": 10_000_000, "cost_ms": 1000.0, "parent": "p", "last_used": NOW}
    return store.Snapshot(state=name, database=name, created=NOW, **{**plain, **more})  # type: ignore[arg-type]


def test_the_least_valuable_go_until_the_limits_hold() -> None:
    """Cheap, big or long unused ones first; the base never."""
    held = [
        snapshot("base", parent=None, cost_ms=0.0),
        snapshot("cheap", cost_ms=1.0),
        snapshot("big", bytes=100_000_000),
        snapshot("old", last_used=NOW - datetime.timedelta(days=2)),
        snapshot("used", hits=9),
    ]
    gone = eviction.victims(held, eviction.Limits(bytes=10**12, count=3), NOW)
    assert [s.state for s in gone] == ["old", "cheap"]
    gone = eviction.victims(held, eviction.Limits(bytes=0, count=9), NOW, keep=["used"])
    assert {s.state for s in gone} == {"cheap", "big", "old"}
    assert eviction.victims(held, eviction.Limits(), NOW) == []
