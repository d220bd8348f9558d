"""How a result is to be shown where it is not as a table: as a plan, or as a chart.

What a cell says of it (see `endings`) and what is sent are one and the same. It changes nothing
but what is seen.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

ChartKind = Literal["area", "bar", "heatmap", "histogram", "line", "pie", "point"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Explain:
    """The one value of a result is a plan as JSON: that of `query`, asked for with `options`."""

    query: str
    options: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """The rows of a result are to be drawn.

    `x`, `y` and `color` name columns. Without `x` it is the first, without `y` those that are
    numbers. `color` tells series apart where there is one `y`; several are series themselves.
    """

    kind: ChartKind
    x: str | None = None
    y: tuple[str, ...] = ()
    color: str | None = None
    title: str | None = None
