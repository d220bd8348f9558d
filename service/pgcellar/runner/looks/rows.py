"""What the rows of a table differ in between two states, without fetching those that don't.

Each side sums digests of its rows by buckets; of the buckets that differ the digests of keys and
rows are fetched, and a few rows that differ whole. What is fetched is bounded, whatever the table.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from pgcellar.api import catalogs
from pgcellar.runner import connections
from pgcellar.runner.looks import sides

A = TypeVar("A")
#: The rows of a side by bucket: how many, and the sum of their digests.
_Counts = dict[int, tuple[int, str]]

#: A power of two.
_BUCKETS = 4096
#: Digests of one side that are fetched, and rows that are shown.
MAX_DIGESTS = 200_000
SAMPLE = 20
_DIGEST_BYTES = MAX_DIGESTS * 64
#: Characters of a value that are shown, and bytes of all that are shown of one table.
_SHOWN = 200
_SAMPLE_BYTES = 256 * 1024
_OUT_OF_TIME = "There was no time left to compare it."


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table that one of two states has, or both. `only`: without those that inherit from it."""

    schema: str
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    only: bool
    bytes: int
    before: bool
    after: bool


def tables(before: catalogs.StateDetail, after: catalogs.StateDetail) -> list[Table]:
    """The tables that hold rows, the smallest first, so that most are compared."""
    first, second = _holding(before), _holding(after)
    found = []
    for name in first.keys() | second.keys():
        one, other = first.get(name), second.get(name)
        both = [relation for relation in (one, other) if relation is not None]
        names = [{column.name for column in relation.columns} for relation in both]
        found.append(
            Table(
                schema=both[0].schema,
                name=both[0].name,
                columns=tuple(c.name for c in both[0].columns if c.name in names[-1]),
                key=both[0].key if both[0].key == both[-1].key else (),
                only=all(relation.kind == "table" for relation in both),
                bytes=max(relation.bytes for relation in both),
                before=one is not None,
                after=other is not None,
            )
        )
    return sorted(found, key=lambda table: (table.bytes, table.schema, table.name))


def _holding(detail: catalogs.StateDetail) -> dict[tuple[str, str], catalogs.RelationInfo]:
    kinds = ("table", "materialized view")
    return {(r.schema, r.name): r for r in detail.relations if r.kind in kinds}


async def compare(
    before: sides.Side, after: sides.Side, table: Table, deadline: sides.Deadline
) -> catalogs.TableDiff | None:
    """What a table's rows differ in; None if they don't. A table that is not there has none."""
    diff = catalogs.TableDiff(
        schema=table.schema, name=table.name, columns=table.columns, key=table.key
    )
    try:
        if not table.after:
            return await _only(before, "removed", table, deadline, diff)
        if not table.before:
            return await _only(after, "added", table, deadline, diff)
        return await _compare(before, after, table, deadline, diff)
    except connections.StatementFailed as exc:
        return dataclasses.replace(diff, complete=False, reason=sides.failed(exc))
    except TimeoutError:
        return dataclasses.replace(diff, complete=False, reason=_OUT_OF_TIME)


async def _only(
    side: sides.Side,
    change: catalogs.Change,
    table: Table,
    deadline: sides.Deadline,
    diff: catalogs.TableDiff,
) -> catalogs.TableDiff | None:
    """The rows of a table that only one state has."""
    ((count,),), _ = await side.rows(f"select count(*) from {_source(table)}", deadline, max_rows=1)
    rows = int(count or 0)
    if rows == 0:
        return None
    shown, _ = await side.rows(
        f"select {_shown_columns(table)} from {_source(table)} limit {SAMPLE}",
        deadline,
        max_rows=SAMPLE,
        max_bytes=_SAMPLE_BYTES,
    )
    added = change == "added"
    return dataclasses.replace(
        diff,
        before=None if added else rows,
        after=rows if added else None,
        added=rows if added else 0,
        removed=0 if added else rows,
        changed=0,
        sample=tuple(
            catalogs.RowChange(
                change=change, before=None if added else row, after=row if added else None
            )
            for row in shown
        ),
    )


async def _compare(
    before: sides.Side,
    after: sides.Side,
    table: Table,
    deadline: sides.Deadline,
    diff: catalogs.TableDiff,
) -> catalogs.TableDiff | None:
    query = _bucket_query(table)
    one, other = await _both(_counts(before, query, deadline), _counts(after, query, deadline))
    buckets = [
        number
        for number in sorted(one.keys() | other.keys())
        if one.get(number) != other.get(number)
    ]
    if not buckets:
        return None
    diff = dataclasses.replace(diff, before=_total(one), after=_total(other))
    taken = _affordable(buckets, one, other)
    query = _digest_query(table, taken)
    first, second = await _both(_digests(before, query, deadline), _digests(after, query, deadline))
    found = _Found.of(first, second, keyed=bool(table.key))
    complete = len(taken) == len(buckets)
    return dataclasses.replace(
        diff,
        added=found.added,
        removed=found.removed,
        changed=found.changed,
        complete=complete,
        reason=None if complete else "More rows differ than are compared one by one.",
        sample=await _sample(before, after, table, found.sample, deadline),
    )


