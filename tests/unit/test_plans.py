"""Plans: what nodes took, marks, text, HTML, comparisons. `plans.json` is PostgreSQL 18's own."""

from __future__ import annotations

import copy
import html.parser
import json
import pathlib
from typing import Any

import pytest

from pgcellar.api import records, rendering
from pgcellar.api.plans import bundles, comparing, nodes, page, reading, text
from pgcellar.notebook import showing

RAW: dict[str, list[Any]] = json.loads(
    (pathlib.Path(__file__).parent / "plans.json").read_text(encoding="utf-8")
)
EVIL = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&{{1}}"


def plan(name: str) -> nodes.Plan:
    """The first plan of a sample."""
    return reading.analyse(RAW[name])[0]


def node(found: nodes.Plan, name: str) -> nodes.Node:
    """The only node of a name."""
    (wanted,) = [each for each in found.nodes if each.name == name]
    return wanted


@pytest.mark.parametrize("name", RAW)
def test_nothing_is_counted_twice(name: str) -> None:
    """What nodes took by themselves adds up to what was measured, or to less where time passed
    between them; planned costs add up to the whole.
    """
    for found in reading.analyse(RAW[name]):
        own = sum(each.share or 0.0 for each in found.nodes)
        assert own <= 100.5
        if found.basis == "cost":
            assert own == pytest.approx(100)
        elif found.total > 1:
            assert own > 95
        assert all(
            each.exclusive_ms is None or 0 <= each.exclusive_ms <= (each.inclusive_ms or 0)
            for each in found.nodes
        )


@pytest.mark.parametrize("name", RAW)
def test_nodes_are_numbered_as_they_stand(name: str) -> None:
    for found in reading.analyse(RAW[name]):
        assert [each.number for each in found.nodes] == list(range(len(found.nodes)))
        printed = text.render(found)
        for each in found.nodes:
            assert each.name in printed


def test_a_join() -> None:
    found = plan("join")
    scan = node(found, "Seq Scan on orders")
    assert (scan.relation, scan.alias, scan.schema, scan.index) == ("orders", "orders", None, None)
    assert scan.filter == "(amount > '50'::numeric)"
    assert scan.rows_removed == 100_000 - (scan.total_rows or 0)
    assert scan.buffers == {"shared hit": 637}
    assert scan.exclusive_ms == scan.inclusive_ms == scan.time_per_loop_ms
    assert scan.share_mark == "yellow"
    join = node(found, "Hash Join")
    below = sum(child.inclusive_ms or 0 for child in join.children)
    assert join.exclusive_ms == pytest.approx((join.inclusive_ms or 0) - below)
    assert found.root.details["Sort Method"] == "quicksort, 25 kB of memory"
    assert found.analyzed
    assert found.planning_ms is not None
    assert found.total == found.execution_ms


def test_a_plan_that_was_not_run_has_costs() -> None:
    found = plan("join_planned")
    assert not found.analyzed
    assert (found.basis, found.total) == ("cost", found.root.total_cost)
    scan = node(found, "Seq Scan on orders")
    assert scan.exclusive_cost == scan.total_cost
    assert scan.loops is scan.actual_rows is scan.inclusive_ms is scan.misestimate is None
    assert scan.share_mark == "orange"


def test_times_of_loops_are_of_all_of_them() -> None:
    found = plan("subplan")
    scan = node(found, "Seq Scan on orders")
    assert scan.loops == 29
    assert scan.inclusive_ms == pytest.approx(29 * (scan.time_per_loop_ms or 0))
    assert scan.share_mark == "red"
    aggregate = node(found, "Aggregate")
    assert (aggregate.subplan, aggregate.relationship) == ("SubPlan 1", "SubPlan")


def test_a_planned_subplan_costs_as_often_as_it_will_run() -> None:
    assert node(plan("subplan_planned"), "Seq Scan on orders").share_mark == "red"


