"""The oracle, faster where a notebook is run cell by cell: one psql goes on from cell to cell.

What psql has seen is always the notebook's cells from the top, each once, on a fresh database, as
when `Oracle.evaluate` runs them; but where cells were only added at the end, it goes on from there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import re
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import psycopg
from tests import contents
from tests import oracle as oracles

_DONE = "\x02done\x02\n"
#: Without any of these words a transaction neither begins nor ends.
_TURNS = re.compile(
    r"\b(?:begin|start|commit|end|rollback|abort|prepare\s+transaction)\b|\\c\b", re.IGNORECASE
)
_STATE = """
select state from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
_LOCK_TIMEOUT_MS = 100
#: Cells that failed, of notebooks that were run; they need not be tried again.
_REMEMBERED = 1000

Key = tuple[tuple[str, ...], str | None]


@dataclasses.dataclass(kw_only=True)
class _Live:
    """A psql that waits for the next cell."""

    process: subprocess.Popen[bytes]
    scripts: tempfile.TemporaryDirectory[str]
    watcher: psycopg.Connection[Any]
    directory: str | None
    cells: list[str] = dataclasses.field(default_factory=list)
    outcomes: list[oracles.CellOutcome] = dataclasses.field(default_factory=list)

    def feed(self, cell: str, *, stop: bool) -> oracles.CellOutcome:
        """Run a cell. If it stops at an error, psql has ended."""
        # A file each: what a cell leaves open ends with its file, not in the next cell.
        path = pathlib.Path(self.scripts.name, f"{len(self.cells)}.sql")
        path.write_text(cell, encoding="utf-8", newline="")
        shown, said = self.type(
            rf"\set ON_ERROR_STOP {'on' if stop else 'off'}", rf"\include '{path}'"
        )
        return oracles.outcome(shown, said)

    def type(self, *lines: str) -> tuple[str, str]:
        """Have lines run; what psql writes to stdout and stderr."""
        assert self.process.stdin is not None
        mark = _DONE.rstrip("\n")
        text = "\n".join([*lines, rf"\echo '{mark}'", rf"\warn '{mark}'", ""])
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()
        pipes = {self.process.stdout: b"", self.process.stderr: b""}
        waiting = set(pipes)
        deadline = time.monotonic() + oracles.PSQL_TIMEOUT_S
        while waiting:
            ready, _, _ = select.select(list(waiting), [], [], deadline - time.monotonic())
            assert ready, f"psql does not come to an end: {text}"
            for pipe in ready:
                assert pipe is not None
                read = os.read(pipe.fileno(), 1 << 16)
                pipes[pipe] += read
                if not read or pipes[pipe].endswith(_DONE.encode()):
                    waiting.discard(pipe)
        shown, said = (taken.decode().removesuffix(_DONE) for taken in pipes.values())
        return shown, said

    def state(self) -> str:
        """What the session is: idle, in a transaction, or nobody knows."""
        states = self.watcher.execute(_STATE).fetchall()
        return states[0][0] if len(states) == 1 else "unknown"

    def end(self) -> None:
        """End psql; what it has not committed is gone."""
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self.process.wait(oracles.PSQL_TIMEOUT_S)
        while self.watcher.execute(_STATE).fetchall():
            time.sleep(0.001)


class Oracle(oracles.Oracle):
    """An oracle with a `follower`. `compared` counts the heads that were held against it."""

    def __init__(self, bindir: pathlib.Path) -> None:
        super().__init__(bindir)
        self.follower = Follower(self)
        self.compared = 0

    def __exit__(self, *problem: Any) -> None:
        self.follower.close()
        super().__exit__(*problem)

    def fresh(self) -> None:
        """The database as every notebook finds it; what followed a notebook ends."""
        self.follower.close()
        super().fresh()


