"""What a run gave so far, as lines of JSON, for readers who come, leave and come back."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Sequence

from pgcellar.api import errors, records

#: Bytes of events that one run may leave; rows beyond are counted and dropped.
MAX_BYTES = 32 << 20


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """An event as a line of JSON; `id` is what a reader who comes back names."""

    id: str
    line: bytes


class Recording:
    """The events of one attempt at a run. `reason`, once set, says why it was cancelled."""

    def __init__(self, attempt: int, lines: Sequence[bytes] = (), *, over: bool = False) -> None:
        self.attempt = attempt
        self.lines = list(lines)
        self.done: records.Done | None = None
        self.reason: str | None = None
        self._over = over
        self._bytes = 0
        self._cut: set[int] = set()
        self._more = asyncio.Event()

    async def take(self, event: records.Event) -> None:
        """Write an event down."""
        if isinstance(event, records.Rows) and self._bytes > MAX_BYTES:
            self._cut.add(event.statement)
            return
        if isinstance(event, records.Completed) and event.statement in self._cut:
            self._cut.discard(event.statement)
            event = dataclasses.replace(event, truncated=True)
        if isinstance(event, records.Done):
            event = self._explained(event)
            self.done = event
        line = records.encode(event)
        self._bytes += len(line)
        self.lines.append(line)
        self._tell()

    def finish(self) -> None:
        """There will be no more."""
        self._over = True
        self._tell()

    async def follow(self, attempt: int, index: int) -> AsyncGenerator[Line, None]:
        """The lines after the one that a reader of `attempt` has had last, as they come."""
        if attempt != self.attempt:
            index = 0
            if attempt:
                yield Line(id=f"{self.attempt}-0", line=records.encode(records.Restarted()))
        while True:
            while index < len(self.lines):
                index += 1
                yield Line(id=f"{self.attempt}-{index}", line=self.lines[index - 1])
            if self._over:
                return
            await self._more.wait()

    def _tell(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    def _explained(self, done: records.Done) -> records.Done:
        """A run that was cancelled says by what."""
        error = done.error
        if self.reason is None or error is None or error.sqlstate != errors.Cancelled.code:
            return done
        return dataclasses.replace(done, error=dataclasses.replace(error, message=self.reason))


def position(after: str | None) -> tuple[int, int]:
    """The attempt and the number in the id of a line; 0 and 0 for none. Raises BadRequest."""
    if not after:
        return 0, 0
    attempt, _, index = after.partition("-")
    try:
        return _number(attempt), _number(index)
    except ValueError as exc:
        raise errors.BadRequest(
            f"{after[:40]!r} is no event's id.", hint="Give the id of the last event you had."
        ) from exc


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise ValueError(text)
    return int(text)
