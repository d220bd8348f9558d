"""From Shift-Enter to the painted result, in Chromium: `python -m tests.bench.browser`.

pgcellar and JupySQL in turn, in pages of one JupyterLab, on servers of one build with the same
settings. JupySQL shows 10 rows unless `SqlMagic.displaylimit` says otherwise. Here it says 1,000,
as many as pgcellar sends at first; and for 10,000 rows also all of them, since a grid of ours goes
on to them without another cell.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import pathlib
import sys
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright
from tests import fixtures_browser as browsers
from tests import fixtures_service as services
from tests.bench import kernels, measure, painting, places

RESULTS = "a result in JupyterLab: from Shift-Enter to painted"
SCROLLED = "its grid, scrolled"
SLIDER = "a slider of pgcellar's: from a key to the painted result"
KEYS = "a key in a notebook of 1,000 cells, until JupyterLab has heard of it"
ROUNDS = 15
QUICK = 5
_WARM_UP = 2
LIMIT = 1000
#: Each round another text, so that nothing is remembered of the one before.
CELLS = {
    "select 1": "select 1 as a, {n} as n",
    "10,000 rows": "select g, md5((g + {n})::text) as name from generate_series(1, 10000) g",
    "1,000,000 rows": "select g, md5((g + {n})::text) as name from generate_series(1, 1000000) g",
}
_CONNECT = """%load_ext sql
%config SqlMagic.feedback = 0
%config SqlMagic.displaylimit = {limit}
%sql {url}"""
#: A cell's text changes, which everybody who listens is told at once.
_KEY = """async () => {
  const cell = window.jupyterapp.shell.currentWidget.content.model.cells.get(3).sharedModel;
  const began = performance.now();
  cell.updateSource(0, 0, ' ');
  const took = performance.now() - began;
  await new Promise(done => setTimeout(done, 50));
  return took;
}"""
_SLIDER = "-- @param n: slider(1, 100) = 50\nselect :n as n"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """One of those compared: a notebook in a page of its own, whose second cell runs."""

    name: str
    front: browsers.Front
    #: The script that waits for a result of its kind, and what stands above the SQL.
    watch: str
    above: str = ""

    def run(self, source: str) -> float:
        """Put a text into the cell and run it; ms until its result is painted."""
        page = self.front.page
        page.bring_to_front()
        self.front.type(2, self.above + source)
        # Past what comes of typing: the plan that is asked for, the instance that is prepared.
        page.wait_for_timeout(500)
        page.evaluate(self.watch)
        page.keyboard.press("Shift+Enter")
        took: float = page.evaluate(painting.PAINTED)
        self.front.idle()
        return took


def ours(browser: Browser, lab: browsers.Lab) -> Side:
    """pgcellar, which has run once."""
    front = _front(browser)
    front.open(lab.notebook("ours.ipynb", ["select 0 as a", "select 1 as a", "select 2 as a"]))
    front.command("notebook:run-all-cells")
    front.wait_ran(3)
    return Side(name="pgcellar", front=front, watch=painting.GRID)


def jupysql(browser: Browser, lab: browsers.Lab, url: str, limit: int, says: str) -> Side:
    """JupySQL, connected; it shows so many rows, or with 0 all."""
    front = _front(browser)
    cells = [_CONNECT.format(limit=limit, url=url), "%sql select 1 as a", "%sql select 2 as a"]
    front.open(lab.notebook(f"jupysql-{limit}.ipynb", cells, kernel=browsers.PYTHON))
    front.command("notebook:run-all-cells")
    front.cell(3).locator(".jp-OutputArea table").wait_for()
    return Side(name=f"JupySQL: {says}", front=front, watch=painting.TABLE, above="%%sql\n")


def results(table: measure.Table, own: Side, few: Side, everything: Side, rounds: int) -> None:
    """Each in turn, round by round; the first is what the others are compared with."""
    for name, source in CELLS.items():
        sides = [few, own] if name != "10,000 rows" else [few, everything, own]
        took: list[list[float]] = [[] for _ in sides]
        for number in range(_WARM_UP + rounds):
            for side, times in zip(sides, took, strict=True):
                times.append(side.run(source.format(n=number)))
        base = None
        for side, times in zip(sides, took, strict=True):
            row = table.add(f"{RESULTS}, {name}", side.name, times[_WARM_UP:], against=base)
            base = base or row


def scrolled(table: measure.Table, own: Side) -> None:
    """To the last row of a million and back, in the grid that was painted last."""
    front = own.front
    front.page.bring_to_front()
    front.wait_ran(2)
    front.cell(2).get_by_role("grid").focus()
    front.page.keyboard.press("ArrowDown")
    for name, key in (
        ("its last row, for which the cell runs again", "Control+End"),
        ("its first row after that, from pages", "Control+Home"),
    ):
        front.page.evaluate(painting.SCROLL)
        front.page.keyboard.press(key)
        table.add(SCROLLED, name, [front.page.evaluate(painting.PAINTED)])


def slider(table: measure.Table, browser: Browser, lab: browsers.Lab, rounds: int) -> None:
    """A parameter's slider, moved by keys."""
    front = _front(browser)
    front.open(lab.notebook("slider.ipynb", ["select 1 as a", _SLIDER]))
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    front.cell(2).locator(".noUi-handle").focus()
    took = []
    for number in range(_WARM_UP + rounds):
        front.page.evaluate(painting.MOVE)
        front.page.keyboard.press("ArrowRight" if number % 2 else "ArrowLeft")
        took.append(front.page.evaluate(painting.PAINTED))
        front.wait_ran(2)
    table.add(SLIDER, "select :n as n", took[_WARM_UP:])


