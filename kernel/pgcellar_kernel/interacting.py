"""Cells with parameters: their widgets, and the runs that moving one of them begins.

The value of a parameter stands in the cell's text (`parameters`). Where a front end can change the
text (`front`), moving a widget does so, and the cell runs as it stands then. Elsewhere what is
shown for a widget that was moved is a look aside: it says so, and the text's value holds below.
"""

from __future__ import annotations

import asyncio
import dataclasses
import html
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from pgcellar.api import errors, order, records
from pgcellar.notebook import parameters
from pgcellar_kernel import display, slots

if TYPE_CHECKING:
    from pgcellar_kernel import controls, front

logger = logging.getLogger(__name__)

#: What stands in a cell that may have parameters.
MARK = "@param"
_MISSING = "Widgets for these need ipywidgets: pip install pgcellar[widgets]"
_UNFORESEEN = "The kernel met an error it did not foresee; its log has the details."


class Kernel(Protocol):
    """What is needed of the kernel."""

    #: Held while something runs.
    turn: asyncio.Lock

    async def run(
        self, place: order.Place, shown: display.Shown, *, asks: bool = False
    ) -> tuple[records.SqlError | None, bool]:
        """Run a head; the error that ended it, and whether it left a state. See `kernel`."""

    def overtake(self, shown: display.Shown) -> None:
        """Cancel the run that is shown there, if it is under way."""

    def sender(self) -> str:
        """The session of the client whose message is being taken."""

    def standing(self, cell: str, client: str, before: front.Page | None) -> front.Standing | None:
        """Where a cell stands now, if a front end that can change it knows it; see `front`."""

    def behind(self, place: order.Place) -> order.Place:
        """Where a cell that no front end knows stands now."""

    def edit(self, page: front.Page, cell: str, edits: list[tuple[str, str]]) -> None:
        """Have a front end change a cell's text."""


