"""Gathers the events of a run into what it gave, cell by cell, and that into JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from pgcellar.api import records, rendering
from pgcellar.api.plans import bundles


@dataclasses.dataclass(slots=True)
class CellResult:
    """What one head gave: its report and the results of its statements."""

    report: records.CellReport
    results: list[rendering.Result]
    tail: tuple[records.CellReport, ...]
    error: records.SqlError | None


class NotebookRun:
    """What a run gave, head by head. `heads` are the cells that are run as heads, in order."""

    def __init__(self, heads: Sequence[records.Cell]) -> None:
        self._heads = heads
        self._reset()

    def _reset(self) -> None:
        self._gathered = rendering.Results()
        self.cells: list[CellResult] = []
        self.hits = 0
        self.replayed = 0
        self.ms = 0.0
        self.planning_ms = 0.0
        self.sandbox: records.SandboxInfo | None = None
        self.error: records.SqlError | None = None

    @property
    def single(self) -> bool:
        """Whether one cell was asked for, so that its tail is told of, too."""
        return len(self._heads) == 1

    def take(self, event: records.Event) -> None:
        """Take one event."""
        if isinstance(event, records.Done):
            self._take_done(event)
        elif isinstance(event, records.Restarted):
            self._reset()
        else:
            self._gathered.take(event)

    def _take_done(self, done: records.Done) -> None:
        head = self._heads[len(self.cells)]
        nothing = records.CellReport(
            id=head.id, state=None, effect="none", source="skipped", ms=0.0, error=done.error
        )
        self.cells.append(
            CellResult(
                report=done.cells[-1] if done.cells else nothing,
                results=self._gathered.results(),
                tail=done.cells[:-1],
                error=done.error,
            )
        )
        self._gathered = rendering.Results()
        self.hits += done.totals.hits if self.single else self.cells[-1].report.source == "hit"
        self.replayed += done.totals.replayed
        self.ms += done.totals.ms
        self.planning_ms += done.totals.planning_ms
        self.sandbox = done.sandbox
        self.error = self.error or done.error

    def reports(self) -> list[tuple[records.CellReport, list[rendering.Result]]]:
        """Every cell that is told of, with its results."""
        return [
            told
            for cell in self.cells
            for told in (
                *((report, []) for report in (cell.tail if self.single else ())),
                (cell.report, cell.results),
            )
        ]

    def to_json(self) -> dict[str, Any]:
        """The object `run --json` prints (DESIGN.md, section 8)."""
        return {
            "cells": [_cell(report, results) for report, results in self.reports()],
            "totals": {
                "hits": self.hits,
                "replayed": self.replayed,
                "ms": round(self.ms, 3),
                "planning_ms": round(self.planning_ms, 3),
            },
            "sandbox": None if self.sandbox is None else records.to_json(self.sandbox),
            "error": None if self.error is None else records.to_json(self.error),
        }


def heads(request: records.RunRequest) -> tuple[records.Cell, ...]:
    """The cells that a request runs as heads."""
    first = request.head if request.first is None else request.first
    return request.cells[first : request.head + 1]


def _cell(report: records.CellReport, results: Sequence[rendering.Result]) -> dict[str, Any]:
    return {
        **records.to_json(report),
        "results": [
            {
                "command": result.command,
                "columns": [records.to_json(column) for column in result.columns],
                "rows": [list(row) for row in result.rows],
                "row_count": result.row_count,
                "truncated": result.truncated,
                "notices": [records.to_json(notice) for notice in result.notices],
                **_shown(result),
            }
            for result in results
        ],
    }


def _shown(result: rendering.Result) -> dict[str, Any]:
    """A plan analysed, or a chart's specification, where the result is to be shown as one."""
    plan = rendering.plan_of(result)
    if plan is not None:
        return {"plan": plan[bundles.MIME]}
    drawn = rendering.chart_of(result)
    return {} if drawn is None else {"chart": drawn}
