"""A plan as text: the figures of each node in columns, and beside them the tree as psql shows it.

Pure.
"""

from __future__ import annotations

from pgcellar.api import printing
from pgcellar.api.plans import figures, nodes

_MARKS = "! !! !!!: over 10, 50, 90 % of the {basis}"
_ROWS = "; over 10, 100, 1000 times as many or as few rows as expected"


def render(plan: nodes.Plan) -> str:
    """The plan for a terminal: nothing in it that a terminal would obey."""
    listed = nodes.walk(plan.root)
    heads = _heads(plan)
    rows = [_figures(node, plan) for node, _ in listed[: figures.MAX_SHOWN]]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    out = [" ".join([*_padded(heads, widths), " Plan"]).rstrip()]
    out.append("-" * max(len(out[0]), 40))
    blank = " " * (sum(widths) + len(widths))
    for (node, depth), row in zip(listed, rows, strict=False):
        tree, below = _tree(node, depth)
        out.append(" ".join([*_padded(row, widths), tree]).rstrip())
        out += [f"{blank}{below}{line}" for line in _details(node)]
    if len(listed) > len(rows):
        out.append(f"{blank}{len(listed) - len(rows)} more nodes are left out.")
    out += [f"{name}: {printing.printable(text)}" for name, text in figures.summary(plan)]
    out.append(_MARKS.format(basis=plan.basis) + (_ROWS if plan.analyzed else ""))
    return "\n".join(out)


def _heads(plan: nodes.Plan) -> list[str]:
    first = ["", "self" if plan.basis == "time" else "self cost", "share"]
    more = ["", "rows", "expected", "loops"] if plan.analyzed else ["rows"]
    return [*first, *more]


def _figures(node: nodes.Node, plan: nodes.Plan) -> list[str]:
    own = figures.ms(node.exclusive_ms)
    if plan.basis == "cost":
        own = figures.cost(node.exclusive_cost)
    expected = figures.count(node.expected_rows)
    if not plan.analyzed:
        return [figures.SIGNS[node.share_mark], own, figures.percent(node.share), expected]
    if node.never_executed:
        return ["", "never", "", "", "", expected, ""]
    return [
        figures.SIGNS[node.share_mark],
        own,
        figures.percent(node.share),
        figures.SIGNS[node.rows_mark],
        figures.count(node.actual_rows),
        expected,
        figures.count(node.loops),
    ]


def _padded(cells: list[str], widths: list[int]) -> list[str]:
    return [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]


def _tree(node: nodes.Node, depth: int) -> tuple[str, str]:
    """A node's line, and what stands before the lines below it."""
    indent = " " * (6 * depth - 4 if depth else 1)
    name = printing.printable(node.name).replace("\n", " ")
    if node.subplan is not None:
        name = f"[{printing.printable(node.subplan)}] {name}".replace("\n", " ")
    arrow = "->  " if depth else ""
    return f"{indent}{arrow}{name}", " " * (len(indent) + len(arrow) + 2)


def _details(node: nodes.Node) -> list[str]:
    return [
        f"{name}: {printing.printable(text)}".replace("\n", " ")
        for name, text in figures.details(node)
    ]
