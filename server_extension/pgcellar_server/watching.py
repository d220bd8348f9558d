"""What the central gateway counts of a request, and the line that its log has."""

from __future__ import annotations

import logging

import tornado.web

from pgcellar.api import loglines
from pgcellar_server import central_handlers, counting

logger = logging.getLogger(__name__)

#: What somebody asks for again and again who only wants to know whether the gateway lives.
_HEALTH = central_handlers.Health.route

#: Characters of a path, or of what stands for a method: both are anybody's.
_SHOWN = 200


class Watching:
    """See the module."""

    def __init__(self, counts: counting.Counts) -> None:
        self._counts = counts

    def answered(self, handler: tornado.web.RequestHandler) -> None:
        """A request was answered."""
        request, route = handler.request, counting.OTHER
        about: dict[str, object] = {}
        if isinstance(handler, central_handlers.Handler):
            # By the route's template, since a path is whatever somebody asks for.
            route = handler.route
            about = {**handler.about(), "address": handler.address}
        status, seconds = handler.get_status(), request.request_time()
        self._counts.answered(request.method or "", route, status, seconds)
        # Never its query nor its headers, which may have secrets.
        logger.log(
            logging.DEBUG if route == _HEALTH else logging.INFO,
            "%s %s %s %.1f ms",
            (request.method or "")[:_SHOWN],
            request.path[:_SHOWN],
            status,
            seconds * 1000,
            extra={
                loglines.ABOUT: {
                    "method": (request.method or "")[:_SHOWN],
                    "route": route,
                    "status": status,
                    "ms": round(seconds * 1000, 1),
                    **about,
                }
            },
        )
