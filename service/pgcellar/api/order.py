"""The tail of a cell: the notebook's order where the front end tells it, else that of execution.

A front end tells it with each request, in its metadata, or as the notebook changes, over a comm.
Without the notebook's order, the order of execution stands for it: a cell runs below those that
ran before it. A cell whose id comes again has moved nowhere: its new text takes the place of the
former. One that failed keeps its place but leaves no trace, until it succeeds there. Pure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pgcellar.api import documents, errors, records

#: JupyterLab sends this with the cell's own metadata, which the notebook's file may claim.
_COPIED = "deletedCells"


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

    def knows(self, identity: str) -> bool:
        """Whether a cell has a place."""
        return identity in self._ids

    def ran(self, identity: str, source: str | None) -> None:
        """The cell ran and is part of the tail of those below; with None, it left no trace."""
        if source is None:
            self._sources.pop(identity, None)
        else:
            self._sources[identity] = source


class NotebookOrder:
    """The code cells of a notebook, as its front end tells them by what has changed.

    What stands above a cell when it is sent is kept until it runs: the notebook may change while
    it waits.
    """

    def __init__(self) -> None:
        self._ids: tuple[str, ...] = ()
        self._cells: dict[str, records.Cell | None] = {}
        self._sent: dict[str, tuple[str, tuple[records.Cell, ...]]] = {}

    def change(self, told: Mapping[str, Any]) -> None:
        """Take over `order`, all ids in order, and `cells`, new texts and tags by id; see `told`.

        Either may be missing, where nothing has changed. Raises BadRequest, and changes nothing
        then, where they are not as they should be.
        """
        ids, cells = told.get("order", self._ids), told.get("cells", {})
        if not isinstance(ids, (list, tuple)) or not isinstance(cells, Mapping):
            raise errors.BadRequest("`order` must be a list of cell ids, and `cells` an object.")
        known = {**self._cells, **{str(each): _cell(str(each), cells[each]) for each in cells}}
        order = tuple(map(str, ids))
        unknown = next((each for each in order if each not in known), None)
        if unknown is not None or len(set(order)) < len(order):
            raise errors.BadRequest(
                f"cell {unknown} has no text" if unknown else "`order` names a cell twice"
            )
        self._ids, self._cells = order, {each: known[each] for each in order}

    def knows(self, cell: str) -> bool:
        """Whether it is a cell of the notebook that takes part."""
        return self._cells.get(cell) is not None

    def edit(self, cell: str, edits: Sequence[tuple[str, str]]) -> None:
        """Replace pieces of a cell's text, as its front end is going to."""
        known = self._cells.get(cell)
        if known is not None:
            source = known.source
            for was, now in edits:
                source = source.replace(was, now, 1)
            self._cells[cell] = dataclasses.replace(known, source=source)

    def send(self, head: str, source: str) -> None:
        """The cell is going to be sent, and is to run below the cells that are above it now."""
        if head in self._ids:
            self._sent[head] = source, self._above(head)

    def abort(self) -> None:
        """What has been sent so far does not run."""
        self._sent.clear()

    def place(self, head: str, source: str, tagged: str | None = None) -> Place | None:
        """Where a cell that was sent stands, or None if the front end knows of no such cell.

        `tagged` is the text as the runner knows it, where that is another (see `documents`).
        """
        sent = self._sent.pop(head, None)
        if sent is not None and sent[0] == source:
            tail = sent[1]
        elif head in self._ids:
            tail = self._above(head)
        else:
            return None
        cell = records.Cell(id=head, source=source if tagged is None else tagged)
        return Place(cells=(*tail, cell), head=len(tail))

    def at(self, head: str, source: str | None = None) -> Place:
        """Where a cell stands now, whether or not it takes part. Raises NotFound."""
        if head not in self._ids:
            raise errors.NotFound(f"There is no cell {head} in the notebook.")
        tail, known = self._above(head), self._cells[head]
        if source is None:
            source = "" if known is None else known.source
        return Place(cells=(*tail, records.Cell(id=head, source=source)), head=len(tail))

    def whole(self) -> tuple[records.Cell, ...]:
        """All cells that take part."""
        return tuple(cell for cell in map(self._cells.get, self._ids) if cell is not None)

    def _above(self, head: str) -> tuple[records.Cell, ...]:
        above = self._ids[: self._ids.index(head)]
        return tuple(cell for cell in map(self._cells.get, above) if cell is not None)


def _cell(identity: str, told: object) -> records.Cell | None:
    """The cell as the runner knows it; None for one that takes no part."""
    if not isinstance(told, Mapping) or not isinstance(told.get("source"), str):
        raise errors.BadRequest(f"cell {identity} must have a `source`")
    tags = documents.tags(told)
    if documents.SKIP in tags:
        return None
    return records.Cell(id=identity, source=documents.as_tagged(told["source"], tags))


def told(metadata: Mapping[str, Any] | None, source: str) -> Place | None:
    """The place the front end tells in the execute request's metadata, if it does.

    `metadata.pgcellar` is `{"cells": [{"id": …, "source": …}, …], "head": N}`; the head's source
    is the code that came with the request. Of a front end that copies metadata from the notebook's
    file nothing is taken: whoever made the file could have another tail run than the one seen.
    Raises BadRequest where it is not as it should be.
    """
    if _COPIED in (metadata or {}):
        return None
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
