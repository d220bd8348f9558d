"""Files that a notebook writes in one cell and reads in another.

What `\\copy … to` saves is written when its cell runs as head, and the tail skips it. So below an
edit such a file may hold what the notebook gave before, which a cell that reads it must not take.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator, Sequence

from pgcellar.api import errors, records
from pgcellar.notebook import cells, copying, states
from pgcellar.runner import files

_INCLUDE = re.compile(
    r"^[ \t]*\\(?:ir?|include(?:_relative)?)[ \t]+(?P<file>'(?:[^']|'')+'|\S+)", re.MULTILINE
)


def writer(state: str, cell: cells.ParsedCell) -> str:
    """By what a cell is known that writes files, in the state it began in."""
    return f"{state} {cell.digest}"


def check(
    opener: files.Files,
    directory: str | None,
    links: Sequence[states.Link],
    parsed: Sequence[cells.ParsedCell],
    named: Sequence[records.Cell],
) -> None:
    """Whether the last of these cells reads what the notebook itself writes, as it is now.

    Raises FileRefused if it is not certain to be that.
    """
    names = list(_read(parsed[-1]))
    if not names:
        return
    paths = {_path(opener, directory, name): name for name in names}
    for index in range(len(parsed) - 1, -1, -1):
        written = {_path(opener, directory, name) for name in _written(parsed[index])}
        for path in (paths.keys() & written) - {None}:
            name = paths.pop(path)
            if index == len(parsed) - 1:
                raise errors.FileRefused(
                    f"{name}: the same cell writes and reads this file.",
                    hint="Write it in a cell of its own, and run that first.",
                )
            before = links[index].before.state if index < len(links) else ""
            if not opener.is_of(directory, name, writer(before, parsed[index])):
                raise errors.FileRefused(
                    f"{name} is not what cell {named[index].id} above writes to it now.",
                    hint="Run that cell first: what \\copy … to saves is written when its cell"
                    " itself is run.",
                )


def _written(cell: cells.ParsedCell) -> Iterator[str]:
    return (copy.file for copy in _copies(cell) if copy.out)


def _read(cell: cells.ParsedCell) -> Iterator[str]:
    yield from (copy.file for copy in _copies(cell) if not copy.out)
    if cell.scanned == "always":
        for match in _INCLUDE.finditer(cell.source):
            name = match["file"]
            yield name[1:-1].replace("''", "'") if name.startswith("'") else name


def _copies(cell: cells.ParsedCell) -> Iterator[copying.Copy]:
    for command in cell.files:
        copy = copying.parse(command)
        if isinstance(copy, copying.Copy):
            yield copy


def _path(opener: files.Files, directory: str | None, name: str) -> pathlib.Path | None:
    try:
        return opener.path(directory, name)
    except errors.FileRefused:
        return None
