"""What was measured, and the one table it is shown in. Pure but for the clock."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Measurements of one thing, in ms. `against` is what it is compared with, by name.

    A ratio is given where `overhead` is False, else the difference of the medians. `aim` says
    what we want of it; nothing is asserted, since machines differ and are busy.
    """

    section: str
    name: str
    samples: tuple[float, ...]
    against: Row | None = None
    overhead: bool = False
    aim: str = ""

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self.samples)

    @property
    def high(self) -> float:
        """What nine of ten stay below."""
        ordered = sorted(self.samples)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.9))]

    @property
    def compared(self) -> float | None:
        """The ratio to, or the difference from, what it is compared with."""
        if self.against is None:
            return None
        if self.overhead:
            return self.median - self.against.median
        return self.median / self.against.median

    def record(self) -> dict[str, Any]:
        """The row as JSON."""
        return {
            "section": self.section,
            "name": self.name,
            "median_ms": round(self.median, 4),
            "p90_ms": round(self.high, 4),
            "against": self.against.name if self.against else None,
            "overhead_ms" if self.overhead else "ratio": self.compared,
            "aim": self.aim or None,
            "samples_ms": [round(sample, 4) for sample in self.samples],
        }


class Table:
    """The rows of one run, in sections."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.skipped: list[str] = []

    def add(
        self,
        section: str,
        name: str,
        samples: Sequence[float],
        *,
        against: Row | None = None,
        overhead: bool = False,
        aim: str = "",
    ) -> Row:
        """Add a row; it may be what others are compared with."""
        row = Row(
            section=section,
            name=name,
            samples=tuple(samples),
            against=against,
            overhead=overhead,
            aim=aim,
        )
        self.rows.append(row)
        return row

    def skip(self, section: str, why: str) -> None:
        """Say that something could not be measured here."""
        self.skipped.append(f"{section}: not measured, {why}")

    def text(self) -> str:
        """The table as text."""
        lines = [_HEAD, *map(_line, self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
        out = [_aligned(_HEAD, widths), rule]
        section = ""
        for row, line in zip(self.rows, lines[1:], strict=True):
            if row.section != section:
                out += [*([""] if section else []), row.section]
                section = row.section
            out.append(_aligned(line, widths))
        return "\n".join([*out, rule, *self.skipped])

    def markdown(self) -> str:
        """The table for a page, a section each."""
        out: list[str] = []
        section = ""
        for row in self.rows:
            if row.section != section:
                section = row.section
                head = (section, *_HEAD[1:])
                out += ["", _cells(head), _cells(["---", *["---:"] * 3, "---", "---"])]
            out.append(_cells(_line(row)))
        return "\n".join([*out, *(f"\n{skipped}." for skipped in self.skipped)]).strip()


_HEAD = ("", "median ms", "90 % below", "n", "compared", "aim")


def _line(row: Row) -> tuple[str, ...]:
    compared = ""
    if row.against is not None and row.compared is not None:
        short = row.against.name.split(":")[0]
        compared = (
            f"{row.compared:+.2f} ms" if row.overhead else f"{_digits(row.compared)} × {short}"
        )
    return (
        f"  {row.name}",
        _digits(row.median),
        _digits(row.high),
        str(len(row.samples)),
        compared,
        row.aim,
    )


def _cells(line: Sequence[str]) -> str:
    inside = (cell.strip().replace("|", "\\|") for cell in line)
    return f"| {' | '.join(inside)} |"


def _digits(number: float) -> str:
    """Three digits or so: what is beyond them is noise."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if 1 <= index <= 3 else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


async def timed(work: Callable[[], Awaitable[Any]]) -> float:
    """What one piece of work takes, in ms."""
    begin = time.perf_counter()
    await work()
    return (time.perf_counter() - begin) * 1000