def test_a_cte_takes_its_time_where_it_is_read() -> None:
    found = plan("cte")
    cte = node(found, "HashAggregate")
    assert cte.subplan == "CTE x"
    first, second = node(found, "CTE Scan on x a"), node(found, "CTE Scan on x b")
    assert (cte.inclusive_ms or 0) > 10
    assert (first.exclusive_ms or 0) < 1 > (second.exclusive_ms or 0)
    # The node that it hangs at waited for it by the scan alone.
    join = node(found, "Merge Join")
    assert found.root.exclusive_ms == pytest.approx(
        (found.root.inclusive_ms or 0) - (join.inclusive_ms or 0)
    )


def _older() -> nodes.Plan:
    printed = json.dumps(RAW["initplan"]).replace('"InitPlan 1"', '"InitPlan 1 (returns $0)"')
    return reading.analyse(json.loads(printed.replace("(InitPlan 1).col1", "$0")))[0]


@pytest.mark.parametrize("found", [plan("initplan"), _older()], ids=["18", "16"])
def test_an_initplan_takes_its_time_where_it_is_named(found: nodes.Plan) -> None:
    initplan = found.root.children[0]
    scan = node(found, "Seq Scan on orders")
    assert (initplan.relationship, initplan.subplan or "")[0] == "InitPlan"
    assert scan.exclusive_ms == pytest.approx(
        (scan.inclusive_ms or 0) - (initplan.inclusive_ms or 0)
    )
    assert found.root.exclusive_ms == pytest.approx(
        (found.root.inclusive_ms or 0) - (scan.inclusive_ms or 0)
    )


def test_parallel_processes_work_at_the_same_time() -> None:
    found = plan("parallel")
    scan = node(found, "Parallel Seq Scan on public.orders")
    assert scan.loops == 3
    assert scan.inclusive_ms == pytest.approx(scan.time_per_loop_ms)
    assert scan.total_rows == pytest.approx(3 * (scan.actual_rows or 0))
    gathers = [each for each in found.nodes if each.type == "Gather"]
    assert [(each.workers_planned, each.workers_launched) for each in gathers] == [(2, 2)] * 2
    assert found.settings["min_parallel_table_scan_size"] == "0"


def test_what_was_never_executed_took_nothing() -> None:
    scan = node(plan("never"), "Seq Scan on orders")
    assert scan.never_executed
    assert scan.misestimate is scan.actual_rows is scan.rows_mark is None
    assert scan.share == 0
    assert "   never " in text.render(plan("never"))


def test_misestimates() -> None:
    scan = node(plan("misestimate"), "Seq Scan on orders")
    assert (scan.misestimate, scan.rows_mark) == (200, "orange")
    early = node(plan("limit"), "Index Scan using orders_pkey on orders")
    assert early.misestimate == pytest.approx(5 / 100_000)
    assert early.rows_mark is None  # it was stopped


@pytest.mark.parametrize(
    ("share", "mark"),
    [(None, None), (0, None), (10, None), (10.1, "yellow"), (50.1, "orange"), (90.1, "red")],
)
def test_marks_of_shares(share: float | None, mark: str | None) -> None:
    assert nodes.share_mark(share) == mark


@pytest.mark.parametrize(
    ("times", "mark"),
    [(None, None), (1, None), (10, None), (11, "yellow"), (101, "orange"), (1001, "red")],
)
def test_marks_of_rows(times: float | None, mark: str | None) -> None:
    assert nodes.rows_mark(times) == mark
    assert nodes.rows_mark(None if times is None else 1 / times) == mark


def test_triggers_jit_and_rules() -> None:
    (trigger,) = plan("triggers").triggers
    assert (trigger.name, trigger.relation, trigger.calls) == ("slow", "customers", 100)
    assert trigger.share_mark == "red"
    jit = {"Functions": 3, "Options": {"Inlining": False}, "Timing": {"Total": 12.5}}
    found = reading.analyse([{**RAW["timing_off"][0], "JIT": jit}])[0]
    assert found.jit == {"Functions": "3", "Options: Inlining": "no", "Timing: Total": "12.5"}
    assert "JIT: Functions: 3; Options: Inlining: no" in text.render(found)
    assert [each.root.name for each in reading.analyse(RAW["rule"])] == [
        "Insert on customers",
        "Result",
    ]


