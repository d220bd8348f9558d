"""The service over HTTP on its Unix socket. The service is started if it does not run yet."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.parse
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from pgcellar.api import catalogs, errors, launcher, names, paths, problems, records, transport

PREFIX = "/api/v1"
#: Seconds. A run takes as long as its statements do; every other request does bounded work.
REQUEST_TIMEOUT = 60.0
#: Chunks of a run's answer read ahead of a slow reader; then the service waits for it.
_READ_AHEAD = 16


class Client:
    """A client of this user's service.

    With `start` (the default) a service that does not answer is started, by whichever client
    comes first.
    """

    def __init__(self, where: paths.Paths | None = None, *, start: bool = True) -> None:
        self._paths = where or paths.current()
        self._start = start
        self._transport = transport.Transport(transport.unix(str(self._paths.socket)))
        self._launching: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Drop the connections. The service goes on."""
        self._transport.close()

    async def run(
        self, request: records.RunRequest, *, traceparent: str | None = None
    ) -> AsyncGenerator[records.Event, None]:
        """The events of one run, the last of which is a `Done`; one comes for every head.

        `traceparent` names what it is a part of (W3C Trace Context).
        Leaving the iterator early ends the run at the server. Raises PgcellarError where the run
        could not begin, or broke off because the service ended.
        """
        chunks: asyncio.Queue[bytes | None] = asyncio.Queue(_READ_AHEAD)
        body = json.dumps(records.to_json(request)).encode()
        headers = None if traceparent is None else {"Traceparent": traceparent}
        fetch = asyncio.create_task(self._stream("/runs", body, chunks, headers))
        done: records.Done | None = None
        rest = b""
        try:
            while (chunk := await chunks.get()) is not None:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = records.decode(line)
                    if done is not None:
                        yield done
                        done = None
                    if isinstance(event, records.Done):
                        done = event
                    else:
                        yield event
            await fetch
            if done is None:
                raise errors.ServiceUnavailable(
                    "The pgcellar service ended while the cell ran.",
                    hint="Run the cell again: the service starts anew by itself.",
                )
            # Only now is the connection free for the next request.
            yield done
        finally:
            fetch.cancel()
            with contextlib.suppress(asyncio.CancelledError, errors.PgcellarError):
                await fetch

    async def cancel(self, run: str) -> None:
        """Cancel a run; returns at once. A run that is over, or unknown, is left alone."""
        with contextlib.suppress(errors.NotFound):
            await self._json("POST", f"/runs/{run}/cancel", {}, start=False, again=True)

    async def plan(self, request: records.RunRequest, *, wakes: bool = True) -> records.Plan:
        """What `run` would do, without doing it.

        Unless it `wakes`, it raises Conflict where the sandbox was stopped on purpose.
        """
        path = "/plans" if wakes else "/plans?wake=0"
        body = await self._json("POST", path, records.to_json(request), again=True)
        return records.from_json(records.Plan, body)

    async def prepare(self, request: records.RunRequest) -> None:
        """Have what the head will run in prepared in the background."""
        await self._json("POST", "/notebooks/prepare", records.to_json(request), again=True)

    async def page(self, request: records.PageRequest) -> records.Page:
        """Some rows of a long result; the first page may take as long as the statement does.

        Cancelling this ends the run for it, if nobody else asks for the result soon. Raises
        PgcellarError.
        """
        body = await self._json("POST", "/pages", records.to_json(request), within=None, again=True)
        return records.from_json(records.Page, body)

    async def states(self) -> list[records.StateInfo]:
        """The snapshots of this user's sandbox."""
        body = await self._json("GET", "/states")
        return [records.from_json(records.StateInfo, item) for item in body["states"]]

    async def state(self, state: str) -> catalogs.StateDetail:
        """The schema of a state that is kept. Raises NotFound."""
        return records.from_json(catalogs.StateDetail, await self._json("GET", f"/states/{state}"))

    async def find_names(self, request: names.NamesRequest) -> names.NamesFound:
        """The names that a head finds, in the nearest state above it that is kept.

        Nothing is started for it. Raises Conflict if no sandbox runs.
        """
        body = await self._json("POST", "/names", records.to_json(request), start=False, again=True)
        return records.from_json(names.NamesFound, body)

    async def vocabulary(self) -> names.Vocabulary:
        """What PostgreSQL itself brings. Nothing is started. Raises Conflict if no sandbox runs."""
        body = await self._json("GET", "/vocabulary", start=False)
        return records.from_json(names.Vocabulary, body)

    async def diff(self, before: str, after: str) -> catalogs.StateDiff:
        """What two kept states differ in. Raises Conflict where one is not kept."""
        body = await self._json("GET", f"/states/{before}/diff/{after}", within=None)
        return records.from_json(catalogs.StateDiff, body)

    async def pin(self, state: str, *, pinned: bool = True) -> None:
        """Keep a state from being evicted, or don't any more. Raises NotFound, LimitExceeded."""
        await self._json("PUT" if pinned else "DELETE", f"/states/{state}/pin")

    async def tag(self, state: str, tag: str, *, tagged: bool = True) -> None:
        """Name a state, or take its name. Raises NotFound, LimitExceeded."""
        name = urllib.parse.quote(tag, safe="")
        await self._json("PUT" if tagged else "DELETE", f"/states/{state}/tags/{name}")

    async def environments(self) -> list[records.EnvironmentInfo]:
        """The caller's sandboxes. None is started for it."""
        body = await self._json("GET", "/environments")
        return [records.from_json(records.EnvironmentInfo, each) for each in body["environments"]]

    async def stop_environment(self, name: str) -> None:
        """Cancel what runs in a sandbox, and stop it; its states stay. Raises NotFound."""
        await self._json("POST", f"/environments/{name}/stop", {}, again=True)

    async def restart_environment(self, name: str) -> None:
        """Stop a sandbox and start it. Raises NotFound."""
        await self._json("POST", f"/environments/{name}/restart", {})

    async def reset_environment(self, name: str) -> None:
        """Remove a sandbox with its states, pins and tags. Raises NotFound."""
        await self._json("POST", f"/environments/{name}/reset", {"confirm": name})

    async def forget(self, notebook: str) -> None:
        """Give back the instances of a notebook; its snapshots stay."""
        given = {"notebook": notebook}
        await self._json("POST", "/notebooks/forget", given, start=False, again=True)

    async def gc(self) -> dict[str, Any]:
        """Reconcile snapshots and databases, and evict down to the limits; what was done."""
        return await self._json("POST", "/gc", {}, again=True)

    async def status(self) -> dict[str, Any]:
        """The service's own state: version, pid, sandboxes. Never starts the service."""
        return await self._json("GET", "/service", start=False)

    async def audit(self, what: str, **query: str | None) -> dict[str, Any]:
        """What `/audit`, or a path below it, answers. Verifying takes as long as the log is."""
        return await self._json("GET", _query(f"/audit{what}", query), within=None)

    async def audit_export(self, take: transport.OnChunk, **query: str | None) -> None:
        """Give all audit records that fit to `take`, piece by piece. Raises PgcellarError."""
        answer = bytearray()

        async def pick(chunk: bytes) -> None:
            # Problem documents are short, and come in one piece.
            if not answer:
                answer.extend(chunk[:_PROBLEM_BYTES])
            if not answer.startswith(_PROBLEM):
                await take(chunk)

        path = _query("/audit/export", query)
        status = await self._request("GET", path, None, pick, start=True)
        if status >= 400:
            raise problems.error(status, bytes(answer))

    async def administer(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        **query: str | None,
    ) -> dict[str, Any]:
        """A request about accounts, classes, quotas, tokens or keys, and its answer."""
        return await self._json(method, _query(path, query), body)

    async def stop(self) -> None:
        """Stop the service and its sandboxes in order; snapshots stay."""
        await self._json("POST", "/service/stop", {}, start=False)

    async def forward(
        self,
        method: str,
        path: str,
        body: bytes | None,
        take: transport.OnChunk,
        *,
        headers: Mapping[str, str],
        on_start: transport.OnStart,
    ) -> int:
        """A request as it is, for the gateway; see `transport.Transport.request`."""
        return await self._request(
            method, path, body, take, start=True, headers=headers, on_start=on_start
        )

    # --- transport ---------------------------------------------------------------------------

    async def _json(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        start: bool = True,
        within: float | None = REQUEST_TIMEOUT,
        again: bool = False,
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        answer = bytearray()

        async def take(chunk: bytes) -> None:
            answer.extend(chunk)

        try:
            async with asyncio.timeout(within):
                status = await self._request(method, path, data, take, start=start, again=again)
        except TimeoutError:
            raise errors.ServiceUnavailable(
                f"The pgcellar service did not answer within {REQUEST_TIMEOUT:.0f} s."
            ) from None
        if status >= 400:
            raise problems.error(status, bytes(answer))
        found: dict[str, Any] = json.loads(answer or b"{}")
        return found

    async def _stream(
        self,
        path: str,
        body: bytes,
        chunks: asyncio.Queue[bytes | None],
        headers: Mapping[str, str] | None,
    ) -> None:
        """Post, and put the answer's chunks into the queue, None last."""
        first = bytearray()

        async def take(chunk: bytes) -> None:
            # Only the status, which is known at the end, tells a problem document from events.
            if not first or first[:9] != _EVENT:
                first.extend(chunk)
            if first[:9] == _EVENT:
                await chunks.put(chunk)

        try:
            # A head that runs twice leads to the same state.
            status = await self._request(
                "POST", path, body, take, start=True, headers=headers, again=True
            )
            if status >= 400:
                raise problems.error(status, bytes(first))
        except asyncio.CancelledError:
            # Nobody reads any more.
            raise
        except BaseException:
            await chunks.put(None)
            raise
        # A slow reader may have left the queue full.
        await chunks.put(None)

    async def _request(
        self,
        method: str,
        path: str,
        body: bytes | None,
        take: transport.OnChunk,
        *,
        start: bool,
        headers: Mapping[str, str] | None = None,
        on_start: transport.OnStart | None = None,
        again: bool = False,
    ) -> int:
        launcher.check_owner(self._paths)

        async def ask() -> int:
            return await self._transport.request(
                method,
                PREFIX + path,
                body,
                take,
                headers=headers,
                on_start=on_start,
                again=again,
            )

        try:
            return await ask()
        except transport.NotListening as exc:
            if not (start and self._start):
                raise errors.ServiceUnavailable(
                    "The pgcellar service does not run.",
                    hint="`pgcellar service start` starts it.",
                ) from exc
        await self._launch()
        try:
            return await ask()
        except transport.NotListening as exc:
            raise errors.ServiceUnavailable(
                f"The pgcellar service does not answer at {self._paths.socket}.",
                hint=f"Its log is {self._paths.log}.",
            ) from exc

    async def _launch(self) -> None:
        """Start the service; of many requests that find none, one does so for all."""
        if self._launching is None:
            self._launching = asyncio.create_task(launcher.start(self._paths))
            self._launching.add_done_callback(self._launched)
        await asyncio.shield(self._launching)

    def _launched(self, task: asyncio.Task[None]) -> None:
        self._launching = None
        if not task.cancelled():
            # Whoever waits is told; nobody may wait any more.
            task.exception()


#: How the lines of a run begin.
_EVENT = b'{"event":'


#: How a problem document begins.
_PROBLEM = b'{"type": "urn:pgcellar:'
_PROBLEM_BYTES = 64 * 1024


def _query(path: str, query: Mapping[str, str | None]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urllib.parse.urlencode(given)}" if given else path
