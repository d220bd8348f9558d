"""Marks beside cells never claim of an output what is not so."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect
from tests.fixtures_browser import Front, Lab

CELLS = [
    "create table t (a int)",
    "insert into t values (1), (2)",
    "insert into t values (10)",
    "select sum(a) from t",
]
PANEL = "window.jupyterapp.shell.currentWidget"
KERNEL = f"{PANEL}.sessionContext.session.kernel"
#: Everything that was asked of the kernel, and that a pause brings, is through.
PLANNED = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"


def run_all(front: Front, cells: int = 4) -> None:
    front.command("notebook:run-all-cells")
    for number in range(1, cells + 1):
        front.wait_ran(number)


def outputs(front: Front, number: int) -> Locator:
    return front.cell(number).locator(".jp-OutputArea-child")


def save(front: Front) -> None:
    front.command("docmanager:save")
    front.page.wait_for_function(f"!{PANEL}.context.model.dirty")


def test_the_error_of_a_cell_above_is_no_result(front: Front, lab: Lab) -> None:
    """The edit that broke it is undone, but what stands below is still the error."""
    front.open(lab.notebook("error.ipynb", CELLS))
    run_all(front)
    front.type(2, "insert into t values ('x')")
    front.wait_status(4, "stale")
    front.run(4)
    front.cell(4).get_by_text("did not run").first.wait_for()
    front.type(2, CELLS[1])
    front.wait_status(2, "current", "cached")
    front.wait_status(3, "current", "cached")
    assert front.status(4) == "stale"
    executed = [front.executed(number) for number in (1, 2, 3)]
    front.page.locator(".jp-NotebookPanel-toolbar [data-command='pgcellar:run-stale']").click()
    front.wait_ran(4)
    assert front.rows(4) == [["13"]]
    assert [front.executed(number) for number in (1, 2, 3)] == executed


def test_a_mark_says_how_long_the_run_took_and_which_state_it_is(front: Front, lab: Lab) -> None:
    """As a tooltip; and by the keyboard, to who goes from cell to cell, or asks."""
    front.open(lab.notebook("said.ipynb", [*CELLS[:3], "select sum(a) as took from t"]))
    run_all(front)
    said = re.compile(r"^Up to date\nIt took [\d.]+ m?s\.\nState [0-9a-f]{10}$")
    expect(front.cell(4).locator(".pgc-CellMark")).to_have_attribute("title", said)
    expect(front.cell(4)).to_have_attribute("aria-description", said)
    front.select(4)
    expect(front.cell(4)).to_be_focused()
    front.page.keyboard.press("Control+Shift+C")
    front.page.wait_for_selector(".lm-CommandPalette-input:visible")
    front.page.keyboard.type("Show Cell Status")
    item = front.page.locator(".lm-CommandPalette-item[data-command='pgcellar:show-status']")
    expect(item).to_be_visible()
    front.page.keyboard.press("Enter")
    dialog = front.page.locator(".jp-Dialog")
    assert said.match(dialog.locator(".pgc-CellStatus").inner_text())
    front.picture("marks-said")
    front.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(front.cell(4)).to_be_focused()


def test_what_chance_makes_stale_again_is_run_too(front: Front, lab: Lab) -> None:
    """The stale cell that runs draws anew, so one below is stale that was up to date until then."""
    drawn = ["create table t (a int)", "insert into t select random() * 1000", "select a from t"]
    front.open(lab.notebook("drawn.ipynb", drawn))
    run_all(front, 3)
    front.type(1, "create table t (a bigint)")
    front.wait_status(3, "stale")
    front.run(3)
    front.wait_ran(3)
    assert [front.status(number) for number in (1, 2)] == ["stale", "stale"]
    executed = front.executed(3)
    front.command("pgcellar:run-stale")
    expect(front.cell(3).locator(".jp-InputPrompt")).not_to_have_text(executed)
    for number in (1, 2, 3):
        front.wait_ran(number)


def test_an_output_that_is_not_there_is_not_up_to_date(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("cleared.ipynb", CELLS))
    run_all(front)
    front.select(4)
    front.command("notebook:clear-cell-output")
    front.cell(4).locator(".pgc-CellMark").wait_for(state="detached")
    front.run(4)
    front.wait_ran(4)
    front.command("notebook:change-cell-to-markdown")
    front.page.locator(".jp-MarkdownCell").wait_for()
    front.command("notebook:change-cell-to-code")
    front.page.locator(".jp-MarkdownCell").wait_for(state="detached")
    front.type(2, "insert into t values (5)")
    front.wait_status(3, "stale")
    assert front.status(4) is None


def test_what_another_page_runs_is_shown_there(front: Front, lab: Lab) -> None:
    """Here stands the output of before, though the text is the same."""
    front.open(lab.notebook("pages.ipynb", CELLS))
    run_all(front)
    save(front)
    other = Front(front.page.context.new_page())
    other.open(lab.address("/tree/pages.ipynb"))
    for page in (other, front):
        page.page.bring_to_front()
        page.type(2, "insert into t values (5)")
        page.wait_status(4, "stale")
    other.page.bring_to_front()
    other.run(4)
    other.wait_ran(4)
    assert other.rows(4) == [["15"]]
    front.page.bring_to_front()
    front.page.wait_for_function(PLANNED)
    front.type(1, "create table t (a int) -- the same")
    front.wait_status(1, "current", "cached")
    assert front.status(4) == "stale"
    assert front.rows(4) == [["13"]]


def test_a_change_that_did_not_reach_the_kernel_is_told_again(front: Front, lab: Lab) -> None:
    """A laptop sleeps, and what is sent meanwhile goes nowhere."""
    front.open(lab.notebook("asleep.ipynb", CELLS))
    run_all(front)
    front.page.evaluate(f"{KERNEL}._ws.send = () => undefined")
    front.type(2, "insert into t values (5)")
    front.wait_status(4, "checking")
    # What a pause brings is sent, and lost.
    front.page.wait_for_timeout(600)
    front.page.evaluate(f"void {KERNEL}.reconnect()")
    front.wait_status(4, "stale")
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) == [["15"]]


def test_one_lost_message_does_not_make_a_wrong_result(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("lost.ipynb", CELLS))
    run_all(front)
    front.page.evaluate(f"""() => {{
        const socket = {KERNEL}._ws;
        const send = socket.send.bind(socket);
        socket.send = () => {{ socket.send = send; }};
    }}""")
    front.type(2, "insert into t values (5)")
    front.wait_status(4, "stale")
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) == [["15"]]


def test_a_file_that_changed_is_seen_by_who_comes_back(front: Front, lab: Lab) -> None:
    (lab.folder / "numbers.csv").write_text("1\n2\n")
    load = "\\copy t from 'numbers.csv' csv"
    front.open(lab.notebook("file.ipynb", [CELLS[0], load, CELLS[3]]))
    run_all(front, 3)
    front.page.wait_for_timeout(600)
    assert front.status(3) in ("current", "cached")
    (lab.folder / "numbers.csv").write_text("1\n20\n")
    front.page.evaluate("window.dispatchEvent(new Event('focus'))")
    front.wait_status(3, "stale")


def test_a_notebook_that_was_closed_is_forgotten(front: Front, lab: Lab) -> None:
    """By the kernel, which goes on: it has the comm of the page that is open, and no other."""
    front.open(lab.notebook("closed.ipynb", CELLS))
    run_all(front)
    save(front)
    for _ in range(5):
        front.command("application:close")
        front.page.locator(".jp-NotebookPanel").wait_for(state="detached")
        front.command("docmanager:open", path="closed.ipynb")
        front.page.locator(".jp-NotebookPanel").wait_for()
        front.wait_ran(4)
    open_ones = front.page.evaluate(f"""async () => {{
        const reply = await {KERNEL}.requestCommInfo({{ target_name: 'pgcellar.notebook' }});
        return Object.keys(reply.content.comms).length;
    }}""")
    assert open_ones == 1


def test_what_is_replayed_is_told_and_interrupted(front: Front, lab: Lab) -> None:
    """Which cell, and how many are left; what was interrupted left no trace."""
    cells = [
        "create table t as select 1 as a",
        "insert into t select 10 from (select pg_sleep(600)) as slept",
        "insert into t values (100)",
        "select sum(a) from t",
    ]
    front.open(lab.notebook("replayed.ipynb", cells))
    front.run(4)
    front.wait_status(4, "replaying")
    mark = front.cell(4).locator(".pgc-CellMark")
    expect(mark).to_have_attribute("title", re.compile(r"Cell 2 is replayed; 2 left\."))
    expect(mark).to_have_attribute("aria-label", re.compile(r"Cell 2 is replayed; 2 left\."))
    expect(front.cell(4).locator(".jp-OutputArea")).to_contain_text("cell 2")
    front.picture("marks-replaying")
    front.command("notebook:interrupt-kernel")
    front.wait_status(4, "failed", "stale")
    expect(front.cell(4).locator(".jp-OutputArea")).to_contain_text("57014")
    front.type(2, "insert into t select 10")
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) == [["111"]]


def test_marks_stand_beside_the_numbers_in_a_narrow_window(front: Front, lab: Lab) -> None:
    """As at 200 %: JupyterLab has the numbers above the texts there."""
    front.page.set_viewport_size({"width": 600, "height": 800})
    front.open(lab.notebook("narrow.ipynb", CELLS))
    run_all(front)
    mark = front.cell(2).locator(".pgc-CellMark").bounding_box()
    assert mark is not None
    number = (
        front.cell(2)
        .locator(".jp-InputPrompt")
        .evaluate("""node => {
        const range = document.createRange();
        range.selectNodeContents(node);
        return range.getBoundingClientRect().left;
    }""")
    )
    assert mark["x"] + mark["width"] <= number
    front.picture("marks-narrow")


def test_a_state_that_is_tied_to_its_connection_says_so(front: Front, lab: Lab) -> None:
    """From the cell on that runs on what ties it: what a cell left is found after its report."""
    cells = ["create temporary table t (a int)", "select count(*) from t"]
    front.open(lab.notebook("pinned.ipynb", cells))
    front.command("notebook:run-all-cells")
    front.wait_status(2, "pinned")
    mark = front.cell(2).locator(".pgc-CellMark")
    expect(mark).to_have_attribute("title", re.compile("tied to the live connection: .+"))
    front.picture("marks-pinned")
