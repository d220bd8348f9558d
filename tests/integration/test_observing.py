"""A running service, watched: acts, metrics, logs and traces of what really happens in it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
import traitlets.config
from opentelemetry.sdk import trace
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.export import in_memory_span_exporter
from tests.cellar import OWNER, Cellar
from tests.fixtures_service import CommandLine

from pgcellar.api import errors
from pgcellar.audit import store as audit_store
from pgcellar.audit import verifying
from pgcellar.telemetry import tracing

SECRET = "hunter2xyzzy"


def settings(cli: CommandLine, *lines: str) -> None:
    """Configure a service that has not started yet."""
    home = cli.home / "home"
    home.mkdir(mode=0o711, exist_ok=True)
    (home / "pgcellar_config.py").write_text("\n".join(["c = get_config()", *lines]))


def audit(cli: CommandLine) -> list[dict[str, Any]]:
    """Audit records, oldest first, once every run's end is there: it is written a moment late."""
    deadline = time.monotonic() + 30
    while True:
        done = cli("audit", "export")
        assert done.returncode == 0, done.stderr
        found = [json.loads(line) for line in done.stdout.splitlines()]
        actions = [record["action"] for record in found]
        if actions.count("run.start") == actions.count("run.end") or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


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
    *before, export = rows
    assert [row["hash"] for row in before] == [record["hash"] for record in found]
    assert (export["action"], export["target"]) == ("audit.export", "all")
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
        async with asyncio.timeout(20):
            while not (  # noqa: ASYNC110 - nothing tells of it
                found := await store.find(audit_store.Filters(action="run.end"), limit=5)
            ):
                await asyncio.sleep(0.01)
        return found

    (end,) = cellar.call(ends())
    assert end.entry.outcome == "failed"
    assert end.entry.subject == OWNER
    assert end.entry.details["error"]["sqlstate"] == "57014"


def test_spans_of_a_real_run(cellar: Cellar) -> None:
    exporter = in_memory_span_exporter.InMemorySpanExporter()
    provider = trace.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    cellar.app._observing.tracing = on = tracing.On(provider)
    cellar.run(["create table t (a int)", f"select '{SECRET}'; select 2"])
    spans = exporter.get_finished_spans()
    assert [s.name for s in spans] == ["statement", "statement", "planning", "replay", "run"]
    run = spans[-1]
    for span in spans[:-1]:
        assert span.parent is not None
        assert span.parent.span_id == run.context.span_id
        assert span.start_time >= run.start_time
        assert span.end_time <= run.end_time + 1_000_000
    assert SECRET not in "".join(span.to_json() for span in spans)
    on.close()


class Down(audit_store.AuditStore):
    """A store whose database is down."""

    down = True

    async def append(self, *args: Any, **named: Any) -> audit_store.Place | None:
        if self.down:
            raise errors.ServiceUnavailable("down")
        return await super().append(*args, **named)


@pytest.mark.parametrize("policy", ["spool", "refuse"])
def test_a_run_while_the_audit_logs_database_is_down(
    cellar_home: pathlib.Path, policy: str
) -> None:
    config = traitlets.config.Config({"Audit": {"when_unavailable": policy}})
    with Cellar(cellar_home, config=config) as cellar:
        observing = cellar.app._observing
        observing.log._store = store = Down(cellar.app._db)
        cells = ["create table t (a int)"]
        if policy == "refuse":
            with pytest.raises(errors.AuditUnavailable, match="is down"):
                cellar.run(cells)
            assert not cellar.runner._workspaces, "nothing ran"
            store.down = False
            time.sleep(0.3)
        ran = cellar.run(cells)
        assert ran.done.error is None
        store.down = False

        async def written() -> list[str]:
            async with asyncio.timeout(30):
                while observing.log.spooled[0] or observing._runs._writing:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            found = await store.find(audit_store.Filters(), limit=10, newest_first=False)
            assert (await verifying.verify(store)).findings == ()
            return [record.entry.action for record in found]

        assert cellar.call(written()) == ["run.start", "run.end"]
