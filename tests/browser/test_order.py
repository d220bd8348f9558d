"""Cells run in any order in the browser, and always as from the top."""

from __future__ import annotations

import json

from playwright.sync_api import expect
from tests import following
from tests.fixtures_browser import PYTHON, Front, Lab

CELLS = [
    "create table t (a int)",
    "insert into t values (1), (2)",
    "insert into t values (10)",
    "select sum(a) from t",
    "create view v as select a * 2 as b from t",
    "select count(*) from v",
    "select sum(b) from v",
    "insert into t values (100)",
    "select sum(a) from t",
    "select 'end'",
]


def truth(front: Front, lab: Lab, oracle: following.Oracle) -> list[list[list[str | None]]]:
    """What psql gives for each cell that shows rows, run from the top as the cells stand now."""
    outcomes = oracle.through([front.text(number) for number in range(1, 11)], lab.folder)
    return [[list(row) for each in found.results for row in each.rows] for found in outcomes]


def test_an_edit_above_is_used_and_what_depends_on_it_is_marked(
    front: Front, lab: Lab, oracle: following.Oracle
) -> None:
    front.open(lab.notebook("order.ipynb", CELLS))
    front.command("notebook:run-all-cells")
    for number in range(1, 11):
        front.wait_ran(number)
    before = truth(front, lab, oracle)
    assert [front.rows(number) for number in range(1, 11)] == before
    front.picture("order-run")

    front.type(3, "insert into t values (20)")
    front.wait_status(3, "stale")
    assert [front.wait_status(n, "current", "cached") for n in (1, 2)]
    for number in range(4, 11):
        front.wait_status(number, "stale")
    front.picture("order-edited")

    front.run(7)
    front.wait_ran(7)
    after = truth(front, lab, oracle)
    assert front.rows(7) == after[6] != before[6]
    assert [front.status(n) for n in (3, 4, 5, 6)] == ["stale"] * 4
    front.picture("order-seven")

    executed = [front.executed(number) for number in range(1, 11)]
    front.page.keyboard.press("Control+Shift+Enter")
    for number in range(1, 11):
        front.wait_ran(number)
    assert [front.rows(number) for number in range(1, 11)] == after
    again = [n for n in range(1, 11) if front.executed(n) != executed[n - 1]]
    assert again == [3, 4, 5, 6, 8, 9, 10]


def test_a_notebook_that_is_opened_again_knows_how_it_stands(front: Front, lab: Lab) -> None:
    """Somebody else's, which claims the same, is not believed before it has run."""
    address = lab.notebook("again.ipynb", CELLS)
    front.open(address)
    front.command("notebook:run-all-cells")
    for number in range(1, 11):
        front.wait_ran(number)
    front.command("docmanager:save")
    front.page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")
    front.open(lab.address("/tree/again.ipynb"))
    for number in range(1, 11):
        front.wait_ran(number)
    front.type(3, "insert into t values (20)")
    front.wait_status(7, "stale")
    saved = json.loads((lab.folder / "again.ipynb").read_text())
    saved["cells"][3]["outputs"][0]["data"]["text/html"] = "<b>forged</b>"
    (lab.folder / "forged.ipynb").write_text(json.dumps(saved))
    front.open(lab.address("/tree/forged.ipynb"))
    front.wait_status(4, "unknown")


def test_cells_that_are_moved_and_deleted_are_followed(front: Front, lab: Lab) -> None:
    """What runs below them runs on the order as it stands, and the marks say what it changed."""
    cells = [
        "create table t (a int)",
        "insert into t values (1)",
        "update t set a = a + 10",
        "select sum(a) from t",
    ]
    front.open(lab.notebook("moved.ipynb", cells))
    front.command("notebook:run-all-cells")
    for number in range(1, 5):
        front.wait_ran(number)
    assert front.rows(4) == [["11"]]

    front.cell(3).locator(".jp-InputPrompt").click()
    front.command("notebook:move-cell-up")
    front.wait_status(4, "stale")
    front.wait_status(1, "current", "cached")
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) == [["1"]]
    front.picture("order-moved")

    front.cell(2).locator(".jp-InputPrompt").click()
    front.command("notebook:move-cell-down")
    front.wait_status(4, "stale")
    front.cell(2).locator(".jp-InputPrompt").click()
    front.command("notebook:delete-cell")
    front.wait_status(3, "stale")
    front.run(3)
    front.wait_ran(3)
    assert front.rows(3) == [[None]]


