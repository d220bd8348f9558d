"""Results and errors as a person sees them: psql's aligned text, safe HTML, JSON. Pure."""

from __future__ import annotations

import dataclasses
import html
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pgcellar.api import charts, printing, records
from pgcellar.api.plans import bundles, reading
from pgcellar.notebook import showing

MIME = "application/vnd.pgcellar.result+json"

#: Types that psql aligns to the right.
_NUMERIC = frozenset(
    {"smallint", "integer", "bigint", "numeric", "real", "double precision", "money", "oid",
     "xid", "cid", "xid8"}
)  # fmt: skip
#: psql shortens the line of an error to about a terminal's width, around the position.
_LINE_WIDTH = 60
_MIN_RIGHT = 10
#: Characters looked at on either side of the position: a cell may be one line of megabytes.
_WINDOW = 1_000
#: Rows of the table that stands in for a chart.
_BESIDE_CHART = 100
_LINE_BREAK = re.compile(r"\r\n?|\n")

_TABLE = (
    '<div style="max-height:480px;overflow:auto">'
    '<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">'
)
_HEAD = (
    '<th style="text-align:{align};padding:2px 8px;border-bottom:1px solid #888" title="{type}">'
    "{name}</th>"
)
_CELL = '<td style="text-align:{align};padding:2px 8px;white-space:pre-wrap">{value}</td>'
_BELOW = '<div style="opacity:.7">{text}</div>'
_NULL = '<span style="opacity:.5;font-style:italic">NULL</span>'


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One statement's result: rows where it returns any, else its command tag alone.

    With an `offset` they are a page of all its rows. `statement` is its number in its cell, from 0
    on.
    """

    command: str
    columns: tuple[records.Column, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    row_count: int | None = None
    truncated: bool = False
    ms: float = 0.0
    notices: tuple[records.Notice | records.Text, ...] = ()
    tabular: bool = False
    expanded: bool = False
    offset: int | None = None
    explain: showing.Explain | None = None
    chart: showing.Chart | None = None
    statement: int = 0


class Results:
    """Gathers the events of a run into results, one per statement."""

    def __init__(self) -> None:
        self._columns: tuple[records.Column, ...] | None = None
        self._rows: list[tuple[str | None, ...]] = []
        self._notices: list[records.Notice | records.Text] = []
        self._results: list[Result] = []

    def take(self, event: records.Event) -> Result | None:
        """Take one event; the result it completes, if it does."""
        if isinstance(event, records.Columns):
            self._columns = event.columns
        elif isinstance(event, records.Rows):
            self._rows += event.rows
        elif isinstance(event, records.Notice | records.Text):
            self._notices.append(event)
        elif isinstance(event, records.Completed):
            result = Result(
                command=event.command,
                columns=self._columns or (),
                rows=tuple(self._rows),
                row_count=event.row_count,
                truncated=event.truncated,
                ms=event.ms,
                notices=tuple(self._notices),
                tabular=self._columns is not None,
                expanded=event.expanded,
                explain=event.explain,
                chart=event.chart,
                statement=event.statement,
            )
            self._columns, self._rows, self._notices = None, [], []
            self._results.append(result)
            return result
        return None

    def results(self) -> list[Result]:
        """Every result so far; notices that no result followed make one of their own."""
        if self._notices:
            return [*self._results, Result(command="", notices=tuple(self._notices))]
        return list(self._results)


def mime_bundle(result: Result) -> dict[str, Any]:
    """The result for every front end: text, HTML where there are rows, and JSON.

    A plan is shown as one. A chart comes with text alone beside it: JupyterLab prefers HTML to it.
    """
    special = _special(result)
    if special is not None:
        return special
    bundle: dict[str, Any] = {"text/plain": as_text(result)}
    if result.tabular and not result.expanded:
        bundle["text/html"] = as_html(result)
    bundle[MIME] = as_json(result)
    return bundle


def plan_of(result: Result) -> dict[str, Any] | None:
    """The bundle of a result that is a plan; None if it is none, or one that can't be read."""
    if result.explain is None or len(result.rows) != 1 or len(result.rows[0]) != 1:
        return None
    try:
        return bundles.of(result.rows[0][0] or "", result.explain)
    except reading.Unreadable:
        return None


