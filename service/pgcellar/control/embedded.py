"""The control database's own PostgreSQL, where no other is configured."""

from __future__ import annotations

import os
import pathlib
import secrets

from pgcellar.api import errors, paths
from pgcellar.postgres import account, binaries, faults, folders, server, templates

SUPERUSER = "pgcellar"
#: It holds what can't be rebuilt, so it syncs and cleans up after itself; and it is small.
SETTINGS = {
    "shared_buffers": "16MB",
    "max_connections": "20",
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
    "autovacuum": "on",
    "fsync": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
#: Settings that not all supported versions have: the first major version that does.
_SINCE = {"io_method": (18, "sync")}
_HBA = "local all all scram-sha-256\n"


class Embedded:
    """A server in `control/` of pgcellar's home, with a random password in a file beside it."""

    def __init__(self, where: paths.Paths) -> None:
        self._folder = where.home / "control"
        self._sockets = where.runtime / "control"
        self._home = where.home
        self._server: server.Server | None = None
        self._password = ""

    @property
    def pid(self) -> int | None:
        """The number of the postmaster, if it was started."""
        return self._server.pid if self._server is not None else None

    def alive(self) -> bool:
        """Whether the server runs. Cheap."""
        return self._server is not None and self._server.alive()

    async def start(self) -> None:
        """Make, start or adopt the server. What it lost in a crash it recovers by itself.

        Raises PostgresNotFound, PostgresFailed or SandboxFull.
        """
        found = self._server or self._make()
        with faults.translated("The control database's password can't be kept"):
            self._password = self._read_password(new=not found.initialised)
        if not found.initialised:
            await found.initialise(password=self._password, hba=_HBA)
        await found.start()
        self._server = found

    async def stop(self) -> None:
        """Stop the server in order."""
        if self._server is not None:
            await self._server.stop()

    def conninfo(self, database: str) -> str:
        """How to connect to a database of the running server."""
        assert self._server is not None
        return self._server.conninfo(database, SUPERUSER, self._password)

    def _make(self) -> server.Server:
        owner = account.current()
        programs = account.readable(binaries.find(), owner, self._home)
        newer = {k: v for k, (since, v) in _SINCE.items() if programs.major >= since}
        return server.Server(
            binaries=programs,
            data=self._folder / "data",
            sockets=self._sockets,
            settings={**SETTINGS, **newer},
            account=owner,
            superuser=SUPERUSER,
            kept=templates.Templates(self._home / templates.FOLDER),
        )

    def _read_password(self, *, new: bool) -> str:
        """The password; a new one only for a server that has none yet."""
        mode = folders.PASSABLE if os.getuid() == 0 else 0o700
        path = folders.private_folder(self._folder, mode=mode) / "password"
        try:
            return path.read_text()
        except FileNotFoundError:
            if not new:
                raise errors.PostgresFailed(
                    f"The control database's password, {path}, is gone.",
                    hint=f"Restore it, or remove {self._folder} with all that pgcellar knows.",
                ) from None
        return _write_secret(path, secrets.token_urlsafe(24))


def _write_secret(path: pathlib.Path, text: str) -> str:
    """Write a file that only we can read, all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
    temporary.replace(path)
    return text
