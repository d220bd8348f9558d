"""The central gateway before a service that knows people: who comes in, and what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate
from tests.fixtures_central import (
    ADMINISTRATOR,
    ORIGIN,
    PASSWORD,
    Central,
    central_gateway,
)
from tests.fixtures_gateway import operations
from tests.fixtures_service import CommandLine

from pgcellar.api import records, remote
from pgcellar.postgres import processes
from pgcellar_server import people_routes

CELLS = [
    {"id": "a", "source": "create table t (n int); insert into t values (1), (2)"},
    {"id": "b", "source": "select sum(n) from t"},
]
RUN = {"notebook": "n.ipynb", "cells": CELLS, "head": 1}


@pytest.fixture(scope="module")
def administrator(central: Central) -> Iterator[httpx.Client]:
    """Whom the settings name."""
    with central.registered(ADMINISTRATOR) as made:
        yield made


def result(who: httpx.Client, run: str) -> Any:
    """What a run gave, once it is over."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = who.get(f"/runs/{run}/result")
        if answer.status_code != 409:
            return answer.json()
        time.sleep(0.05)
    raise AssertionError("the run does not end")


def test_anonymous_people_run_notebooks(central: Central) -> None:
    with central.anonymous() as ann, central.anonymous() as bob:
        me = ann.get("/me").json()
        assert me["kind"] == "anonymous"
        assert me["subject"] != bob.get("/me").json()["subject"]
        accepted = ann.post("/runs", json=RUN)
        assert accepted.status_code == 202
        run = accepted.json()["id"]
        assert accepted.headers["Location"] == f"/pgcellar/api/v1/runs/{run}"
        found = result(ann, run)
        assert found["error"] is None
        assert found["cells"][-1]["results"][0]["rows"] == [["3"]]
        assert bob.get(f"/runs/{run}").status_code == 404
        assert bob.get("/runs").json()["runs"] == []


def test_who_signs_up_keeps_their_work(central: Central) -> None:
    with central.anonymous() as ann:
        run = ann.post("/runs", json=RUN).json()["id"]
        result(ann, run)
        subject = ann.get("/me").json()["subject"]
        signed = ann.post(
            "/identity/upgrade", json={"email": "ann@example.org", "password": PASSWORD}
        )
        assert signed.status_code == 200, signed.text
    with central.client() as stranger:
        login = stranger.post(
            "/identity/password", json={"email": "ann@example.org", "password": PASSWORD}
        ).json()
        again = stranger.post(
            "/identity/refresh", json={"refresh_token": login["refresh_token"]}
        ).json()
    with central.client(again["access_token"]) as ann:
        assert ann.get("/me").json() | {"kind": "registered", "subject": subject} == (
            ann.get("/me").json()
        )
        assert [each["id"] for each in ann.get("/runs").json()["runs"]] == [run]


def test_personal_tokens_have_scopes_and_end(central: Central) -> None:
    with central.registered("tok@example.org") as who:
        made = who.post("/identity/tokens", json={"name": "ci", "scopes": ["runs"]})
        assert made.status_code == 201, made.text
        with central.client(made.json()["secret"]) as program:
            assert result(program, program.post("/runs", json=RUN).json()["id"])["error"] is None
            assert program.get("/states").status_code == 403
            assert program.get("/identity/tokens").status_code == 403
            assert who.delete(f"/identity/tokens/{made.json()['id']}").status_code == 204
            refused = program.get("/runs")
            assert refused.status_code == 401
            assert refused.headers["Content-Type"] == "application/problem+json"


def test_strangers_are_nobody(central: Central) -> None:
    """Above all not the owner of the service, who is known by the socket that the gateway uses."""
    with central.client() as stranger:
        for path in ("/me", "/runs", "/states", "/files", "/profiles/me", "/audit"):
            answer = stranger.get(path)
            assert answer.status_code == 401, path
            assert answer.json()["code"]
        assert stranger.post("/runs", json=RUN).status_code == 401
        assert stranger.get("/service").status_code == 404
        assert stranger.post("/service/stop").status_code == 404
        assert stranger.post("/identity/login/os", json={}).status_code == 401
        assert stranger.get("/identity/jwks").json()["keys"]


