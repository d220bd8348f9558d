"""The limits: their defaults, how they are named to people, and which of several holds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import cast, get_args

from pgcellar.api import errors, identities, quotas

MIB = 1024 * 1024
GIB = 1024 * MIB

NAMES: tuple[quotas.Limit, ...] = get_args(quotas.Limit)
#: What is counted over time, and over how many seconds. The others are what is held at once.
WINDOWS: Mapping[quotas.Limit, float] = {"runs_per_minute": 60.0, "result_bytes": 86400.0}
#: Larger numbers are mistakes; and JSON has no infinity.
MOST = float(2**50)
_SHOWN: Mapping[quotas.Limit, str] = {
    "sandboxes": "{} sandboxes at once",
    "cpu": "{} processors",
    "memory_bytes": "{} of memory",
    "statement_seconds": "{} s for a statement",
    "snapshot_bytes": "{} of snapshots",
    "result_bytes": "{} of results in a day",
    "runs_per_minute": "{} runs in a minute",
}

Values = Mapping[quotas.Limit, float]

ANONYMOUS: Values = {
    "sandboxes": 1,
    "cpu": 1,
    "memory_bytes": 512 * MIB,
    "statement_seconds": 60,
    "snapshot_bytes": 2 * GIB,
    "result_bytes": 1 * GIB,
    "runs_per_minute": 60,
}
REGISTERED: Values = {
    "sandboxes": 2,
    "cpu": 2,
    "memory_bytes": 2 * GIB,
    "statement_seconds": 600,
    "snapshot_bytes": 20 * GIB,
    "result_bytes": 10 * GIB,
    "runs_per_minute": 120,
}
#: What a teacher may give to a class at most.
TEACHER: Values = {
    "sandboxes": 4,
    "cpu": 4,
    "memory_bytes": 4 * GIB,
    "statement_seconds": 1800,
    "snapshot_bytes": 50 * GIB,
    "result_bytes": 50 * GIB,
    "runs_per_minute": 300,
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Defaults:
    """What holds where nothing else is said. The operating system's user has no limits."""

    anonymous: Values = dataclasses.field(default_factory=lambda: ANONYMOUS)
    registered: Values = dataclasses.field(default_factory=lambda: REGISTERED)
    teacher: Values = dataclasses.field(default_factory=lambda: TEACHER)

    def of(self, kind: identities.Kind) -> Values:
        """The defaults for identities of a kind."""
        if kind in ("os", "service"):
            return dict.fromkeys(NAMES, math.inf)
        return self.anonymous if kind == "anonymous" else self.registered


def resolve(default: Values, classes: Iterable[Values], own: Values) -> dict[quotas.Limit, float]:
    """What holds: one's own, else the most generous of one's classes, else the default."""
    of_classes: dict[quotas.Limit, float] = {}
    for each in classes:
        for name, value in each.items():
            of_classes[name] = max(value, of_classes.get(name, 0.0))
    return {**default, **of_classes, **own}


def checked(values: Mapping[str, object]) -> dict[quotas.Limit, float | None]:
    """Limits as somebody sets them; None takes one back. Raises BadRequest."""
    found: dict[quotas.Limit, float | None] = {}
    for name, value in values.items():
        if name not in NAMES:
            raise errors.BadRequest(f"There is no limit {name!r}; there are {', '.join(NAMES)}.")
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MOST
        ):
            raise errors.BadRequest(f"`{name}` is a number from 0 on, or null.")
        found[name] = None if value is None else float(cast(float, value))
    return found


def sentence(name: quotas.Limit, value: float) -> str:
    """A limit with its value, as it is told."""
    return _SHOWN[name].format(_bytes(value) if name.endswith("_bytes") else f"{value:g}")


def _bytes(value: float) -> str:
    for unit, size in (("GiB", GIB), ("MiB", MIB)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} bytes"
