"""Sandboxes over REST: their owner looks at them, and stops, restarts and resets them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest
from tests.fixtures_service import CommandLine

from pgcellar.api import errors, remote

CELLS = ["create table t as select generate_series(1, 5) as i", "select sum(i) from t"]


def begin(gateway: httpx.Client, cells: list[str], **more: Any) -> str:
    """Begin to run the last of some cells."""
    listed = [{"id": f"c{i}", "source": source} for i, source in enumerate(cells)]
    body = {"notebook": "n", "cells": listed, "head": len(cells) - 1, **more}
    return str(gateway.post("/runs", json=body).json()["id"])


def run(gateway: httpx.Client, cells: list[str]) -> dict[str, Any]:
    """What the last of some cells gives when it runs, its result remembered or not."""
    ident = begin(gateway, cells, rerun=True)
    gateway.get(f"/runs/{ident}/events")
    found: dict[str, Any] = gateway.get(f"/runs/{ident}/result").json()
    assert found["error"] is None, found
    return found


def only(gateway: httpx.Client) -> dict[str, Any]:
    """The one sandbox there is."""
    (found,) = gateway.get("/environments").json()["environments"]
    assert found == {**found, "kind": "local"}
    return dict(found)


def wait_for(gateway: httpx.Client, **members: Any) -> None:
    """Until the sandbox is so."""
    deadline = time.monotonic() + 20
    while not members.items() <= (found := only(gateway)).items():
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def sources(found: dict[str, Any]) -> list[str]:
    """How the cells of a run were dealt with."""
    return [cell["source"] for cell in found["cells"]]


def test_its_life(gateway: httpx.Client, gateway_cli: CommandLine) -> None:
    """None, running, stopped, running again with its states, reset."""
    assert gateway.get("/environments").json() == {"environments": []}
    run(gateway, CELLS)
    found = only(gateway)
    assert (found["status"], found["runs"]) == ("running", 0)
    assert found["memory_bytes"] > 1 << 20
    assert 800 < found["left_seconds"] <= 900 - found["idle_seconds"] + 1
    assert found["since"][:2] == "20"
    base = min(gateway.get("/states").json()["states"], key=lambda state: state["created"])
    assert found["base"] == base["state"]
    wait_for(gateway, runs=0)
    time.sleep(1)

    name = found["id"]
    stopped = gateway.post(f"/environments/{name}/stop").json()
    assert (stopped["id"], stopped["status"], stopped["memory_bytes"]) == (name, "stopped", None)
    assert only(gateway)["status"] == "stopped", "looking at it does not start it"
    assert gateway.post(f"/environments/{name}/stop").json() == stopped
    assert sources(run(gateway, CELLS)) == ["hit", "head"]
    assert only(gateway)["id"] == name

    (again,) = gateway.post(f"/environments/{name}/restart").json()["environments"]
    assert (again["id"], again["status"]) == (name, "running")
    assert sources(run(gateway, CELLS)) == ["hit", "head"]

    gateway.put(f"/states/{found['base']}/tags/start")
    for sent in ({}, {"confirm": True}, {"confirm": "yes"}, {"confirm": "0" * 8}):
        answer = gateway.post(f"/environments/{name}/reset", json=sent)
        assert (answer.status_code, name in answer.json()["hint"]) == (400, True)
    assert only(gateway)["status"] == "running"
    assert gateway.post(f"/environments/{name}/reset", json={"confirm": name}).status_code == 204
    assert gateway.get("/environments").json() == {"environments": []}
    assert gateway.get(f"/environments/{name}").status_code == 404
    assert sources(run(gateway, CELLS)) == ["replayed", "head"]
    assert only(gateway)["id"] != name
    assert not any(state["tags"] for state in gateway.get("/states").json()["states"])
    done = [record["action"] for record in gateway_cli.json("audit", "show")["records"]]
    for action in ("start", "stop", "restart", "reset"):
        assert f"environment.{action}" in done


@pytest.mark.parametrize("act", ["stop", "restart", "reset"])
def test_what_runs_in_it_is_cancelled(gateway: httpx.Client, act: str) -> None:
    """At once; it does not come back by itself, and whoever comes next is served."""
    run(gateway, CELLS)
    name = only(gateway)["id"]
    runs = [begin(gateway, ["create table t ()", f"select pg_sleep(60), {i}"]) for i in range(2)]
    wait_for(gateway, runs=2)
    begun = time.monotonic()
    confirm = {"confirm": name}
    assert gateway.post(f"/environments/{name}/{act}", json=confirm).status_code in (200, 204)
    assert time.monotonic() - begun < 20
    for ident in runs:
        gateway.get(f"/runs/{ident}/events")
        assert gateway.get(f"/runs/{ident}").json()["status"] == "cancelled"
        assert "owner" in gateway.get(f"/runs/{ident}/result").json()["error"]["message"]
    assert run(gateway, CELLS)["cells"][-1]["results"][0]["rows"] == [["15"]]


def test_with_python(gateway: httpx.Client) -> None:
    """Typed; and what is not there is said not to be."""
    url = str(gateway.base_url).split("/pgcellar")[0]
    token = gateway.headers["Authorization"].removeprefix("token ")
    run(gateway, CELLS)

    async def work() -> None:
        client = remote.Remote(url, token)
        try:
            (found,) = await client.environments()
            await client.stop_environment(found.id)
            assert [each.status for each in await client.environments()] == ["stopped"]
            await client.restart_environment(found.id)
            assert [each.status for each in await client.environments()] == ["running"]
            await client.reset_environment(found.id)
            assert await client.environments() == []
            with pytest.raises(errors.NotFound):
                await client.stop_environment(found.id)
        finally:
            client.close()

    asyncio.run(work())
