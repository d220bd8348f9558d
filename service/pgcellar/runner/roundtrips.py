"""Files that a notebook writes in one cell and reads in another.

What `\\copy … to` saves is written when its cell runs as head, and the tail skips it. So below an
edit such a file may hold what the notebook gave before, which a cell that reads it must not take:
not by running, nor by standing in a state that was made of it.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Protocol

from pgcellar.api import errors, records
from pgcellar.notebook import states, uses
from pgcellar.runner import files

_DIGEST = "digest"


class Knowledge(Protocol):
    """Where it is remembered what was written; values by what gave them, as those of `\\gset`."""

    def values(self, state: str, statement: str) -> Mapping[str, str | None] | None:
        """What a statement gave in a state."""

    def learn_values(self, state: str, statement: str, values: dict[str, str | None]) -> None:
        """A statement gave these."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """Why the cell at an index can't be taken to read what the notebook gives now."""

    index: int
    error: errors.FileRefused


def note(
    opener: files.Files,
    directory: str | None,
    knowledge: Knowledge,
    written: uses.Written,
) -> None:
    """Remember what a file holds that was just written. Raises FileRefused."""
    digest = opener.content(directory, written.file)
    knowledge.learn_values(written.state, written.statement, {_DIGEST: digest})


def find(
    opener: files.Files,
    directory: str | None,
    knowledge: Knowledge,
    links: Sequence[states.Link],
    named: Sequence[records.Cell],
) -> Problem | None:
    """The first cell that reads what the notebook itself writes, if that is not there as it is now.

    `links` are those of the cells `named`, from the first one on.
    """
    places: dict[str, pathlib.Path | None] = {}

    def place(name: str) -> pathlib.Path | None:
        if name not in places:
            places[name] = _path(opener, directory, name)
        return places[name]

    # Each is looked up once: there may be thousands that write, and as many that read.
    writers: dict[pathlib.Path, tuple[int, uses.Written]] = {}
    # Of thousands of cells few use files.
    for index in [i for i, link in enumerate(links) if link.uses is not uses.NONE]:
        used = links[index].uses
        own = {path: one for one in used.written if (path := place(one.file)) is not None}
        for name, _ in used.read:
            path = place(name)
            if path in own:
                return Problem(index=index, error=_own(name))
            if path not in writers:
                continue
            above, written = writers[path]
            if not _holds(opener, directory, knowledge, written):
                return Problem(index=index, error=_stale(name, named[above].id))
        writers |= {path: (index, one) for path, one in own.items()}
    return None


def _own(name: str) -> errors.FileRefused:
    return errors.FileRefused(
        f"{name}: the same cell writes and reads this file.",
        hint="Write it in a cell of its own, and run that first.",
    )


def _stale(name: str, cell: str) -> errors.FileRefused:
    return errors.FileRefused(
        f"{name} is not what cell {cell} above writes to it now.",
        hint="Run that cell first: what \\copy … to saves is written when its cell itself is run.",
    )


def _holds(
    opener: files.Files, directory: str | None, knowledge: Knowledge, written: uses.Written
) -> bool:
    """Whether a file holds what was written to it last by this."""
    known = knowledge.values(written.state, written.statement)
    try:
        return known is not None and known.get(_DIGEST) == opener.content(directory, written.file)
    except errors.FileRefused:
        return False


def _path(opener: files.Files, directory: str | None, name: str) -> pathlib.Path | None:
    try:
        return opener.path(directory, name)
    except errors.FileRefused:
        return None
