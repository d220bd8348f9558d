"""The extension in Notebook 7."""

from __future__ import annotations

from playwright.sync_api import expect
from tests.browser.test_grid import Grid
from tests.browser.test_order import CELLS
from tests.fixtures_browser import Front, Lab


def test_it_works_there_too(front: Front, lab: Lab) -> None:
    """The notebook's order, marks, the grid, both panels, completion; what JupyterLab shows beside
    the notebook stands below it.
    """
    lab.notebook("seven.ipynb", CELLS)
    front.open(f"{lab.url}/notebooks/seven.ipynb?token={lab.token}")
    front.run(7)
    front.wait_ran(7)
    assert front.rows(7) == [["26"]]
    front.type(3, "insert into t values (20)")
    front.wait_status(7, "stale")
    front.page.locator("[data-command='pgcellar:run-stale']").click()
    front.wait_ran(7)
    assert front.rows(7) == [["46"]]
    grid = Grid(front, 7)
    grid.press("ArrowDown")
    grid.shows("46")
    front.picture("notebook7")
    # There is no status bar, which it opens from.
    has = "id => window.jupyterapp.commands.hasCommand(id)"
    assert front.page.evaluate(has, "pgcellar:show-states")
    assert not front.page.evaluate(has, "pgcellar:show-sandbox")

    front.type(8, "select t. from t")
    for _ in range(len(" from t")):
        front.page.keyboard.press("ArrowLeft")
    # As in JupyterLab, the names of a new state may come a little later.
    for _ in range(20):
        front.page.keyboard.press("Tab")
        if "t.a" in front.text(8):
            break
        front.page.wait_for_timeout(200)
    assert front.text(8) == "select t.a from t"

    front.command("pgcellar:show-schema")
    expect(front.page.locator("#pgcellar-schema .pgc-Tree-label:text-is('v')")).to_be_visible()
    front.command("pgcellar:show-states")
    states = front.page.locator("#pgcellar-states")
    expect(states.locator("[data-pgcellar-cell=c5]")).to_contain_text("kept ·")
    front.select(7)
    front.cell(7).locator(".jp-cell-toolbar [data-command='pgcellar:explain']").click()
    plan = front.page.locator(".pgc-PlanView")
    expect(plan).to_contain_text("Aggregate")
    room = plan.bounding_box()
    assert room is not None
    assert room["height"] > 200
    front.picture("notebook7-beside")
    front.select(5)
    front.command("pgcellar:what-changed")
    expect(front.page.locator(".pgc-Difference:visible")).to_contain_text("[5] create view v")
    front.command("pgcellar:draw-tables")
    expect(front.page.locator(".pgc-Diagram:visible")).to_contain_text("1 table")
