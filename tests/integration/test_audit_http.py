"""The audit log over HTTP: one's own records, and everybody's for an administrator."""

from __future__ import annotations

import contextlib
import csv
import datetime
import io
import json
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import tornado.httpclient
import tornado.httpserver
import tornado.testing
import tornado.web
from tests.fixtures_identity import Acts

from pgcellar.api import auditing, errors, identities, paths
from pgcellar.audit import chain, handlers, reading, store
from pgcellar.control import database

Get = Callable[..., Awaitable[tornado.httpclient.HTTPResponse]]


#: Records that one page does not hold.
LONG = 12
WHERE = paths.Paths(home=pathlib.Path("/nowhere"), runtime=pathlib.Path("/nowhere"))


def identified(cls: type[Any]) -> type[Any]:
    """A handler whose requests come from whom they say they do."""

    class Identified(cls):  # type: ignore[misc]
        def prepare(self) -> None:
            name = self.request.headers["X-Name"]
            roles = (identities.ADMINISTRATOR,) if name == "root" else ()
            self.identity = identities.Identity(
                subject=name, name=name, kind="registered", roles=roles
            )

    return Identified


@pytest.fixture
async def get(control_dsn: str, tmp_path: pathlib.Path, acts: Acts) -> AsyncIterator[Get]:
    """Ask a server that knows five records of ann's and one of bob's."""
    where = paths.Paths(home=tmp_path, runtime=tmp_path)
    async with database.ControlDatabase(where, dsn=control_dsn) as db:
        records = store.AuditStore(db)
        for number in range(6):
            act = auditing.Act(
                subject="bob" if number == 5 else "ann",
                name="=1+1",
                kind="registered",
                action="run.end",
                target=f"=n{number}",
                outcome="done",
                details={"a": 'b,\n"c"'},
            )
            await records.append([chain.entry(act, datetime.datetime.now(datetime.UTC))])
        made = {"records": reading.Reading(records), "noted": tmp_path / "anchor.json", "log": acts}
        application = tornado.web.Application(
            [
                ("/audit", identified(handlers.Records), made),
                ("/audit/export", identified(handlers.Export), made),
                ("/audit/verify", identified(handlers.Verify), made),
            ]
        )
        server = tornado.httpserver.HTTPServer(application)
        socket, port = tornado.testing.bind_unused_port()
        server.add_sockets([socket])
        client = tornado.httpclient.AsyncHTTPClient(force_instance=True)

        async def fetch(name: str, path: str) -> tornado.httpclient.HTTPResponse:
            return await client.fetch(
                f"http://127.0.0.1:{port}{path}", headers={"X-Name": name}, raise_error=False
            )

        yield fetch
        client.close()
        server.stop()
        await server.close_all_connections()


async def test_everybody_sees_their_own(get: Get) -> None:
    async def subjects(name: str, path: str) -> list[str]:
        answer = await get(name, path)
        assert answer.code == 200
        return [record["subject"] for record in json.loads(answer.body)["records"]]

    assert await subjects("ann", "/audit") == ["ann"] * 5
    assert await subjects("bob", "/audit") == ["bob"]
    assert await subjects("bob", "/audit?subject=bob") == ["bob"]
    assert await subjects("eve", "/audit") == []
    assert await subjects("root", "/audit") == ["bob", *["ann"] * 5]
    assert await subjects("root", "/audit?subject=ann&target=%3Dn1") == ["ann"]


@pytest.mark.parametrize(
    "path",
    ["/audit?subject=ann", "/audit/export?subject=ann", "/audit/verify", "/audit?subject="],
)
async def test_others_records_are_forbidden(get: Get, path: str) -> None:
    answer = await get("bob", path)
    assert answer.code == 403
    assert json.loads(answer.body)["code"] == "PC014"
    assert b"=n1" not in answer.body


@pytest.mark.parametrize("after", ["9999-12-31.999999", "2000-01-01.1"])
async def test_a_cursor_leads_to_nobody_elses(get: Get, after: str) -> None:
    body = json.loads((await get("bob", f"/audit?after={after}")).body)
    assert {record["subject"] for record in body["records"]} <= {"bob"}


@pytest.mark.parametrize(
    "query",
    ["until=2026-13-01", "limit=0", "limit=1001", "limit=x", "limit=-1", "limit=%C2%B2", "after=x",
     "after=2026-01-01.-1",
     "after=2026-01-01.99999999999999999999", "since=x"],
)  # fmt: skip
async def test_bad_questions(get: Get, query: str) -> None:
    answer = await get("ann", f"/audit?{query}")
    assert answer.code == 400, answer.body


