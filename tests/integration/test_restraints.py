"""What one person's SQL may take of the machine that serves everybody."""

from __future__ import annotations

import hashlib
import os
import pathlib
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import nbformat
import pytest
from tests import cellar, fixtures_central
from tests.fixtures_service import CommandLine, command_line

from pgcellar.api import errors
from pgcellar.postgres import processes, restraints

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="by Linux's means")

_CONFIG = """
c.ServiceApp.spares = 1
c.LocalSpawner.settings = {"temp_file_limit": "20MB"}
"""


@pytest.fixture(scope="module")
def central(cellar_home_module: pathlib.Path) -> Iterator[fixtures_central.Central]:
    with (
        command_line(cellar_home_module) as cli,
        fixtures_central.central_gateway(cli, config=_CONFIG) as made,
    ):
        yield made


def run(client: httpx.Client, *sources: str) -> dict[str, Any]:
    body = {
        "notebook": "n",
        "cells": [{"id": f"c{i}", "source": source} for i, source in enumerate(sources)],
        "head": len(sources) - 1,
    }
    accepted = client.post("/runs", json=body).json()
    deadline = time.monotonic() + cellar.TIMEOUT
    while time.monotonic() < deadline:
        answer = client.get(f"/runs/{accepted['id']}/result")
        if answer.status_code == 200:
            found: dict[str, Any] = answer.json()
            return found
        time.sleep(0.1)
    raise AssertionError("no result in time")


def test_a_session_that_wants_too_much_memory_is_told_so(
    central: fixtures_central.Central,
) -> None:
    with central.anonymous() as student:
        greedy = "select length(string_agg(repeat('x', 90000000), '')) from generate_series(1, 10)"
        found = run(student, "create table kept as select 1 as i", greedy)
        assert found["error"]["sqlstate"] == "53200"
        assert "out of memory" in found["error"]["message"]
        assert "Your limit is 512 MiB of memory" in found["error"]["hint"]
        assert found["cells"][1]["error"]["hint"] == found["error"]["hint"]
        # As it is where a cell above wants so much.
        found = run(student, greedy.replace("select", "create table big as select", 1), "select 1")
        assert (found["error"]["sqlstate"], found["error"]["cell"]) == ("53200", "c0")
        assert "Your limit is 512 MiB of memory" in found["error"]["hint"]
        # The session is as it was, and so is the sandbox.
        found = run(student, "create table kept as select 1 as i", "select i from kept")
        assert found["error"] is None
        assert found["totals"]["replayed"] == 0


def test_temporary_files_have_an_end(central: fixtures_central.Central) -> None:
    with central.anonymous() as student:
        spill = "select count(*) from (select i from generate_series(1, 3000000) i offset 0) s"
        found = run(student, "set work_mem = '64kB'", spill)
        assert found["error"]["sqlstate"] == "53400"
        assert "temp_file_limit" in found["error"]["message"]
        found = run(student, "set temp_file_limit = -1", spill)
        assert found["error"]["sqlstate"] == "42501"


def test_sandboxes_stand_behind_what_serves_everybody(central: fixtures_central.Central) -> None:
    with central.anonymous() as student:
        assert run(student, "select 1")["error"] is None
    postmasters = [
        process
        for process in (processes.find(int(pid)) for pid in os.listdir("/proc") if pid.isdecimal())
        if process is not None
        and f"{central.cli.environment['PGCELLAR_HOME']}/sandboxes/"
        in " ".join(processes.command(process.pid))
    ]
    nice = [os.getpriority(os.PRIO_PROCESS, process.pid) for process in postmasters]
    assert nice
    # A spare is nobody's yet.
    assert 5 in nice
    for process, niceness in zip(postmasters, nice, strict=True):
        score = (processes.PROC / str(process.pid) / "oom_score_adj").read_text().strip()
        assert score == ("600" if niceness else "0")
        if niceness:
            assert len(os.sched_getaffinity(process.pid)) == 1


def test_a_database_has_an_end(central: fixtures_central.Central) -> None:
    with central.anonymous() as student, central.registered(fixtures_central.ADMINISTRATOR) as boss:
        at = f"/profiles/subjects/{student.get('/me').json()['subject']}/quotas"
        assert boss.patch(at, json={"snapshot_bytes": 100 << 20}).status_code == 204
        rows = "(select generate_series(1, {}) as i) as s"
        fill = f"create table big as select repeat(md5(i::text), 8) as x from {rows}"
        found = run(student, fill.format(50_000), "select count(*) from big")
        assert found["error"] is None
        found = run(student, "select 1", fill.format(1_000_000_000))
        assert "Your limit is 100 MiB of snapshots" in found["error"]["message"]
        assert found["error"]["sqlstate"] == "PC015"
        # It left no trace.
        found = run(student, "select 1", "select to_regclass('big') is null")
        assert found["error"] is None


def test_some_of_the_disk_stays_free(fresh_cli: CommandLine) -> None:
    """For the control database and the audit log; and for the owner, whose disk it is."""
    with (
        fixtures_central.central_gateway(
            fresh_cli, config=f"c.ServiceApp.free_bytes = {1 << 60}\n"
        ) as central,
        central.anonymous() as student,
    ):
        found = run(student, "select 1")
        assert found["error"]["sqlstate"] == "PC007"
        assert "MiB free, and nothing more is put on it" in found["error"]["message"]
        data = b"x"
        digest = hashlib.sha256(data).hexdigest()
        refused = student.put(f"/files/chunks/{digest}", content=data)
        assert (refused.status_code, refused.json()["code"]) == (507, "PC007")
        # What was done is there, and it is written down who tried.
        assert student.get("/runs").status_code == 200
        deadline = time.monotonic() + cellar.TIMEOUT
        while not (acts := student.get("/audit?action=run.end").json()["records"]):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert [act["outcome"] for act in acts] == ["failed"]
        cell = nbformat.v4.new_code_cell("select 41 + 1")
        made = nbformat.v4.new_notebook(cells=[cell])
        nbformat.write(made, notebook := fresh_cli.home / "n.ipynb")
        assert fresh_cli.json("run", str(notebook))["cells"][0]["error"] is None


async def test_what_the_system_forbids_is_done_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a container, where root has not all of its rights."""

    def forbidden(*_: object) -> None:
        raise PermissionError("not permitted")

    process = processes.find(os.getpid())
    assert process is not None
    for name in ("sched_setaffinity", "setpriority"):
        monkeypatch.setattr(os, name, forbidden)
    monkeypatch.setattr(pathlib.Path, "write_text", forbidden)
    monkeypatch.setenv("PATH", "/nowhere")
    await restraints.apply(process, restraints.Restraints(memory=1 << 40, processors=1), None)
    said = "\n".join(caplog.messages)
    assert "memory of sessions is not bounded" in said
    assert said.count("not permitted") == 3


def test_nothing_is_left_running_whose_restraints_are_not_known(cellar_home: pathlib.Path) -> None:
    async def unknown(owner: str) -> restraints.Restraints:
        raise errors.Unauthenticated("There is no account.")

    with cellar.Cellar(cellar_home, spares=0) as services:
        services.app._environments._restraints = unknown
        ran = services.start_for("ann", ["select 1"]).result(cellar.TIMEOUT)
        assert ran.done.error is not None
        assert ran.done.error.message == "There is no account."
        assert list((cellar_home / "home" / "sandboxes").glob("*")) == []