class Follower:
    """Evaluates notebooks as the oracle does, until the oracle is used otherwise."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._live: _Live | None = None
        self._ended = False
        #: What became of cells that failed below their tails: outcomes, inside or not.
        self._failed: dict[Key, oracles.CellOutcome] = {}

    def evaluate(self, cells: Sequence[str], directory: str | None = None) -> oracles.OracleRun:
        """As `Oracle.evaluate`; of the database there is only `fingerprint`."""
        live = self._live
        if (
            live is None
            or live.directory != directory
            or live.cells != list(cells[: len(live.cells)])
            or (self._ended and len(live.cells) < len(cells))
        ):
            live = self._open(directory)
        while len(live.cells) < len(cells):
            self._step(live, cells)
            assert self._live is not None
            live = self._live
        return oracles.OracleRun(cells=tuple(live.outcomes), dbname=oracles.DATABASE)

    def fingerprint(self) -> dict[str, list[str]]:
        """What the database holds after what was evaluated last, once psql has ended."""
        assert self._live is not None
        watcher = self._live.watcher
        watcher.execute(f"set lock_timeout = {_LOCK_TIMEOUT_MS}")
        with contextlib.suppress(psycopg.errors.LockNotAvailable):
            return contents.fingerprint(watcher)
        self._end()
        return contents.fingerprint(watcher)

    def dump(self) -> str:
        """The canonical dump of the same."""
        with contextlib.suppress(contents.LockedError):
            return self._dump()
        self._end()
        return self._dump()

    def _dump(self) -> str:
        oracle = self._oracle
        return contents.canonical_dump(
            oracle.address(oracles.DATABASE), oracle.bindir, lock_timeout_ms=_LOCK_TIMEOUT_MS
        )

    def _end(self) -> None:
        """Nobody else sees what an open transaction did, so this is only for its locks."""
        assert self._live is not None
        if not self._ended:
            self._live.end()
            self._ended = True

    def close(self) -> None:
        """End what runs."""
        if self._live is not None:
            if not self._ended:
                self._live.end()
            self._live.watcher.close()
            self._live.scripts.cleanup()
            self._oracle.drop(oracles.DATABASE)
        self._live, self._ended = None, False

    def _step(self, live: _Live, cells: Sequence[str]) -> None:
        """Run the next cell, or find that it fails, and start over without it."""
        index = len(live.cells)
        key = tuple(cells[: index + 1]), live.directory
        known = self._failed.get(key)
        if known is not None and not known.inside:
            live.cells.append(cells[index])
            live.outcomes.append(known)
            return
        inside = known is not None
        turns = _TURNS.search(cells[index]) is not None
        if not inside and not turns:
            inside = live.state().startswith("idle in")
        found = live.feed(cells[index], stop=not inside)
        if found.ok or inside:
            live.cells.append(cells[index])
            live.outcomes.append(dataclasses.replace(found, inside=not found.ok))
            return
        again = self._start_over(live)
        if turns:
            error = self._outside(again, cells[index])
            inside = error is None
            found = dataclasses.replace(found, error=error or found.error)
            self._start_over(again)
        if len(self._failed) >= _REMEMBERED:
            self._failed.clear()
        self._failed[key] = dataclasses.replace(found, inside=inside)

    def _outside(self, live: _Live, cell: str) -> oracles.CellError | None:
        """The first error of a cell that does not come in an open transaction, if there is one.

        It is why the cell leaves no trace; after errors inside it goes on.
        """
        for text in oracles.split(cell):
            idle = live.state() == "idle"
            error = live.feed(text, stop=False).error
            if error is not None and idle:
                return error
        return None

    def _start_over(self, before: _Live) -> _Live:
        """A new psql, where the one before was."""
        live = self._open(before.directory)
        while len(live.cells) < len(before.cells):
            self._step(live, before.cells)
        return live

    def _open(self, directory: str | None) -> _Live:
        self.close()
        oracle = self._oracle
        oracle.fresh()
        scripts = tempfile.TemporaryDirectory(prefix="oracle-cells-")
        process = oracle.psql(directory or scripts.name)
        self._live = _Live(
            process=process,
            scripts=scripts,
            watcher=oracle.connect(oracles.DATABASE),
            directory=directory,
        )
        self._live.type(r"\set QUIET on", r"\timing on", r"\set QUIET off")
        return self._live
