"""Which states of an owner are not evicted: those that are pinned, and those that have a tag.

A tag names one state at a time, as a branch does: given to another, it is taken from the first.
"""

from __future__ import annotations

import asyncio

from pgcellar.api import errors
from pgcellar.snapshots import store

#: States of one owner that may be pinned or tagged, and tags in all: whoever keeps everything would
#: have no room for the next.
MAX_STATES = 50
MAX_TAGS = 200


class Pins:
    """See the module."""

    def __init__(self, owner: str, kept: store.PinStore) -> None:
        self._owner = owner
        self._kept = kept
        self._pinned: set[str] = set()
        self._tags: dict[str, str] = {}
        #: Bounds are looked at and what counts for them is written by one request at a time.
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Read what is pinned and tagged."""
        self._pinned = await self._kept.pinned(self._owner)
        self._tags = await self._kept.tags(self._owner)

    @property
    def states(self) -> frozenset[str]:
        """The states that are not evicted, whether they are kept now or not."""
        return frozenset(self._pinned | set(self._tags.values()))

    def pinned(self, state: str) -> bool:
        """Whether a state is pinned itself."""
        return state in self._pinned

    def tags(self, state: str) -> tuple[str, ...]:
        """The tags of a state."""
        return tuple(sorted(tag for tag, tagged in self._tags.items() if tagged == state))

    async def pin(self, state: str) -> None:
        """Pin a state. Raises LimitExceeded."""
        async with self._turn:
            self._admit(state)
            await self._kept.pin(self._owner, state)
            self._pinned.add(state)

    async def unpin(self, state: str) -> None:
        """A state is pinned no more, if it was."""
        async with self._turn:
            await self._kept.unpin(self._owner, state)
            self._pinned.discard(state)

    async def tag(self, state: str, tag: str) -> None:
        """Give a tag to a state, and to no other any more. Raises LimitExceeded."""
        async with self._turn:
            self._admit(state)
            if tag not in self._tags and len(self._tags) >= MAX_TAGS:
                raise errors.LimitExceeded(
                    f"You have {len(self._tags)} tags, which is the most there may be.",
                    hint="Remove one that you no longer need.",
                )
            await self._kept.tag(self._owner, state, tag)
            self._tags[tag] = state

    async def untag(self, state: str, tag: str) -> None:
        """Take a tag from a state. Raises NotFound if it has none of that name."""
        async with self._turn:
            if self._tags.get(tag) != state:
                raise errors.NotFound(f"The state {state[:12]} has no tag {tag!r}.")
            await self._kept.untag(self._owner, tag)
            del self._tags[tag]

    def _admit(self, state: str) -> None:
        held = self.states
        if state not in held and len(held) >= MAX_STATES:
            raise errors.LimitExceeded(
                f"{len(held)} of your states are pinned or tagged, which is the most there may be.",
                hint="Unpin one, or remove its tags.",
            )
