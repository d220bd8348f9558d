"""The service over HTTP on its Unix socket. The service is started if it does not run yet."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import tornado.httpclient
import tornado.netutil
import tornado.simple_httpclient

from pgcellar.api import errors, launcher, paths, records

PREFIX = "/api/v1"
#: A run sends progress or rows, or is waiting for the database, for as long as it likes; every
#: other request answers from memory or does bounded work.
REQUEST_TIMEOUT = 60.0
MAX_BODY = 1024 * 1024 * 1024


class _UnixResolver(tornado.netutil.Resolver):
    """Resolves every host to one Unix socket."""

    def initialize(self, path: str) -> None:  # type: ignore[override]
        self._path = path

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        return [(socket.AF_UNIX, self._path)]


class Client:
    """A client of this user's service.

    With `start` (the default) a service that does not answer is started, by whichever client
    comes first.
    """

    def __init__(self, where: paths.Paths | None = None, *, start: bool = True) -> None:
        self._paths = where or paths.current()
        self._start = start
        self._http: tornado.simple_httpclient.SimpleAsyncHTTPClient | None = None

    def close(self) -> None:
        """Drop the connections. The service goes on."""
        if self._http is not None:
            self._http.close()
            self._http = None

    async def run(self, request: records.RunRequest) -> AsyncIterator[records.Event]:
        """The events of one run, the last of which is `Done`.

        Leaving the iterator early ends the run at the server. Raises PgcellarError where the run
        could not begin, or broke off because the service ended.
        """
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        body = json.dumps(records.to_json(request)).encode()
        fetch = asyncio.ensure_future(
            self._fetch("POST", "/runs", body, stream=queue, timeout=0.0)
        )
        fetch.add_done_callback(lambda _: queue.put_nowait(None))
        finished = False
        run = None
        rest = b""
        try:
            while not finished and (chunk := await queue.get()) is not None:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = records.decode(line)
                    if isinstance(event, records.Started):
                        run = event.run
                    finished = isinstance(event, records.Done)
                    yield event
            if not finished:
                await fetch
                raise errors.ServiceUnavailable(
                    "The pgcellar service ended while the cell ran.",
                    hint="Run the cell again: the service starts anew by itself.",
                )
        finally:
            if not finished and run is not None:
                await self.cancel(run)
            with contextlib.suppress(errors.PgcellarError):
                await fetch

    async def cancel(self, run: str) -> None:
        """Cancel a run; returns at once. A run that is over, or unknown, is left alone."""
        with contextlib.suppress(errors.NotFound):
            await self._json("POST", f"/runs/{run}/cancel", {}, start=False)

    async def plan(self, request: records.RunRequest) -> records.Plan:
        """What `run` would do, without doing it."""
        return records.from_json(
            records.Plan, await self._json("POST", "/plans", records.to_json(request))
        )

    async def states(self) -> list[records.StateInfo]:
        """The snapshots of this user's sandbox."""
        body = await self._json("GET", "/states")
        return [records.from_json(records.StateInfo, item) for item in body["states"]]

    async def forget(self, notebook: str) -> None:
        """Give back the instances of a notebook; its snapshots stay."""
        await self._json("POST", "/notebooks/forget", {"notebook": notebook}, start=False)

    async def gc(self) -> dict[str, Any]:
        """Reconcile snapshots and databases, and evict down to the limits; what was done."""
        return await self._json("POST", "/gc", {})

    async def status(self) -> dict[str, Any]:
        """The service's own state: version, pid, sandboxes. Never starts the service."""
        return await self._json("GET", "/service", start=False)

    async def stop(self) -> None:
        """Stop the service and its sandboxes in order; snapshots stay."""
        await self._json("POST", "/service/stop", {}, start=False)

    # --- transport ---------------------------------------------------------------------------

    async def _json(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, start: bool = True
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        raw = await self._fetch(method, path, data, timeout=REQUEST_TIMEOUT, start=start)
        answer: dict[str, Any] = json.loads(raw) if raw else {}
        return answer

    async def _fetch(
        self,
        method: str,
        path: str,
        body: bytes | None,
        *,
        timeout: float,
        start: bool = True,
        stream: asyncio.Queue[bytes | None] | None = None,
    ) -> bytes:
        if self._http is None:
            self._http = tornado.simple_httpclient.SimpleAsyncHTTPClient(
                force_instance=True,
                resolver=_UnixResolver(path=str(self._paths.socket)),
                max_clients=64,
                max_buffer_size=MAX_BODY,
                max_body_size=MAX_BODY,
            )
        failed = bytearray()

        def receive(chunk: bytes) -> None:
            # A problem document comes through the same callback as events do; only the status,
            # known afterwards, tells them apart, so the first bytes are kept.
            if len(failed) < 65536:
                failed.extend(chunk)
            if stream is not None and failed[:9] == b'{"event":':
                stream.put_nowait(chunk)

        request = tornado.httpclient.HTTPRequest(
            f"http://pgcellar{PREFIX}{path}",
            method=method,
            body=body,
            headers={"Content-Type": "application/json"},
            connect_timeout=10.0,
            request_timeout=timeout,
            streaming_callback=None if stream is None else receive,
        )
        launcher.check_owner(self._paths)
        try:
            response = await self._http.fetch(request, raise_error=False)
        except (ConnectionRefusedError, FileNotFoundError) as exc:
            # Nobody listens, so nothing was sent: start the service and say it again.
            if start and self._start:
                await launcher.start(self._paths)
                return await self._fetch(
                    method, path, body, timeout=timeout, start=False, stream=stream
                )
            raise errors.ServiceUnavailable(
                "The pgcellar service does not run.", hint="`pgcellar service start` starts it."
            ) from exc
        except (OSError, tornado.httpclient.HTTPError) as exc:
            raise errors.ServiceUnavailable(
                f"The pgcellar service does not answer at {self._paths.socket}: {exc}",
                hint="See `pgcellar service status`, and the log it names.",
            ) from exc
        content = response.body or bytes(failed)
        if response.code >= 400:
            raise _problem(response.code, content, response.error)
        return content


def _problem(code: int, content: bytes, cause: BaseException | None) -> errors.PgcellarError:
    """The error in an RFC 9457 problem document."""
    try:
        body = json.loads(content)
        return errors.from_code(body["code"], body["detail"], body.get("hint"))
    except (ValueError, KeyError, TypeError):
        return errors.ServiceUnavailable(f"The pgcellar service answered {code}: {cause}")
