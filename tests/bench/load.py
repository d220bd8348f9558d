"""`python tests/bench/load.py`: a class comes in, on this machine, by the central gateway.

Every identity logs in, then works through a notebook of its own over the class's dataset: a cell,
a look at it, the next cell, now and then an edit above. All answers are compared with the right
ones, and at the end with what each one's sandbox holds: a run that was lost, or done twice, shows.
`--kill` kills the service, the gateway or the control database that often meanwhile.

Bounded in count and time, and on the loopback address only.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import random
import secrets
import signal
import statistics
import sys
import time
from collections.abc import Iterator

# Run as a script; and the modules beside it shall not hide others of their names.
if __name__ == "__main__":
    sys.path.pop(0)
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests import fixtures_central
from tests.bench import places
from tests.fixtures_service import CommandLine, command_line

from pgcellar.api import errors, records, remote, transport

#: Sparse.
_VOLUME = 48 * 1024**3
#: Seconds between two looks at how it goes, and the runs of which the middle one is shown.
_LOOK = 10.0
_NEWEST = 200
_PASSWORD = fixtures_central.PASSWORD
_LOAD = """create table flights as
select g as id, (g * 7919) % 500 as delay, 'C' || g % 16 as carrier, g % 365 as day
from generate_series(1, 20000) g;
create index on flights (carrier)"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done."""

    anonymous: int
    registered: int
    #: Seconds over which people come, and between two cells on average.
    ramp: float
    think: float
    kills: int
    #: Everything has to be over by then, in seconds.
    limit: float
    #: Seconds after which an access token is renewed; it lives for 600.
    renew: float = 400.0


@dataclasses.dataclass(kw_only=True)
class Seen:
    """What came of it."""

    heads: list[float] = dataclasses.field(default_factory=list)
    first: list[float] = dataclasses.field(default_factory=list)
    logins: list[float] = dataclasses.field(default_factory=list)
    sources: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    errors: list[str] = dataclasses.field(default_factory=list)
    come: int = 0
    gone: int = 0
    restarted: int = 0
    killed: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    memory: int = 0
    sandboxes: int = 0


class Person:
    """Somebody, with a notebook."""

    def __init__(
        self, number: int, url: str, seen: Seen, *, email: str | None, renew: float
    ) -> None:
        self._renewing = renew
        self._number = number
        self._url = url
        self._seen = seen
        self._email = email
        self._random = random.Random(number)
        self._refresh = ""
        self._renewed = 0.0
        self._remote: remote.Remote

    async def come(self) -> None:
        """Log in."""
        begin = time.perf_counter()
        if self._email is None:
            found = await post(self._url, "/identity/anonymous", {})
        else:
            login = {"email": self._email, "password": _PASSWORD}
            found = await post(self._url, "/identity/password", login)
        self._seen.logins.append(time.perf_counter() - begin)
        self._take(found)

    async def work(self, think: float) -> None:
        """Go through the notebook; raises what went wrong."""
        mine = self._number
        cells = [
            _LOAD,
            "select carrier, count(*) from flights group by 1 order by 1",
            "create table notes (who int, text text); insert into notes values (-1, 'first')",
            f"insert into notes values ({mine}, 'late') ; delete from flights where day = 7",
            f"select count(*), (select count(*) from notes where who = {mine}) from flights",
        ]
        expected = "19945", "1"
        for head in range(len(cells)):
            await self._run(cells, head)
            await asyncio.sleep(self._random.expovariate(1 / think))
        # An edit above, and the last cell again: the tail between is replayed.
        cells[2] = cells[2].replace("first", f"edited {mine}")
        rows = await self._run(cells, len(cells) - 1)
        if tuple(rows[-1]) != expected:
            raise AssertionError(f"person {mine}: {rows} is not {expected}")
        await self._renew()
        listed = await self._remote._again("GET", "/runs?limit=200", {}, {})
        states = [run["status"] for run in listed["runs"]]
        if states != ["done"] * (len(cells) + 1):
            raise AssertionError(f"person {mine}: {states}")

    async def leave(self) -> None:
        """Close the connections."""
        with contextlib.suppress(AttributeError):
            self._remote.close()

    async def _run(self, cells: list[str], head: int) -> list[tuple[str | None, ...]]:
        await self._renew()
        request = records.RunRequest(
            notebook="homework.ipynb",
            cells=tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(cells)),
            head=head,
            brief=True,
        )
        begin = time.perf_counter()
        rows: list[tuple[str | None, ...]] = []
        done: records.Done | None = None
        async with contextlib.aclosing(self._remote.run(request)) as events:
            async for event in events:
                if isinstance(event, records.Restarted):
                    self._seen.restarted += 1
                    rows.clear()
                elif isinstance(event, records.Rows):
                    rows.extend(event.rows)
                elif isinstance(event, records.Done):
                    done = event
        (self._seen.heads if head else self._seen.first).append(time.perf_counter() - begin)
        if done is None or done.error is not None:
            raise AssertionError(f"person {self._number}, cell {head}: {done and done.error}")
        self._seen.sources[done.cells[-1].source] += 1
        return rows

    async def _renew(self) -> None:
        if time.monotonic() - self._renewed > self._renewing:
            # Asked for again after an answer that was lost, it is the same request.
            key = {transport.KEY: secrets.token_hex(16)}
            asked = {"refresh_token": self._refresh}
            self._take(await post(self._url, "/identity/refresh", asked, **key))

    def _take(self, tokens: dict[str, str]) -> None:
        self._refresh = tokens["refresh_token"]
        self._renewed = time.monotonic()
        former = getattr(self, "_remote", None)
        if former is not None:
            former.close()
        self._remote = remote.Remote(self._url.removesuffix(remote.ROOT), tokens["access_token"])


