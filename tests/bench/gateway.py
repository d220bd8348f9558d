"""What the gateway costs: the same requests to the service's socket and through Jupyter Server."""

from __future__ import annotations

import contextlib
import json
import pathlib
import time
from collections.abc import Callable

import httpx
from tests.bench import measure
from tests.fixtures_central import ADMINISTRATOR, central_gateway
from tests.fixtures_gateway import jupyter_server
from tests.fixtures_service import command_line
from tests.integration.test_service import where

PEOPLE = "the central gateway with tokens and quotas, over the service's socket without"
SECTION = "the gateway, over the same request to the service's socket"


def gateway(table: measure.Table, home: pathlib.Path, rounds: int) -> None:
    """Add what a small request and a run take, without and with the gateway."""
    folder = home / "gateway"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        cli = stack.enter_context(command_line(folder))
        cli("service", "start")
        outside = stack.enter_context(jupyter_server(cli, "--Gateway.requests_per_minute=0"))
        inside = stack.enter_context(
            httpx.Client(
                transport=httpx.HTTPTransport(uds=str(where(cli).socket)),
                base_url="http://pgcellar/api/v1",
                timeout=60,
            )
        )
        for name, service, through in (
            ("GET /me", _get(inside, "/me"), _get(outside, "/me")),
            ("a run, accepted to done", _run(inside, "/accepted"), _run(outside, "/runs")),
        ):
            alone = table.add(SECTION, f"{name}: the service", _times(service, rounds))
            table.add(
                SECTION,
                f"{name}: through the gateway",
                _times(through, rounds),
                against=alone,
                overhead=True,
            )


def authentication(table: measure.Table, home: pathlib.Path, rounds: int) -> None:
    """Add what the central gateway takes, where the service finds out and counts who asks."""
    folder = home / "central"
    folder.mkdir()
    options = ("--Gateway.requests_per_minute=0",)
    with contextlib.ExitStack() as stack:
        cli = stack.enter_context(command_line(folder))
        config = "c.Identity.requests_per_minute = 0\n"
        central = stack.enter_context(central_gateway(cli, *options, config=config))
        boss = stack.enter_context(central.registered(ADMINISTRATOR))
        subject = boss.get("/me").json()["subject"]
        unlimited = {"runs_per_minute": 1_000_000}
        boss.patch(f"/profiles/subjects/{subject}/quotas", json=unlimited).raise_for_status()
        made = boss.post("/identity/tokens", json={"name": "t", "scopes": ["*"], "days": 1})
        program = stack.enter_context(central.client(made.json()["secret"]))
        owner = stack.enter_context(
            httpx.Client(
                transport=httpx.HTTPTransport(uds=str(where(cli).socket)),
                base_url="http://pgcellar/api/v1",
                timeout=60,
            )
        )
        # The same door, where only the token says who asks.
        inside = stack.enter_context(
            httpx.Client(
                transport=httpx.HTTPTransport(uds=str(where(cli).socket)),
                base_url="http://pgcellar/api/v1",
                headers={"Authorization": boss.headers["Authorization"]},
                timeout=60,
            )
        )
        for name, service, direct, token, personal in (
            (
                "GET /me",
                _get(owner, "/me"),
                _get(inside, "/me"),
                _get(boss, "/me"),
                _get(program, "/me"),
            ),
            (
                "a run, accepted to done",
                _run(owner, "/accepted"),
                _run(inside, "/accepted"),
                _run(boss, "/runs"),
                _run(program, "/runs"),
            ),
        ):
            alone = table.add(PEOPLE, f"{name}: the service's owner", _times(service, rounds))
            for how, ask in (
                ("the service, access token", direct),
                ("gateway, access token", token),
                ("gateway, personal token", personal),
            ):
                table.add(
                    PEOPLE,
                    f"{name}: {how}",
                    _times(ask, rounds),
                    against=alone,
                    overhead=True,
                )


def _get(client: httpx.Client, path: str) -> Callable[[], None]:
    def ask() -> None:
        client.get(path).raise_for_status()

    return ask


def _run(client: httpx.Client, path: str) -> Callable[[], None]:
    body = {"notebook": path, "cells": [{"id": "c", "source": "select 1"}], "head": 0}

    def ask() -> None:
        run = client.post(path, json=body).json()["id"]
        events = client.get(f"{path}/{run}/events").text.splitlines()
        assert json.loads(events[-1])["error"] is None

    return ask


def _times(ask: Callable[[], None], rounds: int) -> list[float]:
    ask()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        ask()
        times.append((time.perf_counter() - begin) * 1000)
    return times
