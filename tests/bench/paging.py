"""Pages of a million rows over HTTP, against psycopg's OFFSET and LIMIT on the same rows."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

import psycopg
from tests.bench import heads, measure

from pgcellar.api import client, records

PAGES = "a page of 500 of a million rows"
ROWS = 1_000_000
LIMIT = 500
_TABLE = (
    "create table long as select g as id, md5(g::text) as name"
    f" from generate_series(1, {ROWS}) g order by md5(g::text)"
)
_QUERY = "select * from long order by id"
_AIM = "below 50 ms"


async def pages(
    table: measure.Table, service: client.Client, conn: psycopg.AsyncConnection[Any], rounds: int
) -> None:
    """The first page, for which the cell runs, and pages anywhere."""
    cells = [_TABLE, _QUERY]
    run = heads.over_http(service)
    await run("pages", cells, 0)
    await conn.execute(_TABLE)
    bare = table.add(PAGES, "all rows: psycopg", [await _bare(conn, _QUERY)])
    first = [await _page(service, cells, ROWS // 2)]
    table.add(PAGES, "the first page, by HTTP", first, against=bare)
    offsets = [random.Random(number).randrange(ROWS - LIMIT) for number in range(rounds)]
    took = [await _bare(conn, f"{_QUERY} offset {offset} limit {LIMIT}") for offset in offsets]
    bare = table.add(PAGES, "any page: psycopg", took)
    took = [await _page(service, cells, offset) for offset in offsets]
    table.add(PAGES, "any page, by HTTP", took, against=bare, aim=_AIM)


async def _bare(conn: psycopg.AsyncConnection[Any], query: str) -> float:
    async def work() -> None:
        await (await conn.execute(query)).fetchall()

    return await measure.timed(work)


async def _page(service: client.Client, cells: Sequence[str], offset: int) -> float:
    request = records.PageRequest(
        notebook="pages",
        cells=tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(cells)),
        head=len(cells) - 1,
        offset=offset,
        limit=LIMIT,
    )
    begin = time.perf_counter()
    page = await service.page(request)
    took = (time.perf_counter() - begin) * 1000
    expected = [str(number) for number in range(offset + 1, offset + LIMIT + 1)]
    if [row[0] for row in page.rows] != expected:
        raise heads.HeadFailed("The page is another.")
    return took
