"""Which set of roles a sandbox calls by its names, and who runs under it.

Roles belong to states, but the server has only one list of them. Runs whose states have the same
set go side by side; one that needs another set, or may change the set, waits until it is alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

#: A set of roles as a snapshot's row holds it; None is the empty one.
RoleSet = dict[str, Any] | None


class Roles(Protocol):
    """What the runner needs to know of the roles of the sandbox."""

    async def read(self) -> RoleSet:
        """The set that is called by its names now."""

    async def switch(self, target: RoleSet) -> None:
        """Call these roles by their names, and park all others."""

    async def drop(self, names: tuple[str, ...], database: str) -> bool:
        """Take roles out of the set that only databases of other states still need.

        False, and nothing done, if an object of this database depends on one of them.
        """


#: Ends the open transactions that changed roles, but those of one notebook: nobody else could
#: touch these roles before they end.
EndOthers = Callable[[str | None], Awaitable[None]]

#: Not known, since switching was broken off: equal to no set.
_UNKNOWN: RoleSet = {"roles": None}


class HasRoles(Protocol):
    """Whatever stands in a state."""

    roles: RoleSet


class Switch:
    """See the module."""

    def __init__(self, roles: Roles, end_others: EndOthers) -> None:
        self.roles = roles
        self._end_others = end_others
        self._active: RoleSet = _UNKNOWN
        self._users = 0
        self._alone = False
        self._deciding = asyncio.Lock()
        self._freed = asyncio.Event()

    async def open(self) -> None:
        """Begin with no roles, whatever an earlier service left."""
        await self.to(None)

    @contextlib.asynccontextmanager
    async def using(
        self, target: RoleSet, *, alone: bool = False, notebook: str | None = None
    ) -> AsyncIterator[None]:
        """While this is held, these roles are called by their names, for a run of a notebook.

        With `alone` they may change meanwhile (see `changed`). Raises RolesLost if one of them is
        there no more.
        """
        while True:
            async with self._deciding:
                if self._free(target, alone):
                    if alone or target != self._active:
                        await self._end_others(notebook)
                    await self.to(target)
                    self._users += 1
                    self._alone = alone
                    break
                self._freed.clear()
            await self._freed.wait()
        try:
            yield
        finally:
            self._users -= 1
            self._alone = False
            self._freed.set()

    async def to(self, target: RoleSet) -> None:
        """Switch, while alone."""
        if target != self._active:
            self._active = _UNKNOWN
            await self.roles.switch(target)
            self._active = target

    async def changed(self) -> RoleSet:
        """What the set has become, while alone."""
        self._active = await self.roles.read()
        return self._active

    async def noticed(self, instance: HasRoles) -> None:
        """Note roles that a cell made without saying so in its text."""
        if instance.roles == self._active and not self._alone:
            found = await self.roles.read()
            if instance.roles == self._active and found != self._active:
                instance.roles = self._active = found

    def _free(self, target: RoleSet, alone: bool) -> bool:
        if self._users == 0:
            return True
        return not self._alone and not alone and target == self._active
