"""`GET /metrics`, on the service's socket and, where wanted, on a port for Prometheus alone."""

from __future__ import annotations

import tornado.web

from pgcellar.telemetry import gauges, metrics


class Metrics(tornado.web.RequestHandler):
    """What Prometheus scrapes. It tells nothing of anybody."""

    public = True

    def initialize(self, counted: metrics.Metrics, now: gauges.Gauges) -> None:
        """See the routes in `pgcellar.observing`."""
        self.counted = counted
        self.now = now

    async def get(self) -> None:
        """All metrics."""
        await self.now.refresh()
        body, kind = self.counted.render(self.request.headers.get("Accept", ""))
        self.set_header("Content-Type", kind)
        self.finish(body)
