"""pgcellar.audit.runs: what is written down of a run is bounded, and nothing is hidden by that."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

import pytest

from pgcellar.api import auditing, errors, records
from pgcellar.audit import runs, statements
from pgcellar.runner import requests


class Log:
    """Keeps acts in memory."""

    up = True

    def __init__(self) -> None:
        self.acts: list[auditing.Act] = []

    async def write(
        self,
        act: auditing.Act,
        *,
        at: datetime.datetime | None = None,
        owed: bool = False,
        urgent: bool = True,
    ) -> None:
        """Keep an act."""
        self.acts.append(act)


async def started(log: Log, kept: runs.Runs, who: runs.Who, *sources: str) -> list[dict[str, Any]]:
    """What is written down of the cells of a run."""
    request = records.RunRequest(
        notebook="n",
        cells=tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(sources)),
        head=len(sources) - 1,
        first=0,
    )

    async def emit(event: records.Event) -> None:
        pass

    async with kept.watch(who, request, emit):
        pass
    newest = [act for act in log.acts if act.action == "run.start"][-1]
    cells: list[dict[str, Any]] = newest.details["cells"]
    return cells


@pytest.mark.parametrize("kind", ["anonymous", "os"])
async def test_nobody_fills_the_log_with_statements(kind: str) -> None:
    log = Log()
    kept = runs.Runs(log, statements.Statements(), strict=True)
    eve, bob = (runs.Who(subject=name, kind=kind) for name in ("eve", "bob"))
    long = "x" * statements.MAX_TEXT
    texts = 0
    for number in range(200):
        (cell,) = await started(log, kept, eve, f"{number}{long}")
        # Each can be proven to have been run.
        assert len(cell["digest"]) == 64
        texts += "text" in cell
    assert texts == 200 if kind == "os" else 64 <= texts < 70
    (cell,) = await started(log, kept, bob, "select 1")
    assert cell["text"] == "select 1"
    await kept.close()


@pytest.mark.parametrize("policy", ["text", "digest"])
@pytest.mark.parametrize("what", ["parameters", "names of parameters", "ids"])
async def test_nobody_fills_the_log_with_what_stands_beside_statements(
    what: str, policy: statements.Policy
) -> None:
    log = Log()
    kept = runs.Runs(log, statements.Statements(policy=policy), strict=True)
    long = "x" * 1_000
    cells = tuple(records.Cell(id=f"{i}{long}"[:1_000], source="") for i in range(1_000))
    named = {f"{i}{long}": "v" for i in range(1_000)}
    given = {
        "parameters": {"cells": cells[:1], "parameters": {"p": long * 1_000}},
        "names of parameters": {"cells": cells[:1], "parameters": named},
        "ids": {"cells": cells, "first": 0},
    }[what]
    head = len(given["cells"]) - 1
    request = records.RunRequest(notebook="n", head=head, **given)  # type: ignore[arg-type]
    done = requests.nothing_ran(request, errors.Cancelled())
    reports = [
        dataclasses.replace(
            done,
            cells=(
                records.CellReport(
                    id=cell.id, state="0" * 64, effect="read", source="head", ms=0.0
                ),
            ),
        )
        for cell in given["cells"]
    ]

    async def emit(event: records.Event) -> None:
        pass

    for _ in range(8):
        async with kept.watch(runs.Who(subject="eve"), request, emit) as tell:
            for each in reports:
                await tell(each)
    await kept.close()
    sizes = [len(json.dumps(act.details)) for act in log.acts]
    assert (len(sizes), sum(sizes) < 6 << 20, max(sizes[-6:]) < 20_000) == (16, True, True)


async def test_so_many_cells_are_told_apart() -> None:
    log = Log()
    kept = runs.Runs(log, statements.Statements(), strict=True)
    sources = [f"select {i}" for i in range(5_000)]
    cells = await started(log, kept, runs.Who(subject="eve"), *sources)
    assert len(cells) == 1_001
    assert cells[-1]["cells"] == 4_000
    other = await started(log, kept, runs.Who(subject="eve"), *sources[:-1], "drop table t")
    assert cells[-1]["digest"] != other[-1]["digest"]
    await kept.close()
