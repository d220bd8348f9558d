"""More people than sandboxes that may run at once."""

from __future__ import annotations

import os
import pathlib
import signal
import time

import httpx
import pytest
from tests import cellar
from tests.fixtures_central import central_gateway
from tests.fixtures_service import CommandLine

from pgcellar.environments import service
from pgcellar.postgres import processes

CELLS = ["create table t (i int)", "insert into t values (1)", "select count(*) from t"]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_RESPITE", 0.3)


def running(services: cellar.Cellar) -> int:
    counts = services.app._environments.counts()
    return counts["running"]


def test_idle_sandboxes_make_room(cellar_home: pathlib.Path) -> None:
    with cellar.Cellar(cellar_home, max_sandboxes=2, spares=0) as services:
        for turn in range(2):
            for owner in ("ann", "bob", "cid"):
                ran = services.start_for(owner, CELLS).result(cellar.TIMEOUT)
                assert ran.done.error is None
                assert ran.results[-1].rows == (("1",),)
                assert running(services) <= 2
                if turn:
                    # The states of a sandbox that was stopped stay.
                    assert "replayed" not in ran.sources
        assert len(services.runner._workspaces) <= 2
        assert len(services.app._caches) <= 2
        # Each stands in the audit log, with whose it was.
        stops = [entry.details for entry in services.written("environment.stop", 4)]
        reason = "it made room for another"
        assert stops == [{"owner": each, "reason": reason} for each in ("ann", "bob", "cid", "ann")]


def test_what_a_killed_service_left_running_counts(fresh_cli: CommandLine) -> None:
    """And is stopped when it is idle, though its owner never comes again."""
    config = (
        "c.ServiceApp.max_sandboxes = 2\nc.ServiceApp.spares = 0\n"
        "c.ServiceApp.sandbox_idle_timeout = 15.0\n"
    )
    home = fresh_cli.home / "home"

    def servers() -> int:
        # A set: what a server has just forked is called as it is. Nor is one that is being made.
        commands = {
            " ".join(processes.command(int(pid))) for pid in os.listdir("/proc") if pid.isdecimal()
        }
        return sum(
            f"{home}/sandboxes/" in each and "/postgres " in each and "--single" not in each
            for each in commands
        )

    def work(who: httpx.Client) -> None:
        cells = [{"id": "a", "source": "select 1"}]
        run = who.post("/runs", json={"notebook": "n", "cells": cells, "head": 0}).json()["id"]
        deadline = time.monotonic() + cellar.TIMEOUT
        while (answer := who.get(f"/runs/{run}/result")).status_code == 409:
            assert servers() <= 2
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert answer.json()["error"] is None

    with central_gateway(fresh_cli, config=config) as central:
        for _ in range(2):
            with central.anonymous() as guest:
                work(guest)
        assert servers() == 2
        os.kill(int((home / "service.lock").read_text().split()[0]), signal.SIGKILL)
        with central.anonymous() as guest:
            # There is room for them when one of those two has been idle for a while.
            work(guest)
            assert servers() == 2
        deadline = time.monotonic() + cellar.TIMEOUT
        while servers():
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_many_at_once_wait_for_their_turn(cellar_home: pathlib.Path) -> None:
    with cellar.Cellar(cellar_home, max_sandboxes=2, spares=0) as services:
        begun = [services.start_for(f"p{i}", CELLS) for i in range(8)]
        for run in begun:
            ran = run.result(cellar.TIMEOUT)
            assert ran.done.error is None
            assert ran.results[-1].rows == (("1",),)
        assert running(services) <= 2


def test_sandboxes_in_use_are_left_alone(cellar_home: pathlib.Path) -> None:
    with cellar.Cellar(cellar_home, max_sandboxes=1, spares=0, sandbox_patience=1.0) as services:
        assert services.start_for("ann", ["select 1"]).result(cellar.TIMEOUT).done.error is None
        busy = services.start_for("ann", ["select pg_sleep(4)"])
        time.sleep(0.5)
        ran = services.start_for("bob", CELLS).result(cellar.TIMEOUT)
        assert ran.done.error is not None
        assert "All 1 sandboxes" in ran.done.error.message
        assert busy.result(cellar.TIMEOUT).done.error is None
        assert services.start_for("bob", CELLS).result(cellar.TIMEOUT).done.error is None
