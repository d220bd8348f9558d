"""What is counted and measured; `docs/telemetry.md` lists the names and their meaning."""

from __future__ import annotations

from collections.abc import Sequence

import prometheus_client
from prometheus_client import core, exposition, registry

from pgcellar.api import errors, records

#: Seconds. A remembered result takes a few ms, a load from a file minutes.
LATENCY = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
KINDS = ("os", "anonymous", "registered", "service")
#: Labels outside their list.
OTHER = "other"
_DENIED = {401: "unauthenticated", 403: "forbidden", 429: "limit"}
_CANCELLED = "57014"
#: Errors that are the service's fault, or its machine's, and no cell's: some of ours, and
#: PostgreSQL's classes of lost connections and lacking resources.
_OURS = (
    errors.PgcellarError.code,
    errors.ServiceUnavailable.code,
    errors.PostgresNotFound.code,
    errors.PostgresFailed.code,
    errors.SandboxLost.code,
    errors.SandboxFull.code,
    errors.RolesLost.code,
    errors.AuditUnavailable.code,
    "08",
    "53",
    "57P",
    "58",
    "XX",
)


class Metrics:
    """Everything that happens, counted as it happens, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry(auto_describe=True)
        self.requests = self._counter(
            "pgcellar_requests", "HTTP requests answered.", "method", "route", "status"
        )
        self.request_seconds = self._histogram(
            "pgcellar_request_seconds",
            "Time from a request's first byte to its answer's last.",
            "method",
            "route",
        )
        self.denials = self._counter(
            "pgcellar_denials",
            "Requests refused: nobody known, not allowed, or a quota or rate limit reached.",
            "reason",
        )
        self.runs = self._counter(
            "pgcellar_runs",
            "Heads run: done, failed by their own error, cancelled, or failed by the service.",
            "outcome",
            "identity",
        )
        self.cells = self._counter(
            "pgcellar_cells",
            "Cells of runs: state hits and replays of the tail, result hits and runs of the head.",
            "place",
            "source",
        )
        self.phases = self._histogram(
            "pgcellar_run_phase_seconds",
            "Parts of a head's run: planning, binding an instance, replay of the tail, the head.",
            "phase",
        )
        self.run_seconds = self._histogram(
            "pgcellar_run_seconds", "A head's run, from the request to its end."
        )
        self.rows = self._counter("pgcellar_rows", "Rows that heads returned or affected.")
        self.evictions = self._counter(
            "pgcellar_snapshot_evictions", "Snapshots given up for the limits."
        )
        prometheus_client.ProcessCollector(registry=self.registry)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is the template, never the path."""
        method = method if method in METHODS else OTHER
        self.requests.labels(method, route, str(status)).inc()
        self.request_seconds.labels(method, route).observe(seconds)
        if status in _DENIED:
            self.denials.labels(_DENIED[status]).inc()

    def done(self, done: records.Done, kind: str) -> None:
        """A head's run has ended."""
        self.runs.labels(outcome(done.error), kind if kind in KINDS else OTHER).inc()
        totals = done.totals
        self.run_seconds.observe(totals.ms / 1000)
        head = done.cells[-1] if done.cells else None
        hit = head is not None and head.source == "hit"
        self.cells.labels("tail", "hit").inc(totals.hits - hit)
        self.cells.labels("tail", "replayed").inc(totals.replayed)
        if head is not None and head.source in ("head", "hit"):
            self.cells.labels("head", head.source).inc()
        self.rows.inc(max(0, head.rows or 0) if head is not None else 0)
        for phase, ms in phases(done).items():
            self.phases.labels(phase).observe(ms / 1000)

    def add(self, collector: registry.Collector) -> None:
        """Have more collected whenever somebody asks."""
        self.registry.register(collector)

    def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics, and their content type, in the best format that is accepted."""
        encode, kind = exposition.choose_encoder(accept)
        return encode(self.registry), kind

    def _counter(self, name: str, text: str, *labels: str) -> prometheus_client.Counter:
        return prometheus_client.Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(
            name, text, labels, registry=self.registry, buckets=LATENCY
        )


def outcome(error: records.SqlError | None) -> str:
    """How a run ended, in a word of a short list."""
    if error is None:
        return "done"
    if error.sqlstate == _CANCELLED:
        return "cancelled"
    return "lost" if error.sqlstate.startswith(_OURS) else "failed"


def phases(done: records.Done) -> dict[str, float]:
    """The parts of a run, in ms; those it had. What is none of the others is binding."""
    if not done.cells:
        return {}
    head = done.cells[-1]
    found = {"planning": done.totals.planning_ms}
    replay = sum(cell.ms for cell in done.cells[:-1] if cell.source == "replayed")
    if done.totals.replayed:
        found["replay"] = replay
    if head.source == "head":
        found["head"] = head.ms
        found["binding"] = max(0.0, done.totals.ms - sum(found.values()))
    return found


def names(collectors: Sequence[core.Metric]) -> set[str]:
    """The names of all series of some metrics, as queries use them."""
    out = set()
    for metric in collectors:
        suffixes = {
            "counter": ("_total",),
            "histogram": ("_bucket", "_sum", "_count"),
        }.get(metric.type, ("",))
        out |= {metric.name + suffix for suffix in suffixes}
    return out
