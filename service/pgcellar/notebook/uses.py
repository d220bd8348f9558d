"""Which files a cell reads and writes at this end, as psql would: by `\\copy` and `\\i`. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping

from pgcellar.notebook import cells, copying, psqlscan, scripts


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A file that `\\copy … to` writes. What it holds then is decided by the state behind it, which
    tells one execution of what is volatile from another, and the statement; `state` is empty where
    it is not known.
    """

    file: str
    state: str
    statement: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Uses:
    """The files of one cell: those it reads with the digests of what they hold ("": they can't be
    read), and those it writes. Each in the order of the steps.
    """

    read: tuple[tuple[str, str], ...] = ()
    written: tuple[Written, ...] = ()

    def in_session(self, state: str, key: str) -> Uses:
        """The same of a cell in one of several sessions, which is known by a key in a state."""
        return dataclasses.replace(
            self,
            written=tuple(
                dataclasses.replace(one, state=state, statement=f"{key} {one.statement}")
                for one in self.written
            ),
        )


NONE = Uses()


class Collector:
    """Gathers what the steps of a cell use, as they are followed."""

    def __init__(self, include: scripts.Include, digests: Mapping[str, str]) -> None:
        self._include = include
        self._digests = digests
        self._read: dict[tuple[str, str], None] = {}
        self._written: dict[Written, None] = {}

    def include(self, name: str) -> str | psqlscan.Problem:
        """The text of a file, which is noted."""
        text = self._include(name)
        held = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else None
        self._read[name, "" if held is None else hashlib.sha256(held).hexdigest()] = None
        return text

    def step(self, step: cells.Step, state: str) -> None:
        """Note a step that leads to a state."""
        if step.statement.kind == "meta" and step.statement.text:
            self._command(step.statement.text, state, step.statement.canonical)

    def text(self, source: str) -> None:
        """Note what a text names, whatever of it may come to be run."""
        for command in cells.copied(source):
            self._command(command, "", command)

    def found(self) -> Uses:
        """What was gathered."""
        if not self._read and not self._written:
            return NONE
        return Uses(read=tuple(self._read), written=tuple(self._written))

    def _command(self, command: str, state: str, canonical: str) -> None:
        copy = copying.parse(command)
        if isinstance(copy, copying.Refusal):
            return
        if copy.out:
            self._written[Written(file=copy.file, state=state, statement=canonical)] = None
        else:
            self._read[copy.file, self._digests.get(command, "")] = None


def at_most(
    cell: cells.ParsedCell,
    variables: scripts.Variables,
    digests: Mapping[str, str],
    include: scripts.Include,
) -> Uses:
    """The files that a cell may use, where nothing is known of what its queries give."""
    collector = Collector(include, digests)
    collector.text(cell.source)
    for text in scripts.included(cell.source, collector.include) or ():
        collector.text(text)
    script = scripts.Script(cell, variables, collector.include)
    if not script.static:
        while (step := script.next()) is not None:
            collector.step(step, "")
    return collector.found()
