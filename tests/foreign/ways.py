"""Runs one prepared notebook, three ways, and judges every head."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import itertools
import random
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import psycopg
from tests import cellar as cellars
from tests import contents
from tests import oracle as oracles
from tests.foreign import compare, excuses, screening

from pgcellar.environments import spawner
from pgcellar.notebook import cells as parsing

WAYS = ("top", "order", "edits")
#: Results of any length are compared whole.
_MAX_ROWS, _MAX_BYTES = 10_000_000, 1 << 30
#: A cell may have left a lock in an open transaction; content is not looked at then.
_LOCK_TIMEOUT = "set lock_timeout = '3s'"
_READS = ("select 1 as one", "select count(*) from pg_class where relnamespace > 0")
#: Dumps name it as an owner; it is a role in the oracle only.
_SUPERUSER = re.compile(rf"\b{oracles.ThrowawayServer.superuser}\b")
_NUMBER = re.compile(r"(?<![\w.$'\"])\d{1,4}(?![\w.$'\"])")
_NUMBERS = itertools.count()

Outcomes = list[oracles.CellOutcome]
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """A head that is wrong; `cells` end with it. `way` says what was run before."""

    file: str
    way: str
    aspect: str
    detail: str
    cells: tuple[str, ...]


@dataclasses.dataclass(kw_only=True)
class Tally:
    """What came of the heads of one file; `examples` shows what was excused, by reason."""

    heads: int = 0
    same: int = 0
    refused: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    excused: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    examples: dict[str, str] = dataclasses.field(default_factory=dict)
    differences: list[Difference] = dataclasses.field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add what another counted; a difference met again is the same one."""
        self.heads += other.heads
        self.same += other.same
        self.refused.update(other.refused)
        self.excused.update(other.excused)
        self.examples = other.examples | self.examples
        known = {(d.file, d.aspect, d.detail) for d in self.differences}
        new = (d for d in other.differences if (d.file, d.aspect, d.detail) not in known)
        self.differences.extend(new)


