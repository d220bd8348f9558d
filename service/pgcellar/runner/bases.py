"""What notebooks start from: other notebooks, whose cells are put in front of theirs.

A notebook's state is then what it would be if the cells of the other one stood in it, by the same
id; so the snapshots of one are those of all that start from it.
"""

from __future__ import annotations

import dataclasses
import itertools
import operator
import os
import pathlib

from pgcellar.api import documents, errors, records
from pgcellar.notebook import cells
from pgcellar.runner import files

#: Notebooks that start from notebooks that …
MAX_DEPTH = 10


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Expanded:
    """A request with the cells of its base in front, and which cells those are, by their ids."""

    request: records.RunRequest
    base: str | None = None
    above: dict[str, str] = dataclasses.field(default_factory=dict)

    def event(self, event: records.Event) -> records.Event:
        """An event in the notebook's own terms: an error above it is that of the cell that names
        its base.
        """
        if not isinstance(event, records.Done) or event.error is None:
            return event
        place = self.above.get(event.error.cell or "")
        if place is None:
            return event
        given = [event.error.context] if event.error.context else []
        error = dataclasses.replace(
            event.error, cell=self.base, position=None, context="\n".join([*given, place])
        )
        return dataclasses.replace(event, error=error)


class Bases:
    """Reads the notebooks that others start from, and remembers them while they don't change."""

    def __init__(self, opener: files.Files) -> None:
        self._files = opener
        self._known: dict[pathlib.Path, tuple[files.Stamp, tuple[records.Cell, ...]]] = {}

    def expand(self, request: records.RunRequest) -> Expanded:
        """Put the base's cells in front of a notebook's.

        Raises FileRefused or NotebookInvalid.
        """
        named = _base(request.cells[: request.head + 1])
        if named is None:
            return Expanded(request=request)
        index, name = named
        seen = (pathlib.Path(request.notebook),)
        above, places = self._cells(request.directory, name, seen)
        own = list(request.cells)
        # It stays, as a cell without effect.
        own[index] = dataclasses.replace(own[index], source="")
        shift = len(above)
        return Expanded(
            request=dataclasses.replace(
                request,
                cells=(*above, *own),
                head=request.head + shift,
                first=None if request.first is None else request.first + shift,
            ),
            base=own[index].id,
            above=places,
        )

    def _cells(
        self, directory: str | None, name: str, seen: tuple[pathlib.Path, ...]
    ) -> tuple[list[records.Cell], dict[str, str]]:
        """The cells of a notebook and of those it starts from, and where each one stands."""
        path, found = self._read(directory, name)
        if path in seen:
            way = " → ".join(one.name for one in (*seen[seen.index(path) :], path))
            raise errors.NotebookInvalid(
                f"{path.name} starts from itself: {way}.",
                hint="One of these has to start from nothing: take \\base out of it.",
            )
        if len(seen) > MAX_DEPTH:
            raise errors.NotebookInvalid(
                f"{path.name} starts from a notebook that starts from a notebook, and so on.",
                hint="Put the cells of some of them into one.",
            )
        named = _base(found)
        out: list[records.Cell] = []
        places: dict[str, str] = {}
        if named is not None:
            out, places = self._cells(directory, named[1], (*seen, path))
        for number, one in enumerate(found):
            if named is None or number != named[0]:
                identity = f"{path.name}:{one.id}"
                out.append(records.Cell(id=identity, source=one.source))
                places[identity] = f"cell {number + 1} ({one.id}) of {path.name}"
        return out, places

    def _read(
        self, directory: str | None, name: str
    ) -> tuple[pathlib.Path, tuple[records.Cell, ...]]:
        if not name:
            raise errors.NotebookInvalid(
                "\\base names no notebook.", hint="Write \\base FILE.ipynb, a file beside this one."
            )
        with self._files.open(directory, name) as (path, file):
            if directory is None or path.parent != pathlib.Path(directory).resolve():
                # Files are named from the folder of the notebook that runs.
                raise errors.FileRefused(
                    f"{name} lies in another folder.",
                    hint="A notebook starts from one beside it: files are named from its folder.",
                )
            info = os.fstat(file.fileno())
            stamp = files.stamp(info)
            known = self._known.get(path)
            if known is not None and known[0] == stamp:
                return path, known[1]
            if info.st_size > documents.MAX_BYTES:
                raise errors.NotebookInvalid(f"{path} is too large.")
            found = documents.parse(file.read(), path).cells
        self._known[path] = stamp, found
        return path, found


#: Of a thousand cells this is asked for each run.
_SOURCE = operator.attrgetter("source")


def named(request: records.RunRequest) -> bool:
    """Whether a request may name a base, at a glance."""
    texts = map(_SOURCE, request.cells[: request.head + 1])
    return any(map(operator.contains, texts, itertools.repeat("\\base")))


def cell(request: records.RunRequest) -> str | None:
    """The id of the cell that names the base."""
    found = _base(request.cells[: request.head + 1])
    return None if found is None else request.cells[found[0]].id


def _base(notebook: tuple[records.Cell, ...]) -> tuple[int, str] | None:
    """The first cell that is not empty, if it names a base, and what it names."""
    for index, one in enumerate(notebook):
        name = documents.base_named(one.source)
        if name is not None:
            return index, name
        parsed = cells.parse(one.source)
        if parsed.steps or parsed.scanned == "always":
            return None
    return None
