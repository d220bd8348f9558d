"""Sandboxes as local processes: one `postgres` per user, on a Unix socket, small and fast."""

from __future__ import annotations

import contextlib
import pathlib
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any

import traitlets

from pgcellar.environments import spawner
from pgcellar.postgres import account, binaries, server, templates

#: What every sandbox runs with. It holds nothing that can't be rebuilt, so nothing is synced;
#: nothing moves by itself (no autovacuum); equal queries give equal sums (no parallel workers).
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "max_connections": "80",
    "shared_buffers": "16MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_replication_slots": "0",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "wal_init_zero": "off",
    "wal_recycle": "off",
    "checkpoint_timeout": "1d",
    "autovacuum": "off",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "jit": "off",
    # After a backend crashed, unlogged tables are emptied: such databases are rebuilt, not used.
    "restart_after_crash": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
    "track_activity_query_size": "1kB",
}
#: Settings that not all supported versions have: the first major version that does.
_SINCE = {
    # A role that a student makes is the student's to take on.
    "createrole_self_grant": (16, "set, inherit"),
    "allow_alter_system": (17, "off"),
    "io_method": (18, "sync"),
}

#: What sandboxes of people have besides, who share the machine.
_SHARED: Mapping[str, str] = {"temp_file_limit": "1GB"}

_HBA = f"""\
# User SQL has one role without a password; the socket's folder admits its owner only.
local all {spawner.ADMIN_ROLE} scram-sha-256
local {spawner.ADMIN_DATABASE},template0,template1 all reject
local all {spawner.USER_ROLE} trust
"""


class LocalSpawner(spawner.Spawner):
    """A PostgreSQL process of this machine; `shared` if it is one of many people's."""

    settings = traitlets.Dict(
        help="PostgreSQL settings for sandboxes, on top of pgcellar's own.",
    ).tag(config=True)

    def __init__(
        self,
        name: str,
        state: Mapping[str, Any],
        *,
        home: pathlib.Path,
        runtime: pathlib.Path,
        shared: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, state, **kwargs)
        self._shared = shared
        self._home = home
        self._account = account.current()
        found = binaries.find()
        if self._account is not None:
            found = account.readable(found, self._account, home)
        self._binaries = found
        self._folder = home / "sandboxes" / name
        self._server = server.Server(
            binaries=found,
            data=self._folder / "data",
            sockets=runtime / name,
            settings=self._settings(),
            account=self._account,
            superuser=spawner.ADMIN_ROLE,
            kept=templates.Templates(home / templates.FOLDER),
        )

    async def start(self) -> AsyncIterator[spawner.State]:
        """See `Spawner.start`."""
        if not self._server.initialised:
            self.state["password"] = secrets.token_urlsafe(24)
            self.state["server_version"] = self._binaries.version
            yield self.state
            await self._server.initialise(password=self.state["password"], hba=_HBA)
        if not self._server.adopt():
            await self._server.start(timeout=self.start_timeout)
        self.state["started"] = True
        yield self.state

    async def stop(self) -> None:
        """See `Spawner.stop`."""
        await self._server.stop(timeout=self.stop_timeout)

    def poll(self) -> bool:
        """See `Spawner.poll`."""
        return self._server.alive()

    async def restrain(self, restraints: spawner.Restraints) -> None:
        """See `Spawner.restrain`."""
        await self._server.restrain(restraints)

    def memory(self) -> int | None:
        """See `Spawner.memory`."""
        return self._server.memory()

    def trusted(self) -> bool:
        """See `Spawner.trusted`: after an unclean stop with fsync off nothing is."""
        if not self._server.initialised or "password" not in self.state:
            return False
        if self._binaries.version != self.state.get("server_version"):
            return False
        return self._server.adopt() or self._server.clean()

    async def remove(self) -> None:
        """See `Spawner.remove`."""
        await self._server.kill()
        self._server.destroy()
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def endpoint(self) -> spawner.Endpoint:
        """See `Spawner.endpoint`."""
        return spawner.Endpoint(
            host=str(self._server.sockets),
            port=5432,
            admin_password=self.state["password"],
            server_version=self._binaries.version,
            data=str(self._server.data),
        )

    def _settings(self) -> dict[str, str]:
        newer = {
            name: value for name, (since, value) in _SINCE.items() if self._binaries.major >= since
        }
        others = _SHARED if self._shared else {}
        return {**SETTINGS, **newer, **others, **{k: str(v) for k, v in self.settings.items()}}
