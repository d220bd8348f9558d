"""pgcellar.telemetry: numbers, names of routes, logs, and spans."""

from __future__ import annotations

import asyncio
import contextvars
import io
import json
import logging
import socket
import subprocess
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
import tornado.httputil
from opentelemetry.sdk import trace
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.export import in_memory_span_exporter
from opentelemetry.trace import SpanKind, StatusCode

from pgcellar.api import errors, identities, loglines, records
from pgcellar.telemetry import gauges, logs, metrics, routes, tracing
from pgcellar.web import calls

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
SECRET = "hunter2xyzzy"


def report(source: records.Source, ms: float = 1.0, **more: Any) -> records.CellReport:
    """The report on a cell."""
    return records.CellReport(id="c", state="s" * 64, effect="write", source=source, ms=ms, **more)


TOTALS = records.Totals(hits=0, replayed=0, ms=10.0, planning_ms=1.0)


def done(*cells: records.CellReport, sqlstate: str | None = None, **totals: Any) -> records.Done:
    """The end of a run."""
    return records.Done(
        cells=cells,
        totals=records.Totals(
            **{"hits": 0, "replayed": 0, "ms": 10.0, "planning_ms": 1.0, **totals}
        ),
        sandbox=records.SandboxInfo(
            name="x", status="running", server_version="18", copy_on_write=True
        ),
        error=sqlstate and records.SqlError(sqlstate=sqlstate, message="m"),
    )


# --- metrics -----------------------------------------------------------------------------------


def test_labels_are_bounded() -> None:
    """Whatever clients send, the number of series does not grow."""
    counted = metrics.Metrics()
    known = routes.Routes(["/api/v1/runs$", "/api/v1/runs/([0-9a-f]+)/cancel$"])
    for n in range(500):
        counted.request(f"M{n}", known.of(f"/x/{n}"), 404, 0.1)
        counted.request("POST", known.of(f"/api/v1/runs/{n:x}/cancel"), 200, 0.1)
        counted.done(done(report("head")), f"kind{n}")
    assert counted.render("")[0].count(b"\npgcellar_requests_total{") == 2
    assert counted.render("")[0].count(b"\npgcellar_runs_total{") == 1
    assert b'route="/api/v1/runs/{}/cancel"' in counted.render("")[0]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (
            "/api/v1/accepted/([0-9a-f]{32})/results/([0-9]{1,4})\\.csv$",
            "/api/v1/accepted/{}/results/{}.csv",
        ),
        ("/files/names/(.+)", "/files/names/{}"),
        ("/a/(?:b|c)/([^/)]+)", "/a/(?:b|c)/{}"),
    ],
)
def test_templates_of_routes(pattern: str, expected: str) -> None:
    assert routes.template(pattern) == expected


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [(None, "done"), ("57014", "cancelled"), ("22012", "failed"), ("42P01", "failed"),
     ("PC006", "lost"), ("57P01", "lost"), ("53100", "lost"), ("08006", "lost"),
     ("PC008", "failed"),     ("PC010", "failed"), ("PC009", "failed")],
)  # fmt: skip
def test_outcomes(sqlstate: str | None, expected: str) -> None:
    assert metrics.outcome(done(sqlstate=sqlstate).error) == expected


def test_the_parts_of_a_run_are_the_whole() -> None:
    ran = done(report("hit"), report("replayed", 4), report("head", 3), hits=1, replayed=1)
    assert metrics.phases(ran) == {"planning": 1.0, "replay": 4.0, "head": 3.0, "binding": 2.0}
    assert metrics.phases(done(report("hit"), hits=1)) == {"planning": 1.0}
    assert metrics.phases(done()) == {}


def test_a_registry_of_its_own() -> None:
    one, other = metrics.Metrics(), metrics.Metrics()
    one.request("GET", "/x", 429, 0.1)
    assert one.registry.get_sample_value("pgcellar_denials_total", {"reason": "limit"}) == 1
    assert other.registry.get_sample_value("pgcellar_denials_total", {"reason": "limit"}) is None


