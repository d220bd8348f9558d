"""HTTP with connections that are kept, on Tornado's own HTTP/1.1 code: Unix sockets, TCP, TLS.

Tornado's client makes a connection per request, which costs more than a short query does.
"""

from __future__ import annotations

import os
import select
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
#: Methods of requests that do no more when they come twice, and the header that makes others so.
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
KEY = "Idempotency-Key"

OnChunk = Callable[[bytes], Awaitable[None]]
OnStart = Callable[[int, tornado.httputil.HTTPHeaders], None]


class NotListening(Exception):
    """Nobody listens at the socket, or whoever did is gone, without a word of an answer.

    The request may be sent again: it was not sent, or does no more when it comes twice.
    """


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
    """Requests to one server; `host` is the name it is asked by. `idle` connections are kept."""

    def __init__(self, dial: Dial, host: str = "pgcellar", *, idle: int = _MAX_IDLE) -> None:
        self._most_idle = idle
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
        again: bool = False,
    ) -> int:
        """Send a request; `on_chunk` gets the answer's body as it comes. The answer's status.

        `on_start` gets the status and the headers before that. `again` says of a POST that it does
        no more when it comes twice; others, without a key, are never sent twice.

        Raises NotListening, or ServiceUnavailable if the connection breaks. Cancelling the task
        closes the connection.
        """
        again = again or method in _REPEATABLE or KEY in (headers or {})
        start = tornado.httputil.RequestStartLine(method, path, "HTTP/1.1")
        given = tornado.httputil.HTTPHeaders(
            {
                "Host": self._host,
                "Content-Type": "application/json",
                **(headers or {}),
                "Content-Length": str(len(body or b"")),
            }
        )

        async def ask(stream: tornado.iostream.IOStream) -> int:
            answer = _Answer(stream, on_chunk, on_start)
            return await self._exchange(stream, start, given, body or b"", answer, again)

        while self._idle:
            # One that was kept may have been closed at the other end meanwhile.
            kept = self._idle.pop()
            if _over(kept):
                kept.close()
                continue
            try:
                return await ask(kept)
            except NotListening:
                # Nothing came back.
                continue
        return await ask(await self._connect())

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
        again: bool,
    ) -> int:
        connection = tornado.http1connection.HTTP1Connection(
            stream,
            True,
            tornado.http1connection.HTTP1ConnectionParameters(
                no_keep_alive=False, max_body_size=MAX_BODY
            ),
        )
        local = not stream.closed() and stream.socket.family == socket.AF_UNIX
        try:
            connection.write_headers(start, headers, body)
            connection.finish()
            await connection.read_response(answer)
        except tornado.iostream.StreamClosedError:
            pass
        except BaseException:
            stream.close()
            raise
        if answer.refused is not None:
            stream.close()
            raise answer.refused
        if answer.complete:
            if not stream.closed() and len(self._idle) < self._most_idle:
                self._idle.append(stream)
            else:
                stream.close()
            return answer.status
        stream.close()
        # A Unix socket is reset, rather than ended, where what was sent had not been read.
        unread = local and isinstance(stream.error, ConnectionError)
        if answer.status == 0 and (again or unread):
            raise NotListening("the connection was closed without an answer")
        if answer.status == 0:
            raise errors.ServiceUnavailable(
                "The pgcellar service ended before it had answered.",
                hint="It may have done what was asked: look before you ask again.",
            )
        raise errors.ServiceUnavailable(
            "The pgcellar service ended before it had answered.",
            hint="Run the cell again: the service starts anew by itself.",
        )


def _over(kept: tornado.iostream.IOStream) -> bool:
    """Whether a connection that nobody uses is closed, or about to be: nothing else comes by it."""
    if kept.closed():
        return True
    looked = select.poll()
    looked.register(kept.fileno(), select.POLLIN)
    return bool(looked.poll(0))


class _Answer(tornado.httputil.HTTPMessageDelegate):
    """Receives one answer."""

    def __init__(
        self, stream: tornado.iostream.IOStream, on_chunk: OnChunk, on_start: OnStart | None
    ) -> None:
        self._stream = stream
        self._on_chunk = on_chunk
        self._on_start = on_start
        self.status = 0
        self.complete = False
        #: Why no more of the body is taken.
        self.refused: BaseException | None = None

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

    async def data_received(self, chunk: bytes) -> None:
        """A part of the body came; the next is read when this one has been taken.

        Tornado would log what goes wrong here with a traceback, though a reader has only left.
        """
        if self.refused is not None:
            return
        try:
            await self._on_chunk(chunk)
        except BaseException as exc:
            self.refused = exc
            self._stream.close()

    def finish(self) -> None:
        """The answer is whole."""
        self.complete = True
