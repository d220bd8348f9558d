"""The snapshot cache's HTTP face."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pgcellar.api import records
from pgcellar.snapshots import service
from pgcellar.web import base

CacheOf = Callable[[str], Awaitable[service.SnapshotCache]]


class _CacheHandler(base.BaseHandler):
    """A handler over the snapshot cache of one owner's sandbox."""

    scope = "states"

    def initialize(self, cache_of: CacheOf) -> None:
        """See the routes in `pgcellar.app`."""
        self.cache_of = cache_of


class States(_CacheHandler):
    """`GET /states`: the snapshots kept."""

    async def get(self) -> None:
        """List them, oldest first."""
        cache = await self.cache_of(self.identity.subject)
        listed = [
            records.StateInfo(
                state=snapshot.state,
                parent=snapshot.parent,
                status=snapshot.status,
                bytes=snapshot.bytes,
                cost_ms=snapshot.cost_ms,
                hits=snapshot.hits,
                created=snapshot.created.isoformat(timespec="seconds"),
                last_used=snapshot.last_used.isoformat(timespec="seconds"),
                cell=snapshot.cell,
            )
            for snapshot in cache.all()
        ]
        self.answer({"states": [records.to_json(info) for info in listed]})


class Collect(_CacheHandler):
    """`POST /gc`: reconcile and evict."""

    async def post(self) -> None:
        """Say what went and what is left."""
        cache = await self.cache_of(self.identity.subject)
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
