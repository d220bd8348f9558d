"""The base class of spawners: how one sandbox is started, stopped and looked after.

In the manner of JupyterHub's spawners, with dask-gateway's `start`: an asynchronous generator of
states, every one of which is saved as it comes. If `start` fails or this process dies in it,
`stop` is called with the last state saved, so that nothing is left running that nobody knows of.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping
from typing import Any

import traitlets
import traitlets.config

from pgcellar.postgres.restraints import Restraints as Restraints

State = dict[str, Any]

#: The role user SQL runs as. It owns its databases (decision 0017), and is no superuser.
USER_ROLE = "pgcellar"
#: The role of the control sessions, which user SQL can't reach.
ADMIN_ROLE = "pgcellar_admin"
#: The database the control sessions are connected to; it holds nothing.
ADMIN_DATABASE = "postgres"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where a sandbox's PostgreSQL listens. `host` is a socket folder or a host name."""

    host: str
    port: int
    admin_password: str
    server_version: str
    data: str | None = None

    def conninfo(self, database: str, *, admin: bool = False) -> dict[str, Any]:
        """Connection parameters for a database of the sandbox."""
        found: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "dbname": database,
            "user": ADMIN_ROLE if admin else USER_ROLE,
            "application_name": "pgcellar",
            "connect_timeout": 10,
        }
        if admin:
            found["password"] = self.admin_password
        return found


class Spawner(traitlets.config.Configurable):
    """One sandbox. A subclass implements `start`, `stop`, `poll`, `endpoint` and `remove`.

    A spawner object is made for a sandbox's name, with the state that was saved last, and may be
    made again after a restart of the service: everything it needs to find the server again must
    be in its state.
    """

    start_timeout = traitlets.Float(60.0, help="Seconds a sandbox may take to start.").tag(
        config=True
    )
    stop_timeout = traitlets.Float(10.0, help="Seconds a sandbox gets to stop in order.").tag(
        config=True
    )

    def __init__(self, name: str, state: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.state: State = dict(state)

    def start(self) -> AsyncIterator[State]:
        """Start the server, or find it running; yield the state whenever it changes.

        Raises PostgresFailed, PostgresNotFound or SandboxFull.
        """
        raise NotImplementedError

    async def stop(self) -> None:
        """Stop the server in order. A server that does not run is fine."""
        raise NotImplementedError

    def poll(self) -> bool:
        """Whether the server runs, without asking it."""
        raise NotImplementedError

    async def restrain(self, restraints: Restraints) -> None:
        """Bound what the running server's sessions use from now on, as far as that can be done."""

    def memory(self) -> int | None:
        """Bytes that the server has in memory, where that is known. May take some milliseconds."""
        return None

    def trusted(self) -> bool:
        """Whether what the stopped server's disk holds may be used again."""
        raise NotImplementedError

    async def remove(self) -> None:
        """Stop the server at once and remove all it has."""
        raise NotImplementedError

    def endpoint(self) -> Endpoint:
        """Where the running server listens."""
        raise NotImplementedError
