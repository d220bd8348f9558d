"""Says whether the chain holds, and where it does not."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime
from collections.abc import Sequence
from typing import Literal

from pgcellar.audit import chain, store

Problem = Literal["changed", "removed", "inserted", "reordered"]
#: Records looked at in one step, and bytes of their details.
_PAGE = 2_000
_BYTES = 8 << 20
#: Whoever inserts a record may give it any number.
_BEFORE_ALL = -(1 << 62)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something that is not as it was written. `seq` is None where it is about the whole day."""

    day: str
    seq: int | None
    problem: Problem
    message: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What was looked at, what was found, and the chain's end, to be noted down elsewhere.

    `anchored`: the chain was compared with what had been noted outside the database.
    """

    anchored: bool
    days: int
    records: int
    expired: int
    findings: tuple[Finding, ...]
    last: str


async def verify(
    records: store.AuditStore,
    *,
    since: datetime.date | None = None,
    until: datetime.date | None = None,
    anchor: store.Place | None = None,
) -> Verdict:
    """Look at the days from `since` to `until`, both included.

    `anchor` is a place noted outside the database: the end of the chain can be cut off, or all of
    it be made anew, without anything inside showing it.
    """
    # The closings first: those written meanwhile belong to days that are looked at as open.
    closings = await records.closings()
    held, expired = await records.days()
    findings = _closings(closings)
    by_day = {closing.day: closing for closing in closings}
    opening, last, count, looked, given_up = chain.GENESIS, chain.GENESIS, 0, 0, 0
    anchored = anchor is None
    for day in sorted({*held, *by_day}):
        closing = by_day.get(day)
        wanted = (since is None or day >= since) and (until is None or day <= until)
        gone = day in expired
        if wanted and gone:
            given_up += 1
            if day in held:
                message = "the day's records were given up, and yet there are some"
                findings.append(_finding(day, None, "inserted", message))
        elif wanted:
            looked += 1
            found, seen, last = await _day(records, day, opening, closing)
            findings += found
            count += seen
            if closing is None and day != held[-1]:
                findings.append(_finding(day, None, "removed", "the day's closing is not there"))
                # The next day may still begin with what it should have been.
                closing = chain.close(day, seen, opening, last)
        if anchor is not None and anchor.day == day:
            anchored = gone or anchor.hash in {h for _, _, h in await records.links(day)}
        opening = last if closing is None else closing.hash
    if anchor is not None and not anchored:
        message = "the record that was noted outside the database is not there"
        findings.append(_finding(anchor.day, anchor.seq, "removed", message))
    return Verdict(
        anchored=anchor is not None,
        days=looked,
        records=count,
        expired=given_up,
        findings=tuple(findings),
        last=opening.hex(),
    )


def _closings(closings: Sequence[chain.Closing]) -> list[Finding]:
    """Whether each closing is as it was written, and begins with the one before it."""
    out, opening = [], chain.GENESIS
    for each in closings:
        if chain.close(each.day, each.records, each.opening, each.last).hash != each.hash:
            out.append(_finding(each.day, None, "changed", "the day's closing was changed"))
        elif each.opening != opening:
            message = "the closing before this day's was removed or replaced"
            out.append(_finding(each.day, None, "removed", message))
        opening = each.hash
    return out


async def _day(
    records: store.AuditStore,
    day: datetime.date,
    opening: bytes,
    closing: chain.Closing | None,
) -> tuple[list[Finding], int, bytes]:
    """What is wrong on a day, how many records it has, and its last hash."""
    findings, count, last, whole, expected = [], 0, opening, True, 1
    after = (day, _BEFORE_ALL)
    while True:
        found, more = await records.page(
            store.Filters(), limit=_PAGE, max_bytes=_BYTES, after=after, newest_first=False
        )
        page = [record for record in found if record.day == day]
        # In a thread: others are answered meanwhile.
        for seq in await asyncio.to_thread(_changed, page):
            message = "the record is not what its hash was made of"
            findings.append(_finding(day, seq, "changed", message))
        for record in page:
            whole = whole and record.previous == last and record.seq == expected
            last, expected, count = record.hash, record.seq + 1, count + 1
        if len(page) < len(found) or not more:
            break
        after = (day, page[-1].seq)
    if closing is not None:
        whole = whole and closing.records == count and closing.last == last
    if not whole:
        findings += links(day, await records.links(day), opening, closing)
    return findings, count, last


def _changed(page: Sequence[chain.Record]) -> list[int]:
    return [each.seq for each in page if chain.link(each.previous, each.entry) != each.hash]


def links(
    day: datetime.date,
    found: Sequence[tuple[int, bytes, bytes]],
    opening: bytes,
    closing: chain.Closing | None,
) -> list[Finding]:
    """What is wrong with a day's order, of which number, hash before and hash are given. Pure."""
    out: list[Finding] = []
    place = {opening: -1} | {digest: index for index, (_, _, digest) in enumerate(found)}
    named: dict[bytes, list[int]] = collections.defaultdict(list)
    for index, (_, previous, _) in enumerate(found):
        named[previous].append(index)
    if closing is not None:
        named[closing.last].append(len(found))
    before, number = opening, 0
    for index, (seq, previous, digest) in enumerate(found):
        if previous != before:
            origin = place.get(previous)
            between = range(index if origin is None else origin + 1, index)
            if origin is None:
                message = (
                    f"records {number + 1} to {seq - 1} are not there"
                    if seq > number + 1
                    else "the record it was written after was removed or replaced"
                )
                out.append(_finding(day, seq, "removed", message))
            elif between and all(
                by in between for each in between for by in named.get(found[each][2], ())
            ):
                for stranger in between:
                    message = "the chain does not know this record"
                    out.append(_finding(day, found[stranger][0], "inserted", message))
            else:
                message = "the record stands in another place than it was written in"
                out.append(_finding(day, seq, "reordered", message))
        elif seq != number + 1:
            message = f"the number {seq} follows {number}, but nothing is missing"
            out.append(_finding(day, seq, "reordered", message))
        before, number = digest, seq
    if closing is not None:
        out += _end(day, found, before, closing, place)
    return out


def _end(
    day: datetime.date,
    found: Sequence[tuple[int, bytes, bytes]],
    before: bytes,
    closing: chain.Closing,
    place: dict[bytes, int],
) -> list[Finding]:
    """Whether a day ends as its closing says."""
    if closing.last == before:
        return []
    at = place.get(closing.last)
    if at is None:
        message = f"the day was closed with {closing.records} records, the last of which is gone"
        return [_finding(day, None, "removed", message)]
    message = "the record came after the day was closed"
    return [_finding(day, seq, "inserted", message) for seq, _, _ in found[at + 1 :]]


def _finding(day: datetime.date, seq: int | None, problem: Problem, message: str) -> Finding:
    return Finding(day=day.isoformat(), seq=seq, problem=problem, message=message)
