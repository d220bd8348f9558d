"""Rows as a chart: a Vega-Lite specification with its data in it. Pure.

Nothing that a database holds becomes a part of the specification but as a string that is drawn:
the fields of the data have names of ours (`x`, `y`, `color`), and titles are cleaned of what
Vega-Lite would make an expression of (see `label`).
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from pgcellar.api import records
from pgcellar.notebook import showing

#: What JupyterLab 4 renders by itself; it ships Vega-Lite 5.6 and knows no later type.
MIME = "application/vnd.vegalite.v5+json"
#: Points of one chart: more than a person tells apart, few enough that a notebook stays small.
MAX_POINTS = 5_000
#: Characters of a value that is drawn beside an axis or in a legend.
MAX_LABEL = 200

Row = tuple[str | None, ...]
Kind = Literal["quantitative", "temporal", "nominal"]

_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_NUMBERS = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"})
_TIMES = frozenset({"date", "timestamp without time zone", "timestamp with time zone"})
_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?: (?P<time>\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:[+-]\d\d(?::\d\d){0,2})?)?\Z"
)
#: Keys that a tooltip takes for something other than a name: an image is fetched.
_TAKEN = frozenset({"image", "title", "__proto__"})
_WIDTH, _HEIGHT = 560, 320
#: Characters that have room beside one another below an axis.
_FEW = 80
_MARKS = {
    "area": {"type": "area", "line": True, "opacity": 0.6},
    "bar": {"type": "bar"},
    "heatmap": {"type": "rect"},
    "histogram": {"type": "bar"},
    "line": {"type": "line", "point": {"size": 18}},
    "pie": {"type": "arc"},
    "point": {"type": "point", "filled": True, "opacity": 0.7},
}
#: Kinds whose `y` measures something.
_MEASURING = frozenset({"area", "bar", "line", "pie"})


class Unfit(Exception):
    """The rows can't be drawn so; `message` and `hint` say why, and what there is."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """The numbers of the columns that a chart draws."""

    x: int
    y: tuple[int, ...]
    color: int | None


