"""Accepted runs over HTTP: none is lost, none counts twice, whoever reads and whatever ends."""

from __future__ import annotations

import datetime
import decimal
import hashlib
import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.fixtures_service import CommandLine
from tests.integration.test_service import where

CELLS = ["create table t (a int)", "insert into t select generate_series(1, 5)"]
COUNT = [*CELLS, "select count(*) as n from t"]
SLEEP = ["select pg_sleep(1000)"]


def body(cells: list[str], notebook: str = "n", **more: Any) -> dict[str, Any]:
    """A request to run the last of these cells."""
    listed = [{"id": f"c{i}", "source": source} for i, source in enumerate(cells)]
    return {"notebook": notebook, "cells": listed, "head": len(cells) - 1, **more}


@pytest.fixture
def http(cli: CommandLine) -> Iterator[httpx.Client]:
    """The service of a module."""
    cli("service", "start")
    with connected(cli) as made:
        yield made


def connected(cli: CommandLine) -> httpx.Client:
    """A client of the service that runs now."""
    transport = httpx.HTTPTransport(uds=str(where(cli).socket))
    return httpx.Client(transport=transport, base_url="http://pgcellar/api/v1", timeout=60)


def accept(http: httpx.Client, *arguments: Any, **more: Any) -> str:
    """Have a run accepted; its id."""
    answer = http.post("/accepted", json=body(*arguments, **more))
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/api/v1/accepted/{answer.json()['id']}"
    found: str = answer.json()["id"]
    return found


def over(http: httpx.Client, run: str) -> dict[str, Any]:
    """How a run ended."""
    deadline = time.monotonic() + 60
    while True:
        found: dict[str, Any] = http.get(f"/accepted/{run}").json()
        if found["finished"] is not None:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def lines(http: httpx.Client, run: str, **headers: str) -> list[dict[str, Any]]:
    """The events of a run, to the last."""
    with http.stream("GET", f"/accepted/{run}/events", headers=headers) as answer:
        assert answer.status_code == 200
        return [json.loads(line) for line in answer.iter_lines() if line]


def test_a_run_goes_on_without_readers(http: httpx.Client) -> None:
    """And what it gave can be fetched later, as events, as one object and as CSV."""
    run = accept(http, COUNT)
    ended = over(http, run)
    assert (ended["status"], ended["head"], ended["attempt"]) == ("done", "c2", 1)
    events = lines(http, run)
    assert [event["event"] for event in events][-4:] == ["columns", "rows", "completed", "done"]
    assert events[0]["run"] == run
    assert [event["id"] for event in events] == [f"1-{i}" for i in range(1, len(events) + 1)]
    result = http.get(f"/accepted/{run}/result")
    assert result.json()["cells"][-1]["results"][0]["rows"] == [["5"]]
    assert result.json()["cells"][-1]["state"] == ended["state"]
    assert "immutable" in result.headers["Cache-Control"]
    again = http.get(f"/accepted/{run}/result", headers={"If-None-Match": result.headers["ETag"]})
    assert again.status_code == 304
    table = http.get(f"/accepted/{run}/results/0.csv")
    assert (table.text, table.headers["Content-Type"][:8]) == ("n\r\n5\r\n", "text/csv")
    assert http.get(f"/accepted/{run}/results/1.csv").status_code == 404


def test_csv_tells_null_from_an_empty_text(http: httpx.Client) -> None:
    """As COPY does."""
    run = accept(http, ["""select null as a, '' as "b,c", 'x"y' as d, e'1\\n2' as e"""])
    over(http, run)
    table = http.get(f"/accepted/{run}/results/0.csv")
    assert table.content == b'a,"b,c",d,e\r\n,"","x""y","1\n2"\r\n'