async def post(url: str, path: str, body: dict[str, str], **headers: str) -> dict[str, str]:
    """A stranger's request, sent again while nobody answers."""
    stranger = remote.Remote(url.removesuffix(remote.ROOT), "")
    try:
        for _ in range(60):
            with contextlib.suppress(errors.ServiceUnavailable, transport.NotListening):
                answer = await stranger._request(
                    "POST", path, json.dumps(body).encode(), {"Authorization": "", **headers}
                )
                found: dict[str, str] = json.loads(answer)
                return found
            await asyncio.sleep(0.5)
        raise errors.ServiceUnavailable(f"{path} is not answered")
    finally:
        stranger.close()


async def drive(plan: Plan, central: fixtures_central.Central) -> Seen:
    """Let everybody come, work and leave."""
    seen, url = Seen(), central.url
    people = []
    for number in range(plan.anonymous + plan.registered):
        email = None
        if number < plan.registered:
            email = f"s{number}@example.org"
            await post(url, "/identity/register", {"email": email, "password": _PASSWORD})
        people.append(Person(number, url, seen, email=email, renew=plan.renew))
    random.Random(1).shuffle(people)

    async def one(person: Person, after: float) -> None:
        await asyncio.sleep(after)
        seen.come += 1
        try:
            await person.come()
            await person.work(plan.think)
        except asyncio.CancelledError:
            seen.errors.append("not through when the time was over")
            raise
        except Exception as exc:
            seen.errors.append(f"{type(exc).__name__}: {exc}"[:300])
        finally:
            seen.gone += 1
            await person.leave()

    gap = plan.ramp / max(len(people), 1)
    watching = asyncio.create_task(_watch(seen, central.cli))
    killing = asyncio.create_task(_kill(plan, seen, central))
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(plan.limit):
                await asyncio.gather(*(one(person, i * gap) for i, person in enumerate(people)))
    finally:
        for task in (watching, killing):
            task.cancel()
        await asyncio.gather(watching, killing, return_exceptions=True)
    return seen


async def _watch(seen: Seen, cli: CommandLine) -> None:
    while True:
        memory, servers = await asyncio.to_thread(_memory, cli)
        seen.memory, seen.sandboxes = max(seen.memory, memory), max(seen.sandboxes, servers)
        newest = sorted(seen.heads[-_NEWEST:])
        middle = f", the newest {newest[len(newest) // 2] * 1000:,.0f} ms" if newest else ""
        runs = len(seen.heads) + len(seen.first)
        print(
            f"{seen.come} came, {seen.gone} left, {runs} runs{middle}, "
            f"{servers} sandboxes, {memory / 1024**2:,.0f} MiB, {len(seen.errors)} errors",
            file=sys.stderr,
            flush=True,
        )
        await asyncio.sleep(_LOOK)


