"""A cell with its variables put in: what it does where they have certain values. Pure.

What a cell gives is decided by the state and by its steps, and not by how these came about: so a
variable that none of them names has no part in it. A query that sets variables itself (`\\gset`)
is the exception, since only running it tells the steps behind it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from pgcellar.notebook import cells, psqlscan, scripts


def texts(
    cell: cells.ParsedCell, variables: scripts.Variables, include: scripts.Include
) -> list[str] | None:
    """What a cell does, step by step, to be digested; None where only running it tells."""
    if cell.scanned == "nothing":
        return [step.statement.canonical for step in cell.steps]
    script = scripts.Script(cell, variables, include)
    if script.static:
        return [step.statement.canonical for step in cell.steps]
    found: list[str] = []
    on = scripts.switches(variables)
    for step in _steps(script):
        if step.gset is not None:
            return None
        found.append(step.statement.canonical)
        if not _plain(step, on):
            found.append(_shows(step))
    return found


def bound(cell: cells.ParsedCell, variables: scripts.Variables) -> cells.ParsedCell:
    """The cell as SQL alone, where it is nothing else once its variables are put in.

    Else it stays as it is. Of a cell that sets variables, what it sets is left out.
    """
    if cell.session is not None or cell.scanned == "nothing":
        return cell
    script = scripts.Script(cell, variables, _nothing)
    if script.static:
        return dataclasses.replace(cell, scanned="nothing")
    steps = list(_steps(script))
    on = scripts.switches(variables)
    if not all(_plain(step, on) for step in steps):
        return cell
    made = cells.plain("\n;\n".join(step.statement.text for step in steps))
    # Read again without psql's eyes, it must be the same.
    if _canonicals(made.steps) != _canonicals(steps):
        return cell
    return dataclasses.replace(made, translation=cell.translation)


def _steps(script: scripts.Script) -> list[cells.Step]:
    found = []
    while (step := script.next()) is not None:
        found.append(step)
        if step.gset is not None:
            break
    return found


def _plain(step: cells.Step, on: Collection[str]) -> bool:
    """Whether a step is a statement, shown as any other where these switches are on."""
    return (
        step.statement.kind == "sql"
        and step.effect.refusal is None
        and step.data is None
        and step.gset is None
        and step.shown is None
        and not step.included
        and step.expanded == (scripts.EXPANDED in on)
        and step.timing == (scripts.TIMING in on)
    )


def _shows(step: cells.Step) -> str:
    return repr(
        (
            step.says, step.describes, step.expanded, step.timing, step.connects, step.shown,
            step.effect.refusal,
        )
    )  # fmt: skip


def _canonicals(steps: tuple[cells.Step, ...] | list[cells.Step]) -> list[str]:
    return [step.statement.canonical for step in steps]


def _nothing(name: str) -> psqlscan.Problem:
    return psqlscan.Problem(message=f"{name} is not read.", hint="", start=0)
