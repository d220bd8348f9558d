"""Whether what a cell gives is a function of the state it runs in, and if not, why. Pure."""

from __future__ import annotations

from pgcellar.notebook import cells, states


def by_text(parsed: cells.ParsedCell) -> str | None:
    """Why a cell's results are no functions of any state, as far as its text tells."""
    if parsed.session is not None:
        return "it runs in a session of its own"
    if parsed.scanned != "nothing":
        return "it has meta-commands, or variables that only running it tells"
    if not parsed.steps:
        return "it has no statement"
    if not parsed.reads_only:
        return "it does more than read"
    if not all(step.effect.pure for step in parsed.steps):
        return "what it reads is not decided by the database's content alone (a clock, chance, …)"
    return None


def reason(before: states.Mark, parsed: cells.ParsedCell, facts: states.Facts | None) -> str | None:
    """Why a cell's results are not certain to be functions of the state; None if they are.

    The cell is bound (see `binding`): what its variables are is in its text.
    """
    found = by_text(parsed)
    if found is not None:
        return found
    if before.transaction:
        return "a transaction is open above it"
    if before.concerns_sessions(parsed):
        return "a cell above it runs in a session of its own"
    if facts is None:
        return "its state has not been looked at"
    if not all(facts.pure(step.effect) for step in parsed.steps):
        return (
            "it may reach a function that writes, or whose result is not decided by the state alone"
        )
    return None
