"""A JupyterLab whose only part of ours is the kernel: what works there is what the docs say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect
from tests.fixtures_browser import KERNEL, Front, Lab, jupyter_lab
from tests.fixtures_service import CommandLine

LONG = "select i, 'row ' || i as name from generate_series(1, 2500) i order by i"
SLIDER = "-- @param n: slider(1, 9) = 5\nselect :n as n, :n * 10 as tens"


@pytest.fixture(scope="module")
def lab(browser: Browser, kernel_home: CommandLine) -> Iterator[Lab]:
    """It has our extension installed, but disabled."""
    with jupyter_lab(kernel_home, disabled=("pgcellar-labextension",)) as made:
        yield made


#: Widgets can be shown, and the kernel knows.
VIEWER = f"""async () => {{
  const reply = await {KERNEL}.requestCommInfo({{ target_name: 'jupyter.widget.control' }});
  return Object.keys(reply.content.comms ?? {{}}).length > 0;
}}"""


def outputs(front: Front, number: int) -> Locator:
    """What a cell shows."""
    return front.cell(number).locator(".jp-OutputArea").first


def test_long_results_are_paged_by_buttons(front: Front, lab: Lab) -> None:
    """The page takes the place of the table, and stays in the notebook."""
    front.open(lab.notebook("pager.ipynb", ["select 1 as one", LONG]))
    front.page.wait_for_function(VIEWER, timeout=60_000)
    front.run(2)
    shown = outputs(front, 2)
    expect(shown.locator(".widget-label")).to_have_text("rows 1–1,000 of 2,500")
    expect(shown.locator("table")).to_contain_text("row 1000")
    assert front.page.locator(".pgc-Result").count() == 0
    assert front.status(2) is None
    for button, says, has, lacks in (
        ("Next page", "rows 1,001–2,000 of 2,500", "row 1001", "row 1000"),
        ("Last page", "rows 2,001–2,500 of 2,500", "row 2500", "row 2000"),
        ("First page", "rows 1–1,000 of 2,500", "row 1000", "row 2500"),
        ("Next page", "rows 1,001–2,000 of 2,500", "row 2000", "row 1000"),
    ):
        shown.locator(f"button[title='{button}']").click()
        expect(shown.locator(".widget-label")).to_have_text(says)
        expect(shown.get_by_role("cell", name=has, exact=True)).to_have_count(1)
        expect(shown.get_by_role("cell", name=lacks, exact=True)).to_have_count(0)
    shown.locator("button[title='Next page']").scroll_into_view_if_needed()
    front.picture("pager")


def test_cells_stand_as_they_ran_and_sliders_look_aside(front: Front, lab: Lab) -> None:
    """What the moved slider shows is not what the cells below get, and it says so."""
    front.open(lab.notebook("aside.ipynb", ["create table t as select 1 as a", SLIDER, "table t"]))
    for number in (1, 2, 3):
        front.run(number)
        front.idle()
    expect(outputs(front, 3).locator("table")).to_contain_text("1")
    handle = front.cell(2).locator(".noUi-handle")
    handle.focus()
    front.page.keyboard.press("ArrowRight")
    expect(outputs(front, 2).locator("table")).to_contain_text("60")
    expect(outputs(front, 2)).to_contain_text("-- @param n: slider(1, 9) = 6")
    expect(front.cell(2).locator(".cm-content")).to_contain_text("slider(1, 9) = 5")
    front.picture("aside")
