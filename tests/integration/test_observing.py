"""A running service, watched: acts, metrics, logs and traces of what really happens in it."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import datetime
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

from pgcellar.api import auditing, errors
from pgcellar.audit import chain, verifying
from pgcellar.audit import store as audit_store
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


def test_the_end_of_a_run_says_what_it_took(cellar: Cellar) -> None:
    cells = ["create table t (a int)", "insert into t values (1), (2), (3)"]
    runs = [cellar.run([*cells, head]) for head in ("select * from t", "select count(*) from t")]
    assert [ran.sources for ran in runs] == [
        ["replayed", "replayed", "head"],
        ["hit", "hit", "head"],
    ]
    ends = [entry.resources for entry in cellar.written("run.end", 2)]
    assert [(end["rows"], end["hits"], end["replayed"]) for end in ends] == [(3, 0, 2), (1, 2, 0)]
    for end, ran in zip(ends, runs, strict=True):
        assert end["ms"] == round(ran.done.totals.ms, 3) > 0


def test_sandboxes_begin_and_end_in_the_audit_log(cellar_home: pathlib.Path) -> None:
    """Begun by whoever came; stopped when idle, replaced and stopped at the end by the service."""
    config = traitlets.config.Config({"ServiceApp": {"sandbox_idle_timeout": 0.5, "spares": 0}})
    with Cellar(cellar_home, config=config) as cellar:
        cellar.run(["select 1"])
        (first,) = cellar.written("environment.start")
        (idle,) = cellar.written("environment.stop")
    assert (first.subject, first.outcome, first.details) == (OWNER, "done", {"how": "new"})
    assert (idle.subject, idle.kind, idle.target) == ("pgcellar", "service", first.target)
    assert idle.details == {"owner": OWNER, "reason": "it was idle"}
    with Cellar(cellar_home, spares=0) as cellar:
        cellar.run(["select 1, 2"])
        again = cellar.written("environment.start", 2)[1]
        assert (again.target, again.details) == (first.target, {"how": "again"})
        cellar.kill_sandbox()
        cellar.run(["select 1, 2, 3"])
        (replaced,) = cellar.written("environment.replace")
        assert (replaced.subject, replaced.target) == ("pgcellar", first.target)
        assert replaced.details == {"owner": OWNER, "reason": "it did not end in order"}
        new = cellar.written("environment.start", 3)[2]
        assert new.details == {"how": "new"}
        assert new.target != first.target
    with Cellar(cellar_home) as cellar:
        last = cellar.written("environment.stop", 2)[1]
        assert last.target == new.target
        assert last.details == {"owner": OWNER, "reason": "the service ends"}


def test_states_that_are_given_up_are_written_down(cellar_home: pathlib.Path) -> None:
    """By the service, with whose they were, each of them once."""
    with Cellar(cellar_home, snapshot_count=2) as cellar:
        cells = [f"create table t{n} as select generate_series(1, 100)" for n in range(4)]
        for head in range(len(cells)):
            cellar.run(cells, head)
            cellar.quiet()
        metrics = cellar.app._observing.metrics.registry
        gone = metrics.get_sample_value("pgcellar_snapshot_evictions_total")
        sandbox = cellar.call(cellar.sandbox()).name
    assert gone is not None
    assert gone >= 2
    with Cellar(cellar_home) as cellar:
        told = cellar.written("state.evict")
    assert {(each.subject, each.target, each.details["owner"]) for each in told} == {
        ("pgcellar", sandbox, OWNER)
    }
    states = [state for each in told for state in each.details["states"]]
    assert len(states) == len(set(states)) == sum(each.details["count"] for each in told) == gone


def test_a_cancelled_run_has_an_end(cellar: Cellar) -> None:
    future = cellar.start(["select pg_sleep(60)"])
    while not cellar.runner._runs:
        pass
    future.cancel()
    (end,) = cellar.written("run.end")
    assert end.outcome == "failed"
    assert end.subject == OWNER
    assert end.details["error"]["sqlstate"] == "57014"


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


def test_old_days_are_given_up_and_that_is_written_down(cellar_home: pathlib.Path) -> None:
    """By the service itself, as its settings say."""
    today = datetime.datetime.now(datetime.UTC).date()
    ages = (13, 12, 11, 9)
    act = auditing.Act(
        subject="ann", name="", kind="os", action="x.do", target="", outcome="done"
    )  # fmt: skip

    async def age(records: audit_store.AuditStore) -> None:
        for days in ages:
            day = today - datetime.timedelta(days=days)
            at = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
            entry = chain.entry(dataclasses.replace(act, target=f"{days}"), at)
            await records.append([entry], today=day)

    async def kept(records: audit_store.AuditStore, targets: set[str]) -> list[chain.Entry]:
        """The acts that are left, once those with some targets are among them."""
        async with asyncio.timeout(30):
            while True:
                found = await records.find(audit_store.Filters(), limit=50, newest_first=False)
                if targets <= {record.entry.target for record in found}:
                    return [record.entry for record in found]
                await asyncio.sleep(0.05)

    with Cellar(cellar_home) as cellar:
        cellar.call(age(cellar.app._observing._records))
        found = cellar.call(kept(cellar.app._observing._records, {str(days) for days in ages}))
        assert len(found) == len(ages), "none is given up where nothing is said"
    old = [(today - datetime.timedelta(days=days)).isoformat() for days in (13, 12, 11)]
    config = traitlets.config.Config({"Audit": {"keep_days": 10}})
    with Cellar(cellar_home, config=config) as cellar:
        records = cellar.app._observing._records
        found = cellar.call(kept(records, set(old)))
        assert [each.target for each in found if each.action == "x.do"] == ["9"]
        expired = [each for each in found if each.action == "audit.expire"]
        assert [(each.target, each.details) for each in expired] == [
            (day, {"records": 1}) for day in old
        ]
        assert {(each.subject, each.kind, each.outcome) for each in expired} == {
            ("pgcellar", "service", "done")
        }
        verdict = cellar.call(verifying.verify(records))
        assert (verdict.findings, verdict.expired) == ((), len(old))


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

        async def actions() -> list[str]:
            async with asyncio.timeout(30):
                while observing.log.spooled[0] or observing._runs._writing:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            runs = audit_store.Filters(action="run.*")
            found = await store.find(runs, limit=10, newest_first=False)
            assert (await verifying.verify(store)).findings == ()
            return [record.entry.action for record in found]

        assert cellar.call(actions()) == ["run.start", "run.end"]
