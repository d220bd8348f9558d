"""Attacks on the central gateway: by people on one another, by strangers, by what is sent.

Each comes to nothing, and is answered by a problem document.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import pathlib
import re
import secrets
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import httpx
import pytest
from tests import cellar
from tests.fixtures_central import ADMINISTRATOR, PASSWORD, Central, central_gateway
from tests.fixtures_service import CommandLine

from pgcellar.postgres import processes

CELLS = [
    {"id": "a", "source": "create table t as select 'treasure' as x"},
    {"id": "b", "source": "select x from t"},
]
RUN = {"notebook": "n.ipynb", "cells": CELLS, "head": 1}
NOBODYS = {"run": "0" * 32, "state": "0" * 64, "sandbox": "0" * 8}


@pytest.fixture(scope="module")
def boss(central: Central) -> Iterator[httpx.Client]:
    """Who administers."""
    with central.registered(ADMINISTRATOR) as made:
        yield made


@pytest.fixture(scope="module")
def ann(central: Central) -> Iterator[httpx.Client]:
    """Who has something."""
    with central.registered("ann@example.org") as made:
        yield made


@pytest.fixture(params=["registered", "anonymous"])
def eve(central: Central, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """Who wants it."""
    made = central.registered if request.param == "registered" else None
    address = f"eve{secrets.token_hex(4)}@example.org"
    with made(address) if made is not None else central.anonymous() as client:
        yield client


@pytest.fixture(scope="module")
def hers(ann: httpx.Client) -> dict[str, str]:
    """What Ann has, by kind."""
    run = ann.post("/runs", json=RUN).json()["id"]
    found = ended(ann, run)
    assert found["error"] is None
    state = found["cells"][0]["state"]
    deadline = time.monotonic() + cellar.TIMEOUT
    while state not in {each["state"] for each in ann.get("/states").json()["states"]}:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (sandbox,) = ann.get("/environments").json()["environments"]
    data = b"treasure"
    digest = hashlib.sha256(data).hexdigest()
    assert ann.put(f"/files/chunks/{digest}", content=data).is_success
    assert ann.put("/files/names/box.txt", json={"chunks": [digest]}).is_success
    token = ann.post("/identity/tokens", json={"name": "t", "scopes": ["*"], "days": 1}).json()
    return {
        "run": run,
        "state": state,
        "sandbox": sandbox["id"],
        "digest": digest,
        "subject": ann.get("/me").json()["subject"],
        "token": token["id"],
        "session": ann.get("/identity/me").json()["token"],
    }


def ended(who: httpx.Client, run: str) -> dict[str, Any]:
    """What a run gave."""
    deadline = time.monotonic() + cellar.TIMEOUT
    while time.monotonic() < deadline:
        answer = who.get(f"/runs/{run}/result")
        if answer.status_code != 409:
            found: dict[str, Any] = answer.json()
            return found
        time.sleep(0.05)
    raise AssertionError("the run does not end")


def refused(answer: httpx.Response, *statuses: int) -> httpx.Response:
    """An answer that is a problem document with one of these statuses."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    said = answer.json()
    assert said["status"] == answer.status_code
    assert said["title"]
    assert "Traceback" not in answer.text
    assert "treasure" not in answer.text
    return answer


# --- one person and another ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/runs/{run}", None),
        ("GET", "/runs/{run}/events", None),
        ("GET", "/runs/{run}/result", None),
        ("GET", "/runs/{run}/results/0.csv", None),
        ("POST", "/runs/{run}/cancel", {}),
        ("GET", "/states/{state}", None),
        ("GET", "/states/{state}/diff/{state}", None),
        ("PUT", "/states/{state}/pin", {}),
        ("PUT", "/states/{state}/tags/mine", {}),
        ("DELETE", "/states/{state}/tags/mine", None),
        ("GET", "/environments/{sandbox}", None),
        ("POST", "/environments/{sandbox}/stop", {}),
        ("POST", "/environments/{sandbox}/restart", {}),
        ("POST", "/environments/{sandbox}/reset", {"confirm": "{sandbox}"}),
    ],
)
def test_anothers_things_are_as_if_they_were_not(
    eve: httpx.Client,
    ann: httpx.Client,
    hers: dict[str, str],
    method: str,
    path: str,
    body: dict[str, str] | None,
) -> None:
    def ask(names: dict[str, str]) -> httpx.Response:
        sent = None if body is None else {k: v.format(**names) for k, v in body.items()}
        return eve.request(method, path.format(**names), json=sent)

    answer = refused(ask(hers), 404, 409)
    # Nor can it be told from what there is not.
    other = refused(ask({**hers, **NOBODYS}), 404, 409)
    assert other.status_code == answer.status_code
    name = next(hers[kind] for kind in NOBODYS if f"{{{kind}}}" in path)
    nobody = next(NOBODYS[kind] for kind in NOBODYS if f"{{{kind}}}" in path)
    plain = [
        each.json()["detail"].replace(whose, "ID").replace(whose[:12], "ID")
        for each, whose in ((answer, name), (other, nobody))
    ]
    assert plain[0] == plain[1]
    assert ann.get(f"/runs/{hers['run']}").json()["status"] == "done"
    assert ann.get(f"/environments/{hers['sandbox']}").json()["status"] == "running"


