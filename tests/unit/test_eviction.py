"""pgcellar.snapshots.eviction: what goes first, what never goes, and when it is enough."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

from pgcellar.snapshots import eviction, store

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
MB = 1024 * 1024


def snapshot(state: str, **members: object) -> store.Snapshot:
    given_members = {
        "parent": "base",
        "database": f"db_{state}",
        "bytes": 10 * MB,
        "cost_ms": 100.0,
        "created": NOW,
        "last_used": NOW,
        **members,
    }
    return store.Snapshot(state=state, **given_members)  # type: ignore[arg-type]


def names(
    snapshots: list[store.Snapshot], limits: eviction.Limits, keep: tuple[str, ...] = ()
) -> list[str]:
    return [victim.state for victim in eviction.victims(snapshots, limits, NOW, keep)]


ONE = eviction.Limits(count=1)
HOUR = datetime.timedelta(hours=1)


def test_within_the_limits_nothing_goes() -> None:
    held = [snapshot("a"), snapshot("b")]
    assert names(held, eviction.Limits(bytes=20 * MB, count=2)) == []
    assert names([], eviction.Limits(bytes=0, count=0)) == []


def test_too_many_or_too_large() -> None:
    held = [snapshot("a", cost_ms=1.0), snapshot("b", cost_ms=2.0), snapshot("c", cost_ms=3.0)]
    assert names(held, eviction.Limits(count=2)) == ["a"]
    assert names(held, eviction.Limits(bytes=20 * MB)) == ["a"]
    assert names(held, eviction.Limits(bytes=20 * MB - 1)) == ["a", "b"]
    assert names(held, eviction.Limits(bytes=0)) == ["a", "b", "c"]


def test_what_is_to_be_kept_stays() -> None:
    held = [snapshot("base", parent=None, cost_ms=0.0), snapshot("a", cost_ms=1.0), snapshot("b")]
    assert names(held, eviction.Limits(bytes=0, count=0), ("base",)) == ["a", "b"]
    assert names(held, eviction.Limits(bytes=0, count=0), ("base", "a")) == ["b"]
    assert names(held, eviction.Limits(bytes=0, count=0), ("base", "a", "b")) == []


def test_an_earlier_base_goes_like_any_other() -> None:
    held = [snapshot("old base", parent=None, cost_ms=0.0), snapshot("a")]
    assert names(held, ONE) == ["old base"]


def test_the_cheaper_to_rebuild_goes_first() -> None:
    assert names([snapshot("dear", cost_ms=900.0), snapshot("cheap", cost_ms=10.0)], ONE) == [
        "cheap"
    ]


def test_the_larger_goes_first() -> None:
    assert names([snapshot("small"), snapshot("large", bytes=100 * MB)], ONE) == ["large"]


def test_the_less_used_goes_first() -> None:
    assert names([snapshot("used", hits=5), snapshot("unused")], ONE) == ["unused"]


def test_the_longer_unused_goes_first() -> None:
    assert names([snapshot("new"), snapshot("old", last_used=NOW - HOUR)], ONE) == ["old"]


def test_reuse_halves() -> None:
    fresh, old = snapshot("a"), snapshot("b", last_used=NOW - eviction.HALF_LIFE)
    assert eviction.worth(old, NOW) == eviction.worth(fresh, NOW) / 2
    # A clock that was set back.
    assert eviction.worth(snapshot("c", last_used=NOW + HOUR), NOW) == eviction.worth(fresh, NOW)


def test_an_empty_snapshot_has_a_price_too() -> None:
    assert eviction.worth(snapshot("a", bytes=0), NOW) == 100.0 / eviction.STATE_CHARGE


snapshots = st.lists(
    st.builds(
        snapshot,
        st.uuids().map(str),
        parent=st.sampled_from([None, "base", "base"]),
        bytes=st.integers(0, 100 * MB),
        cost_ms=st.floats(0, 1e6),
        hits=st.integers(0, 50),
        last_used=st.integers(0, 1000).map(lambda hours: NOW - hours * HOUR),
    ),
    max_size=12,
)


@given(snapshots, st.integers(0, 500 * MB), st.integers(0, 12), st.data())
def test_no_more_than_needed_and_no_less(
    held: list[store.Snapshot], size: int, count: int, data: st.DataObject
) -> None:
    limits = eviction.Limits(bytes=size, count=count)
    keep = data.draw(st.sets(st.sampled_from([s.state for s in held]))) if held else set()
    gone = eviction.victims(held, limits, NOW, keep)
    states = {victim.state for victim in gone}
    assert len(states) == len(gone)
    assert states.isdisjoint(keep)
    rest = [s for s in held if s.state not in states]
    droppable = [s for s in rest if s.state not in keep]
    assert _fits(rest, limits) or not droppable
    if gone:
        assert not _fits([*rest, gone[-1]], limits)
        assert all(eviction.worth(gone[-1], NOW) <= eviction.worth(s, NOW) for s in droppable)


def _fits(held: list[store.Snapshot], limits: eviction.Limits) -> bool:
    return sum(s.bytes for s in held) <= limits.bytes and len(held) <= limits.count