def typing(table: measure.Table, browser: Browser, lab: browsers.Lab, rounds: int) -> None:
    """Cells with outputs, in a notebook of Python and in one of SQL."""
    base = None
    for name, kernel in (("a Python notebook", browsers.PYTHON), ("pgcellar", browsers.SQL)):
        address = lab.notebook(f"long-{kernel['name']}.ipynb", ["select 1"] * 1000, kernel=kernel)
        path = lab.folder / f"long-{kernel['name']}.ipynb"
        content = json.loads(path.read_text())
        shown = {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "x" * 3000}}
        for cell in content["cells"]:
            cell["outputs"] = [shown]
        path.write_text(json.dumps(content))
        front = _front(browser)
        front.open(address)
        took = [front.page.evaluate(_KEY) for _ in range(_WARM_UP + 2 * rounds)]
        row = table.add(KEYS, name, took[_WARM_UP:], against=base)
        base = base or row
        front.page.close()


def bundle() -> int:
    """Bytes of the extension's scripts."""
    return sum(file.stat().st_size for file in (browsers.EXTENSION / "static").glob("*.js"))


def main() -> None:
    """Measure, and print."""
    if browsers.CHROMIUM is None or not browsers.EXTENSION.exists():
        print("There is no Chromium, or the extension is not built: the browser is left out.")
        return
    rounds = QUICK if "--quick" in sys.argv else ROUNDS
    table = measure.Table()
    with places.folder() as home, _running(home) as (browser, lab, url):
        facts = places.facts(home)
        own = ours(browser, lab)
        few = jupysql(browser, lab, url, LIMIT, f"{LIMIT:,} rows shown")
        results(table, own, few, jupysql(browser, lab, url, 0, "all rows shown"), rounds)
        scrolled(table, own)
        slider(table, browser, lab, rounds)
        typing(table, browser, lab, rounds)
    for name, fact in facts.items():
        print(f"{name:12} {fact}")
    print(f"\n{table.text()}\nscripts of the extension: {bundle() / 1024:.0f} KiB")


@contextlib.contextmanager
def _running(home: pathlib.Path) -> Iterator[tuple[Browser, browsers.Lab, str]]:
    """A browser, a JupyterLab, and where a server without pgcellar is."""
    with contextlib.ExitStack() as stack:
        cli = stack.enter_context(services.command_line(home))
        # A loop of its own, which is not running while Playwright has its.
        loop = stack.enter_context(asyncio.Runner())
        plain = places.plain(home / "plain", home / "sockets")
        server = loop.run(plain.__aenter__())
        stack.callback(lambda: loop.run(plain.__aexit__(None, None, None)))
        stack.enter_context(kernels.prepared(home / "jupyter"))
        cli.run(["select 1"])
        lab = stack.enter_context(browsers.jupyter_lab(cli))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=browsers.CHROMIUM, args=list(browsers.OPTIONS)
        )
        stack.callback(browser.close)
        yield browser, lab, server.url


def _front(browser: Browser) -> browsers.Front:
    return browsers.Front(browser.new_page(viewport={"width": 1400, "height": 900}))


if __name__ == "__main__":
    main()