def test_lists_have_ones_own_things_alone(
    eve: httpx.Client, ann: httpx.Client, hers: dict[str, str]
) -> None:
    for path in (
        "/runs", "/states", "/environments", "/files", "/audit", "/identity/tokens",
        "/identity/sessions", f"/identity/sessions?after={hers['session']}",
    ):  # fmt: skip
        answer = eve.get(path)
        assert answer.status_code == 200
        for mine in hers.values():
            assert mine not in answer.text, path
    # A chunk that another sent is no file of one's own, and is not there to be asked for.
    missing = eve.post("/files/missing", json={"chunks": [hers["digest"]]})
    assert missing.json()["missing"] == [hers["digest"]]
    refused(eve.put("/files/names/box.txt", json={"chunks": [hers["digest"]]}), 409)
    refused(eve.delete("/files/names/box.txt"), 404)
    for kind in ("token", "session"):
        refused(eve.delete(f"/identity/tokens/{hers[kind]}"), 404)
    assert ann.get("/files").json()["files"][0]["name"] == "box.txt"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/audit?subject={subject}", None),
        ("GET", "/profiles/subjects/{subject}/quotas", None),
        ("PATCH", "/profiles/subjects/{subject}/quotas", {"runs_per_minute": 1}),
        ("GET", "/identity/accounts", None),
        ("GET", "/identity/accounts/{subject}", None),
        ("PATCH", "/identity/accounts/{subject}", {"disabled": True}),
        ("GET", "/identity/accounts/{subject}/tokens", None),
        ("DELETE", "/identity/accounts/{subject}/tokens", None),
        ("DELETE", "/identity/accounts/{subject}/tokens/{token}", None),
        ("DELETE", "/identity/accounts/{subject}/tokens/{session}", None),
        ("GET", "/identity/accounts/{subject}/sessions", None),
        ("POST", "/identity/keys/rotate", {}),
        ("POST", "/profiles/classes", {"name": "mine"}),
    ],
)
def test_what_administrators_do_nobody_else_does(
    eve: httpx.Client,
    ann: httpx.Client,
    hers: dict[str, str],
    method: str,
    path: str,
    body: Any,
) -> None:
    refused(eve.request(method, path.format(**hers), json=body), 403)
    assert ann.get("/me").status_code == 200


# --- tokens --------------------------------------------------------------------------------------


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token."""
    header, claims, _ = (base64.urlsafe_b64decode(each + "==") for each in token.split("."))
    return json.loads(header), json.loads(claims)


def token_of(who: httpx.Client) -> str:
    return who.headers["Authorization"].removeprefix("Bearer ")


def forged(central: Central, ann: httpx.Client) -> Iterator[str]:
    """Tokens that say they are Ann's."""
    token = token_of(ann)
    header, claims = parts(token)
    head, body, signature = token.split(".")
    with central.client() as stranger:
        key = stranger.get("/identity/jwks").json()["keys"][0]
    yield f"{encoded(json.dumps({**header, 'alg': 'none'}).encode())}.{body}."
    yield f"{encoded(json.dumps({**header, 'alg': 'nOnE'}).encode())}.{body}.{signature}"
    for secret in (json.dumps(key).encode(), key["x"].encode(), b""):
        named = encoded(json.dumps({**header, "alg": "HS256"}).encode())
        signed = hmac.digest(secret, f"{named}.{body}".encode(), "sha256")
        yield f"{named}.{body}.{encoded(signed)}"
    for change in (
        {"sub": "s_" + "0" * 32},
        {"roles": ["administrator"]},
        {"aud": "other"},
        {"exp": claims["exp"] + 10_000},
    ):
        yield f"{head}.{encoded(json.dumps({**claims, **change}).encode())}.{signature}"
    for kid in ("../../../etc/passwd", "' or 1=1 --", "x" * 4000, ["a"], None):
        yield f"{encoded(json.dumps({**header, 'kid': kid}).encode())}.{body}.{signature}"
    yield f"{head}.{body}.{signature[:-4]}AAAA"
    yield f"{head}.{body}"
    yield "pgc_" + secrets.token_urlsafe(32)
    yield "." * 100
    yield "x" * 9000


def test_forged_tokens_are_nobodys(central: Central, ann: httpx.Client) -> None:
    for token in forged(central, ann):
        with central.client(token) as eve:
            refused(eve.get("/me"), 401)
            refused(eve.post("/runs", json=RUN), 401)


def test_tokens_are_taken_where_they_belong_alone(central: Central, hers: dict[str, str]) -> None:
    with central.client() as stranger:
        session = stranger.post(
            "/identity/password", json={"email": "ann@example.org", "password": PASSWORD}
        ).json()
        access, renewing = session["access_token"], session["refresh_token"]
        refused(stranger.get("/me", params={"token": access, "access_token": access}), 401)
        refused(stranger.get("/me", headers={"Cookie": f"token={access}"}), 401)
        refused(stranger.get("/me", headers={"Authorization": f"Basic {access}"}), 401)
        refused(stranger.get("/me", headers={"Authorization": f"Bearer {renewing}"}), 401)
        two = [("Authorization", f"Bearer {access}"), ("Authorization", "Bearer x")]
        refused(stranger.get("/me", headers=two), 401, 400)
        refused(stranger.post("/identity/refresh", json={"refresh_token": access}), 401)
        # What the gateway says to the services, nobody else says to them through it.
        for name in ("Pgcellar-Stranger", "Pgcellar-Address", "X-Pgcellar-Subject"):
            refused(stranger.get("/me", headers={name: "0"}), 401)


