"""Cells run in any order in the browser, and always as from the top."""

from __future__ import annotations

import json

from tests.fixtures_browser import Front, Lab

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


def test_an_edit_above_is_used_and_what_depends_on_it_is_marked(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("order.ipynb", CELLS))
    front.command("notebook:run-all-cells")
    for number in range(1, 11):
        front.wait_ran(number)
    assert front.rows(7) == [["26"]]
    front.picture("order-run")

    front.type(3, "insert into t values (20)")
    front.wait_status(3, "stale")
    assert [front.wait_status(n, "current", "cached") for n in (1, 2)]
    for number in range(4, 11):
        front.wait_status(number, "stale")
    front.picture("order-edited")

    front.run(7)
    front.wait_ran(7)
    assert front.rows(7) == [["46"]]
    assert [front.status(n) for n in (3, 4, 5, 6)] == ["stale"] * 4
    front.picture("order-seven")

    front.command("pgcellar:run-stale")
    for number in range(1, 11):
        front.wait_ran(number)
    assert front.rows(4) == [["23"]]
    assert front.rows(9) == [["123"]]


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
