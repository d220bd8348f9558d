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
from collections.abc import Iterator

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
def school(cellar_home_module: pathlib.Path) -> Iterator[School]:
    options = ("--Gateway.requests_per_minute=0", "--Gateway.strangers_per_minute=0")
    config = "c.Identity.requests_per_minute = 0\nc.Identity.strangers_per_minute = 0\n"
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
    seen = set()

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
            case.path_parameters = {name: known[name] for name, _ in route.parameters}
        answer = case.call(base_url=str(school.boss.base_url).rstrip("/"), headers=headers)
        seen.add(answer.status_code)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        case.validate_response(answer, excluded_checks=UNDESCRIBED)

    with school.student() as (somebody, known):
        # Who revokes all tokens is not to be the administrator.
        caller = somebody if route.path.startswith("/identity/tokens") else school.boss
        headers = {"Authorization": caller.headers["Authorization"]}
        check()
    assert seen & {200, 201, 204} or route.path in UNLIKELY, seen


#: Nothing that is generated is a password, a code or what a provider says.
UNLIKELY = {
    *(route.path for route in people_routes.IDENTITY if route.public),
    *("/identity/upgrade", "/profiles/classes/join"),
    "/profiles/classes/{class_}/members/{subject}",
}


def test_the_answers_that_generated_requests_do_not_get(school: School) -> None:
    """Of logging in, joining, and a class with somebody at work."""
    named = f"{secrets.token_hex(4)}@example.org"
    document = school.boss.get("/openapi.json").json()
    with school.student() as (_, known), school.central.anonymous() as somebody:
        code = school.boss.post(f"/profiles/classes/{known['class_']}/code").json()["join_code"]
        class_ = f"/profiles/classes/{known['class_']}"
        limits = school.boss.patch(f"{class_}/quotas", json={"runs_per_minute": 60})
        assert limits.status_code == 204, limits.text
        answers = {
            "Class": somebody.post("/profiles/classes/join", json={"code": code}),
            "ClassDetail": school.boss.get(class_),
            "QuotaSettings": school.boss.get(f"{class_}/quotas"),
            "Tokens": somebody.post(
                "/identity/upgrade", json={"email": named, "password": PASSWORD}
            ),
            "ClassActivity": active(school.boss, class_),
            "AuditPage": school.boss.get("/audit"),
            "KeySet": school.boss.get("/identity/jwks"),
        }
    for name, answer in answers.items():
        assert answer.status_code == 200, (name, answer.text)
        valid(document, name, answer.json())


def active(boss: httpx.Client, class_: str) -> httpx.Response:
    """What the class does, once its student's run has left a trace."""
    deadline = time.monotonic() + cellar.TIMEOUT
    while True:
        answer = boss.get(f"{class_}/activity")
        if any(member["notebooks"] for member in answer.json()["members"]):
            return answer
        assert time.monotonic() < deadline
        time.sleep(0.1)


def valid(document: object, name: str, value: object) -> None:
    """Check a value against a schema of the document's."""
    import jsonschema
    import referencing
    import referencing.jsonschema

    resource = referencing.Resource.from_contents(
        document, default_specification=referencing.jsonschema.DRAFT202012
    )
    registry = referencing.Registry().with_resource("urn:document", resource)
    jsonschema.Draft202012Validator(
        {"$ref": f"urn:document#/components/schemas/{name}"}, registry=registry
    ).validate(value)