def test_revoked_tokens_are_refused_at_once(central: Central) -> None:
    with central.registered(f"gone{secrets.token_hex(3)}@example.org") as who:
        made = who.post("/identity/tokens", json={"name": "t", "scopes": ["me"], "days": 1}).json()
        with central.client(made["secret"]) as program:
            assert program.get("/me").status_code == 200
            refused(program.get("/runs"), 403)
            assert who.delete("/identity/tokens").is_success
            refused(program.get("/me"), 401)
            refused(who.get("/me"), 401)


# --- what is sent --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "..%2Fx",
        "%2e%2e/x",
        "a/../../x",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "a//b",
        ".ssh/x",
        "a\\..\\x",
        "a%00b",
        "a%0d%0aX-Evil:%201",
        "a/" * 20 + "x",
        "x" * 300,
    ],
)
def test_names_of_files_stay_in_their_folder(
    ann: httpx.Client, hers: dict[str, str], name: str
) -> None:
    url = f"{str(ann.base_url).rstrip('/')}/files/names/{name}"
    # As it is: the client would tidy it.
    answer = raw(ann, f"PUT {urllib.parse.urlsplit(url).path} HTTP/1.1", hers["digest"])
    assert re.match(rb"HTTP/1.1 40[04] ", answer), answer[:200]
    assert b"X-Evil" not in answer.split(b"\r\n\r\n")[0]
    assert [each["name"] for each in ann.get("/files").json()["files"]] == ["box.txt"]


def test_a_file_is_no_folder(ann: httpx.Client, hers: dict[str, str]) -> None:
    chunks = {"chunks": [hers["digest"]]}
    assert ann.put("/files/names/folder/file", json=chunks).is_success
    for method, name, status in (
        ("PUT", "box.txt/x", 400),
        ("PUT", "box.txt/x/y", 400),
        ("DELETE", "box.txt/x", 404),
        ("PUT", "folder", 400),
        ("DELETE", "folder", 404),
    ):
        refused(ann.request(method, f"/files/names/{name}", json=chunks), status)
    assert ann.delete("/files/names/folder/file").is_success


def raw(who: httpx.Client, line: str, digest: str = "", *headers: str) -> bytes:
    """What is answered to bytes as they are."""
    body = json.dumps({"chunks": [digest]}) if digest else ""
    sent = [
        line,
        f"Host: {who.base_url.host}",
        f"Authorization: {who.headers.get('Authorization', '')}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
        "",
        body,
    ]
    port = who.base_url.port
    assert port is not None
    with socket.create_connection((who.base_url.host, port), timeout=30) as connection:
        connection.sendall("\r\n".join(sent).encode())
        found = b""
        try:
            while data := connection.recv(65536):
                found += data
        except ConnectionResetError:
            # What is too much is not read to its end.
            pass
    return found


def test_what_is_absurd_is_refused(ann: httpx.Client, central: Central) -> None:
    at = f"{ann.base_url.path.rstrip('/')}/me"
    many = [f"X-{i}: {'y' * 1000}" for i in range(100)]
    answered = raw(ann, f"GET {at} HTTP/1.1", "", *many)
    assert answered == b"" or answered.startswith(b"HTTP/1.1 4")
    for text in ("{", "[]", "null", '"x"', "1e999", '{"a":' * 5000, "\x00"):
        answer = ann.post("/runs", content=text, headers={"Content-Type": "application/json"})
        refused(answer, 400)
    for changed in ({"cells": None}, {"head": 10**30}, {"notebook": "\x00"}, {"cells": [{}]}):
        answer = ann.post("/runs", json={**RUN, **changed})
        assert answer.status_code in (202, 400), answer.text
    assert ann.get("/me").status_code == 200
    assert central.log.read_text().count("Traceback") == 0


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/identity/register", r'{"email": "\ud800@example.org", "password": "0123456789"}'),
        ("/identity/password", r'{"email": "\ud800@example.org", "password": "0123456789"}'),
        ("/identity/password", r'{"email": "a@example.org", "password": "\ud800"}'),
        ("/identity/refresh", r'{"refresh_token": "\ud800"}'),
        ("/identity/exchange", r'{"token": "\ud800"}'),
        ("/identity/tokens", r'{"name": "\ud800\u0000", "scopes": ["\ud800"]}'),
        ("/profiles/classes/join", r'{"code": "\ud800\u0000"}'),
        ("/profiles/classes", r'{"name": "c", "teacher": "\u0000"}'),
        ("/profiles/classes", r'{"name": "c", "teacher": "\ud800"}'),
    ],
)
def test_texts_that_nobody_can_keep_are_refused(
    boss: httpx.Client, central: Central, path: str, text: str
) -> None:
    answer = boss.post(path, content=text, headers={"Content-Type": "application/json"})
    refused(answer, 400, 401, 404)
    assert central.log.read_text().count("Traceback") == 0


def test_preferences_that_nobody_can_keep_are_refused(ann: httpx.Client) -> None:
    for text in (r'{"\ud800": null}', r'{"a": "\u0000"}', r'{"a": "\ud800"}', '{"a": NaN}'):
        refused(ann.patch("/profiles/me/preferences", content=text), 400)


