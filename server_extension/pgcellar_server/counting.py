"""What the central gateway counts for Prometheus; in Jupyter Server, Jupyter counts."""

from __future__ import annotations

from collections.abc import Callable

import prometheus_client
import tornado.httpserver
import tornado.web
from prometheus_client import exposition

#: The label of every path that is no route, and of every method that HTTP does not have.
OTHER = "other"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_DENIED = {401: "unauthenticated", 403: "forbidden", 429: "limit"}
#: Seconds. The gateway itself takes a ms; a run's events take as long as the run.
_LATENCY = (
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
)  # fmt: skip


class Counts:
    """Rate, errors and duration of each route, and what is open now."""

    def __init__(self, opened: Callable[[], float], connected: Callable[[], float]) -> None:
        self.registry = prometheus_client.CollectorRegistry(auto_describe=True)
        self._requests = prometheus_client.Counter(
            "pgcellar_gateway_requests",
            "Requests that the gateway answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = prometheus_client.Histogram(
            "pgcellar_gateway_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ("method", "route"),
            buckets=_LATENCY,
            registry=self.registry,
        )
        self._denials = prometheus_client.Counter(
            "pgcellar_gateway_denials",
            "Requests refused, by the gateway or the services.",
            ("reason",),
            registry=self.registry,
        )
        prometheus_client.Gauge(
            "pgcellar_gateway_open_requests",
            "Requests that are open now, followed runs among them.",
            registry=self.registry,
        ).set_function(opened)
        prometheus_client.Gauge(
            "pgcellar_gateway_connections",
            "Connections that are open now, idle ones among them.",
            registry=self.registry,
        ).set_function(connected)
        prometheus_client.ProcessCollector(registry=self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is a template, never a path."""
        method = method if method in _METHODS else OTHER
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
        if status in _DENIED:
            self._denials.labels(_DENIED[status]).inc()

    def listen(self, port: int, ip: str) -> tornado.httpserver.HTTPServer:
        """A port that answers `/metrics` alone, for Prometheus."""
        server = tornado.httpserver.HTTPServer(
            tornado.web.Application(
                [("/metrics", _Metrics, {"registry": self.registry})],
                log_function=lambda handler: None,
            )
        )
        server.listen(port, address=ip)
        return server


class _Metrics(tornado.web.RequestHandler):
    """What Prometheus scrapes. It tells nothing of anybody."""

    def initialize(self, registry: prometheus_client.CollectorRegistry) -> None:
        """See `Counts.listen`."""
        self.registry = registry

    def get(self) -> None:
        """All metrics, in the best format that is accepted."""
        encode, kind = exposition.choose_encoder(self.request.headers.get("Accept", ""))
        self.set_header("Content-Type", kind)
        self.finish(encode(self.registry))