def chart_of(result: Result) -> dict[str, Any] | None:
    """The specification of a result that is to be drawn; None if it can't be."""
    if result.chart is None or not result.tabular:
        return None
    try:
        return charts.chart(result.columns, result.rows, result.chart, row_count=result.row_count)
    except charts.Unfit:
        return None


def _special(result: Result) -> dict[str, Any] | None:
    plan = plan_of(result)
    if plan is not None:
        return plan
    drawn = chart_of(result)
    if drawn is None:
        return None
    return {"text/plain": as_text(_first(result)), charts.MIME: drawn}


def _first(result: Result) -> Result:
    """What stands in for a chart where none can be shown."""
    if len(result.rows) <= _BESIDE_CHART:
        return result
    return dataclasses.replace(result, rows=result.rows[:_BESIDE_CHART], truncated=True)


def as_json(result: Result) -> dict[str, Any]:
    """The result as `application/vnd.pgcellar.result+json`."""
    return {
        "command": result.command,
        "columns": [records.to_json(column) for column in result.columns],
        "rows": [list(row) for row in result.rows],
        "row_count": result.row_count,
        "truncated": result.truncated,
        "ms": result.ms,
        "statement": result.statement,
    }


# --- text ------------------------------------------------------------------------------------


def as_text(result: Result) -> str:
    """The result as psql prints it in its aligned format; a command without rows as its tag, and a
    plan as a tree.
    """
    plan = plan_of(result)
    if plan is not None:
        text: str = plan["text/plain"]
        return text
    if not result.tabular:
        return result.command
    if not result.columns:
        return f"--\n{_footer(result)}"
    if result.expanded:
        return _expanded(result)
    names = [printing.lines(column.name) for column in result.columns]
    rows = [[printing.lines(value or "") for value in row] for row in result.rows]
    right = [_right(column) for column in result.columns]
    widths = [
        max(printing.width(line) for cell in (names[i], *(row[i] for row in rows)) for line in cell)
        for i in range(len(names))
    ]
    out = [*_row(names, widths, [None] * len(names))]
    out.append("+".join("-" * (width + 2) for width in widths))
    for row in rows:
        out += _row(row, widths, right)
    if result.command.startswith(("INSERT", "UPDATE", "DELETE", "MERGE")):
        return "\n".join([*out, _footer(result), "", result.command])
    return "\n".join([*out, *_counted(result)])


def _expanded(result: Result) -> str:
    """The rows one below the other, as psql shows them after \\x."""
    names = [printing.lines(column.name) for column in result.columns]
    left = max(printing.width(line) for name in names for line in name)
    out: list[str] = []
    right = max(
        (
            printing.width(line)
            for row in result.rows
            for value in row
            for line in printing.lines(value or "")
        ),
        default=0,
    )
    for number, row in enumerate(result.rows, start=1):
        title = f"-[ RECORD {number} ]"
        rule = f"{'-' * (left + 1)}+{'-' * (right + 1)}"
        out.append(
            title + rule[len(title) :] if len(title) <= left + 1 else title.ljust(len(rule), "-")
        )
        for name, value in zip(names, row, strict=True):
            for index, line in enumerate(printing.lines(value or "")):
                shown = name[index] if index < len(name) else ""
                out.append(f"{shown}{' ' * (left - printing.width(shown))} | {line}")
    return "\n".join([*out, *_counted(result)])


def _row(
    cells: Sequence[list[str]], widths: Sequence[int], right: Sequence[bool | None]
) -> Iterable[str]:
    """One row, of as many lines as its tallest cell has; `+` says that a value goes on below."""
    for number in range(max(len(cell) for cell in cells)):
        parts = []
        for index, cell in enumerate(cells):
            # The last column is not filled up, except in the header, whose names are centered.
            bare = index == len(cells) - 1 and right[index] is not None
            if number < len(cell):
                more = number < len(cell) - 1
                text = _pad(cell[number], widths[index], right[index], bare=bare and not more)
                parts.append(text + ("+" if more else "" if bare else " "))
            else:
                parts.append("" if bare else " " * (widths[index] + 1))
        yield " " + "| ".join(parts)