def test_cursors_are_ours_or_refused(ann: httpx.Client) -> None:
    def packed(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode()

    for text in (
        r'["2026-01-01", "\u0000"]',
        r'["2026-01-01", "\ud800"]',
        '["0001-01-01T00:00:00+23:59", "x"]',
        '["9999-12-31T23:59:59-23:59", "x"]',
        "[" * 15_000,
        "[1, 2]",
        "7",
    ):
        answer = ann.get("/runs", params={"after": packed(text)})
        assert answer.status_code in (200, 400), (text[:40], answer.text)
    refused(ann.get("/runs", params={"after": packed("[" * 15_000)}), 400)


def test_many_at_once_are_no_more_than_one_by_one(central: Central) -> None:
    """Of runs that wait, and of room for files."""
    with central.registered(f"many{secrets.token_hex(3)}@example.org") as mallory:
        slow = {**RUN, "cells": [{"id": "s", "source": "select pg_sleep(60)"}], "head": 0}
        with futures.ThreadPoolExecutor(40) as threads:
            answers = list(threads.map(lambda _: mallory.post("/runs", json=slow), range(80)))
        assert [answer.status_code for answer in answers].count(202) == 50
        for answer in answers:
            if answer.status_code == 202:
                mallory.post(f"/runs/{answer.json()['id']}/cancel")
            else:
                refused(answer, 429)
        data = b"x" * 1_000
        digest = hashlib.sha256(data).hexdigest()
        assert mallory.put(f"/files/chunks/{digest}", content=data).is_success

        def upload(number: int) -> int:
            if number % 2:
                mine = str(number).encode()
                at = f"/files/chunks/{hashlib.sha256(mine).hexdigest()}"
                return mallory.put(at, content=mine).status_code
            parts = {"chunks": [digest] * 1_000}
            return mallory.put(f"/files/names/f{number}", json=parts).status_code

        with futures.ThreadPoolExecutor(20) as threads:
            assert set(threads.map(upload, range(60))) == {200}


def test_nobody_has_others_wait_for_planning(ann: httpx.Client) -> None:
    commands = [{"id": f"c{i}", "source": f"\\set a{i} 1"} for i in range(1_001)]
    asked = {"notebook": "long", "cells": commands, "head": 1_000}
    assert refused(ann.post("/plans", json=asked), 400).json()["code"] == "PC009"
    found = ended(ann, ann.post("/runs", json=asked).json()["id"])
    assert found["error"]["sqlstate"] == "PC009"
    one = "\n".join(each["source"] for each in commands)
    run = {**asked, "cells": [{"id": "c", "source": one}], "head": 0}
    found = ended(ann, ann.post("/runs", json=run).json()["id"])
    assert "1,000 variables already" in found["error"]["message"]
    each = "\\echo a\n" * 2_501
    two = [{"id": "a", "source": each}, {"id": "b", "source": each}]
    found = refused(ann.post("/plans", json={**asked, "cells": two, "head": 1}), 400).json()
    assert "5,002 commands" in found["detail"]
    two = [{"id": "a", "source": "x"}, {"id": "b", "source": "=" * ((1 << 20) + 1)}]
    found = refused(ann.post("/plans", json={**asked, "cells": two, "head": 1}), 400).json()
    assert found["detail"].startswith("Cell 2 has 1,048,577 characters")
    # Data is none, whatever it has.
    data = "copy t from stdin;\n" + "\\N;\n" * 6_000 + "\\.\n"
    planned = ann.post("/plans", json={**run, "cells": [{"id": "c", "source": data}]})
    assert planned.status_code == 200, planned.text
    refused(ann.post("/plans", json={**RUN, "reroll": ["c"] * 10_001}), 400)
    many = {f"a{i}": "1" for i in range(1_001)}
    refused(ann.post("/runs", json={**RUN, "parameters": many}), 400)
    refused(ann.post("/runs", json={**RUN, "parameters": {"p": "x" * 1_100_000}}), 400)
    assert ended(ann, ann.post("/runs", json=RUN).json()["id"])["error"] is None


def test_bodies_have_so_many_values(ann: httpx.Client, central: Central) -> None:
    """Each takes much more memory than it is long."""
    kind = {"Content-Type": "application/json"}
    for many in ("{}," * 2_000_001, '"",' * 2_000_001, "1," * 2_000_001):
        body = f'{{"notebook": "n", "cells": [], "head": 0, "x": [{many}1]}}'
        told = refused(ann.post("/runs", content=body, headers=kind), 400).json()
        assert told["detail"].endswith("more than 2,000,000 values.")
    # One that does not end is looked through once, not from each of its quotes on.
    endless = '{"a": "' + '\\",' * 4_000_000
    told = refused(ann.post("/runs", content=endless, headers=kind), 400).json()
    assert "not JSON" in told["detail"]
    # Those in texts are none.
    text = "select '" + ',[{\\"' * 200_000 + "'"
    cells = [{"id": name, "source": text} for name in "abcd"]
    planned = ann.post("/plans", json={"notebook": "n", "cells": cells, "head": 0})
    assert planned.status_code == 200, planned.text
    for path, text in (
        ("/profiles/me/preferences", json.dumps({"a": "x" * (1 << 20)})),
        ("/identity/tokens", json.dumps({"name": "x" * (1 << 20), "scopes": ["*"]})),
    ):
        method = "PATCH" if "preferences" in path else "POST"
        told = refused(ann.request(method, path, content=text, headers=kind), 413).json()
        assert told["detail"].endswith("1048576 bytes.")
    assert central.log.read_text().count("Traceback") == 0


def test_bodies_have_an_end(ann: httpx.Client) -> None:
    at = f"{ann.base_url.path.rstrip('/')}/runs"
    answer = raw(ann, f"POST {at} HTTP/1.1", "", "Content-Length: 99999999999")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert ann.get("/me").status_code == 200


@pytest.mark.parametrize("length", ["33554433", "99999999999", "9" * 400])
def test_a_body_that_is_too_long_is_answered_at_once(ann: httpx.Client, length: str) -> None:
    answer = before_the_body(ann, "POST", "/runs", length, ann.headers["Authorization"])
    told = problem(answer, 413)
    assert told["detail"] == "A request has at most 33554432 bytes."


def before_the_body(
    who: httpx.Client, method: str, path: str, length: str, authorization: str = ""
) -> bytes:
    """All that is answered before a byte of the body is sent; nothing where it is waited for."""
    root = who.base_url.path.rstrip("/")
    at = path if path == "/healthz" else root + path
    lines = [f"{method} {at} HTTP/1.1", "Host: x", f"Content-Length: {length}"]
    if authorization:
        lines.append(f"Authorization: {authorization}")
    with socket.create_connection(("127.0.0.1", who.base_url.port or 0), timeout=5) as sending:
        sending.sendall("\r\n".join([*lines, "", ""]).encode())
        found = b""
        with contextlib.suppress(TimeoutError):
            while data := sending.recv(65536):
                found += data
        return found


def problem(answer: bytes, status: int) -> dict[str, Any]:
    """What a problem document says, which is the one answer on its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), answer[:300]
    assert b"Content-Type: application/problem+json" in head
    found: dict[str, Any] = json.loads(body)
    assert found["status"] == status
    return found


@pytest.mark.parametrize("known", [False, True])
def test_a_body_that_does_not_say_how_long_it_is_has_an_end(ann: httpx.Client, known: bool) -> None:
    """It is cut off where it is too long, and that is told."""
    root = ann.base_url.path.rstrip("/")
    shown = f"Authorization: {ann.headers['Authorization']}\r\n" if known else ""
    path = "/runs" if known else "/identity/register"
    head = f"POST {root}{path} HTTP/1.1\r\nHost: x\r\n{shown}Transfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    with socket.create_connection(("127.0.0.1", ann.base_url.port or 0), timeout=20) as sending:
        sending.sendall(head.encode())
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                sending.sendall(chunk)
        found = b""
        with contextlib.suppress(ConnectionError):
            while data := sending.recv(65536):
                found += data
    # Whoever goes on sending may find the connection closed before they listen.
    if found:
        problem(found, 413)
    assert ann.get("/me").status_code == 200


def test_a_connection_stays_where_nothing_was_too_long(ann: httpx.Client) -> None:
    root = ann.base_url.path.rstrip("/")
    asked = b"".join(
        f"{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode()
        for line in (f"POST {root}/runs", f"GET {root}/nothing", f"POST {root}/nothing")
    )
    with socket.create_connection(("127.0.0.1", ann.base_url.port or 0), timeout=20) as connection:
        connection.sendall(asked + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = b""
        while data := connection.recv(65536):
            found += data
    assert re.findall(rb"HTTP/1.1 (\d+)", found) == [b"401", b"404", b"404", b"200"]


def test_strangers_send_no_large_bodies(central: Central, ann: httpx.Client) -> None:
    """Nor does what is refused come to be read: memory is for people who are known."""
    length = str(20 << 20)
    for path, status in (
        ("/identity/register", 413),
        ("/identity/anonymous", 413),
        ("/runs", 401),
        ("/nothing", 413),
        ("/openapi.json", 413),
        ("/healthz", 413),
    ):
        answer = before_the_body(ann, "POST", path, length)
        told = problem(answer, status)
        # Or the next request would be sent into a connection that closes.
        assert b"\r\nConnection: close\r\n" in answer
        assert status != 413 or told["detail"].endswith("has at most 65536 bytes.")
    root = ann.base_url.path.rstrip("/")
    # With a token that is not known only so many come at once.
    with contextlib.ExitStack() as stack:
        for number in range(8):
            sending = stack.enter_context(
                socket.create_connection(("127.0.0.1", ann.base_url.port or 0), timeout=20)
            )
            head = f"POST {root}/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x{number}\r\n"
            sending.sendall(f"{head}Content-Length: {length}\r\n\r\nx".encode())
        deadline = time.monotonic() + cellar.TIMEOUT
        while not (answer := before_the_body(ann, "POST", "/runs", length, "Bearer y")):
            assert time.monotonic() < deadline
        problem(answer, 429)
        # Small ones are answered, and so is who is known.
        with central.client("nonsense") as guesser:
            refused(guesser.post("/runs", json=RUN), 401)
        data = b"y" * (4 << 20)
        digest = hashlib.sha256(data).hexdigest()
        assert ann.put(f"/files/chunks/{digest}", content=data).is_success


def test_a_large_body_that_is_refused_is_answered(central: Central, ann: httpx.Client) -> None:
    data = b"z" * (4 << 20)
    with central.client("nonsense") as guesser:
        refused(guesser.put(f"/files/chunks/{'0' * 64}", content=data), 401)
    refused(ann.post("/runs", content=b" " * ((32 << 20) + 1)), 413)


async def test_streams_of_one_are_no_harm_to_others(central: Central, ann: httpx.Client) -> None:
    """Somebody follows a run of a minute as often as can be; a neighbour is answered."""
    with central.anonymous() as mallory:
        slow = {"id": "s", "source": "select pg_sleep(60)"}
        run = mallory.post("/runs", json={**RUN, "cells": [slow], "head": 0}).json()["id"]
        async with contextlib.AsyncExitStack() as stack:
            limits = httpx.Limits(max_connections=200)
            many = httpx.AsyncClient(
                base_url=mallory.base_url, headers=mallory.headers, limits=limits, timeout=60
            )
            await stack.enter_async_context(many)
            answers = [
                await stack.enter_async_context(many.stream("GET", f"/runs/{run}/events"))
                for _ in range(130)
            ]
            statuses = [answer.status_code for answer in answers]
            assert statuses[:90] == [200] * 90
            assert statuses[-20:] == [429] * 20
            assert int(answers[-1].headers["Retry-After"]) >= 1
            refused(await asyncio.to_thread(mallory.get, "/me"), 429)
            assert (await asyncio.to_thread(ann.get, "/me")).status_code == 200
        deadline = time.monotonic() + cellar.TIMEOUT
        while mallory.get("/me").status_code != 200:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        assert mallory.post(f"/runs/{run}/cancel").status_code == 200


def test_nobody_fills_the_gateways_memory_with_bodies(fresh_cli: CommandLine) -> None:
    """Not somebody known, and not many: what is small passes, and room comes again."""
    with (
        central_gateway(fresh_cli, f"--Gateway.body_bytes={128 << 20}") as central,
        contextlib.ExitStack() as stack,
    ):
        people = [stack.enter_context(central.anonymous()) for _ in range(5)]
        assert {who.get("/me").status_code for who in people} == {200}
        ann = people.pop()

        def begin(sends: contextlib.ExitStack, who: httpx.Client, length: int) -> None:
            """Begin to send a body, and see that it is waited for."""
            sending = sends.enter_context(
                socket.create_connection(("127.0.0.1", who.base_url.port or 0), timeout=20)
            )
            path = f"{who.base_url.path.rstrip('/')}/runs"
            shown = who.headers["Authorization"]
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {shown}\r\n"
            sending.sendall(
                f"{head}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n".encode()
            )
            assert sending.recv(100).startswith(b"HTTP/1.1 100 ")

        def answered(who: httpx.Client) -> bytes:
            return before_the_body(who, "POST", "/runs", "1000000", who.headers["Authorization"])

        with contextlib.ExitStack() as sends:
            begin(sends, people[0], 32 << 20)
            assert "by you" in problem(answered(people[0]), 429)["detail"]
            begin(sends, ann, 1_000_000)
        with contextlib.ExitStack() as sends:
            for who in people:
                deadline = time.monotonic() + 60
                while True:
                    # Until it is seen that those before have left.
                    with contextlib.suppress(AssertionError):
                        begin(sends, who, 32 << 20)
                        break
                    assert time.monotonic() < deadline
            assert "by you" not in problem(answered(ann), 429)["detail"]
            assert ann.post("/runs", json=RUN).status_code == 202
        deadline = time.monotonic() + 60
        while ann.post("/runs", content=b" " * 1_000_000).status_code != 400:
            assert time.monotonic() < deadline


def trickle(port: int, head: str, drop: bytes) -> tuple[bytes, float]:
    """Send a head, then a byte now and then; what is answered, and after how many seconds."""
    begin = time.monotonic()
    found = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=0.2) as sending,
        contextlib.suppress(ConnectionError),
    ):
        sending.sendall(head.encode())
        while time.monotonic() - begin < 30:
            sending.sendall(drop)
            with contextlib.suppress(TimeoutError):
                while data := sending.recv(65536):
                    found += data
                break
    return found, time.monotonic() - begin


def test_who_is_slow_holds_nothing_for_long(fresh_cli: CommandLine) -> None:
    """Headers and bodies that come byte by byte; a neighbour is answered meanwhile."""
    limits = ("--Gateway.header_seconds=1.0", "--Gateway.body_seconds=2.0")
    with central_gateway(fresh_cli, *limits) as central, central.anonymous() as ann:
        root = ann.base_url.path.rstrip("/")
        port = ann.base_url.port or 0
        shown = f"Authorization: {ann.headers['Authorization']}\r\n"
        assert ann.get("/me").status_code == 200
        heads = {
            "headers": f"GET {root}/me HTTP/1.1\r\nX-Slow: ",
            "stranger": f"POST {root}/identity/register HTTP/1.1\r\nHost: x\r\n"
            "Content-Length: 60000\r\n\r\n",
            "guesser": f"POST {root}/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n"
            "Content-Length: 9000000\r\n\r\n",
            "known": f"POST {root}/runs HTTP/1.1\r\nHost: x\r\n{shown}"
            "Content-Length: 9000000\r\n\r\n",
            "chunks": f"POST {root}/runs HTTP/1.1\r\nHost: x\r\n{shown}"
            "Transfer-Encoding: chunked\r\n\r\n",
            "nothing": f"POST {root}/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n",
        }
        with futures.ThreadPoolExecutor(len(heads)) as threads:
            ways = {
                name: threads.submit(
                    trickle, port, head, b"1\r\nx\r\n" if name == "chunks" else b"x"
                )
                for name, head in heads.items()
            }
            while not all(way.done() for way in ways.values()):
                assert ann.get("/me").status_code == 200
                time.sleep(0.1)
        answer, seconds = ways.pop("headers").result()
        assert (answer, seconds < 10) == (b"", True)
        for way in ways.values():
            answer, seconds = way.result()
            assert problem(answer, 408)["detail"].endswith("within 2 s.")
            assert 1.9 < seconds < 15
        # What was long on its way is answered as long as it takes.
        slow = {"id": "s", "source": "select pg_sleep(3)"}
        run = ann.post("/runs", json={**RUN, "cells": [slow], "head": 0}).json()["id"]
        assert '"done"' in ann.get(f"/runs/{run}/events").text
        assert central.log.read_text().count("Traceback") == 0


def test_who_reads_nothing_holds_no_place_for_long(fresh_cli: CommandLine) -> None:
    """Nor room for bodies; the run is not harmed: what it gave is fetched later."""
    most = 128 << 20
    options = (
        "--Gateway.reader_seconds=2.0",
        "--Gateway.open_requests=1",
        f"--Gateway.body_bytes={most}",
    )
    with central_gateway(fresh_cli, *options) as central, central.anonymous() as ann:
        assert ann.get("/me").status_code == 200
        wide = {"id": "w", "source": "select repeat('x', 100000) from generate_series(1, 300)"}
        body = {**RUN, "cells": [wide], "head": 0, "max_bytes": 32 << 20}
        run = ann.post("/runs", json=body).json()["id"]
        deadline = time.monotonic() + cellar.TIMEOUT
        while ann.get(f"/runs/{run}").json()["status"] != "done":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with socket.socket() as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            silent.connect(("127.0.0.1", ann.base_url.port or 0))
            path = f"{ann.base_url.path.rstrip('/')}/runs/{run}/events"
            shown = ann.headers["Authorization"]
            length = most // 8
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {shown}\r\n"
            silent.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode() + bytes(length))
            # Nothing else before it is answered, or that takes the place.
            silent.settimeout(cellar.TIMEOUT)
            assert silent.recv(12) == b"HTTP/1.1 200"
            assert "open already" in ann.get("/me").text
            begin = time.monotonic()
            while ann.get("/me").status_code == 429:
                assert time.monotonic() < begin + 30
                time.sleep(0.1)
        refused(ann.post("/runs", content=b" " * (most // 4)), 400)
        found = ann.get(f"/runs/{run}/result").json()
        assert len(found["cells"][0]["results"][0]["rows"]) > 100
        assert f"GET {path} 200" in central.log.read_text()
        assert "Traceback" not in central.log.read_text()


def test_who_reads_nothing_of_a_run_that_goes_on_holds_up_nobody(fresh_cli: CommandLine) -> None:
    """Nor fills the gateway's memory; and who goes on reading misses nothing of it."""
    rows, wide = 300, 100_000
    go = "select pg_sleep(3600)"
    wait = f"""do $$ begin loop
        perform pg_stat_clear_snapshot();
        exit when exists (
            select from pg_stat_activity where query like '%{go}%' and pid <> pg_backend_pid());
        perform pg_sleep(0.05);
        end loop; end $$"""
    source = f"{wait}; select repeat('x', {wide}) from generate_series(1, {rows})"
    with central_gateway(fresh_cli) as central, central.anonymous() as ann:

        def begin(notebook: str, source: str) -> str:
            cells = [{"id": "a", "source": source}]
            body = {"notebook": notebook, "cells": cells, "head": 0, "max_bytes": 32 << 20}
            return str(ann.post("/runs", json=body).json()["id"])

        run = begin("wide", source)
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", ann.base_url.port or 0))
            reader.settimeout(cellar.TIMEOUT)
            path = f"{ann.base_url.path.rstrip('/')}/runs/{run}/events"
            shown = ann.headers["Authorization"]
            head = f"GET {path} HTTP/1.0\r\nHost: x\r\nAuthorization: {shown}\r\n\r\n"
            reader.sendall(head.encode())
            assert reader.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 200"
            assert ann.get(f"/runs/{run}").json()["finished"] is None
            before = peak(central.pid)
            opener = begin("go", go)
            deadline = time.monotonic() + cellar.TIMEOUT
            while ann.get(f"/runs/{run}").json()["status"] != "done":
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert ann.post(f"/runs/{opener}/cancel").status_code == 200
            assert len(ann.get(f"/runs/{run}/result").json()["cells"][0]["results"]) == 2
            read = b"".join(iter(lambda: reader.recv(1 << 20), b""))
        assert peak(central.pid) - before < rows * wide // 4
        assert read.count(b"x" * wide) == rows
        assert json.loads(read.splitlines()[-1])["event"] == "done"


def peak(pid: int) -> int:
    """Bytes that a process had in memory at most."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def test_connections_of_one_address_leave_room_for_others(fresh_cli: CommandLine) -> None:
    """Those that say nothing too."""
    options = ("--Gateway.connections=60", "--Gateway.connections_each=20")
    with central_gateway(fresh_cli, *options) as central:
        port = urllib.parse.urlsplit(central.url).port or 0
        health = f"http://127.0.0.1:{port}/healthz"

        def opened(number: int, source: str) -> list[socket.socket]:
            return [
                stack.enter_context(
                    socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
                )
                for _ in range(number)
            ]

        def closed(each: socket.socket) -> bool:
            each.settimeout(0.5)
            try:
                return each.recv(1) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        other = httpx.HTTPTransport(local_address="127.0.0.9")
        with contextlib.ExitStack() as stack, httpx.Client(transport=other) as neighbour:
            silent = opened(40, "127.0.0.1")
            assert neighbour.get(health).status_code == 200
            assert sum(closed(each) for each in silent[20:]) == 20
            assert not any(closed(each) for each in silent[:3])
        # What is closed makes room.
        with central.client() as stranger:
            assert stranger.post("/identity/anonymous").status_code == 200
        assert "Traceback" not in central.log.read_text()


def test_lines_can_not_be_forged_in_logs(central: Central, boss: httpx.Client) -> None:
    mark = secrets.token_hex(8)
    evil = f"{mark}\r\n2026-01-01 00:00:00 everything is fine\u2028\x1b[31m"
    with central.client() as stranger:
        signed = {"email": f"{mark}@example.org", "password": PASSWORD, "name": evil}
        answer = stranger.post("/identity/register", json=signed)
        assert answer.status_code in (200, 400)
        stranger.post("/identity/password", json={"email": evil, "password": evil})
        stranger.get(f"/{mark}%0d%0aforged")
        stranger.get("/me", headers={"User-Agent": f"{mark} agent", "traceparent": mark})
    named = boss.get("/audit?limit=100").json()["records"]
    for record in named:
        assert not re.search(r"[\x00-\x1f\x7f\u2028\u2029]", record["name"]), record
    home = pathlib.Path(central.cli.environment["PGCELLAR_HOME"])
    for log in [central.log, *home.glob("*.log")]:
        for line in log.read_text(errors="replace").splitlines():
            assert not line.startswith(("2026-01-01 00:00:00", "forged")), line


def test_whom_a_proxy_names_is_believed_from_proxies_alone(
    central: Central, boss: httpx.Client
) -> None:
    said = {"X-Forwarded-For": "203.0.113.9", "Pgcellar-Address": "203.0.113.9"}
    with central.client(**said) as stranger:
        wrong = {"email": "nobody@example.org", "password": "wrong wrong wrong"}
        refused(stranger.post("/identity/password", json=wrong), 401)
    found = boss.get("/audit?action=login.password&outcome=denied").json()["records"]
    assert found[0]["address"] == "127.0.0.1"


def test_secrets_are_written_nowhere(central: Central, boss: httpx.Client) -> None:
    password = f"pass-{secrets.token_hex(12)}"
    address = f"secret{secrets.token_hex(3)}@example.org"
    with central.client() as stranger:
        session = stranger.post(
            "/identity/register", json={"email": address, "password": password}
        ).json()
        renewed = stranger.post(
            "/identity/refresh", json={"refresh_token": session["refresh_token"]}
        ).json()
    with central.client(renewed["access_token"]) as who:
        made = who.post("/identity/tokens", json={"name": "t", "scopes": ["*"], "days": 1}).json()
        with central.client(made["secret"]) as program:
            run = program.post("/runs", json=RUN).json()["id"]
            ended(program, run)
            program.get("/me", params={"token": made["secret"]})
        wrong = {"email": address, "password": password + "x"}
        refused(who.post("/identity/password", json=wrong), 401)
    hidden = [
        password,
        made["secret"],
        *(each[kind] for each in (session, renewed) for kind in ("access_token", "refresh_token")),
    ]
    time.sleep(0.5)
    home = pathlib.Path(central.cli.environment["PGCELLAR_HOME"])
    written = [path for path in home.rglob("*") if path.is_file() and "sandboxes" not in path.parts]
    assert any("control" in path.parts for path in written)
    for path in [central.log, *written]:
        data = path.read_bytes()
        for secret in hidden:
            assert secret.encode() not in data, path
    audited = boss.get("/audit?limit=200").text
    assert not any(secret in audited for secret in hidden)


def test_what_one_has_seen_is_kept_for_nobody_else(ann: httpx.Client, hers: dict[str, str]) -> None:
    """Ids of states are the same for everybody, and a browser may be two people's."""
    for path in (f"/states/{hers['state']}", f"/runs/{hers['run']}/result"):
        answer = ann.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert "private" in answer.headers["Cache-Control"]
        assert "Authorization" in answer.headers["Vary"]


def test_acts_say_where_from(central: Central, boss: httpx.Client) -> None:
    with central.registered(f"where{secrets.token_hex(3)}@example.org") as who:
        subject = who.get("/me").json()["subject"]
        refused(who.post("/profiles/classes/join", json={"code": "X"}), 404)
        assert who.post("/identity/tokens", json={"name": "t", "scopes": ["me"]}).is_success
    made = boss.post("/profiles/classes", json={"name": "c"}).json()["id"]
    assert boss.patch(f"/profiles/subjects/{subject}/quotas", json={"cpu": 1}).status_code == 204
    for query in (
        {"subject": subject, "action": "class.join"},
        {"subject": subject, "action": "token.create"},
        {"action": "class.create", "target": made},
        {"action": "quota.set", "target": f"subject:{subject}"},
    ):
        records = boss.get("/audit", params=query).json()["records"]
        assert [record["address"] for record in records] == ["127.0.0.1"], query


def test_accounts_can_not_be_counted_by_logging_in(central: Central, ann: httpx.Client) -> None:
    with central.client() as stranger:
        answers = [
            stranger.post("/identity/password", json={"email": email, "password": "wrong " * 3})
            for email in ("ann@example.org", f"none{secrets.token_hex(4)}@example.org")
        ]
    first, second = (refused(answer, 401).json() for answer in answers)
    assert first["detail"] == second["detail"]


def test_only_the_gateways_door_is_open(central: Central) -> None:
    """The service and its databases listen on sockets in folders of their owners."""
    listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True).stdout
    if not listening:
        pytest.skip("there is no ss")
    home = central.cli.environment["PGCELLAR_HOME"]
    runtime = pathlib.Path(central.cli.environment["PGCELLAR_RUNTIME"])
    for pid in re.findall(r'"postgres",pid=(\d+)', listening):
        # A server of this machine's own may listen; none of ours does.
        assert home not in " ".join(processes.command(int(pid)))
    for path in runtime.rglob("*"):
        if path.is_socket():
            assert path.parent.stat().st_mode & 0o077 in (0, 0o011), path