def test_quotas_are_kept(central: Central, administrator: httpx.Client) -> None:
    with central.anonymous() as ann:
        subject = ann.get("/me").json()["subject"]
        mine = ann.get("/profiles/me/quotas").json()["quotas"]
        assert mine["runs_per_minute"]["limit"] == 60
        at = f"/profiles/subjects/{subject}/quotas"
        assert ann.patch(at, json={"runs_per_minute": 1000}).status_code == 403
        changed = {"runs_per_minute": 2, "statement_seconds": 1}
        assert administrator.patch(at, json=changed).status_code == 204
        slow = {**RUN, "cells": [{"id": "a", "source": "select pg_sleep(30)"}], "head": 0}
        begin = time.monotonic()
        found = result(ann, ann.post("/runs", json=slow).json()["id"])
        assert "limit is 1 s for a statement" in found["error"]["message"]
        assert time.monotonic() - begin < 10
        key = {"Idempotency-Key": "one"}
        first = ann.post("/runs", json=RUN, headers=key)
        assert first.status_code == 202
        # The same run again is none.
        assert ann.post("/runs", json=RUN, headers=key).json()["id"] == first.json()["id"]
        refused = ann.post("/runs", json=RUN)
        assert refused.status_code == 429
        assert "2 runs in a minute" in refused.json()["detail"]
        assert int(refused.headers["Retry-After"]) > 0
        left = ann.get("/profiles/me/quotas").json()["quotas"]
        assert left["runs_per_minute"]["left"] == 0
        assert 0 < left["result_bytes"]["left"] < left["result_bytes"]["limit"]


