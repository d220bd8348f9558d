"""pgcellar_kernel.order: the tail by execution, and the tail as the front end tells it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar.api import errors, order, records


def cells(*pairs: tuple[str, str]) -> tuple[records.Cell, ...]:
    return tuple(records.Cell(id=identity, source=source) for identity, source in pairs)


def ran(*pairs: tuple[str, str]) -> order.ExecutionOrder:
    """The order after these cells ran."""
    made = order.ExecutionOrder()
    for identity, source in pairs:
        made.place(identity, source)
        made.ran(identity, source)
    return made


def test_a_new_cell_runs_below_all_others() -> None:
    place = ran(("a", "1"), ("b", "2")).place("c", "3")
    assert place == order.Place(cells=cells(("a", "1"), ("b", "2"), ("c", "3")), head=2)


def test_the_first_cell_has_no_tail() -> None:
    assert ran().place("a", "1") == order.Place(cells=cells(("a", "1")), head=0)


def test_a_cell_that_comes_again_keeps_its_place() -> None:
    made = ran(("a", "1"), ("b", "2"), ("c", "3"))
    assert made.place("b", "new") == order.Place(cells=cells(("a", "1"), ("b", "new")), head=1)
    made.ran("b", "new")
    assert made.place("c", "3").cells == cells(("a", "1"), ("b", "new"), ("c", "3"))


def test_a_failed_cell_leaves_no_trace_until_it_succeeds() -> None:
    made = ran(("a", "1"), ("b", "2"))
    made.place("b", "wrong")
    made.ran("b", None)
    assert made.place("c", "3").cells == cells(("a", "1"), ("c", "3"))
    made.ran("c", "3")
    made.place("b", "right")
    made.ran("b", "right")
    assert made.place("c", "3").cells == cells(("a", "1"), ("b", "right"), ("c", "3"))


def test_a_cell_that_was_interrupted_before_it_ran_is_not_in_the_tail() -> None:
    made = ran(("a", "1"))
    made.place("b", "2")
    made.ran("b", None)
    made.ran("b", None)
    assert made.place("c", "3").cells == cells(("a", "1"), ("c", "3"))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans())))
def test_the_order_is_that_of_first_execution(steps: list[tuple[str, bool]]) -> None:
    made = order.ExecutionOrder()
    first: list[str] = []
    kept: dict[str, str] = {}
    for number, (identity, succeeds) in enumerate(steps):
        if identity not in first:
            first.append(identity)
        above = first[: first.index(identity)]
        expected = [(i, kept[i]) for i in above if i in kept] + [(identity, str(number))]
        place = made.place(identity, str(number))
        assert place == order.Place(cells=cells(*expected), head=len(expected) - 1)
        if succeeds:
            made.ran(identity, str(number))
            kept[identity] = str(number)
        else:
            made.ran(identity, None)
            kept.pop(identity, None)


def metadata(head: Any, *pairs: tuple[str, str]) -> dict[str, Any]:
    listed = [{"id": identity, "source": source} for identity, source in pairs]
    return {"pgcellar": {"cells": listed, "head": head}}


def test_told() -> None:
    told = order.told(metadata(1, ("a", "1"), ("b", "2"), ("c", "3")), "2")
    assert told == order.Place(cells=cells(("a", "1"), ("b", "2")), head=1)


def test_the_code_that_came_counts() -> None:
    told = order.told(metadata(1, ("a", "1"), ("b", "old")), "new")
    assert told is not None
    assert told.cells == cells(("a", "1"), ("b", "new"))


def test_cells_without_ids_are_numbered() -> None:
    told = order.told({"pgcellar": {"cells": [{"source": "1"}, {"source": "2"}], "head": 1}}, "2")
    assert told is not None
    assert told.cells == cells(("0", "1"), ("1", "2"))


@pytest.mark.parametrize(
    "sent",
    [None, {}, {"pgcellar": None}, {"pgcellar": {}}, {"pgcellar": {"head": 0}}, {"other": 1}],
)
def test_nothing_told(sent: dict[str, Any] | None) -> None:
    assert order.told(sent, "select 1") is None


@pytest.mark.parametrize("head", [None, -1, 1, "0", 0.0, False])
def test_a_head_that_is_none_of_the_cells(head: object) -> None:
    with pytest.raises(errors.BadRequest, match="head"):
        order.told(metadata(head, ("a", "1")), "1")


@pytest.mark.parametrize("bad", [None, "a", {"id": "a"}, {"id": "a", "source": ["1"]}, []])
def test_cells_that_are_not_as_they_should_be(bad: object) -> None:
    with pytest.raises(errors.BadRequest, match="source"):
        order.told({"pgcellar": {"cells": [bad, {"id": "b", "source": "2"}], "head": 1}}, "2")
    with pytest.raises(errors.BadRequest, match="cells"):
        order.told({"pgcellar": {"cells": {"a": bad}, "head": 0}}, "2")
