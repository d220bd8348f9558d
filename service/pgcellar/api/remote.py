"""The services of a server elsewhere, over REST: what `client.Client` does, with a URL and a token.

A run is accepted once, by a key of its own, and followed from where the reader was when the
connection broke: neither is it lost nor does it count twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import pathlib
import secrets
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib import parse

from pgcellar.api import catalogs, errors, problems, records, transport

#: Below the server's URL.
ROOT = "/pgcellar/api/v1"
#: Seconds. Following a run has no limit; every other request does bounded work.
REQUEST_TIMEOUT = 60.0
CHUNK_BYTES = 4 << 20
#: Attempts at reaching a server that was there, and seconds between two.
_ATTEMPTS = 20
_PAUSE = 0.5
_READ_AHEAD = 16


class Remote:
    """A client of the gateway at a URL: `https://hub.example/user/ann/`, say.

    `context` is for servers whose certificate no common authority vouches for. Raises BadRequest
    for what is no URL.
    """

    def __init__(self, url: str, token: str, *, context: ssl.SSLContext | None = None) -> None:
        parts = parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise errors.BadRequest(
                f"{url!r} is no server's URL.", hint="It begins with https:// or http://."
            )
        tls = (context or ssl.create_default_context()) if parts.scheme == "https" else None
        port = parts.port or (443 if tls else 80)
        self._url = url
        self._root = parts.path.rstrip("/") + ROOT
        self._token = token
        self._transport = transport.Transport(
            transport.tcp(parts.hostname, port, tls), parts.netloc.rpartition("@")[2]
        )

    def close(self) -> None:
        """Drop the connections."""
        self._transport.close()

    async def run(self, request: records.RunRequest) -> AsyncGenerator[records.Event, None]:
        """The events of one run, the last of which is a `Done`; one comes for every head.

        `Restarted` among them says that what came before it is void. Leaving the iterator early
        cancels the run. Raises PgcellarError.
        """
        key = {transport.KEY: secrets.token_hex(16)}
        accepted = await self._again("POST", "/runs", _body(request), key)
        run = accepted["id"]
        over = False
        try:
            async for event in self._follow(run):
                yield event
            over = True
        finally:
            if not over:
                with contextlib.suppress(errors.PgcellarError):
                    await asyncio.shield(self.cancel(run))

    async def _follow(self, run: str) -> AsyncGenerator[records.Event, None]:
        last: str | None = None
        over = False
        attempts = 0
        while True:
            chunks: asyncio.Queue[bytes | None] = asyncio.Queue(_READ_AHEAD)
            headers = {"Accept": "application/x-ndjson"}
            if last is not None:
                headers["Last-Event-ID"] = last
            fetch = asyncio.create_task(self._fetch(f"/runs/{run}/events", headers, chunks))
            rest = b""
            try:
                while (chunk := await chunks.get()) is not None:
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        attempts = 0
                        last = json.loads(line)["id"]
                        event = records.decode(line)
                        over = isinstance(event, records.Done)
                        yield event
                await fetch
                if over:
                    return
                # Something on the way ended the answer as if that were all.
                raise errors.ServiceUnavailable("The events of the run broke off.")
            except (errors.ServiceUnavailable, transport.NotListening) as exc:
                attempts += 1
                if attempts > _ATTEMPTS:
                    raise self._gone() from exc
                await asyncio.sleep(_PAUSE)
            finally:
                fetch.cancel()
                with contextlib.suppress(
                    asyncio.CancelledError, errors.PgcellarError, transport.NotListening
                ):
                    await fetch

    async def cancel(self, run: str) -> None:
        """Cancel a run; one that is over is left alone."""
        await self._json("POST", f"/runs/{run}/cancel", {})

    async def plan(self, request: records.RunRequest) -> records.Plan:
        """What `run` would do, without doing it."""
        return records.from_json(records.Plan, await self._json("POST", "/plans", _body(request)))

    async def page(self, request: records.PageRequest) -> records.Page:
        """Some rows of a long result."""
        return records.from_json(records.Page, await self._json("POST", "/pages", _body(request)))

    async def states(self) -> list[records.StateInfo]:
        """The snapshots of the caller's sandbox."""
        body = await self._json("GET", "/states")
        return [records.from_json(records.StateInfo, item) for item in body["states"]]

    async def administer(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """A request about accounts, classes, quotas or tokens, and its answer."""
        return await self._json(method, path, body)

    async def quotas(self) -> dict[str, records.Quota]:
        """The caller's limits by name, and how much of them is used; a central gateway has some."""
        found = (await self._json("GET", "/profiles/me/quotas"))["quotas"]
        return {name: records.from_json(records.Quota, each) for name, each in found.items()}

    async def state(self, state: str) -> catalogs.StateDetail:
        """The schema of a state that is kept. Raises NotFound."""
        return records.from_json(catalogs.StateDetail, await self._json("GET", f"/states/{state}"))

    async def diff(self, before: str, after: str) -> catalogs.StateDiff:
        """What two kept states differ in. Raises Conflict where one is not kept."""
        body = await self._json("GET", f"/states/{before}/diff/{after}")
        return records.from_json(catalogs.StateDiff, body)

    async def pin(self, state: str, *, pinned: bool = True) -> None:
        """Keep a state from being evicted, or don't any more. Raises NotFound, LimitExceeded."""
        await self._json("PUT" if pinned else "DELETE", f"/states/{state}/pin")

    async def tag(self, state: str, tag: str, *, tagged: bool = True) -> None:
        """Name a state, or take its name. Raises NotFound, LimitExceeded."""
        name = parse.quote(tag, safe="")
        await self._json("PUT" if tagged else "DELETE", f"/states/{state}/tags/{name}")

    async def environments(self) -> list[records.EnvironmentInfo]:
        """The caller's sandboxes. None is started for it."""
        body = await self._json("GET", "/environments")
        return [records.from_json(records.EnvironmentInfo, each) for each in body["environments"]]

    async def stop_environment(self, name: str) -> None:
        """Cancel what runs in a sandbox, and stop it; its states stay. Raises NotFound."""
        await self._json("POST", f"/environments/{name}/stop", {})

    async def restart_environment(self, name: str) -> None:
        """Stop a sandbox and start it. Raises NotFound."""
        await self._json("POST", f"/environments/{name}/restart", {})

    async def reset_environment(self, name: str) -> None:
        """Remove a sandbox with its states, pins and tags. Raises NotFound."""
        await self._json("POST", f"/environments/{name}/reset", {"confirm": name})

    async def upload(self, path: pathlib.Path, name: str) -> int:
        """Have a file on the server, for `\\copy`; how many bytes had to travel."""
        digests: list[str] = []
        with path.open("rb") as file:
            while data := await asyncio.to_thread(file.read, CHUNK_BYTES):
                digests.append(hashlib.sha256(data).hexdigest())
            found = await self._json("POST", "/files/missing", {"chunks": digests})
            sent = 0
            for digest in found["missing"]:
                file.seek(digests.index(digest) * CHUNK_BYTES)
                data = await asyncio.to_thread(file.read, CHUNK_BYTES)
                await self._request("PUT", f"/files/chunks/{digest}", data, _BINARY)
                sent += len(data)
        await self._json("PUT", f"/files/names/{parse.quote(name)}", {"chunks": digests})
        return sent

    # --- transport ---------------------------------------------------------------------------

    async def _again(
        self, method: str, path: str, body: dict[str, Any], headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """A request that may be sent any number of times, until the server answers."""
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(errors.ServiceUnavailable):
                return await self._json(method, path, body, headers)
            await asyncio.sleep(_PAUSE)
        raise self._gone()

    async def _json(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        found: dict[str, Any] = json.loads(
            await self._request(method, path, data, headers or {}) or b"{}"
        )
        return found

    async def _request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> bytes:
        answer = bytearray()

        async def take(chunk: bytes) -> None:
            answer.extend(chunk)

        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                status = await self._transport.request(
                    method, self._root + path, body, take, headers=self._headers(headers)
                )
        except (TimeoutError, transport.NotListening) as exc:
            raise self._gone() from exc
        if status >= 300:
            raise problems.error(status, bytes(answer))
        return bytes(answer)

    async def _fetch(
        self, path: str, headers: Mapping[str, str], chunks: asyncio.Queue[bytes | None]
    ) -> None:
        """Put an answer's chunks into the queue, None last."""
        status = 200
        wrong = bytearray()

        def start(found: int, _: object) -> None:
            nonlocal status
            status = found

        async def take(chunk: bytes) -> None:
            if status >= 300:
                wrong.extend(chunk)
            else:
                await chunks.put(chunk)

        try:
            await self._transport.request(
                "GET", self._root + path, None, take, headers=self._headers(headers), on_start=start
            )
            if status >= 300:
                raise problems.error(status, bytes(wrong))
        except asyncio.CancelledError:
            # Nobody reads any more.
            raise
        except BaseException:
            await chunks.put(None)
            raise
        await chunks.put(None)

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}", **more}

    def _gone(self) -> errors.ServiceUnavailable:
        return errors.ServiceUnavailable(
            f"No pgcellar server answers at {self._url}.",
            hint="Is the URL right, and does the server have the gateway?",
        )


_BINARY: Mapping[str, str] = {"Content-Type": "application/octet-stream"}


def _body(request: records.RunRequest | records.PageRequest) -> dict[str, Any]:
    """A request without what is of this machine alone."""
    body = records.to_json(request)
    del body["directory"]
    return body
