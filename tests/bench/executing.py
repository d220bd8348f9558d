"""`jupyter execute` of the quickstart, twice: what the second saves by the states of the first."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time

import nbformat
from tests.bench import kernels, measure, places

SECTION = "`jupyter execute notebooks/quickstart.ipynb`"
_EMPTY = "`jupyter execute` of a notebook with one cell, `select 1`"
_QUICKSTART = pathlib.Path(__file__).resolve().parents[2] / "notebooks" / "quickstart.ipynb"


async def twice(
    table: measure.Table, home: pathlib.Path, sockets: pathlib.Path, rounds: int
) -> None:
    """On an empty home, the service and its sandbox running, then on the same home again.

    What starting Python, nbclient and a kernel takes shows a notebook with next to nothing in it.
    """
    first: list[float] = []
    later: list[float] = []
    nothing: list[float] = []
    small = home / "small.ipynb"
    home.mkdir()
    _write_small(small)
    for number in range(rounds):
        async with places.service(home / f"home{number}", sockets):
            first.append(_execute(_QUICKSTART))
            later.append(_execute(_QUICKSTART))
            nothing.append(_execute(small))
    once = table.add(SECTION, "the first time", first)
    table.add(SECTION, "the second time", later, against=once)
    table.add(SECTION, _EMPTY, nothing, against=once)


def _execute(notebook: pathlib.Path) -> float:
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", str(notebook)],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    return (time.perf_counter() - begin) * 1000


def _write_small(path: pathlib.Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("select 1")])
    notebook.metadata["kernelspec"] = {"name": kernels.PGCELLAR, "display_name": "", "language": ""}
    nbformat.write(notebook, path)
