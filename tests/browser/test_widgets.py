"""Parameters as widgets, and bars of what takes long, in a real JupyterLab."""

from __future__ import annotations

import re
import statistics

from playwright.sync_api import expect
from tests.fixtures_browser import Front, Lab

FLIGHTS = (
    "create table flights as select i, i % 12 + 1 as month, chr(65 + i % 3) as carrier"
    " from generate_series(1, 1200) i"
)
PARAMETERS = (
    "-- @param month: slider(1, 12) = 5\n"
    "-- @param carrier: dropdown(select distinct carrier from flights)\n"
    "-- @param since: date = 2024-01-31\n"
    "-- @param exact: checkbox = true\n"
    "select :month as month, :'carrier' as carrier, count(*) from flights\n"
    "where month = :month and (carrier = :'carrier' or not :exact);"
)
SLOW = (
    "create function slow(a int) returns int immutable language plpgsql as"
    " 'begin perform pg_sleep(0.01); return a; end';\n"
    "create table t as select a, repeat('x', 1000) as b from generate_series(1, 500) a"
)
#: Milliseconds from a key that moves a slider to the frame that shows the result, in the page.
_WATCH = """
([cell, key]) => new Promise((resolve, reject) => {
  const outputs = document.querySelectorAll('.jp-Notebook-cell')[cell - 1]
    .querySelector('.jp-OutputArea');
  const handle = outputs.querySelector('.noUi-handle');
  const begin = performance.now();
  const grid = () => outputs.querySelector('.pgc-Result');
  const before = grid();
  const observer = new MutationObserver(() => {
    const now = grid();
    if (now && now !== before) {
      observer.disconnect();
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - begin)));
    }
  });
  observer.observe(outputs, { childList: true, subtree: true, characterData: true });
  setTimeout(() => reject(new Error('nothing new is shown')), 20000);
  handle.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
})
"""


def _result(front: Front, number: int) -> str:
    return "\n".join(" ".join(map(str, row)) for row in front.rows(number))


def _wait(front: Front, number: int, row: str) -> None:
    """Wait until a cell shows a row."""
    for _ in range(500):
        if row in _result(front, number):
            return
        front.page.wait_for_timeout(20)
    raise AssertionError(f"{_result(front, number)!r} has no {row!r}")


def test_a_slider_is_moved_by_keyboard(front: Front, lab: Lab) -> None:
    """The result is another one, in the same place, and the text says so."""
    front.open(lab.notebook("widgets.ipynb", [FLIGHTS, PARAMETERS, "select :month as below"]))
    front.command("notebook:run-all-cells")
    front.wait_ran(3)
    _wait(front, 2, "5 A 0")
    handle = front.cell(2).locator(".noUi-handle")
    handle.focus()
    front.page.keyboard.press("ArrowRight")
    _wait(front, 2, "6 A 0")
    assert front.page.evaluate("document.activeElement.className").startswith("noUi-handle")
    assert "slider(1, 12) = 6" in front.cell(2).locator(".cm-content").inner_text()
    front.wait_status(2, "current")
    front.wait_status(3, "stale")
    front.run(3)
    front.wait_ran(3)
    _wait(front, 3, "6")

    options = front.cell(2).locator(".widget-dropdown select option")
    assert options.all_inner_texts() == ["A", "B", "C"]
    front.cell(2).locator(".widget-dropdown select").select_option("C")
    _wait(front, 2, "6 C 100")
    assert "flights) = C" in front.cell(2).locator(".cm-content").inner_text()
    front.cell(2).locator("input[type=checkbox]").uncheck()
    _wait(front, 2, "6 C 100")
    front.wait_status(2, "current")
    front.picture("widgets")

    figures = [
        front.page.evaluate(_WATCH, [2, "ArrowRight" if n % 2 else "ArrowLeft"]) for n in range(20)
    ]
    print(f"slider move to repaint: {statistics.median(figures):.0f} ms of {sorted(figures)}")


