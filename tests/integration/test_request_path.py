"""The central gateway's modules in a request's path: what one refuses, none behind it sees."""

from __future__ import annotations

import socket
import time

import httpx
import pytest
from tests import certificates
from tests.fixtures_central import ADMINISTRATOR, central_gateway
from tests.fixtures_service import CommandLine

RUN = {"notebook": "n.ipynb", "cells": [{"id": "a", "source": "select 1"}], "head": 0}


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def counted(port: int) -> dict[str, float]:
    """What telemetry has counted of runs that were asked for, by the answer's status."""
    found = {}
    for line in httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines():
        series, _, value = line.rpartition(" ")
        if series.startswith("pgcellar_gateway_requests_total") and 'route="/runs"' in series:
            found[series.partition('status="')[2][:3]] = float(value)
    return found


def test_tls_limits_identity_router_services_telemetry(fresh_cli: CommandLine) -> None:
    """One after the other, each with a request in which all that comes later is wrong, too."""
    port = free_port()
    key, certificate = certificates.alone(fresh_cli.home)
    options = (
        f"--certfile={certificate}",
        f"--keyfile={key}",
        f"--Gateway.metrics_port={port}",
        "--Gateway.strangers_per_minute=1.0",
        "--Gateway.burst=12",
    )
    with (
        central_gateway(fresh_cli, *options, certificate=certificate) as central,
        central.registered(ADMINISTRATOR) as boss,
        central.client() as stranger,
    ):
        assert boss.get("/me").status_code == 200
        # Without TLS there is no answer, and nobody counts it.
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{central.url.replace('https', 'http', 1)}/runs", content=b"{")
        assert counted(port) == {}

        # Who it is comes before what was sent.
        assert stranger.post("/runs", content=b"{").status_code == 401
        # How often comes before both; and it goes by who it is, so that one pays for oneself alone.
        refused = [stranger.post("/runs", content=b"{").status_code for _ in range(20)]
        assert refused == sorted(refused)
        assert set(refused) == {401, 429}
        assert [stranger.get(path).status_code for path in ("/me", "/nowhere")] == [429, 429]
        assert boss.get("/me").status_code == 200

        # The router sees what can't be, and asks no service.
        begun = "/audit?action=run.start"
        assert boss.post("/runs", content=b"{").status_code == 400
        assert boss.put("/runs", content=b"{").status_code == 405
        assert boss.get(begun).json()["records"] == []
        # The service does it, and writes it down.
        assert boss.post("/runs", json=RUN).status_code == 202
        deadline = time.monotonic() + 60
        while not boss.get(begun).json()["records"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)

        # Whatever became of it, it is counted.
        found = counted(port)
        assert found["401"] == 1 + refused.count(401)
        assert found["429"] == refused.count(429)
        assert [found[status] for status in ("400", "405", "202")] == [1, 1, 1]
