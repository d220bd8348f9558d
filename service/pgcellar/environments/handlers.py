"""Sandboxes over HTTP: their owner looks at them, and stops, restarts or resets them."""

from __future__ import annotations

from typing import Protocol

from pgcellar.api import errors, records
from pgcellar.web import base

#: What a sandbox's id looks like in a path.
ENVIRONMENT = "([0-9a-f]{8})"


class Tending(Protocol):
    """What may be done with sandboxes. Of each it raises NotFound where the owner has none."""

    async def listed(self, owner: str) -> list[records.EnvironmentInfo]:
        """The owner's sandboxes."""

    async def info(self, owner: str, name: str) -> records.EnvironmentInfo:
        """One of them."""

    async def stop(self, owner: str, name: str) -> None:
        """Cancel what runs in it, and stop it; its states stay."""

    async def restart(self, owner: str, name: str) -> None:
        """Stop it and start it."""

    async def reset(self, owner: str, name: str) -> None:
        """Remove it with its states, and what was learned of them."""


class _EnvironmentHandler(base.BaseHandler):
    """A handler over the sandboxes of whoever asks."""

    scope = "environments"

    def initialize(self, tending: Tending) -> None:
        """See the routes in `pgcellar.routing`."""
        self.tending = tending

    @property
    def owner(self) -> str:
        """Whose sandboxes are meant."""
        return self.identity.subject


class Environments(_EnvironmentHandler):
    """`GET /environments`."""

    async def get(self) -> None:
        """List the sandboxes there are. None is started for it."""
        found = await self.tending.listed(self.owner)
        self.answer({"environments": [records.to_json(each) for each in found]})


class Environment(_EnvironmentHandler):
    """`GET /environments/{id}`."""

    async def get(self, name: str) -> None:
        """One sandbox."""
        self.answer(records.to_json(await self.tending.info(self.owner, name)))


class Stop(_EnvironmentHandler):
    """`POST /environments/{id}/stop`."""

    async def post(self, name: str) -> None:
        """Stop a sandbox; how it is then."""
        await self.tending.stop(self.owner, name)
        self.answer(records.to_json(await self.tending.info(self.owner, name)))


class Restart(_EnvironmentHandler):
    """`POST /environments/{id}/restart`."""

    async def post(self, name: str) -> None:
        """Stop a sandbox and start it; which there are then."""
        await self.tending.restart(self.owner, name)
        # One that did not end in order was replaced by another.
        found = await self.tending.listed(self.owner)
        self.answer({"environments": [records.to_json(each) for each in found]})


class Reset(_EnvironmentHandler):
    """`POST /environments/{id}/reset`."""

    async def post(self, name: str) -> None:
        """Remove a sandbox and all it has, where the request confirms it."""
        if self.body().get("confirm") != name:
            raise errors.BadRequest(
                f"This removes the sandbox {name} with its states and tags, and is not confirmed.",
                hint=f'Send `{{"confirm": "{name}"}}` if that is what you want.',
            )
        await self.tending.reset(self.owner, name)
        self.set_status(204)
