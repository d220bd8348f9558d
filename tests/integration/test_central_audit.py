"""The audit log by the central gateway: exported, verified, and what people were kept from."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.fixtures_central import ADMINISTRATOR, Central

RUN = {"notebook": "n", "cells": [{"id": "a", "source": "select 1"}], "head": 0}


@pytest.fixture(scope="module")
def boss(central: Central) -> Iterator[httpx.Client]:
    """Who administers."""
    with central.registered(ADMINISTRATOR) as made:
        yield made


@pytest.fixture(scope="module")
def ann(central: Central) -> Iterator[httpx.Client]:
    """A student."""
    with central.registered("ann@example.org") as made:
        yield made


def denials(boss: httpx.Client, subject: str) -> list[dict[str, Any]]:
    """What somebody was kept from, oldest first."""
    query = {"subject": subject, "action": "request.deny", "limit": "1000"}
    found = boss.get("/audit", params=query).json()["records"]
    assert {each["outcome"] for each in found} <= {"denied"}
    return list(reversed(found))


def subject_of(who: httpx.Client) -> str:
    """Whose token it is."""
    found: str = who.get("/me").json()["subject"]
    return found


def test_an_administrator_exports_and_verifies(
    central: Central, boss: httpx.Client, ann: httpx.Client
) -> None:
    assert ann.post("/runs", json=RUN).status_code == 202
    subject = subject_of(ann)
    # The run's end is written a moment after it.
    deadline = time.monotonic() + 30
    while True:
        answer = boss.get("/audit/export", params={"subject": subject})
        lines = [json.loads(line) for line in answer.text.splitlines()]
        if "run.end" in {line["action"] for line in lines}:
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit.ndjson"'
    assert {line["subject"] for line in lines} == {subject}
    table = boss.get("/audit/export", params={"subject": subject, "format": "csv"})
    assert table.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["hash"] for row in rows] == [line["hash"] for line in lines]
    # The command line's export is the same.
    told = central.cli("audit", "export", "--subject", subject).stdout
    assert [json.loads(line)["hash"] for line in told.splitlines()] == [
        line["hash"] for line in lines
    ]
    assert len(boss.get("/audit/export").text.splitlines()) > len(lines)
    verdict = boss.get("/audit/verify").json()
    assert (verdict["ok"], verdict["findings"]) == (True, [])
    day = lines[0]["day"]
    assert boss.get("/audit/verify", params={"from": day, "to": day}).json()["records"] > 0
    exports = boss.get("/audit", params={"action": "audit.export"}).json()["records"]
    assert {each["target"] for each in exports} == {subject, "all"}
    mine = [each for each in exports if each["subject"] == subject_of(boss)]
    assert {each["address"] for each in mine} == {"127.0.0.1"}
    for query in ("format=xml", "since=x"):
        assert boss.get(f"/audit/export?{query}").status_code == 400
    assert boss.get("/audit/verify?from=x").status_code == 400


def test_a_student_exports_their_own_alone(central: Central, ann: httpx.Client) -> None:
    with central.anonymous() as eve:
        lines = [json.loads(line) for line in eve.get("/audit/export").text.splitlines()]
        assert {line["subject"] for line in lines} == {subject_of(eve)}
        for path in (f"/audit/export?subject={subject_of(ann)}", "/audit/verify"):
            assert eve.get(path).status_code == 403
    with central.client() as stranger:
        for path in ("/audit/export", "/audit/verify"):
            assert stranger.get(path).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/audit/verify", None),
        ("GET", "/audit?subject={subject}", None),
        ("GET", "/profiles/subjects/{subject}/quotas", None),
        ("PATCH", "/profiles/subjects/{subject}/quotas", {"runs_per_minute": 1}),
        ("GET", "/identity/accounts", None),
        ("POST", "/identity/accounts", {"email": "x@example.org", "password": "0123456789"}),
        ("GET", "/identity/accounts/{subject}", None),
        ("PATCH", "/identity/accounts/{subject}", {"administrator": True}),
        ("GET", "/identity/accounts/{subject}/tokens", None),
        ("DELETE", "/identity/accounts/{subject}/tokens", None),
        ("GET", "/identity/accounts/{subject}/sessions", None),
        ("POST", "/identity/keys/rotate", {}),
        ("POST", "/profiles/classes", {"name": "mine"}),
        ("POST", "/identity/login/os", {}),
    ],
)
def test_what_administrators_do_and_others_try_is_written_down(
    central: Central, boss: httpx.Client, ann: httpx.Client, method: str, path: str, body: Any
) -> None:
    target = path.format(subject=subject_of(ann))
    with central.anonymous() as eve:
        answer = eve.request(method, target, json=body)
        assert answer.status_code == 403
        subject = subject_of(eve)
        deadline = time.monotonic() + 30
        while not (found := denials(boss, subject)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    (record,) = found
    assert record["target"] == f"{method} /api/v1{target.partition('?')[0]}"
    assert record["details"] == {"reason": answer.json()["detail"]}
    assert record["address"] == "127.0.0.1"


def test_a_token_that_lacks_a_scope_is_written_down(boss: httpx.Client, central: Central) -> None:
    made = boss.post("/identity/tokens", json={"name": "t", "scopes": ["runs"]}).json()
    with central.client(made["secret"]) as program:
        assert program.get("/identity/accounts").status_code == 403
    deadline = time.monotonic() + 30
    while not (found := denials(boss, subject_of(boss))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert found[-1]["token"] == made["id"]
    assert "scope" in found[-1]["details"]["reason"]


def test_nobody_fills_the_log_by_being_refused(central: Central, boss: httpx.Client) -> None:
    with central.anonymous() as eve:
        subject = subject_of(eve)
        for _ in range(120):
            assert eve.get("/identity/accounts").status_code == 403
        assert eve.get("/me").status_code == 200
    found = denials(boss, subject)
    assert len(found) <= 25