def test_who_has_had_their_results_gets_no_more_for_a_while(
    central: Central, administrator: httpx.Client
) -> None:
    """What was left was given to its end; how much is left and for how long none is, is told."""
    wide = {"id": "a", "source": "select repeat('x', 1000) from generate_series(1, 100)"}
    with central.anonymous() as ann:
        at = f"/profiles/subjects/{ann.get('/me').json()['subject']}/quotas"
        assert administrator.patch(at, json={"result_bytes": 50_000}).status_code == 204
        mine = "/profiles/me/quotas"
        assert ann.get(mine).json()["quotas"]["result_bytes"]["left"] == 50_000
        accepted = ann.post("/runs", json={**RUN, "cells": [wide], "head": 0})
        assert accepted.status_code == 202
        assert result(ann, accepted.json()["id"])["error"] is None
        deadline = time.monotonic() + 60
        # It is counted when the run is over.
        while ann.get(mine).json()["quotas"]["result_bytes"]["left"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # A plan gives no results.
        assert ann.post("/plans", json=RUN).status_code == 200
        for path in ("/runs", "/pages"):
            refused = ann.post(path, json=RUN)
            assert refused.status_code == 429, path
            assert refused.headers["Content-Type"] == "application/problem+json"
            assert re.search(
                r"50000 bytes of results in a day, and it is reached; there is room again in \d+ s",
                refused.json()["detail"],
            ), refused.text
            assert 80_000 < int(refused.headers["Retry-After"]) <= 86_400 * 61 / 60
        # Others have theirs, and what was there already is there still.
        assert result(ann, accepted.json()["id"])["error"] is None
        with central.anonymous() as bob:
            assert bob.post("/runs", json=RUN).status_code == 202


def test_what_waiting_does_not_help_against_says_so(
    central: Central, administrator: httpx.Client
) -> None:
    """Whom none is given has no sandbox; a teacher gives no more than a teacher may."""
    with central.registered("teacher@example.org") as teacher:
        subject = teacher.get("/me").json()["subject"]
        at = f"/profiles/subjects/{subject}/quotas"
        assert administrator.patch(at, json={"sandboxes": 0}).status_code == 204
        refused = teacher.post("/runs", json=RUN)
        assert (refused.status_code, refused.json()["code"]) == (429, "PC015")
        assert "Your limit is 0 sandboxes at once" in refused.json()["detail"]
        assert "waiting does not help" in refused.json()["detail"]
        assert "administrator" in refused.json()["hint"]
        assert "Retry-After" not in refused.headers
        made = administrator.post(
            "/profiles/classes", json={"name": "Databases 2", "teacher": subject}
        ).json()
        limits = f"/profiles/classes/{made['id']}/quotas"
        assert teacher.patch(limits, json={"runs_per_minute": 300}).status_code == 204
        for name, value, most in (
            ("runs_per_minute", 301, "300 runs in a minute"),
            ("result_bytes", 1 << 40, "50 GiB of results in a day"),
            ("snapshot_bytes", 1 << 40, "50 GiB of snapshots"),
            ("statement_seconds", 3600, "1800 s for a statement"),
            ("memory_bytes", 1 << 40, "4 GiB of memory"),
            ("cpu", 5, "4 processors"),
            ("sandboxes", 5, "4 sandboxes at once"),
        ):
            refused = teacher.patch(limits, json={name: value})
            assert refused.status_code == 403
            assert f"may give {most} at most" in refused.json()["detail"]
        assert teacher.get(limits).json() == {"quotas": {"runs_per_minute": 300}}


def test_one_person_has_so_many_runs_that_are_not_over(central: Central) -> None:
    """Whoever has fifty waits for one of them; and nobody else waits for any."""
    slow = [{"id": "a", "source": "select pg_sleep(3600)"}]
    with central.anonymous() as ann:
        runs = [ann.post("/runs", json={**RUN, "cells": slow, "head": 0}) for _ in range(51)]
        *taken, refused = runs
        assert {each.status_code for each in taken} == {202}
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert "50 runs of yours are not over yet" in refused.json()["detail"]
        with central.anonymous() as bob:
            assert result(bob, bob.post("/runs", json=RUN).json()["id"])["error"] is None
        statuses = [each["status"] for each in ann.get("/runs").json()["runs"]]
        assert (statuses.count("running"), statuses.count("queued")) == (8, 42)
        for run in taken:
            assert ann.post(f"/runs/{run.json()['id']}/cancel").status_code == 200
        assert result(ann, taken[0].json()["id"])["error"]["sqlstate"] == "57014"
        assert ann.post("/runs", json=RUN).status_code == 202


def test_ones_own_quotas_say_what_is_used(central: Central) -> None:
    """Of what is held, too; in Python as over REST."""
    with central.registered("used@example.org") as ann:
        unused = ann.get("/profiles/me/quotas").json()["quotas"]
        assert [unused[name]["used"] for name in HELD] == [0, 0, 0]
        result(ann, ann.post("/runs", json=RUN).json()["id"])
        slow = [{"id": "a", "source": "select pg_sleep(3600)"}]
        run = ann.post("/runs", json={**RUN, "cells": slow, "head": 0}).json()["id"]
        deadline = time.monotonic() + 60
        while True:
            found = ann.get("/profiles/me/quotas").json()["quotas"]
            if found["statement_seconds"]["used"] > 0:
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert (found["sandboxes"], found["cpu"]) == ({"limit": 2, "used": 1}, {"limit": 2})
        assert 1 << 20 < found["snapshot_bytes"]["used"] < found["snapshot_bytes"]["limit"]
        assert found["runs_per_minute"] == {"limit": 120, "left": 118, "seconds": 60}
        url, token = central.url.split("/pgcellar")[0], ann.headers["Authorization"].split()[1]
        assert ann.post(f"/runs/{run}/cancel").status_code == 200
        typed = asyncio.run(quotas(url, token))
        assert typed["sandboxes"] == records.Quota(limit=2, used=1)
        assert typed["runs_per_minute"] == records.Quota(limit=120, left=118, seconds=60)


HELD = ("sandboxes", "snapshot_bytes", "statement_seconds")


async def quotas(url: str, token: str) -> dict[str, records.Quota]:
    """A person's limits, as the client has them."""
    client = remote.Remote(url, token)
    try:
        return await client.quotas()
    finally:
        client.close()


def test_a_statement_that_will_not_be_cancelled_loses_its_session(
    central: Central, administrator: httpx.Client
) -> None:
    stubborn = """do $$ begin loop begin perform pg_sleep(60);
        exception when query_canceled then null; end; end loop; end $$"""
    with central.anonymous() as ann:
        at = f"/profiles/subjects/{ann.get('/me').json()['subject']}/quotas"
        assert administrator.patch(at, json={"statement_seconds": 1}).status_code == 204
        cells = [{"id": "a", "source": f"set statement_timeout = 0; {stubborn}"}]
        begin = time.monotonic()
        found = result(ann, ann.post("/runs", json={**RUN, "cells": cells, "head": 0}).json()["id"])
        assert found["error"] is not None
        assert time.monotonic() - begin < 20
        assert result(ann, ann.post("/runs", json=RUN).json()["id"])["error"] is None


def test_the_audit_log_has_who_and_from_where(
    central: Central, administrator: httpx.Client
) -> None:
    with central.anonymous() as ann:
        subject = ann.get("/me").json()["subject"]
        result(ann, ann.post("/runs", json=RUN).json()["id"])
        time.sleep(0.5)
        own = ann.get("/audit").json()["records"]
        assert {each["subject"] for each in own} == {subject}
        assert {"login.anonymous", "run.start", "run.end"} <= {each["action"] for each in own}
        assert {each["address"] for each in own} == {"127.0.0.1"}
        assert ann.get("/audit?subject=other").status_code == 403
    with central.client() as stranger:
        denied = {"email": ADMINISTRATOR, "password": "wrong wrong wrong"}
        assert stranger.post("/identity/password", json=denied).status_code == 401
    found = administrator.get("/audit?action=login.password&outcome=denied").json()["records"]
    assert found
    assert found[0]["address"] == "127.0.0.1"
    verified = central.cli("audit", "verify")
    assert verified.returncode == 0, verified.stdout


def test_teachers_have_classes(central: Central, administrator: httpx.Client) -> None:
    made = administrator.post("/profiles/classes", json={"name": "Databases 1"})
    assert made.status_code == 201
    which, code = made.json()["id"], made.json()["join_code"]
    with central.anonymous() as ann:
        assert ann.get(f"/profiles/classes/{which}").status_code == 404
        joined = ann.post("/profiles/classes/join", json={"code": code})
        assert joined.json()["role"] == "student"
        assert "members" not in joined.json()
        assert ann.patch(f"/profiles/classes/{which}", json={"name": "x"}).status_code == 403
        assert len(administrator.get(f"/profiles/classes/{which}").json()["members"]) == 2


def test_the_document_is_openapi_and_has_all_routes(central: Central) -> None:
    with central.client() as stranger:
        found = stranger.get("/openapi.json").json()
        page = stranger.get("/")
    validate(found)
    assert {(each.method.lower(), each.path) for each in people_routes.ALL} == {
        (method, path) for path, made in found["paths"].items() for method in made
    }
    assert page.headers["Content-Type"].startswith("text/html")
    assert operations(page.text) == [
        (each.method, f"/pgcellar/api/v1{each.path}", each.summary) for each in people_routes.ALL
    ]


#: What a page of another origin asks its browser for, and the browser the gateway.
ASKED = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
}