async def _kill(plan: Plan, seen: Seen, central: fixtures_central.Central) -> None:
    """Kill one after the other, spread over the time of work."""
    home = pathlib.Path(central.cli.environment["PGCELLAR_HOME"])
    pids = {
        "service": home / "service.lock",
        "control database": home / "control" / "data" / "postmaster.pid",
    }
    for what in itertools.cycle(("service", "gateway", "service", "control database")):
        if seen.killed.total() == plan.kills:
            return
        await asyncio.sleep((plan.ramp + 3 * plan.think) / (plan.kills + 1))
        if what == "gateway":
            await asyncio.to_thread(central.kill)
            seen.killed[what] += 1
            continue
        # One that does not run yet is not killed.
        with contextlib.suppress(OSError, ValueError, IndexError):
            os.kill(int(pids[what].read_text().split()[0]), signal.SIGKILL)
            seen.killed[what] += 1


def _memory(cli: CommandLine) -> tuple[int, int]:
    """Bytes that the services and sandboxes of a home have for themselves, and how many run."""
    home, total, servers = cli.environment["PGCELLAR_HOME"], 0, 0
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            folder = os.readlink(entry / "cwd")
            if home in command or folder.startswith(home) or "pgcellar" in command:
                for line in (entry / "smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
                servers += "/sandboxes/" in command
    return total, servers


def report(plan: Plan, seen: Seen, seconds: float) -> Iterator[str]:
    """The table."""
    yield f"people          {plan.anonymous} anonymous, {plan.registered} registered"
    yield f"think time      {plan.think:g} s on average, ramp {plan.ramp:g} s"
    runs = len(seen.heads) + len(seen.first)
    yield f"runs            {runs} in {seconds:.0f} s: {runs / seconds:.1f} a second"
    yield f"errors          {len(seen.errors)}"
    killed = ", ".join(f"{what} {count} ×" for what, count in seen.killed.items()) or "nothing"
    yield f"killed          {killed}; runs begun again: {seen.restarted}"
    for name, times in (
        ("log in", seen.logins),
        ("first cell", seen.first),
        ("other cells", seen.heads),
    ):
        if len(times) > 1:
            cuts = statistics.quantiles(times, n=100)
            shown = "  ".join(f"p{p} {cuts[p - 1] * 1000:,.0f} ms" for p in (50, 95, 99))
            yield f"{name:<15} {shown}"
    yield f"heads           {dict(seen.sources)}"
    yield f"sandboxes       {seen.sandboxes} at once at most"
    yield f"memory          {seen.memory / 1024**2:,.0f} MiB at most, shared pages shared out"
    for text, count in collections.Counter(seen.errors).most_common(10):
        yield f"  {count} × {text}"


def run(plan: Plan, home: pathlib.Path, *, sandboxes: int) -> tuple[Seen, float]:
    """Do it below a folder."""
    config = (
        f"c.ServiceApp.max_sandboxes = {sandboxes}\n"
        "c.ServiceApp.sandbox_patience = 600.0\n"
        "c.Identity.anonymous_per_hour = 1_000_000\n"
        "c.Identity.strangers_per_minute = 0\n"
    )
    with (
        command_line(home) as cli,
        fixtures_central.central_gateway(
            cli,
            "--Gateway.strangers_per_minute=0",
            # All of them are one address here.
            "--Gateway.connections_each=0",
            config=config,
        ) as central,
    ):
        cli("service", "start")
        begin = time.monotonic()
        seen = asyncio.run(drive(plan, central))
        return seen, time.monotonic() - begin


def main() -> int:
    """Print the table; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anonymous", type=int, default=900)
    parser.add_argument("--registered", type=int, default=100)
    parser.add_argument("--ramp", type=float, default=240.0)
    parser.add_argument("--think", type=float, default=20.0)
    parser.add_argument("--kill", type=int, default=0)
    parser.add_argument("--sandboxes", type=int, default=200)
    parser.add_argument("--limit", type=float, default=1800.0)
    given = parser.parse_args()
    plan = Plan(
        anonymous=given.anonymous,
        registered=given.registered,
        ramp=given.ramp,
        think=given.think,
        kills=given.kill,
        limit=given.limit,
    )
    with places.folder() as folder, contextlib.ExitStack() as stack:
        home = folder
        try:
            home = stack.enter_context(places.xfs(folder, _VOLUME))
        except places.NoVolume as exc:
            print(f"not on XFS: {exc}")
        seen, seconds = run(plan, home, sandboxes=given.sandboxes)
    print("\n".join(report(plan, seen, seconds)))
    return 1 if seen.errors else 0


if __name__ == "__main__":
    sys.exit(main())
