"""The sync face of the clients, for scripts that have no event loop.

with scripting.Connection("https://hub.example/user/ann/", token) as cellar:
    run = cellar.run(["create table t (a int)", "select * from t"])
    print(run.cells[-1].results[0].rows)
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import types
from collections.abc import Mapping, Sequence
from typing import Self

from pgcellar.api import client, errors, gathering, records, remote


class Connection:
    """The services at a URL, or, without one, those of this machine's user."""

    def __init__(self, url: str | None = None, token: str = "") -> None:
        self._loop = asyncio.Runner()
        self._client: client.Client | remote.Remote = (
            client.Client() if url is None else remote.Remote(url, token)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections. The services go on."""
        self._client.close()
        self._loop.close()

    def run(
        self,
        cells: Sequence[str],
        *,
        first: int | None = None,
        notebook: str = "script",
        parameters: Mapping[str, str] | None = None,
        max_rows: int = records.DEFAULT_MAX_ROWS,
    ) -> gathering.NotebookRun:
        """Run the last of some cells, or all from the one at index `first`, as heads.

        What went wrong in SQL is the run's `error`. Raises PgcellarError where nothing ran.
        """
        request = self._request(cells, notebook, parameters, first=first, max_rows=max_rows)
        out = gathering.NotebookRun(gathering.heads(request))

        async def work() -> None:
            async with contextlib.aclosing(self._client.run(request)) as events:
                async for event in events:
                    out.take(event)

        self._loop.run(work())
        return out

    def plan(
        self,
        cells: Sequence[str],
        *,
        notebook: str = "script",
        parameters: Mapping[str, str] | None = None,
    ) -> records.Plan:
        """What a run of the last cell would do, without doing it. Raises PgcellarError."""
        return self._loop.run(self._client.plan(self._request(cells, notebook, parameters)))

    def upload(self, path: pathlib.Path, name: str) -> int:
        """Have a file on the server; how many bytes had to travel. Raises PgcellarError."""
        if not isinstance(self._client, remote.Remote):
            raise errors.BadRequest("Files are uploaded to a server; here they are read in place.")
        return self._loop.run(self._client.upload(path, name))

    @staticmethod
    def _request(
        cells: Sequence[str],
        notebook: str,
        parameters: Mapping[str, str] | None,
        *,
        first: int | None = None,
        max_rows: int = records.DEFAULT_MAX_ROWS,
    ) -> records.RunRequest:
        if not cells:
            raise errors.BadRequest("There are no cells.")
        return records.RunRequest(
            notebook=notebook,
            cells=tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(cells, 1)),
            head=len(cells) - 1,
            first=first,
            parameters=dict(parameters or {}),
            max_rows=max_rows,
        )
