"""What is the case right now, asked for whenever somebody scrapes."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Mapping

from prometheus_client import core, registry

from pgcellar.api import errors

#: Seconds that the control database has to answer.
ALIVE_SECONDS = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """Where the gauges come from. Each is asked once a scrape, and must be cheap."""

    #: Sandboxes by status.
    sandboxes: Callable[[], Mapping[str, int]]
    #: How many snapshots there are, and their bytes.
    snapshots: Callable[[], tuple[int, int]]
    #: Free bytes of the home's file system.
    disk_free: Callable[[], int]
    active_runs: Callable[[], int]
    #: Accepted runs that wait for their turn.
    queued_runs: Callable[[], int]
    #: Acts that wait to be written; entries in the spool, their bytes, and how many bytes it may
    #: take; entries lost.
    audit: Callable[[], tuple[int, int, int, int, int]]
    #: Whether the audit log's database took the last records.
    audit_up: Callable[[], bool]
    #: Raises PgcellarError where the control database does not answer.
    control: Callable[[], Awaitable[object]]
    version: str


class Gauges(registry.Collector):
    """Collects from the sources. `refresh` comes first: it may have to wait."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._control_up = False

    async def refresh(self) -> None:
        """Ask what has to be waited for."""
        self._control_up = False
        with contextlib.suppress(errors.PgcellarError, TimeoutError):
            async with asyncio.timeout(ALIVE_SECONDS):
                await self._sources.control()
                self._control_up = True

    def describe(self) -> Iterable[core.Metric]:
        """Nothing is asked for when this is registered."""
        return []

    def collect(self) -> Iterable[core.Metric]:
        """All gauges."""
        sources = self._sources
        by_status = core.GaugeMetricFamily(
            "pgcellar_sandboxes", "Sandboxes by status.", labels=["status"]
        )
        for status, count in sources.sandboxes().items():
            by_status.add_metric([status], count)
        yield by_status
        count, size = sources.snapshots()
        waiting, spooled, spool_bytes, spool_limit, lost = sources.audit()
        for name, text, value in (
            ("pgcellar_snapshots", "Snapshots of running sandboxes.", count),
            ("pgcellar_snapshot_bytes", "Their logical size, shared extents included.", size),
            ("pgcellar_disk_free_bytes", "Free bytes of the home's disk.", sources.disk_free()),
            ("pgcellar_runs_active", "Runs and pages under way.", sources.active_runs()),
            ("pgcellar_runs_queued", "Accepted runs that wait.", sources.queued_runs()),
            ("pgcellar_control_up", "Whether the control database answers.", self._control_up),
            ("pgcellar_audit_up", "Whether the audit log's database does.", sources.audit_up()),
            ("pgcellar_audit_queue", "Acts that wait for their transaction.", waiting),
            ("pgcellar_audit_spool_records", "Acts that wait in the spool.", spooled),
            ("pgcellar_audit_spool_bytes", "Bytes of the spool.", spool_bytes),
            ("pgcellar_audit_spool_limit_bytes", "Bytes it may have.", spool_limit),
        ):
            yield core.GaugeMetricFamily(name, text, value=value)
        yield core.CounterMetricFamily(
            "pgcellar_audit_lost", "Acts that no disk would take; they are in the log.", value=lost
        )
        yield core.InfoMetricFamily(
            "pgcellar_build", "The version that runs.", value={"version": sources.version}
        )
