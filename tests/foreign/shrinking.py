"""The fewest cells that still show a difference."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

from tests.foreign import screening, ways

Shows = Callable[[Sequence[str]], bool]


def shrunk(made: ways.Ways, difference: ways.Difference, seconds: float) -> ways.Difference:
    """The difference with cells left out while it stays; as it is, if it does not come again.

    Tried is the last cell alone, then every cell as head in order; `way` says which shows it.
    """
    deadline = time.monotonic() + seconds
    for way, every in (("last cell alone", False), ("every cell in order", True)):

        def shows(cells: Sequence[str], every: bool = every) -> bool:
            return made.shows(cells, difference.aspect, every=every)

        if not shows(difference.cells):
            continue
        pieces = _pieces(difference.cells)
        cells = pieces if shows(pieces) else list(difference.cells)
        least = _least(cells, shows, deadline)
        return dataclasses.replace(
            difference, cells=tuple(least), way=f"{difference.way}; {way}, shrunk"
        )
    return dataclasses.replace(difference, way=f"{difference.way}; did not come again")


def _pieces(cells: Sequence[str]) -> list[str]:
    """Cells of one piece each."""
    return [text for cell in cells for text in screening.texts(cell) or [cell]]


def _least(cells: list[str], shows: Shows, deadline: float) -> list[str]:
    """Leave out ever smaller parts of the tail."""
    size = max(1, (len(cells) - 1) // 2)
    while True:
        at = 0
        while at < len(cells) - 1:
            if time.monotonic() > deadline:
                return cells
            fewer = cells[:at] + cells[min(at + size, len(cells) - 1) :]
            if shows(fewer):
                cells = fewer
            else:
                at += size
        if size == 1:
            return cells
        size //= 2
