"""A plan, and two plans compared, as HTML that needs nothing around it. Pure.

No script and no style sheet, which viewers take out; colors come from JupyterLab's variables where
there are any, and are else such as are seen on a light ground and on a dark one. Every text is
escaped.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

from pgcellar.api.plans import comparing, figures, nodes, text

#: Characters of the JSON that are put into the page; the bundle has all of it beside it.
MAX_JSON = 200_000

_GROUNDS = {
    None: "",
    "yellow": "rgba(234,179,8,.34)",
    "orange": "rgba(249,115,22,.40)",
    "red": "rgba(239,68,68,.45)",
}
_BAR = "rgba(100,116,139,.22)"
_LINE = "1px solid var(--jp-border-color2,rgba(128,128,128,.35))"
_FAINT = "opacity:.65"
_CODE = "font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace)"
_BOX = (
    "font-family:var(--jp-ui-font-family,system-ui,sans-serif);"
    "font-size:var(--jp-ui-font-size1,13px);line-height:1.45;"
    "color:var(--jp-ui-font-color1,inherit);max-width:100%"
)
_TABLE = (
    "border-collapse:collapse;table-layout:auto;margin:0;font-size:inherit;"
    "font-variant-numeric:tabular-nums"
)
_CELL = f"padding:3px 10px;vertical-align:top;border:none;border-bottom:{_LINE};background:none"
_NUMBER = f"{_CELL};text-align:right;white-space:nowrap"
#: As wide as one word, not as all of them: figures shall be seen in a narrow window.
_HEAD = f"{_CELL};text-align:right"
_NODE = f"{_CELL};text-align:left;min-width:12em;overflow-wrap:anywhere"
_INDENT_PX = 18


def render(plan: nodes.Plan, raw: Any, others: Sequence[nodes.Plan] = ()) -> str:
    """The plan as a table of its tree, with PostgreSQL's JSON and the text beside it.

    `others` are the plans of what rules added to the statement.
    """
    plans = [plan, *others]
    printed = json.dumps(raw, indent=2, ensure_ascii=False)
    if len(printed) > MAX_JSON:
        printed = f"{printed[:MAX_JSON]}\n… (what follows is left out here)"
    return _element(
        "div",
        _BOX,
        "".join(map(_one, plans))
        + _folded("As text", "\n\n".join(text.render(each) for each in plans))
        + _folded("PostgreSQL’s JSON", printed),
    )


def comparison(compared: comparing.Comparison) -> str:
    """Two plans beside one another, node by node."""
    before, after = compared.before, compared.after
    timed = before.basis == after.basis == "time"
    member = "exclusive_ms" if timed else "exclusive_cost"
    show = figures.ms if timed else figures.cost
    what = "Self time" if timed else "Self cost"
    rows_member = "total_rows" if before.analyzed and after.analyzed else "expected_rows"
    heads = ["Node", f"{what} before", "after", "change", "Rows before", "after", "Cost before"]
    body = []
    for pair in compared.pairs[: figures.MAX_SHOWN]:
        one, other = pair.before, pair.after
        body.append(
            _row(
                [
                    (_NODE, _paired(pair)),
                    (_NUMBER, html.escape(show(getattr(one, member, None)))),
                    (_NUMBER, html.escape(show(getattr(other, member, None)))),
                    (_ground(_NUMBER, _worse(pair, member, compared)), _change(pair, member)),
                    (_NUMBER, html.escape(figures.count(getattr(one, rows_member, None)))),
                    (_NUMBER, html.escape(figures.count(getattr(other, rows_member, None)))),
                    (_NUMBER, html.escape(figures.cost(getattr(one, "total_cost", None)))),
                    (_NUMBER, html.escape(figures.cost(getattr(other, "total_cost", None)))),
                ]
            )
        )
    totals = " → ".join(_total(plan) for plan in (before, after))
    return _element(
        "div", _BOX, _element("div", "margin:2px 0 6px", totals) + _table([*heads, "after"], body)
    )


def _one(plan: nodes.Plan) -> str:
    listed = nodes.walk(plan.root)
    own = "Self time" if plan.basis == "time" else "Self cost"
    heads = ["Node", own, "Share"]
    if plan.basis == "time":
        heads.append("Total time")
    heads += ["Rows", "Expected", "Loops"] if plan.analyzed else ["Total cost", "Rows"]
    body = [_node_row(node, depth, plan) for node, depth in listed[: figures.MAX_SHOWN]]
    left_out = len(listed) - len(body)
    more = f"<div>{left_out:,} more nodes are left out.</div>" if left_out > 0 else ""
    return (
        _element("div", "margin:2px 0 6px", _total(plan))
        + _table(heads, body)
        + more
        + _below(plan)
    )


def _total(plan: nodes.Plan) -> str:
    if plan.basis == "time":
        parts = [("Execution", figures.ms(plan.execution_ms or plan.total))]
    else:
        parts = [("Cost", figures.cost(plan.total))]
    parts.append(("Planning", figures.ms(plan.planning_ms)))
    return " · ".join(f"{name} <b>{html.escape(value)}</b>" for name, value in parts if value)


def _node_row(node: nodes.Node, depth: int, plan: nodes.Plan) -> str:
    timed = plan.basis == "time"
    own = figures.ms(node.exclusive_ms) if timed else figures.cost(node.exclusive_cost)
    if node.never_executed:
        expected = html.escape(figures.count(node.expected_rows))
        blank = [""] * (4 if timed else 3)
        texts = [_node(node, depth), *blank, expected, ""]
        return _row((_NODE if i == 0 else _NUMBER, each) for i, each in enumerate(texts))
    cells = [
        (_NODE, _node(node, depth)),
        (_NUMBER, html.escape(own)),
        (_bar(node), html.escape(figures.percent(node.share))),
    ]
    if timed:
        cells.append((_NUMBER, html.escape(figures.ms(node.inclusive_ms))))
    if not plan.analyzed:
        cells.append((_NUMBER, html.escape(figures.cost(node.total_cost))))
        cells.append((_NUMBER, html.escape(figures.count(node.expected_rows))))
        return _row(cells)
    rows = html.escape(figures.count(node.actual_rows))
    off = figures.times(node.misestimate)
    if off:
        rows += f'<div style="{_FAINT};font-size:.85em">{html.escape(off)}</div>'
    cells.append((_ground(_NUMBER, node.rows_mark), rows))
    cells.append((_NUMBER, html.escape(figures.count(node.expected_rows))))
    cells.append((_NUMBER, html.escape(figures.count(node.loops))))
    return _row(cells)


def _node(node: nodes.Node, depth: int) -> str:
    name = html.escape(node.name)
    kind, rest = _cut(node)
    if name.startswith(kind):
        name = f"<b>{kind}</b>{rest}"
    if node.subplan is not None:
        name = f'<span style="{_FAINT}">{html.escape(node.subplan)}:</span> {name}'
    if node.never_executed:
        name += f' <span style="{_FAINT}">(never executed)</span>'
    lines = "".join(
        f'<div style="{_FAINT};font-size:.88em;overflow-wrap:anywhere">{html.escape(key)}: '
        f'<span style="{_CODE}">{html.escape(value)}</span></div>'
        for key, value in figures.details(node)
    )
    return _indented(name + lines, depth)


def _cut(node: nodes.Node) -> tuple[str, str]:
    """A node's name, escaped: what it does, and what it works on."""
    for word in (" using ", " on "):
        kind, found, rest = node.name.partition(word)
        if found:
            return html.escape(kind), html.escape(found + rest)
    return html.escape(node.name), ""


