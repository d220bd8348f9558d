"""A cell's source with everything that can be known of it without a database, worked out once."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable

from pgcellar.notebook import effects, statements


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One statement of a cell with its predicted effect."""

    statement: statements.Statement
    effect: effects.Effect


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ParsedCell:
    """The statements of one cell text.

    `files` are the meta-commands that read a file, whose digests enter the state id.
    `reads_only`: every statement is predicted to be a read. `refused` is the first statement that
    can't run in a notebook. `needs_base`: a statement depends on the session since the base.
    `roles`: a statement may change the set of roles.
    `digest` is that of its canonical text: equal for cells that mean the same.
    """

    source: str
    steps: tuple[Step, ...]
    files: tuple[str, ...]
    reads_only: bool
    refused: Step | None
    needs_base: bool
    roles: bool
    digest: str


# A notebook of thousands of cells is planned at every run; only the edited cell is parsed anew.
@functools.lru_cache(maxsize=20_000)
def parse(source: str) -> ParsedCell:
    """Split and classify a cell. Never raises: what can't be parsed is left to the server."""
    steps = tuple(
        Step(statement=statement, effect=effects.predict(statement))
        for statement in statements.split(source)
    )
    return ParsedCell(
        source=source,
        steps=steps,
        files=tuple(s.statement.text for s in steps if s.statement.kind == "meta"),
        reads_only=all(step.effect.name == "read" for step in steps),
        refused=next((step for step in steps if step.effect.refusal), None),
        needs_base=any(step.effect.binding == "base" for step in steps),
        roles=any(step.effect.roles for step in steps),
        digest=_digest(step.statement.canonical for step in steps),
    )


def _digest(texts: Iterable[str]) -> str:
    joined = "\n;\n".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()
