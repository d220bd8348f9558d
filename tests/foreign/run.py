"""Runs files: prepares each, runs it, begins again without what stopped it, shrinks differences."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shutil
import tempfile
import time

from tests import cellar as cellars
from tests import oracle as oracles
from tests.foreign import screening, shrinking, sources, table, ways

#: Files whose cells keep on stopping the rest are of no more use.
MAX_RESTARTS = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """How files are run."""

    cap: int = 40
    edits: int = 8
    seed: int = 1
    ways: tuple[str, ...] = ways.WAYS
    shrink_seconds: float = 0.0


class Harness:
    """An oracle, and services that are made anew now and then, as snapshots add up."""

    FILES_PER_CELLAR = 8

    def __init__(self, oracle: oracles.Oracle, home: pathlib.Path, options: Options) -> None:
        self._oracle = oracle
        self._home = home
        self._options = options
        self._stack = contextlib.ExitStack()
        self._cellar: cellars.Cellar | None = None
        self._files = self._cellars = 0

    def close(self) -> None:
        """End the services."""
        self._stack.close()
        self._cellar = None
        shutil.rmtree(self._home / str(self._cellars), ignore_errors=True)

    def run(self, source: sources.Source) -> table.Row:
        """Run one file."""
        begin = time.perf_counter()
        row = table.Row(file=source.name)
        with tempfile.TemporaryDirectory(prefix="foreign-", dir=self._home) as folder:
            try:
                self._run(source, pathlib.Path(folder), row)
            except screening.Unusable as exc:
                row.trouble = str(exc)
            except Exception as exc:
                # One file's trouble is not that of the others; the services may be the cause.
                row.trouble = f"{type(exc).__name__}: {exc}"
                self.close()
        row.seconds = time.perf_counter() - begin
        return row

    def _run(self, source: sources.Source, directory: pathlib.Path, row: table.Row) -> None:
        options = self._options
        screen = screening.Screen(
            source, self._oracle, directory, cap=options.cap, seed=options.seed
        )
        without: frozenset[str] = frozenset()
        alone: frozenset[str] = frozenset()
        for _ in range(MAX_RESTARTS):
            notebook = screen.prepare(without, alone)
            row.cells, row.left_out = len(notebook.cells), notebook.left_out
            made = ways.Ways(
                notebook, self._services(), self._oracle, seed=options.seed, edits=options.edits
            )
            try:
                made.run(options.ways)
                return
            except ways.Stopped as exc:
                stopped = frozenset(screening.texts(exc.text))
                if len(stopped) > 1 and not stopped <= alone:
                    alone |= stopped
                else:
                    without |= stopped
            finally:
                self._shrink(made)
                row.tally.add(made.tally)
        raise screening.Unusable(f"begun again {MAX_RESTARTS} times")

    def _shrink(self, made: ways.Ways) -> None:
        if self._options.shrink_seconds:
            found = made.tally.differences
            found[:1] = [shrinking.shrunk(made, d, self._options.shrink_seconds) for d in found[:1]]

    def _services(self) -> cellars.Cellar:
        if self._cellar is not None and self._files % self.FILES_PER_CELLAR == 0:
            self.close()
        self._files += 1
        if self._cellar is None:
            self._cellars += 1
            home = self._home / str(self._cellars)
            home.mkdir(mode=0o711)
            self._cellar = self._stack.enter_context(cellars.Cellar(home))
        return self._cellar
