"""Remembers what is made of texts: of many that are short, and of few that are long.

Counted alone, tens of thousands of texts of a megabyte would be kept for whoever sends them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")

#: Characters of a text that is long, and how many such are remembered.
LONG = 10_000
FEW = 16


class Remembered(Generic[_Given, _Made]):
    """A function of a text that remembers what it made, of `most` short ones; `is_long` tells."""

    def __init__(
        self, make: Callable[_Given, _Made], most: int, is_long: Callable[_Given, bool]
    ) -> None:
        functools.update_wrapper(self, make)
        self._is_long = is_long
        self._short = functools.lru_cache(maxsize=most)(make)
        self._long = functools.lru_cache(maxsize=FEW)(make)

    def __call__(self, *given: _Given.args, **named: _Given.kwargs) -> _Made:
        """What the function makes of it."""
        make = self._long if self._is_long(*given, **named) else self._short
        # ParamSpec can't say that what is given is hashable, as what functions of texts take is.
        return make(*given, **named)  # type: ignore[arg-type]

    def forget(self) -> None:
        """Forget all."""
        self._short.cache_clear()
        self._long.cache_clear()


def remembered(
    most: int, is_long: Callable[_Given, bool]
) -> Callable[[Callable[_Given, _Made]], Remembered[_Given, _Made]]:
    """As a decorator."""
    return lambda make: Remembered(make, most, is_long)


def is_long(source: str) -> bool:
    """Whether a text is."""
    return len(source) > LONG