def _total(counts: _Counts) -> int:
    return sum(count for count, _ in counts.values())


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """How many rows differ, and the digests of the keys of some."""

    added: int
    removed: int
    changed: int
    sample: tuple[tuple[catalogs.Change, str], ...]

    @classmethod
    def of(
        cls, first: dict[str, list[str]], second: dict[str, list[str]], *, keyed: bool
    ) -> _Found:
        """Rows by the digest of their key: with a key it is one each, without one their copies."""
        added = removed = changed = 0
        sample: list[tuple[catalogs.Change, str]] = []
        for key in sorted(first.keys() | second.keys()):
            one, other = first.get(key, []), second.get(key, [])
            if one == other:
                continue
            change: catalogs.Change
            if keyed and one and other:
                change = "changed"
                changed += 1
            else:
                more = len(other) - len(one)
                change = "added" if more > 0 else "removed"
                added += max(0, more)
                removed += max(0, -more)
            if len(sample) < SAMPLE:
                sample.append((change, key))
        return cls(added=added, removed=removed, changed=changed, sample=tuple(sample))


async def _counts(side: sides.Side, query: str, deadline: sides.Deadline) -> _Counts:
    rows, _ = await side.rows(query, deadline, max_rows=_BUCKETS)
    return {int(number or 0): (int(count or 0), total or "") for number, count, total in rows}


def _affordable(buckets: Sequence[int], one: _Counts, other: _Counts) -> list[int]:
    """As many of the buckets as may be fetched."""
    taken, size = [], 0
    for number in buckets:
        size += max(each.get(number, (0, ""))[0] for each in (one, other))
        if size > MAX_DIGESTS:
            break
        taken.append(number)
    return taken


async def _digests(side: sides.Side, query: str, deadline: sides.Deadline) -> dict[str, list[str]]:
    rows, _ = await side.rows(query, deadline, max_rows=MAX_DIGESTS, max_bytes=_DIGEST_BYTES)
    found: dict[str, list[str]] = {}
    for key, row in rows:
        found.setdefault(key or "", []).append(row or "")
    return found


async def _sample(
    before: sides.Side,
    after: sides.Side,
    table: Table,
    wanted: Sequence[tuple[catalogs.Change, str]],
    deadline: sides.Deadline,
) -> tuple[catalogs.RowChange, ...]:
    """Some rows that differ, whole; as many as there was time for."""
    if not wanted:
        return ()
    query = _sample_query(table, [key for _, key in wanted])
    try:
        first, second = await _both(_shown(before, query, deadline), _shown(after, query, deadline))
    except TimeoutError:
        return ()
    return tuple(
        catalogs.RowChange(
            change=change,
            before=first.get(key) if change != "added" else None,
            after=second.get(key) if change != "removed" else None,
        )
        for change, key in wanted
        if (change == "added" or key in first) and (change == "removed" or key in second)
    )


async def _shown(side: sides.Side, query: str, deadline: sides.Deadline) -> dict[str, sides.Row]:
    rows, _ = await side.rows(query, deadline, max_rows=SAMPLE, max_bytes=_SAMPLE_BYTES)
    return {row[0] or "": row[1:] for row in rows}


# --- queries ---------------------------------------------------------------------------------


def _bucket_query(table: Table) -> str:
    return (
        f"select k & {_BUCKETS - 1}, count(*), sum(r::numeric) from ({_hashed(table)}) as _ (k, r)"
        " group by 1"
    )


def _digest_query(table: Table, buckets: Sequence[int]) -> str:
    listed = ",".join(map(str, buckets))
    return (
        f"select k, r from ({_hashed(table)}) as _ (k, r)"
        f" where k & {_BUCKETS - 1} = any (array[{listed}]::int8[])"
    )


def _sample_query(table: Table, keys: Sequence[str]) -> str:
    key = _digest(table.key or table.columns)
    listed = ",".join(str(int(key)) for key in keys)
    shown = ", ".join(filter(None, (key, _shown_columns(table))))
    return (
        f"select distinct on (1) {shown} from {_source(table)}"
        f" where {key} = any (array[{listed}]::int8[]) order by 1"
    )


def _shown_columns(table: Table) -> str:
    return ", ".join(f"left(t.{_quoted(name)}::text, {_SHOWN})" for name in table.columns)


def _hashed(table: Table) -> str:
    """The digests of a row's key, or of the whole row where there is none, and of the row."""
    key, row = _digest(table.key or table.columns), _digest(table.columns)
    return f"select {key}, {row} from {_source(table)}"


def _digest(columns: Sequence[str]) -> str:
    listed = ", ".join(f"t.{_quoted(name)}" for name in columns)
    return f'hashtextextended(row({listed})::text collate "C", 0)'


def _source(table: Table) -> str:
    only = "only " if table.only else ""
    return f"{only}{_quoted(table.schema)}.{_quoted(table.name)} as t"


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


async def _both(one: Coroutine[Any, Any, A], other: Coroutine[Any, Any, A]) -> tuple[A, A]:
    """Both at once; where one fails, the other ends before that is told."""
    tasks = [asyncio.ensure_future(one), asyncio.ensure_future(other)]
    try:
        first, second = await asyncio.gather(*tasks)
        return first, second
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