async def test_pages(get: Get) -> None:
    seen: list[str] = []
    query = "/audit?limit=2"
    while True:
        body = json.loads((await get("root", query)).body)
        seen += [record["target"] for record in body["records"]]
        if body["next"] is None:
            break
        query = f"/audit?limit=2&after={body['next']}"
    assert seen == [f"=n{n}" for n in (5, 4, 3, 2, 1, 0)]


async def test_exports(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BYTES", 1)
    lines = (await get("root", "/audit/export")).body.splitlines()
    assert [json.loads(line)["target"] for line in lines] == [f"=n{n}" for n in range(6)]
    answer = await get("bob", "/audit/export?format=csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.body.decode()))
    # Neither name nor target is a formula any more.
    assert (row["subject"], row["name"], row["target"]) == ("bob", "'=1+1", "'=n5")
    assert json.loads(row["details"]) == {"a": 'b,\n"c"'}
    assert (await get("bob", "/audit/export?format=xml")).code == 400


async def test_long_records_make_short_pages(get: Get, control_dsn: str) -> None:
    """Whose they are decides how long they are: nobody has the service hold many of them."""
    async with database.ControlDatabase(WHERE, dsn=control_dsn, migrate=False) as db:
        for number in range(LONG):
            act = auditing.Act(
                subject="cat",
                name="",
                kind="anonymous",
                action="run.start",
                target=f"c{number}",
                outcome="done",
                details={"text": "x" * 400_000},
            )
            entry = chain.entry(act, datetime.datetime.now(datetime.UTC))
            await store.AuditStore(db).append([entry])
    seen: list[str] = []
    query = "/audit?limit=1000"
    while True:
        answer = await get("cat", query)
        assert len(answer.body) < 4 << 20
        body = json.loads(answer.body)
        seen += [record["target"] for record in body["records"]]
        if body["next"] is None:
            break
        query = f"/audit?limit=1000&after={body['next']}"
    assert seen == [f"c{number}" for number in reversed(range(LONG))]
    lines = (await get("cat", "/audit/export")).body.splitlines()
    assert [json.loads(line)["target"] for line in lines] == list(reversed(seen))
    assert json.loads((await get("root", "/audit/verify")).body)["records"] == LONG + 6


async def test_only_so_many_answers_are_made_for_one_at_once(control_dsn: str) -> None:
    reader = reading.Reading(store.AuditStore(database.ControlDatabase(WHERE, dsn=control_dsn)))
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(reader.place("ann"))
        with pytest.raises(errors.LimitExceeded) as refused, reader.place("ann"):
            pass
        assert refused.value.retry_after
        with reader.place("bob"):
            pass
    with reader.place("ann"):
        pass


async def test_who_exports_others_records_is_written_down(get: Get, acts: Acts) -> None:
    for path in ("/audit", "/audit/export?subject=root", "/audit/verify"):
        await get("root", path)
    await get("ann", "/audit/export")
    await get("bob", "/audit/export?subject=ann")
    assert acts.acts == []
    await get("root", "/audit/export?action=run.*")
    await get("root", "/audit/export?subject=ann")
    first, second = acts.named("audit.export")
    assert (first.subject, first.target, first.details) == ("root", "all", {"action": "run.*"})
    assert (second.target, second.outcome) == ("ann", "done")


async def test_an_export_can_be_verified_by_anybody(get: Get) -> None:
    """With nothing but the file and what `docs/audit.md` says."""
    import hashlib

    previous = hashlib.sha256(b"pgcellar audit").digest()
    for line in (await get("root", "/audit/export")).body.splitlines():
        record = json.loads(line)
        place = {name: record.pop(name) for name in ("day", "seq", "previous", "hash")}
        body = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
        assert bytes.fromhex(place["previous"]) == previous
        previous = hashlib.sha256(previous + body).digest()
        assert bytes.fromhex(place["hash"]) == previous


async def test_verify(get: Get) -> None:
    body = json.loads((await get("root", "/audit/verify")).body)
    assert (body["ok"], body["records"], body["findings"]) == (True, 6, [])
    body = json.loads((await get("root", "/audit/verify?from=2000-01-01&to=2000-01-02")).body)
    assert (body["ok"], body["records"]) == (True, 0)
    assert (await get("root", "/audit/verify?from=x")).code == 400
