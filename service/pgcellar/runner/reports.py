"""What a run says of its cells. Pure."""

from __future__ import annotations

import collections
import dataclasses
import operator
from collections.abc import Sequence

from pgcellar.api import records
from pgcellar.notebook import cells, states

#: Of a thousand links this is asked for each run.
_RUNS = operator.attrgetter("runs")


@dataclasses.dataclass(slots=True)
class Report:
    """What is known so far of one cell that was touched."""

    source: records.Source = "skipped"
    state: str | None = None
    effect: records.EffectName = "none"
    ms: float = 0.0
    rows: int | None = None
    error: records.SqlError | None = None
    pinned: str | None = None
    volatile: bool = False
    input: str | None = None


class Reports:
    """The cells of one run. Those above its start cost nothing until they are asked for."""

    def __init__(
        self, notebook: Sequence[records.Cell], parsed: Sequence[cells.ParsedCell]
    ) -> None:
        self._cells = notebook
        self._parsed = parsed
        self._touched: dict[int, Report] = collections.defaultdict(Report)
        self._above: Sequence[states.Link] = ()
        self.replayed = 0

    def start_after(self, links: Sequence[states.Link]) -> None:
        """The cells of these links are done without running: hits, or nothing to do."""
        self._above = links

    def of(self, index: int) -> Report:
        """The report on one cell, to be filled in."""
        return self._touched[index]

    @property
    def head(self) -> Report:
        """The report on the head."""
        return self.of(len(self._cells) - 1)

    @property
    def hits(self) -> int:
        """How many cells with effects did not have to run."""
        ran = [index for index in self._touched if index < len(self._above)]
        hits: int = sum(map(_RUNS, self._above)) - sum(self._above[index].runs for index in ran)
        return hits + (self.head.source == "hit")

    def cells(self, *, brief: bool) -> tuple[records.CellReport, ...]:
        """One record per cell, in order; with `brief` only those that ran or failed, and the head.

        The head always comes last.
        """
        indexes = sorted(self._touched) if brief else range(len(self._cells))
        return tuple(self._record(index) for index in indexes if self._tells(index, brief))

    def _tells(self, index: int, brief: bool) -> bool:
        return (
            not brief or index == len(self._cells) - 1 or self._touched[index].source == "replayed"
        )

    def _record(self, index: int) -> records.CellReport:
        report = self._touched.get(index)
        if report is None:
            report = Report()
            if index < len(self._above):
                link = self._above[index]
                report.effect, report.volatile = link.effect, link.volatile
                report.source = "hit" if link.runs else "skipped"
                report.state = link.after.state if link.after else None
        translation = self._parsed[index].translation
        return records.CellReport(
            id=self._cells[index].id,
            state=report.state,
            effect=report.effect,
            source=report.source,
            ms=round(report.ms, 3),
            rows=report.rows,
            error=report.error,
            pinned=report.pinned,
            volatile=report.volatile,
            translated=None if translation is None else translation.sql,
            input=report.input,
        )
