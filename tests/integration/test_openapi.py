"""The OpenAPI document is true: generated requests get no 5xx, and answers are as it says."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import checks
from tests import cellar
from tests.fixtures_gateway import jupyter_server
from tests.fixtures_service import CommandLine

from pgcellar_server import openapi, routes

EXAMPLES = 30
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
#: That a head is one of the cells, a digest its chunk's, is beyond a schema; and what a schema does
#: not allow may be allowed by the service all the same.
UNDESCRIBED = [checks.positive_data_acceptance, checks.negative_data_rejection]
CHUNK = b"1,a\n2,b\n"


@pytest.fixture(scope="module")
def gateway(gateway_cli: CommandLine) -> Iterator[httpx.Client]:
    """One that answers however often it is asked."""
    with jupyter_server(gateway_cli, "--Gateway.requests_per_minute=0") as made:
        yield made


@pytest.fixture(scope="module")
def described(gateway: httpx.Client) -> schemathesis.BaseSchema:
    """The running gateway's own document."""
    return schemathesis.openapi.from_dict(gateway.get("/openapi.json").json())


def ran(gateway: httpx.Client, cells: list[str]) -> dict[str, Any]:
    """A run of the last of some cells that is over, its state kept where it made one."""
    listed = [{"id": f"c{i}", "source": source} for i, source in enumerate(cells)]
    body = {"notebook": "n", "cells": listed, "head": len(cells) - 1}
    run = gateway.post("/runs", json=body).json()["id"]
    gateway.get(f"/runs/{run}/events")
    found: dict[str, Any] = gateway.get(f"/runs/{run}").json()
    deadline = time.monotonic() + cellar.TIMEOUT
    while found["state"] not in {s["state"] for s in gateway.get("/states").json()["states"]}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def real(gateway: httpx.Client) -> dict[str, str]:
    """What there is, by the parameters of paths that name it."""
    table = "create table t (id int primary key, v text)"
    before = ran(gateway, [table])
    run = ran(gateway, [table, "insert into t values (1, 'a') returning id, v, 1.5 as n"])
    digest = hashlib.sha256(CHUNK).hexdigest()
    known = {
        "run": run["id"],
        "statement": "0",
        "state": before["state"],
        "other": run["state"],
        "tag": "exam",
        "environment": gateway.get("/environments").json()["environments"][0]["id"],
        "digest": digest,
        "name": "a b/ü.csv",
    }
    assert gateway.put(f"/states/{known['state']}/tags/exam").status_code == 200
    assert gateway.put(f"/files/chunks/{digest}", content=CHUNK).status_code == 200
    named = gateway.put(f"/files/names/{known['name']}", json={"chunks": [digest]})
    assert named.status_code == 200
    return known


def bodies(known: dict[str, str]) -> dict[str, Any]:
    """Of each route that takes a body, one that is right."""
    cells = [{"id": "a", "source": "select generate_series(1, 3) as i"}]
    asked = {"notebook": "m", "cells": cells, "head": 0}
    return {
        "POST /runs": asked,
        "POST /plans": asked,
        "POST /pages": {**asked, "limit": 2},
        "POST /environments/{environment}/reset": {"confirm": known["environment"]},
        "POST /files/missing": {"chunks": [known["digest"], "0" * 64]},
        "PUT /files/chunks/{digest}": CHUNK,
        "PUT /files/names/{name}": {"chunks": [known["digest"]]},
    }


@pytest.mark.parametrize("route", routes.ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_answers_are_as_described(
    route: routes.Route, described: schemathesis.BaseSchema, gateway: httpx.Client
) -> None:
    """Whatever is asked, in the form that is described or in another; and what is right is done."""
    operation = described[route.path][route.method]
    host = str(gateway.base_url).split("/pgcellar")[0]
    headers = {"Authorization": gateway.headers["Authorization"]}
    known = real(gateway)
    there = {name: known[name] for name, _ in route.parameters}
    right = bodies(known).get(f"{route.method} {route.path}")
    assert (right is None) == (route.body is None and not route.binary)
    cases, somewhere = operation.as_strategy(generation_mode=POSITIVE), st.just({})
    if operation.body or operation.query or operation.headers:
        cases |= operation.as_strategy(generation_mode=NEGATIVE)
        somewhere |= st.just(there)

    def answered(case: schemathesis.Case) -> int:
        answer = case.call(base_url=f"{host}/pgcellar/api/v1", headers=headers)
        assert answer.status_code < 500, answer.text
        case.validate_response(answer, excluded_checks=UNDESCRIBED)
        return answer.status_code

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=cases, named=somewhere)
    def check(case: schemathesis.Case, named: dict[str, str]) -> None:
        case.path_parameters = {**case.path_parameters, **named}
        answered(case)

    sent = {} if right is None else {"body": right}
    assert answered(operation.Case(path_parameters=there, **sent)) == route.status
    check()


def test_the_document_is_openapi(gateway: httpx.Client) -> None:
    """By OpenAPI's own schema; and it is the one that the code gives."""
    from openapi_spec_validator import validate

    found = gateway.get("/openapi.json").json()
    validate(found)
    assert found == json.loads(json.dumps(openapi.document("/pgcellar/api/v1")))