class Stopped(Exception):
    """A cell of the notebook does not run, and so those below it: `text` is that cell's."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Ways:
    """One notebook's heads, against one oracle."""

    def __init__(
        self,
        notebook: screening.Prepared,
        cellar: cellars.Cellar,
        oracle: oracles.Oracle,
        *,
        seed: int,
        edits: int,
    ) -> None:
        self._notebook = notebook
        self._cellar = cellar
        self._oracle = oracle
        self._drawn = random.Random(f"{seed} {notebook.name} ways")
        self._edits = edits
        self._key = ""
        self._way = ""
        self.tally = Tally()

    def run(self, ways: Sequence[str]) -> None:
        """Run the ways that are wanted. Raises Stopped."""
        order = [way for way in WAYS if way in ways]
        if self._drawn.random() < 0.5:
            order[:2] = reversed(order[:2])
        does: dict[str, Callable[[], None]] = {
            "top": self._top,
            "order": self._order,
            "edits": self._edit,
        }
        for way in order:
            self._way, self._key = way, f"{self._notebook.name} {way} {next(_NUMBERS)}"
            try:
                does[way]()
            finally:
                self._cellar.call(self._cellar.runner.forget(cellars.OWNER, self._key))

    # --- ways --------------------------------------------------------------------------------

    def _top(self) -> None:
        cells, extras = list(self._notebook.cells), self._notebook.extras
        outcomes = self._outcomes(cells)
        for index in range(len(cells)):
            for extra in (e for e in extras if e.at == index):
                self._extra(cells, extra)
            self._head(cells, index, outcomes[index])
        self._content(cells)

    def _order(self) -> None:
        cells = list(self._notebook.cells)
        outcomes = self._outcomes(cells)
        heads = list(range(len(cells)))
        self._drawn.shuffle(heads)
        for index in heads:
            self._head(cells, index, outcomes[index])
        self._content(cells)

    def _edit(self) -> None:
        cells = list(self._notebook.cells)
        for _ in range(self._edits):
            edited, at = self._edited(cells)
            outcomes = screening.go_on(self._oracle, edited, self._notebook.directory)
            failing = (i for i, outcome in enumerate(outcomes) if outcome.error is not None)
            first = next(failing, len(edited))
            below = self._drawn.randrange(at, len(edited))
            for index in dict.fromkeys((at, below, len(edited) - 1)):
                if index <= first:
                    self._head(edited, index, outcomes[index])
                elif self._ends(edited, first):
                    self._below_failure(edited, index, first, outcomes[first])
            if first == len(edited):
                cells = edited
        self._content(cells)

    def _ends(self, cells: list[str], failing: int) -> bool:
        """Whether a cell that fails ends runs of those below it.

        Not in an open transaction, where it is part of the state; nor where it only reads.
        """
        run = self._oracle.evaluate(cells[: failing + 1], self._notebook.directory)
        return failing in run.failed and not parsing.parse(cells[failing]).reads_only

    def _edited(self, cells: list[str]) -> tuple[list[str], int]:
        """The notebook with one edit, and the cell to run first."""
        drawn, out = self._drawn, list(cells)
        at = drawn.randrange(len(cells) - 1) if len(cells) > 1 else 0
        kind = drawn.choice(("change", "change", "insert", "delete", "move", "merge", "split"))
        if kind == "change":
            numbers = list(_NUMBER.finditer(out[at]))
            if numbers:
                found = drawn.choice(numbers)
                new = str(drawn.randint(1, 60))
                out[at] = out[at][: found.start()] + new + out[at][found.end() :]
            else:
                out[at] = f"-- changed\n{out[at]}"
        elif kind == "insert":
            out.insert(at, drawn.choice((*_READS, drawn.choice(cells))))
        elif kind == "delete" and len(out) > 2:
            del out[at]
        elif kind == "move":
            out.insert(drawn.randrange(len(out)), out.pop(at))
        elif kind == "merge" and len(out) > 2:
            out[at : at + 2] = [f"{out[at]}\n{out[at + 1]}"]
        elif kind == "split":
            pieces = screening.texts(out[at])
            middle = len(pieces) // 2
            if middle:
                halves = pieces[:middle], pieces[middle:]
                out[at : at + 1] = [screening.joined(half) for half in halves]
        return out, min(at, len(out) - 1)

    # --- heads -------------------------------------------------------------------------------

    def run_head(self, cells: Sequence[str], index: int, *, rerun: bool = False) -> cellars.Ran:
        """Run one head."""
        return self._cellar.run(
            cells[: index + 1],
            index,
            notebook=self._key,
            directory=str(self._notebook.directory),
            max_rows=_MAX_ROWS,
            max_bytes=_MAX_BYTES,
            rerun=rerun,
        )

    def _head(self, cells: Sequence[str], index: int, outcome: oracles.CellOutcome) -> None:
        """A head whose tail succeeds."""
        verdict = self._judged(cells, index, outcome)
        if verdict.kind != "same" and verdict.aspect not in ("results", "notices", "excused"):
            culprit = index if verdict.cell is None else verdict.cell
            if self._way != "edits":
                raise Stopped(cells[culprit])

    def _judged(
        self, cells: Sequence[str], index: int, outcome: oracles.CellOutcome
    ) -> compare.Verdict:
        self.tally.heads += 1
        try:
            ran = self.run_head(cells, index)
        except (concurrent.futures.TimeoutError, TimeoutError):
            verdict = compare.Verdict(kind="differs", aspect="timeout", detail="no answer")
            self._count(verdict, cells[: index + 1])
            raise
        verdict = compare.head(ran, outcome, index)
        if verdict.kind == "differs":
            verdict = self._second_look(cells, index, verdict, ran)
        self._count(verdict, cells[: index + 1])
        return verdict

    def _extra(self, cells: Sequence[str], extra: screening.Extra) -> None:
        """A head that fails, or is refused, and is in no tail."""
        tail, text = list(cells[: extra.at]), extra.text
        if extra.above:
            text = tail.pop() + text
        self.tally.heads += 1
        ran = self.run_head([*tail, text], len(tail))
        error = ran.done.error
        if error is not None and (error.sqlstate in compare.REFUSALS or extra.psql):
            self.tally.refused[f"{error.sqlstate} {compare.general(error)}"] += 1
            return
        if error is not None and error.cell == f"c{len(tail)}" and error.sqlstate == extra.sqlstate:
            self.tally.same += 1
            return
        # What was learned of it when others failed above it need not be so now.
        run = self._oracle.evaluate([*tail, text], self._notebook.directory)
        verdict = compare.head(ran, run.cells[-1], len(tail))
        if verdict.kind == "differs":
            verdict = self._second_look([*tail, text], len(tail), verdict, ran)
        self._count(verdict, (*tail, text))

    def _below_failure(
        self, cells: Sequence[str], index: int, first: int, outcome: oracles.CellOutcome
    ) -> None:
        """A head under a cell that fails: the run ends there, with its error."""
        self.tally.heads += 1
        ran = self.run_head(cells, index)
        verdict = compare.head(ran, outcome, first)
        self._count(verdict, cells[: index + 1])

    def _second_look(
        self, cells: Sequence[str], index: int, verdict: compare.Verdict, ran: cellars.Ran
    ) -> compare.Verdict:
        """Whether psql agrees with itself, and if it does, whether the text says why we may not."""
        try:
            one, two = (
                self._oracle.evaluate([*cells[: index + 1], *more], self._notebook.directory).cells[
                    index
                ]
                for more in ((), ("-- once more",))
            )
        except AssertionError as exc:
            return dataclasses.replace(verdict, detail=f"{verdict.detail}; then psql: {exc}")
        if (one.error is None) != (two.error is None):
            return _excused("unstable error")
        # What psql said before may have come after failures in the same session.
        verdict = compare.head(ran, one, index)
        if verdict.aspect == "error" and _SUPERUSER.search(cells[index]):
            return _excused("superuser's name", verdict.detail)
        if verdict.aspect == "notices":
            reason = excuses.excuse(cells[index])
            if one.notices != two.notices:
                reason = reason or "unstable"
            return _excused(reason, verdict.detail) if reason else verdict
        if verdict.aspect != "results" or len(ran.results) != len(one.results):
            return verdict
        texts = screening.texts(cells[index])
        whole = len(texts) != len(one.results)
        reasons = {
            number: excuses.excuse(cells[index] if whole else texts[number])
            or ("unstable" if one.results[number] != two.results[number] else None)
            for number, _ in compare.differing(ran.results, one.results)
        }
        if None in reasons.values():
            excused = [number for number, reason in reasons.items() if reason]
            return compare.results(ran.results, one, excused)
        told = ", ".join(sorted({str(reason) for reason in reasons.values()}))
        return _excused(told, verdict.detail)

    def _count(self, verdict: compare.Verdict, cells: Sequence[str]) -> None:
        if verdict.aspect == "excused":
            self.tally.excused[verdict.detail] += 1
            self.tally.examples.setdefault(verdict.detail, f"{cells[-1]}: {verdict.told}")
        elif verdict.kind == "same":
            self.tally.same += 1
        elif verdict.kind == "refused":
            self.tally.refused[f"{verdict.aspect} {verdict.detail}"] += 1
        else:
            self.tally.differences.append(
                Difference(
                    file=self._notebook.name,
                    way=self._way,
                    aspect=verdict.aspect,
                    detail=verdict.detail,
                    cells=tuple(cells),
                )
            )

    def shows(self, cells: Sequence[str], aspect: str, *, every: bool) -> bool:
        """Whether the last of some cells differs in this aspect, in a notebook of its own."""
        number = next(_NUMBERS)
        self._key = f"{self._notebook.name} shrinking {number}"
        # What is known of states from other notebooks may hide it.
        cells = [f"set application_name = 'foreign {number}'", *cells]
        last = len(cells) - 1
        try:
            if aspect in ("content", "dump"):
                if every:
                    for index in range(len(cells)):
                        self.run_head(cells, index)
                return self.content(cells).aspect == aspect
            outcome = self._oracle.evaluate(list(cells), self._notebook.directory).cells[last]
            for index in range(last) if every else ():
                self.run_head(cells, index)
            ran = self.run_head(cells, last)
            verdict = compare.head(ran, outcome, last)
            if verdict.kind == "differs":
                verdict = self._second_look(cells, last, verdict, ran)
            return verdict.aspect == aspect and verdict.cell in (None, last)
        except (AssertionError, psycopg.Error):
            return False
        finally:
            self._cellar.call(self._cellar.runner.forget(cellars.OWNER, self._key))

    # --- content -----------------------------------------------------------------------------

    def _content(self, cells: Sequence[str]) -> None:
        self.tally.heads += 1
        try:
            verdict = self.content(cells)
        except psycopg.errors.LockNotAvailable:
            verdict = _excused("locked content")
        self._count(verdict, cells)

    def content(self, cells: Sequence[str]) -> compare.Verdict:
        """The database after the last cell: its fingerprint, and if that agrees, its dump."""
        # A hit needs no instance.
        state = self.run_head([*cells, "select 'look'"], len(cells), rerun=True).head.state
        address = self._cellar.call(self._live(state))
        if address is None:
            return compare.Verdict(kind="differs", aspect="content", detail="no live instance")
        with address.connect() as connection:
            connection.execute(_LOCK_TIMEOUT)
            ours = contents.fingerprint(connection)
        prints = self._twice(cells, self._oracle.fingerprint)
        verdict = compare.content(_as_the_oracle(ours), *prints)
        # Dumps take a second; the ways that come after the first lead to the same cells.
        if verdict.kind != "same" or self._way != "top":
            return verdict
        dump = contents.canonical_dump(address, self._oracle.bindir)
        dump = dump.replace(spawner.ADMIN_ROLE, oracles.ThrowawayServer.superuser)
        return compare.dumps(dump, *self._twice(cells, self._oracle.dump))

    def _twice(self, cells: Sequence[str], look: Callable[[str], T]) -> list[T]:
        """What two runs of psql leave behind; each is looked at before the next, which may take its
        roles away; one of before may not have them any more.
        """
        texts = [[*cells, f"-- {next(_NUMBERS)}"] for _ in range(2)]
        directory = self._notebook.directory
        return [look(self._oracle.evaluate(text, directory).dbname) for text in texts]

    async def _live(self, state: str | None) -> contents.Address | None:
        held = (await self._cellar.runner.space(cellars.OWNER)).notebook(self._key)
        async with held.lock:
            await held.quiet()
            for instance in held.instances:
                if instance.mark.state == state:
                    return await self._cellar.address(instance.database)
        return None

    def _outcomes(self, cells: Sequence[str]) -> Outcomes:
        """psql's outcomes of cells that succeed."""
        run = self._oracle.evaluate(list(cells), self._notebook.directory)
        if run.failed:
            raise Stopped(cells[run.failed[0]])
        return list(run.cells)


def _excused(reason: str, told: str = "") -> compare.Verdict:
    return compare.Verdict(kind="refused", aspect="excused", detail=reason, told=told)


def _as_the_oracle(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """A fingerprint with the oracle's name for the superuser, who owns what a range type makes."""
    return {
        section: [
            text.replace(spawner.ADMIN_ROLE, oracles.ThrowawayServer.superuser) for text in texts
        ]
        for section, texts in found.items()
    }
