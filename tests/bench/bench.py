"""pgcellar beside ipykernel, JupySQL and bare psycopg, in one run: a table of medians and ratios.

`make bench` runs it. Everything lives in a temporary home, which is removed at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import psycopg
from jupyter_client.manager import KernelManager
from tests import cellar as cellars
from tests import oracle as oracles

from pgcellar.api import client, paths, records
from pgcellar.notebook import cells, states
from pgcellar.postgres import account, binaries
from pgcellar_kernel import install

LOAD = (
    "create table big as select g as id, md5(g::text) as h from generate_series(1, 1000000) g;"
    " alter table big add primary key (id)"
)
SMALL = ["create table s (a int)", "insert into s select generate_series(1, 100)", "select 1"]
EDITED = "update s set a = a + {} where a < 50"


def median_ms(work: Callable[[], Any], rounds: int) -> float:
    """The median of so many rounds, in milliseconds."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def row(what: str, ms: float, against: str = "", other: float | None = None) -> None:
    """One line of the table."""
    ratio = "" if other is None else f"{ms / other:8.2f}x {against} ({other:.2f} ms)"
    print(f"{what:58} {ms:10.2f} ms {ratio}", flush=True)


class Kernel:
    """A kernel that cells are sent to."""

    def __init__(self, name: str) -> None:
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, code: str, **metadata: Any) -> None:
        """Run a cell, to its reply and to idle."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        wanted = message["header"]["msg_id"]
        while self.client.get_shell_msg(timeout=300)["parent_header"].get("msg_id") != wanted:
            pass
        while True:
            said = self.client.get_iopub_msg(timeout=300)
            if said["parent_header"].get("msg_id") == wanted:
                if said["msg_type"] == "error":
                    raise RuntimeError(said["content"]["evalue"])
                if said["content"].get("execution_state") == "idle":
                    return

    def stop(self) -> None:
        """Shut it down."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def kernels(url: str, rounds: int) -> None:
    """Round trips of the smallest cell, interleaved; then edit-and-rerun against JupySQL."""
    ours, theirs = Kernel("pgcellar"), Kernel("python3")
    jupysql = Kernel("python3")
    try:
        jupysql.run("%load_ext sql\n%config SqlMagic.displaycon=False\n%config SqlMagic.feedback=0")
        jupysql.run(f"%sql {url}")
        one = [{"id": "a", "source": "select 1"}]
        work = {
            "kernel: select 1 in pgcellar": lambda: ours.run(
                "select 1", pgcellar={"cells": one, "head": 0}
            ),
            "kernel: 1+1 in ipykernel": lambda: theirs.run("1+1"),
            "kernel: %sql select 1 in JupySQL": lambda: jupysql.run("%sql select 1"),
        }
        times: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(rounds + 10):
            for name, run in work.items():
                begin = time.perf_counter()
                run()
                times[name].append((time.perf_counter() - begin) * 1000)
        medians = {name: statistics.median(taken[10:]) for name, taken in times.items()}
        base = medians["kernel: 1+1 in ipykernel"]
        for name, ms in medians.items():
            row(name, ms, "ipykernel", base)
        rerun(ours, jupysql)
    finally:
        for kernel in (ours, theirs, jupysql):
            kernel.stop()


def rerun(ours: Kernel, jupysql: Kernel) -> None:
    """A cell below a load is edited and run: here the cell alone, there everything from the top."""
    texts = [LOAD, *SMALL, EDITED.format(0)]

    def head(number: int) -> None:
        now = [*texts[:-1], EDITED.format(number)]
        listed = [{"id": str(i), "source": text} for i, text in enumerate(now)]
        ours.run(now[-1], pgcellar={"cells": listed, "head": len(now) - 1})

    def top(number: int) -> None:
        jupysql.run("%%sql\ndrop table if exists big; drop table if exists s")
        for text in [*texts[:-1], EDITED.format(number)]:
            jupysql.run(f"%%sql\n{text}")

    for index, text in enumerate(texts):
        listed = [{"id": str(i), "source": one} for i, one in enumerate(texts)]
        ours.run(text, pgcellar={"cells": listed, "head": index})
    time.sleep(2)
    numbers = iter(range(1, 1000))
    other = median_ms(lambda: top(next(numbers)), 2)
    row("edit and rerun below a load, at once", median_ms(lambda: head(next(numbers)), 5),
        "JupySQL from the top", other)  # fmt: skip
    times = []
    for _ in range(5):
        time.sleep(1.5)
        times.append(median_ms(lambda: head(next(numbers)), 1))
    row("edit and rerun below a load, after a pause", statistics.median(times),
        "JupySQL from the top", other)  # fmt: skip