def chart(
    columns: Sequence[records.Column],
    rows: Sequence[Row],
    spec: showing.Chart,
    *,
    row_count: int | None = None,
) -> dict[str, Any]:
    """The rows as a Vega-Lite 5 specification; `row_count` is how many rows there are in all.

    Of too many rows the first are drawn, and it is said so below the title. Raises Unfit.
    """
    found = resolve(columns, spec)
    kept = rows[: MAX_POINTS // max(1, len(found.y))]
    drawn = _Drawn(columns=columns, rows=kept, spec=spec, found=found)
    count = len(rows) if row_count is None else max(row_count, len(rows))
    made: dict[str, Any] = {
        "$schema": _SCHEMA,
        "width": _HEIGHT if spec.kind == "pie" else _WIDTH,
        "height": _HEIGHT,
        "data": {"values": drawn.values()},
        "mark": _MARKS[spec.kind],
        "encoding": drawn.encoding(),
    }
    title = {
        **({"text": label(spec.title)} if spec.title else {}),
        **({"subtitle": f"The first {len(kept):,} of {count:,} rows"} if count > len(kept) else {}),
    }
    if title:
        made["title"] = {"text": "", **title, "anchor": "start"}
    return made


def resolve(columns: Sequence[records.Column], spec: showing.Chart) -> Resolved:
    """The columns that a chart draws. Raises Unfit, naming the columns there are."""
    if spec.kind not in _MARKS:
        raise Unfit(f'"{spec.kind}" is no kind of chart.', f"There are {', '.join(_MARKS)}.")
    if not columns:
        raise Unfit("There are no columns to draw.", "End a query with \\chart.")
    if spec.color is not None and len(spec.y) > 1:
        raise Unfit("Several columns as y have no color.", "Take one y, or no color.")
    x = 0 if spec.x is None else _find(columns, spec.x)
    color = None if spec.color is None else _find(columns, spec.color)
    if spec.kind == "histogram":
        if kind(columns[x]) == "nominal":
            raise Unfit(
                f'A histogram is of numbers or times; "{columns[x].name}" is {columns[x].type}.',
                _listed(columns),
            )
        return Resolved(x=x, y=(), color=color)
    y = tuple(_find(columns, name) for name in spec.y)
    if spec.kind == "heatmap":
        return _heatmap(columns, x, y, color)
    if not y:
        y = tuple(
            i for i, c in enumerate(columns) if i not in (x, color) and kind(c) == "quantitative"
        )
        # Series have colors; so has, or is, what else one column is for.
        y = y[:1] if color is not None or spec.kind == "pie" else y
    if not y:
        raise Unfit("No column with numbers is left for y.", _listed(columns))
    if len(y) > 1 and spec.kind == "pie":
        raise Unfit("A pie has one column as y.", _listed(columns))
    for i in y:
        if spec.kind in _MEASURING and kind(columns[i]) != "quantitative":
            raise Unfit(
                f'"{columns[i].name}" is {columns[i].type}, and y has to be a number.',
                _listed(columns),
            )
    return Resolved(x=x, y=y, color=color)


def _heatmap(
    columns: Sequence[records.Column], x: int, y: tuple[int, ...], color: int | None
) -> Resolved:
    """Two columns that say where, and one of numbers that says how much."""
    if len(y) > 1:
        raise Unfit("A heatmap has one column as y.", _listed(columns))
    others = [i for i in range(len(columns)) if i not in (x, color, *y)]
    numbers = [i for i in others if kind(columns[i]) == "quantitative"]
    if color is None and numbers:
        color = numbers[-1]
    if not y:
        y = tuple(i for i in others if i != color)[:1]
    if not y or color is None or kind(columns[color]) != "quantitative":
        raise Unfit("A heatmap has three columns: x, y, and a number as color.", _listed(columns))
    return Resolved(x=x, y=y, color=color)


def kind(column: records.Column) -> Kind:
    """What Vega-Lite calls the type of a column."""
    # timestamp(3) with time zone, numeric(10,2)
    name = re.sub(r"\(.*?\)", "", column.type)
    if name in _NUMBERS:
        return "quantitative"
    return "temporal" if name in _TIMES else "nominal"


def label(text: str) -> str:
    """A text as a title.

    Vega-Lite makes titles the keys of an expression, for the tooltip, and escapes quotes but no
    backslash: a column named `\\` and a quote would go on as code. So there are neither, nor what
    ends a line; and no key that a tooltip gives a meaning of its own.
    """
    clean = "".join(_REPLACED.get(c, c if c.isprintable() else " ") for c in text[:MAX_LABEL])
    return f"column {clean}" if clean.strip().lower() in _TAKEN else clean


_REPLACED = {"\\": "\u2216", '"': "\u201d", "\u2028": " ", "\u2029": " "}


def _find(columns: Sequence[records.Column], name: str) -> int:
    """The column of a name, else of the name as PostgreSQL folds it."""
    names = [column.name for column in columns]
    for wanted in (name, name.lower()):
        if wanted in names:
            return names.index(wanted)
    raise Unfit(f'There is no column "{name[:MAX_LABEL]}" in the result.', _listed(columns))


def _listed(columns: Sequence[records.Column]) -> str:
    names = [f"{column.name[:63]} ({column.type})" for column in columns[:20]]
    more = ", …" if len(columns) > len(names) else ""
    return f"There are: {', '.join(names)}{more}."


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Drawn:
    """The parts of one chart."""

    columns: Sequence[records.Column]
    rows: Sequence[Row]
    spec: showing.Chart
    found: Resolved

    def values(self) -> list[dict[str, Any]]:
        """The data: an object a point. Several columns as `y` become one with a color each."""
        found = self.found
        get_x = self._getter(found.x)
        if not found.y:
            get = None if found.color is None else self._getter(found.color)
            return [
                {"x": get_x(row), **({} if get is None else {"color": get(row)})}
                for row in self.rows
            ]
        if len(found.y) > 1:
            series = [(label(self.columns[i].name), self._getter(i)) for i in found.y]
            return [
                {"x": get_x(row), "y": get(row), "color": name}
                for row in self.rows
                for name, get in series
            ]
        get_y = self._getter(found.y[0])
        if found.color is None:
            return [{"x": get_x(row), "y": get_y(row)} for row in self.rows]
        get_color = self._getter(found.color)
        return [{"x": get_x(row), "y": get_y(row), "color": get_color(row)} for row in self.rows]

    def encoding(self) -> dict[str, Any]:
        """Which part of the data is drawn how."""
        kind_, found = self.spec.kind, self.found
        if kind_ == "histogram":
            x = {**self._channel("x", found.x), "bin": {"maxbins": 30}}
            y: dict[str, Any] = {"aggregate": "count", "type": "quantitative", "title": "rows"}
            made = {"x": x, "y": y, **self._colored()}
            return {**made, "tooltip": [x, y]}
        x, y = self._channel("x", found.x), self._channel("y", found.y[0])
        if len(found.y) > 1:
            y["title"] = "value"
        colored = self._colored()
        tips = [self._tip(x), self._tip(y), *map(self._tip, colored.values())]
        if kind_ == "pie":
            return {
                "theta": y,
                "color": {**x, "type": "nominal", "sort": None},
                "tooltip": tips[:2],
            }
        if len(found.y) > 1 and kind_ == "bar":
            # Beside one another: what several columns count need not add up.
            colored["xOffset"] = {"field": "color", "type": "nominal", "sort": None}
        if kind_ == "area" and len(found.y) > 1:
            y["stack"] = None
        return {"x": x, "y": y, **colored, "tooltip": tips}

    def _colored(self) -> dict[str, Any]:
        found = self.found
        if found.color is None and len(found.y) < 2:
            return {}
        if found.color is None:
            return {"color": {"field": "color", "type": "nominal", "title": None, "sort": None}}
        return {"color": self._channel("color", found.color)}

    def _channel(self, field: str, index: int) -> dict[str, Any]:
        kind_ = self._kind(index)
        made: dict[str, Any] = {
            "field": field,
            "type": kind_,
            "title": label(self.columns[index].name),
        }
        if kind_ == "nominal":
            # The order is the query's.
            made["sort"] = None
            if field == "x" and self.spec.kind != "pie":
                made["axis"] = {"labelOverlap": True, "labelAngle": self._angle(index)}
        elif kind_ == "temporal":
            # As the table shows it, whatever the reader's time zone makes of it.
            made["scale"] = {"type": "utc"}
        return made

    def _angle(self, index: int) -> int:
        """How the labels of an axis of places are turned: not at all where there is room."""
        texts = {row[index] or "" for row in self.rows[:_FEW]}
        fits = len(texts) * max(map(len, texts), default=0) <= _FEW
        return 0 if fits and len(self.rows) <= _FEW else -40

    def _tip(self, channel: dict[str, Any]) -> dict[str, Any]:
        made = {name: channel[name] for name in ("field", "type", "title")}
        made["title"] = made["title"] or "series"
        if made["type"] == "temporal":
            # By its unit Vega-Lite knows that the time is UTC's.
            made["timeUnit"] = "utcyearmonthdatehoursminutesseconds"
            made["format"] = "%Y-%m-%d %H:%M:%S"
        return made

    def _kind(self, index: int) -> Kind:
        found = kind(self.columns[index])
        if found == "temporal" and not self._readable(index):
            return "nominal"
        # These have a place for each value, not an axis.
        placed: tuple[int, ...] = ()
        if self.spec.kind in ("bar", "pie"):
            placed = (self.found.x,)
        elif self.spec.kind == "heatmap":
            placed = (self.found.x, *self.found.y)
        return "nominal" if index in placed else found

    def _readable(self, index: int) -> bool:
        """Whether all times of a column are written in ISO's way, as DateStyle decides."""
        return all(
            row[index] is None or _TIME.match(row[index] or "") or "infinity" in (row[index] or "")
            for row in self.rows
        )

    def _getter(self, index: int) -> Callable[[Row], Any]:
        convert = {"quantitative": _number, "temporal": _time, "nominal": _text}[self._kind(index)]
        return lambda row: None if row[index] is None else convert(row[index] or "")


def _number(text: str) -> float | int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _time(text: str) -> str | None:
    """A moment as Vega takes it; the wall's time stands for UTC's, which has no gaps."""
    match = _TIME.match(text)
    return None if match is None else f"{match['day']}T{match['time'] or '00:00:00'}Z"


def _text(text: str) -> str:
    return text if len(text) <= MAX_LABEL else f"{text[:MAX_LABEL]}…"
