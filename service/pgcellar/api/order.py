"""The tail of a cell: the notebook's order where the front end tells it, else that of execution.

Without the notebook's order, the order of execution stands for it: a cell runs below those that
ran before it. A cell whose id comes again has moved nowhere: its new text takes the place of the
former. One that failed keeps its place but leaves no trace, until it succeeds there. Pure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pgcellar.api import errors, records


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The cells of a notebook up to one of them, the head."""

    cells: tuple[records.Cell, ...]
    head: int


class ExecutionOrder:
    """The cells executed so far, in the order of their first execution."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._sources: dict[str, str] = {}

    def place(self, identity: str, source: str) -> Place:
        """Where a cell stands that is about to run. Cells of blanks alone take no part."""
        if identity not in self._ids:
            self._ids.append(identity)
        above = self._ids[: self._ids.index(identity)]
        tail = [
            records.Cell(id=other, source=self._sources[other])
            for other in above
            if other in self._sources
        ]
        return Place(cells=(*tail, records.Cell(id=identity, source=source)), head=len(tail))

    def below(self) -> Place:
        """The place of a cell that is being written: below all that ran."""
        tail = [
            records.Cell(id=each, source=self._sources[each])
            for each in self._ids
            if each in self._sources
        ]
        return Place(cells=(*tail, records.Cell(id="", source="")), head=len(tail))

    def ran(self, identity: str, source: str | None) -> None:
        """The cell ran and is part of the tail of those below; with None, it left no trace."""
        if source is None:
            self._sources.pop(identity, None)
        else:
            self._sources[identity] = source


def told(metadata: Mapping[str, Any] | None, source: str) -> Place | None:
    """The place the front end tells in the execute request's metadata, if it does.

    `metadata.pgcellar` is `{"cells": [{"id": …, "source": …}, …], "head": N}`; the head's source
    is the code that came with the request. Raises BadRequest where it is not as it should be.
    """
    ours = (metadata or {}).get("pgcellar")
    if not isinstance(ours, Mapping) or "cells" not in ours:
        return None
    cells, head = ours["cells"], ours.get("head")
    if not isinstance(cells, list) or type(head) is not int or not 0 <= head < len(cells):
        raise errors.BadRequest(
            "metadata.pgcellar must have `cells` and the index `head` of one of them"
        )
    out: list[records.Cell] = []
    for cell in cells[: head + 1]:
        if not isinstance(cell, Mapping) or not isinstance(cell.get("source"), str):
            raise errors.BadRequest(
                "every cell of metadata.pgcellar must have an `id` and a `source`"
            )
        out.append(records.Cell(id=str(cell.get("id", len(out))), source=cell["source"]))
    out[head] = dataclasses.replace(out[head], source=source)
    return Place(cells=tuple(out), head=head)
