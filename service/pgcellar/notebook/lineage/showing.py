"""The graph of a notebook's cells as a person or a program reads it."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from typing import Any

from pgcellar.notebook.lineage import graphs, reading
from pgcellar.notebook.lineage.objects import Ref


def as_text(of: graphs.Graph, names: Sequence[str]) -> str:
    """The graph for a terminal: a paragraph per cell, numbered from 1, with the cells' names."""
    above = collections.defaultdict(list)
    for edge in of.edges:
        above[edge.target].append(edge)
    out = []
    for index, (cell, name) in enumerate(zip(of.cells, names, strict=True)):
        out.append(_printable(f"[{index + 1}] {name}: {_summary(cell, columns=True)}"))
        for edge in above[index]:
            through = ", ".join(map(str, sorted(edge.through)))
            out.append(_printable(f"    after [{edge.source + 1}] {through}".rstrip()))
        affected = graphs.affected(of, index)
        if affected:
            out.append(f"    a change can affect {_numbers(affected)}")
    return "\n".join(out) + "\n"


def as_mermaid(of: graphs.Graph, names: Sequence[str]) -> str:
    """The graph as a Mermaid flowchart, cells numbered from 1."""
    out = ["flowchart TD"]
    for index, (cell, name) in enumerate(zip(of.cells, names, strict=True)):
        label = f"[{index + 1}] {name}: {_summary(cell, between=' – ')}"
        out.append(f'    c{index + 1}["{_escaped(label)}"]')
    for edge in of.edges:
        through = ", ".join(map(str, sorted(edge.through)))
        label = f'|"{_escaped(through)}"|' if through else ""
        out.append(f"    c{edge.source + 1} -->{label} c{edge.target + 1}")
    return "\n".join(out) + "\n"


def as_json(of: graphs.Graph, names: Sequence[str]) -> dict[str, Any]:
    """The graph as a JSON object, in which cells go by their names."""
    return {
        "cells": [
            {
                "id": name,
                **{
                    verb: list(map(str, sorted(getattr(cell, verb))))
                    for verb in (
                        "reads", "writes", "creates", "alters", "drops",
                        "columns_read", "columns_written",
                    )
                },
                "opaque": cell.opaque,
                "catalog": cell.catalog,
                "session": cell.session,
                "variables": cell.variables,
                "affects": [names[other] for other in graphs.affected(of, index)],
            }
            for index, (cell, name) in enumerate(zip(of.cells, names, strict=True))
        ],
        "edges": [
            {
                "from": names[edge.source],
                "to": names[edge.target],
                "through": list(map(str, sorted(edge.through))),
            }
            for edge in of.edges
        ],
    }  # fmt: skip


def _summary(cell: reading.CellLineage, *, columns: bool = False, between: str = "; ") -> str:
    read = cell.columns_read if columns else frozenset[Ref]()
    written = cell.columns_written if columns else frozenset[Ref]()
    parts = [
        f"{verb} {', '.join(_with_columns(ref, named) for ref in sorted(refs))}"
        for verb, refs, named in (
            ("creates", cell.creates, frozenset[Ref]()),
            ("alters", cell.alters, frozenset[Ref]()),
            ("drops", cell.drops, frozenset[Ref]()),
            ("writes", cell.writes, written),
            ("reads", cell.reads - cell.creates - cell.writes, read),
        )
        if refs
    ]
    parts += ["sets the session"] if cell.session else []
    parts += ["sets variables"] if cell.variables else []
    if cell.opaque:
        parts.append("may read and write anything")
    elif cell.catalog:
        parts.append("reads the catalog")
    return between.join(parts) or "nothing"


def _with_columns(ref: Ref, columns: Iterable[Ref]) -> str:
    names = sorted(c.column for c in columns if c._replace(column="") == ref and c.column != "*")
    return f"{ref} ({', '.join(names)})" if names else str(ref)


def _numbers(indices: Sequence[int]) -> str:
    """Cell numbers, those in a row as the first and the last of them."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ", ".join(
        f"[{run[0] + 1}]" if len(run) == 1 else f"[{run[0] + 1}]–[{run[-1] + 1}]" for run in runs
    )


def _printable(text: str) -> str:
    """A name may hold line breaks and terminal escapes."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _escaped(text: str) -> str:
    """A text in a quoted Mermaid label: what isn't surely plain as an entity of its own form."""
    return "".join(
        c if c.isalnum() or c in " .,:_-–()[]*" else f"#{ord(c)};" for c in _printable(text)
    )
