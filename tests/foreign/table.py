"""The table by file, and the same as data."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable
from typing import Any

from tests.foreign import ways

_COLUMNS = ("file", "cells", "heads", "same", "differs", "refused", "not comparable", "s")
_WIDTH = 36


@dataclasses.dataclass(kw_only=True)
class Row:
    """One file. `trouble` says why it could not be run, or not to its end."""

    file: str
    cells: int = 0
    seconds: float = 0.0
    tally: ways.Tally = dataclasses.field(default_factory=ways.Tally)
    left_out: dict[str, int] = dataclasses.field(default_factory=dict)
    trouble: str | None = None

    def line(self) -> str:
        """The row as printed."""
        tally = self.tally
        numbers = (
            self.cells,
            tally.heads,
            tally.same,
            len(tally.differences),
            tally.refused.total(),
        )
        excused = ", ".join(f"{n} {reason}" for reason, n in tally.excused.most_common()) or "-"
        columns = " ".join(f"{number:7}" for number in numbers)
        line = f"{self.file[:_WIDTH]:{_WIDTH}} {columns}  {self.seconds:6.1f}  {excused}"
        if self.trouble:
            line += f"\n    {self.trouble}"
        for difference in tally.differences[:3]:
            line += f"\n    {difference.way}: {difference.aspect}: {difference.detail[:300]}"
        return line


def header() -> str:
    """The names of the columns."""
    file, *numbers, excused, seconds = _COLUMNS
    columns = " ".join(f"{name:>7}" for name in numbers)
    return f"{file:{_WIDTH}} {columns}  {seconds:>6}  {excused}"


def summary(rows: list[Row]) -> str:
    """Totals, and how often each refusal was met."""
    total = Row(
        file=f"all {len(rows)}",
        cells=sum(row.cells for row in rows),
        seconds=sum(row.seconds for row in rows),
    )
    for row in rows:
        total.tally.add(row.tally)
    left_out = _sum(row.left_out for row in rows)
    lines = ["", total.line().split("\n")[0], "", "Refused:"]
    lines += [f"{count:7}  {text}" for text, count in total.tally.refused.most_common()]
    lines += ["", "Left out of the notebooks:"]
    lines += [f"{count:7}  {text}" for text, count in left_out.most_common()]
    return "\n".join(lines)


def data(rows: list[Row]) -> list[dict[str, Any]]:
    """The rows as JSON values."""
    return [
        {
            "file": row.file,
            "cells": row.cells,
            "heads": row.tally.heads,
            "same": row.tally.same,
            "differs": [dataclasses.asdict(found) for found in row.tally.differences],
            "refused": dict(row.tally.refused),
            "not_comparable": dict(row.tally.excused),
            "examples": row.tally.examples,
            "left_out": row.left_out,
            "trouble": row.trouble,
            "seconds": round(row.seconds, 1),
        }
        for row in rows
    ]


def _sum(counts: Iterable[dict[str, int]]) -> collections.Counter[str]:
    total: collections.Counter[str] = collections.Counter()
    for count in counts:
        total.update(count)
    return total
