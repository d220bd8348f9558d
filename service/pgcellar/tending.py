"""What owners may do with their sandboxes, across the services that hold something of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from pgcellar.api import errors, records
from pgcellar.environments import service as environments
from pgcellar.environments import store as sandboxes
from pgcellar.runner import ledger, service

logger = logging.getLogger(__name__)

#: Seconds that a sandbox gets to stop; one that is about to start runs before it is stopped.
_STOP_SECONDS = 30.0
_STOPPED = "The sandbox was stopped by its owner."
_RESET = "The sandbox was reset by its owner."


class Audit(Protocol):
    """Takes down what was done."""

    async def act(self, owner: str, action: str, target: str) -> None:
        """Somebody is about to do something. Raises AuditUnavailable."""


@contextlib.asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            yield
    except TimeoutError:
        raise errors.Conflict(
            "This sandbox is about to start or to end, and can't be stopped now.",
            hint="Try again in a moment.",
        ) from None


class Tending:
    """See the module; satisfies `environments.handlers.Tending`.

    `base_of` says the base of an owner's running sandbox, `forget` drops what is kept of an owner's
    states besides the sandbox itself.
    """

    def __init__(
        self,
        held: environments.Environments,
        runner: service.Runner,
        accepted: ledger.Ledger,
        audit: Audit,
        *,
        base_of: Callable[[str], str | None],
        forget: Callable[[str], Awaitable[None]],
    ) -> None:
        self._environments = held
        self._runner = runner
        self._ledger = accepted
        self._audit = audit
        self._base_of = base_of
        self._forget = forget

    async def listed(self, owner: str) -> list[records.EnvironmentInfo]:
        """The owner's sandboxes; so far there is one at most."""
        found = self._environments.find(owner)
        return [] if found is None else [await self._info(owner, *found)]

    async def info(self, owner: str, name: str) -> records.EnvironmentInfo:
        """A sandbox of the owner's. Raises NotFound."""
        return await self._info(owner, *self._found(owner, name))

    async def stop(self, owner: str, name: str) -> None:
        """Cancel what runs in a sandbox, and stop it; its states stay. Raises NotFound."""
        self._found(owner, name)
        await self._audit.act(owner, "environment.stop", name)
        await self.halt(owner, _STOPPED)

    async def restart(self, owner: str, name: str) -> None:
        """Stop a sandbox and start it. Raises NotFound, or what keeps it from starting."""
        self._found(owner, name)
        await self._audit.act(owner, "environment.restart", name)
        await self.halt(owner, _STOPPED)
        await self._runner.leave(owner)
        await self._runner.space(owner)

    async def reset(self, owner: str, name: str) -> None:
        """Remove a sandbox, its states, and what was learned of them. Raises NotFound."""
        self._found(owner, name)
        await self._audit.act(owner, "environment.reset", name)
        await self.erase(owner, _RESET)

    async def halt(self, owner: str, reason: str) -> None:
        """Cancel what runs for somebody, and stop their sandbox if it runs. Raises Conflict."""
        await self._end(owner, reason)
        async with _in_time():
            await self._environments.stop(owner)

    async def erase(self, owner: str, reason: str) -> None:
        """Remove somebody's sandbox with its states, and what was learned of them.

        Raises Conflict.
        """
        await self._end(owner, reason)
        async with _in_time():
            await self._environments.remove(owner)
        # What is held of it is written when it is let go of, and must not be written later.
        await self._runner.leave(owner)
        await self._forget(owner)

    async def _end(self, owner: str, reason: str) -> None:
        await self._ledger.cancel_all(owner, reason)
        await self._runner.interrupt(owner)

    def _found(
        self, owner: str, name: str
    ) -> tuple[sandboxes.SandboxRow, environments.Sandbox | None]:
        found = self._environments.find(owner)
        if found is None or found[0].name != name:
            raise errors.NotFound(
                f"You have no sandbox {name}.", hint="`GET /environments` lists those there are."
            )
        return found

    async def _info(
        self, owner: str, row: sandboxes.SandboxRow, live: environments.Sandbox | None
    ) -> records.EnvironmentInfo:
        if live is None:
            status: records.EnvironmentStatus = "stopped"
            if row.status == "starting":
                status = "starting"
            return records.EnvironmentInfo(id=row.name, kind=row.kind, status=status)
        return records.EnvironmentInfo(
            id=row.name,
            kind=row.kind,
            status="running",
            server_version=live.endpoint.server_version,
            base=self._base_of(owner),
            memory_bytes=await asyncio.to_thread(live.memory),
            since=live.since.isoformat(timespec="seconds"),
            runs=live.runs,
            idle_seconds=round(live.idle_seconds(), 1),
            left_seconds=round(self._environments.left(owner, live), 1),
        )
