"""Templates of data folders: initdb works for a second or two, copying what it made does not.

A template is made once for a version of PostgreSQL, is never changed, and holds no secret: its
superuser's password is thrown away. It is moved to its place when it is whole.
Under root it is root's own, so that a server's account can't change what others begin with.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pathlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

from pgcellar.postgres import account as accounts
from pgcellar.postgres import binaries as programs
from pgcellar.postgres import commands, faults, folders

#: Names a folder that several homes share.
VARIABLE = "PGCELLAR_TEMPLATES"
#: The superuser of all templates.
SUPERUSER = "pgcellar_admin"
#: The folder's name in a home.
FOLDER = "templates"

#: Seconds between two looks whether somebody else has made the template.
_POLL = 0.05

#: Makes a data folder at a path, as the account.
Make = Callable[[pathlib.Path], Awaitable[None]]


class Templates:
    """The templates in one folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        named = os.environ.get(VARIABLE)
        self._folder = pathlib.Path(named).absolute() if named else folder

    async def copy(
        self,
        binaries: programs.Binaries,
        account: accounts.Account | None,
        target: pathlib.Path,
        make: Make,
    ) -> pathlib.Path:
        """Fill the empty folder `target`, which is the account's, from a template; `make` makes
        one where there is none. Returns the template. Raises PostgresFailed or SandboxFull.
        """
        template = self._folder / binaries.version
        if not template.is_dir():
            await self._add(template, account, make)
        # By the account itself: root does not write where another may put links. Where the file
        # system can, cp shares the extents.
        await commands.check(["cp", "-R", f"{template}/.", str(target)], account)
        return template

    async def _add(
        self, template: pathlib.Path, account: accounts.Account | None, make: Make
    ) -> None:
        mode = folders.PASSABLE if account is not None else 0o700
        with faults.translated(f"The template {template} can't be made"):
            folders.private_folder(self._folder, mode=mode)
            async with _alone(self._folder / ".lock"):
                if template.is_dir():
                    return
                folders.sweep(template)
                made = template.with_name(f".{template.name}.{secrets.token_hex(4)}.new")
                folders.private_folder(made, account=account)
                try:
                    await make(made)
                    if account is not None:
                        folders.take(made, account)
                    made.rename(template)
                finally:
                    folders.remove(made)


@contextlib.asynccontextmanager
async def _alone(path: pathlib.Path) -> AsyncIterator[None]:
    """While this is held nobody else makes a template here, in this process or another."""
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_POLL)
        yield