def test_a_move_is_never_silently_lost(front: Front, lab: Lab) -> None:
    """A cell that was put elsewhere takes no output of before, so it runs as if by hand."""
    address = lab.notebook("moved.ipynb", [FLIGHTS, PARAMETERS, "select 1 as one"])
    front.open(address)
    front.command("notebook:run-all-cells")
    front.wait_ran(3)
    front.select(2)
    front.command("notebook:move-cell-down")
    front.page.wait_for_function(
        "document.querySelectorAll('.jp-Notebook-cell')[2].innerText.includes('@param')"
    )
    front.cell(3).locator(".noUi-handle").focus()
    front.page.keyboard.press("ArrowRight")
    _wait(front, 3, "6 A 0")
    assert "slider(1, 12) = 6" in front.cell(3).locator(".cm-content").inner_text()
    front.wait_status(3, "current")


def _follow(front: Front, number: int, command: str) -> None:
    """A cell runs: wait for a bar that says which command it is of, and that goes on."""
    bar = front.cell(number).locator("progress")
    bar.wait_for(timeout=30_000)
    expect(bar).to_have_attribute("aria-label", re.compile(command))
    assert int(bar.get_attribute("max") or 0) > 10
    front.page.wait_for_function("document.querySelector('progress')?.value > 10", timeout=30_000)


def test_bars_show_how_far_commands_are(front: Front, lab: Lab) -> None:
    """CREATE INDEX, COPY and VACUUM, and those of a cell above that is replayed."""
    (lab.folder / "slow.csv").write_text("".join(f"{n},{'x' * 1000}\n" for n in range(500)))
    cells = [
        SLOW,
        "select 1 as one;\ncreate index on t (slow(a))",
        "create table u (a int check (slow(a) = a), b text);\n\\copy u from 'slow.csv' csv",
        "set vacuum_cost_delay = 20;\nset vacuum_cost_limit = 10;\nvacuum t",
    ]
    front.open(lab.notebook("bars.ipynb", cells))
    front.run(1)
    front.wait_ran(1)
    assert front.page.locator("progress").count() == 0
    front.run(2)
    _follow(front, 2, "^CREATE INDEX")
    front.picture("bar")
    front.wait_ran(2)
    assert front.page.locator("progress").count() == 0
    _wait(front, 2, "1")
    assert "CREATE INDEX" in front.cell(2).locator(".jp-OutputArea").inner_text()

    front.type(1, SLOW.replace("500", "400"))
    front.run(3)
    front.wait_status(3, "replaying")
    _follow(front, 3, "CREATE INDEX")
    expect(front.cell(3).locator(".jp-OutputArea")).to_contain_text("cell 2")
    front.picture("bar-of-a-replay")
    _follow(front, 3, "^COPY")
    front.picture("bar-of-a-copy")
    front.wait_ran(3)
    front.run(4)
    _follow(front, 4, "^VACUUM")
    front.picture("bar-of-vacuum")
    front.wait_ran(4)
    assert front.page.locator("progress").count() == 0


def test_a_slider_moves_on_a_page_that_was_loaded_anew(front: Front, lab: Lab) -> None:
    """The page of before is gone, though nobody says so: the new one has the text changed."""
    front.open(lab.notebook("anew.ipynb", [FLIGHTS, PARAMETERS, "select :month as below"]))
    front.command("notebook:run-all-cells")
    front.wait_ran(3)
    front.command("docmanager:save")
    front.page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")
    front.reload()
    _wait(front, 2, "5 A 0")
    front.wait_status(2, "current")
    handle = front.cell(2).locator(".noUi-handle")
    handle.focus()
    front.page.keyboard.press("ArrowRight")
    _wait(front, 2, "6 A 0")
    assert "slider(1, 12) = 6" in front.cell(2).locator(".cm-content").inner_text()
    front.wait_status(2, "current")
    front.wait_status(3, "stale")
    # From now on it is this page's own run: its slider moves in place.
    front.cell(2).locator(".noUi-handle").focus()
    front.page.keyboard.press("ArrowRight")
    _wait(front, 2, "7 A 100")
    assert front.page.evaluate("document.activeElement.className").startswith("noUi-handle")
    front.picture("widgets-anew")