def _indented(content: str, depth: int) -> str:
    if not depth:
        return content
    left = min(depth, 30) * _INDENT_PX
    return (
        f'<div style="padding-left:{left}px;position:relative">'
        f'<span style="position:absolute;left:{left - 14}px;opacity:.45">└</span>{content}</div>'
    )


def _paired(pair: comparing.Pair) -> str:
    node = pair.after or pair.before
    assert node is not None
    kind, rest = _cut(node)
    name = f"<b>{kind}</b>{rest}"
    if pair.before is None:
        name += f' <span style="{_FAINT}">(new)</span>'
    elif pair.after is None:
        name = f'<span style="text-decoration:line-through;opacity:.65">{name}</span>'
    elif pair.changed:
        name += f'<div style="{_FAINT};font-size:.88em">was {html.escape(pair.before.name)}</div>'
    return _indented(name, pair.depth)


def _change(pair: comparing.Pair, member: str) -> str:
    ratio = pair.ratio(member)
    if ratio is None:
        return ""
    if 0.95 < ratio < 1.05:
        return "="
    return f"{ratio:,.1f} ×" if ratio >= 1 else f"{100 * (ratio - 1):.0f} %"


def _worse(pair: comparing.Pair, member: str, compared: comparing.Comparison) -> nodes.Mark | None:
    """How much of the whole a node costs more than before."""
    before = getattr(pair.before, member, None) or 0.0
    after = getattr(pair.after, member, None) or 0.0
    whole = max(compared.before.total, compared.after.total)
    return nodes.share_mark(100 * (after - before) / whole) if whole > 0 else None


def _bar(node: nodes.Node) -> str:
    """The style of a share: a bar as long as that."""
    if not node.share:
        return _NUMBER
    color = _GROUNDS[node.share_mark] or _BAR
    end = min(node.share, 100.0)
    return (
        f"{_NUMBER};min-width:4em;background:linear-gradient(to right,{color} {end:.1f}%,"
        f"transparent {end:.1f}%)"
    )


def _ground(style: str, mark: nodes.Mark | None) -> str:
    return f"{style};background:{_GROUNDS[mark]}" if mark is not None else style


def _below(plan: nodes.Plan) -> str:
    found = [line for line in figures.summary(plan) if line[0] not in ("Planning", "Execution")]
    return "".join(
        f'<div style="margin-top:4px"><span style="{_FAINT}">{html.escape(name)}:</span> '
        f"{html.escape(value)}</div>"
        for name, value in found
    )


def _table(heads: Iterable[str], body: Iterable[str]) -> str:
    head = "".join(
        f'<th style="{_NODE if index == 0 else _HEAD};font-weight:600">{html.escape(name)}</th>'
        for index, name in enumerate(heads)
    )
    return (
        f'<div style="overflow:auto;max-height:640px"><table style="{_TABLE}"><thead><tr '
        f'style="background:none">{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
    )


def _row(cells: Iterable[tuple[str, str]]) -> str:
    made = "".join(f'<td style="{style}">{content}</td>' for style, content in cells)
    return f'<tr style="background:none">{made}</tr>'


def _folded(title: str, content: str) -> str:
    return (
        f'<details style="margin-top:6px"><summary style="cursor:pointer;{_FAINT}">'
        f'{html.escape(title)}</summary><pre style="{_CODE};font-size:.88em;overflow:auto;'
        f'max-height:480px;white-space:pre;margin:6px 0">{html.escape(content)}</pre></details>'
    )


def _element(name: str, style: str, content: str) -> str:
    return f'<{name} style="{style}">{content}</{name}>'
