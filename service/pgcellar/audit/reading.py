"""Audit records for who asks: by pages that fit into memory, and a few at a time for each.

Whoever runs long statements decides how long their records are, and may ask for them as well.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import datetime
from collections.abc import Iterator
from typing import Any

from pgcellar.api import errors
from pgcellar.audit import exporting, store

#: Records and bytes of their details on one page; a longer record has one of its own.
MOST = 1_000
_BYTES = 2 << 20
#: Answers for one subject that are made or sent at once.
_EACH = 4


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Records as JSON objects, and the place that the next page begins behind, if there is one."""

    records: list[dict[str, Any]]
    next: tuple[datetime.date, int] | None


class Reading:
    """See the module."""

    def __init__(self, records: store.AuditStore) -> None:
        self.records = records
        self._open: collections.Counter[str] = collections.Counter()

    @contextlib.contextmanager
    def place(self, subject: str) -> Iterator[None]:
        """While this is held an answer is made and sent. Raises LimitExceeded."""
        if self._open[subject] >= _EACH:
            raise errors.LimitExceeded(
                f"{_EACH} of your requests for audit records are not answered yet.",
                hint="Wait for them.",
                retry_after=1.0,
            )
        self._open[subject] += 1
        try:
            yield
        finally:
            self._open[subject] -= 1
            if not self._open[subject]:
                del self._open[subject]

    async def page(
        self,
        filters: store.Filters,
        *,
        limit: int = MOST,
        after: tuple[datetime.date, int] | None = None,
        newest_first: bool = True,
    ) -> Page:
        """The records that fit behind a place; no more than `limit`, and perhaps fewer."""
        found, more = await self.records.page(
            filters, limit=limit, max_bytes=_BYTES, after=after, newest_first=newest_first
        )
        listed = await asyncio.to_thread(lambda: [exporting.to_json(each) for each in found])
        return Page(records=listed, next=(found[-1].day, found[-1].seq) if found and more else None)
