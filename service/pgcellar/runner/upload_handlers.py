"""Uploads over HTTP: chunks by digest, files of chunks."""

from __future__ import annotations

import asyncio

from pgcellar.api import errors
from pgcellar.runner import uploads
from pgcellar.web import base

#: Chunks of one file: 40 GiB of them.
_MAX_CHUNKS = 10_000


class UploadHandler(base.BaseHandler):
    """A handler over the caller's files."""

    scope = "files"

    def initialize(self, files: uploads.Uploads) -> None:
        """See the routes in `pgcellar.routing`."""
        self.files = files

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
        owner = self.identity.subject
        await asyncio.to_thread(self.files.put, owner, digest, self.request.body)
        self.answer({})


class Missing(UploadHandler):
    """`/files/missing`."""

    async def post(self) -> None:
        """Which chunks have to be sent."""
        owner = self.identity.subject
        found = await asyncio.to_thread(self.files.missing, owner, self.digests())
        self.answer({"missing": found})


class Files(UploadHandler):
    """`/files`."""

    async def get(self) -> None:
        """The caller's files."""
        self.answer({"files": await asyncio.to_thread(self.files.listed, self.identity.subject)})


class File(UploadHandler):
    """`/files/names/{name}`."""

    async def put(self, name: str) -> None:
        """Make a file of chunks."""
        owner = self.identity.subject
        self.answer(await asyncio.to_thread(self.files.assemble, owner, name, self.digests()))

    async def delete(self, name: str) -> None:
        """Remove a file."""
        await asyncio.to_thread(self.files.remove, self.identity.subject, name)
        self.set_status(204)
        self.finish()