class Interactions:
    """The cells with parameters that have run in this kernel, by id."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._open: dict[str, _Interaction] = {}

    async def execute(
        self, place: order.Place, send: display.Send
    ) -> tuple[records.SqlError | None, bool]:
        """Run a cell as `Kernel.run` does, and show its widgets above its results."""
        cell = place.cells[place.head]
        before = self._open.pop(cell.id, None)
        if before is not None:
            await before.close()
        try:
            declared = parameters.parse(cell.source)
        except parameters.ParameterError:
            # The runner says what is wrong with it.
            declared = ()
        if not declared:
            async with self._kernel.turn:
                return await self._kernel.run(place, display.Display(send))
        made = _Interaction(self._kernel, place, declared, send)
        self._open[cell.id] = made
        return await made.execute()


class _Interaction:
    """One cell as it was executed."""

    def __init__(
        self,
        kernel: Kernel,
        place: order.Place,
        declared: tuple[parameters.Parameter, ...],
        send: display.Send,
    ) -> None:
        self._kernel = kernel
        self._place = place
        self._declared = declared
        self._send = send
        self._slots = slots.Slots(send)
        self._controls: controls.Controls | None = None
        #: The client in which the cell was sent, then the one in which a widget was moved last.
        self._client = kernel.sender()
        #: The front end that has the output, as far as it is known.
        found = kernel.standing(_id(place), self._client, None)
        self._page = None if found is None else found.page
        #: What was moved and is not in the text, and whether it is waiting to be shown.
        self._moved: dict[str, str] = {}
        self._waits = False
        #: Where the run is shown that moving a widget began.
        self._shown: display.Shown | None = None
        self._task: asyncio.Task[None] | None = None
        #: An `error` message stands below, which only clearing the output takes away.
        self._failed = False

    async def close(self) -> None:
        """The cell is executed anew: end what runs, and take the widgets away."""
        self._waits = False
        if self._task is not None:
            if self._shown is not None:
                self._kernel.overtake(self._shown)
            await asyncio.gather(self._task, return_exceptions=True)
        if self._controls is not None:
            self._controls.close()

    async def execute(self) -> tuple[records.SqlError | None, bool]:
        """Show the widgets, and run the cell."""
        async with self._kernel.turn:
            asked = await self._ask(self._place, self._declared, display.Display(self._send))
            if isinstance(asked, records.SqlError):
                return asked, False
            self._show_controls(asked)
            self._failed = True
            error, kept = await self._kernel.run(self._place, display.Display(self._slots))
            self._slots.end()
            self._failed = error is not None
            return error, kept

    # --- widgets -----------------------------------------------------------------------------

    def _show_controls(self, options: Mapping[str, controls.Options]) -> None:
        try:
            from pgcellar_kernel import controls
        except ImportError:
            self._display(_described(self._declared, options, _MISSING))
            return
        self._controls = controls.Controls(self._declared, options, self._move)
        note = "Their values stand in the cell's text."
        self._display({**_described(self._declared, options, note), **self._controls.view})

    def _display(self, data: Mapping[str, Any]) -> None:
        self._send("display_data", {"data": data, "metadata": {}, "transient": {}})

    async def _ask(
        self,
        place: order.Place,
        asking: tuple[parameters.Parameter, ...],
        shown: display.Display,
    ) -> dict[str, controls.Options] | records.SqlError:
        """The options that queries give, of the state above the cell; the error of one of them."""
        out: dict[str, controls.Options] = {}
        source = place.cells[place.head].source
        for parameter in asking:
            if parameter.options is None:
                continue
            # Below the parameters above it, whose variables it may use.
            text = f"{source[: parameter.start]}\n{parameter.options}"
            self._shown = gathered = _Gathered(shown)
            error, _ = await self._kernel.run(_with(place, text), gathered, asks=True)
            if error is None and not gathered.options and parameter.value is None:
                error = errors.BadRequest(
                    "its query gives no options.", hint="Write a value behind it: = …"
                ).record()
            if error is not None:
                return dataclasses.replace(
                    error,
                    message=f"The parameter {parameter.name}: {error.message}",
                    position=parameter.start + 1 if error.cell == _id(place) else error.position,
                    cell=error.cell or _id(place),
                )
            out[parameter.name] = gathered.options
        return out

    # --- moving them -------------------------------------------------------------------------

    def _move(self, name: str, value: str) -> None:
        """A widget was moved: run with its value, in place of what runs for one before."""
        self._client = self._kernel.sender()
        self._moved[name] = value
        self._waits = True
        if self._task is None:
            self._task = asyncio.ensure_future(self._follow())
        elif self._shown is not None:
            self._kernel.overtake(self._shown)

    async def _follow(self) -> None:
        """Run for what was moved, until there is nothing newer."""
        try:
            while self._waits:
                async with self._kernel.turn:
                    if self._waits:
                        self._waits = False
                        await self._run()
        except errors.PgcellarError as exc:
            self._fail(exc.record(cell=_id(self._place)), self._place)
        except Exception:
            logger.exception("following a widget")
            error = errors.PgcellarError(_UNFORESEEN).record(cell=_id(self._place))
            self._fail(error, self._place)
        finally:
            self._task = self._shown = None

    async def _run(self) -> None:
        standing = self._kernel.standing(_id(self._place), self._client, self._page)
        place = self._kernel.behind(self._place) if standing is None else standing.place
        source = place.cells[place.head].source
        try:
            edits = parameters.edits(source, self._moved)
            moved = _with(place, parameters.with_values(source, self._moved))
            declared = parameters.parse(moved.cells[moved.head].source)
        except parameters.ParameterError as exc:
            error = errors.BadRequest(exc.message, hint=exc.hint).record(cell=_id(place))
            self._fail(dataclasses.replace(error, position=exc.start + 1), place)
            return
        if standing is not None:
            self._kernel.edit(standing.page, _id(place), edits)
            self._moved.clear()
            if standing.page is not self._page:
                # A page that was loaded anew does not take output of a run before; it says that
                # what it shows is out of date.
                return
        if self._failed:
            self._begin_anew()
        shown = display.Display(self._slots)
        self._slots.begin()
        if standing is None and edits:
            self._slots("stream", {"name": "stdout", "text": _aside(edits)})
        failure = await self._run_moved(moved, declared, shown)
        if self._waits:
            # What was overtaken is not worth telling.
            return
        if failure is not None:
            self._slots("error", display.error_content(failure, moved.cells, moved.head))
        self._slots.end()

    async def _run_moved(
        self,
        place: order.Place,
        declared: tuple[parameters.Parameter, ...],
        shown: display.Display,
    ) -> records.SqlError | None:
        asked = await self._ask(place, _dependent(declared), shown)
        if isinstance(asked, records.SqlError):
            return asked
        self._offer(declared, asked)
        if self._waits:
            return None
        self._shown = shown
        return (await self._kernel.run(place, shown))[0]

    def _fail(self, error: records.SqlError, place: order.Place) -> None:
        self._slots.begin()
        self._slots("error", display.error_content(error, place.cells, place.head))
        self._slots.end()

    def _begin_anew(self) -> None:
        self._failed = False
        self._send("clear_output", {"wait": True})
        if self._controls is not None:
            self._display({"text/plain": "", **self._controls.view})
        self._slots = slots.Slots(self._send)

    def _offer(
        self,
        declared: tuple[parameters.Parameter, ...],
        options: Mapping[str, controls.Options],
    ) -> None:
        known = {parameter.name: parameter for parameter in self._declared}
        for parameter in declared:
            same = known.get(parameter.name)
            if self._controls is None or same is None or same.kind != parameter.kind:
                continue
            if parameter.name in options:
                self._controls.choose_from(parameter, options[parameter.name])


class _Gathered:
    """Takes the options that a query gives: a value, and what is shown for it if there is more."""

    def __init__(self, shown: display.Display) -> None:
        self._shown = shown
        self.options: controls.Options = ()

    def show(self, event: records.Event) -> None:
        """Keep rows; show what is waited for."""
        if isinstance(event, records.Progress):
            self._shown.show(event)
        elif isinstance(event, records.Rows):
            self.options += tuple((row[-1] or row[0] or "", row[0] or "") for row in event.rows)

    def clear(self) -> None:
        """Nothing is waited for any more."""
        self._shown.clear()


def _id(place: order.Place) -> str:
    return place.cells[place.head].id


def _with(place: order.Place, source: str) -> order.Place:
    head = dataclasses.replace(place.cells[place.head], source=source)
    return dataclasses.replace(place, cells=(*place.cells[: place.head], head))


def _dependent(declared: tuple[parameters.Parameter, ...]) -> tuple[parameters.Parameter, ...]:
    """Those whose options may be others when another one has another value."""
    return tuple(each for each in declared if ":" in (each.query or ""))


def _aside(edits: list[tuple[str, str]]) -> str:
    lines = "\n".join(now for _, now in edits)
    return f"A look aside. To keep it, write this in the cell:\n{lines}\n"


def _described(
    declared: tuple[parameters.Parameter, ...],
    options: Mapping[str, controls.Options],
    note: str,
) -> dict[str, Any]:
    """The parameters as text."""
    lines = [_line(each, options.get(each.name)) for each in declared]
    shown = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return {
        "text/plain": "\n".join(("Parameters:", *(f"  {line}" for line in lines), note)),
        "text/html": f"Parameters:<ul>{shown}</ul>{html.escape(note)}",
    }


def _line(parameter: parameters.Parameter, options: controls.Options | None) -> str:
    kind = parameter.kind
    if parameter.numbers:
        return f"{parameter.name}: {kind} from {parameter.numbers[0]} to {parameter.numbers[1]}"
    count = len(parameter.choices) if options is None else len(options)
    return f"{parameter.name}: {kind}" + (f", {count} to choose from" if count else "")
