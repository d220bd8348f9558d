"""Where a head may begin to run for pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from pgcellar.api import records
from pgcellar.notebook import cells


class Gate:
    """Lets a head begin where its results are known by `key`, and nowhere else.

    With None it is closed: the run brings the notebook to where its head would begin. `opened`
    says whether the head began.
    """

    def __init__(self, key: str | None) -> None:
        self.key = key
        self.opened = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where a head would begin: the state, and by what its results there are known.

    `head` is what would run there, with its variables put in. `events` are those it gave before, if
    they are remembered.
    """

    state: str
    key: str
    head: cells.ParsedCell
    events: Sequence[records.Event] | None