TYPED = """select n, n > 1 as b, n::numeric(9, 2) / 4 as d, n * 1.5::float8 as f,
  date '2020-02-29' + n as day, timestamptz '2020-01-01 12:00:00.25+02' as at,
  timestamp '2020-01-01 00:00' as local, '\\x00ff'::bytea as raw, array[n] as a,
  case n when 2 then 'infinity'::date else '2020-01-01' end as far, null::int as nil,
  'NaN'::numeric as nan, 1e50::numeric as big, 1e90::numeric as vast
from generate_series(1, 2) n"""


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_columns_keep_their_types(http: httpx.Client, form: str) -> None:
    """What Arrow can hold; the rest stays text, and says what it was."""
    run = accept(http, ["set timezone = 'Asia/Kolkata'", TYPED], "typed")
    over(http, run)
    answer = http.get(f"/accepted/{run}/results/0.{form}")
    assert answer.headers["Content-Type"] == f"application/vnd.apache.{form}" + (
        ".file" if form == "arrow" else ""
    )
    assert f"{run}-0.{form}" in answer.headers["Content-Disposition"]
    body = pa.py_buffer(answer.content)
    table = pq.read_table(body) if form == "parquet" else pa.ipc.open_file(body).read_all()
    if form == "arrow":
        # Nothing is copied: its columns lie where the body does.
        found = [buffer for column in table.columns for buffer in column.chunk(0).buffers()]
        inside = range(body.address, body.address + body.size)
        assert all(buffer is None or buffer.address in inside for buffer in found)
    assert [str(field.type) for field in table.schema] == [
        *("int32", "bool", "decimal128(20, 20)", "double", "date32[day]"),
        *("timestamp[us, tz=UTC]", "timestamp[us]", "binary", "string", "string", "int32"),
        *("string", "decimal256(51, 0)", "string"),
    ]
    assert table.schema.field("d").metadata[b"pgcellar:type"] == b"numeric"
    row = table.to_pylist()[1]
    assert (row["n"], row["b"], row["d"]) == (2, True, decimal.Decimal("0.5"))
    assert row["at"] == datetime.datetime(2020, 1, 1, 10, 0, 0, 250000, tzinfo=datetime.UTC)
    assert (row["raw"], row["a"], row["far"], row["nil"]) == (b"\x00\xff", "{2}", "infinity", None)
    assert (row["day"], row["f"]) == (datetime.date(2020, 3, 2), 3.0)
    assert http.get(f"/accepted/{run}/results/1.{form}").status_code == 404


def test_a_reader_comes_back(http: httpx.Client) -> None:
    """Where it was, in either form."""
    run = accept(http, COUNT)
    over(http, run)
    events = lines(http, run)
    assert lines(http, run, **{"Last-Event-ID": events[2]["id"]}) == events[3:]
    headers = {"Accept": "text/event-stream", "Last-Event-ID": events[-2]["id"]}
    with http.stream("GET", f"/accepted/{run}/events", headers=headers) as answer:
        text = answer.read().decode()
    assert text.startswith(f'id: {events[-1]["id"]}\ndata: {{"event":"done"')
    assert text.endswith("\n\n")
    for never in ("x", "1-", "-1", f"1-{len(events) + 1}", "1-999999999"):
        bad = http.get(f"/accepted/{run}/events", headers={"Last-Event-ID": never})
        assert bad.status_code == 400, never
    bad = http.get(f"/accepted/{run}/events", headers={"Last-Event-ID": "x"})
    assert (bad.status_code, bad.json()["code"]) == (400, "PC001")


def test_a_key_names_one_run(http: httpx.Client) -> None:
    """However often it comes; but not for another request."""
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = http.post("/accepted", json=body(COUNT), headers=key)
    again = http.post("/accepted", json=body(COUNT), headers=key)
    other = http.post("/accepted", json=body(CELLS), headers=key)
    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 409)
    assert first.json()["id"] == again.json()["id"]
    assert other.json()["code"] == "PC016"


