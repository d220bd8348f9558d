"""Writing cells: completion, inspection, layout, errors, plans."""

from __future__ import annotations

from playwright.sync_api import expect
from tests.fixtures_browser import KERNEL, Front, Lab

CELLS = [
    'create table city (id int primary key, inhabitants int, "Mayor" text)',
    "insert into city select i, i * 1000, 'm' || i from generate_series(1, 1000) i",
    "select inhabitants from city where id < 4",
    "select 1",
]


def test_names_of_cells_above_are_completed_and_inspected(front: Front, lab: Lab) -> None:
    """And those that an edit above brings; the cell is known, whatever ran last."""
    front.open(lab.notebook("complete.ipynb", CELLS))
    front.run(2)
    front.wait_ran(2)
    front.type(3, "select inhab from city")
    for _ in range(len(" from city")):
        front.page.keyboard.press("ArrowLeft")
    text = front.cell(3).locator(".cm-content")
    # JupyterLab waits for a second at most, the names of a new state may come a little later.
    for _ in range(20):
        front.page.keyboard.press("Tab")
        if "inhabitants" in text.inner_text():
            break
        front.page.wait_for_timeout(200)
    expect(text).to_contain_text("select inhabitants from city")
    front.type(3, "select c. from city c")
    for _ in range(len(" from city c")):
        front.page.keyboard.press("ArrowLeft")
    front.page.keyboard.press("Tab")
    offered = front.page.locator(".jp-Completer:not(.lm-mod-hidden)")
    expect(offered).to_contain_text("Mayor")
    expect(offered).to_contain_text("inhabitants")
    front.picture("completion")
    front.page.keyboard.press("Escape")
    front.type(3, "select * from city")
    front.page.keyboard.press("Shift+Tab")
    tooltip = front.page.locator(".jp-Tooltip")
    expect(tooltip).to_contain_text("inhabitants")
    front.picture("inspection")


def test_names_are_completed_while_a_cell_runs(front: Front, lab: Lab) -> None:
    """Both, Tab and Shift-Tab, are answered beside it, and it is still shown as running."""
    front.open(lab.notebook("beside.ipynb", [*CELLS, "select pg_sleep(600)"]))
    front.run(2)
    front.wait_ran(2)
    front.run(5)
    front.wait_status(5, "running")
    front.type(3, "select c. from city c")
    for _ in range(len(" from city c")):
        front.page.keyboard.press("ArrowLeft")
    front.page.keyboard.press("Tab")
    offered = front.page.locator(".jp-Completer:not(.lm-mod-hidden)")
    expect(offered).to_contain_text("inhabitants")
    front.page.keyboard.press("Escape")
    front.type(3, "select * from city")
    front.page.keyboard.press("Shift+Tab")
    expect(front.page.locator(".jp-Tooltip")).to_contain_text("inhabitants")
    front.picture("beside-a-cell")
    assert front.status(5) == "running"
    front.page.wait_for_function(f"{KERNEL}.status === 'busy'")
    front.command("notebook:interrupt-kernel")
    front.wait_status(5, "failed")


def test_a_cell_is_laid_out_and_means_the_same(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("format.ipynb", CELLS))
    front.type(3, "select   inhabitants,id from city -- all\nwhere id<4 and inhabitants>1")
    front.page.keyboard.press("Alt+Shift+F")
    text = front.cell(3).locator(".cm-content")
    expect(text).to_contain_text("select inhabitants, id")
    expect(text).to_contain_text("-- all")


def test_an_error_is_underlined_and_its_hint_corrects(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("error.ipynb", CELLS))
    front.type(3, "select 'é',\n  inhabitant\nfrom city")
    front.run(3)
    front.wait_status(3, "failed")
    underlined = front.cell(3).locator(".cm-lintRange-error")
    expect(underlined).to_have_text("inhabitant")
    underlined.hover()
    front.picture("error")
    underlined.hover()
    front.page.locator(".cm-diagnosticAction").click()
    expect(front.cell(3).locator(".cm-content")).to_contain_text("city.inhabitants")
    front.run(3)
    front.wait_ran(3)
    expect(underlined).to_have_count(0)


def test_an_error_above_is_underlined_where_it_is(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("above.ipynb", CELLS))
    front.type(2, "insert into nowhere values (1)")
    front.run(3)
    expect(front.cell(2).locator(".cm-lintRange-error")).to_have_text("nowhere")


def test_meta_commands_and_variables_are_marked(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("mark.ipynb", ["\\set n 5\nselect :n, ':no', a::text from t"]))
    expect(front.cell(1).locator(".cm-content")).to_have_attribute("data-language", "sql")
    expect(front.cell(1).locator(".pgc-MetaCommand")).to_have_text("\\set")
    expect(front.cell(1).locator(".pgc-Variable")).to_have_text(":n")


def test_plans_are_shown_and_compared(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("plan.ipynb", CELLS))
    front.select(1)
    front.command("notebook:insert-cell-above")
    front.command("notebook:change-cell-to-markdown")
    expect(front.page.locator(".jp-MarkdownCell")).to_be_visible()
    front.select(4)
    front.cell(4).locator(".jp-cell-toolbar [data-command='pgcellar:explain']").click()
    view = front.page.locator(".pgc-PlanView")
    expect(view).to_contain_text("city")
    front.page.get_by_role("button", name="Compare").click()
    expect(view).to_contain_text("There is no earlier plan yet")
    front.select(4)
    front.page.keyboard.press("Alt+Shift+E")
    expect(view).not_to_contain_text("There is no earlier plan yet")
    front.page.get_by_role("button", name="Analyze").click()
    expect(view).to_contain_text("Execution")
    front.picture("plan")
    front.page.get_by_role("button", name="Compare").click()
    expect(view.locator("table")).to_be_visible()
    front.picture("plans-compared")
    # Its number is that of the state panel, whose comparisons stand in the same place.
    front.command("pgcellar:what-changed")
    beside = front.page.locator(".lm-DockPanel-tabBar", has_text="Plan of Cell 3")
    expect(beside).to_contain_text("Changes: [3]")
    front.type(5, "create table nothing ()")
    front.command("pgcellar:explain")
    expect(front.page.locator(".pgc-PlanView-note", has_text="no plan").first).to_be_visible(
        timeout=60_000
    )
