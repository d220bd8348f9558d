"""One trace from a program or a kernel, by the gateway and the runner, to PostgreSQL's statements.

All of them are real processes, and so is who they send their spans to: OTLP over HTTP.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import http.server
import threading
import time
from collections.abc import Iterator

import nbclient
import nbformat
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from tests import cellar
from tests.fixtures_central import central_gateway
from tests.fixtures_service import CommandLine, notebook_json

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CELLS = ["create table t as select 1 as x", "select 'treasure', x from t"]
RUN = {
    "notebook": "n",
    "cells": [{"id": f"c{i}", "source": source} for i, source in enumerate(CELLS)],
    "head": 1,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """A span as it came."""

    process: str
    name: str
    trace: str
    id: str
    parent: str
    about: dict[str, str]


class Collector:
    """Who spans are sent to."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.heard = b""
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, body: bytes) -> None:
        """Read what was sent."""
        self.heard += body
        for sent in trace_service_pb2.ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {each.key: each.value.string_value for each in sent.resource.attributes}
            for scope in sent.scope_spans:
                self.spans += [
                    Span(
                        process=named["service.name"],
                        name=span.name,
                        trace=span.trace_id.hex(),
                        id=span.span_id.hex(),
                        parent=span.parent_span_id.hex(),
                        about={each.key: each.value.string_value for each in span.attributes},
                    )
                    for span in scope.spans
                ]

    def the(self, process: str, name: str, parent: str | None = None) -> Span:
        """A span, once it has come; they are sent some seconds late."""
        deadline = time.monotonic() + cellar.TIMEOUT
        while True:
            for span in self.spans:
                if (span.process, span.name) == (process, name) and parent in (None, span.parent):
                    return span
            assert time.monotonic() < deadline, self.spans
            time.sleep(0.1)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """One that listens."""
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_programs_run_is_one_trace(fresh_cli: CommandLine, collector: Collector) -> None:
    config = f"c.Telemetry.traces = {collector.url!r}\n"
    with (
        central_gateway(fresh_cli, f"--Gateway.traces={collector.url}", config=config) as central,
        central.anonymous() as ann,
    ):
        shown = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        assert ann.post("/runs", json=RUN, headers=shown).status_code == 202
        asked = collector.the("pgcellar-gateway", "POST /runs", PARENT)
        run = collector.the("pgcellar", "run", asked.id)
        statement = collector.the("pgcellar", "statement", run.id)
        assert {span.trace for span in (asked, run, statement)} == {TRACE}
        assert asked.about["http.route"] == "/runs"
        assert statement.about["db.system.name"] == "postgresql"
        # Without a parent a trace begins at the gateway.
        ann.get("/me")
        assert collector.the("pgcellar-gateway", "GET /me").parent == ""
        assert b"treasure" not in collector.heard
        assert ann.headers["Authorization"].encode() not in collector.heard


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_kernels_cell_is_one_trace(
    kernel_home: CommandLine, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = kernel_home.home / "home"
    kernel_home("service", "stop")
    home.mkdir(exist_ok=True, mode=0o711)
    settings = home / "pgcellar_config.py"
    settings.write_text(f"c = get_config()\nc.Telemetry.traces = {collector.url!r}\n")
    monkeypatch.setenv("PGCELLAR_TRACES", collector.url)
    notebook = nbformat.from_dict(notebook_json(CELLS))
    with contextlib.chdir(kernel_home.home):
        nbclient.NotebookClient(notebook, kernel_name="pgcellar").execute()
        kernel_home("service", "stop")
    cell = collector.the("pgcellar-kernel", "cell")
    run = collector.the("pgcellar", "run", cell.id)
    statement = collector.the("pgcellar", "statement", run.id)
    assert cell.trace == run.trace == statement.trace
    assert cell.about["pgcellar.cell"]
    assert b"treasure" not in collector.heard
    settings.unlink()