def runner(home: pathlib.Path, address: dict[str, Any], rounds: int) -> None:
    """What the runner and the HTTP client add to bare psycopg."""
    with psycopg.connect(**address, autocommit=True, prepare_threshold=None) as conn:
        conn.execute("create table t (a int)")
        bare = median_ms(lambda: conn.execute("select 1").fetchall(), rounds)
        insert = median_ms(lambda: conn.execute("insert into t values (1)"), rounds)
    with cellars.Cellar(home / "inner") as cellar:
        base = ["create table t (a int)"]
        cellar.run(base)
        cellar.quiet()
        read = median_ms(lambda: cellar.run([*base, "select 1"]), rounds)
        row("runner: head select 1, in process", read, "psycopg", bare)
        times = []
        for number in range(15):
            text = f"insert into t values ({number})"
            times.append(median_ms(lambda text=text: cellar.run([*base, text]), 1))
            cellar.quiet()
        row(
            "runner: write head, edited, after a pause",
            statistics.median(times),
            "psycopg",
            insert,
        )
        every = list(base)
        times = []
        for number in range(40):
            every.append(f"insert into t values ({number})")
            times.append(median_ms(lambda: cellar.run(every), 1))
        row(
            "runner: write heads back to back (run all)",
            statistics.median(times),
            "psycopg",
            insert,
        )


async def over_http(rounds: int) -> float:
    """A read through the client and the service process."""
    request = records.RunRequest(
        notebook="bench", cells=(records.Cell(id="a", source="select 1"),), head=0, brief=True
    )
    times = []
    with contextlib.closing(client.Client()) as service:
        for _ in range(rounds + 10):
            begin = time.perf_counter()
            async for _ in service.run(request):
                pass
            times.append((time.perf_counter() - begin) * 1000)
        await service.stop()
    return statistics.median(times[10:])


class _Everything:
    """Knows every state, so that planning alone is measured."""

    def facts(self, state: str) -> states.Facts:
        """Nothing may write."""
        return states.Facts()

    def learned(self, state: str, statement: str) -> states.Outcome:
        """Every read succeeded."""
        return "read"


def planning() -> None:
    """Planning notebooks of growing length."""
    for count in (10, 100, 1000, 5000):
        texts = [
            f"insert into t values ({i}); select {i}" if i % 2 else f"select {i} from t"
            for i in range(count)
        ]
        chain = states.Chain(_Everything())

        def plan(texts: list[str] = texts, chain: states.Chain = chain) -> None:
            chain.walk("0" * 64, [cells.parse(text) for text in texts], {})

        row(f"planning {count} cells, first time", median_ms(plan, 1))
        row(f"planning {count} cells, unchanged", median_ms(plan, 5))
        texts[count // 2] = "insert into t values (-1)"
        row(f"planning {count} cells, one in the middle edited", median_ms(plan, 1))


@contextlib.contextmanager
def temporary() -> Iterator[pathlib.Path]:
    """A short folder that the servers' account can pass."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 30 if parser.parse_args().quick else 150
    with temporary() as home:
        os.environ["PGCELLAR_HOME"] = str(home / "home")
        os.environ["PGCELLAR_RUNTIME"] = str(home / "run")
        os.environ["JUPYTER_PATH"] = str(home / "prefix" / "share" / "jupyter")
        install.install(False, str(home / "prefix"))
        found = account.readable(binaries.find(), account.current(), home)
        print(f"{os.cpu_count()} cores, PostgreSQL {found.version}, home {paths.current().home}")
        with oracles.Oracle(found.bindir) as peer:
            place = peer.address("postgres")
            address = {"host": place.host, "port": place.port, "user": place.user,
                       "dbname": "postgres"}  # fmt: skip
            url = f"postgresql://{place.user}@/postgres?host={place.host}&port={place.port}"
            kernels(url, rounds)
            row("client: select 1 over HTTP", asyncio.run(over_http(rounds)))
            runner(home, address, rounds)
        planning()


if __name__ == "__main__":
    main()