def leave(answer: httpx.Response) -> set[str]:
    """The headers by which a page of another origin is let in."""
    return {name for name in answer.headers if name.startswith("access-control-")}


def test_pages_of_an_origin_that_is_named_call_the_api(central: Central) -> None:
    """With a token, and what it answers is theirs to read; nothing comes of cookies."""
    with central.anonymous() as ann, central.client() as stranger:
        asked = stranger.options("/runs", headers={"Origin": ORIGIN, **ASKED})
        assert (asked.status_code, asked.content) == (204, b"")
        assert asked.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "POST" in asked.headers["Access-Control-Allow-Methods"].split(", ")
        wanted = set(ASKED["Access-Control-Request-Headers"].split(","))
        assert wanted <= set(asked.headers["Access-Control-Allow-Headers"].lower().split(", "))
        made = ann.post("/runs", json=RUN, headers={"Origin": ORIGIN})
        run = made.json()["id"]
        result(ann, run)
        for answer in (
            made,
            ann.get("/me", headers={"Origin": ORIGIN}),
            ann.get(f"/runs/{run}/events", headers={"Origin": ORIGIN}),
            ann.get(f"/runs/{run}/result", headers={"Origin": ORIGIN}),
            ann.get("/nowhere", headers={"Origin": ORIGIN}),
            stranger.get("/me", headers={"Origin": ORIGIN}),
        ):
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN, answer.url
            assert "Origin" in answer.headers["Vary"]
            exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
            assert {"ETag", "Location", "Retry-After"} <= set(exposed)
            assert "Access-Control-Allow-Credentials" not in answer.headers