def _pad(text: str, width: int, right: bool | None, *, bare: bool) -> str:
    space = width - printing.width(text)
    if right is None:
        left = space // 2
        return " " * left + text + " " * (space - left)
    if right:
        return " " * space + text
    return text if bare else text + " " * space


def _counted(result: Result) -> list[str]:
    """The line that counts the rows, where they are counted."""
    return [] if result.row_count is None else [_footer(result)]


def _footer(result: Result) -> str:
    shown = len(result.rows)
    count = shown if result.row_count is None else result.row_count
    if result.offset is not None:
        return f"({count} rows; rows {result.offset + 1} to {result.offset + shown} are shown)"
    if result.truncated:
        return f"({count} rows; the first {shown} are shown)"
    return "(1 row)" if count == 1 else f"({count} rows)"


def _right(column: records.Column) -> bool:
    return column.type.partition("(")[0] in _NUMERIC


# --- HTML ------------------------------------------------------------------------------------


def as_html(result: Result) -> str:
    """The rows as a table; every name and value is escaped."""
    aligns = ["right" if _right(column) else "left" for column in result.columns]
    head = "".join(
        _HEAD.format(
            align=align, type=html.escape(column.type), name=html.escape(column.name) or "&nbsp;"
        )
        for column, align in zip(result.columns, aligns, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            _CELL.format(align=align, value=_NULL if value is None else html.escape(value))
            for value, align in zip(row, aligns, strict=True)
        )
        + "</tr>"
        for row in result.rows
    )
    below = "".join(_BELOW.format(text=html.escape(line)) for line in _counted(result))
    return f"{_TABLE}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{below}"


# --- errors and notices ----------------------------------------------------------------------


def render_error(error: records.SqlError, source: str) -> str:
    """The error in the manner of psql; `source` is that of the cell it names."""
    out = [f"{error.severity}:  {error.sqlstate}: {printing.printable(error.message)}"]
    for text, position in ((source, error.position), (error.query, error.query_position)):
        if text is not None and position is not None and 0 < position <= len(text) + 1:
            out += _excerpt(text, position - 1)
    for label, text in (
        ("DETAIL", error.detail),
        ("HINT", error.hint),
        ("QUERY", error.query),
        ("CONTEXT", error.context),
    ):
        if text:
            out.append(f"{label}:  {printing.printable(text)}")
    return "\n".join(out)


def render_notice(notice: records.Notice | records.Text) -> str:
    """The notice in the manner of psql; text as it is."""
    if isinstance(notice, records.Text):
        return printing.printable(notice.text.removesuffix("\n"))
    out = [f"{notice.severity}:  {printing.printable(notice.message)}"]
    if notice.detail:
        out.append(f"DETAIL:  {printing.printable(notice.detail)}")
    if notice.hint:
        out.append(f"HINT:  {printing.printable(notice.hint)}")
    return "\n".join(out)


def _excerpt(source: str, offset: int) -> list[str]:
    """The line of an offset, shortened around it as libpq does, and a caret under it."""
    breaks = list(_LINE_BREAK.finditer(source, 0, offset))
    begin = breaks[-1].end() if breaks else 0
    following = _LINE_BREAK.search(source, offset)
    end = following.start() if following else len(source)
    low, high = max(begin, offset - _WINDOW), min(end, offset + _WINDOW)
    # libpq shows a tab in an error as one space.
    line = [printing.visible(" " if c == "\t" else c) for c in source[low:high]]
    columns = list(itertools.accumulate(map(printing.width, line), initial=0))
    at, first, last = offset - low, 0, len(line)
    if columns[last] > _LINE_WIDTH:
        if columns[at] + _MIN_RIGHT <= _LINE_WIDTH:
            while columns[last] > _LINE_WIDTH:
                last -= 1
        else:
            while columns[last] > columns[at] + _MIN_RIGHT:
                last -= 1
            while columns[last] - columns[first] > _LINE_WIDTH:
                first += 1
    label = f"LINE {len(breaks) + 1}: {'...' if low + first > begin else ''}"
    after = "..." if low + last < end else ""
    caret = len(label) + columns[at] - columns[first]
    return [f"{label}{''.join(line[first:last])}{after}", " " * caret + "^"]
