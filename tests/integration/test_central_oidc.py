"""Logging in by the central gateway at an OpenID provider, which is a process of its own."""

from __future__ import annotations

import time
import urllib.parse
from typing import Any

import httpx
from tests import cellar
from tests.fixtures_central import Central, central_gateway
from tests.fixtures_service import CommandLine

CELLS = [
    {"id": "a", "source": "create table t as select 42 as n"},
    {"id": "b", "source": "select n from t"},
]
RUN = {"notebook": "n.ipynb", "cells": CELLS, "head": 1}
SCHOOL = "/identity/oidc/school"


def ran(who: httpx.Client) -> Any:
    """Run the notebook; what it gave."""
    run = who.post("/runs", json=RUN).json()["id"]
    deadline = time.monotonic() + cellar.TIMEOUT
    while (answer := who.get(f"/runs/{run}/result")).status_code == 409:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer.json()


def authorized(browser: httpx.Client, who: str) -> str:
    """Log in at the provider; the callback's query, with which the browser is sent back."""
    begun = browser.post(f"{SCHOOL}/start")
    assert begun.status_code == 200, begun.text
    sent = httpx.post(begun.json()["url"], data={"sub": who})
    return urllib.parse.urlsplit(sent.headers["Location"]).query


def school(issuer: str) -> str:
    """Settings by which one logs in there."""
    back = "https://sql.example.org/pgcellar/api/v1/identity/oidc/school/callback"
    given = {"issuer": issuer, "client": "pgcellar", "secret": "s", "redirect": back}
    return f"c.Identity.oidc = {{'school': {given!r}}}\n"


def test_who_is_anonymous_logs_in_and_keeps_their_work(fresh_cli: CommandLine, issuer: str) -> None:
    with central_gateway(fresh_cli, config=school(issuer)) as central, central.anonymous() as guest:
        assert ran(guest)["error"] is None
        query = authorized(guest, "ann")
        subject = guest.get("/me").json()["subject"]
        # In another browser the login is nobody's.
        with central.client() as other:
            assert other.get(f"{SCHOOL}/callback?{query}").status_code == 401
        tokens = guest.get(f"{SCHOOL}/callback?{query}")
        assert tokens.status_code == 200, tokens.text
        assert (tokens.json()["subject"], tokens.json()["kind"]) == (subject, "registered")
        assert tokens.headers["Cache-Control"] == "no-store"
        with central.client(tokens.json()["access_token"]) as ann:
            again = ran(ann)
            assert again["totals"]["replayed"] == 0
            assert again["cells"][0]["source"] == "hit"
            assert len(ann.get("/runs").json()["runs"]) == 2
        assert later(central, "ann") == subject
        assert later(central, "bob") != subject


def test_where_tls_ends_at_a_proxy_the_cookie_comes_back_over_tls_alone(
    fresh_cli: CommandLine, issuer: str
) -> None:
    for proxy, secure in (("127.0.0.1/32", True), ("10.0.0.0/8", False)):
        trusted = f"--Gateway.trusted_proxies=['{proxy}']"
        with central_gateway(fresh_cli, trusted, config=school(issuer)) as central:
            for said, expected in (("https", secure), ("http", False), ("", False)):
                with central.client(**{"X-Forwarded-Proto": said}) as browser:
                    begun = browser.post(f"{SCHOOL}/start")
                assert begun.status_code == 200, begun.text
                assert ("; Secure" in begun.headers["Set-Cookie"]) is expected, (proxy, said)


def later(central: Central, who: str) -> str:
    """The subject of somebody who comes without having been here before in this browser."""
    with central.client() as browser:
        query = authorized(browser, who)
        found = browser.get(f"{SCHOOL}/callback?{query}").json()
        # What was used is used.
        assert browser.get(f"{SCHOOL}/callback?{query}").status_code == 401
        return str(found["subject"])
