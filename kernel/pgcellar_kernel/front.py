"""The comm of a notebook's front end: it tells how the notebook stands, and asks about it.

A message from the front end is a JSON object. One with `order` or `cells` tells what has changed
in the notebook (`order.NotebookOrder.change`); `send` names the cell whose execute request comes
next, with its `source`; `active` the one that is written in. With `ask` and an `id` of its own it
asks something, and is answered by `{"id": …, "answer": …}` or `{"id": …, "problem": …}`. Of its own
accord the kernel tells `{"event": "hello" | "running" | "progress" | "ran" | "ended" | "edit", …}`:
with `ended` a run that it told of has no report, with `edit`, `edits` are pieces of the cell's text
that shall be replaced, each as `[was, now]`.

`n` is a message's number, from 0. Where one is missing, the kernel does not know the notebook as it
stands: it tells `{"event": "lost"}`, runs no cell for that page, and the front end opens another
comm. The same where a front end goes on with a comm of the kernel before, which is closed then.

A front end sends its messages in order with its execute requests, on the shell channel. While a
cell runs, its messages are taken beside it; execute requests wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from pgcellar.api import errors, order, problems

logger = logging.getLogger(__name__)

#: The comm's target.
TARGET = "pgcellar.notebook"
#: Changes when a front end of before would not understand this kernel, or the other way round.
VERSION = 1
_UNFORESEEN = "The kernel met an error it did not foresee; its log has the details."


class Comm(Protocol):
    """What is needed of a comm."""

    def send(self, data: dict[str, Any]) -> None:
        """Send a message to the front end."""

    def on_msg(self, callback: Callable[[dict[str, Any]], None]) -> None:
        """Have messages from the front end handled."""

    def on_close(self, callback: Callable[[dict[str, Any]], None]) -> None:
        """Have it told when the front end is gone."""


class Page:
    """One front end: a page that is loaded anew is another one."""

    def __init__(self, comm: Comm, client: str) -> None:
        self.comm = comm
        #: The session of the client it is in, as its messages' headers have it.
        self.client = client
        self.order = order.NotebookOrder()
        #: The cell that somebody writes in.
        self.active = ""
        #: The messages that came, and whether one of them did not.
        self.heard = 0
        self.lost = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where a cell stands in the notebook of a front end, and with which text."""

    page: Page
    place: order.Place


