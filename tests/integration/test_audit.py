"""The audit log on a real PostgreSQL: written, verified, tampered with, given up, cut off."""

from __future__ import annotations

import asyncio
import datetime
import json
import math
import pathlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from pgcellar.api import auditing, errors, paths
from pgcellar.audit import anchor, chain, service, spool, store, verifying
from pgcellar.control import database

TODAY = datetime.date(2026, 3, 10)


def act(number: object, **more: Any) -> auditing.Act:
    """Something somebody did."""
    given: dict[str, Any] = {
        "subject": "ann", "name": "Ann", "kind": "registered", "action": "run.end",
        "target": f"n{number}", "outcome": "done", "details": {"x": number},
    }  # fmt: skip
    return auditing.Act(**{**given, **more})


def entries(*numbers: object, **more: Any) -> list[chain.Entry]:
    """Entries for such acts."""
    return [chain.entry(act(n, **more), datetime.datetime.now(datetime.UTC)) for n in numbers]


@pytest.fixture
async def db(control_dsn: str, tmp_path: pathlib.Path) -> AsyncIterator[database.ControlDatabase]:
    """A migrated control database."""
    where = paths.Paths(home=tmp_path / "home", runtime=tmp_path / "run")
    async with database.ControlDatabase(where, dsn=control_dsn) as db:
        yield db


@pytest.fixture
def records(db: database.ControlDatabase) -> store.AuditStore:
    """The audit log's tables."""
    return store.AuditStore(db)


async def tamper(db: database.ControlDatabase, *queries: Any) -> None:
    """Change the log as only a superuser can who takes the triggers away."""
    async with db.connection() as conn:
        for table in ("records", "closings", "expirations"):
            await conn.execute(f"alter table audit.{table} disable trigger user")
        for query in queries:
            assert (await conn.execute(query)).rowcount
        for table in ("records", "closings", "expirations"):
            await conn.execute(f"alter table audit.{table} enable trigger user")


async def three_days(records: store.AuditStore) -> None:
    """Five records on each of three days."""
    for day in range(3):
        on = TODAY + datetime.timedelta(days=day)
        await records.append(entries(*(f"{day}{i}" for i in range(2))), today=on)
        await records.append(entries(*(f"{day}{i}" for i in range(2, 5))), today=on)


async def targets(records: store.AuditStore) -> list[str]:
    """What was written, in the chain's order."""
    found = await records.find(store.Filters(), limit=10_000, newest_first=False)
    return [record.entry.target for record in found]


def found(verdict: verifying.Verdict) -> set[tuple[str, int | None, str]]:
    """What was found, without the sentences."""
    return {(f.day[-2:], f.seq, f.problem) for f in verdict.findings}


# --- the chain ---------------------------------------------------------------------------------


async def test_an_untouched_chain_holds(records: store.AuditStore) -> None:
    empty = await verifying.verify(records)
    assert (empty.findings, empty.records, empty.last) == ((), 0, chain.GENESIS.hex())
    await three_days(records)
    verdict = await verifying.verify(records)
    assert (verdict.findings, verdict.records, verdict.days) == ((), 15, 3)
    one = await verifying.verify(
        records, since=TODAY + datetime.timedelta(days=1), until=TODAY + datetime.timedelta(days=1)
    )
    assert (one.findings, one.records) == ((), 5)
    assert [c.records for c in await records.closings()] == [5, 5]


async def test_a_clock_set_back_does_not_write_on_a_closed_day(records: store.AuditStore) -> None:
    await three_days(records)
    place = await records.append(entries("late"), today=TODAY)
    assert place is not None
    assert place.day == TODAY + datetime.timedelta(days=2)
    assert (await verifying.verify(records)).findings == ()


COPY = (
    "insert into audit.records select day, {seq}, gen_random_uuid(), at, 'eve', name, kind, action,"
    " target, outcome, address, token, details, resources, {previous}, {hash}"
    " from audit.records where day = '2026-03-{day}' and seq = {of}"
)


