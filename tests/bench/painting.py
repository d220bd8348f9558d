"""Watches a page of JupyterLab until what was asked for is painted: scripts for the browser.

Painted is when it is there as it will stay and the browser has had two frames since. The clock is
the browser's own.
"""

from __future__ import annotations

#: Waits for the next output of a notebook's second cell, from when Enter is pressed next.
_WATCH = """
() => {
  const cell = document.querySelectorAll('.jp-Notebook-cell')[1];
  const shown = () => [...cell.querySelectorAll('$outputs')];
  const before = new Set(shown());
  window.painted = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('Nothing was painted.')), 120000);
    let begin = 0;
    document.addEventListener('keydown', event => {
      if (event.key === 'Enter') begin = begin || performance.now();
    }, { capture: true });
    const look = () => {
      if (shown().some(output => !before.has(output) && output.querySelector('$there'))) {
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


def watch(outputs: str, there: str) -> str:
    """Waits for a result: `outputs` selects those of the cell, `there` what comes last in one."""
    return _WATCH.replace("$outputs", outputs).replace("$there", there)


#: A grid of ours, whose footer comes last; and a table of HTML, as JupySQL shows a result.
GRID = watch(".pgc-Result", ".pgc-Footer-about")
TABLE = watch(".jp-RenderedHTMLCommon", "table td")
#: Waits for the grid that takes the place of the one there is, from the next key.
MOVE = watch(".pgc-Result", ".pgc-Footer-about").replace(
    "if (event.key === 'Enter') begin", "begin"
)
#: Waits for another value in the grid's active cell, from now.
SCROLL = """
() => {
  const begin = performance.now();
  const active = document.querySelectorAll('.jp-Notebook-cell')[1].querySelector('[role=gridcell]');
  const before = active.textContent;
  window.painted = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('Nothing was painted.')), 120000);
    const look = () => {
      if (active.getAttribute('aria-busy') === 'false' && active.textContent !== before) {
        requestAnimationFrame(() => resolve(performance.now() - begin));
      } else {
        requestAnimationFrame(look);
      }
    };
    requestAnimationFrame(look);
  });
}
"""
PAINTED = "window.painted"