#: Answers a question of a front end.
Answer = Callable[[Page, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class Front:
    """The front ends of a kernel's notebook. `written` is called when another cell is active."""

    def __init__(self, answers: Mapping[str, Answer], written: Callable[[], None]) -> None:
        self._answers = answers
        self._written = written
        #: The one that spoke last comes last.
        self._pages: list[Page] = []
        self._asked: set[asyncio.Task[None]] = set()
        #: Cells that were sent by a page that this kernel knows nothing of.
        self._strays: set[str] = set()
        #: The cell that runs, as was told.
        self._runs: str | None = None

    def open(self, comm: Comm, message: Mapping[str, Any]) -> None:
        """A front end is there, and tells its notebook whole."""
        page = Page(comm, str(message.get("header", {}).get("session", "")))
        self._pages.append(page)
        comm.on_msg(lambda received: self._receive(page, _data(received)))
        comm.on_close(lambda _: self._pages.remove(page))
        comm.send({"event": "hello", "version": VERSION})
        if self._runs is not None:
            comm.send({"event": "running", "cell": self._runs})
        self._receive(page, _data(message))

    @property
    def any(self) -> bool:
        """Whether one is there."""
        return bool(self._pages)

    def standing(self, cell: str, client: str, before: Page | None = None) -> Standing | None:
        """Where a cell stands now in a front end that knows it.

        It is one in that client, if there is one, rather the one of before. A page that is loaded
        anew is another one, in another client, and nobody says that the one of before is gone.
        """
        pages = [page for page in reversed(self._pages) if page.order.knows(cell)]
        if not pages:
            return None
        page = min(pages, key=lambda page: (page.client != client, page is not before))
        return Standing(page=page, place=page.order.at(cell))

    def stray(self, message: Mapping[str, Any]) -> bool:
        """A message came over a comm that is not there; whether it is a page's."""
        told = _data(message)
        if type(told.get("n")) is not int:
            return False
        if isinstance(told.get("send"), str):
            self._strays.add(told["send"])
        return True

    def edit(self, page: Page, cell: str, edits: Sequence[tuple[str, str]]) -> None:
        """Have a front end change a cell's text."""
        if edits:
            page.order.edit(cell, edits)
            page.comm.send({"event": "edit", "cell": cell, "edits": [list(each) for each in edits]})

    def place(self, cell: str, source: str, tagged: str) -> order.Place | None:
        """Where a cell that is to run stands, if a front end knows it; see `NotebookOrder`.

        Raises Conflict where a front end does, but can't say so.
        """
        knows = next((each for each in reversed(self._pages) if each.order.knows(cell)), None)
        if cell in self._strays or (knows is not None and knows.lost):
            self._strays.discard(cell)
            raise errors.Conflict(
                "Messages of the notebook to its kernel were lost, so what stands above the cell is"
                " not known.",
                hint="Run the cell again.",
            )
        places = (page.order.place(cell, source, tagged) for page in reversed(self._pages))
        return next((place for place in places if place is not None), None)

    def active(self) -> order.Place | None:
        """Where the cell stands that somebody writes in, if a front end says so."""
        for page in reversed(self._pages):
            with contextlib.suppress(errors.NotFound):
                return page.order.at(page.active)
        return None

    def abort(self) -> None:
        """A cell failed, so those that were sent after it do not run."""
        for page in self._pages:
            page.order.abort()

    def tell(self, event: str, cell: str, **more: Any) -> None:
        """Tell every front end something about a cell; those that come later, what still runs."""
        if event == "running":
            self._runs = cell
        elif event in ("ran", "ended"):
            self._runs = None
        for page in self._pages:
            page.comm.send({"event": event, "cell": cell, **more})

    def ended(self, cell: str) -> None:
        """A cell runs no more; those who were told that it does are told, if they were not yet."""
        if self._runs == cell:
            self.tell("ended", cell)

    def _receive(self, page: Page, told: Mapping[str, Any]) -> None:
        if self._pages[-1] is not page:
            self._pages.remove(page)
            self._pages.append(page)
        if not self._counts(page, told):
            return
        try:
            if "order" in told or "cells" in told:
                page.order.change(told)
            if isinstance(told.get("active"), str):
                page.active = told["active"]
                self._written()
            if isinstance(told.get("send"), str):
                page.order.send(told["send"], str(told.get("source", "")))
        except errors.BadRequest as exc:
            page.comm.send({"id": told.get("id"), "problem": problems.of(exc).to_json()})
            return
        if "ask" in told:
            task = asyncio.ensure_future(self._answer(page, told))
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)

    def _counts(self, page: Page, told: Mapping[str, Any]) -> bool:
        """Whether all messages of a page came; those that do not count are of older front ends."""
        number = told.get("n")
        if not page.lost and type(number) is int and number != page.heard:
            page.lost = True
            page.comm.send({"event": "lost"})
        page.heard += 1
        return not page.lost

    async def _answer(self, page: Page, asked: Mapping[str, Any]) -> None:
        reply: dict[str, Any] = {"id": asked.get("id")}
        try:
            answer = self._answers.get(str(asked["ask"]))
            if answer is None:
                raise errors.BadRequest(f"Nothing is known of `{asked['ask']}`.")
            reply["answer"] = await answer(page, asked)
        except errors.PgcellarError as exc:
            reply["problem"] = problems.of(exc).to_json()
        except Exception:
            logger.exception("answering the front end")
            reply["problem"] = problems.of(errors.PgcellarError(_UNFORESEEN)).to_json()
        page.comm.send(reply)


def _data(message: Mapping[str, Any]) -> Mapping[str, Any]:
    data = message["content"].get("data")
    return data if isinstance(data, Mapping) else {}