@pytest.mark.parametrize(
    ("queries", "expected"),
    [
        (
            ["update audit.records set kind = 'os' where target = 'n12'"],
            {("11", 3, "changed")},
        ),
        (["update audit.records set details = '{}' where target = 'n02'"], {("10", 3, "changed")}),
        (["update audit.records set at = at + '1us' where target = 'n24'"], {("12", 5, "changed")}),
        (["update audit.records set token = 't' where target = 'n20'"], {("12", 1, "changed")}),
        (
            ["update audit.records set hash = sha256('x') where target = 'n11'"],
            {("11", 2, "changed"), ("11", 3, "removed")},
        ),
        (["delete from audit.records where target = 'n11'"], {("11", 3, "removed")}),
        (["delete from audit.records where target in ('n11', 'n12')"], {("11", 4, "removed")}),
        (["delete from audit.records where target = 'n10'"], {("11", 2, "removed")}),
        (["delete from audit.records where target = 'n14'"], {("11", None, "removed")}),
        (["delete from audit.records where target = 'n20'"], {("12", 2, "removed")}),
        (
            [
                "delete from audit.records where target = 'n11'",
                "update audit.records set seq = -seq where day = '2026-03-11' and seq > 2",
                "update audit.records set seq = -seq - 1 where seq < 0",
            ],
            {("11", 2, "removed")},
        ),
        (["delete from audit.records where day = '2026-03-11'"], {("11", None, "removed")}),
        (
            [
                "delete from audit.records where day = '2026-03-11'",
                "delete from audit.closings where day = '2026-03-11'",
            ],
            {("12", 1, "removed")},
        ),
        (["delete from audit.closings where day = '2026-03-11'"], {("11", None, "removed")}),
        (
            ["update audit.closings set records = 4 where day = '2026-03-11'"],
            {("11", None, "changed")},
        ),
        (
            [
                "update audit.records set seq = -2 where target = 'n11'",
                "update audit.records set seq = 2 where target = 'n12'",
                "update audit.records set seq = 3 where target = 'n11'",
            ],
            {("11", 2, "reordered"), ("11", 3, "reordered"), ("11", 4, "reordered")},
        ),
        (["update audit.records set seq = 9 where target = 'n24'"], {("12", 9, "reordered")}),
        (
            [COPY.format(day=11, seq=6, of=5, previous="hash", hash="sha256('x')")],
            {("11", 6, "changed"), ("11", 6, "inserted")},
        ),
        (
            [COPY.format(day=11, seq=0, of=1, previous="previous", hash="sha256('x')")],
            {("11", 0, "changed"), ("11", 0, "inserted"), ("11", 0, "reordered")},
        ),
    ],
)
async def test_tampering_is_found(
    db: database.ControlDatabase,
    records: store.AuditStore,
    queries: Sequence[str],
    expected: set[tuple[str, int | None, str]],
) -> None:
    await three_days(records)
    await tamper(db, *queries)
    assert found(await verifying.verify(records)) == expected


async def test_a_well_made_stranger_in_the_middle_is_found(
    db: database.ControlDatabase, records: store.AuditStore
) -> None:
    """One who knows how hashes are made, and makes room for the number."""
    await three_days(records)
    (_, _, before), *_ = await records.links(TODAY)
    (stranger,) = entries("stranger")
    forged = store._row(TODAY, 2, stranger, before, chain.link(before, stranger))
    await tamper(
        db,
        "update audit.records set seq = -seq where day = '2026-03-10' and seq > 1",
        "update audit.records set seq = 1 - seq where day = '2026-03-10' and seq < 0",
        psycopg.sql.SQL(
            "insert into audit.records select * from json_populate_record(null::audit.records, {})"
        ).format(psycopg.sql.Literal(json.dumps(forged))),
    )
    assert found(await verifying.verify(records)) == {("10", 2, "inserted")}


