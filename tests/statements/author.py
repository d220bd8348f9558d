"""Who writes generated statements: makes the choices, and keeps the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from hypothesis import strategies as st
from tests.statements import model as models

T = TypeVar("T")


class Author:
    """Makes choices and keeps the model."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], model: models.Model) -> None:
        self._draw = draw
        self.model = model

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        choice: T = self._draw(st.sampled_from(choices))
        return choice

    def number(self, low: int, high: int) -> int:
        """A number, both ends included."""
        number: int = self._draw(st.integers(low, high))
        return number

    def table(self, key: str | None = None) -> str:
        """A table that exists."""
        names = [n for n, t in self.model.tables.items() if key is None or t.key == key]
        return self.pick(sorted(names))

    def sequence(self) -> str:
        """A sequence that exists."""
        return self.pick(sorted(self.model.sequences))

    def fresh(self) -> int:
        """A number that was not given before."""
        self.model.counter += 1
        return self.model.counter

    def once(self, name: str, create: str) -> str | None:
        """What creates a thing, the first time; None from then on."""
        if name in self.model.others:
            return None
        self.model.others.add(name)
        return create


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of statement: how often it is written, by whom, what must exist, and where it may
    stand: anywhere, or only inside or outside of a transaction."""

    weight: int
    write: Callable[[Author], str]
    need: str = ""
    where: Literal["anywhere", "inside", "outside"] = "anywhere"
