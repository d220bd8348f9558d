"""`make bench`: what pgcellar costs and saves, side by side with its neighbours, in one run.

Kernels against ipykernel and JupySQL, cancelling, the runner and its pages against psycopg, a
notebook that nobody changed, `jupyter execute` twice, an edit against running from the top,
planning by length, and the edit once more where files share extents. Prints one table; asserts
nothing about time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import json
import pathlib
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from types import FrameType

# Run as a script; and the modules beside it shall not hide others of their names.
sys.path.pop(0)
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests import cellar
from tests.bench import (
    cancelling,
    executing,
    gateway,
    heads,
    kernels,
    measure,
    paging,
    places,
    planning,
    rerun,
)

SMALL = ("kernels", "cancels", "reads", "writes", "pages")
PARTS = (*SMALL, "executes", "reruns", "planning", "gateway", "xfs")
_HERE = "an edit below a load of seconds, on this file system"
_XFS = "an edit below a load of seconds, on XFS with reflinks"


class Bench:
    """One run."""

    def __init__(self, home: pathlib.Path, parts: set[str], *, quick: bool) -> None:
        self.table = measure.Table()
        self._home = home
        self._sockets = home / "run"
        self._parts = parts
        self._quick = quick

    def run(self) -> None:
        """Measure everything that is wanted."""
        with kernels.prepared(self._home / "jupyter"):
            if self._parts & set(SMALL):
                asyncio.run(self._small())
            if self._wants("executes", "jupyter execute"):
                home = self._home / "executes"
                asyncio.run(executing.twice(self.table, home, self._sockets, self._n(3, 1)))
            if self._wants("reruns", "a few loads of seconds"):
                home = self._home / "here"
                asyncio.run(rerun.rerun(self.table, _HERE, home, self._sockets, self._n(4, 2)))
            if self._wants("xfs", "the same on XFS"):
                rerun.rerun_on_xfs(self.table, _XFS, self._home, self._sockets, self._n(4, 2))
        if self._wants("gateway", "the gateway"):
            gateway.gateway(self.table, self._home, self._n(200, 40))
            gateway.authentication(self.table, self._home, self._n(200, 40))
        if self._wants("planning", "planning"):
            planning.plans(self.table, self._n(9, 3))
            planning.lineage(self.table, self._n(9, 3))

    async def _small(self) -> None:
        """What is done in moments: kernels and heads."""
        async with contextlib.AsyncExitStack() as stack:
            at = self._home / "small"
            service = await stack.enter_async_context(places.service(at / "home", self._sockets))
            plain = places.plain(at / "plain", self._sockets / "plain")
            server = await stack.enter_async_context(plain)
            if self._wants("kernels", "kernels"):
                kernels.round_trips(self.table, server, self._n(100, 20))
                kernels.starts(self.table, server, self._n(10, 3))
            if self._wants("cancels", "cancelling"):
                await cancelling.cancels(self.table, service, server, self._n(20, 5))
            if self._wants("pages", "pages of a million rows"):
                conn = await stack.enter_async_context(await server.connect())
                await paging.pages(self.table, service, conn, self._n(40, 10))
            if not self._parts & {"reads", "writes"}:
                return
            inside = stack.enter_context(cellar.Cellar(at / "inside", spares=0))
            conn = await stack.enter_async_context(await server.connect())
            measured = heads.Heads(
                self.table, conn, heads.over_http(service), heads.in_process(inside)
            )
            if self._wants("reads", "reads"):
                await measured.reads(self._n(200, 40))
                again = heads.over_http(service, again=True), heads.in_process(inside, again=True)
                await measured.again(*again, self._n(40, 10))
            if self._wants("writes", "writes, with pauses"):
                await measured.writes(self._n(12, 4))

    def _n(self, usual: int, quick: int) -> int:
        return quick if self._quick else usual

    def _wants(self, part: str, says: str) -> bool:
        if part in self._parts:
            print(f"measuring {says} …", file=sys.stderr, flush=True)
        return part in self._parts


def main() -> None:
    """See the module."""
    options = _options()
    begin = time.monotonic()
    with _ended_in_order(), places.folder() as home:
        facts = places.facts(home)
        bench = Bench(home, set(options.only or PARTS), quick=options.quick)
        bench.run()
    for name, fact in facts.items():
        print(f"{name:12} {fact}")
    print(f"\n{bench.table.text()}\n{time.monotonic() - begin:.0f} s in all")
    if options.json is not None:
        rows = [row.record() for row in bench.table.rows]
        saved = {"facts": facts, "rows": rows, "skipped": bench.table.skipped}
        options.json.write_text(json.dumps(saved, indent=1) + "\n")
    if options.markdown is not None:
        options.markdown.write_text(_page(facts, bench.table))


def _page(facts: dict[str, str], table: measure.Table) -> str:
    """The figures as a page of the documentation."""
    told = "\n".join(f"* {name}: {fact}" for name, fact in facts.items())
    today = datetime.date.today().isoformat()
    return (
        f"# Figures\n\nOf {today}, all of one run of `tests/bench/bench.py --markdown`, where it"
        " stands what is run, and how. Compared is with the row that is named: by its ratio (×), or"
        f" by how many ms it is more (+).\n\n{told}\n\n{table.markdown()}\n"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="bench.py")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="some parts")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="save the figures")
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE", help="save them as a page")
    return parser.parse_args()


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """However we are told to end: servers are stopped and volumes unmounted."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    with warnings.catch_warnings():
        # Of ipykernel, about TCP without encryption, and of JupySQL's own imports.
        warnings.simplefilter("ignore")
        yield


if __name__ == "__main__":
    main()
