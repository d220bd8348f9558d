"""`%%pgcellar` in Python notebooks: SQL cells with the semantics of a SQL notebook.

A cell runs below the `%%pgcellar` cells that stand above it, where the front end tells them: ours
does right before it sends the cell. Else below those that ran before it, as in the SQL kernel: run
again with another text it takes its own place. What it gives is a value: shown as a table, and had
as Arrow, pandas or polars.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import decimal
import importlib
import json
import numbers
import pathlib
import threading
import uuid
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from IPython.core import magic, magic_arguments
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import DisplayHandle, display

from pgcellar.api import client, columnar, errors, gathering, order, records, rendering

T = TypeVar("T")

#: Rows that come, and bytes of them; with more the result says that it is not whole.
MAX_ROWS = 1_000_000
MAX_BYTES = 512 * 1024 * 1024
#: Rows that are shown.
_SHOWN = 100
#: Seconds that a run which was interrupted gets to end.
_INTERRUPT_SECONDS = 10.0


class SqlFailed(Exception):
    """A cell failed. It is shown in the manner of psql, without a Python traceback."""

    def __init__(self, error: records.SqlError, source: str, *, above: bool = False) -> None:
        super().__init__(f"{error.sqlstate}: {error.message}")
        self.error = error
        self._shown = rendering.render_error(error, source).splitlines()
        if above:
            first = next((line for line in source.splitlines() if line.strip()), "").strip()
            said = "A cell above failed, so this cell did not run. It begins:"
            self._shown.insert(0, f"{said} {first[:60]}")

    def _render_traceback_(self) -> list[str]:
        """What IPython shows."""
        return self._shown


class Result:
    """The rows of a statement."""

    def __init__(self, result: rendering.Result) -> None:
        self._result = result
        self._arrow: Any = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self._result.columns)

    @property
    def rows(self) -> tuple[tuple[str | None, ...], ...]:
        """The rows, each value as PostgreSQL's text."""
        return self._whole().rows

    def __len__(self) -> int:
        return self._result.row_count or 0

    def __iter__(self) -> Iterator[tuple[str | None, ...]]:
        return iter(self.rows)

    def to_arrow(self) -> Any:
        """A `pyarrow.Table`, made of the texts when it is first asked for; nobody can change it.

        See `pgcellar.api.columnar`. Raises Unsupported, LimitExceeded.
        """
        if self._arrow is None:
            whole = self._whole()
            self._arrow = columnar.table(whole.columns, whole.rows)
        return self._arrow

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` over that table's memory. Raises Unsupported, LimitExceeded."""
        table, pandas = self.to_arrow(), _installed("pandas")
        return table.to_pandas(types_mapper=pandas.ArrowDtype)

    def to_polars(self) -> Any:
        """A `polars.DataFrame` over that table's memory. Raises Unsupported, LimitExceeded."""
        return _installed("polars").from_arrow(self.to_arrow())

    def _whole(self) -> rendering.Result:
        if self._result.truncated:
            raise errors.LimitExceeded(
                f"Of {len(self)} rows only {len(self._result.rows)} came.",
                hint="Ask for more with `%%pgcellar --max-rows N`, or for fewer in SQL.",
            )
        return self._result

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """What a front end shows: the first rows, and how many there are."""
        return rendering.mime_bundle(_first(self._result))


def load(shell: InteractiveShell) -> None:
    """Make the magic known to a shell."""
    shell.register_magics(Cells(shell))


@magic.magics_class
class Cells(magic.Magics):
    """The cells of one Python notebook."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._python = shell
        self._notebook = f"python:{uuid.uuid4().hex}"
        self._order = order.ExecutionOrder()
        #: What stands above cells that were sent, by their ids.
        self._told: dict[str, tuple[records.Cell, ...]] = {}
        self._parameters: dict[str, str] = {}
        self._client: client.Client | None = None
        self._loop = asyncio.new_event_loop()
        # The notebook's own loop runs while a cell does.
        threading.Thread(target=self._loop.run_forever, name="pgcellar", daemon=True).start()

    @magic_arguments.magic_arguments()
    @magic_arguments.argument("-o", "--out", metavar="NAME", help="keep the result in a variable")
    @magic_arguments.argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="NAME[=EXPRESSION]",
        help="give a Python variable, or an expression's value, as :NAME, :'NAME'; may be repeated",
    )
    @magic_arguments.argument(
        "--max-rows", type=int, default=MAX_ROWS, help="rows that come at most"
    )
    @magic.cell_magic
    def pgcellar(self, line: str, cell: str) -> Result | None:
        """Run SQL below the `%%pgcellar` cells above it."""
        given, identity = self._options(line), self._identity()
        place = self._place(identity, cell)
        for text in given.parameter:
            self._bind(text)
        found = self._run(place, max_rows=given.max_rows)
        shown = [result for result in found if result.tabular or result.notices]
        for result in shown[:-1] if shown and shown[-1].tabular else shown:
            display(rendering.mime_bundle(_first(result)), raw=True)
        last = Result(shown[-1]) if shown and shown[-1].tabular else None
        if given.out:
            self._python.user_ns[given.out] = last
            return None
        return last

    def tell(self, document: str) -> None:
        """A front end tells the cells of ours down to one that it sends next; see `order.told`.

        They come whole, with the line of the magic. Raises BadRequest.
        """
        place = order.told({"pgcellar": json.loads(document)}, "")
        if place is not None:
            self._told[place.cells[place.head].id] = place.cells[: place.head]

    def _options(self, line: str) -> Any:
        return magic_arguments.parse_argstring(self.pgcellar, line)

    def _bind(self, text: str) -> None:
        """Take over a Python value as a parameter."""
        name, _, expression = text.partition("=")
        self._parameters[name] = _as_text(name, self._python.ev(expression or name))

    def _place(self, identity: str, source: str) -> order.Place:
        """Where a cell stands that is about to run."""
        place = self._order.place(identity, source)
        told = self._told.pop(identity, None)
        if told is None:
            return place
        tail: list[records.Cell] = []
        for cell in told:
            line, _, body = cell.source.lstrip().partition("\n")
            for text in self._options(line.removeprefix("%%pgcellar")).parameter:
                # One that has not run yet gives its parameters all the same.
                if text.partition("=")[0] not in self._parameters:
                    self._bind(text)
            if body.strip():
                # IPython gives the last line an end.
                tail.append(records.Cell(id=cell.id, source=body.removesuffix("\n") + "\n"))
        return order.Place(cells=(*tail, place.cells[place.head]), head=len(tail))

    def _run(self, place: order.Place, *, max_rows: int) -> list[rendering.Result]:
        """Run a cell; its results. Raises SqlFailed, PgcellarError."""
        identity, source = place.cells[place.head].id, place.cells[place.head].source
        request = records.RunRequest(
            notebook=self._notebook,
            cells=place.cells,
            head=place.head,
            directory=str(pathlib.Path.cwd()),
            parameters=dict(self._parameters),
            max_rows=max_rows,
            max_bytes=MAX_BYTES,
            brief=True,
        )
        kept = False
        try:
            run = self._wait(self._gather(request))
            kept = run.error is None or bool(run.cells and run.cells[-1].report.state)
        except errors.PgcellarError as exc:
            raise SqlFailed(exc.record(cell=identity), source) from None
        finally:
            self._order.ran(identity, source if kept else None)
        if run.error is not None:
            tail = place.cells[: place.head]
            above = next((cell for cell in tail if cell.id == run.error.cell), None)
            if above is not None:
                raise SqlFailed(run.error, above.source, above=True)
            raise SqlFailed(run.error, source)
        return run.cells[-1].results

    async def _gather(self, request: records.RunRequest) -> gathering.NotebookRun:
        if self._client is None:
            self._client = client.Client()
        out = gathering.NotebookRun(gathering.heads(request))
        progress = _Progress()
        try:
            async with contextlib.aclosing(self._client.run(request)) as events:
                async for event in events:
                    if isinstance(event, records.Progress):
                        progress.show(event)
                    else:
                        out.take(event)
        finally:
            progress.clear()
        return out

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait in the notebook's thread; an interrupt cancels at the server, and is waited for."""
        over = threading.Event()

        async def watched() -> T:
            try:
                return await work
            finally:
                over.set()

        future = asyncio.run_coroutine_threadsafe(watched(), self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            # The future counts as cancelled at once, what it stands for a moment later.
            future.cancel()
            over.wait(_INTERRUPT_SECONDS)
            raise errors.Cancelled from None

    def _identity(self) -> str:
        """The cell's id where the front end tells it, else that of its execution."""
        kernel = getattr(self._python, "kernel", None)
        parent = kernel.get_parent("shell") if kernel is not None else {}
        told = (parent or {}).get("metadata", {}).get("cellId")
        return str(told) if told else f"[{self._python.execution_count}]"


class _Progress:
    """One line that says what is waited for, taken away in the end."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None

    def show(self, event: records.Progress) -> None:
        """Say it."""
        left = f" ({event.left} cells left)" if event.left > 1 else ""
        self._say(f"{event.message}{left}")

    def clear(self) -> None:
        """It is over."""
        if self._handle is not None:
            self._say("")

    def _say(self, text: str) -> None:
        bundle = {"text/plain": text}
        if self._handle is None:
            self._handle = DisplayHandle()
            self._handle.display(bundle, raw=True)
        else:
            self._handle.update(bundle, raw=True)


def _first(result: rendering.Result) -> rendering.Result:
    """What is shown of a result; a chart is of all rows."""
    if len(result.rows) <= _SHOWN or result.chart is not None:
        return result
    return dataclasses.replace(result, rows=result.rows[:_SHOWN], truncated=True)


def _as_text(name: str, value: object) -> str:
    """A Python value as the text of a psql variable. Raises SqlFailed for what has none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    # numpy's numbers are real ones, too.
    if isinstance(value, str | numbers.Real | decimal.Decimal | uuid.UUID):
        return str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    problem = errors.BadRequest(
        f"`{name}` is {type(value).__name__}, which no text stands for.",
        hint="Give a text, a number, a truth value, a date or a time.",
    )
    raise SqlFailed(problem.record(), "")


def _installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        raise errors.Unsupported(
            f"The Python package {name} is not installed here.", hint=f"`%pip install {name}`"
        ) from exc