def test_a_notebooks_file(http: httpx.Client) -> None:
    """Its tags mean what they mean on the command line."""
    content: dict[str, Any] = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "pgcellar", "language": "sql"}},
        "cells": [
            {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# Title"},
            cell("p", ["\\set n 1\n", "\\set m 2"], "parameters"),
            cell("s", "select 1/0", "skip"),
            cell("t", "create table t as select :n as n, :m as m"),
            cell("r", "select n, m from t"),
        ],
    }

    def sent(**more: Any) -> httpx.Response:
        return http.post("/accepted", json={"notebook": "f", "document": content, **more})

    def gave(**more: Any) -> list[Any]:
        run = sent(**more).json()["id"]
        lines(http, run)
        return list(http.get(f"/accepted/{run}/result").json()["cells"])

    whole = gave()
    assert [each["id"] for each in whole] == ["p", "t", "r"]
    assert whole[-1]["results"][0]["rows"] == [["1", "2"]]
    changed = gave(parameters={"n": "7"}, head="r")
    assert changed[-1]["results"][0]["rows"] == [["7", "2"]]
    assert [each["id"] for each in gave(head=0)] == ["p"]
    plan = http.post("/plans", json={"notebook": "f", "document": content, "head": 2}).json()
    assert [step["id"] for step in plan["steps"]] == ["p", "t", "r"]
    refused = (
        {"head": "s"},
        {"head": "nothing"},
        {"head": 9},
        {"cells": [{"id": "a", "source": "select 1"}]},
        {"parameters": {"n": 1}},
        {"parameters": ["n"]},
        {"parameters": {"n 1\ndrop table t": "1"}},
        {"document": []},
        {"document": {"cells": []}},
        {"document": {"cells": [3]}},
        {"document": {**content, "metadata": {"kernelspec": {"name": "python3"}}}},
        {"document": {**content, "cells": [cell("a", "select 1")] * 10_001}},
    )
    for more in refused:
        answer = sent(**more)
        assert answer.status_code == 400, more
        assert answer.json()["code"] in ("PC001", "PC009"), answer.text


def test_cells_of_a_file_have_names_of_their_own(http: httpx.Client) -> None:
    named = [cell(name, f"select {at}") for at, name in enumerate(("a", "a#3", "a"))]
    answer = http.post("/plans", json={"notebook": "f", "document": {"cells": named}})
    assert [step["id"] for step in answer.json()["steps"]] == ["a", "a#3", "a#3#3"]


def test_many_heads_at_once_tell_of_themselves(http: httpx.Client) -> None:
    """Each of a thousand cells would else tell of all those above it: a gigabyte in memory."""
    run = accept(http, ["select 1"] * 1_000, first=0)
    over(http, run)
    told = [event for event in lines(http, run) if event["event"] == "done"]
    assert [[cell["id"] for cell in done["cells"]] for done in told] == [
        [f"c{i}"] for i in range(1_000)
    ]
    assert len(http.get(f"/accepted/{run}/result").json()["cells"]) == 1_000
    many = http.post("/accepted", json=body(["select 1"] * 10_001))
    assert (many.status_code, many.json()["code"]) == (400, "PC001")


def cell(name: str, source: str | list[str], *tags: str) -> dict[str, Any]:
    """A code cell of a notebook's file."""
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {"tags": list(tags)},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def test_cancelling(http: httpx.Client) -> None:
    """Is told to readers; a run that is over stays as it is."""
    run = accept(http, SLEEP)
    while not any(e.get("event") == "started" for e in first_events(http, run)):
        time.sleep(0.05)
    time.sleep(0.5)
    assert http.post(f"/accepted/{run}/cancel").status_code == 200
    ended = over(http, run)
    assert (ended["status"], ended["error"]["sqlstate"]) == ("cancelled", "57014")
    assert lines(http, run)[-1]["error"]["message"] == "The run was cancelled."
    assert http.post(f"/accepted/{run}/cancel").json()["status"] == "cancelled"


def first_events(http: httpx.Client, run: str) -> list[dict[str, Any]]:
    """What there is at once."""
    with http.stream("GET", f"/accepted/{run}/events") as answer:
        for line in answer.iter_lines():
            return [json.loads(line)]
    return []


def test_a_deadline(http: httpx.Client) -> None:
    """Ends the run and says so."""
    run = accept(http, SLEEP, deadline=0.7)
    ended = over(http, run)
    assert ended["status"] == "cancelled"
    assert ended["error"]["message"] == "The run was cancelled at its deadline of 0.7 s."


