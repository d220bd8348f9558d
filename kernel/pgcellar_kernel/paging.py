"""Pages of long results in front ends that show widgets, but are not ours."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pgcellar.api import client, order, records
from pgcellar_kernel import display

if TYPE_CHECKING:
    from pgcellar_kernel import pager


class Pagers:
    """The buttons of the cells that have run, by the cells' ids.

    `request` makes the request that ran a cell; `wanted` says whether a front end wants buttons.
    """

    def __init__(
        self,
        service: Callable[[], client.Client],
        request: Callable[[tuple[records.Cell, ...], int], records.RunRequest],
        wanted: Callable[[], bool],
    ) -> None:
        self._service = service
        self._request = request
        self._wanted = wanted
        self._open: dict[str, list[pager.Pager]] = {}

    def below(self, place: order.Place, send: display.Send) -> display.ShowCut | None:
        """What makes the buttons of results that a cell shows in part; None if nobody wants any."""
        cell = place.cells[place.head].id
        for before in self._open.pop(cell, ()):
            before.close()
        if not self._wanted():
            return None

        def show(cut: display.Cut) -> dict[str, Any] | None:
            try:
                from pgcellar_kernel import pager
            except ImportError:
                # The table says how many rows there are, and that is all there is to it.
                return None
            get = functools.partial(self._page, place, cut)
            made = pager.Pager(cut, send, get)
            self._open.setdefault(cell, []).append(made)
            return made.view

        return show

    async def _page(self, place: order.Place, cut: display.Cut, offset: int) -> records.Page:
        ran = self._request(place.cells, place.head)
        return await self._service().page(
            records.PageRequest(
                notebook=ran.notebook,
                cells=ran.cells,
                head=ran.head,
                directory=ran.directory,
                parameters=ran.parameters,
                statement=cut.statement,
                offset=offset,
                limit=max(1, len(cut.result.rows)),
            )
        )
