"""`--server`: a notebook of this machine on a server elsewhere."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import Any

from pgcellar.api import client, errors, remote
from pgcellar.cli import notebooks
from pgcellar.notebook import cells, copying

#: Arguments are seen by everybody on this machine, the environment is not.
TOKEN = "PGCELLAR_TOKEN"


def connect(arguments: Any) -> client.Client | remote.Remote:
    """The services that a command's arguments name. Raises BadRequest."""
    if arguments.server is None:
        return client.Client()
    token = os.environ.get(TOKEN)
    if not token:
        raise errors.BadRequest(
            f"There is no token for {arguments.server}.", hint=f"Put it into {TOKEN}."
        )
    return remote.Remote(arguments.server, token)


async def upload(service: remote.Remote, notebook: notebooks.NotebookFile) -> None:
    """Have the files on the server that a notebook's `\\copy` commands read.

    A file that is not there is for the cell to complain of. Raises FileRefused, or PgcellarError.
    """
    folder = notebook.path.resolve().parent
    for name in sorted(_names(notebook)):
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise errors.FileRefused(
                f"{name} lies outside of the notebook's folder {folder}.",
                hint="Copy the file into that folder.",
            )
        if path.is_file():
            sent = await service.upload(path, str(path.relative_to(folder)))
            if sent:
                print(f"uploaded {name}, {sent} bytes", file=sys.stderr)


def _names(notebook: notebooks.NotebookFile) -> set[str]:
    commands = (command for cell in notebook.cells for command in cells.parse(cell.source).files)
    parsed = (copying.parse(command) for command in commands)
    return {each.file for each in parsed if isinstance(each, copying.Copy) and not each.out}


def name_of(path: pathlib.Path, service: client.Client | remote.Remote) -> str:
    """What a notebook is called: by its path here, by its file's name on a server."""
    return path.name if isinstance(service, remote.Remote) else str(path.resolve())
