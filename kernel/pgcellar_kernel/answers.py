"""What a front end may ask of the kernel about its notebook: the runner's answers, by name."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pgcellar.api import client, columnar, errors, paging, records
from pgcellar_kernel import comforts, explaining, front

R = TypeVar("R")

#: Of a file that is made for a download; it is in memory, in the browser's too.
MAX_ROWS = 1_000_000
MAX_BYTES = 256 * 1024 * 1024

#: Makes the request for a cell at its place, as the kernel would send it.
MakeRequest = Callable[[tuple[records.Cell, ...], int], records.RunRequest]


class Answers:
    """Asks the service on behalf of front ends."""

    def __init__(
        self,
        service: Callable[[], client.Client],
        request: MakeRequest,
        helper: Callable[[], comforts.Comforts],
    ) -> None:
        self._service = service
        self._request = request
        self._comforts = helper
        #: The request of every cell's last run, since pages belong to that, not to what stands now.
        self._ran: dict[str, records.RunRequest] = {}

    def by_name(self) -> Mapping[str, front.Answer]:
        """The answers by what is asked."""
        return {
            "plan": self._plan,
            "page": self._page,
            "prepare": self._prepare,
            "explain": self._explain,
            "compare": self._compare,
            "complete": self._complete,
            "inspect": self._inspect,
            "format": self._format,
            "keep": self._keep,
            "download": self._download,
        }

    def ran(self, cell: str, request: records.RunRequest) -> None:
        """A cell has run, and its results can be paged through."""
        self._ran[cell] = request

    async def _plan(self, page: front.Page, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """`plan`: what a run of the whole notebook would do, cell by cell."""
        cells = page.order.whole()
        if not cells:
            return {"steps": [], "first_miss": None, "planning_ms": 0.0}
        # Nobody asked for it: who has stopped their sandbox does not want it back for this.
        request = self._request(cells, len(cells) - 1)
        plan = await self._service().plan(request, wakes=False)
        return records.to_json(plan)

    async def _page(self, page: front.Page, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """`page`: some rows of what statement `statement` of cell `cell` gave.

        Sorted and filtered by `order` and `filters` in `view`, as in a `PageRequest`. With
        `current` the front end knows that what the cell shows is what it would give now, so that
        its pages can be had of a kernel that has not run it.
        """
        return records.to_json(await self._service().page(self._wanted(page, asked)))

    async def _download(self, page: front.Page, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """`download`: as `page`, all rows as a file in the form `arrow` or `parquet`, in base64."""
        form = asked.get("form")
        if form not in columnar.MEDIA_TYPES:
            raise errors.BadRequest(f"`form` is one of: {', '.join(columnar.MEDIA_TYPES)}.")
        # Said at once where it can't be done.
        columnar.check()
        found = await paging.whole(
            self._service(), self._wanted(page, asked), max_rows=MAX_ROWS, max_bytes=MAX_BYTES
        )
        file = await asyncio.to_thread(columnar.encode, form, found.columns, found.rows)
        return {
            "state": found.state,
            "media_type": columnar.MEDIA_TYPES[form],
            "file": base64.b64encode(file).decode(),
        }

    def _wanted(self, page: front.Page, asked: Mapping[str, Any]) -> records.PageRequest:
        cell = str(asked.get("cell"))
        ran = self._ran.get(cell)
        if ran is None and asked.get("current") is True:
            place = page.order.at(cell)
            ran = self._request(place.cells, place.head)
        if ran is None:
            raise errors.Conflict(
                "This kernel has not run the cell, so it has no more of its rows.",
                hint="Run the cell again.",
            )
        return records.PageRequest(
            notebook=ran.notebook,
            cells=ran.cells,
            head=ran.head,
            directory=ran.directory,
            parameters=ran.parameters,
            statement=_whole(asked, "statement", 0),
            offset=_whole(asked, "offset", 0),
            limit=_whole(asked, "limit", records.DEFAULT_MAX_ROWS),
            order=_viewed(records.Order, asked, "order"),
            filters=_viewed(records.Filter, asked, "filters"),
        )

    async def _prepare(self, page: front.Page, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """`prepare`: the cell `cell` is being edited, and will run soon."""
        place = page.order.at(str(asked.get("cell")))
        request = self._request(place.cells, place.head)
        # What is typed is not whole yet; where it will run does not hang on it.
        head = dataclasses.replace(place.cells[place.head], source="select 1")
        request = dataclasses.replace(request, cells=(*place.cells[:-1], head))
        await self._service().prepare(request)
        return {}

    async def _explain(self, page: front.Page, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """`explain`: the plan of the last query of `cell`; with `analyze` it is run for it."""
        place = page.order.at(str(asked.get("cell")))
        place = explaining.explained(place, analyze=asked.get("analyze") is True)
        return await explaining.explain(self._service(), self._request(place.cells, place.head))

    async def _compare(self, page: front.Page, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """`compare`: the plans `before` and `after`, as PostgreSQL's JSON, side by side."""
        return explaining.compare(asked.get("before"), asked.get("after"))

    async def _complete(self, page: front.Page, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """`complete`: what may stand at `cursor` in `code`, in the cell `cell`."""
        place = page.order.at(str(asked.get("cell")))
        code, cursor = str(asked.get("code", "")), _whole(asked, "cursor", 0)
        return await self._comforts().complete(place, code, cursor)

    async def _inspect(self, page: front.Page, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """`inspect`: what stands at `cursor` in `code`, in the cell `cell`."""
        place = page.order.at(str(asked.get("cell")))
        code, cursor = str(asked.get("code", "")), _whole(asked, "cursor", 0)
        return await self._comforts().inspect(place, code, cursor)

    async def _format(self, page: front.Page, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """`format`: the text `source` laid out."""
        return await self._comforts().format(str(asked.get("source", "")))

    async def _keep(self, page: front.Page, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """`keep`: go to where the cell `cell` leads; the state there is kept a moment later.

        The cell itself runs only where that state is not there, so nothing it froze is rolled.
        """
        cell = str(asked.get("cell"))
        place = page.order.at(cell)
        # A comment runs nothing, and is what the snapshot will be listed by.
        title = next(iter(place.cells[-1].source.splitlines()), "")
        after = records.Cell(id=f"after {cell}", source=f"-- after: {title}")
        request = self._request((*place.cells, after), place.head + 1)
        request = dataclasses.replace(request, rerun=True)
        async with contextlib.aclosing(self._service().run(request)) as events:
            async for event in events:
                if isinstance(event, records.Done):
                    if event.error is not None:
                        raise errors.Conflict(
                            "The notebook can't be run down to this cell: " + event.error.message
                        )
                    return {"state": event.cells[-1].state, "pinned": event.cells[-1].pinned}
        return {"state": None, "pinned": None}


def _whole(asked: Mapping[str, Any], name: str, default: int) -> int:
    number = asked.get(name, default)
    if type(number) is not int:
        raise errors.BadRequest(f"`{name}` must be a whole number.")
    return number


def _viewed(cls: type[R], asked: Mapping[str, Any], name: str) -> tuple[R, ...]:
    try:
        return tuple(records.from_json(cls, each) for each in asked.get("view", {}).get(name, ()))
    except (AttributeError, TypeError, ValueError) as exc:
        raise errors.BadRequest(
            f"`view` has `{name}`, an array of objects; see `PageRequest`."
        ) from exc
