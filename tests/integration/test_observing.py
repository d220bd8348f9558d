"""A running service, watched: acts, metrics, logs and traces of what really happens in it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cellar import OWNER, Cellar
from tests.fixtures_service import CommandLine

SECRET = "hunter2xyzzy"


def settings(cli: CommandLine, *lines: str) -> None:
    """Configure a service that has not started yet."""
    home = cli.home / "home"
    home.mkdir(mode=0o711, exist_ok=True)
    (home / "pgcellar_config.py").write_text("\n".join(["c = get_config()", *lines]))


def audit(cli: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    """Audit records, oldest first."""
    done = cli("audit", "export", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_runs_are_written_down_and_the_chain_holds(fresh_cli: CommandLine) -> None:
    cells = ["create table t (a int)", f"create role r password '{SECRET}'", "select 1/0"]
    fresh_cli.run(cells)
    fresh_cli.run(cells, "--head", "1")
    found = audit(fresh_cli)
    actions = [(r["action"], r["outcome"]) for r in found]
    assert actions.count(("run.start", "done")) == actions.count(
        ("run.end", "done")
    ) + actions.count(("run.end", "failed"))
    ends = [r for r in found if r["action"] == "run.end"]
    assert ends[0]["details"]["error"]["sqlstate"] == "22012"
    assert SECRET not in json.dumps(found)
    assert "password '***'" in json.dumps(found)
    verdict = fresh_cli.json("audit", "verify")
    assert verdict["ok"] is True
    assert verdict["anchored"] is True
    assert verdict["records"] == len(found)
    assert fresh_cli("audit", "verify").stdout.startswith("The chain holds")
    shown = fresh_cli("audit", "show", "--action", "run.*", "--limit", "1")
    assert len(shown.stdout.splitlines()) == 1
    rows = list(csv.DictReader(io.StringIO(fresh_cli("audit", "export", "--csv").stdout)))
    assert [row["hash"] for row in rows] == [record["hash"] for record in found]
    refused = fresh_cli("audit", "verify", "--from", "yesterday")
    assert refused.returncode == 2
    assert "is a date" in refused.stderr
    refused = fresh_cli("audit", "export", "--from", "yesterday")
    assert "ISO 8601" in refused.stderr
    log = (fresh_cli.home / "home" / "service.log").read_text()
    assert SECRET not in log


def test_the_policy_for_statements(fresh_cli: CommandLine) -> None:
    settings(fresh_cli, "c.Audit.statements = 'digest'", "c.Telemetry.log_format = 'json'")
    fresh_cli.run(["select 'confidential'"])
    found = audit(fresh_cli)
    assert "confidential" not in json.dumps(found)
    assert len(found[0]["details"]["cells"][0]["digest"]) == 64
    lines = (fresh_cli.home / "home" / "service.log").read_text().splitlines()
    assert all(json.loads(line)["message"] for line in lines)


# --- in this process ---------------------------------------------------------------------------


@pytest.fixture
def cellar(cellar_home: pathlib.Path) -> Iterator[Cellar]:
    """The services in this process."""
    with Cellar(cellar_home) as made:
        yield made


def test_a_runs_numbers_are_counted(cellar: Cellar) -> None:
    metrics = cellar.app._observing.metrics
    cells = ["create table t as select generate_series(1, 3) a", "select * from t"]

    def value(name: str, **labels: str) -> float:
        return metrics.registry.get_sample_value(name, labels) or 0.0

    cellar.run(cells)
    assert value("pgcellar_cells_total", place="tail", source="replayed") == 1
    assert value("pgcellar_cells_total", place="head", source="head") == 1
    cellar.run(cells)
    assert value("pgcellar_cells_total", place="head", source="hit") == 1
    assert value("pgcellar_cells_total", place="tail", source="hit") == 1
    cellar.run(["select 1/0"])
    assert value("pgcellar_runs_total", outcome="failed", identity="other") == 1
    assert value("pgcellar_runs_total", outcome="done", identity="other") == 2
    assert value("pgcellar_rows_total") == 6
    for phase in ("planning", "binding", "replay", "head"):
        assert value("pgcellar_run_phase_seconds_count", phase=phase) >= 1
        assert value("pgcellar_run_phase_seconds_sum", phase=phase) >= 0
    assert value("pgcellar_run_seconds_count") == 3


def test_a_cancelled_run_has_an_end(cellar: Cellar) -> None:
    future = cellar.start(["select pg_sleep(60)"])
    while not cellar.runner._runs:
        pass
    future.cancel()
    store = cellar.app._observing._records

    async def ends() -> list[Any]:
        from pgcellar.audit import store as records

        async with asyncio.timeout(20):
            while not (  # noqa: ASYNC110 - nothing tells of it
                found := await store.find(records.Filters(action="run.end"), limit=5)
            ):
                await asyncio.sleep(0.01)
        return found

    (end,) = cellar.call(ends())
    assert end.entry.outcome == "failed"
    assert end.entry.subject == OWNER
    assert end.entry.details["error"]["sqlstate"] == "57014"