def test_without_timing_there_are_rows_and_costs() -> None:
    found = plan("timing_off")
    assert (found.analyzed, found.basis) == (True, "cost")
    assert found.root.actual_rows == 1


@pytest.mark.parametrize(
    "printed",
    [
        *("", "[", "[]", "{}", "1", "null", '[{"Plan": 1}]', '["NOTIFY"]', '[{"Plan": {}}]'),
        *('[{"Plan": {"Node Type": "x", "Plans": [{}]}}]', "[" * 100_000),
    ],
)
def test_what_is_no_plan_is_shown_as_it_is(printed: str) -> None:
    bundle = rendering.mime_bundle(result(printed))
    assert set(bundle) == {"text/plain", "text/html", rendering.MIME}


@pytest.mark.parametrize("name", RAW)
def test_members_may_be_of_any_kind(name: str) -> None:
    """Whatever another version of PostgreSQL puts there, no traceback comes of it."""
    for odd in ("text", 7, None, [], {}, ["a", {"b": 1}], True, -1.5):
        for key in _keys(RAW[name]):
            raw = copy.deepcopy(RAW[name])
            _put(raw, key, odd)
            rendering.mime_bundle(result(json.dumps(raw)))


def _keys(raw: Any) -> set[str]:
    found = set[str]()
    waiting = [raw]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            found |= set(each)
        if isinstance(each, dict | list):
            waiting += each.values() if isinstance(each, dict) else each
    return found


def _put(raw: Any, key: str, odd: Any) -> None:
    waiting = [raw]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if key in each:
                each[key] = odd
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def test_deep_and_wide_plans() -> None:
    scan = {"Node Type": "Seq Scan", "Relation Name": "t", "Total Cost": 1, "Plan Rows": 1}
    wide = {"Node Type": "Append", "Total Cost": 4000, "Plans": [scan] * 4000}
    bundle = rendering.mime_bundle(result(json.dumps([{"Plan": wide}])))
    assert len(bundle[bundles.MIME]["plan"]["root"]["children"]) == 4000
    assert "3,501 more nodes are left out." in bundle["text/html"]
    assert "3501 more nodes are left out." in bundle["text/plain"]
    deep: dict[str, Any] = scan
    for _ in range(150):
        deep = {"Node Type": "Result", "Total Cost": 1, "Plans": [deep]}
    assert bundles.MIME in rendering.mime_bundle(result(json.dumps([{"Plan": deep}])))
    for _ in range(100):
        deep = {"Node Type": "Result", "Total Cost": 1, "Plans": [deep]}
    assert bundles.MIME not in rendering.mime_bundle(result(json.dumps([{"Plan": deep}])))


def result(printed: str, query: str = "select 1") -> rendering.Result:
    """What `\\explain` gives."""
    return rendering.Result(
        command="EXPLAIN",
        columns=(records.Column(name="QUERY PLAN", type="json"),),
        rows=((printed,),),
        row_count=1,
        tabular=True,
        explain=showing.Explain(query=query, options=("ANALYZE",)),
    )


def test_the_bundle() -> None:
    bundle = rendering.mime_bundle(result(json.dumps(RAW["rule"]), "insert …"))
    assert list(bundle) == ["text/plain", "text/html", bundles.MIME]
    body = bundle[bundles.MIME]
    assert set(body) == {"version", "query", "options", "plan", "others", "raw"}
    assert (body["version"], body["query"], body["options"]) == (1, "insert …", ["ANALYZE"])
    assert body["raw"] == RAW["rule"]
    assert body["plan"]["root"]["name"] == "Insert on customers"
    assert body["others"][0]["root"]["name"] == "Result"
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert rendering.as_text(result(json.dumps(RAW["rule"]))) == bundle["text/plain"]


