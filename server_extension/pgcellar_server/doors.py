"""A server with room for so many connections, whether they say anything or not.

Each of them is a file descriptor, of which a process has so many: without a bound, who opens them
and is silent keeps everybody else out, and the gateway from its service.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

import tornado.httpserver
import tornado.iostream


class Door(tornado.httpserver.HTTPServer):
    """See the module. `most` connections at once, and `each` of one address, 0 for any number.

    Addresses with one `bucket` are one; None is that of proxies, who speak for many.
    """

    def initialize(
        self,
        *args: Any,
        most: int = 0,
        each: int = 0,
        bucket: Callable[[str], str | None] = str,
        **kwargs: Any,
    ) -> None:
        """Tornado's way to be made."""
        super().initialize(*args, **kwargs)
        self._most = most
        self._each = each
        self._bucket = bucket
        self._from: collections.Counter[str | None] = collections.Counter()

    @property
    def total(self) -> int:
        """How many are open."""
        return self._from.total()

    def handle_stream(self, stream: tornado.iostream.IOStream, address: tuple[Any, ...]) -> None:
        """A connection came; one too many is closed without a word, as words would cost."""
        caller = self._bucket(str(address[0]))
        crowded = self._each and caller is not None and self._from[caller] >= self._each
        if crowded or (self._most and self.total >= self._most):
            stream.close()
            return
        self._from[caller] += 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: Any) -> None:
        """A connection is over."""
        caller = self._bucket(str(server_conn.context.address[0]))
        self._from[caller] -= 1
        if not self._from[caller]:
            del self._from[caller]
        super().on_close(server_conn)
