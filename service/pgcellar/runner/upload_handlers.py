"""Uploads over HTTP: chunks by digest, files of chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from pgcellar.api import errors
from pgcellar.runner import uploads
from pgcellar.web import base

#: Chunks of one file: 40 GiB of them.
_MAX_CHUNKS = 10_000

T = TypeVar("T")


class UploadHandler(base.BaseHandler):
    """A handler over the caller's files."""

    scope = "files"

    def initialize(self, files: uploads.Uploads) -> None:
        """See the routes in `pgcellar.routing`."""
        self.files = files

    async def work(self, what: Callable[..., T], *arguments: Any) -> T:
        """What comes of something that is done with the caller's files, in a thread."""
        owner = self.identity.subject
        async with self.files.turn(owner):
            return await asyncio.to_thread(what, owner, *arguments)

    def digests(self) -> tuple[str, ...]:
        """The member `chunks` of the request. Raises BadRequest."""
        found = self.body().get("chunks")
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise errors.BadRequest("`chunks` is a list of SHA-256 digests.")
        if len(found) > _MAX_CHUNKS:
            raise errors.BadRequest(f"A file has at most {_MAX_CHUNKS} chunks.")
        return tuple(found)


class Chunk(UploadHandler):
    """`/files/chunks/{digest}`."""

    async def put(self, digest: str) -> None:
        """Keep a chunk."""
        await self.work(self.files.put, digest, self.request.body)
        self.answer({})


class Missing(UploadHandler):
    """`/files/missing`."""

    async def post(self) -> None:
        """Which chunks have to be sent."""
        self.answer({"missing": await self.work(self.files.missing, self.digests())})


class Files(UploadHandler):
    """`/files`."""

    async def get(self) -> None:
        """The caller's files, by name, by pages."""
        listed = await self.work(self.files.listed)
        found, more = self.paged(listed, lambda each: str(each["name"]))
        self.answer({"files": found, "next": more})


class File(UploadHandler):
    """`/files/names/{name}`."""

    async def put(self, name: str) -> None:
        """Make a file of chunks."""
        self.answer(await self.work(self.files.assemble, name, self.digests()))

    async def delete(self, name: str) -> None:
        """Remove a file."""
        await self.work(self.files.remove, name)
        self.set_status(204)
        self.finish()
