"""The extension in Notebook 7."""

from __future__ import annotations

from tests.browser.test_order import CELLS
from tests.fixtures_browser import Front, Lab


def test_the_order_of_the_notebook_counts_there_too(front: Front, lab: Lab) -> None:
    lab.notebook("seven.ipynb", CELLS)
    front.open(f"{lab.url}/notebooks/seven.ipynb?token={lab.token}")
    front.run(7)
    front.wait_ran(7)
    assert front.rows(7) == [["26"]]
    front.type(3, "insert into t values (20)")
    front.wait_status(7, "stale")
    front.command("pgcellar:run-stale")
    front.wait_ran(7)
    assert front.rows(7) == [["46"]]
    front.picture("notebook7")
