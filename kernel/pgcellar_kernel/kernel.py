"""The Jupyter kernel: protocol only. What a cell means is the runner's to say."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import pathlib
import uuid
from collections.abc import Callable
from typing import Any

import pgcellar
from pgcellar.api import client, documents, errors, order, records, traces
from pgcellar_kernel import (
    answers,
    beside,
    comforts,
    comms,
    completeness,
    display,
    front,
    interacting,
    paging,
    viewers,
)

logger = logging.getLogger(__name__)

#: Seconds the service gets to give instances back when the kernel ends.
FORGET_TIMEOUT = 2.0
#: Seconds that a cell is active before its names are looked up.
NAMES_PAUSE = 0.4


class PgcellarKernel(beside.BesideKernel):
    """SQL cells, run by the pgcellar service of this user."""

    _execute_sleep = 0.0
    implementation = "pgcellar"
    implementation_version = pgcellar.__version__
    banner = "pgcellar: SQL notebooks without hidden state, on PostgreSQL"
    language_info = {  # noqa: RUF012 - declared so by the base class
        "name": "sql",
        "version": "PostgreSQL",
        "mimetype": "text/x-pgsql",
        "codemirror_mode": "text/x-pgsql",
        "pygments_lexer": "postgresql",
        "file_extension": ".sql",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._notebook = f"kernel:{uuid.uuid4().hex}"
        self._order = order.ExecutionOrder()
        self._client: client.Client | None = None
        self._helper: comforts.Comforts | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._run: str | None = None
        self._interrupted = False
        self._warming: asyncio.Task[None] | None = None
        self._foreseeing: asyncio.Task[None] | None = None
        self._max_rows = _max_rows()
        self._traces = _traces()
        self._announce: Callable[[], None] | None = None
        self._answers = answers.Answers(self._service, self._request, self._comforts)
        self.turn = asyncio.Lock()
        self._shown: display.Shown | None = None
        self._interactions = interacting.Interactions(self)
        self._viewers = viewers.Viewers()
        self._pagers = paging.Pagers(
            self._service,
            self._request,
            # A front end of ours has a grid.
            wanted=lambda: self._viewers.shows(self.sender()) and not self._front.any,
        )
        self._front = front.Front(self._answers.by_name(), self._foresee)
        self.comm_manager = comms.manage()
        self.comm_manager.register_target(front.TARGET, self._front.open)
        self.comm_manager.register_target(viewers.TARGET, self._viewers.open)
        for kind in comms.MESSAGES:
            self.shell_handlers[kind] = getattr(self.comm_manager, kind)
        self.shell_handlers["comm_msg"] = self._comm_msg

    @property
    def kernel_info(self) -> dict[str, Any]:
        """As the base class says, but for what this kernel can't do.

        Statements of one session can't run beside one another, so no subshells; and a client that
        sees none sends its comm messages in order with its execute requests.
        """
        return {**super().kernel_info, "supported_features": []}

    async def kernel_info_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Answer at once; then see to it that service and sandbox are up when a cell comes."""
        await super().kernel_info_request(stream, ident, parent)  # type: ignore[no-untyped-call]  # as above
        if self._warming is None:
            self._warming = asyncio.create_task(self._warm())

    def _comm_msg(self, stream: Any, ident: Any, message: dict[str, Any]) -> None:
        """Take a message of a comm; a page of the kernel before is told that its comm is gone."""
        content = message["content"]
        known = content.get("comm_id") in self.comm_manager.comms
        if known or not self._front.stray(message):
            self.comm_manager.comm_msg(stream, ident, message)
        else:
            gone = {"comm_id": content["comm_id"], "data": {}}
            self._send_below(message, "comm_close", gone)

    async def _warm(self) -> None:
        # The request may come on either channel, each with a loop of its own.
        with contextlib.closing(client.Client()) as service:
            try:
                await service.plan(self._request((records.Cell(id="", source=""),), 0))
            except Exception as exc:
                # The first cell will meet the same and say so to the person.
                logger.debug("warming up: %s", exc)

    # --- running -----------------------------------------------------------------------------

    async def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool = True,
        user_expressions: dict[str, Any] | None = None,
        allow_stdin: bool = False,
        *,
        cell_meta: dict[str, Any] | None = None,
        cell_id: str | None = None,
    ) -> dict[str, Any]:
        """Run one cell as head. Whatever goes wrong, the kernel goes on."""
        loop = asyncio.get_running_loop()
        # In the turn after the next: the one in which the cell is sent to the service.
        loop.call_soon(loop.call_soon, self._announced)
        try:
            return await self._execute(code, silent, cell_meta, cell_id)
        finally:
            self._announced()

    def _publish_execute_input(self, code: str, parent: Any, execution_count: int) -> None:
        """Tell the clients what runs, while it is on its way; at the latest before its outputs."""
        self._announce = functools.partial(
            super()._publish_execute_input,
            code,
            parent,
            execution_count,
        )

    def _announced(self) -> None:
        announce, self._announce = self._announce, None
        if announce is not None:
            announce()

    async def _execute(
        self, code: str, silent: bool, cell_meta: dict[str, Any] | None, cell_id: str | None
    ) -> dict[str, Any]:
        tags = documents.tags(cell_meta)
        sent, code = code, documents.as_tagged(code, tags)
        if silent or not code.strip() or documents.SKIP in tags:
            return self._ok()
        identity = str(cell_id) if cell_id else f"[{self.execution_count}]"
        place = order.Place(cells=(records.Cell(id=identity, source=code),), head=0)
        told, kept = None, False
        try:
            told = self._front.place(identity, sent, code) or order.told(cell_meta, code)
            place = told or self._order.place(identity, code)
            error, kept = await self._run_place(place)
        except errors.PgcellarError as exc:
            error = exc.record(cell=identity)
        except Exception:
            logger.exception("running a cell")
            error = errors.PgcellarError(
                "The kernel met an error it did not foresee; its log has the details."
            ).record(cell=identity)
        if told is None:
            self._order.ran(identity, code if kept else None)
        if error is None:
            return self._ok()
        self._front.abort()
        content = display.error_content(error, place.cells, place.head)
        self._send("error", content)
        return {"status": "error", "execution_count": self.execution_count, **content}

    async def _run_place(self, place: order.Place) -> tuple[records.SqlError | None, bool]:
        """Run a head that was sent; the error that ended it, and whether it left a state."""
        self._loop = asyncio.get_running_loop()
        parent = self.get_parent("shell")  # type: ignore[no-untyped-call]  # ipykernel is untyped
        send = functools.partial(self._send_below, parent)
        if interacting.MARK in place.cells[place.head].source:
            return await self._interactions.execute(place, send)
        async with self.turn:
            return await self.run(place, display.Display(send, self._pagers.below(place, send)))

    async def run(
        self, place: order.Place, shown: display.Shown, *, asks: bool = False
    ) -> tuple[records.SqlError | None, bool]:
        """Run a head; the error that ended it, and whether it left a state all the same.

        Whoever calls holds `turn`. `asks`: it is no cell of the notebook, but a query of ours.
        """
        about = {"pgcellar.cell": place.cells[place.head].id}
        with self._traces.span("cell", "client", None, about) as span:
            error, kept = await self._follow(place, shown, span, asks=asks)
            if error is not None:
                span.fail()
            return error, kept

    async def _follow(
        self, place: order.Place, shown: display.Shown, span: traces.Span, *, asks: bool
    ) -> tuple[records.SqlError | None, bool]:
        self._interrupted = False
        self._shown = shown
        service, head = self._service(), place.cells[place.head].id
        try:
            request = self._request(place.cells, place.head)
            running = service.run(request, traceparent=span.traceparent)
            async with contextlib.aclosing(running) as events:
                async for event in events:
                    if isinstance(event, records.Started):
                        self._run = event.run
                        if self._interrupted:
                            await service.cancel(event.run)
                    elif isinstance(event, records.Done):
                        if not asks:
                            self._answers.ran(head, request)
                        # An error in an open transaction is a part of the state.
                        kept = bool(event.cells) and event.cells[-1].state is not None
                        self._tell(head, event, asks=asks)
                        return event.error, event.error is None or kept
                    self._tell(head, event, asks=asks)
                    shown.show(event)
        finally:
            self._run = self._shown = None
            self._front.ended(head)
            shown.clear()
        return None, True

    def _tell(self, head: str, event: records.Event, *, asks: bool) -> None:
        """Tell the front ends of the notebook how a cell comes along."""
        if isinstance(event, records.Started) and not asks:
            self._front.tell("running", head)
        elif isinstance(event, records.Progress):
            self._front.tell("progress", head, **_progress(event))
        elif isinstance(event, records.Done) and not asks:
            self._front.tell("ran", head, **records.to_json(event))

    def overtake(self, shown: display.Shown) -> None:
        """Cancel the run that is shown there, if it is under way."""
        if self._shown is shown:
            self._interrupt()

    def sender(self) -> str:
        """The session of the client whose message is being taken; empty if none is."""
        parent = self.get_parent("shell")  # type: ignore[no-untyped-call]  # ipykernel is untyped
        return str(parent.get("header", {}).get("session", ""))

    def standing(self, cell: str, client: str, before: front.Page | None) -> front.Standing | None:
        """Where a cell stands now, if a front end knows it; see `front.Front.standing`."""
        return self._front.standing(cell, client, before)

    def behind(self, place: order.Place) -> order.Place:
        """Where a cell that no front end knows stands now, as far as the kernel can tell."""
        cell = place.cells[place.head]
        known = self._order.knows(cell.id)
        return self._order.place(cell.id, cell.source) if known else place

    def edit(self, page: front.Page, cell: str, edits: list[tuple[str, str]]) -> None:
        """Have a front end change a cell's text."""
        self._front.edit(page, cell, edits)

    def _service(self) -> client.Client:
        if self._client is None:
            self._client = client.Client()
        return self._client

    def _request(self, cells: tuple[records.Cell, ...], head: int) -> records.RunRequest:
        return records.RunRequest(
            notebook=self._notebook,
            cells=cells,
            head=head,
            directory=_directory(),
            max_rows=self._max_rows,
            brief=True,
        )

    def _ok(self) -> dict[str, Any]:
        return {
            "status": "ok",
            "execution_count": self.execution_count,
            "payload": [],
            "user_expressions": {},
        }

    def _send(self, kind: str, content: dict[str, Any]) -> None:
        self._announced()
        self.send_response(self.iopub_socket, kind, content)  # type: ignore[no-untyped-call]  # as above

    def _send_below(self, parent: dict[str, Any], kind: str, content: dict[str, Any]) -> None:
        """Send output of the cell that a request was for, also when it has long been answered."""
        self._announced()
        assert self.session is not None
        self.session.send(self.iopub_socket, kind, content, parent)

    # --- interrupting ------------------------------------------------------------------------

    async def interrupt_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Cancel the running statement at the server; harmless when nothing runs.

        Comes on the control channel, which has a thread and a loop of its own. The cell's reply
        follows when PostgreSQL has acknowledged the cancellation, and no statement begins before.
        """
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._interrupt)
        assert self.session is not None
        self.session.send(stream, "interrupt_reply", {"status": "ok"}, parent, ident=ident)

    def _interrupt(self) -> None:
        self._interrupted = True
        if self._run is not None and self._client is not None:
            self._cancelling = asyncio.ensure_future(self._cancel(self._client, self._run))

    async def _cancel(self, service: client.Client, run: str) -> None:
        try:
            await service.cancel(run)
        except errors.PgcellarError as exc:
            logger.warning("the run can't be cancelled: %s", exc)

    # --- the rest of the protocol ------------------------------------------------------------

    async def do_is_complete(self, code: str) -> dict[str, Any]:
        """For consoles: is this a whole statement?"""
        found = completeness.status(code)
        return {"status": found, **({"indent": ""} if found == "incomplete" else {})}

    async def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        """Names by the state below the cells that ran, keywords, meta-commands."""
        return await self._comforts().complete(self._written(), code, cursor_pos)

    async def do_inspect(
        self,
        code: str,
        cursor_pos: int,
        detail_level: int = 0,
        omit_sections: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """What the word at the cursor names, or the syntax of its command."""
        return await self._comforts().inspect(self._written(), code, cursor_pos)

    def _written(self) -> order.Place:
        """Where the cell stands that somebody writes in."""
        return self._front.active() or self._order.below()

    def _foresee(self) -> None:
        """Somebody may soon ask for names; while cells are run one after the other, nobody does."""
        if self._foreseeing is not None:
            self._foreseeing.cancel()
        self._foreseeing = asyncio.create_task(self._learn_names())

    async def _learn_names(self) -> None:
        await asyncio.sleep(NAMES_PAUSE)
        await self._comforts().prepare(self._written())

    def _comforts(self) -> comforts.Comforts:
        if self._helper is None:
            self._helper = comforts.Comforts(
                self._service(), notebook=self._notebook, directory=_directory()
            )
        return self._helper

    async def do_history(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """No history is kept besides the notebook."""
        return {"status": "ok", "history": []}

    async def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """Give the notebook's instances back; its states stay."""
        try:
            async with asyncio.timeout(FORGET_TIMEOUT):
                with contextlib.closing(client.Client(start=False)) as service:
                    await service.forget(self._notebook)
        except Exception as exc:
            # The service gives back by itself what is idle; a kernel that doesn't end is worse.
            logger.debug("giving instances back: %r", exc)
        return {"status": "ok", "restart": restart}


def _progress(event: records.Progress) -> dict[str, Any]:
    return {
        "message": event.message,
        "at": event.cell,
        "left": event.left,
        "what": event.what,
        "done": event.done,
        "total": event.total,
    }


def _directory() -> str | None:
    """The notebook's folder, in which Jupyter starts its kernel; None if it is gone."""
    try:
        return str(pathlib.Path.cwd())
    except FileNotFoundError:
        return None


def _traces() -> traces.Traces:
    """Where spans of cells go, by the environment; a kernel without them runs all the same."""
    try:
        return traces.to(os.environ.get("PGCELLAR_TRACES", ""), "pgcellar-kernel")
    except errors.Unsupported as exc:
        logger.warning("%s %s", exc.message, exc.hint)
        return traces.Off()


def _max_rows() -> int:
    """`PGCELLAR_MAX_ROWS`, how many rows of a result are shown, if it is a number."""
    named = os.environ.get("PGCELLAR_MAX_ROWS", "")
    return int(named) if named.isdecimal() else records.DEFAULT_MAX_ROWS
