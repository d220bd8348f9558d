"""pgcellar.runner.planning: the cheapest start, and the reason for a miss."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar.api import records
from pgcellar.notebook import cells, meanings, states
from pgcellar.runner import planning

CLONE_MS = 30.0
_USES = {"l": meanings.Use(literals=True), "s": meanings.Use(shifts=True)}


def chain(cell_kinds: Sequence[str]) -> tuple[list[states.Mark], list[states.Link]]:
    """Marks and links: `w` writes, `r` is skipped, `b` needs the base, `v` is volatile; `l` defines
    a function with a literal, and `s` changes what it means.
    """
    mark = states.Mark(state="0")
    known, links = [mark], []
    for number, kind in enumerate(cell_kinds, start=1):
        memory = mark.memory.after(_USES.get(kind, meanings.NONE))
        after = mark if kind == "r" else states.Mark(state=str(number), memory=memory)
        links.append(
            states.Link(
                before=mark,
                after=after,
                effect="read" if kind == "r" else "write",
                runs=kind != "r",
                volatile=kind == "v",
                needs_base=kind == "b",
            )
        )
        known.append(after)
        mark = after
    return known, links


def choose(
    cell_kinds: Sequence[str],
    *,
    live: Mapping[int, bool] | None = None,
    kept: Mapping[int, float] | None = None,
    cost: float | Sequence[float] = 100.0,
    needs_base: bool = False,
    remembers: bool = False,
) -> planning.Start:
    """The start for a chain. `live` maps indexes of marks to whether that has its whole session."""
    known, links = chain(cell_kinds)
    alive = {known[index].state: whole for index, whole in (live or {}).items()}
    snapshots = {"0": CLONE_MS} | {known[index].state: ms for index, ms in (kept or {}).items()}
    return planning.choose(
        planning.Marks(known[0], links),
        links,
        needs_base=needs_base,
        remembers=remembers,
        live=lambda mark, base: mark.state in alive and (alive[mark.state] or not base),
        kept=snapshots.get,
        cost=lambda index: cost if isinstance(cost, float) else cost[index],
    )


def start(
    index: int,
    replay_ms: float = 0.0,
    *,
    live: bool = False,
    needs_base: bool = False,
    whole: bool = False,
) -> planning.Start:
    return planning.Start(
        index=index, live=live, replay_ms=replay_ms, needs_base=needs_base, whole=whole
    )


def test_marks() -> None:
    known, links = chain("wrw")
    base = states.Mark(state="0")
    ended = states.Link(before=known[-1], after=None, effect="read", runs=True)
    for some, wanted in ((links, known), ([*links, ended], known), ([], [base])):
        found = planning.Marks(base, some)
        assert list(found) == wanted
        assert len(found) == len(wanted)
        assert found[-1] == wanted[-1]
        with pytest.raises(IndexError):
            found[len(wanted)]


def test_without_anything_kept_all_is_replayed_from_the_base() -> None:
    assert choose("wrw") == start(0, 200.0)
    assert choose("") == start(0)


def test_a_live_instance_at_the_end_costs_nothing() -> None:
    assert choose("www", live={3: False}, kept={3: 1.0}) == start(3, live=True)


def test_the_last_snapshot_is_cloned() -> None:
    assert choose("www", kept={3: CLONE_MS}) == start(3)
    assert choose("www", kept={2: CLONE_MS}) == start(2, 100.0)


def test_a_live_instance_above_beats_a_clone_where_replay_is_cheap() -> None:
    assert choose("www", live={2: False}, kept={3: CLONE_MS}, cost=10.0) == start(
        2, 10.0, live=True
    )
    assert choose("www", live={2: False}, kept={3: CLONE_MS}, cost=50.0) == start(3)


def test_replay_beats_a_large_clone() -> None:
    assert choose("www", kept={3: 500.0, 2: CLONE_MS}) == start(2, 100.0)
    assert choose("www", kept={3: 120.0, 2: CLONE_MS}) == start(3)


def test_reads_are_not_replayed() -> None:
    assert choose("wrrr", live={1: False}) == start(4, live=True)
    assert choose("wrrrw", kept={1: CLONE_MS}) == start(4, 100.0)


def test_what_needs_the_base_starts_there_or_on_the_whole_session() -> None:
    assert choose("www", kept={1: 1.0, 2: 1.0, 3: 1.0}, needs_base=True) == start(
        0, 300.0, needs_base=True
    )
    assert choose("www", live={3: False}, needs_base=True) == start(0, 300.0, needs_base=True)
    whole = start(3, live=True, needs_base=True)
    assert choose("www", live={3: True}, needs_base=True) == whole
    whole = start(1, 200.0, live=True, needs_base=True)
    assert choose("www", live={1: True}, needs_base=True) == whole


def test_a_replayed_cell_that_needs_the_base_starts_there() -> None:
    assert choose("wbw", kept={1: 1.0}) == start(0, 300.0, needs_base=True)
    # Below it, it does not matter any more.
    assert choose("wbw", kept={1: 1.0, 2: CLONE_MS}) == start(2, 100.0)
    assert choose("wbw", live={1: False}) == start(0, 300.0, needs_base=True)
    assert choose("wbw", live={1: True}) == start(1, 200.0, live=True, needs_base=True)


@given(st.data())
def test_no_start_is_cheaper(data: st.DataObject) -> None:
    kinds = data.draw(st.text("wrb", max_size=6))
    count = len(kinds)
    costs = data.draw(st.lists(st.integers(1, 9).map(float), min_size=count, max_size=count))
    indexes = st.integers(0, count)
    live = data.draw(st.dictionaries(indexes, st.booleans(), max_size=3))
    kept = data.draw(st.dictionaries(indexes.filter(bool), st.integers(1, 20).map(float)))
    needs_base = data.draw(st.booleans())
    known, _ = chain(kinds)
    alive: dict[str, bool] = {}
    for index, whole in live.items():
        alive[known[index].state] = alive.get(known[index].state, False) or whole
    clones = {"0": CLONE_MS} | {
        known[i].state: ms for i, ms in kept.items() if known[i].state != "0"
    }

    def price(index: int) -> float:
        """What a start there costs, or infinity where it can't be."""
        whole = needs_base or "b" in kinds[index:]
        replay = sum(c for c, kind in zip(costs[index:], kinds[index:], strict=True) if kind != "r")
        state = known[index].state
        if state in alive and (alive[state] or not whole):
            return replay
        if state in clones and (not whole or index == 0):
            return replay + clones[state]
        return float("inf")

    found = planning.choose(
        planning.Marks(known[0], chain(kinds)[1]),
        chain(kinds)[1],
        needs_base=needs_base,
        remembers=False,
        live=lambda mark, base: mark.state in alive and (alive[mark.state] or not base),
        kept=clones.get,
        cost=costs.__getitem__,
    )
    assert price(found.index) == min(price(index) for index in range(count + 1))
    assert price(found.index) == found.replay_ms + (
        0 if found.live else clones[known[found.index].state]
    )


