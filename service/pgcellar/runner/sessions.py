"""The sessions of a notebook that has several, whose cells may wait for one another.

In psql one has a terminal for each and sees one of them wait. A notebook runs one cell at a time,
so a cell that waits for another session of its notebook is left *pending*: it goes on in the
background when the other lets it, and what it then gives is shown by the cell that did.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Literal

from pgcellar.api import errors, records
from pgcellar.notebook import states
from pgcellar.runner import executor, outputs, results

#: Each is a process of the server's, and nobody follows more than these.
MAX_SESSIONS = 4
#: Characters that a pending cell may have said before anybody sees it.
MAX_HELD = 8 << 20
#: Seconds between looks at who waits.
_POLL = 0.05
#: Seconds that a cancelled statement may take to end.
_CANCEL_SECONDS = 10.0


#: For whom server processes wait, where it has been too long for a deadlock.
Place = Literal["its own", "new", "another's"]
Waits = Callable[[Collection[int]], Awaitable[Mapping[int, Sequence[int]]]]


_OfStatement = records.Columns | records.Rows | records.Notice | records.Text | records.Completed


def _numbered(event: _OfStatement, first: int) -> _OfStatement:
    return dataclasses.replace(event, statement=first + event.statement)


class Outlet:
    """Where the events of a cell go: to the run that shows it, or kept until there is one."""

    def __init__(self, emit: outputs.Emit, first: int) -> None:
        self._emit: outputs.Emit | None = emit
        self._first = first
        self._held: list[_OfStatement] = []
        self._size = 0
        self._cut: set[int] = set()
        #: How many statements there have been.
        self.count = 0

    async def __call__(self, event: records.Event) -> None:
        """Take an event of a cell whose statements are numbered from 0 on."""
        if not isinstance(event, _OfStatement):
            # Progress, which is over by the time that anybody asks for what is kept.
            if self._emit is not None:
                await self._emit(event)
            return
        self.count = max(self.count, event.statement + 1)
        if self._emit is None:
            self._hold(event)
        else:
            await self._emit(_numbered(event, self._first))

    def _hold(self, event: _OfStatement) -> None:
        if isinstance(event, records.Rows):
            self._size += sum(len(v) for row in event.rows for v in row if v is not None)
        elif isinstance(event, records.Text):
            self._size += len(event.text)
        elif isinstance(event, records.Notice):
            self._size += sum(len(v or "") for v in (event.message, event.detail, event.hint))
        if self._size > MAX_HELD and isinstance(
            event, records.Rows | records.Text | records.Notice
        ):
            self._cut.add(event.statement)
            return
        if isinstance(event, records.Completed) and event.statement in self._cut:
            event = dataclasses.replace(event, truncated=True)
        self._held.append(event)

    async def tell(self, text: str) -> None:
        """Show a text of ours as the next statement's."""
        await self(records.Text(statement=self.count, text=text))

    def hold(self) -> None:
        """The run that showed the cell ends."""
        self._emit = None

    async def release(self, emit: outputs.Emit, first: int) -> None:
        """Give out what was kept, numbered from `first` on."""
        held, self._held = self._held, []
        for event in held:
            await emit(_numbered(event, first))


@dataclasses.dataclass(slots=True, eq=False)
class _Pending:
    task: asyncio.Task[results.CellRun]
    outlet: Outlet


