"""The tail of a cell, with and without the notebook's order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar.api import errors
from pgcellar_kernel import order


def tail(place: order.Place) -> list[str]:
    """The sources above the head."""
    return [cell.source for cell in place.cells[: place.head]]


def run(execution: order.ExecutionOrder, identity: str, source: str, ok: bool = True) -> list[str]:
    """Run a cell; the tail it ran with."""
    place = execution.place(identity, source)
    assert (place.cells[place.head].id, place.cells[place.head].source) == (identity, source)
    assert len(place.cells) == place.head + 1
    execution.ran(identity, source if ok else None)
    return tail(place)


def test_each_cell_runs_below_those_before_it() -> None:
    """As in a notebook run from the top."""
    execution = order.ExecutionOrder()
    assert run(execution, "a", "A") == []
    assert run(execution, "b", "B") == ["A"]
    assert run(execution, "c", "C") == ["A", "B"]


def test_a_cell_that_comes_again_keeps_its_place() -> None:
    """Only what is above it is its tail; those below get its new text."""
    execution = order.ExecutionOrder()
    for identity in "abc":
        run(execution, identity, identity.upper())
    assert run(execution, "b", "B2") == ["A"]
    assert run(execution, "c", "C") == ["A", "B2"]
    assert run(execution, "d", "D") == ["A", "B2", "C"]


def test_a_failed_cell_leaves_no_trace_but_its_place() -> None:
    """To which it comes back when it succeeds."""
    execution = order.ExecutionOrder()
    run(execution, "a", "A")
    run(execution, "b", "B", ok=False)
    assert run(execution, "c", "C") == ["A"]
    assert run(execution, "b", "B2") == ["A"]
    assert run(execution, "c", "C") == ["A", "B2"]
    run(execution, "a", "A2", ok=False)
    assert run(execution, "c", "C") == ["B2"]


def test_a_place_alone_changes_no_tail() -> None:
    """A cell that was never answered for, as when the kernel was restarted in it."""
    execution = order.ExecutionOrder()
    run(execution, "a", "A")
    execution.place("b", "B")
    assert run(execution, "c", "C") == ["A"]


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("12345"), st.booleans())),
    st.sampled_from("abcd"),
)
def test_the_tail_is_the_last_success_of_each_cell_above(
    runs: list[tuple[str, str, bool]], head: str
) -> None:
    """Whatever was run, in whatever order."""
    execution = order.ExecutionOrder()
    for identity, source, ok in runs:
        run(execution, identity, source, ok)
    seen = list(dict.fromkeys(identity for identity, _, _ in runs))
    last = {identity: (source, ok) for identity, source, ok in runs}
    above = seen[: seen.index(head)] if head in seen else seen
    expected = [last[identity][0] for identity in above if last[identity][1]]
    assert tail(execution.place(head, "head")) == expected


# --- told by the front end --------------------------------------------------------------------


def told(cells: Any, head: Any, source: str = "now") -> order.Place | None:
    """What the metadata tells."""
    return order.told({"pgcellar": {"cells": cells, "head": head}}, source)


def test_the_notebook_order_is_taken_as_told() -> None:
    """Up to the head, whose text is what the request runs."""
    place = told([{"id": n, "source": n.upper()} for n in "abc"], 1)
    assert place is not None
    assert [(cell.id, cell.source) for cell in place.cells] == [("a", "A"), ("b", "now")]
    assert place.head == 1


@pytest.mark.parametrize(
    "metadata",
    [None, {}, {"cellId": "a"}, {"pgcellar": {}}, {"pgcellar": None}, {"pgcellar": {"tags": []}}],
)
def test_nothing_told(metadata: dict[str, Any] | None) -> None:
    """The cell's own metadata comes along too, and may have a member of ours."""
    assert order.told(metadata, "now") is None


@pytest.mark.parametrize(
    ("cells", "head"),
    [
        ("nonsense", 0),
        ([], 0),
        ([{"id": "a", "source": "A"}], None),
        ([{"id": "a", "source": "A"}], 1),
        ([{"id": "a", "source": "A"}], -1),
        ([{"id": "a", "source": "A"}], "0"),
        ([{"id": "a", "source": "A"}], False),
        ([{"id": "a"}], 0),
        ([{"id": "a", "source": 1}], 0),
        (["A"], 0),
    ],
)
def test_what_is_told_wrongly_is_refused(cells: Any, head: Any) -> None:
    """To guess a tail would be to show wrong results."""
    with pytest.raises(errors.BadRequest):
        told(cells, head)
