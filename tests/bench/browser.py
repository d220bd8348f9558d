"""From Shift-Enter to the painted result, in a browser: `python -m tests.bench.browser`.

Painted is when the grid is there and the browser has had two frames since.
"""

from __future__ import annotations

import os
import pathlib
import statistics
import tempfile
from collections.abc import Iterator, Sequence

from playwright.sync_api import sync_playwright
from tests import fixtures_browser as browsers
from tests import fixtures_service as services

RESULTS = "a result in JupyterLab, from Shift-Enter to painted"
ROUNDS = 7
#: Each round another text, so that nothing is remembered of the one before.
CELLS = {
    "select 1": "select 1 as a, {n} as n",
    "10,000 rows": "select g, md5((g + {n})::text) as name from generate_series(1, 10000) g",
    "1,000,000 rows": "select g, md5((g + {n})::text) as name from generate_series(1, 1000000) g",
}
#: Waits for the next grid of the cell, from the next time that the Enter key is pressed.
_WATCH = """
() => {
  const cell = document.querySelector('.jp-Notebook-cell');
  const before = cell.querySelector('.pgc-Result');
  window.painted = new Promise(resolve => {
    let begin = 0;
    document.addEventListener('keydown', event => {
      if (event.key === 'Enter') begin = begin || performance.now();
    }, true);
    const look = () => {
      const now = cell.querySelector('.pgc-Result .pgc-Footer-about');
      if (now && now.closest('.pgc-Result') !== before) {
        observer.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(
          () => resolve(performance.now() - begin)));
      }
    };
    const observer = new MutationObserver(look);
    observer.observe(cell, { childList: true, subtree: true });
  });
}
"""
#: The same for a row that is scrolled to.
_SCROLL = """
() => {
  const begin = performance.now();
  const before = document.querySelector('.pgc-Result [role=gridcell]').textContent;
  window.painted = new Promise(resolve => {
    const look = () => {
      const cell = document.querySelector('.pgc-Result [role=gridcell]');
      if (cell.getAttribute('aria-busy') === 'false' && cell.textContent !== before) {
        requestAnimationFrame(() => resolve(performance.now() - begin));
      } else {
        requestAnimationFrame(look);
      }
    };
    requestAnimationFrame(look);
  });
}
"""


def bundle() -> int:
    """Bytes of the extension's scripts."""
    return sum(file.stat().st_size for file in (browsers.EXTENSION / "static").glob("*.js"))


def measured(front: browsers.Front, lab: browsers.Lab) -> Iterator[tuple[str, Sequence[float]]]:
    """What was measured, and the times in ms."""
    front.open(lab.notebook("bench.ipynb", ["select 0 as a"]))
    front.run(1)
    front.wait_ran(1)
    for name, source in CELLS.items():
        took = []
        for number in range(ROUNDS):
            front.type(1, source.format(n=number))
            front.page.wait_for_timeout(500)
            front.page.evaluate(_WATCH)
            front.page.keyboard.press("Shift+Enter")
            took.append(front.page.evaluate("window.painted"))
            front.idle()
        yield name, took[1:]
    front.wait_ran(1)
    grid = front.cell(1).get_by_role("grid")
    grid.focus()
    front.page.keyboard.press("ArrowDown")
    for name, key in (
        ("its last row, for which the cell runs again", "Control+End"),
        ("its first row after that, from pages", "Control+Home"),
    ):
        front.page.evaluate(_SCROLL)
        front.page.keyboard.press(key)
        yield name, [front.page.evaluate("window.painted")]


def main() -> None:
    """Measure, and print."""
    if browsers.CHROMIUM is None or not browsers.EXTENSION.exists():
        print("There is no Chromium, or the extension is not built: the browser is left out.")
        return
    print(RESULTS)
    with (
        tempfile.TemporaryDirectory(prefix="cellar-") as folder,
        services.command_line(pathlib.Path(folder)) as cli,
        sync_playwright() as playwright,
    ):
        # The servers' account, where this runs as root, must pass.
        pathlib.Path(folder).chmod(0o755)
        prefix = pathlib.Path(folder) / "prefix"
        cli("kernelspec", "install", "--prefix", str(prefix))
        os.environ["JUPYTER_PATH"] = str(prefix / "share" / "jupyter")
        cli.run(["select 1"])
        with browsers.jupyter_lab(cli) as lab:
            browser = playwright.chromium.launch(
                executable_path=browsers.CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            for name, took in measured(browsers.Front(page), lab):
                print(f"  {name:45}  {statistics.median(took):5.0f} ms, {len(took)} times")
            browser.close()
    print(f"scripts of the extension: {bundle() / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
