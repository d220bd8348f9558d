"""What running a cell came to."""

from __future__ import annotations

import dataclasses

from pgcellar.api import records
from pgcellar.notebook import states


class CellFailed(Exception):
    """A statement of the cell failed. `unharmed`: the instance is as it was before the cell."""

    def __init__(self, error: records.SqlError, *, unharmed: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.unharmed = unharmed


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CellRun:
    """What a cell did. `rows` is how many its last statement returned or affected.

    `error` is the first that PostgreSQL gave in an open transaction: unlike any other it is a part
    of the state, since the transaction is aborted by it. Or it is why a chart could not be drawn,
    which the state has nothing to do with. `rerolled`: a volatile statement that had
    been frozen ran again. `opaque`: it ran code that its text does not show.
    """

    mark: states.Mark
    effect: states.CellEffect
    ms: float
    rows: int | None
    loaded: tuple[str, ...] = ()
    error: records.SqlError | None = None
    rerolled: bool = False
    opaque: bool = False
