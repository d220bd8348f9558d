"""One PostgreSQL server on a Unix socket: made, started, found again, stopped, removed.

The server is a process of its own session that outlives us if we are killed; whoever comes next
adopts it. It has no TCP port, and the socket's folder admits its owner only.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Mapping

from pgcellar.api import detached, errors
from pgcellar.postgres import account as accounts
from pgcellar.postgres import binaries as programs
from pgcellar.postgres import (
    commands,
    faults,
    folders,
    initdb,
    memory,
    postmaster,
    processes,
    restraints,
    settings,
    templates,
)

PORT = 5432
#: An idle server is ready within 30 to 50 ms; waiting in coarser steps would be seen.
_POLL = 0.002
#: sockaddr_un holds 104 bytes on macOS and 108 on Linux.
MAX_SOCKET_PATH = 100
#: A postmaster told to quit kills children that don't after 5 s; then it should be gone.
_QUIT_TIMEOUT = 6.0
_KILL_TIMEOUT = 10.0
_CONTROLDATA_TIMEOUT = 20.0
#: The log is begun anew at a start that finds it longer than this.
_LOG_LIMIT = 1 << 20
_LOG_LINES = 12


class Server:
    """See the module. `data` and `sockets` belong to this server alone.

    With `kept` its data folder begins as a copy of a template.
    """

    def __init__(
        self,
        *,
        binaries: programs.Binaries,
        data: pathlib.Path,
        sockets: pathlib.Path,
        settings: Mapping[str, str],
        account: accounts.Account | None,
        superuser: str,
        kept: templates.Templates | None = None,
    ) -> None:
        self.data = data.absolute()
        self.sockets = sockets.absolute()
        self.log = self.data.with_name(f"{self.data.name}.log")
        self._binaries = binaries
        self._settings = dict(settings)
        self._account = account
        self._superuser = superuser
        self._templates = kept
        self._process: processes.Process | None = None

    @property
    def initialised(self) -> bool:
        """Whether there is a data folder; it is whole then."""
        return (self.data / "PG_VERSION").is_file()

    @property
    def pid(self) -> int | None:
        """The number of the postmaster, if it is known to us."""
        return self._process.pid if self._process is not None else None

    async def initialise(self, *, password: str, hba: str) -> None:
        """Make the data folder, with `password` the superuser's and `hba` as pg_hba.conf.

        Raises PostgresFailed or SandboxFull.
        """
        await initdb.create(
            self._binaries,
            self.data,
            account=self._account,
            superuser=self._superuser,
            password=password,
            hba=hba,
            kept=self._templates,
        )

    async def start(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - what is late is killed
        """Start the server, or adopt the one that runs; returns when it accepts connections.

        Raises PostgresFailed, with the log's last lines, or SandboxFull.
        """
        if self.adopt():
            return
        # Starting, stopping, or listening elsewhere, as after /tmp was cleaned: begin anew.
        await self.stop()
        self._check()
        with faults.translated(f"PostgreSQL can't be started on {self.data}"):
            await self._clear()
            logged = self._spawn()
        try:
            await self._ready(timeout, logged)
        except BaseException:
            await asyncio.shield(self.kill())
            raise

    def adopt(self) -> bool:
        """Whether a server runs on the data folder and accepts connections; it is ours then."""
        found = postmaster.running(self.data, self._account)
        said = postmaster.read(self.data)
        if found is None or said is None or said.pid != found.pid or said.status != "ready":
            return False
        if said.sockets != str(self.sockets) or not self._socket.is_socket():
            return False
        self._process = found
        return True

    def alive(self) -> bool:
        """Whether the server we started or adopted still runs. Cheap; asks nobody."""
        return self._process is not None and self._process.alive()

    async def restrain(self, allowed: restraints.Restraints) -> None:
        """Bound what sessions may use that begin from now on."""
        if self._process is not None:
            await restraints.apply(self._process, allowed, self._account)

    def memory(self) -> int | None:
        """Bytes that the server has in memory; None if it does not run, or that can't be told."""
        process = self._process
        if process is None:
            return None
        family = [process.pid, *(child.pid for child in processes.children(process.pid))]
        found = [size for size in map(processes.memory, family) if size is not None]
        return sum(found) if found else None

    async def stop(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - what is late is killed
        """Stop the server in order; what has not stopped after `timeout` seconds is killed."""
        process = self._found()
        if process is None:
            return
        process.signal(signal.SIGINT)
        if not await process.ended(timeout):
            await self.kill()

    async def kill(self) -> None:
        """End the server at once, as a crash would, but leave no process of it behind."""
        process = self._found()
        if process is not None:
            # Asked to quit it frees its shared memory, which SIGKILL leaves lying for ever.
            process.signal(signal.SIGQUIT)
            if await process.ended(_QUIT_TIMEOUT):
                return
        await postmaster.end(self.data, process, _KILL_TIMEOUT)

    def clean(self) -> bool:
        """Whether the server's last stop was in order. Means nothing while it runs."""
        if not self.initialised:
            return False
        try:
            said = subprocess.run(
                [self._binaries.path("pg_controldata"), str(self.data)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env=commands.environment(),
                cwd="/",
                timeout=_CONTROLDATA_TIMEOUT,
                **accounts.popen_kwargs(self._account),
            )
        except (OSError, subprocess.SubprocessError):
            return False
        if said.returncode != 0 or "WARNING" in said.stdout:
            return False
        lines = (line.partition(":") for line in said.stdout.splitlines())
        found = {name.strip(): value.strip() for name, _, value in lines}
        return found.get("Database cluster state") == "shut down"

    def destroy(self) -> None:
        """Remove data, log and socket folder of a server that does not run."""
        with faults.translated(f"The data folder {self.data} can't be removed"):
            memory.release(self.data)
            folders.remove(self.data)
            folders.remove(self.sockets)
            folders.sweep(self.data)
            self.log.unlink(missing_ok=True)

    def conninfo(self, dbname: str, user: str, password: str | None = None) -> str:
        """A libpq connection string."""
        values = {"host": str(self.sockets), "port": str(PORT), "dbname": dbname, "user": user}
        if password is not None:
            values["password"] = password
        return settings.conninfo(values)

    # --- parts of a start ----------------------------------------------------------------------

    @property
    def _socket(self) -> pathlib.Path:
        return self.sockets / f".s.PGSQL.{PORT}"

    def _found(self) -> processes.Process | None:
        """The server's process, whether we know it already or not."""
        if self.alive():
            return self._process
        return postmaster.running(self.data, self._account)

    def _check(self) -> None:
        """Refuse early what would fail less clearly later."""
        length = len(os.fsencode(self._socket))
        if length > MAX_SOCKET_PATH:
            raise errors.PostgresFailed(
                f"The path of the socket {self._socket} has {length} bytes,"
                f" and {MAX_SOCKET_PATH} is the most.",
                hint="Set PGCELLAR_RUNTIME to a folder with a shorter path.",
            )
        if not self.initialised:
            raise errors.PostgresFailed(f"{self.data} is no PostgreSQL data folder.")
        with faults.translated(f"The data folder {self.data} can't be read"):
            made_by = (self.data / "PG_VERSION").read_text().strip()
        if made_by != str(self._binaries.major):
            raise errors.PostgresFailed(
                f"The data folder {self.data} was made by PostgreSQL {made_by};"
                f" {self._binaries.bindir} has {self._binaries.version}.",
                hint=f"Set {programs.VARIABLE} to the bin folder of PostgreSQL {made_by}.",
            )

    async def _clear(self) -> None:
        """Make the folders fit for a start, and remove what a killed server left in them."""
        account = self._account
        if account is not None:
            folders.private_folder(self.data.parent, mode=folders.PASSABLE)
            if self.data.lstat().st_uid != account.uid:
                folders.give(self.data, account)  # another account was set, or has been made
        folders.private_folder(self.data, account=account)
        folders.private_folder(self.sockets, account=account)
        if (self.data / "postmaster.pid").exists():
            await postmaster.end(self.data, None, _KILL_TIMEOUT)
            # PostgreSQL would take any process that has the number now for its predecessor.
            # It still finds by the data folder itself whether one is left that uses it.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        for left in (self._socket, self._socket.with_name(f"{self._socket.name}.lock")):
            left.unlink(missing_ok=True)
        fixed = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": settings.folder_list(self.sockets),
            "unix_socket_permissions": "0700",
            # In the data folder; what a killed server leaves in /dev/shm nobody removes.
            "dynamic_shared_memory_type": "mmap",
        }
        text = settings.render({**self._settings, **fixed})
        initdb.install(self.data, initdb.SETTINGS_FILE, text, account)

    def _spawn(self) -> int:
        """Start the postmaster; where in the log its words begin."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        handle = os.open(self.log, flags, 0o600)
        with open(handle, "ab") as log:
            if os.fstat(handle).st_size > _LOG_LIMIT:
                log.truncate(0)
            begin = os.fstat(handle).st_size
            child = detached.Detached(
                [self._binaries.path("postgres"), "-D", str(self.data)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=commands.environment(),
                cwd="/",
                start_new_session=True,
                **accounts.popen_kwargs(self._account),
            )
        self._process = processes.find(child.pid)
        return begin

    async def _ready(self, seconds: float, logged: int) -> None:
        deadline = time.monotonic() + seconds
        while self.alive():
            said = postmaster.read(self.data)
            if said is not None and said.pid == self.pid and said.status == "ready":
                return
            if time.monotonic() > deadline:
                what = f"PostgreSQL was not ready within {seconds:g} s; its log {self.log} ends:"
                raise faults.failure(what, self._logged(logged))
            await asyncio.sleep(_POLL)
        what = f"PostgreSQL did not start; its log {self.log} ends:"
        raise faults.failure(what, self._logged(logged))

    def _logged(self, begin: int) -> str:
        try:
            with self.log.open("rb") as log:
                log.seek(begin)
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-_LOG_LINES:])
