"""State ids and the chain: what enters, what stops it, what must run."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pgcellar.notebook import cells, states

BASE = states.base_id({"version": "18"})


class Knowledge:
    """Knows these facts of every state, and what was learned of these statements."""

    def __init__(
        self,
        facts: states.Facts | None = None,
        learned: Mapping[str, states.Outcome] | None = None,
    ) -> None:
        self._facts = facts
        self._learned = learned or {}

    def facts(self, state: str) -> states.Facts | None:
        """See `states.Knowledge`."""
        return self._facts

    def learned(self, state: str, statement: str) -> states.Outcome | None:
        """See `states.Knowledge`."""
        return self._learned.get(statement)


ALL = Knowledge(states.Facts())


def walk(*texts: str, knowledge: Knowledge = ALL, **digests: str) -> list[states.Link]:
    """The chain of these cells."""
    return states.Chain(knowledge).walk(BASE, [cells.parse(text) for text in texts], digests)


def last(*texts: str) -> str:
    """The state after these cells."""
    mark = walk(*texts)[-1].after
    assert mark is not None
    return mark.state


def test_only_effective_statements_enter_the_id() -> None:
    """Neither reads nor comments nor white space nor the cut into cells."""
    one = last("create table t (a int)", "insert into t values (1)")
    assert one == last("create  table t(a int) -- x", "select 1", "insert into t values (1)")
    assert one == last("create table t (a int); insert into t values (1)")
    assert one != last("insert into t values (1)", "create table t (a int)")
    assert one != last("create table t (a int)", "insert into t values (2)")
    assert last("select 1") == BASE


def test_file_digests_enter() -> None:
    """By content."""
    cell = "\\copy t from 'x.csv'"
    ids = {walk(cell, **{cell: digest})[0].after for digest in ("", "1", "2")}
    assert len(ids) == 3


def test_certain_reads_are_skipped_and_uncertain_ones_stop_the_chain() -> None:
    """Until they are learned."""
    knowing = states.Facts(names=frozenset({"f"}))
    (link,) = walk("select 1", knowledge=Knowledge(knowing))
    assert (link.runs, link.after) == (False, states.Mark(state=BASE))
    (link,) = walk("select f()", knowledge=Knowledge(knowing))
    assert (link.runs, link.after) == (True, None)
    (link,) = walk("select f()", knowledge=Knowledge(knowing, {"select f ( )": "read"}))
    assert (link.runs, link.after) == (False, states.Mark(state=BASE))
    (link,) = walk("select f()", knowledge=Knowledge(knowing, {"select f ( )": "write"}))
    assert link.runs
    assert link.effect == "write"
    assert link.after != states.Mark(state=BASE)
    (link,) = walk("select 1", knowledge=Knowledge(states.Facts(reached=True)))
    assert link.after is None


def test_a_state_never_reached_stops_the_chain_at_the_next_read() -> None:
    """Nobody knows its facts."""
    links = walk("create table t (a int)", "select 1", "select 2", knowledge=Knowledge(None))
    assert [link.after is None for link in links] == [False, True]


def test_reads_of_cells_that_write_must_be_known_to_succeed() -> None:
    """A failing one would leave the cell without a trace."""
    cell = "insert into t values (1); select 1 / 0"
    assert walk(cell)[0].after is None
    known = Knowledge(states.Facts(), {"select 1 / 0": "read"})
    assert walk(cell, knowledge=known)[0].after is not None
    writes = Knowledge(states.Facts(names=frozenset({"f"})), {"select f ( )": "write"})
    assert walk("select 1; select f()", knowledge=writes)[0].after is None


@pytest.mark.parametrize(
    ("text", "binding"),
    [
        ("set app.name = '1'", "pinned"),
        ("create function f() returns int language sql as 'select lastval()::int'", "base"),
        ("insert into t values (currval('s'))", "free"),
        ("set work_mem = '1MB'", "free"),
    ],
)
def test_bindings_go_on_below(text: str, binding: str) -> None:
    """But for a query that asks once."""
    mark = walk(text)[-1].after
    assert mark is not None
    assert mark.binding == binding


def test_volatile_cells() -> None:
    """Named by the cell itself, or by a definition above it."""
    assert walk("insert into t values (now())")[0].volatile
    assert not walk("insert into t values (1)")[0].volatile
    links = walk("create table t (a timestamptz default now())", "insert into t default values")
    assert links[1].volatile


def test_the_memo_tells_the_same() -> None:
    """A chain that remembers, and one that does not."""
    texts = ["create table t (a int)", "select 1", "insert into t values (1)", "select 2"]
    parsed = [cells.parse(text) for text in texts]
    chain = states.Chain(ALL)
    first = chain.walk(BASE, parsed, {})
    assert chain.walk(BASE, parsed, {}) == first == walk(*texts)