def test_what_a_session_remembers_is_replayed_in_one_from_where_it_had_nothing_to() -> None:
    kept = {1: CLONE_MS, 2: CLONE_MS, 3: CLONE_MS, 4: CLONE_MS}
    # Where nothing changes a setting the state of a function is one like any other.
    assert choose("swlww", kept=kept) == start(4, 100.0)
    assert choose("swlw", kept=kept, remembers=True) == start(2, 200.0, whole=True)
    assert choose("wlwsw", kept=kept) == start(1, 400.0, whole=True)
    # A session that ran less, or more, remembers something else; behind the change none does.
    assert choose("wlwsw", kept=kept, live={3: True}) == start(1, 400.0, whole=True)
    assert choose("wlwsw", kept=kept, live={4: True}) == start(4, 100.0, live=True, whole=True)


def test_nothing_is_rolled_anew_for_what_a_session_remembers() -> None:
    kept = {1: CLONE_MS, 3: CLONE_MS}
    assert choose("wlvsw", kept=kept) == start(3, 200.0, whole=True)
    assert choose("wlvsw", kept=kept, live={3: True}) == start(3, 200.0, live=True, whole=True)
    # Where none of its states is kept it is.
    assert choose("wlvsw", kept={1: CLONE_MS}) == start(1, 400.0, whole=True)
    # The function stands below it.
    assert choose("wvlws", kept={2: CLONE_MS, 3: CLONE_MS}) == start(2, 300.0, whole=True)


def test_replayable() -> None:
    _, links = chain("wvwr")
    assert not planning.replayable(links, 0)
    assert not planning.replayable(links, 1)
    assert planning.replayable(links, 2)
    assert planning.replayable(links, 4)


SOURCES = ("create table t (a int)", "insert into t values (1)", "update t set a = 2", "table t")


def why(before: Sequence[str], now: Sequence[str], missed: int) -> str:
    notebook = [records.Cell(id=f"c{number}", source=s) for number, s in enumerate(now, start=1)]
    digests = [cells.parse(source).digest for source in before]
    return planning.why(notebook, [cells.parse(source) for source in now], digests, missed)


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_why_names_the_cell_that_changed(changed: int) -> None:
    now = [*SOURCES[:changed], "truncate t", *SOURCES[changed + 1 :]]
    for missed in range(changed, 3):
        assert why(SOURCES, now, missed) == f"cell {changed + 1} (c{changed + 1}) changed"


def test_why_names_the_first_that_never_ran() -> None:
    assert why((), SOURCES, 0) == "cell 1 (c1) has not run yet"
    assert why(SOURCES[:2], SOURCES, 2) == "cell 3 (c3) has not run yet"


def test_why_nothing_changed() -> None:
    assert why(SOURCES, SOURCES, 1) == "the state after cell 2 (c2) is not kept"
    reformatted = [f"-- x\n{source};" for source in SOURCES]
    assert why(SOURCES, reformatted, 1) == "the state after cell 2 (c2) is not kept"


def test_why_nothing_is_kept_above_the_change() -> None:
    now = [*SOURCES[:2], "truncate t", SOURCES[3]]
    assert why(SOURCES, now, 0) == "cell 3 (c3) changed; no state is kept between cells 1 and 2"


def test_why_has_an_answer_for_every_miss() -> None:
    for before, now in itertools.product(itertools.permutations(SOURCES, 3), repeat=2):
        for missed in range(2):
            assert why(before, now, missed)


def test_a_volatile_cell_is_not_rolled_anew_while_its_state_is_kept() -> None:
    """Though replaying it from a live instance would be cheaper than a clone."""
    kept = {2: CLONE_MS}
    found = choose("wvw", live={1: True}, kept=kept, cost=1.0)
    assert found == planning.Start(index=2, live=False, replay_ms=1.0)
    assert choose("www", live={1: True}, kept=kept, cost=1.0).index == 1
    assert choose("wvw", live={1: True}, cost=1.0).index == 1
