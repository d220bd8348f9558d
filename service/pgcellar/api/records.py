"""Wire records: what a run is asked for, and the events it answers with.

Every record is a frozen dataclass whose fields are JSON values or records themselves.
`encode` and `decode` are the only places that know the wire form: one JSON object a line, whose
`event` member names the class.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pgcellar.notebook import showing

R = TypeVar("R")

#: How a cell of a run was dealt with (DESIGN.md, section 8).
Source = Literal["head", "hit", "replayed", "skipped"]

#: What a cell does to the state; a cell has the strongest effect of its statements.
EffectName = Literal["none", "read", "write", "session", "pinning", "global"]

DEFAULT_MAX_ROWS = 1_000
#: A result is a page for a person, not an export: 8 MiB of text is more than anyone reads.
DEFAULT_MAX_BYTES = 8 * 1024 * 1024
#: Cells of one request at most: ten times what a long notebook has.
MAX_CELLS = 10_000
#: Characters of names: more than Jupyter gives a cell, and a path's length.
MAX_ID = 1_000
MAX_NOTEBOOK = 4_096
#: Parameters of one request, and characters of all of them.
MAX_PARAMETERS = 1_000
MAX_PARAMETER_CHARACTERS = 1 << 20
#: Rows of one page at most: a grid shows some tens, and fetches some hundreds ahead.
MAX_PAGE_ROWS = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One SQL cell as it stands in the notebook now. `id` is opaque; states depend on text only."""

    id: str
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunRequest:
    """Run the cell at index `head` as if all `cells` before it had just run from the top.

    `notebook` names whose instance is used (an absolute path, or a kernel's id).
    `directory` is the folder files are read from; None allows no files.
    `cells` holds the notebook's SQL cells in order; those after the head are not run.
    With `first`, the cells from that index up to `head` are run as heads, one after the other, each
    with a `Done` of its own, up to the first that fails without leaving a state. Each tells of the
    cells that ran for it alone: a thousand tails would be half a million reports.
    `rerun` forces the head to execute even when its outcome is known (source `head`, never `hit`).
    `reroll` names cells whose volatile functions are evaluated anew.
    `parameters` are psql variables (`:name`, `:'name'`) that are set before the first cell.
    `brief` asks for reports on cells that ran only, as in a long notebook most did not.
    `max_rows` and `max_bytes` bound what is sent of each result, not what the server computes.
    """

    notebook: str
    cells: tuple[Cell, ...]
    head: int
    directory: str | None = None
    first: int | None = None
    rerun: bool = False
    reroll: tuple[str, ...] = ()
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    max_rows: int = DEFAULT_MAX_ROWS
    max_bytes: int = DEFAULT_MAX_BYTES
    brief: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A result column: its name and its type as `format_type` spells it."""

    name: str
    type: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SqlError:
    """An error in the manner of psql.

    `position` is a 1-based character position in the source of the cell `cell`, or None.
    `sqlstate` is PostgreSQL's, or one of ours, which begin with `PC` (see `errors`).
    `query` is the statement of a function that failed, or what a cell of another dialect was
    translated to; `query_position` is a position in it.
    """

    sqlstate: str
    message: str
    severity: str = "ERROR"
    position: int | None = None
    cell: str | None = None
    detail: str | None = None
    hint: str | None = None
    query: str | None = None
    query_position: int | None = None
    context: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CellReport:
    """How one cell of a run went. `state` is the state id after the cell, None if not reached.

    `pinned` says why the state can't be kept, as far as is known when the cell is done: what the
    cell itself left in its session is found out right afterwards. `volatile`: what it wrote came
    from a clock, from chance or the like, and is frozen until the cell is rolled again.
    `translated` is the SQL that a cell of another dialect was translated to. `input` is the digest
    of all that decides what a head gives: the state above, its text, variables and files; None for
    other cells. What it gave is out of date where a plan has another one for it.
    """

    id: str
    state: str | None
    effect: EffectName
    source: Source
    ms: float
    rows: int | None = None
    error: SqlError | None = None
    pinned: str | None = None
    volatile: bool = False
    translated: str | None = None
    input: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Counts and times of one run. Times in milliseconds."""

    hits: int
    replayed: int
    ms: float
    planning_ms: float


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SandboxInfo:
    """The sandbox a run used."""

    name: str
    status: str
    server_version: str
    copy_on_write: bool


