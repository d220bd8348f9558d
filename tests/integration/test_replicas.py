"""Two gateways before one service: what holds for a person or an address holds over both."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Iterator

import httpx
import pytest
from tests.fixtures_central import ADMINISTRATOR, PASSWORD, Central, central_gateway
from tests.fixtures_service import CommandLine

RUN = {"notebook": "n", "cells": [{"id": "a", "source": "select 1"}], "head": 0}


@contextlib.contextmanager
def two(cli: CommandLine, config: str = "") -> Iterator[tuple[Central, Central]]:
    """Two processes of the gateway, and the one service that both find."""
    with (
        central_gateway(cli, config=config) as one,
        central_gateway(cli, config=config) as other,
    ):
        assert one.url != other.url
        yield one, other


def both(gateways: tuple[Central, Central], who: httpx.Client) -> tuple[httpx.Client, httpx.Client]:
    """The same person at either."""
    token = who.headers["Authorization"].removeprefix("Bearer ")
    return gateways[0].client(token), gateways[1].client(token)


def test_quotas_and_logins_hold_over_gateways(fresh_cli: CommandLine) -> None:
    with (
        two(fresh_cli, "c.Identity.anonymous_per_hour = 5\n") as gateways,
        gateways[0].registered(ADMINISTRATOR) as boss,
        gateways[1].registered("ann@example.org") as ann,
    ):
        subject = ann.get("/me").json()["subject"]
        changed = boss.patch(f"/profiles/subjects/{subject}/quotas", json={"runs_per_minute": 5})
        assert changed.status_code == 204
        mine = both(gateways, ann)
        answers = [
            who.post("/runs", json=RUN)
            for who, _ in zip(itertools.cycle(mine), range(9), strict=False)
        ]
        assert [answer.status_code for answer in answers] == [202] * 5 + [429] * 4
        assert "5 runs in a minute" in answers[-1].json()["detail"]
        # A run that was sent to one is known at the other, and sent again to it is none.
        run = answers[0].json()["id"]
        assert {who.get(f"/runs/{run}").status_code for who in mine} == {200}

        strangers = [gateway.client() for gateway in gateways]
        wrong = {"email": "ann@example.org", "password": "wrong wrong wrong"}
        tried = [
            stranger.post("/identity/password", json=wrong).status_code
            for stranger, _ in zip(itertools.cycle(strangers), range(14), strict=False)
        ]
        assert tried == [401] * 10 + [429] * 4
        right = {**wrong, "password": PASSWORD}
        for stranger in strangers:
            refused = stranger.post("/identity/password", json=right)
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) > 0
        guests = [
            stranger.post("/identity/anonymous").status_code
            for stranger, _ in zip(itertools.cycle(strangers), range(8), strict=False)
        ]
        assert guests == [200] * 5 + [429] * 3
        for client in (*mine, *strangers):
            client.close()


def test_a_key_names_one_run_at_every_gateway(fresh_cli: CommandLine) -> None:
    with two(fresh_cli) as gateways, gateways[0].anonymous() as ann:
        mine = both(gateways, ann)
        sent = [who.post("/runs", json=RUN, headers={"Idempotency-Key": "k"}) for who in mine]
        assert [answer.status_code for answer in sent] == [202, 200]
        assert sent[0].json()["id"] == sent[1].json()["id"]
        for client in mine:
            client.close()


@pytest.mark.parametrize("who", ["person", "guesser"])
def test_requests_are_counted_over_gateways(fresh_cli: CommandLine, who: str) -> None:
    """Either gateway alone would let so many pass; the service, where they meet, does not."""
    slow = "c.Identity.requests_per_minute = 120\nc.Identity.strangers_per_minute = 120\n"
    with two(fresh_cli, slow) as gateways, gateways[0].anonymous() as ann:
        if who == "person":
            asking = both(gateways, ann)
        else:
            asking = (gateways[0].client("pgc_guess"), gateways[1].client("pgc_guess"))
        begin = time.monotonic()
        answers = [
            client.get("/me") for client, _ in zip(itertools.cycle(asking), range(60), strict=False)
        ]
        passed = [answer for answer in answers if answer.status_code != 429]
        assert {answer.status_code for answer in passed} == {200 if who == "person" else 401}
        # 20 at once, and two a second.
        assert len(passed) <= 21 + 2 * (time.monotonic() - begin)
        for client in asking:
            refused = client.get("/me")
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) > 0
            assert refused.headers["Content-Type"].startswith("application/problem+json")
        if who == "guesser":
            # Who is known pays nothing for the neighbour.
            assert ann.get("/me").status_code == 200
        for client in asking:
            client.close()


@pytest.mark.parametrize("begun", [True, False])
def test_the_control_database_is_killed_while_a_run_goes_on(
    fresh_cli: CommandLine, begun: bool
) -> None:
    """The run is neither lost nor doubled; what can't be answered meanwhile says so."""
    with two(fresh_cli) as gateways, gateways[0].anonymous() as ann:
        mine = both(gateways, ann)
        slow = {**RUN, "cells": [{"id": "a", "source": "select 1; select pg_sleep(2), 7"}]}
        run = mine[0].post("/runs", json=slow).json()["id"]
        if begun:
            with mine[0].stream("GET", f"/runs/{run}/events") as events:
                assert any('"completed"' in line for line in events.iter_lines())
        pidfile = fresh_cli.home / "home" / "control" / "data" / "postmaster.pid"
        os.kill(int(pidfile.read_text().split()[0]), signal.SIGKILL)
        deadline = time.monotonic() + 90
        seen = []
        for who in itertools.cycle(mine):
            answer = who.get(f"/runs/{run}/result")
            seen.append(answer.status_code)
            if answer.status_code == 200:
                break
            assert answer.headers["Content-Type"].startswith("application/problem+json")
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.1)
        assert set(seen) <= {200, 409, 503}
        found = answer.json()
        assert found["error"] is None, found
        assert found["cells"][0]["results"][1]["rows"] == [["", "7"]]
        for who in mine:
            assert [each["id"] for each in who.get("/runs").json()["runs"]] == [run]
            who.close()