class Sessions:
    """The sessions of one instance by name, and the cells that are pending in them.

    One cell runs at a time besides those that wait.
    """

    def __init__(
        self,
        main: executor.Session,
        connect: Callable[[], Awaitable[executor.Session]],
        waits: Waits,
    ) -> None:
        self._sessions = {states.MAIN: main}
        self._connect = connect
        self._waits = waits
        self._pending: dict[str, _Pending] = {}
        self._awaited: set[str] = set()

    @property
    def in_transaction(self) -> bool:
        """Whether one of them has a transaction open, or runs."""
        return any(session.in_transaction for session in self._sessions.values())

    @property
    def pid(self) -> int:
        """The server process of a session in which something runs that is waited for."""
        return self._sessions[next(iter(self._awaited), states.MAIN)].pid

    @property
    def running_for(self) -> float:
        """Seconds since a statement that is waited for began; 0 if none runs."""
        return max((self._sessions[name].running_for for name in self._awaited), default=0.0)

    @property
    def fed(self) -> int | None:
        """Bytes of the file that is fed to the session whose `pid` this gives."""
        return self._sessions[next(iter(self._awaited), states.MAIN)].fed

    async def cancel(self) -> None:
        """Cancel what is waited for, but nothing that waits itself."""
        for name in sorted(self._awaited):
            await self._sessions[name].cancel()

    def waits(self, name: str) -> bool:
        """Whether a cell is pending in a session."""
        return name in self._pending

    async def session(self, name: str) -> tuple[executor.Session, Place]:
        """A session by its name, made when it is named first; and whether it stands in its own
        place, is new, or stands in another's that has ended by itself, as psql connects again.

        Raises BadRequest, StatementFailed where the server refuses it, or SandboxLost.
        """
        found = self._sessions.get(name)
        if found is not None and found.check():
            return found, "its own"
        if found is None and len(self._sessions) == MAX_SESSIONS:
            raise errors.BadRequest(
                f"A notebook has at most {MAX_SESSIONS} sessions.",
                hint=f"Use one of: {', '.join(self._sessions)}.",
            )
        made = self._sessions[name] = await self._connect()
        if found is not None:
            await found.close()
            return made, "another's"
        return made, "new"

    async def close(self) -> None:
        """End what is pending, and every session but the main one."""
        for pending in self._pending.values():
            pending.task.cancel()
        await asyncio.gather(*(p.task for p in self._pending.values()), return_exceptions=True)
        self._pending.clear()
        for name, session in self._sessions.items():
            if name != states.MAIN:
                await session.close()

    # --- running -----------------------------------------------------------------------------

    async def run(
        self,
        name: str,
        work: Callable[[Outlet], Coroutine[Any, Any, results.CellRun]],
        emit: outputs.Emit,
        first: int,
    ) -> results.CellRun | None:
        """Run a cell's work in a session, its statements numbered from `first` on; None if it was
        left pending.

        Then what was pending and has ended by this is shown. Raises what `work` does.
        """
        outlet = Outlet(emit, first)
        task = asyncio.create_task(work(outlet))
        self._awaited = {name}
        try:
            waits = await self._settle({name: task})
            if not task.done():
                await outlet.tell(f"Session {name} waits for {self._names(waits[name])}.\n")
                outlet.hold()
                self._pending[name] = _Pending(task, outlet)
            done = task.result() if task.done() else None
            await self._deliver(emit, first + outlet.count)
            return done
        except BaseException:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            raise
        finally:
            self._awaited = set()

    async def cancel_pending(self, name: str, emit: outputs.Emit) -> int:
        """Cancel what waits in a session, and show how it ended; the number of statements shown."""
        pending = self._pending.get(name)
        if pending is None:
            return 0
        await self._sessions[name].cancel()
        await asyncio.wait([pending.task], timeout=_CANCEL_SECONDS)
        return await self._deliver(emit, 0)

    async def _deliver(self, emit: outputs.Emit, first: int) -> int:
        """Show every pending cell that has ended, or ends now that nothing holds it up."""
        while self._pending:
            await self._settle({name: pending.task for name, pending in self._pending.items()})
            ended = [name for name, pending in self._pending.items() if pending.task.done()]
            if not ended:
                break
            for name in ended:
                pending = self._pending.pop(name)
                await emit(records.Text(statement=first, text=f"Session {name} goes on:\n"))
                await pending.outlet.release(emit, first)
                first += pending.outlet.count
                await _tell_failure(pending.task, emit, first)
                first += 1
        return first

    async def _settle(
        self, tasks: Mapping[str, asyncio.Task[results.CellRun]]
    ) -> Mapping[str, Sequence[int]]:
        """Wait until each of these has ended, or waits for another session of the notebook: for
        which server processes.

        A wait counts when it is older than PostgreSQL's own look for deadlocks, so that whoever
        began to wait last, and no other, is who a deadlock ends.
        """
        while True:
            left = {name: task for name, task in tasks.items() if not task.done()}
            if not left:
                return {}
            await asyncio.wait(left.values(), timeout=_POLL, return_when=asyncio.FIRST_COMPLETED)
            left = {name: task for name, task in left.items() if not task.done()}
            if not left:
                return {}
            pids = {self._sessions[name].pid: name for name in left}
            ours = {session.pid for session in self._sessions.values()}
            found = {
                pids[pid]: blockers
                for pid, blockers in (await self._waits(pids)).items()
                if ours.intersection(blockers)
            }
            self._awaited = left.keys() - found.keys()
            if found.keys() == left.keys():
                return found

    def _names(self, blockers: Sequence[int]) -> str:
        named = {session.pid: name for name, session in self._sessions.items()}
        who = [f"{named[p]} (process {p})" if p in named else f"process {p}" for p in blockers]
        return ", ".join(dict.fromkeys(who))


async def _tell_failure(
    task: asyncio.Task[results.CellRun], emit: outputs.Emit, statement: int
) -> None:
    """Its cell has ended long since, so its error is shown as a message of the server's."""
    try:
        error = task.result().error
    except results.CellFailed as exc:
        error = exc.error
    except errors.SandboxLost as exc:
        # Of its own session: whether the server is there shows the next statement.
        error = records.SqlError(sqlstate="08006", severity="FATAL", message=exc.message)
    if error is not None:
        await emit(
            records.Notice(
                statement=statement,
                severity=error.severity,
                sqlstate=error.sqlstate,
                message=error.message,
                detail=error.detail,
                hint=error.hint,
            )
        )