# --- events, in the order a run sends them ---------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """First event: the id by which the run can be cancelled."""

    run: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Something a person waits for: the sandbox starts, a snapshot is cloned, a cell is replayed.

    `left` is how many tail cells are still to be replayed. `what` is the command that a long
    statement is (`COPY`, `CREATE INDEX` …), or `replay`; where it is known how much there is,
    `done` of `total` is, in a unit of the command's own.
    """

    message: str
    cell: str | None = None
    left: int = 0
    what: str | None = None
    done: int | None = None
    total: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """A statement of the head returns rows of these columns. `statement` counts from 0."""

    statement: int
    columns: tuple[Column, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """A batch of rows; each value is PostgreSQL's text, null as None."""

    statement: int
    rows: tuple[tuple[str | None, ...], ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """A NOTICE, WARNING, INFO … the server sent while a statement of the head ran."""

    statement: int
    severity: str
    sqlstate: str
    message: str
    detail: str | None = None
    hint: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """Text a statement or meta-command of the head prints as it is: \\echo, COPY TO STDOUT."""

    statement: int
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """A statement of the head is done.

    `command` is PostgreSQL's command tag, `row_count` all rows returned or affected (None where
    the tag has no number, and for descriptions, whose rows nobody counts), `truncated` whether
    fewer rows were sent than returned. `expanded`: each row is to be shown as a table of its own,
    as psql does after \\x. With `explain` the one value is a plan as JSON, and with `chart` the
    rows are to be drawn; who knows neither shows a table.
    """

    statement: int
    command: str
    row_count: int | None
    truncated: bool
    ms: float
    expanded: bool = False
    explain: showing.Explain | None = None
    chart: showing.Chart | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """Last event of a head: the cells up to it, what they took, the error that ended it, if any.

    The error's `cell` is the head's id, or that of the tail cell that failed (the head then did
    not run).
    """

    cells: tuple[CellReport, ...]
    totals: Totals
    sandbox: SandboxInfo
    error: SqlError | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Restarted:
    """Whoever follows an accepted run has read of an attempt that was cut short: that is void."""


Event = Started | Progress | Columns | Rows | Notice | Text | Completed | Done | Restarted


# --- plans -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PlanStep:
    """What a run would do with one cell, and why. `state` is None where only running can tell.

    `volatile` as in a report; so is `input`, None where only running the cells above can tell.
    """

    id: str
    state: str | None
    effect: EffectName
    source: Source
    reason: str
    volatile: bool = False
    input: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The steps for every cell up to the head; `first_miss` says why replay starts where it does.

    `first_miss` is None when nothing has to be replayed.
    """

    steps: tuple[PlanStep, ...]
    first_miss: str | None
    planning_ms: float


#: How a filter compares: with SQL's operators, or whether the text has the value in it, upper and
#: lower case alike; the last two need no value.
Operator = Literal["eq", "ne", "lt", "le", "gt", "ge", "contains", "null", "not_null"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Sort by a column, which counts from 0. `nulls`: where they come, PostgreSQL's way if None."""

    column: int
    descending: bool = False
    nulls: Literal["first", "last"] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Rows for which this holds of a column, which counts from 0; `value` is of its type, as text.

    As in SQL, no comparison holds of null.
    """

    column: int
    operator: Operator
    value: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PageRequest:
    """Rows `offset`, `offset` + 1, … of what a statement of the head gives; both count from 0.

    `notebook`, `cells`, `head`, `directory` and `parameters` are as in a `RunRequest`. A page has
    at most `limit` rows, and no more than `MAX_PAGE_ROWS` or about `max_bytes` of text, but at
    least one row where there is one: the next page begins at `offset` + its number of rows.
    `order`, the first of them first, and `filters`, all of which must hold, are applied to all
    rows of the result; `row_count` and the like then count what is left.
    """

    notebook: str
    cells: tuple[Cell, ...]
    head: int
    directory: str | None = None
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    statement: int = 0
    offset: int = 0
    limit: int = DEFAULT_MAX_ROWS
    max_bytes: int = DEFAULT_MAX_BYTES
    order: tuple[Order, ...] = ()
    filters: tuple[Filter, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some rows of a result.

    `state` is the state id it belongs to: where it is not that of the report on the head, a cell
    above has changed since. Pages with one number `execution` fit together; a result that was
    evicted is given by another execution, and rows without ORDER BY may then come in another order.
    `row_count` counts all rows of the result, `kept` those, from the first on, that pages are given
    of; `complete`: that is all of them.
    """

    state: str
    execution: int
    columns: tuple[Column, ...]
    rows: tuple[tuple[str | None, ...], ...]
    offset: int
    row_count: int
    kept: int
    complete: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StateInfo:
    """One snapshot as `pgcellar states` lists it; if pinned or tagged, it is not evicted."""

    state: str
    parent: str | None
    status: str
    bytes: int
    cost_ms: float
    hits: int
    created: str
    last_used: str
    cell: str
    pinned: bool = False
    tags: tuple[str, ...] = ()


EnvironmentStatus = Literal["starting", "running", "stopped"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentInfo:
    """A sandbox: what it is and what it does.

    What only one that runs has is None otherwise. `base` is the id of the state that is empty;
    `since` is when it was started, in ISO 8601; `runs` counts what uses it now, and `idle_seconds`
    how long nothing did. `left_seconds` is how much longer nothing may, until it is stopped.
    """

    id: str
    kind: str
    status: EnvironmentStatus
    server_version: str | None = None
    base: str | None = None
    memory_bytes: int | None = None
    since: str | None = None
    runs: int = 0
    idle_seconds: float | None = None
    left_seconds: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """A limit of a person's, None for no limit, and how much of it is used.

    Of what is counted over time it has what is `left` of the last `seconds`, of what is held what
    is `used`, where that is known.
    """

    limit: float | None
    left: float | None = None
    seconds: float | None = None
    used: float | None = None


RunStatus = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunInfo:
    """A run that goes on whether or not somebody reads its events.

    `attempt` counts from 1: a run whose service ended is begun again by the next one. `state` is
    the state id after the head, once it is known. Times are ISO 8601.
    """

    id: str
    notebook: str
    head: str
    status: RunStatus
    attempt: int
    created: str
    finished: str | None = None
    state: str | None = None
    error: SqlError | None = None


# --- wire form -------------------------------------------------------------------------------

_EVENTS: Mapping[str, type[Any]] = {
    "started": Started,
    "progress": Progress,
    "columns": Columns,
    "rows": Rows,
    "notice": Notice,
    "text": Text,
    "completed": Completed,
    "done": Done,
    "restarted": Restarted,
}
_NAMES = {cls: name for name, cls in _EVENTS.items()}


def encode(event: Event) -> bytes:
    """The event as one line of JSON, newline included."""
    body = {"event": _NAMES[type(event)], **to_json(event)}
    return (
        json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        + b"\n"
    )


def decode(line: bytes) -> Event:
    """The event in one line that `encode` wrote.

    Raises ValueError if the line is no event; members this version does not know are ignored.
    """
    body = json.loads(line)
    name = body.pop("event", None) if isinstance(body, dict) else None
    cls = _EVENTS.get(name) if isinstance(name, str) else None
    if cls is None:
        raise ValueError(f"not an event: {line[:80]!r}")
    event: Event = from_json(cls, body)
    return event


def to_json(record: Any) -> dict[str, Any]:
    """A record as a JSON object. Unlike `dataclasses.asdict`, rows are not copied."""
    out: dict[str, Any] = {}
    for name, nested in _members(record.__class__):
        value = getattr(record, name)
        if nested is not None and value is not None:
            value = [to_json(v) for v in value] if isinstance(value, tuple) else to_json(value)
        elif isinstance(value, Mapping):
            value = dict(value)
        out[name] = value
    return out


def from_json(cls: type[R], body: Mapping[str, Any]) -> R:
    """The record of class `cls` in a JSON object. Raises ValueError where a member is missing."""
    if not isinstance(body, Mapping):
        raise ValueError(f"{cls.__name__}: not an object")
    known: dict[str, Any] = {}
    members: Any = cls
    for name, nested in _members(members):
        if name not in body:
            continue
        value = body[name]
        if nested is not None and value is not None:
            if isinstance(value, list):
                value = tuple(from_json(nested, item) for item in value)
            else:
                value = from_json(nested, value)
        elif isinstance(value, list):
            value = tuple(tuple(v) if isinstance(v, list) else v for v in value)
        known[name] = value
    try:
        return cls(**known)
    except TypeError as exc:
        raise ValueError(f"{cls.__name__}: {exc}") from exc


@functools.cache
def _members(cls: Any) -> tuple[tuple[str, type[Any] | None], ...]:
    """The members of a record class, each with the record class it holds, if it does."""
    hints = typing.get_type_hints(cls)
    return tuple((field.name, _record(hints[field.name])) for field in dataclasses.fields(cls))


def _record(hint: Any) -> type[Any] | None:
    """The record class that a member is, may be, or has a tuple of."""
    for each in (hint, *typing.get_args(hint)):
        if isinstance(each, type) and dataclasses.is_dataclass(each):
            return each
    return None