class Markup(html.parser.HTMLParser):
    """Collects the elements and attributes of a page, and what is still open."""

    def __init__(self, page_: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(page_)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


ELEMENTS = {
    *("div", "table", "thead", "tbody", "tr", "th", "td", "b", "span"),
    *("details", "summary", "pre"),
}


def evil(raw: Any) -> Any:
    """A plan whose every text is markup, but for those that say what it is."""
    if isinstance(raw, dict):
        kept = ("Node Type", "Parent Relationship")
        return {
            (k if k[0].isupper() and k.isprintable() else EVIL): (v if k in kept else evil(v))
            for k, v in raw.items()
        } | ({"Evil Key" + EVIL: EVIL, "Filter": EVIL} if "Node Type" in raw else {})
    if isinstance(raw, list):
        return [evil(each) for each in raw]
    return raw + EVIL if isinstance(raw, str) else raw


@pytest.mark.parametrize("name", RAW)
def test_nothing_in_a_plan_becomes_markup(name: str) -> None:
    raw = evil(RAW[name])
    shown = Markup(rendering.mime_bundle(result(json.dumps(raw), EVIL))["text/html"])
    assert shown.elements <= ELEMENTS
    assert shown.attributes == {"style"}
    assert shown.open == []
    assert EVIL in shown.text
    found = reading.analyse(raw)[0]
    compared = Markup(page.comparison(comparing.compare(plan("join"), found)))
    assert compared.elements <= ELEMENTS
    assert compared.attributes == {"style"}
    back = Markup(page.comparison(comparing.compare(found, plan("join"))))
    assert back.elements <= ELEMENTS


def test_a_terminal_obeys_nothing_in_a_plan() -> None:
    raw = [{"Plan": {"Node Type": "Seq Scan", "Alias": "a\x1b[2J\nb\u202e", "Filter": "\x07\r\n"}}]
    printed = text.render(reading.analyse(raw)[0])
    assert "\x1b" not in printed
    assert not {"\x07", "\r", "\u202e"} & set(printed)


# --- comparing -------------------------------------------------------------------------------


def test_a_plan_compared_with_itself() -> None:
    found = plan("join")
    compared = comparing.compare(found, found)
    assert [pair.before for pair in compared.pairs] == [pair.after for pair in compared.pairs]
    assert not any(pair.changed for pair in compared.pairs)
    assert compared.pairs[0].ratio("total_rows") == 1


def test_what_is_done_otherwise_is_the_same_work() -> None:
    """A scan by index in place of one of all rows, a nested loop in place of a hash join."""

    def made(join: str, scan: dict[str, Any], extra: int) -> nodes.Plan:
        right: dict[str, Any] = {"Node Type": "Seq Scan", "Relation Name": "b", "Alias": "b"}
        for _ in range(extra):
            right = {"Node Type": "Hash", "Plans": [right], "Parent Relationship": "Inner"}
        left = {"Relation Name": "a", "Alias": "a", "Parent Relationship": "Outer", **scan}
        root = {"Node Type": join, "Join Type": "Inner", "Plans": [left, right]}
        return reading.analyse([{"Plan": root}])[0]

    before = made("Hash Join", {"Node Type": "Seq Scan"}, 1)
    after = made("Nested Loop", {"Node Type": "Index Scan", "Index Name": "i"}, 0)
    pairs = [
        (p.before and p.before.name, p.after and p.after.name, p.changed)
        for p in comparing.compare(before, after).pairs
    ]
    assert pairs == [
        ("Hash Join", "Nested Loop", True),
        ("Seq Scan on a", "Index Scan using i on a", True),
        ("Seq Scan on b", "Seq Scan on b", False),
        ("Hash", None, True),
    ]
    body = comparing.to_json(comparing.compare(before, after))
    assert [(pair["before"], pair["after"]) for pair in body["pairs"]] == [
        *((0, 0), (1, 1), (3, 2), (2, None))
    ]


@pytest.mark.parametrize("name", RAW)
def test_every_node_is_in_a_comparison_once(name: str) -> None:
    before, after = plan(name), plan("join")
    pairs = comparing.compare(before, after).pairs
    assert sorted(p.before.number for p in pairs if p.before) == list(range(len(before.nodes)))
    assert [p.after.number for p in pairs if p.after] == list(range(len(after.nodes)))
    assert Markup(page.comparison(comparing.compare(before, after))).open == []
