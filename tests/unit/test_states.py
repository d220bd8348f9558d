"""pgcellar.notebook.cells and .states: what enters a state id, and how far a chain is known."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import generators

from pgcellar.notebook import cells, effects, states

BASE = states.base_id({"server_version": "18.1"})
WRITE = "insert into t values (1)"
READ = "select 1"
#: Names no function of `Known`'s facts, or one.
UNCERTAIN = "select f()"


@dataclasses.dataclass
class Known:
    """Knowledge; by default every state was reached, and only `f` may write."""

    by_default: states.Facts | None = dataclasses.field(
        default_factory=lambda: states.Facts(names=frozenset({"f"}))
    )
    by_state: dict[str, states.Facts | None] = dataclasses.field(default_factory=dict)
    outcomes: dict[tuple[str, str], states.Outcome] = dataclasses.field(default_factory=dict)
    frozen: str | None = "1"
    asked: int = 0

    def facts(self, state: str) -> states.Facts | None:
        """See `states.Knowledge`."""
        self.asked += 1
        return self.by_state.get(state, self.by_default)

    def values(self, state: str, statement: str) -> Mapping[str, str | None] | None:
        """See `states.Knowledge`."""
        return None

    def roll(self, state: str, statement: str) -> str | None:
        """See `states.Knowledge`."""
        return self.frozen

    def learned(self, state: str, statement: str) -> states.Outcome | None:
        """See `states.Knowledge`."""
        self.asked += 1
        return self.outcomes.get((state, statement))

    def learn(self, state: str, text: str, outcome: states.Outcome) -> Known:
        """With the outcome of a statement."""
        (step,) = cells.parse(text).steps
        self.outcomes[state, step.statement.canonical] = outcome
        return self


def link(
    source: str,
    known: Known | None = None,
    before: states.Mark | None = None,
    digests: Mapping[str, str] | None = None,
) -> states.Link:
    """The link of one cell."""
    mark = before or states.Mark(state=BASE)
    return states.link(mark, cells.parse(source), digests or {}, known or Known())


def after(
    *sources: str, known: Known | None = None, digests: Mapping[str, str] | None = None
) -> str:
    """The state after cells whose effects are all known."""
    found = walk(sources, known, digests)
    assert len(found) == len(sources)
    mark = found[-1].after if found else states.Mark(state=BASE)
    assert mark is not None
    return mark.state


def walk(
    sources: Sequence[str],
    known: Known | None = None,
    digests: Mapping[str, str] | None = None,
    chain: states.Chain | None = None,
) -> list[states.Link]:
    """The links of a notebook."""
    chain = chain or states.Chain(known or Known())
    return chain.walk(BASE, [cells.parse(source) for source in sources], digests or {})


# --- cells -----------------------------------------------------------------------------------


def test_parsed_cell() -> None:
    source = "select 1; create database r; insert into t values (currval('s'));"
    cell = cells.parse(source)
    assert cell.source == source
    assert [step.effect.name for step in cell.steps] == ["read", "global", "write"]
    assert cell.scanned == "nothing"
    assert not cell.reads_only
    assert cell.refused is cell.steps[1]
    assert cell.needs_base


def test_a_cell_with_commands_is_read_step_by_step() -> None:
    cell = cells.parse("  \\copy  t from 'f'\nselect '\\x';")
    assert (cell.scanned, cell.steps, cell.reads_only) == ("always", (), False)
    assert cell.files == ("\\copy t from 'f'",)
    assert cells.parse("select '\\x', 1::int, 'a:b'").scanned == "variables"
    assert cells.parse("select :a").scanned == "variables"
    assert cells.parse("copy t from stdin").scanned == "always"


def test_idle_cells() -> None:
    for source in generators.IDLE:
        cell = cells.parse(source)
        assert cell.steps == ()
        assert cell.reads_only
        assert cell.refused is None
        assert not cell.needs_base
        assert cell.digest == cells.parse("").digest


def test_cells_are_parsed_once() -> None:
    assert cells.parse("select 1 as once") is cells.parse("select 1 as once")


@given(generators.notebooks(max_cells=3), st.sampled_from(generators.BLANKS))
def test_digest_is_that_of_the_meaning(notebook: generators.Notebook, blank: str) -> None:
    for source in notebook.sources:
        if cells.parse(source).scanned == "always":
            # What it means depends on variables; its text stands for it.
            continue
        digest = cells.parse(source).digest
        assert cells.parse(f"-- x\n{generators.reformatted(source, blank)}\n;").digest == digest
        assert cells.parse(f"{source}\n;select 12345").digest != digest


def test_digest_tells_statements_apart() -> None:
    texts = (
        "select 1; select 2",
        "select 2; select 1",
        "select 1, 2",
        "select '1;\n;\n2'",
        "select 1",
    )
    assert len({cells.parse(text).digest for text in texts}) == len(texts)


# --- ids -------------------------------------------------------------------------------------


def test_base_id() -> None:
    assert states.base_id({"a": 1, "b": 2}) == states.base_id({"b": 2, "a": 1})
    assert states.base_id({"a": 1}) != states.base_id({"a": 2})
    assert len(BASE) == 64


@given(st.lists(st.tuples(st.text(), st.text()), min_size=2, max_size=2, unique=True))
def test_next_id_takes_nothing_together(parts: list[tuple[str, str]]) -> None:
    one, other = (states.next_id(BASE, canonical, digest) for canonical, digest in parts)
    assert one != other
    assert one != states.next_id("0" * 64, *parts[0])


def test_ids_do_not_change() -> None:
    # Kept states would be lost with every release otherwise: `states.FORMAT` says when they are.
    assert states.next_id("parent", "insert into t values ( 1 )", "digest") == (
        "71348cfc899517ca995b2ae3669ff3bcee955634b427b888286317007befbd53"
    )
    assert states.base_id({"server": "18"}) == (
        "954ec6e1440c1f7c35d71a785953290a6c731c518030f8318c7372d5722a04fd"
    )


def test_only_effective_statements_enter() -> None:
    plain = after("create table t (a int)", WRITE)
    assert after("create table t (a int)", READ, WRITE) == plain
    assert after("-- a comment", "", "create table t (a int)", "table t", WRITE, READ) == plain
    assert after("create /* x */ table t\n(a int)", f"-- y\n{WRITE} ;;") == plain
    # Where a cell ends has no meaning.
    assert after(f"create table t (a int); {WRITE}") == plain


def test_reads_in_a_cell_that_writes_do_not_enter() -> None:
    known = Known().learn(BASE, READ, "read")
    assert after(f"{READ}; {WRITE}", known=known) == after(WRITE)


def test_what_is_written_enters() -> None:
    sources = (
        *(WRITE, "insert into t values (2)", "insert into T values (1)", f"{WRITE}; {WRITE}"),
        *("set work_mem = '6MB'", "begin", "create temp table t (a int)", "do $$ begin end $$"),
        *("do $$ begin  end $$", "prepare p as select 1", "select 1 into t", "selct 1"),
    )
    ids = {after(source) for source in sources}
    assert len(ids | {BASE}) == len(sources) + 1


@given(st.permutations([f"insert into t values ({n})" for n in range(4)]))
def test_order_matters(sources: list[str]) -> None:
    in_order = after(*sorted(sources))
    assert (after(*sources) == in_order) == (sources == sorted(sources))


def test_files_enter_by_digest() -> None:
    copy = "\\copy t from 'f'"
    one, other = after(copy, digests={copy: "1"}), after(copy, digests={copy: "2"})
    assert one != other
    assert after(copy, digests={copy: "1", "\\copy t from 'g'": "3"}) == one
    assert after(f"-- x\n{copy}", digests={copy: "1"}) == one


@given(generators.notebooks(), st.sampled_from(generators.BLANKS))
def test_reformatting_changes_no_id(notebook: generators.Notebook, blank: str) -> None:
    known = Known(by_default=states.Facts())
    one = walk(notebook.sources, known)
    other = walk([generators.reformatted(source, blank) for source in notebook.sources], known)
    assert one == other


# --- facts -----------------------------------------------------------------------------------


def effect_of(text: str) -> effects.Effect:
    (step,) = cells.parse(text).steps
    return step.effect


def test_certain() -> None:
    facts = states.Facts(names=frozenset({"f", "nextval"}))
    assert facts.certain(effect_of("select g() from t"))
    assert not facts.certain(effect_of("select F()"))
    assert not facts.certain(effect_of('select "f"()'))
    assert not facts.certain(effect_of("select (t).f from t"))
    assert not facts.certain(effect_of("select query_to_xml('select f()', true, true, '')"))
    assert not facts.certain(effect_of("show work_mem"))
    assert not facts.certain(effect_of('select U&"\\0066"()'))
    assert not states.Facts(reached=True).certain(effect_of("select 1"))


# --- links -----------------------------------------------------------------------------------


def test_idle_cells_do_nothing() -> None:
    found = link("-- nothing")
    assert (found.after, found.effect, found.runs) == (found.before, "none", False)


def test_certain_reads_are_skipped() -> None:
    found = link(f"{READ}; table t")
    assert (found.after, found.effect, found.runs) == (found.before, "read", False)


def test_a_read_in_an_unknown_state_ends_the_chain() -> None:
    found = link(READ, Known(by_default=None))
    assert (found.after, found.effect, found.runs) == (None, "read", True)


def test_an_uncertain_read_ends_the_chain_until_it_is_learned() -> None:
    assert link(UNCERTAIN).after is None
    assert link(UNCERTAIN).runs
    read = link(UNCERTAIN, Known().learn(BASE, UNCERTAIN, "read"))
    assert (read.after, read.effect, read.runs) == (read.before, "read", False)
    # It was learned in another state.
    assert link(UNCERTAIN, Known().learn("0" * 64, UNCERTAIN, "read")).after is None


def test_a_read_learned_as_a_write_enters() -> None:
    found = link(UNCERTAIN, Known().learn(BASE, UNCERTAIN, "write"))
    assert found.after is not None
    assert found.after.state == states.next_id(BASE, "select f ( )")
    assert (found.effect, found.runs) == ("write", True)
    # Even one that seemed certain.
    found = link(READ, Known().learn(BASE, READ, "write"))
    assert (found.effect, found.runs) == ("write", True)
    assert found.after != found.before


def test_a_write_needs_no_knowledge() -> None:
    found = link(WRITE, Known(by_default=None))
    assert found.after == states.Mark(state=states.next_id(BASE, "insert into t values ( 1 )"))
    assert (found.effect, found.runs) == ("write", True)


@pytest.mark.parametrize("source", [f"{READ}; {WRITE}", f"{WRITE}; {READ}"])
def test_mixed_cells_need_their_reads_learned(source: str) -> None:
    # A read that fails leaves the whole cell without a trace.
    assert link(source).after is None
    assert link(source).effect == "write"
    assert link(source).runs
    first = after(WRITE) if source.startswith(WRITE) else BASE
    found = link(source, Known().learn(first, READ, "read"))
    assert found.after == states.Mark(state=after(WRITE))
    assert (found.effect, found.runs) == ("write", True)


def test_a_read_that_writes_makes_a_cell_mixed() -> None:
    known = Known().learn(BASE, UNCERTAIN, "write")
    assert link(f"{UNCERTAIN}; {READ}", known).after is None
    wrote = after(UNCERTAIN, known=known)
    known.learn(wrote, READ, "read")
    found = link(f"{UNCERTAIN}; {READ}", known)
    assert found.after is not None
    assert found.after.state == wrote
    assert (found.effect, found.runs) == ("write", True)
    # And the one before it.
    assert link(f"{READ}; {UNCERTAIN}", known).after is None
    known.learn(BASE, READ, "read")
    found = link(f"{READ}; {UNCERTAIN}", known)
    assert found.after is not None
    assert found.after.state == wrote


@pytest.mark.parametrize(
    ("source", "effect"),
    [
        ("select 1; set work_mem = '6MB'", "session"),
        ("set work_mem = '6MB'; begin", "pinning"),
        ("begin; insert into t values (1); commit", "write"),
        ("insert into t values (1); create database r; select 1", "global"),
    ],
)
def test_a_cell_has_its_strongest_effect(source: str, effect: str) -> None:
    assert link(source).effect == effect


NAMES: tuple[states.CellEffect, ...] = ("none", "read", "session", "pinning", "write", "global")


@given(st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_stronger(one: states.CellEffect, other: states.CellEffect) -> None:
    assert states.stronger(one, other) == states.stronger(other, one)
    assert states.stronger(one, other) in (one, other)
    assert states.stronger(one, "none") == one


def test_a_volatile_write_leads_where_its_roll_says() -> None:
    write = "insert into t values (random())"
    one, other = after(write, known=Known(frozen="1")), after(write, known=Known(frozen="2"))
    assert one != other
    assert after(WRITE, known=Known(frozen="1")) == after(WRITE, known=Known(frozen="2"))
    unknown = link(write, Known(frozen=None))
    assert unknown.after is None
    assert unknown.runs


def test_in_a_transaction_every_read_counts() -> None:
    begin, read, end = walk(["begin", READ, "commit"])
    assert begin.after is not None
    assert begin.after.transaction
    assert (read.runs, read.effect) == (True, "pinning")
    assert read.after not in (None, read.before)
    assert end.after is not None
    assert not end.after.transaction
    chained = walk(["begin", "commit and chain", READ])
    assert chained[-1].runs


def test_volatile_writes() -> None:
    assert link("insert into t values (random())").volatile
    assert not link(WRITE).volatile
    assert not link("select random()").volatile
    # A default, a trigger or a function may be what is volatile.
    defined = link("create table t (a int, b timestamp default now())")
    assert defined.volatile
    assert defined.after is not None
    assert defined.after.definitions_volatile
    assert link(WRITE, before=defined.after).volatile
    assert not link(READ, before=defined.after).volatile
    inserted = link("insert into t values (random())").after
    assert inserted is not None
    assert not inserted.definitions_volatile


def test_dependence_on_the_session() -> None:
    assert not link(WRITE).needs_base
    assert link("select currval('s')").needs_base
    view = link("create view v as select currval('s')").after
    assert view is not None
    assert view.from_base
    assert not view.unrestorable
    assert link("table v", before=view).needs_base
    used = link("insert into t values (currval('s'))").after
    assert used is not None
    assert not used.session_bound
    pinned = link("select setseed(0.5)").after
    assert pinned is not None
    assert pinned.unrestorable
    assert not pinned.from_base
    both = link("create view v as select lastval()", before=pinned).after
    assert both is not None
    assert both.unrestorable
    assert both.from_base
    # Whatever comes behind what pins.
    after = link("select setseed(0.5)", before=view).after
    assert after is not None
    assert link("table v", before=after).needs_base


# --- chains ----------------------------------------------------------------------------------


def test_a_chain_ends_at_the_first_unknown_cell() -> None:
    found = walk([WRITE, UNCERTAIN, WRITE, WRITE])
    assert [cell.after is None for cell in found] == [False, True]
    assert [cell.effect for cell in found] == ["write", "read"]
    known = Known().learn(after(WRITE), UNCERTAIN, "read")
    assert len(walk([WRITE, UNCERTAIN, WRITE, WRITE], known)) == 4
    assert walk([]) == []


def test_a_chain_ends_at_a_state_that_was_never_reached() -> None:
    known = Known(by_state={after(WRITE): None})
    assert [cell.after is None for cell in walk([READ, WRITE, READ, WRITE], known)] == [
        *(False, False, True)
    ]


@given(generators.sessions(max_edits=4), st.randoms(use_true_random=False))
def test_memory_changes_nothing(session: generators.Session, random: Random) -> None:
    known = Known(by_default=states.Facts(names=frozenset({"f_1", "f_2"})))
    chain = states.Chain(known)
    for notebook in (session.notebook, *(edit.notebook for edit in session.edits)):
        fresh = walk(notebook.sources, known)
        assert walk(notebook.sources, known, chain=chain) == fresh
        # A run learns what ended the chain.
        end = fresh[-1] if fresh else None
        if end is not None and end.after is None:
            state = end.before.state
            for step in cells.parse(notebook.sources[len(fresh) - 1]).steps:
                known.outcomes[state, step.statement.canonical] = random.choice(["read", "write"])
            chain.forget()
            assert walk(notebook.sources, known, chain=chain) == walk(notebook.sources, known)


def test_memory_knows_files_and_sessions_apart() -> None:
    copy = "\\copy t from 'f'"
    chain = states.Chain(Known())
    one, other, again = (
        walk([copy], digests={copy: digest}, chain=chain)[0].after for digest in "121"
    )
    assert one == again != other
    free, pinned = states.Mark(state=BASE), states.Mark(state=BASE, unrestorable=True)
    cell = cells.parse(WRITE)
    assert chain.link(free, cell, {}).after != chain.link(pinned, cell, {}).after


_MIXED = (
    WRITE,
    READ,
    "\\copy t from 'f'",
    "\\copy t from 'g'",
    "\\set n 1",
    "\\set n 2",
    "insert into t values (:n)",
    "\\unset n",
    "create temp table p (a int)",
)


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(_MIXED), max_size=8),
            st.dictionaries(st.sampled_from(_MIXED[2:4]), st.sampled_from("12")),
        ),
        max_size=6,
    )
)
def test_memory_of_the_last_walk_changes_nothing(
    walks: list[tuple[list[str], dict[str, str]]],
) -> None:
    """Whatever was edited, and whatever became of the files and variables."""
    chain = states.Chain(Known())
    for sources, digests in walks:
        for _ in range(2):
            found = walk(sources, digests=digests, chain=chain)
            fresh = walk(sources, digests=digests)
            assert found == fresh
            # They are not compared with the marks.
            assert [one.after.variables if one.after else () for one in found] == [
                one.after.variables if one.after else () for one in fresh
            ]


def test_memory_of_the_last_walk_knows_parameters() -> None:
    chain = states.Chain(Known())
    notebook = [cells.parse("insert into t values (:n)"), cells.parse(WRITE)]
    one, other, again = (
        [link.after for link in chain.walk(BASE, notebook, {}, None, (("n", value),))]
        for value in "121"
    )
    assert one == again
    assert one[0] != other[0]
    assert one[1] != other[1]


def test_what_called_a_function_counts_where_sessions_differ() -> None:
    function = "create function f() returns date language sql as $$ select '01/02/2024'::date $$"
    style = "set datestyle = 'DMY'"
    known = Known().learn(after(function), UNCERTAIN, "read")
    chain = states.Chain(known)
    without = walk([function, WRITE, style], known, chain=chain)
    called = walk([function, UNCERTAIN, WRITE, style], known, chain=chain)
    harmless = walk([function, READ, WRITE, style], known, chain=chain)
    for found in (called, harmless):
        assert found[2].after == without[1].after
    assert called[3].after != without[2].after == harmless[3].after
    anew = [function, "\\c", WRITE, style]
    assert after(*anew, known=known) == after(anew[0], UNCERTAIN, *anew[1:], known=known)


def test_unknown_ends_are_not_remembered() -> None:
    known = Known()
    chain = states.Chain(known)
    assert walk([UNCERTAIN], chain=chain)[0].after is None
    known.learn(BASE, UNCERTAIN, "read")
    assert walk([UNCERTAIN], chain=chain)[0].after is not None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states.Chain, "LIMIT", 10)
    chain = states.Chain(Known())
    sources = [f"insert into t values ({n})" for n in range(50)]
    assert walk(sources, chain=chain) == walk(sources)


def test_planning_a_long_notebook_after_an_edit_is_quick() -> None:
    sources = [f"insert into t values ({n}); update t set a = {n}" for n in range(1000)]
    known = Known()
    chain = states.Chain(known)
    walk(sources, known, chain=chain)
    begin = time.perf_counter()
    sources[500] = "insert into t values (-1)"
    found = walk(sources, known, chain=chain)
    edited = time.perf_counter() - begin
    begin = time.perf_counter()
    assert walk(sources, known, chain=chain) == found
    again = time.perf_counter() - begin
    print(f"1,000 cells: {edited * 1000:.1f} ms after an edit, {again * 1000:.1f} ms unchanged")
    assert known.asked == 0
