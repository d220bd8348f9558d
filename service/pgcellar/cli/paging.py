"""`pgcellar page`."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
from typing import Any

from pgcellar.api import client, records, rendering
from pgcellar.cli import notebooks


async def page(arguments: Any) -> int:
    """Show some rows of what a cell gives."""
    notebook = notebooks.read(pathlib.Path(arguments.notebook))
    notebook = notebooks.given(notebook, dict(arguments.parameters))
    request = records.PageRequest(
        notebook=str(notebook.path.resolve()),
        cells=notebook.cells,
        head=notebook.head(arguments.head),
        directory=str(notebook.path.resolve().parent),
        statement=arguments.statement - 1,
        offset=arguments.offset,
        limit=arguments.rows,
    )
    service = client.Client()
    try:
        found = await _rows(service, request)
    finally:
        service.close()
    if arguments.json:
        print(json.dumps(records.to_json(found), ensure_ascii=False))
    else:
        print(_text(found))
    if not found.complete:
        print(
            f"Only the first {found.kept} rows are kept for pages; page_bytes bounds them.",
            file=sys.stderr,
        )
    return 0


async def _rows(service: client.Client, request: records.PageRequest) -> records.Page:
    """All rows that are wanted, in one page."""
    found = await service.page(request)
    while 0 < len(found.rows) < request.limit and found.offset + len(found.rows) < found.kept:
        more = await service.page(
            dataclasses.replace(
                request,
                offset=found.offset + len(found.rows),
                limit=request.limit - len(found.rows),
            )
        )
        if more.execution != found.execution:
            # It was evicted meanwhile: pages of two executions don't fit together.
            found = await service.page(request)
        else:
            found = dataclasses.replace(found, rows=(*found.rows, *more.rows))
    return found


def _text(found: records.Page) -> str:
    result = rendering.Result(
        command="SELECT",
        columns=found.columns,
        rows=found.rows,
        row_count=len(found.rows),
        tabular=True,
    )
    table, _, _ = rendering.as_text(result).rpartition("\n")
    if not found.rows:
        return f"{table}\n(no rows from {found.offset} on, of {found.row_count})"
    last = found.offset + len(found.rows)
    return f"{table}\n(rows {found.offset + 1} to {last} of {found.row_count})"
