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


def told(*pairs: tuple[str, str]) -> order.NotebookOrder:
    """A notebook that a front end has told of."""
    made = order.NotebookOrder()
    made.change(
        {"order": [pair[0] for pair in pairs], "cells": {i: {"source": s} for i, s in pairs}}
    )
    return made


class TestNotebookOrder:
    """The notebook as a front end tells it by what has changed."""

    def test_a_cell_stands_below_those_above_it(self) -> None:
        place = told(("a", "1"), ("b", "2"), ("c", "3")).place("b", "2")
        assert place == order.Place(cells=cells(("a", "1"), ("b", "2")), head=1)

    def test_what_stood_above_when_it_was_sent_counts(self) -> None:
        made = told(("a", "1"), ("b", "2"))
        made.send("b", "2")
        made.change({"cells": {"a": {"source": "new"}}})
        place = made.place("b", "2")
        assert place is not None
        assert place.cells == cells(("a", "1"), ("b", "2"))
        again = made.place("b", "2")
        assert again is not None
        assert again.cells == cells(("a", "new"), ("b", "2"))

    def test_what_was_sent_with_another_text_or_aborted_is_forgotten(self) -> None:
        made = told(("a", "1"), ("b", "2"))
        for end in (lambda: made.send("b", "other"), made.abort):
            made.send("b", "2")
            end()
            made.change({"cells": {"a": {"source": "new"}}})
            place = made.place("b", "2")
            assert place is not None
            assert place.cells[0].source == "new"
            made.change({"cells": {"a": {"source": "1"}}})

    def test_moved_deleted_and_inserted_cells_are_followed(self) -> None:
        made = told(("a", "1"), ("b", "2"), ("c", "3"))
        made.change({"order": ["c", "d", "a"], "cells": {"d": {"source": "4"}}})
        assert made.whole() == cells(("c", "3"), ("d", "4"), ("a", "1"))
        assert made.place("b", "2") is None

    def test_skipped_cells_take_no_part_and_tags_are_heeded(self) -> None:
        made = told(("a", "1"), ("b", "2"))
        made.change({"cells": {"a": {"source": "1", "tags": ["skip"]}}})
        assert made.whole() == cells(("b", "2"))
        assert made.at("a") == order.Place(cells=cells(("a", "")), head=0)
        made.change({"cells": {"a": {"source": "select 1", "tags": ["dialect:mysql"]}}})
        assert made.whole()[0].source == "/* dialect: mysql */ select 1"

    @pytest.mark.parametrize(
        "told_wrongly",
        [
            {"order": 3},
            {"order": ["a", "a"]},
            {"order": ["a", "unknown"]},
            {"cells": ["a"]},
            {"cells": {"a": "text"}},
            {"cells": {"a": {"source": None}}},
        ],
    )
    def test_what_is_not_as_it_should_be_changes_nothing(
        self, told_wrongly: dict[str, Any]
    ) -> None:
        made = told(("a", "1"), ("b", "2"))
        with pytest.raises(errors.BadRequest):
            made.change(told_wrongly)
        assert made.whole() == cells(("a", "1"), ("b", "2"))

    def test_a_cell_that_is_not_there_is_named(self) -> None:
        with pytest.raises(errors.NotFound, match="no cell x"):
            told(("a", "1")).at("x")
