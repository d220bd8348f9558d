"""The state panel in the browser: the chain of states, pins and tags, and what cells changed."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect
from tests.fixtures_browser import Front, Lab

HOSTILE = '"><img src=x onerror="window.harmed = 1">'
QUOTED = '"' + HOSTILE.replace('"', '""') + '"'
CELLS = [
    "create table t (id int primary key, v text)",
    "insert into t values (1, 'one'), (2, 'two'), (3, 'three')",
    "select count(*) from t",
    f"update t set v = '{HOSTILE}' where id = 2; delete from t where id = 3;\n"
    f"alter table t add column n int default 7; create table {QUOTED} (a int)",
]


def _panel(front: Front) -> Locator:
    """The panel, shown."""
    front.command("pgcellar:show-states")
    panel = front.page.locator("#pgcellar-states")
    expect(panel).to_be_visible()
    return panel


def _place(panel: Locator, cell: str) -> Locator:
    return panel.locator(f"[data-pgcellar-cell={cell!r}]")


def _run_all(front: Front, cells: int) -> None:
    front.command("notebook:run-all-cells")
    for number in range(1, cells + 1):
        front.wait_ran(number)


def _difference(front: Front) -> Locator:
    return front.page.locator(".pgc-Difference:visible")


def test_the_chain_says_what_each_cell_did(front: Front, lab: Lab) -> None:
    """Its effect, rows, and that the last state is kept; a click goes to the cell."""
    front.open(lab.notebook("chain.ipynb", CELLS))
    panel = _panel(front)
    _run_all(front, len(CELLS))
    expect(_place(panel, "c2")).to_contain_text("writes")
    expect(_place(panel, "c2")).to_contain_text("3 rows")
    expect(_place(panel, "c3")).to_contain_text("changes nothing")
    amounts = re.compile(r"kept · [\d.]+ [KM]iB · replay [\d.]+ m?s · \d+ hits?")
    expect(_place(panel, "c4")).to_contain_text(amounts)
    expect(_place(panel, "base")).to_contain_text(re.compile(r"kept · [\d.]+ [KM]iB · \d+ hits?"))
    _place(panel, "c2").locator("button.pgc-Link-title").click()
    expect(_place(panel, "c2")).to_have_attribute("aria-current", "true")
    expect(front.cell(2)).to_have_class(re.compile("jp-mod-active"))
    front.picture("states-chain")


def test_what_a_cell_changed(front: Front, lab: Lab) -> None:
    """Its states are brought back where they are not kept; hostile names are text."""
    front.open(lab.notebook("changed.ipynb", CELLS))
    panel = _panel(front)
    _run_all(front, len(CELLS))
    _place(panel, "c4").get_by_role("button", name="What did cell 4 change?").click()
    view = _difference(front)
    again = view.get_by_role("button", name="Replay the cells and compare")
    rows = view.locator("[data-pgcellar-table=t]")
    expect(again.or_(rows)).to_be_visible()
    if again.is_visible():
        expect(view).to_contain_text("is not kept")
        front.picture("states-not-kept")
        again.click()
    expect(rows).to_contain_text("1 updated")
    expect(rows).to_contain_text("1 deleted")
    expect(view).to_contain_text(HOSTILE)
    expect(view).to_contain_text("column n")
    rows.get_by_text("Show 2 of these rows").click()
    expect(rows.get_by_role("cell", name=HOSTILE)).to_be_visible()
    front.picture("states-changed")
    assert front.page.evaluate("window.harmed") is None
    assert view.locator("img").count() == 0


def test_a_state_is_kept_pinned_and_tagged(front: Front, lab: Lab) -> None:
    """One that was passed by is kept on request; then its pin and its tags."""
    front.open(lab.notebook("pins.ipynb", ["create table p (a int)", "insert into p values (1)"]))
    panel = _panel(front)
    _run_all(front, 2)
    place = _place(panel, "c1")
    keep = place.get_by_role("button", name="Keep the state after cell 1")
    pin = place.get_by_role("button", name="Pin")
    expect(keep.or_(pin)).to_be_visible()
    if keep.is_visible():
        keep.click()
    pin.click(timeout=30_000)
    expect(place.locator(".pgc-Mark")).to_have_text("pinned")
    place.get_by_role("button", name="Tag").click()
    front.page.locator(".jp-Dialog input").fill("exam-1")
    front.page.locator(".jp-Dialog").get_by_role("button", name="Tag").click()
    expect(place).to_contain_text("exam-1")
    front.picture("states-tagged")
    place.get_by_role("button", name="Remove the tag exam-1").click()
    expect(place).not_to_contain_text("exam-1")
    place.get_by_role("button", name="Unpin").click()
    expect(place.locator(".pgc-Mark")).to_have_count(0)


def test_any_two_states_are_compared(front: Front, lab: Lab) -> None:
    """The base and the last one, whichever way."""
    front.open(lab.notebook("two.ipynb", ["create table two as select 1 as a"]))
    panel = _panel(front)
    _run_all(front, 1)
    expect(_place(panel, "c1")).to_contain_text("kept ·")
    panel.get_by_role("combobox", name="From").select_option("c1")
    panel.get_by_role("combobox", name="To").select_option("base")
    panel.get_by_role("button", name="Compare").click()
    rows = _difference(front).locator("[data-pgcellar-table=two]")
    expect(rows).to_contain_text("1 deleted")
    expect(rows).to_contain_text("the table is gone")


def test_without_an_sql_notebook(front: Front, lab: Lab) -> None:
    """Helpful words."""
    front.page.goto(lab.address())
    front.page.wait_for_selector("#jp-main-dock-panel", timeout=60_000)
    expect(_panel(front)).to_contain_text("Open a notebook with the kernel")
    front.command("pgcellar:show-schema")
    expect(front.page.locator("#pgcellar-schema")).to_contain_text("Open a notebook")
    front.picture("panels-empty")


def test_a_panel_is_there_again_when_the_page_is_loaded_anew(front: Front, lab: Lab) -> None:
    """As the layout was left, and it is asked what is kept."""
    address = lab.notebook("again.ipynb", ["create table again as select 1 as a"])
    front.open(address)
    panel = _panel(front)
    _run_all(front, 1)
    expect(_place(panel, "c1")).to_contain_text("kept ·")
    with front.page.expect_response(lambda answer: "/api/workspaces/" in answer.url):
        front.command("docmanager:save")
        front.command("pgcellar:show-schema")
    front.open(address.removesuffix("&reset"))
    expect(_place(panel, "c1")).to_contain_text("kept ·")
    expect(front.page.locator("#pgcellar-schema")).to_contain_text("again")