def test_pages_of_other_origins_do_not(central: Central) -> None:
    """Whatever they call themselves; and no cache gives them what one that is named was given."""
    with central.anonymous() as ann:
        for origin in ("https://evil.example", f"{ORIGIN}.evil.example", ORIGIN.upper(), "null"):
            for answer in (
                ann.options("/runs", headers={"Origin": origin, **ASKED}),
                ann.get("/me", headers={"Origin": origin}),
            ):
                assert leave(answer) == set(), (origin, answer.headers)
        keys = ann.get("/identity/jwks")
        assert (leave(keys), keys.headers["Vary"]) == (set(), "Origin")


def test_the_owner_of_the_service_is_who_they_were(central: Central) -> None:
    assert central.cli.run(["select 1"])["cells"][0]["results"][0]["rows"] == [["1"]]
    assert central.cli.json("service", "status")["pid"]


def test_guessed_tokens_count_against_where_they_come_from(fresh_cli: CommandLine) -> None:
    options = ("--Gateway.strangers_per_minute=30", "--Gateway.burst=12")
    with central_gateway(fresh_cli, *options) as central, central.anonymous() as ann:
        assert ann.get("/me").status_code == 200
        seen = []
        # A slow machine is let pass one more every two seconds.
        for guess in range(60):
            with central.client(f"pgc_{guess}") as guesser:
                seen.append(guesser.get("/me"))
            if seen[-1].status_code == 429:
                break
        assert {answer.status_code for answer in seen} == {401, 429}
        last = seen[-1]
        assert last.status_code == 429
        assert last.headers["Content-Type"] == "application/problem+json"
        assert int(last.headers["Retry-After"]) > 0
        # Who is known pays nothing for the neighbour.
        assert [ann.get("/me").status_code for _ in range(8)] == [200] * 8


def test_what_is_open_to_anybody_is_counted_too(fresh_cli: CommandLine) -> None:
    """A page, or nothing at all: none is answered as often as somebody likes."""
    options = ("--Gateway.strangers_per_minute=6.0", "--Gateway.burst=5")
    with central_gateway(fresh_cli, *options) as central, central.client() as stranger:
        paths = ("/openapi.json", "", "/nowhere")
        assert [stranger.get(path).status_code for path in paths] == [200, 200, 404]
        assert stranger.post("/openapi.json").status_code == 405
        for path in paths:
            # A slow machine is let pass one more every ten seconds.
            methods = ("GET", "POST") * 5
            answers = [stranger.request(method, path) for method in methods]
            (refused, *_) = [answer for answer in answers if answer.status_code == 429]
            assert refused.headers["Content-Type"].startswith("application/problem+json")
            assert int(refused.headers["Retry-After"]) > 0
            # The connection stays: a close that is not told of loses the request that follows.
            assert "Connection" not in refused.headers
            streams = {id(each.extensions["network_stream"]) for each in answers}
            assert len(streams) == 1
        # Whoever keeps it running is answered.
        health = central.url.replace("/pgcellar/api/v1", "/healthz")
        assert {httpx.get(health).status_code for _ in range(10)} == {200}


def test_a_service_that_was_killed_costs_no_request(fresh_cli: CommandLine) -> None:
    """What was not sent to it is sent to the next one, though it could be done once only."""
    with central_gateway(fresh_cli) as central, central.registered("ann@example.org") as ann:
        for number in range(3):
            assert ann.get("/me").status_code == 200
            lock = fresh_cli.home / "home" / "service.lock"
            service = processes.find(int(lock.read_text().split()[0]))
            assert service is not None
            os.kill(service.pid, signal.SIGKILL)
            deadline = time.monotonic() + 60
            while service.alive():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            made = ann.post("/identity/tokens", json={"name": str(number), "scopes": ["runs"]})
            assert made.status_code == 201, made.text
        names = [each["name"] for each in ann.get("/identity/tokens").json()["tokens"]]
        assert sorted(names) == ["0", "1", "2"]