async def test_a_chain_cut_off_or_made_anew_does_not_fit_its_anchor(
    db: database.ControlDatabase, records: store.AuditStore, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "anchor.json"
    assert anchor.read(path) is None
    await three_days(records)
    place = await records.append(entries("last"), today=TODAY + datetime.timedelta(days=2))
    assert place is not None
    anchor.note(path, place)
    noted = anchor.read(path)
    assert noted == place
    assert (await verifying.verify(records, anchor=noted)).findings == ()
    await records.append(entries("more"), today=TODAY + datetime.timedelta(days=2))
    assert (await verifying.verify(records, anchor=noted)).findings == ()
    await tamper(db, "delete from audit.records where target in ('nlast', 'nmore')")
    assert (await verifying.verify(records)).findings == ()
    assert found(await verifying.verify(records, anchor=noted)) == {("12", 6, "removed")}
    path.write_text("{")
    assert anchor.read(path) is None


async def test_whatever_an_act_holds_is_written_and_verified(records: store.AuditStore) -> None:
    odd = act(
        "\0\ud800" + "x" * 5000,
        subject="\ud800",
        details={
            "n": [1, -0.0, 1e300, 1.0, math.nan, math.inf, 1 << 70, True, None, "\0", "\ud83d"],
            "ü\0": {"deep": {"object": object()}, 5: "five"},
            "big": 10**300,
        },
        resources={"ms": 0.1 + 0.2, "nan": math.nan},
    )
    await records.append([chain.entry(odd, datetime.datetime.now(datetime.UTC))])
    huge = act(1, details={"text": "x" * 2_000_000})
    entry = chain.entry(huge, datetime.datetime.now(datetime.UTC))
    assert entry.details["bytes"] > 2_000_000
    assert chain.parse(chain.canonical(entry)) == entry
    await records.append([entry])
    verdict = await verifying.verify(records)
    assert (verdict.records, verdict.findings) == (2, ())


async def test_concurrent_writers_make_one_chain(
    control_dsn: str, db: database.ControlDatabase, tmp_path: pathlib.Path
) -> None:
    """Two services, several at once each."""
    where = paths.Paths(home=tmp_path, runtime=tmp_path)
    async with database.ControlDatabase(where, dsn=control_dsn) as other:
        writers = [store.AuditStore(db), store.AuditStore(other)]
        await asyncio.gather(
            *(writers[n % 2].append(entries(*(f"{n}.{i}" for i in range(7)))) for n in range(40))
        )
    verdict = await verifying.verify(writers[0])
    assert (verdict.records, verdict.findings) == (280, ())


# --- who may do what ---------------------------------------------------------------------------

CHANGES = [
    "update audit.records set outcome = 'denied'",
    "delete from audit.records",
    "truncate audit.records",
    "update audit.closings set records = 0",
    "delete from audit.closings",
    "truncate audit.closings, audit.expirations",
    "delete from audit.expirations",
    "insert into audit.expirations select day from audit.closings",
    "drop table audit.records",
    "alter table audit.records disable trigger all",
    "create table audit.mine ()",
    "create trigger t before insert on audit.records execute function audit.refuse()",
    "drop function audit.refuse() cascade",
    "select audit.expire('2999-01-01')",
    "lock audit.records in exclusive mode",
    "set session_replication_role = replica",
    "alter role pgcellar_audit_writer superuser",
    "alter table audit.records owner to pgcellar_audit_writer",
    "create rule r as on insert to audit.records do instead nothing",
]


@pytest.mark.parametrize("change", CHANGES)
async def test_the_writer_can_change_nothing(
    db: database.ControlDatabase, records: store.AuditStore, change: str
) -> None:
    await three_days(records)
    before = await targets(records)
    with pytest.raises(errors.ServiceUnavailable) as caught:
        async with records._as("pgcellar_audit_writer") as conn:
            await conn.execute(change)  # type: ignore[call-overload]  # no literal
    assert isinstance(caught.value.__cause__, psycopg.errors.InsufficientPrivilege)
    assert await targets(records) == before
    assert (await verifying.verify(records)).findings == ()


async def test_a_login_of_its_own_can_write_and_nothing_else(
    db: database.ControlDatabase, control_dsn: str, tmp_path: pathlib.Path
) -> None:
    """As `c.Audit.dsn` is meant: it can't even take its role off."""
    async with db.connection() as conn:
        await conn.execute("drop role if exists audit_login")
        await conn.execute("create role audit_login login password 'x' noinherit")
        await conn.execute("grant pgcellar_audit_writer to audit_login")
    try:
        dsn = conninfo.make_conninfo(control_dsn, user="audit_login", password="x")
        where = paths.Paths(home=tmp_path, runtime=tmp_path)
        async with database.ControlDatabase(where, dsn=dsn, migrate=False) as own:
            mine = store.AuditStore(own)
            await mine.append(entries(1))
            assert (await verifying.verify(mine)).records == 1
            for query in (
                "delete from audit.records",
                "set role pgcellar_audit",
                "table schema_version",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await own.execute(query)
            with pytest.raises(errors.ServiceUnavailable):
                await mine.expire(TODAY)
    finally:
        async with db.connection() as conn:
            await conn.execute("drop role audit_login")


@pytest.mark.parametrize("change", CHANGES[:7])
async def test_even_the_owner_is_refused_by_triggers(
    db: database.ControlDatabase, records: store.AuditStore, change: str
) -> None:
    await three_days(records)
    with pytest.raises(errors.ServiceUnavailable, match="only ever added to"):
        async with records._as("pgcellar_audit") as conn:
            await conn.execute(change)  # type: ignore[call-overload]  # no literal
    assert (await verifying.verify(records)).records == 15


async def test_retention_gives_up_whole_days_and_the_chain_holds(
    db: database.ControlDatabase, records: store.AuditStore
) -> None:
    await three_days(records)
    second = TODAY + datetime.timedelta(days=1)
    assert await records.expire(second) == [(TODAY, 5)]
    assert await records.expire(second) == []
    verdict = await verifying.verify(records)
    assert (verdict.findings, verdict.records, verdict.days, verdict.expired) == ((), 10, 2, 1)
    # The open day stays, whatever is asked.
    assert await records.expire(TODAY + datetime.timedelta(days=99)) == [(second, 5)]
    assert len(await targets(records)) == 5
    assert (await verifying.verify(records)).findings == ()
    await tamper(db, "update audit.closings set hash = sha256('x') where day = '2026-03-10'")
    assert ("10", None, "changed") in found(await verifying.verify(records))


async def test_retention_spares_the_newest_week(records: store.AuditStore) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    for age in (9, 8, 7, 1, 0):
        await records.append(entries(age), today=today - datetime.timedelta(days=age))
    gone = await records.expire(datetime.date(2999, 1, 1))
    assert [(today - day).days for day, _ in gone] == [9, 8]
    assert await targets(records) == ["n7", "n1", "n0"]
    assert (await verifying.verify(records)).findings == ()


async def test_records_put_into_a_day_that_was_given_up_are_found(
    db: database.ControlDatabase, records: store.AuditStore
) -> None:
    await three_days(records)
    await records.expire(TODAY + datetime.timedelta(days=1))
    await tamper(db, "update audit.records set day = '2026-03-10' where target = 'n24'")
    assert found(await verifying.verify(records)) == {("10", None, "inserted")}


# --- asking ------------------------------------------------------------------------------------


async def test_filters_and_keyset_pages(records: store.AuditStore) -> None:
    await three_days(records)
    await records.append(
        entries("x", subject="bob", action="token.revoke", outcome="denied"), today=TODAY
    )

    async def ask(**filters: Any) -> int:
        return len(await records.find(store.Filters(**filters), limit=100))

    assert await ask() == 16
    assert await ask(subject="bob") == 1
    assert await ask(action="run.*") == 15
    assert await ask(action="run.end", target="n1*") == 5
    assert await ask(target="n11") == 1
    assert await ask(target="n1_") == 0
    assert await ask(outcome="denied") == 1
    now = datetime.datetime.now(datetime.UTC)
    assert await ask(since=now) == 0
    assert await ask(until=now, subject="ann") == 15
    assert await ask(subject="' or true --") == 0
    for newest_first in (True, False):
        seen, after = [], None
        while page := await records.find(
            store.Filters(subject="ann"), limit=4, after=after, newest_first=newest_first
        ):
            seen += [record.entry.target for record in page]
            after = (page[-1].day, page[-1].seq)
        assert seen == sorted(seen, reverse=newest_first)
        assert len(seen) == 15


# --- the log, up and down ----------------------------------------------------------------------


class Failing(store.AuditStore):
    """A store that fails when it is told to; `after` it has committed, or before."""

    fails: str = ""
    calls = 0

    async def append(self, *args: Any, **named: Any) -> store.Place | None:
        self.calls += 1
        if self.fails == "before":
            raise errors.ServiceUnavailable("down")
        if self.fails == "hang":
            await asyncio.Event().wait()
        place = await super().append(*args, **named)
        if self.fails == "after":
            raise errors.ServiceUnavailable("down")
        return place


@pytest.fixture
def failing(db: database.ControlDatabase) -> Failing:
    """Such a store."""
    return Failing(db)


def log(
    records: store.AuditStore, path: pathlib.Path, max_bytes: int = 1 << 20, **more: Any
) -> service.Log:
    """An audit log with a spool in a folder."""
    return service.Log(records, spool.Spool(path / "audit" / "spool", max_bytes=max_bytes), **more)


async def until_drained(written: service.Log) -> None:
    """Wait for the spool to be empty."""
    async with asyncio.timeout(20):
        while written.spooled[0]:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_acts_that_come_together_share_a_transaction(
    failing: Failing, tmp_path: pathlib.Path
) -> None:
    places: list[store.Place] = []
    written = log(failing, tmp_path, written=places.append)
    await written.open()
    await asyncio.gather(*(written.write(act(n)) for n in range(200)))
    await written.close()
    assert failing.calls <= 3
    assert await targets(failing) == [f"n{n}" for n in range(200)]
    assert places[-1].seq == 200
    with pytest.raises(errors.AuditUnavailable, match="closed"):
        await written.write(act(1))


@pytest.mark.parametrize("fails", ["before", "after", "hang"])
async def test_nothing_is_lost_or_doubled_while_the_store_is_down(
    failing: Failing, tmp_path: pathlib.Path, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "STORE_SECONDS", 0.3)
    written = log(failing, tmp_path)
    await written.open()
    await written.write(act(0))
    failing.fails = fails
    for n in range(1, 20):
        await written.write(act(n))
    assert written.spooled[0] == 19
    assert not written.up
    failing.fails = ""
    more = [asyncio.create_task(written.write(act(n))) for n in range(20, 40)]
    await asyncio.gather(*more)
    await until_drained(written)
    await written.write(act(40))
    await written.close()
    assert written.up
    assert await targets(failing) == [f"n{n}" for n in range(41)]
    assert (await verifying.verify(failing)).findings == ()
    assert (tmp_path / "audit" / "spool").stat().st_size == 0


async def test_a_spool_outlives_its_process(failing: Failing, tmp_path: pathlib.Path) -> None:
    """Killed before the spool was emptied: some of it is in the database already."""
    failing.fails = "before"
    first = log(failing, tmp_path)
    await first.open()
    await asyncio.gather(*(first.write(act(n)) for n in range(1200)))
    await first.close()
    path = tmp_path / "audit" / "spool"
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 1200
    failing.fails = ""
    await failing.append([chain.parse(line) for line in lines[:700]])
    # A line half written, and one that the disk has spoilt.
    lines.insert(3, b'{"id": "spoilt"}\n')
    path.write_bytes(b"".join(lines) + b'{"id": "half')
    second = log(failing, tmp_path)
    await second.open()
    await second.write(act(1200))
    await until_drained(second)
    await second.close()
    assert await targets(failing) == [f"n{n}" for n in range(1201)]
    assert (await verifying.verify(failing)).findings == ()
    assert b"spoilt" in path.with_suffix(".damaged").read_bytes()


async def test_a_full_spool_refuses_but_takes_what_is_owed(
    failing: Failing, tmp_path: pathlib.Path
) -> None:
    failing.fails = "before"
    written = log(failing, tmp_path, max_bytes=2_000)
    await written.open()
    outcomes = await asyncio.gather(
        *(written.write(act(n)) for n in range(20)), return_exceptions=True
    )
    taken = outcomes.count(None)
    assert 0 < taken < 20
    for refused in outcomes[taken:]:
        assert isinstance(refused, errors.AuditUnavailable)
        assert "spool is full" in refused.message
    await written.write(act("owed"), owed=True)
    failing.fails = ""
    await until_drained(written)
    await written.close()
    assert await targets(failing) == [*(f"n{n}" for n in range(taken)), "nowed"]


async def test_the_policy_to_refuse(failing: Failing, tmp_path: pathlib.Path) -> None:
    written = log(failing, tmp_path, when_unavailable="refuse")
    await written.open()
    await written.write(act(0))
    failing.fails = "before"
    with pytest.raises(errors.AuditUnavailable, match="is down"):
        await written.write(act(1))
    await written.write(act("owed"), owed=True)
    failing.fails = ""
    await until_drained(written)
    await written.write(act(2))
    await written.close()
    assert await targets(failing) == ["n0", "nowed", "n2"]


async def test_a_disk_that_takes_nothing_is_no_silent_loss(
    failing: Failing, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(spool.Spool):
        def append(self, lines: Sequence[bytes]) -> None:
            raise OSError(28, "No space left on device")

    failing.fails = "before"
    written = service.Log(failing, Full(tmp_path / "audit" / "spool", max_bytes=1 << 20))
    await written.open()
    with pytest.raises(errors.AuditUnavailable, match="No space"):
        await written.write(act(1))
    with pytest.raises(errors.AuditUnavailable, match="No space"):
        await written.write(act("owed"), owed=True)
    await written.close()
    assert written.lost == 1
    assert '"target":"nowed"' in caplog.text


async def test_who_gives_up_waiting_does_not_take_the_act_along(
    failing: Failing, tmp_path: pathlib.Path
) -> None:
    written = log(failing, tmp_path)
    await written.open()
    task = asyncio.create_task(written.write(act(1)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await written.close()
    assert await targets(failing) == ["n1"]


async def test_a_real_loss_of_the_server(
    control_dsn: str, db: database.ControlDatabase, tmp_path: pathlib.Path
) -> None:
    """The writers' sessions are ended again and again: what was committed is not known."""
    records = store.AuditStore(db)
    written = log(records, tmp_path)
    await written.open()
    over = asyncio.Event()

    async def end_sessions() -> None:
        where = paths.Paths(home=tmp_path, runtime=tmp_path)
        async with database.ControlDatabase(where, dsn=control_dsn) as other:
            while not over.is_set():
                await other.fetch(
                    "select pg_terminate_backend(pid) from pg_stat_activity where pid <>"
                    " pg_backend_pid() and datname = current_database()"
                )
                await asyncio.sleep(0.02)

    ending = asyncio.create_task(end_sessions())
    for n in range(0, 300, 3):
        await asyncio.gather(*(written.write(act(i)) for i in range(n, n + 3)))
    over.set()
    await ending
    await until_drained(written)
    await written.close()
    assert sorted(await targets(records)) == sorted(f"n{n}" for n in range(300))
    assert (await verifying.verify(records)).findings == ()
