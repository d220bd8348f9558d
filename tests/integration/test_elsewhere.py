"""A Jupyter Server whose person teaches at a central gateway: real ones, both."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Iterator

import httpx
import pytest
from tests.fixtures_central import ADMINISTRATOR, Central
from tests.fixtures_gateway import jupyter_server
from tests.fixtures_service import command_line

from pgcellar.api import errors
from pgcellar_server import elsewhere, openapi, people_routes, people_schemas, routes


@pytest.fixture(scope="module")
def taught(central: Central) -> Iterator[tuple[httpx.Client, str, str]]:
    """A teacher at the central gateway, with a class and a student in it."""
    with (
        central.registered(ADMINISTRATOR) as boss,
        central.registered("ms-frizzle@example.org") as teacher,
        central.anonymous() as student,
    ):
        subject = teacher.get("/me").json()["subject"]
        asked = {"name": "databases", "teacher": subject}
        made = boss.post("/profiles/classes", json=asked).json()
        joined = student.post("/profiles/classes/join", json={"code": made["join_code"]})
        assert joined.status_code == 200
        yield teacher, made["id"], student.get("/me").json()["subject"]


def token_of(who: httpx.Client, *scopes: str) -> str:
    """A personal access token."""
    asked = {"name": "lab", "scopes": list(scopes), "days": 1}
    return str(who.post("/identity/tokens", json=asked).json()["secret"])


@contextlib.contextmanager
def server(home: pathlib.Path, url: str, **environment: str) -> Iterator[httpx.Client]:
    """A Jupyter Server on a home of its own, before a central gateway."""
    home.mkdir()
    with command_line(home) as cli:
        changed = dataclasses.replace(cli, environment={**cli.environment, **environment})
        with jupyter_server(changed, f"--Gateway.central_url={url}") as made:
            yield made


@pytest.fixture(scope="module")
def own(
    central: Central, taught: tuple[httpx.Client, str, str], cellar_home_module: pathlib.Path
) -> Iterator[httpx.Client]:
    """The teacher's own server."""
    token = token_of(taught[0], "profiles")
    with server(cellar_home_module / "own", central.url, PGCELLAR_TOKEN=token) as made:
        yield made


def test_a_class_is_seen_through_ones_own_server(
    own: httpx.Client, taught: tuple[httpx.Client, str, str]
) -> None:
    teacher, which, subject = taught
    (found,) = own.get("/profiles/classes").json()["classes"]
    assert found == {"id": which, "name": "databases", "role": "teacher"}
    members = own.get(f"/profiles/classes/{which}/activity").json()["members"]
    assert {each["role"] for each in members} == {"teacher", "student"}
    member = f"/profiles/classes/{which}/members/{subject}"
    given = {"minutes": 5, "quotas": {"statement_seconds": 120}}
    assert own.post(f"{member}/sandbox/extend", json=given).status_code == 200
    quotas = own.get(f"{member}/quotas").json()["quotas"]
    assert quotas["statement_seconds"] == {"limit": 120, "used": 0}
    assert quotas["runs_per_minute"]["left"] <= quotas["runs_per_minute"]["limit"]
    assert own.post(f"{member}/sandbox/reset", json={}).status_code == 400
    assert own.post(f"{member}/sandbox/reset", json={"confirm": True}).status_code == 204
    assert own.get("/profiles/me/quotas").json() == teacher.get("/profiles/me/quotas").json()


def test_nothing_else_is_passed_on(
    own: httpx.Client, taught: tuple[httpx.Client, str, str]
) -> None:
    _, which, subject = taught
    # Nor what the token would allow.
    for method, path in (
        ("POST", "/profiles/classes"),
        ("GET", f"/profiles/classes/{which}"),
        ("DELETE", f"/profiles/classes/{which}/members/{subject}"),
        ("GET", "/profiles/me"),
        ("GET", "/identity/me"),
        ("GET", "/identity/tokens"),
        ("GET", "/audit"),
        ("POST", "/identity/anonymous"),
    ):
        assert own.request(method, path, json={}).status_code in (404, 405), path
    # What is one's own is one's own server's still.
    assert own.get("/me").json()["kind"] == "os"


def test_it_is_jupyters_to_say_who_asks(own: httpx.Client) -> None:
    assert httpx.get(f"{own.base_url}profiles/classes").status_code == 401
    wrong = {"Authorization": "token nonsense"}
    answer = httpx.get(f"{own.base_url}profiles/classes", headers=wrong)
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_document_has_the_routes(own: httpx.Client) -> None:
    served = (*routes.ROUTES, *people_routes.CLASSES)
    expected = openapi.document("/pgcellar/api/v1", served, people_schemas.ALL)
    assert own.get("/openapi.json").json() == json.loads(json.dumps(expected))
    assert "/profiles/classes/{class_}/activity" in expected["paths"]


def test_others_quotas_are_the_teachers_to_see(
    central: Central, taught: tuple[httpx.Client, str, str]
) -> None:
    teacher, which, subject = taught
    path = f"/profiles/classes/{which}/members/{subject}/quotas"
    assert teacher.get(path).status_code == 200
    with central.registered("nobody@example.org") as nobody, central.client() as stranger:
        assert nobody.get(path).status_code == 404
        assert stranger.get(path).status_code == 401
        missing = f"/profiles/classes/{which}/members/{nobody.get('/me').json()['subject']}/quotas"
        assert teacher.get(missing).status_code == 404


def test_what_is_wrong_with_the_central_gateway_is_said(
    central: Central, cellar_home_module: pathlib.Path
) -> None:
    for name, url, environment, status, said in (
        ("none", central.url, {}, 403, "has no token"),
        ("bad", central.url, {"PGCELLAR_TOKEN": "pgc_p_x"}, 403, "does not take the token"),
        ("hub", central.url, {"JUPYTERHUB_API_TOKEN": "x"}, 404, "jupyterhub"),
        ("gone", "http://127.0.0.1:1", {"PGCELLAR_TOKEN": "x"}, 503, "does not answer"),
    ):
        with server(cellar_home_module / name, url, **environment) as made:
            answer = made.get("/profiles/classes")
        assert answer.status_code == status, answer.text
        assert said in answer.json()["detail"]
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_url_is_one() -> None:
    for wrong in ("", "sql.example.org", "ftp://sql.example.org", "https://"):
        with pytest.raises(errors.BadRequest):
            elsewhere.Elsewhere(wrong)
