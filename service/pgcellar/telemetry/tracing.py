"""OpenTelemetry spans of runs: the run, and below it planning, replayed cells and statements.

A run's span hangs below the one that the request's `traceparent` names, the gateway's. The spans
are made from a run's events, so that the runner knows nothing of them: what an event says it took
ended when the event came. Statements' texts are in no span.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from pgcellar.api import records, traces

if TYPE_CHECKING:
    from opentelemetry import context, trace

Emit = Callable[[records.Event], Awaitable[None]]

_CANCELLED = "57014"
_SYSTEM = {"db.system.name": "postgresql"}


class Tracing(Protocol):
    """Watches runs."""

    def watch(
        self, emit: Emit, traceparent: str | None
    ) -> contextlib.AbstractAsyncContextManager[Emit]:
        """While this is held a run goes on, which tells its events to what is given."""

    def close(self) -> None:
        """Send what has not been sent."""


class Off:
    """No traces, and no cost."""

    @contextlib.asynccontextmanager
    async def watch(self, emit: Emit, traceparent: str | None) -> AsyncIterator[Emit]:
        """The run as it is."""
        yield emit

    def close(self) -> None:
        """Nothing to send."""


class On:
    """Spans to a tracer provider."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry.trace.propagation import tracecontext

        self._provider = provider
        self._tracer: trace.Tracer = provider.get_tracer("pgcellar")
        self._propagator = tracecontext.TraceContextTextMapPropagator()

    @contextlib.asynccontextmanager
    async def watch(self, emit: Emit, traceparent: str | None) -> AsyncIterator[Emit]:
        """See `Tracing`."""
        from opentelemetry import context, trace

        carrier = {} if traceparent is None else {"traceparent": traceparent}
        # Whatever this thread happens to be in is no parent.
        parent = self._propagator.extract(carrier, context.Context())
        span = self._tracer.start_span("run", parent, kind=trace.SpanKind.SERVER)
        spans = _Run(self._tracer, span, trace.set_span_in_context(span))

        async def tell(event: records.Event) -> None:
            spans.take(event)
            await emit(event)

        try:
            yield tell
        finally:
            span.end()

    def close(self) -> None:
        """See `Tracing`."""
        self._provider.shutdown()


class _Run:
    """The spans of one run."""

    def __init__(self, tracer: trace.Tracer, span: trace.Span, below: context.Context) -> None:
        self._tracer = tracer
        self._span = span
        self._below = below
        self._begin = time.time_ns()

    def take(self, event: records.Event) -> None:
        if isinstance(event, records.Started):
            self._span.set_attribute("pgcellar.run", event.run)
        elif isinstance(event, records.Completed):
            self._statement(event)
        elif isinstance(event, records.Done):
            self._done(event)

    def _statement(self, event: records.Completed) -> None:
        now = time.time_ns()
        attributes: dict[str, str | int] = {
            **_SYSTEM,
            "db.operation.name": event.command.rstrip("0123456789 "),
        }
        if event.row_count is not None:
            attributes["db.response.returned_rows"] = event.row_count
        self._add("statement", now - _ns(event.ms), now, attributes)

    def _done(self, done: records.Done) -> None:
        at = self._begin + _ns(done.totals.planning_ms)
        self._add("planning", self._begin, at, {})
        # A run tells what a replayed cell took, not when: they are shown one after the other.
        for cell in done.cells[:-1]:
            if cell.source == "replayed":
                begin, at = at, at + _ns(cell.ms)
                self._add("replay", begin, at, {**_SYSTEM, "pgcellar.state": cell.state or ""})
        self._span.set_attributes(
            {"pgcellar.hits": done.totals.hits, "pgcellar.replayed": done.totals.replayed}
        )
        if done.cells:
            self._span.set_attribute("pgcellar.source", done.cells[-1].source)
            self._span.set_attribute("pgcellar.state", done.cells[-1].state or "")
        if done.error is not None:
            from opentelemetry import trace

            self._span.set_attribute("db.response.status_code", done.error.sqlstate)
            if done.error.sqlstate != _CANCELLED:
                self._span.set_status(trace.StatusCode.ERROR)
        self._begin = time.time_ns()

    def _add(self, name: str, begin: int, end: int, attributes: Mapping[str, Any]) -> None:
        from opentelemetry import trace

        kind = trace.SpanKind.CLIENT if attributes else trace.SpanKind.INTERNAL
        self._tracer.start_span(
            name, self._below, kind=kind, attributes=attributes, start_time=begin
        ).end(end)


def exporting(endpoint: str) -> On:
    """Traces to a collector that takes OTLP over HTTP. Raises Unsupported without the extra."""
    return On(traces.provider(endpoint, "pgcellar"))


def _ns(ms: float) -> int:
    return int(ms * 1_000_000)
