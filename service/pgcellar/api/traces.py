"""OpenTelemetry spans of this process, as an option: without it nothing of that is imported.

A span's `traceparent` (W3C Trace Context) goes along with a request, so that what is done for it in
another process hangs below the span.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol

from pgcellar.api import errors

Kind = Literal["server", "client"]


class Span(Protocol):
    """Something that goes on."""

    @property
    def traceparent(self) -> str | None:
        """What names it to other processes; None if nothing does."""

    def tell(self, name: str, value: str | int) -> None:
        """Add an attribute."""

    def fail(self) -> None:
        """It went wrong."""


class Traces(Protocol):
    """Makes spans."""

    def span(
        self, name: str, kind: Kind, traceparent: str | None, about: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[Span]:
        """While this is held a span lasts, below the one that is named, if any."""

    def close(self) -> None:
        """Send what has not been sent."""


class _Nothing:
    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent

    def tell(self, name: str, value: str | int) -> None:
        """Nobody listens."""

    def fail(self) -> None:
        """Nobody listens."""


class Off:
    """No spans; what came goes on."""

    @contextlib.contextmanager
    def span(
        self, name: str, kind: Kind, traceparent: str | None, about: Mapping[str, str]
    ) -> Iterator[Span]:
        """See `Traces`."""
        yield _Nothing(traceparent)

    def close(self) -> None:
        """Nothing to send."""


class _Span:
    def __init__(self, span: Any, traceparent: str | None) -> None:
        self._span = span
        self.traceparent = traceparent

    def tell(self, name: str, value: str | int) -> None:
        """See `Span`."""
        self._span.set_attribute(name, value)

    def fail(self) -> None:
        """See `Span`."""
        from opentelemetry import trace

        self._span.set_status(trace.StatusCode.ERROR)


class On:
    """Spans to a tracer provider."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry.trace.propagation import tracecontext

        self._provider = provider
        self._tracer = provider.get_tracer("pgcellar")
        self._propagator = tracecontext.TraceContextTextMapPropagator()

    @contextlib.contextmanager
    def span(
        self, name: str, kind: Kind, traceparent: str | None, about: Mapping[str, str]
    ) -> Iterator[Span]:
        """See `Traces`."""
        from opentelemetry import context, trace

        carrier = {} if traceparent is None else {"traceparent": traceparent}
        # Whatever this thread happens to be in is no parent.
        parent = self._propagator.extract(carrier, context.Context())
        kinds = {"server": trace.SpanKind.SERVER, "client": trace.SpanKind.CLIENT}
        span = self._tracer.start_span(name, parent, kind=kinds[kind], attributes=about)
        named: dict[str, str] = {}
        self._propagator.inject(named, trace.set_span_in_context(span, context.Context()))
        try:
            yield _Span(span, named.get("traceparent"))
        finally:
            span.end()

    def close(self) -> None:
        """See `Traces`."""
        self._provider.shutdown()


def provider(endpoint: str, name: str) -> Any:
    """Spans of a process with a name go to a collector that takes OTLP over HTTP.

    Raises Unsupported without the extra.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http import trace_exporter
        from opentelemetry.sdk import resources, trace
        from opentelemetry.sdk.trace import export
    except ImportError as exc:
        raise errors.Unsupported(
            f"Traces need OpenTelemetry: {exc}.", hint="pip install 'pgcellar[tracing]'"
        ) from exc
    made = trace.TracerProvider(resource=resources.Resource.create({"service.name": name}))
    exporter = trace_exporter.OTLPSpanExporter(endpoint=endpoint)
    made.add_span_processor(export.BatchSpanProcessor(exporter))
    return made


def to(endpoint: str, name: str) -> Traces:
    """Traces to a collector, or none where the endpoint is empty. Raises Unsupported."""
    return On(provider(endpoint, name)) if endpoint else Off()