async def test_a_control_database_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "ALIVE_SECONDS", 0.05)

    async def fail() -> None:
        raise errors.ServiceUnavailable

    async def hang() -> None:
        await asyncio.Event().wait()

    async def answer() -> None:
        pass

    for control, expected in ((fail, 0), (hang, 0), (answer, 1)):
        counted = metrics.Metrics()
        now = gauges.Gauges(
            gauges.Sources(
                sandboxes=lambda: {"running": 2, "stopped": 1},
                snapshots=lambda: (3, 4096),
                disk_free=lambda: 5,
                active_runs=lambda: 1,
                queued_runs=lambda: 2,
                audit=lambda: (0, 1, 2, 3, 4),
                audit_up=lambda: True,
                control=control,
                version="1",
            )
        )
        counted.add(now)
        await now.refresh()
        value = counted.registry.get_sample_value
        assert value("pgcellar_control_up") == expected
        assert value("pgcellar_sandboxes", {"status": "running"}) == 2
        assert value("pgcellar_snapshot_bytes") == 4096
        assert value("pgcellar_audit_lost_total") == 4


def test_the_kernel_and_the_client_do_not_import_metrics() -> None:
    code = (
        "import sys, pgcellar_kernel.kernel, pgcellar.api.client, pgcellar.cli.main\n"
        "assert not {'prometheus_client', 'opentelemetry'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_service_without_traces_does_not_import_opentelemetry() -> None:
    code = "import sys, pgcellar.app\nassert 'opentelemetry' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- logs --------------------------------------------------------------------------------------


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before."""
    found = logging.getLogger()
    handlers, level = found.handlers[:], found.level
    yield found
    found.handlers[:] = handlers
    found.setLevel(level)


def in_a_run(work: Any) -> None:
    """Log as a run of a request does."""

    def inside() -> None:
        identity = identities.Identity(subject="s", name="n", kind="os")
        with socket.socket() as peer:
            connection: Any = types.SimpleNamespace(stream=types.SimpleNamespace(socket=peer))
            headers = tornado.httputil.HTTPHeaders({"Host": "h", "traceparent": TRACEPARENT})
            start = tornado.httputil.RequestStartLine("GET", "/", "HTTP/1.1")
            request = tornado.httputil.HTTPServerRequest(
                headers=headers, connection=connection, start_line=start
            )
            calls.begin(request, identity)
        calls.run.set("abc")
        work()

    contextvars.copy_context().run(inside)


def test_json_logs(root: logging.Logger) -> None:
    out = io.StringIO()
    logs.configure("json", "INFO", out)
    logger = logging.getLogger("pgcellar.x")

    def work() -> None:
        logger.info("two\nlines of %s", f"password={SECRET}")
        try:
            raise ValueError(f"pgc_{SECRET}")
        except ValueError:
            logger.exception("failed")
        logger.debug("nobody sees this")

    in_a_run(work)
    logger.info("outside")
    first, second, third = map(json.loads, out.getvalue().splitlines())
    assert first["message"] == "two\nlines of password=***"
    assert (first["run"], first["trace"], first["level"]) == ("abc", TRACE, "INFO")
    assert "ValueError" in second["error"]
    assert "run" not in third
    assert SECRET not in out.getvalue()


def test_text_logs_can_not_be_forged(root: logging.Logger) -> None:
    out = io.StringIO()
    logs.configure("text", "INFO", out)
    in_a_run(
        lambda: logging.getLogger("a").info("x\n2026-01-01 INFO root token=%s \r forged", SECRET)
    )
    (line,) = out.getvalue().splitlines()
    assert line.endswith("run=abc")
    assert SECRET not in line
    out.truncate(0)
    try:
        raise ValueError(f"\n2026-01-01 forged \x1b[31m \u202e password={SECRET}")
    except ValueError:
        logging.getLogger("a").exception("\x1b[31m\x85\u2028x")
    first, *rest = out.getvalue().lstrip("\0").split("\n")
    assert first.endswith(r"\x1b[31m\x85\u2028x")
    assert all(line.startswith("    ") for line in rest[:-1])
    # Nor is there anything for a terminal to obey, or that turns a line around.
    assert out.getvalue().lstrip("\0").replace("\n", "").isprintable()
    assert r"forged \x1b[31m \u202e" in out.getvalue()
    assert SECRET not in out.getvalue()


@pytest.mark.parametrize("said", [TRACEPARENT[:-1], TRACEPARENT.upper(), "x" * 55, "00-\n-a-b"])
def test_what_is_no_trace_is_in_no_line(root: logging.Logger, said: str) -> None:
    assert loglines.trace(said) is None
    assert loglines.trace(TRACEPARENT) == TRACE


# --- traces ------------------------------------------------------------------------------------


def collecting() -> tuple[tracing.On, in_memory_span_exporter.InMemorySpanExporter]:
    """Traces kept in memory."""
    exporter = in_memory_span_exporter.InMemorySpanExporter()
    provider = trace.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    return tracing.On(provider), exporter


async def ran(on: tracing.Tracing, traceparent: str | None, *events: records.Event) -> list[Any]:
    """What comes through of a run."""
    seen: list[records.Event] = []

    async def emit(event: records.Event) -> None:
        seen.append(event)

    async with on.watch(emit, traceparent) as tell:
        for event in events:
            await tell(event)
    return seen


EVENTS = (
    records.Started(run="r1"),
    records.Completed(statement=0, command="INSERT 0 5", row_count=5, truncated=False, ms=2.0),
    records.Completed(statement=1, command="SELECT 1", row_count=1, truncated=False, ms=1.0),
    done(report("hit"), report("replayed", 4), report("head", 3), hits=1, replayed=1),
)


async def test_a_runs_spans_hang_below_the_gateways() -> None:
    on, exporter = collecting()
    assert await ran(on, TRACEPARENT, *EVENTS) == list(EVENTS)
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert sorted(spans) == ["planning", "replay", "run", "statement"]
    run = spans["run"]
    assert all(f"{span.context.trace_id:032x}" == TRACE for span in spans.values())
    assert f"{run.parent.span_id:016x}" == TRACEPARENT[36:52]
    assert run.kind == SpanKind.SERVER
    assert run.attributes["pgcellar.run"] == "r1"
    assert run.attributes["pgcellar.replayed"] == 1
    for name in ("planning", "replay", "statement"):
        assert spans[name].parent.span_id == run.context.span_id
    assert spans["replay"].kind == spans["statement"].kind == SpanKind.CLIENT
    assert spans["replay"].end_time - spans["replay"].start_time == 4_000_000
    statements = [s for s in exporter.get_finished_spans() if s.name == "statement"]
    assert [s.attributes["db.operation.name"] for s in statements] == ["INSERT", "SELECT"]
    assert statements[0].attributes["db.response.returned_rows"] == 5
    on.close()


@pytest.mark.parametrize("traceparent", [None, "", "garbage", "00-0-0-01", "ff-" + "a" * 5000])
async def test_without_a_parent_a_trace_begins(traceparent: str | None) -> None:
    on, exporter = collecting()
    await ran(on, traceparent, *EVENTS)
    (run,) = [span for span in exporter.get_finished_spans() if span.name == "run"]
    assert run.parent is None
    on.close()


async def test_errors_in_spans() -> None:
    on, exporter = collecting()
    await ran(on, None, done(report("head"), sqlstate="22012"))
    await ran(on, None, done(report("head"), sqlstate="57014"))
    failed, cancelled = [s for s in exporter.get_finished_spans() if s.name == "run"]
    assert failed.status.status_code == StatusCode.ERROR
    assert failed.attributes["db.response.status_code"] == "22012"
    assert cancelled.status.status_code == StatusCode.UNSET
    on.close()


async def test_no_traces() -> None:
    off = tracing.Off()
    assert await ran(off, TRACEPARENT, *EVENTS) == list(EVENTS)
    off.close()


async def test_an_exporter_is_made() -> None:
    on = tracing.exporting("http://127.0.0.1:9/v1/traces")
    on.close()
