"""The gateway in a real Jupyter Server: routes, answers, limits, and who may ask."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest
import tornado.httpclient
import tornado.websocket
from tests import certificates
from tests.fixtures_gateway import jupyter_server, operations
from tests.fixtures_service import CommandLine, command_line

from pgcellar_server import routes

CELLS = ["create table t (a int)", "insert into t select generate_series(1, 5)"]
COUNT = [*CELLS, "select count(*) as n from t"]


def body(cells: list[str], notebook: str = "n", **more: Any) -> dict[str, Any]:
    """A request to run the last of these cells."""
    listed = [{"id": f"c{i}", "source": source} for i, source in enumerate(cells)]
    return {"notebook": notebook, "cells": listed, "head": len(cells) - 1, **more}


def events(gateway: httpx.Client, run: str, **headers: str) -> list[dict[str, Any]]:
    """The events of a run, to the last."""
    with gateway.stream("GET", f"/runs/{run}/events", headers=headers) as answer:
        assert answer.status_code == 200
        return [json.loads(line) for line in answer.iter_lines() if line]


def test_a_run(gateway: httpx.Client) -> None:
    """Accepted, followed, fetched; its location is a path of the gateway's."""
    answer = gateway.post("/runs", json=body(COUNT))
    assert answer.status_code == 202, answer.text
    run = answer.json()["id"]
    assert answer.headers["Location"] == f"/pgcellar/api/v1/runs/{run}"
    followed = events(gateway, run)
    assert followed[-1]["event"] == "done"
    assert events(gateway, run, **{"Last-Event-ID": followed[-2]["id"]}) == followed[-1:]
    result = gateway.get(f"/runs/{run}/result")
    assert result.headers["Content-Type"] == "application/json"
    assert result.json()["cells"][-1]["results"][0]["rows"] == [["5"]]
    again = gateway.get(f"/runs/{run}/result", headers={"If-None-Match": result.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    table = gateway.get(f"/runs/{run}/results/0.csv")
    assert (table.text, table.headers["Content-Type"][:8]) == ("n\r\n5\r\n", "text/csv")
    assert gateway.get("/runs", params={"limit": 1}).json()["runs"][0]["id"] == run


def test_a_stream_of_server_sent_events(gateway: httpx.Client) -> None:
    """As a browser's EventSource reads it."""
    run = gateway.post("/runs", json=body(COUNT)).json()["id"]
    headers = {"Accept": "text/event-stream"}
    with gateway.stream("GET", f"/runs/{run}/events", headers=headers) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        text = answer.read().decode()
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    assert all(ident.startswith("id: 1-") and data[:6] == "data: " for ident, data in blocks)
    assert json.loads(blocks[-1][1][6:])["event"] == "done"


def test_plans_pages_and_states(gateway: httpx.Client) -> None:
    """What the services have, through the gateway."""
    plan = gateway.post("/plans", json=body(COUNT, "planned")).json()
    assert [step["id"] for step in plan["steps"]] == ["c0", "c1", "c2"]
    page = gateway.post("/pages", json={**body(["select generate_series(1, 9)"]), "limit": 2})
    assert (page.json()["rows"], page.json()["row_count"]) == ([["1"], ["2"]], 9)
    assert isinstance(gateway.get("/states").json()["states"], list)
    assert gateway.get("/me").json()["kind"] == "os"


def test_files(gateway: httpx.Client) -> None:
    """Travel in chunks, and are read by notebooks."""
    chunk = b"1\n2\n"
    digest = hashlib.sha256(chunk).hexdigest()
    assert gateway.post("/files/missing", json={"chunks": [digest]}).json()["missing"] == [digest]
    assert gateway.put(f"/files/chunks/{digest}", content=chunk).status_code == 200
    made = gateway.put("/files/names/a b/ü.csv", json={"chunks": [digest]})
    assert made.json()["name"] == "a b/ü.csv", made.text
    cells = ["create table f (a int)", "\\copy f from 'a b/ü.csv'", "select sum(a) from f"]
    run = gateway.post("/runs", json=body(cells, "files")).json()["id"]
    assert events(gateway, run)[-1]["error"] is None
    assert gateway.delete("/files/names/a b/ü.csv").status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("POST", "/runs", b"{", 400),
        ("POST", "/runs", b"[]", 400),
        ("POST", "/runs", b'{"notebook":"n","cells":[],"head":0}', 400),
        ("POST", "/runs", json.dumps(body(["select 1"], directory="/etc")).encode(), 403),
        ("GET", "/runs/" + "0" * 32, None, 404),
        ("GET", "/runs/nonsense", None, 404),
        ("GET", "/nonsense", None, 404),
        ("DELETE", "/runs", None, 405),
        ("PUT", "/files/names/..%2f..%2fx", b'{"chunks":[]}', 400),
        ("PUT", "/files/names/%2e%2e/x", b'{"chunks":[]}', 400),
        ("GET", "/runs?limit=x", None, 400),
    ],
)
def test_problems(
    gateway: httpx.Client, method: str, path: str, sent: bytes | None, status: int
) -> None:
    """Are documents that say what is wrong."""
    answer = gateway.request(method, path, content=sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert "Traceback" not in answer.text


def test_nobody_is_answered_without_a_token(gateway: httpx.Client) -> None:
    """Whatever the path and the method; and the token of another server is none."""
    for headers in ({}, {"Authorization": "token wrong"}, {"Authorization": "Bearer x.y.z"}):
        with httpx.Client(base_url=gateway.base_url, headers=headers) as stranger:
            for path in ("/runs", "/me", "/openapi.json", "/", "/nonsense", "/files"):
                answer = stranger.get(path)
                assert (answer.status_code, answer.json()["code"]) == (401, "PC013"), path
                assert "Bearer" in answer.headers["WWW-Authenticate"]
            assert stranger.post("/runs", json=body(COUNT)).status_code in (401, 403)


def test_a_cookie_needs_the_xsrf_token(gateway: httpx.Client) -> None:
    """A page elsewhere that has the browser send the cookie gets nothing run."""
    base = str(gateway.base_url).split("/pgcellar")[0]
    token = gateway.headers["Authorization"].removeprefix("token ")
    with httpx.Client(base_url=base, follow_redirects=True) as browser:
        browser.get("/", params={"token": token})
        assert any("username" in name for name in browser.cookies)
        api = "/pgcellar/api/v1/runs"
        assert browser.get(api).status_code == 200
        assert browser.post(api, json=body(COUNT)).status_code == 403
        foreign = {"Origin": "http://evil.example", "X-XSRFToken": browser.cookies["_xsrf"]}
        assert browser.post(api, json=body(COUNT), headers=foreign).status_code in (403, 404)
        own = {"X-XSRFToken": browser.cookies["_xsrf"]}
        assert browser.post(api, json=body(COUNT), headers=own).status_code == 202


def test_every_route_that_changes_needs_the_xsrf_token(gateway: httpx.Client) -> None:
    """With the cookie alone, from wherever: a form of a page elsewhere sends no header."""
    base = str(gateway.base_url).split("/pgcellar")[0]
    token = gateway.headers["Authorization"].removeprefix("token ")
    values = {name: "0" * 32 for name in ("run", "digest", "state", "tag", "name", "environment")}
    changing = [route for route in routes.ROUTES if route.method != "GET"]
    assert len(changing) > 8
    with httpx.Client(base_url=base, follow_redirects=True) as browser:
        browser.get("/", params={"token": token})
        for route in changing:
            path = "/pgcellar/api/v1" + route.path.format_map({**values})
            for headers in ({}, {"Origin": base, "Referer": f"{base}/"}, {"X-XSRFToken": "forged"}):
                form = {**headers, "Content-Type": "text/plain"}
                answer = browser.request(route.method, path, content=b"{}", headers=form)
                assert answer.status_code == 403, (route.method, route.path)
                assert "xsrf" in answer.json()["detail"].lower(), answer.text


def test_pages_elsewhere_read_nothing(gateway: httpx.Client) -> None:
    """A person's browser asks for them, with the cookie: it gets no leave to show them."""
    base = str(gateway.base_url).split("/pgcellar")[0]
    token = gateway.headers["Authorization"].removeprefix("token ")
    with httpx.Client(base_url=base, follow_redirects=True) as browser:
        browser.get("/", params={"token": token})
        for method in ("GET", "OPTIONS"):
            answer = browser.request(
                method, "/pgcellar/api/v1/runs", headers={"Origin": "http://evil.example"}
            )
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Access-Control-Allow-Credentials" not in answer.headers


def test_pages_of_an_origin_that_jupyter_allows_read(fresh_cli: CommandLine) -> None:
    """Jupyter's own setting holds for the routes, and for their problems; others' pages don't."""
    origin = "https://pages.example.org"
    with jupyter_server(fresh_cli, f"--ServerApp.allow_origin={origin}") as client:
        for path, status in (("/openapi.json", 200), ("/runs/" + "0" * 32, 404)):
            answer = client.get(path, headers={"Origin": origin})
            assert answer.status_code == status
            assert answer.headers["Access-Control-Allow-Origin"] == origin
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        allowed = client.options("/runs", headers=asked)
        assert allowed.headers["Access-Control-Allow-Origin"] == origin
        assert "authorization" in allowed.headers["Access-Control-Allow-Headers"].lower()
        evil = client.get("/openapi.json", headers={"Origin": "https://evil.example"})
        assert evil.headers.get("Access-Control-Allow-Origin") in (None, origin)


async def test_operations_are_told_to_those_who_listen(gateway: httpx.Client) -> None:
    """At Jupyter Server's event bus; with no statement in them, and reading is not told."""
    base = str(gateway.base_url).split("/pgcellar")[0].replace("http", "ws")
    headers = {"Authorization": gateway.headers["Authorization"]}
    at = tornado.httpclient.HTTPRequest(f"{base}/api/events/subscribe", headers=headers)
    listener = await tornado.websocket.websocket_connect(at)
    try:
        await asyncio.to_thread(gateway.get, "/runs")
        sent = body(["select 'sekret'"], "told")
        run = (await asyncio.to_thread(gateway.post, "/runs", json=sent)).json()["id"]
        await asyncio.to_thread(gateway.post, "/runs", json={"notebook": 3})
        told = [json.loads(await asyncio.wait_for(listener.read_message(), 20)) for _ in range(2)]
    finally:
        listener.close()
    assert {each["schema_id"] for each in told} == {"https://pgcellar.org/events/operation"}
    assert [(each["operation"], each["status"]) for each in told] == [
        ("post_runs", 202),
        ("post_runs", 400),
    ]
    assert told[0]["resource"].endswith(f"/runs/{run}")
    assert "sekret" not in json.dumps(told)


async def test_who_leaves_does_not_end_the_run(gateway: httpx.Client) -> None:
    """And who reads slowly does not slow it."""
    sent = body(["select pg_sleep(1), 1 as one"], "left")
    run = gateway.post("/runs", json=sent).json()["id"]
    async with (
        httpx.AsyncClient(base_url=gateway.base_url, headers=gateway.headers) as client,
        client.stream("GET", f"/runs/{run}/events"),
    ):
        await asyncio.sleep(0.2)
    deadline = time.monotonic() + 30
    while (now := gateway.get(f"/runs/{run}").json())["finished"] is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert now["status"] == "done"


def test_an_authorizer_is_heeded(fresh_cli: CommandLine) -> None:
    """Jupyter's own, which is asked about `pgcellar`; and no route answers whom nobody knows."""
    options = (
        "--ServerApp.authorizer_class=tests.authorizers.ReadOnly",
        "--ServerApp.allow_unauthenticated_access=False",
    )
    with jupyter_server(fresh_cli, *options) as client:
        assert client.get("/runs").status_code == 200
        for method, path in (
            ("POST", "/runs"),
            ("PUT", "/files/names/x"),
            ("DELETE", "/files/names/x"),
        ):
            refused = client.request(method, path, json=body(COUNT))
            assert refused.status_code == 403, (method, path, refused.text)
        assert client.get("/runs").json()["runs"] == []
    (log,) = fresh_cli.home.glob("jupyter-*/log")
    # Other extensions are warned of in the same way.
    assert not re.search(r"registered for \S*/pgcellar", log.read_text())


def test_jupyter_lists_the_extension(fresh_cli: CommandLine) -> None:
    """As one that can be loaded, in an environment where it is enabled."""
    folder = fresh_cli.home / "configuration"
    folder.mkdir()
    config = {"ServerApp": {"jpserver_extensions": {"pgcellar_server": True}}}
    (folder / "jupyter_server_config.json").write_text(json.dumps(config))
    listed = subprocess.run(
        [sys.executable, "-m", "jupyter", "server", "extension", "list"],
        env={**fresh_cli.environment, "JUPYTER_CONFIG_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    said = listed.stdout + listed.stderr
    assert [each for each in said.splitlines() if "pgcellar_server" in each and "OK" in each], said
    assert "failed" not in said.lower()


def test_the_rate_is_limited(fresh_cli: CommandLine) -> None:
    """With a sentence, and when to come again; also for programs, which keep no cookies."""
    options = ("--Gateway.requests_per_minute=60", "--Gateway.burst=5")
    with jupyter_server(fresh_cli, *options) as client:
        answers = []
        for _ in range(9):
            client.cookies.clear()
            answers.append(client.get("/runs"))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].json()["code"] == "PC015"
    assert int(refused[0].headers["Retry-After"]) >= 1


def test_the_page_for_people(gateway: httpx.Client) -> None:
    """Names every route, runs no script and loads nothing."""
    page = gateway.get("/")
    assert operations(page.text) == [
        (route.method, f"/pgcellar/api/v1{route.path}", route.summary) for route in routes.ROUTES
    ]
    assert "openapi.json" in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_tls(cellar_home: pathlib.Path) -> None:
    """Where there is no ingress, Jupyter's own certfile and keyfile end TLS here."""
    with contextlib.ExitStack() as stack:
        cli = stack.enter_context(command_line(cellar_home))
        key, certificate = certificates.alone(cellar_home)
        options = (f"--ServerApp.certfile={certificate}", f"--ServerApp.keyfile={key}")
        client = stack.enter_context(jupyter_server(cli, *options, certificate=certificate))
        assert client.get("/me").status_code == 200
