"""What is done to a notebook while cells run, or to its kernel: no mark claims what is not so."""

from __future__ import annotations

import re

from playwright.sync_api import expect
from tests.fixtures_browser import Front, Lab

CELLS = [
    "create table t (a int)",
    "insert into t values (1), (2)",
    "insert into t values (10)",
    "select sum(a) from t",
]
#: What runs until it is interrupted.
ENDLESS = "select pg_sleep(600)"
#: The same; what it shows first tells that it runs, and no longer waits for those above it.
BEGUN = f"select 'begun';\n{ENDLESS}"
PANEL = "window.jupyterapp.shell.currentWidget"


def run_all(front: Front, cells: int = 4) -> None:
    front.command("notebook:run-all-cells")
    for number in range(1, cells + 1):
        front.wait_ran(number)


def save(front: Front) -> None:
    front.command("docmanager:save")
    front.page.wait_for_function(f"!{PANEL}.context.model.dirty")


def change_kernel(front: Front, name: str) -> None:
    front.page.evaluate(f"name => {PANEL}.sessionContext.changeKernel({{ name }})", name)
    front.idle()


def test_a_cell_that_is_moved_while_it_runs(front: Front, lab: Lab) -> None:
    """JupyterLab makes another cell of it, whose output is that of before."""
    front.open(lab.notebook("moving.ipynb", [*CELLS[:3], ENDLESS, CELLS[3]]))
    front.run(4)
    front.wait_status(4, "running")
    front.select(4)
    front.command("notebook:move-cell-up")
    expect(front.cell(3)).to_contain_text("pg_sleep")
    front.command("notebook:move-cell-down")
    expect(front.cell(4)).to_contain_text("pg_sleep")
    front.command("notebook:interrupt-kernel")
    front.wait_status(4, "stale")
    front.type(4, "select count(*) from t")
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) == [["3"]]


def test_a_cell_that_is_deleted_while_it_runs_and_comes_back(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("deleting.ipynb", CELLS))
    run_all(front)
    front.type(4, f"{CELLS[3]};\n{ENDLESS}")
    front.run(4)
    front.wait_status(4, "running")
    front.select(4)
    front.command("notebook:delete-cell")
    expect(front.cell(4)).to_have_count(0)
    front.command("notebook:undo-cell-action")
    expect(front.cell(4)).to_contain_text("pg_sleep")
    front.command("notebook:interrupt-kernel")
    front.wait_status(4, "stale")
    front.type(4, CELLS[3])
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) == [["13"]]


def test_a_kernel_that_is_restarted_while_a_cell_runs(front: Front, lab: Lab) -> None:
    """Two pages show it: in neither does the cell run for ever."""
    address = lab.notebook("restarting.ipynb", [*CELLS, BEGUN])
    front.open(address)
    other = Front(front.page.context.new_page())
    other.open(lab.address("/tree/restarting.ipynb"))
    front.run(5)
    front.wait_status(5, "running")
    other.wait_status(5, "running")
    front.page.evaluate(f"{PANEL}.sessionContext.session.kernel.restart()")
    front.wait_status(5, "stale")
    # It hears of it from the kernel that has started, not from the one that is gone.
    expect(other.cell(5).locator(".pgc-CellMark")).to_have_count(0)
    front.idle()
    other.idle()
    other.run(5)
    if other.wait_status(5, "running", "stale") == "stale":
        # It was sent while the page had not heard of it.
        expect(other.cell(5).locator(".jp-OutputArea")).to_contain_text("Run the cell again")
        other.run(5)
    front.wait_status(5, "running")
    expect(other.cell(5).locator(".pgc-Footer").first).to_contain_text("1 row")
    other.command("notebook:interrupt-kernel")
    other.wait_status(5, "failed")
    front.wait_status(5, "stale")


def test_a_cell_that_is_interrupted_before_it_begins(front: Front, lab: Lab) -> None:
    """It waits for another notebook, whose roles all would see: what it shows is of no run."""
    front.open(lab.notebook("waiting.ipynb", CELLS))
    run_all(front)
    other = Front(front.page.context.new_page())
    other.open(lab.notebook("roles.ipynb", [f"create role sleeper;\n{ENDLESS}"]))
    other.run(1)
    expect(other.cell(1).locator(".jp-OutputArea")).to_contain_text("CREATE ROLE")
    front.type(3, "insert into t values (20)")
    front.run(4)
    expect(front.cell(4).locator(".pgc-CellMark")).to_have_attribute(
        "title", re.compile("Waiting for a run with other roles")
    )
    front.command("notebook:interrupt-kernel")
    front.wait_status(4, "stale")
    other.command("notebook:interrupt-kernel")
    other.wait_status(1, "failed")
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) == [["23"]]


def test_a_cell_whose_tail_fails(front: Front, lab: Lab) -> None:
    """It is stale, so that what is stale runs when the cell above it is mended."""
    front.open(lab.notebook("failing.ipynb", [*CELLS[:2], "insert into t values ('x')", CELLS[3]]))
    front.run(4)
    front.wait_status(4, "stale")
    front.type(3, CELLS[2])
    front.command("pgcellar:run-stale")
    front.wait_ran(4)
    assert front.rows(4) == [["13"]]


def test_a_notebook_that_another_kernel_runs(front: Front, lab: Lab) -> None:
    """Its cells have no marks there, and what it showed is not taken for ours afterwards."""
    front.open(lab.notebook("kernels.ipynb", CELLS))
    run_all(front)
    change_kernel(front, "python3")
    expect(front.page.locator(".pgc-CellMark")).to_have_count(0)
    front.run(4)
    expect(front.cell(4).locator(".jp-OutputArea")).to_contain_text("SyntaxError")
    change_kernel(front, "pgcellar")
    front.wait_status(3, "current", "cached")
    front.wait_status(4, "unknown")
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) == [["13"]]


def test_a_notebook_that_is_renamed_is_the_same(front: Front, lab: Lab) -> None:
    """While it is open, and while a cell of it runs."""
    front.open(lab.notebook("renamed.ipynb", [*CELLS, ENDLESS]))
    front.run(4)
    front.wait_ran(4)
    front.run(5)
    front.wait_status(5, "running")
    front.page.evaluate(f"{PANEL}.context.rename('another.ipynb')")
    front.page.wait_for_function(f"{PANEL}.context.path === 'another.ipynb'")
    front.command("notebook:interrupt-kernel")
    front.wait_status(5, "failed")
    front.type(2, "insert into t values (5)")
    front.wait_status(4, "stale")
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) == [["15"]]
    save(front)
    front.open(lab.address("/tree/another.ipynb"))
    front.wait_status(4, "current", "cached")


def test_a_notebook_that_is_reverted(front: Front, lab: Lab) -> None:
    """To what was saved: texts, outputs and what is known of them go back together."""
    front.open(lab.notebook("reverted.ipynb", CELLS))
    run_all(front)
    save(front)
    front.type(2, "insert into t values (5)")
    front.wait_status(4, "stale")
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) == [["15"]]
    front.page.evaluate(f"{PANEL}.context.revert()")
    front.page.wait_for_function(f"!{PANEL}.context.model.dirty")
    assert front.text(2) == CELLS[1]
    front.wait_status(4, "current", "cached")
    assert front.rows(4) == [["13"]]
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) == [["13"]]
