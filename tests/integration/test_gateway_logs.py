"""The central gateway's log: a line for a request, which says which run it is about."""

from __future__ import annotations

import json
import socket
import urllib.parse

import pytest
from tests.fixtures_central import Central, central_gateway
from tests.fixtures_service import CommandLine

RUN = {"notebook": "n", "cells": [{"id": "a", "source": "select 1"}], "head": 0}
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def sent(central: Central, line: bytes) -> bytes:
    """What is answered to a request line as it is."""
    port = urllib.parse.urlsplit(central.url).port
    with socket.create_connection(("127.0.0.1", port or 0), timeout=20) as connection:
        connection.sendall(line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = b""
        while data := connection.recv(65536):
            found += data
    return found


def test_a_line_says_which_run_it_is_about(fresh_cli: CommandLine) -> None:
    with central_gateway(fresh_cli, "--Gateway.log_lines=json") as central:
        with central.anonymous() as ann:
            token = ann.headers["Authorization"]
            traced = {"Traceparent": PARENT}
            run = ann.post("/runs", json=RUN, headers=traced).json()["id"]
            assert ann.get(f"/runs/{run}/events", headers={"Traceparent": b"x\xe9"}).is_success
            assert ann.get("/me", params={"token": "pgc_p_treasure"}).is_success
            assert ann.get("/runs/pgc_p_treasure").status_code == 404
        assert sent(central, b"GET /healthz HTTP/1.1")
    lines = [json.loads(line) for line in central.log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    about = [line for line in lines if "route" in line]
    made, followed = (line for line in about if line.get("run") == run)
    assert (made["method"], made["route"], made["status"]) == ("POST", "/runs", 202)
    assert made["trace"] == TRACE
    assert made["ms"] > 0
    assert made["address"] == "127.0.0.1"
    assert (followed["route"], followed["status"]) == ("/runs/{run}/events", 200)
    assert "trace" not in followed
    assert {line["route"] for line in about} >= {"/me", "/identity/anonymous", "other"}
    # Nobody wants to read that it lives.
    assert "health" not in {line["route"] for line in about}
    written = central.log.read_text()
    assert "treasure" not in written
    assert token.removeprefix("Bearer ") not in written


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_request_is_one_line(fresh_cli: CommandLine, form: str) -> None:
    evil = [
        b"GET /a\x1b[31m\x85\xe2\x80\xa8forged HTTP/1.1",
        b"GET /a%0d%0a2026-01-01 HTTP/1.1",
        b"GET /a%0d%0aforged%E2%80%A8 HTTP/1.1",
        b"FO\x85RGED /a HTTP/1.1",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1",
        b"forged",
    ]
    with central_gateway(fresh_cli, f"--Gateway.log_lines={form}") as central:
        for line in evil:
            assert sent(central, line).startswith((b"HTTP/1.1 4", b""))
        assert sent(central, f"GET /runs/{'0' * 32} HTTP/1.1".encode())
    written = central.log.read_text()
    assert max(map(len, written.splitlines())) < 1_500
    assert written.replace("\n", "").isprintable()
    for line in written.splitlines():
        if form == "json":
            assert json.loads(line)["time"]
        else:
            assert line.startswith("20"), line
