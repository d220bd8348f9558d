"""The central gateway's OpenAPI document is true of what it says of people.

Every route is asked by an administrator, about nobody and about a student of a class, as generated
from the document: there is no 5xx, and answers are as described.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import secrets
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from openapi_spec_validator import validate
from schemathesis import checks
from tests import cellar
from tests.fixtures_central import ADMINISTRATOR, PASSWORD, Central, central_gateway
from tests.fixtures_service import command_line

from pgcellar_server import openapi, people_routes, people_schemas, routes

EXAMPLES = 25
OURS = tuple(route for route in people_routes.ALL if route not in routes.ROUTES)
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
#: That a provider is there, a code right, a quota one that there is, is beyond a schema; what a
#: schema forbids may be taken all the same; and public routes need no token.
UNDESCRIBED = [
    checks.positive_data_acceptance,
    checks.negative_data_rejection,
    checks.ignored_auth,
]
RUN = {"notebook": "n", "cells": [{"id": "a", "source": "select 1"}], "head": 0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class School:
    """A gateway with an administrator, and the document it gives."""

    central: Central
    boss: httpx.Client
    described: schemathesis.BaseSchema

    @contextlib.contextmanager
    def student(self) -> Iterator[tuple[httpx.Client, dict[str, str]]]:
        """Somebody new in a new class, who has a token and has run something; what they have."""
        made = self.boss.post("/profiles/classes", json={"name": "databases"}).json()
        with self.central.registered(f"{secrets.token_hex(6)}@example.org") as somebody:
            joined = somebody.post("/profiles/classes/join", json={"code": made["join_code"]})
            assert joined.status_code == 200, joined.text
            asked = {"name": "t", "scopes": ["runs"], "days": 1}
            token = somebody.post("/identity/tokens", json=asked).json()["id"]
            subject = somebody.get("/me").json()["subject"]
            somebody.post("/runs", json=RUN)
            known = {"class_": made["id"], "subject": subject, "token": token}
            yield somebody, {**known, "provider": "password"}


@pytest.fixture(scope="module")
def school(cellar_home_module: pathlib.Path, issuer: str) -> Iterator[School]:
    options = ("--Gateway.requests_per_minute=0", "--Gateway.strangers_per_minute=0")
    back = "https://sql.example.org/pgcellar/api/v1/identity/oidc/school/callback"
    given = {"issuer": issuer, "client": "pgcellar", "secret": "s", "redirect": back}
    config = f"c.Identity.oidc = {{'school': {given!r}}}\n"
    config += "c.Identity.requests_per_minute = 0\nc.Identity.strangers_per_minute = 0\n"
    with (
        command_line(cellar_home_module) as cli,
        central_gateway(cli, *options, config=config) as central,
        central.registered(ADMINISTRATOR) as boss,
    ):
        document = boss.get("/openapi.json").json()
        validate(document)
        expected = openapi.document("/pgcellar/api/v1", people_routes.ALL, people_schemas.ALL)
        assert document == json.loads(json.dumps(expected))
        yield School(central=central, boss=boss, described=schemathesis.openapi.from_dict(document))


@pytest.mark.parametrize("route", OURS, ids=lambda route: f"{route.method} {route.path}")
def test_answers_are_as_described(route: routes.Route, school: School) -> None:
    operation = school.described[route.path][route.method]
    cases = operation.as_strategy(generation_mode=POSITIVE)
    if operation.body or operation.query:
        cases |= operation.as_strategy(generation_mode=NEGATIVE)
    name = f"{route.method} {route.path}"
    assert name in UNLIKELY or (route.body is None) == (name not in RIGHT)

    def answered(case: schemathesis.Case) -> int:
        answer = case.call(base_url=str(school.boss.base_url).rstrip("/"), headers=headers)
        assert answer.status_code < 500, answer.text
        case.validate_response(answer, excluded_checks=UNDESCRIBED)
        return answer.status_code

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=cases, about_somebody=st.booleans())
    def check(case: schemathesis.Case, about_somebody: bool) -> None:
        if about_somebody:
            case.path_parameters = there
        answered(case)

    with school.student() as (somebody, known):
        # Who revokes all tokens is not to be the administrator.
        own = route.path.startswith(("/identity/tokens", "/identity/sessions"))
        caller = somebody if own else school.boss
        headers = {"Authorization": caller.headers["Authorization"]}
        there = {name: known[name] for name, _ in route.parameters}
        if name not in UNLIKELY:
            sent = {"body": RIGHT[name]} if name in RIGHT else {}
            assert answered(operation.Case(path_parameters=there, **sent)) == route.status
        check()


#: Of each route that takes a body, one that is right.
RIGHT: Mapping[str, Mapping[str, Any]] = {
    "POST /identity/tokens": {"name": "t", "scopes": ["runs"]},
    "PATCH /profiles/me/preferences": {"theme": "dark", "font": None},
    "PATCH /profiles/subjects/{subject}/quotas": {"cpu": 1, "runs_per_minute": None},
    "POST /profiles/classes": {"name": "Databases"},
    "PATCH /profiles/classes/{class_}": {"name": "Databases 2"},
    "PATCH /profiles/classes/{class_}/members/{subject}": {"role": "student"},
    "PATCH /profiles/classes/{class_}/quotas": {"runs_per_minute": 60},
    "POST /profiles/classes/{class_}/members/{subject}/sandbox/reset": {"confirm": True},
    "POST /profiles/classes/{class_}/members/{subject}/sandbox/extend": {"minutes": 5},
    "POST /identity/accounts": {"email": "made@example.org", "password": PASSWORD},
    "PATCH /identity/accounts/{subject}": {"disabled": False},
}
#: What has to come from elsewhere first: passwords, codes, a provider's word.
UNLIKELY = {
    "POST /identity/password",
    "POST /identity/register",
    "POST /identity/refresh",
    "POST /identity/exchange",
    "POST /identity/login/{provider}",
    "POST /identity/oidc/{provider}/start",
    "GET /identity/oidc/{provider}/callback",
    "POST /identity/upgrade",
    "POST /profiles/classes/join",
}


def test_the_answers_that_generated_requests_do_not_get(school: School) -> None:
    """Of logging in, joining, and a class with somebody at work."""
    answers = logins(school)
    with school.student() as (_, known), school.central.anonymous() as somebody:
        code = school.boss.post(f"/profiles/classes/{known['class_']}/code").json()["join_code"]
        class_ = f"/profiles/classes/{known['class_']}"
        limits = school.boss.patch(f"{class_}/quotas", json={"runs_per_minute": 60})
        assert limits.status_code == 204, limits.text
        answers |= {
            "POST /profiles/classes/join": somebody.post(
                "/profiles/classes/join", json={"code": code}
            ),
            "GET /profiles/classes/{class_}": school.boss.get(class_),
            "GET /profiles/classes/{class_}/quotas": school.boss.get(f"{class_}/quotas"),
            "GET /profiles/classes/{class_}/activity": active(school.boss, class_),
        }
    assert answers.keys() >= UNLIKELY
    named = {f"{route.method} {route.path}": route for route in OURS}
    for name, answer in answers.items():
        route = named[name]
        assert answer.status_code == route.status, (name, answer.text)
        school.described[route.path][route.method].validate_response(answer)


def logins(school: School) -> dict[str, httpx.Response]:
    """The answers to all ways to come in, each of which is let in."""
    central, name = school.central, f"{secrets.token_hex(4)}@example.org"
    shown = {"email": name, "password": PASSWORD}
    with central.client() as browser, central.anonymous() as guest:
        found = {"POST /identity/register": browser.post("/identity/register", json=shown)}
        for way in ("password", "login/{provider}"):
            path = f"/identity/{way.format(provider='password')}"
            found[f"POST /identity/{way}"] = browser.post(path, json=shown)
        tokens = found["POST /identity/password"].json()
        again = {"refresh_token": tokens["refresh_token"]}
        found["POST /identity/refresh"] = browser.post("/identity/refresh", json=again)
        with central.client(tokens["access_token"]) as somebody:
            asked = {"name": "t", "scopes": ["runs"]}
            token = {"token": somebody.post("/identity/tokens", json=asked).json()["secret"]}
        found["POST /identity/exchange"] = browser.post("/identity/exchange", json=token)
        signed = {"email": f"{secrets.token_hex(4)}@example.org", "password": PASSWORD}
        found["POST /identity/upgrade"] = guest.post("/identity/upgrade", json=signed)
        oidc = "/identity/oidc/school"
        begun = found["POST /identity/oidc/{provider}/start"] = browser.post(f"{oidc}/start")
        sent = httpx.post(begun.json()["url"], data={"sub": "ann"})
        query = urllib.parse.urlsplit(sent.headers["Location"]).query
        back = browser.get(f"{oidc}/callback?{query}")
        return {**found, "GET /identity/oidc/{provider}/callback": back}


def active(boss: httpx.Client, class_: str) -> httpx.Response:
    """What the class does, once its student's run has left a trace."""
    deadline = time.monotonic() + cellar.TIMEOUT
    while True:
        answer = boss.get(f"{class_}/activity")
        if any(member["notebooks"] for member in answer.json()["members"]):
            return answer
        assert time.monotonic() < deadline
        time.sleep(0.1)
