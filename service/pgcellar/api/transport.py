"""HTTP over a Unix socket with connections that are kept, on Tornado's own HTTP/1.1 code.

Tornado's client makes a connection per request, which costs more than a short query does.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping

import tornado.http1connection
import tornado.httputil
import tornado.iostream

from pgcellar.api import errors

#: The largest answer to a request that is not streamed.
MAX_BODY = 1024 * 1024 * 1024
_MAX_IDLE = 4

OnChunk = Callable[[bytes], Awaitable[None]]
OnStart = Callable[[int, tornado.httputil.HTTPHeaders], None]


class NotListening(Exception):
    """Nobody listens at the socket, or whoever did is gone, without a word of an answer."""


class Transport:
    """Requests to one Unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: list[tornado.iostream.IOStream] = []

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None,
        on_chunk: OnChunk,
        *,
        headers: Mapping[str, str] | None = None,
        on_start: OnStart | None = None,
    ) -> int:
        """Send a request; `on_chunk` gets the answer's body as it comes. The answer's status.

        `on_start` gets the status and the headers before that.

        Raises NotListening, or ServiceUnavailable if the connection breaks. Cancelling the task
        closes the connection.
        """
        start = tornado.httputil.RequestStartLine(method, path, "HTTP/1.1")
        given = tornado.httputil.HTTPHeaders(
            {
                "Host": "pgcellar",
                "Content-Type": "application/json",
                **(headers or {}),
                "Content-Length": str(len(body or b"")),
            }
        )

        def answer() -> _Answer:
            return _Answer(on_chunk, on_start)

        while self._idle:
            # One that was kept may have been closed at the other end meanwhile.
            with contextlib.suppress(NotListening):
                return await self._exchange(self._idle.pop(), start, given, body or b"", answer())
        return await self._exchange(await self._connect(), start, given, body or b"", answer())

    async def _connect(self) -> tornado.iostream.IOStream:
        stream = tornado.iostream.IOStream(
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), max_buffer_size=MAX_BODY
        )
        try:
            await stream.connect(self._path)
        except (tornado.iostream.StreamClosedError, OSError) as exc:
            raise NotListening(str(exc)) from exc
        return stream

    async def _exchange(
        self,
        stream: tornado.iostream.IOStream,
        start: tornado.httputil.RequestStartLine,
        headers: tornado.httputil.HTTPHeaders,
        body: bytes,
        answer: _Answer,
    ) -> int:
        connection = tornado.http1connection.HTTP1Connection(
            stream,
            True,
            tornado.http1connection.HTTP1ConnectionParameters(
                no_keep_alive=False, max_body_size=MAX_BODY
            ),
        )
        try:
            connection.write_headers(start, headers, body)
            connection.finish()
            await connection.read_response(answer)
        except tornado.iostream.StreamClosedError:
            pass
        except BaseException:
            stream.close()
            raise
        if answer.complete:
            if not stream.closed() and len(self._idle) < _MAX_IDLE:
                self._idle.append(stream)
            else:
                stream.close()
            return answer.status
        stream.close()
        if answer.status == 0:
            raise NotListening("the connection was closed without an answer")
        raise errors.ServiceUnavailable(
            "The pgcellar service ended before it had answered.",
            hint="Run the cell again: the service starts anew by itself.",
        )


class _Answer(tornado.httputil.HTTPMessageDelegate):
    """Receives one answer."""

    def __init__(self, on_chunk: OnChunk, on_start: OnStart | None) -> None:
        self._on_chunk = on_chunk
        self._on_start = on_start
        self.status = 0
        self.complete = False

    def headers_received(
        self,
        start_line: tornado.httputil.RequestStartLine | tornado.httputil.ResponseStartLine,
        headers: tornado.httputil.HTTPHeaders,
    ) -> None:
        """The status came."""
        assert isinstance(start_line, tornado.httputil.ResponseStartLine)
        self.status = start_line.code
        if self._on_start is not None:
            self._on_start(start_line.code, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None]:
        """A part of the body came; the next is read when this one has been taken."""
        return self._on_chunk(chunk)

    def finish(self) -> None:
        """The answer is whole."""
        self.complete = True
