"""The snapshot cache's HTTP face."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from pgcellar.api import errors, records
from pgcellar.snapshots import service, store
from pgcellar.web import base

CacheOf = Callable[[str], Awaitable[service.SnapshotCache]]


class Act(Protocol):
    """Takes down what somebody is about to do."""

    async def __call__(self, owner: str, action: str, target: str, **details: str) -> None:
        """Raises AuditUnavailable."""


#: What a state and a tag look like in a path.
STATE = "([0-9a-f]{64})"
TAG = "([A-Za-z0-9][A-Za-z0-9._-]{0,63})"


class _CacheHandler(base.BaseHandler):
    """A handler over the snapshot cache of one owner's sandbox."""

    scope = "states"

    def initialize(self, cache_of: CacheOf, act: Act) -> None:
        """See the routes in `pgcellar.routing`."""
        self.cache_of = cache_of
        self.act = act

    async def cache(self) -> service.SnapshotCache:
        """The snapshots of whoever asks."""
        return await self.cache_of(self.identity.subject)

    async def note(self, action: str, state: str, **details: str) -> None:
        """Take down what is about to be done with a state. Raises AuditUnavailable."""
        await self.act(self.identity.subject, f"state.{action}", state, **details)


class States(_CacheHandler):
    """`GET /states`: the snapshots kept."""

    async def get(self) -> None:
        """List them, oldest first."""
        cache = await self.cache()
        listed = [_info(cache, snapshot) for snapshot in cache.all()]
        self.answer({"states": [records.to_json(info) for info in listed]})


class Pin(_CacheHandler):
    """`/states/{id}/pin`."""

    async def put(self, state: str) -> None:
        """Pin a state: it is not evicted."""
        cache = await self.cache()
        await self.note("pin", state)
        await cache.pin(state)
        self.answer(_told(cache, state))

    async def delete(self, state: str) -> None:
        """Unpin a state, be it kept or not."""
        cache = await self.cache()
        await self.note("unpin", state)
        await cache.pins.unpin(state)
        self.set_status(204)


class Tag(_CacheHandler):
    """`/states/{id}/tags/{tag}`."""

    async def put(self, state: str, tag: str) -> None:
        """Give a tag to a state, which is not evicted then; another that had it loses it."""
        cache = await self.cache()
        await self.note("tag", state, tag=tag)
        await cache.tag(state, tag)
        self.answer(_told(cache, state))

    async def delete(self, state: str, tag: str) -> None:
        """Take a tag from a state, be it kept or not."""
        cache = await self.cache()
        await self.note("untag", state, tag=tag)
        await cache.pins.untag(state, tag)
        self.set_status(204)


def _info(cache: service.SnapshotCache, snapshot: store.Snapshot) -> records.StateInfo:
    return records.StateInfo(
        state=snapshot.state,
        parent=snapshot.parent,
        status=snapshot.status,
        bytes=snapshot.bytes,
        cost_ms=snapshot.cost_ms,
        hits=snapshot.hits,
        created=snapshot.created.isoformat(timespec="seconds"),
        last_used=snapshot.last_used.isoformat(timespec="seconds"),
        cell=snapshot.cell,
        pinned=cache.pins.pinned(snapshot.state),
        tags=cache.pins.tags(snapshot.state),
    )


def _told(cache: service.SnapshotCache, state: str) -> dict[str, Any]:
    """A state as it stands. Raises NotFound if it was given up this very moment."""
    snapshot = cache.find(state)
    if snapshot is None:
        raise errors.NotFound(f"The state {state[:12]} is not kept any more.")
    return records.to_json(_info(cache, snapshot))


class Collect(_CacheHandler):
    """`POST /gc`: reconcile and evict."""

    async def post(self) -> None:
        """Say what went and what is left."""
        cache = await self.cache()
        await self.act(self.identity.subject, "state.collect", "all")
        strays = await cache.reconcile()
        evicted = await cache.evict()
        left = cache.all()
        self.answer(
            {
                "strays_dropped": strays,
                "evicted": evicted,
                "states": len(left),
                "bytes": sum(snapshot.bytes for snapshot in left),
                "copy_on_write": cache.shares_extents,
            }
        )
