"""The extension inside a Jupyter Server as Jupyter's own tests run one, asked by `jp_fetch`.

The fixtures are taken into this module alone: as a plugin they would take over the event loops of
the whole suite. So tests here are no coroutines, but give some to Jupyter's loop.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import tornado.httpclient
from pytest_jupyter.jupyter_server import *  # noqa: F403
from tests.fixtures_service import CommandLine

Fetch = Callable[..., Awaitable[tornado.httpclient.HTTPResponse]]
_JSON = ("application/json", "application/problem+json")
API = ("pgcellar", "api", "v1")
CELLS = [
    {"id": "a", "source": "create table t as select generate_series(1, 5) as a"},
    {"id": "b", "source": "select sum(a) from t"},
]


@pytest.fixture
def jp_server_config(fresh_cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The extension is on, and its service has a home of its own."""
    for name in ("PGCELLAR_HOME", "PGCELLAR_RUNTIME"):
        monkeypatch.setenv(name, fresh_cli.environment[name])
    return {"ServerApp": {"jpserver_extensions": {"pgcellar_server": True}}}


@pytest.fixture
def ask(jp_fetch: Fetch, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Callable[..., Any]:
    """A request: its status, and what is answered, as JSON where it is."""

    def send(*path: str, method: str = "GET", body: object = None, **more: Any) -> tuple[int, Any]:
        sent = None if body is None else json.dumps(body)

        async def fetch() -> tornado.httpclient.HTTPResponse:
            # Called where its loop runs: it takes the current one.
            return await jp_fetch(*API, *path, method=method, body=sent, raise_error=False, **more)

        answer = jp_asyncio_loop.run_until_complete(fetch())
        kind = answer.headers.get("Content-Type", "")
        return answer.code, json.loads(answer.body) if kind in _JSON else answer.body.decode()

    return send


def test_a_run_from_its_request_to_its_result(ask: Callable[..., Any]) -> None:
    request = {"notebook": "n", "cells": CELLS, "head": 1}
    status, run = ask("runs", method="POST", body=request)
    assert status == 202
    status, events = ask("runs", run["id"], "events")
    assert status == 200
    assert json.loads(events.splitlines()[-1])["event"] == "done"
    status, found = ask("runs", run["id"], "result")
    assert found["cells"][-1]["results"][0]["rows"] == [["15"]]


def test_who_is_not_known_and_what_is_not_there(ask: Callable[..., Any]) -> None:
    status, problem = ask("me", headers={"Authorization": "token x"})
    assert (status, problem["status"]) == (401, 401)
    status, problem = ask("nothing")
    assert (status, problem["status"]) == (404, 404)
    assert ask("me")[0] == 200
    assert ask("openapi.json")[1]["openapi"].startswith("3.1")
