"""What helps to write a cell: completion, inspection, formatting; by the state above the cell.

Nothing here waits long or runs anything: where the service is slow, or has not got that far, what
was known before does, together with what the cells in between say in their text.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import logging
from typing import Any, Protocol

from pgcellar.api import errors, names, order, records
from pgcellar_kernel import completion, inspection
from pgcellar_kernel.language import catalog, definitions

logger = logging.getLogger(__name__)

#: Seconds that somebody who types waits for the service.
PATIENCE = 0.8
#: Catalogs of states that are held.
MOST_CATALOGS = 8
#: Places whose state is known for good: that of all cells above was kept.
_MOST_PLACES = 32


class Service(Protocol):
    """What is asked of the service: its client has it."""

    async def find_names(self, request: names.NamesRequest) -> names.NamesFound:
        """See `pgcellar.api.client.Client.find_names`."""

    async def vocabulary(self) -> names.Vocabulary:
        """See `pgcellar.api.client.Client.vocabulary`."""


class Comforts:
    """See the module. `notebook` and `directory` are as in a run's request."""

    def __init__(self, service: Service, *, notebook: str, directory: str | None = None) -> None:
        self._service = service
        self._notebook = notebook
        self._directory = directory
        self._words = catalog.words(None)
        self._vocabulary: asyncio.Task[None] | None = None
        self._catalogs: collections.OrderedDict[str, catalog.Catalog] = collections.OrderedDict()
        #: By the cells above, the state after all of them.
        self._places: collections.OrderedDict[tuple[records.Cell, ...], str] = (
            collections.OrderedDict()
        )
        #: What was found last, and below how many cells.
        self._last: tuple[tuple[records.Cell, ...], str] | None = None

    async def complete(self, place: order.Place, code: str, cursor: int) -> dict[str, Any]:
        """The content of a complete_reply; `cursor` counts characters of `code`.

        `place` is where the cell stands; its head's own text is not looked at. Raises nothing.
        """
        tail = place.cells[: place.head]
        try:
            known = await self._catalog(tail)
            answer = completion.complete(code, cursor, known, (cell.source for cell in tail))
        except Exception:
            logger.exception("completing")
            answer = completion.Answer(start=cursor, end=cursor)
        return answer.reply()

    async def inspect(self, place: order.Place, code: str, cursor: int) -> dict[str, Any]:
        """The content of an inspect_reply. Raises nothing."""
        try:
            known = await self._catalog(place.cells[: place.head])
            data = inspection.inspect(code, cursor, known)
        except Exception:
            logger.exception("inspecting")
            data = {}
        return {"status": "ok", "found": bool(data), "data": data, "metadata": {}}

    async def prepare(self, place: order.Place) -> None:
        """Have the names at a place at hand, before somebody asks for them. Raises nothing."""
        await self._catalog(place.cells[: place.head])

    async def format(self, code: str) -> dict[str, Any]:
        """The cell with its statements laid out: `source`, and whether it is another text."""
        try:
            source = await asyncio.to_thread(_formatted, code)
        except Exception:
            logger.exception("formatting")
            source = code
        return {"status": "ok", "source": source, "changed": source != code}

    # --- catalogs ----------------------------------------------------------------------------

    async def _catalog(self, tail: tuple[records.Cell, ...]) -> catalog.Catalog:
        """The names below some cells: those of a state, and what the texts below it add."""
        state, left = await self._state(tail)
        await self._learn_words()
        known = self._catalogs.get(state or "")
        if known is None:
            known = catalog.of_names(None, self._words)
            left = len(tail)
        else:
            self._catalogs.move_to_end(state or "")
        if known.words is not self._words:
            known = self._catalogs[state or ""] = dataclasses.replace(known, words=self._words)
        return definitions.over(known, (cell.source for cell in tail[len(tail) - left :]))

    async def _state(self, tail: tuple[records.Cell, ...]) -> tuple[str | None, int]:
        """The state whose catalog is held that is nearest above, and the cells below that."""
        state = self._places.get(tail)
        if state is not None and state in self._catalogs:
            self._places.move_to_end(tail)
            return state, 0
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._service.find_names(self._request(tail))
        except (errors.PgcellarError, TimeoutError, OSError, ValueError) as exc:
            logger.debug("asking for names: %s", exc)
            return self._known_above(tail)
        if found.names is not None:
            self._catalogs[found.state] = catalog.of_names(found.names, self._words)
            while len(self._catalogs) > MOST_CATALOGS:
                self._catalogs.popitem(last=False)
        # A base may stand above the first cell, and have cells of its own.
        left = min(found.left, len(tail))
        self._last = tail[: len(tail) - left], found.state
        if left == 0:
            self._places[tail] = found.state
            while len(self._places) > _MOST_PLACES:
                self._places.popitem(last=False)
        return found.state, left

    def _known_above(self, tail: tuple[records.Cell, ...]) -> tuple[str | None, int]:
        """The nearest place above whose state was found before."""
        best: tuple[str | None, int] = (None, len(tail))
        places = list(self._places.items())
        if self._last is not None:
            places.append(self._last)
        for above, state in places:
            left = len(tail) - len(above)
            if 0 <= left <= best[1] and state in self._catalogs and tail[: len(above)] == above:
                best = state, left
        return best

    def _request(self, tail: tuple[records.Cell, ...]) -> names.NamesRequest:
        run = records.RunRequest(
            notebook=self._notebook,
            cells=(*tail, records.Cell(id="", source="")),
            head=len(tail),
            directory=self._directory,
        )
        return names.NamesRequest(run=run, known=tuple(self._catalogs))

    async def _learn_words(self) -> None:
        """Ask for PostgreSQL's own names once, and again if it could not be asked."""
        if self._words.keywords:
            return
        if self._vocabulary is None or self._vocabulary.done():
            self._vocabulary = asyncio.create_task(self._ask_vocabulary())
        await asyncio.wait([self._vocabulary], timeout=PATIENCE / 2)

    async def _ask_vocabulary(self) -> None:
        try:
            self._words = catalog.words(await self._service.vocabulary())
        except (errors.PgcellarError, OSError, ValueError) as exc:
            logger.debug("asking for the vocabulary: %s", exc)


def _formatted(code: str) -> str:
    # PostgreSQL's grammar is not needed before somebody asks, and takes long to import.
    from pgcellar.notebook import formatting

    return formatting.format(code)