def test_a_list_by_pages(http: httpx.Client) -> None:
    """Newest first, each once."""
    made = [accept(http, ["select 1"], f"p{i}") for i in range(5)]
    seen: list[str] = []
    after = ""
    while len(seen) < 5:
        page = http.get("/accepted", params={"limit": 2, "after": after}).json()
        assert len(page["runs"]) == 2
        seen += [run["id"] for run in page["runs"]]
        after = page["next"]
    assert seen[:5] == made[::-1]
    assert http.get("/accepted", params={"after": "nonsense"}).status_code == 400
    assert http.get("/accepted", params={"limit": "-1"}).status_code == 400


def test_bad_requests(http: httpx.Client) -> None:
    """Say what is wrong, and leave nothing behind."""
    for sent in (
        {},
        body([]),
        body(["select 1"], deadline="soon"),
        body(["select 1"], deadline=-1),
        body(["select 1"], deadline=10**400),
        body(["select 1"], "n" * 5_000),
        {**body(["select 1"]), "cells": [{"id": "c" * 2_000, "source": "select 1"}]},
        {**body(["select 1"]), "head": 1},
    ):
        answer = http.post("/accepted", json=sent)
        assert answer.status_code == 400, sent
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["detail"]
    assert http.get(f"/accepted/{'0' * 32}").status_code == 404
    assert http.get(f"/accepted/{'0' * 32}/events").status_code == 404


def test_uploaded_files_are_the_notebooks(http: httpx.Client) -> None:
    """In chunks, of which only the missing ones travel."""
    chunks = [b"1\n2\n", b"3\n"]
    digests = [hashlib.sha256(chunk).hexdigest() for chunk in chunks]
    assert http.post("/files/missing", json={"chunks": digests}).json() == {"missing": digests}
    assert http.put(f"/files/chunks/{digests[0]}", content=chunks[0]).status_code == 200
    early = http.put("/files/names/data/t.csv", json={"chunks": digests})
    assert early.status_code == 409
    wrong = http.put(f"/files/chunks/{digests[1]}", content=b"other")
    assert wrong.status_code == 400
    assert http.post("/files/missing", json={"chunks": digests}).json() == {"missing": digests[1:]}
    http.put(f"/files/chunks/{digests[1]}", content=chunks[1])
    made = http.put("/files/names/data/t.csv", json={"chunks": digests}).json()
    assert (made["name"], made["bytes"]) == ("data/t.csv", 6)
    run = accept(
        http, ["create table f (a int)", "\\copy f from 'data/t.csv'", "select sum(a) from f"]
    )
    over(http, run)
    cells = http.get(f"/accepted/{run}/result").json()["cells"]
    assert cells[-1]["results"][0]["rows"] == [["6"]]
    run = accept(http, ["select 1 as a", "\\copy (select 1) to 'data/out.csv'"], "writes")
    assert over(http, run)["error"]["sqlstate"] == "PC010"
    for name in ("../x", "a/../../x", ".x", "a/.x", "%2e%2e/x", "a\\b", "a/" * 20 + "b"):
        refused = http.put(f"/files/names/{name}", json={"chunks": digests})
        assert refused.status_code in (400, 404), name
    assert http.get("/files").json()["files"] == [{"name": "data/t.csv", "bytes": 6}]
    assert http.delete("/files/names/data/t.csv").status_code == 204
    assert http.delete("/files/names/data/t.csv").status_code == 404


def test_killed_services_lose_no_run(fresh_cli: CommandLine) -> None:
    """The next one begins it again; a reader is told that what it had is void."""
    fresh_cli("service", "start")
    with connected(fresh_cli) as http:
        fast = accept(http, COUNT, "fast")
        over(http, fast)
        slow = accept(http, ["select 1 as a, pg_sleep(4)"], "slow")
        seen = first_events(http, slow)[0]["id"]
        pid = fresh_cli.json("service", "status")["pid"]
        os.kill(pid, signal.SIGKILL)
    fresh_cli("service", "start")
    with connected(fresh_cli) as http:
        assert http.get(f"/accepted/{fast}").json()["attempt"] == 1
        events = lines(http, slow, **{"Last-Event-ID": seen})
        assert [event["event"] for event in events][:2] == ["restarted", "started"]
        ended = over(http, slow)
        assert (ended["status"], ended["attempt"]) == ("done", 2)