def test_lists_come_by_pages(central: Central, administrator: httpx.Client) -> None:
    """Each entry once, whatever a page's length; who is not there any more leads nowhere."""

    def pages(who: httpx.Client, path: str, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": 2}
        while True:
            body = who.get(path, params=query).json()
            assert len(body[name]) <= 2
            found += body[name]
            if body["next"] is None:
                assert who.get(path).json()[name] == found
                lost = who.get(path, params={"after": "x y"})
                assert (lost.status_code, lost.json()["code"]) == (400, "PC001")
                return found
            query["after"] = body["next"]

    made = [administrator.post("/profiles/classes", json={"name": f"p{i}"}).json() for i in "abcde"]
    listed = pages(administrator, "/profiles/classes", "classes")
    assert {each["id"] for each in made} <= {each["id"] for each in listed}
    for _ in range(4):
        with central.anonymous() as student:
            joined = student.post("/profiles/classes/join", json={"code": made[0]["join_code"]})
            assert joined.status_code == 200
            mine = student.get("/profiles/classes").json()
            assert ([each["id"] for each in mine["classes"]], mine["next"]) == (
                [made[0]["id"]],
                None,
            )
    members = pages(administrator, f"/profiles/classes/{made[0]['id']}", "members")
    assert [each["role"] for each in members] == ["teacher", *["student"] * 4]
    with central.anonymous() as ann:
        for name in ("c", "a b", "b/d", "é"):
            assert ann.put(f"/files/names/{name}", json={"chunks": []}).status_code == 200
        names = [each["name"] for each in pages(ann, "/files", "files")]
        assert sorted(names) == sorted(["c", "a b", "b/d", "é"])


def test_many_tokens_are_one_persons(fresh_cli: CommandLine) -> None:
    """Who has more tokens may ask no more, at once or in a minute; nor is whose they are told."""
    options = (
        "--Gateway.requests_per_minute=60",
        "--Gateway.burst=20",
        "--Gateway.open_requests=2",
    )
    with central_gateway(fresh_cli, *options) as central, contextlib.ExitStack() as stack:
        ann = stack.enter_context(central.registered("ann@example.org"))
        programs = []
        for number in range(3):
            made = ann.post("/identity/tokens", json={"name": str(number), "scopes": ["*"]})
            programs.append(stack.enter_context(central.client(made.json()["secret"])))
        answers = [program.get("/me") for program in programs]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert not any("pgcellar-subject" in answer.headers for answer in answers)
        slow = {"id": "s", "source": "select pg_sleep(60)"}
        run = ann.post("/runs", json={**RUN, "cells": [slow], "head": 0}).json()["id"]
        for program in programs[:2]:
            followed = stack.enter_context(program.stream("GET", f"/runs/{run}/events"))
            assert followed.status_code == 200
        assert programs[2].get("/me").status_code == 429
        stack.pop_all().close()
    with central_gateway(fresh_cli, *options) as central, contextlib.ExitStack() as stack:
        bob = stack.enter_context(central.registered("bob@example.org"))
        programs = [bob]
        for number in range(4):
            made = bob.post("/identity/tokens", json={"name": str(number), "scopes": ["*"]})
            programs.append(stack.enter_context(central.client(made.json()["secret"])))
        statuses = [program.get("/me").status_code for _ in range(8) for program in programs]
        assert statuses[-5:] == [429] * 5


def test_who_reads_does_not_write(central: Central) -> None:
    """A token for `runs:read` sees runs, and nothing else; nor does it begin any."""
    with central.registered("reader@example.org") as ann:
        run = ann.post("/runs", json=RUN).json()["id"]
        result(ann, run)
        made = ann.post("/identity/tokens", json={"name": "r", "scopes": ["runs:read"]}).json()
        with central.client(made["secret"]) as program:
            assert program.get("/runs").status_code == 200
            assert program.get(f"/runs/{run}/events").status_code == 200
            assert program.get(f"/runs/{run}/result").status_code == 200
            assert program.post("/runs", json=RUN).status_code == 403
            assert program.post(f"/runs/{run}/cancel").status_code == 403
            for path in ("/files", "/states", "/audit", "/identity/tokens", "/profiles/me"):
                assert program.get(path).status_code == 403, path
