"""All rows of a long result, page by page."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from pgcellar.api import errors, records

_ATTEMPTS = 3


class Pages(Protocol):
    """Gives pages."""

    async def page(self, request: records.PageRequest) -> records.Page:
        """Some rows of a long result."""


async def whole(
    service: Pages, request: records.PageRequest, *, max_rows: int, max_bytes: int
) -> records.Page:
    """All rows from the first on, of one execution.

    Raises LimitExceeded where there are more rows, more bytes of text, or not all of them are kept.
    """
    for _ in range(_ATTEMPTS):
        found = await _execution(service, request, max_rows, max_bytes)
        if found is not None:
            return found
    raise errors.LimitExceeded(
        "The result gives way to others before all of its pages are read.",
        hint="Make it a table, by CREATE TABLE … AS, and take that in parts.",
    )


async def _execution(
    service: Pages, request: records.PageRequest, max_rows: int, max_bytes: int
) -> records.Page | None:
    """The rows; None where they were evicted on the way, and came from another execution."""
    request = dataclasses.replace(request, offset=0, limit=records.MAX_PAGE_ROWS)
    first = await service.page(request)
    if not first.complete:
        raise errors.LimitExceeded(
            f"Of {first.row_count} rows only the first {first.kept} are kept.",
            hint="Ask for fewer, or narrower ones, in the cell itself.",
        )
    rows = list(first.rows)
    size = _bytes(first)
    while len(rows) < first.row_count:
        if first.row_count > max_rows or size > max_bytes:
            raise errors.LimitExceeded(
                f"These are {first.row_count} rows; a file has at most {max_rows}, and"
                f" {max_bytes // (1024 * 1024)} MiB of text.",
                hint="Filter them, or use \\copy in a cell, which has no bound.",
            )
        page = await service.page(dataclasses.replace(request, offset=len(rows)))
        if page.execution != first.execution or not page.rows:
            return None
        rows += page.rows
        size += _bytes(page)
    return dataclasses.replace(first, rows=tuple(rows))


def _bytes(page: records.Page) -> int:
    return sum(len(value) for row in page.rows for value in row if value is not None)
