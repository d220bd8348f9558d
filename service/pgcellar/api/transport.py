"""HTTP with connections that are kept, on Tornado's own HTTP/1.1 code: Unix sockets, TCP, TLS.

Tornado's client makes a connection per request, which costs more than a short query does.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping

import tornado.http1connection
import tornado.httputil
import tornado.iostream
import tornado.tcpclient
import tornado.util

from pgcellar.api import errors

#: The largest answer to a request that is not streamed.
MAX_BODY = 1024 * 1024 * 1024
_MAX_IDLE = 4
CONNECT_SECONDS = 10.0
#: struct ucred: pid, uid, gid.
_PEER = struct.Struct("iII")

OnChunk = Callable[[bytes], Awaitable[None]]
OnStart = Callable[[int, tornado.httputil.HTTPHeaders], None]


class NotListening(Exception):
    """Nobody listens at the socket, or whoever did is gone, without a word of an answer."""


#: Makes a connection. Raises OSError or StreamClosedError.
Dial = Callable[[], Awaitable[tornado.iostream.IOStream]]


def unix(path: str) -> Dial:
    """To a Unix socket of our own account's, or root's. Raises ServiceUnavailable for another's."""

    async def dial() -> tornado.iostream.IOStream:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream = tornado.iostream.IOStream(made, max_buffer_size=MAX_BODY)
        await stream.connect(path)
        uid = peer(made)
        if uid not in (None, 0, os.getuid()):
            stream.close()
            raise errors.ServiceUnavailable(
                f"Whoever listens at {path} is another user.",
                hint="Remove it; the next request starts the service.",
            )
        return stream

    return dial


def peer(connected: socket.socket) -> int | None:
    """The account at the other end of a Unix socket; None where that is not told, or no such."""
    if connected.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
        return None
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return int(_PEER.unpack(raw)[1])


def tcp(host: str, port: int, tls: ssl.SSLContext | None) -> Dial:
    """To a port of a host, by TLS with a context for it."""

    async def dial() -> tornado.iostream.IOStream:
        return await tornado.tcpclient.TCPClient().connect(
            host, port, ssl_options=tls, max_buffer_size=MAX_BODY, timeout=CONNECT_SECONDS
        )

    return dial


class Transport:
    """Requests to one server; `host` is the name it is asked by."""

    def __init__(self, dial: Dial, host: str = "pgcellar") -> None:
        self._dial = dial
        self._host = host
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
                "Host": self._host,
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
        try:
            return await self._dial()
        except (tornado.iostream.StreamClosedError, tornado.util.TimeoutError, OSError) as exc:
            raise NotListening(str(exc)) from exc

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
