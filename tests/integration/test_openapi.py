"""The OpenAPI document is true: generated requests get no 5xx, and answers are as it says."""

from __future__ import annotations

import json

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis import checks

from pgcellar_server import openapi, routes

EXAMPLES = 30
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
#: That a head is one of the cells, a digest its chunk's, is beyond a schema; and what a schema does
#: not allow may be allowed by the service all the same.
UNDESCRIBED = [checks.positive_data_acceptance, checks.negative_data_rejection]


@pytest.fixture(scope="module")
def described(gateway: httpx.Client) -> schemathesis.BaseSchema:
    """The running gateway's own document."""
    return schemathesis.openapi.from_dict(gateway.get("/openapi.json").json())


@pytest.mark.parametrize("route", routes.ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_answers_are_as_described(
    route: routes.Route, described: schemathesis.BaseSchema, gateway: httpx.Client
) -> None:
    """Whatever is asked, in the form that is described or in another."""
    operation = described[route.path][route.method]
    host = str(gateway.base_url).split("/pgcellar")[0]
    headers = {"Authorization": gateway.headers["Authorization"]}
    cases = operation.as_strategy(generation_mode=POSITIVE)
    if operation.body or operation.query or operation.headers:
        cases |= operation.as_strategy(generation_mode=NEGATIVE)

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=cases)
    def check(case: schemathesis.Case) -> None:
        answer = case.call(base_url=f"{host}/pgcellar/api/v1", headers=headers)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        case.validate_response(answer, excluded_checks=UNDESCRIBED)

    check()


def test_the_document_is_openapi(gateway: httpx.Client) -> None:
    """By OpenAPI's own schema; and it is the one that the code gives."""
    from openapi_spec_validator import validate

    found = gateway.get("/openapi.json").json()
    validate(found)
    assert found == json.loads(json.dumps(openapi.document("/pgcellar/api/v1")))
