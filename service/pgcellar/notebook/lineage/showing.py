"""The graph of a notebook's cells as a person or a program reads it."""

from __future__ import annotations

import collections

from pgcellar.notebook.lineage import graphs, reading


def as_text(of: graphs.Graph) -> str:
    """The graph for a terminal: a paragraph per cell, numbered from 1."""
    above = collections.defaultdict(list)
    for edge in of.edges:
        above[edge.target].append(edge)
    out = []
    for index, cell in enumerate(of.cells):
        out.append(f"[{index + 1}] {_summary(cell)}")
        for edge in above[index]:
            through = ", ".join(_printable(str(ref)) for ref in sorted(edge.through))
            out.append(f"    <- [{edge.source + 1}]{' ' + through if through else ''}")
    return "\n".join(out) + "\n"


def as_mermaid(of: graphs.Graph) -> str:
    """The graph as a Mermaid flowchart, cells numbered from 1."""
    out = ["flowchart TD"]
    for index, cell in enumerate(of.cells):
        out.append(f'    c{index + 1}["[{index + 1}] {_escaped(_summary(cell))}"]')
    for edge in of.edges:
        through = ", ".join(str(ref) for ref in sorted(edge.through))
        label = f'|"{_escaped(through)}"|' if through else ""
        out.append(f"    c{edge.source + 1} -->{label} c{edge.target + 1}")
    return "\n".join(out) + "\n"


def _summary(cell: reading.CellLineage) -> str:
    parts = [
        f"{verb} {', '.join(str(ref) for ref in sorted(refs))}"
        for verb, refs in (
            ("creates", cell.creates),
            ("alters", cell.alters),
            ("drops", cell.drops),
            ("writes", cell.writes),
            ("reads", cell.reads - cell.creates - cell.writes),
        )
        if refs
    ]
    parts += ["sets the session"] if cell.session else []
    parts += ["anything"] if cell.opaque else ["reads the catalog"] if cell.catalog else []
    return _printable("; ".join(parts) or "nothing")


def _printable(text: str) -> str:
    """A name may hold line breaks and terminal escapes."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _escaped(text: str) -> str:
    """A text in a quoted Mermaid label: what isn't surely plain as an entity of its own form."""
    return "".join(
        c if c.isalnum() or c in " .,:_-()[]*" else f"#{ord(c)};" for c in _printable(text)
    )