def test_cells_that_are_split_merged_and_pasted_are_followed(front: Front, lab: Lab) -> None:
    """And undone: each time a cell below runs on the cells as they stand."""
    cells = [
        "create table t (a int);\ninsert into t values (1)",
        "insert into t values (10)",
        "select sum(a) from t",
    ]
    front.open(lab.notebook("split.ipynb", cells))
    front.command("notebook:run-all-cells")
    front.wait_ran(3)

    # Split: the second half is a cell of its own, above which a third can be put.
    front.cell(1).locator(".cm-content").click()
    front.page.keyboard.press("Control+Home")
    front.page.keyboard.press("ArrowDown")
    front.page.keyboard.press("Control+Shift+Minus")
    expect(front.cell(4)).to_be_visible()
    assert front.text(2) == "insert into t values (1)"
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) == [["11"]]

    # Pasted: a cell twice is what it does twice.
    front.select(2)
    front.page.keyboard.press("c")
    front.page.keyboard.press("v")
    expect(front.cell(5)).to_be_visible()
    front.wait_status(5, "stale")
    front.run(5)
    front.wait_ran(5)
    assert front.rows(5) == [["12"]]

    # Undone: the cell that was pasted is gone, and the state of before is kept.
    front.select(3)
    front.page.keyboard.press("z")
    expect(front.cell(5)).to_have_count(0)
    front.wait_status(4, "stale")
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) == [["11"]]

    # Merged, and what is cut is not there.
    front.select(1)
    front.command("notebook:merge-cell-below")
    expect(front.cell(4)).to_have_count(0)
    front.run(3)
    front.wait_ran(3)
    assert front.rows(3) == [["11"]]
    front.select(2)
    front.page.keyboard.press("x")
    front.wait_status(2, "stale")
    front.run(2)
    front.wait_ran(2)
    assert front.rows(2) == [["1"]]
    front.page.keyboard.press("z")
    expect(front.cell(3)).to_be_visible()
    front.wait_status(3, "stale")
    front.run(3)
    front.wait_ran(3)
    assert front.rows(3) == [["11"]]


def test_python_cells_run_below_those_that_stand_above(front: Front, lab: Lab) -> None:
    """`%%pgcellar` in a Python notebook: its order counts, values go in, frames come out."""
    cells = [
        "%load_ext pgcellar\nstep = 10",
        "%%pgcellar\ncreate table t as select 1 as a",
        "%%pgcellar -p step\ninsert into t select :step",
        "%%pgcellar\nupdate t set a = a + 100",
        "%%pgcellar -o out\nselect a, a > 100 as big from t order by a",
        "frame = out.to_pandas()\n"
        "print(type(frame).__module__, list(frame['a']), str(frame.dtypes['a']))",
    ]
    front.open(lab.notebook("python.ipynb", cells, kernel=PYTHON))
    front.command("notebook:run-all-cells")
    shown = front.cell(6).locator(".jp-OutputArea-output")
    expect(shown).to_contain_text("pandas")
    expect(shown).to_contain_text("[101, 110] int32[pyarrow]")

    # Moved: what is updated comes before what is inserted.
    front.select(4)
    front.command("notebook:move-cell-up")
    front.type(5, "%%pgcellar\nselect a from t order by a")
    front.run(5)
    expect(front.cell(5).locator(".jp-OutputArea")).to_contain_text("2 rows")
    assert front.rows(5) == [["10"], ["101"]]
    front.picture("python-moved")

    # Edited and not run; deleted.
    front.type(2, "%%pgcellar\ncreate table t as select 2 as a")
    front.select(3)
    front.page.keyboard.press("d")
    front.page.keyboard.press("d")
    expect(front.cell(6)).to_have_count(0)
    front.run(4)
    front.page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.content.model.cells.get(3).outputs.toJSON()[0]"
        "?.data['application/vnd.pgcellar.result+json']?.rows[0][0] === '2'"
    )
    assert front.rows(4) == [["2"], ["10"]]
    # What tells the kernel is no execution of anybody's.
    expect(front.cell(4).locator(".jp-InputPrompt")).to_have_text("[8]:")
