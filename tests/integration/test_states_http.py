"""States over REST: looked at, compared, pinned and named through the gateway."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import jsonschema
import pytest
from tests.fixtures_service import CommandLine

from pgcellar.api import errors, remote

MADE = ["create table t (id int primary key, v text)", "insert into t values (1, 'a'), (2, 'b')"]
CHANGED = [*MADE, "update t set v = 'c' where id = 2"]


def kept(gateway: httpx.Client, cells: list[str], notebook: str = "n") -> str:
    """The state after some cells, once it is kept."""
    listed = [{"id": f"c{i}", "source": source} for i, source in enumerate(cells)]
    body: dict[str, Any] = {"notebook": notebook, "cells": listed, "head": len(cells) - 1}
    run = gateway.post("/runs", json=body).json()["id"]
    gateway.get(f"/runs/{run}/events")
    state = str(gateway.get(f"/runs/{run}").json()["state"])
    deadline = time.monotonic() + 20
    while state not in {each["state"] for each in gateway.get("/states").json()["states"]}:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return state


@pytest.fixture(scope="module")
def states(gateway: httpx.Client) -> tuple[str, str]:
    """Two states that are kept."""
    return kept(gateway, MADE), kept(gateway, CHANGED)


def described(gateway: httpx.Client, answer: httpx.Response, name: str) -> None:
    """An answer is as the OpenAPI document says."""
    document = gateway.get("/openapi.json").json()
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json())


def test_a_state(gateway: httpx.Client, states: tuple[str, str]) -> None:
    """Its schema, which is not asked for twice."""
    answer = gateway.get(f"/states/{states[0]}")
    (table,) = answer.json()["relations"]
    assert ([c["name"] for c in table["columns"]], table["key"]) == (["id", "v"], ["id"])
    described(gateway, answer, "StateDetail")
    assert "immutable" in answer.headers["Cache-Control"]
    again = {"If-None-Match": answer.headers["ETag"]}
    assert gateway.get(f"/states/{states[0]}", headers=again).status_code == 304
    assert gateway.get(f"/states/{states[1]}", headers=again).status_code == 200


def test_a_difference(gateway: httpx.Client, states: tuple[str, str]) -> None:
    """With a sample of the rows."""
    before, after = states
    answer = gateway.get(f"/states/{before}/diff/{after}")
    described(gateway, answer, "StateDiff")
    (table,) = answer.json()["tables"]
    assert (table["added"], table["removed"], table["changed"]) == (0, 0, 1)
    assert table["sample"] == [{"change": "changed", "before": ["2", "b"], "after": ["2", "c"]}]
    again = {"If-None-Match": answer.headers["ETag"]}
    assert gateway.get(f"/states/{before}/diff/{after}", headers=again).status_code == 304
    assert gateway.get(f"/states/{after}/diff/{before}", headers=again).status_code == 200


def test_what_is_not_kept(gateway: httpx.Client, states: tuple[str, str]) -> None:
    """Is said, with what to do."""
    missing = "0" * 64
    for method, path, status in (
        ("GET", f"/states/{missing}", 404),
        ("GET", f"/states/{missing}/diff/{states[0]}", 409),
        ("GET", f"/states/{states[0]}/diff/{missing}", 409),
        ("PUT", f"/states/{missing}/pin", 404),
        ("PUT", f"/states/{missing}/tags/a", 404),
        ("DELETE", f"/states/{states[0]}/tags/none", 404),
        ("PUT", f"/states/{states[0]}/tags/-not..a..name!", 404),
    ):
        answer = gateway.request(method, path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (
            status, "application/problem+json",
        ), (method, path, answer.text)  # fmt: skip
        if method != "DELETE" and "!" not in path:
            assert "rerun" in answer.json()["hint"]


def test_pins_and_tags(
    gateway: httpx.Client, gateway_cli: CommandLine, states: tuple[str, str]
) -> None:
    """Over REST and on the command line."""
    before, after = states
    assert gateway.put(f"/states/{before}/pin").json()["pinned"] is True
    assert gateway.put(f"/states/{before}/tags/exam-1").json()["tags"] == ["exam-1"]
    assert gateway.put(f"/states/{after}/tags/exam-1").json()["tags"] == ["exam-1"]
    listed = {each["state"]: each for each in gateway.get("/states").json()["states"]}
    assert [(listed[s]["pinned"], listed[s]["tags"]) for s in states] == [
        (True, []), (False, ["exam-1"]),
    ]  # fmt: skip
    shown = gateway_cli("states").stdout
    assert "[pinned] insert into t" in shown
    assert "[exam-1] update t" in shown
    assert gateway.delete(f"/states/{before}/pin").status_code == 204
    assert gateway.delete(f"/states/{before}/pin").status_code == 204
    assert gateway.delete(f"/states/{after}/tags/exam-1").status_code == 204
    assert gateway_cli("gc").returncode == 0
    written = gateway_cli.json("audit", "show", "--action", "state.*")["records"]
    assert {(r["action"], r["target"]) for r in written} >= {
        ("state.pin", before),
        ("state.unpin", before),
        ("state.tag", after),
        ("state.untag", after),
        ("state.collect", "all"),
    }


def test_with_python(gateway: httpx.Client, states: tuple[str, str]) -> None:
    """What a program would ask for, typed."""
    url = str(gateway.base_url).split("/pgcellar")[0]
    token = gateway.headers["Authorization"].removeprefix("token ")

    async def work() -> None:
        client = remote.Remote(url, token)
        try:
            assert (await client.state(states[0])).relations[0].key == ("id",)
            found = await client.diff(*states)
            assert found.tables[0].sample[0].after == ("2", "c")
            await client.pin(states[0])
            await client.tag(states[0], "mine")
            (mine,) = [each for each in await client.states() if each.tags]
            assert (mine.state, mine.pinned, mine.tags) == (states[0], True, ("mine",))
            await client.tag(states[0], "mine", tagged=False)
            await client.pin(states[0], pinned=False)
            with pytest.raises(errors.NotFound):
                await client.state("0" * 64)
        finally:
            client.close()

    asyncio.run(work())


def test_who_leaves_ends_a_comparison(gateway: httpx.Client, gateway_cli: CommandLine) -> None:
    """Nothing goes on for nobody."""
    made = [
        "create type slow as (a int); create table s (o slow); insert into s values (row(1)::slow)",
        "create function wait(slow) returns text language sql as 'select pg_sleep(30)::text'",
        "create cast (slow as text) with function wait(slow)",
    ]
    one = kept(gateway, made, "slow")
    other = kept(gateway, [*made, "insert into s values (row(2)::slow)"], "slow")
    with pytest.raises(httpx.ReadTimeout):
        gateway.get(f"/states/{one}/diff/{other}", timeout=3)
    begun = time.monotonic()
    # The next look waits for the one before, which has ended.
    assert gateway.get(f"/states/{one}").status_code == 200
    assert time.monotonic() - begun < 10
