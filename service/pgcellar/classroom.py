"""What runs for people, and how it is stopped, over runner, ledger and environments: wired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgcellar import tending
from pgcellar.api import quotas, teaching
from pgcellar.environments import service as environments
from pgcellar.runner import ledger, progress, progress_store
from pgcellar.runner import service as runner
from pgcellar.snapshots import store as snapshots


class Classroom:
    """Satisfies `api.teaching.Classroom`."""

    def __init__(
        self,
        runs: runner.Runner,
        accepted: ledger.Ledger,
        sandboxes: environments.Environments,
        steps: progress.Progress,
        tended: tending.Tending,
        index: snapshots.SnapshotStore,
    ) -> None:
        self._runner = runs
        self._ledger = accepted
        self._environments = sandboxes
        self._progress = steps
        self._tending = tended
        self._index = index

    async def work(self, owners: Sequence[str]) -> dict[str, teaching.Work]:
        """See `teaching.Classroom`."""
        steps = await self._progress.of(list(owners))
        busy, queued = self._runner.busy(), self._ledger.waiting()
        return {
            owner: teaching.Work(
                notebooks=[_step(step) for step in steps.get(owner, ())],
                sandbox=_standing(self._environments.standing(owner)),
                busy=[_busy(each) for each in busy.get(owner, ())],
                queued=queued[owner],
            )
            for owner in owners
        }

    async def held(self, owner: str) -> dict[quotas.Limit, float]:
        """See `teaching.Classroom`."""
        found = self._environments.find(owner)
        kept = [] if found is None else await self._index.of(found[0].name)
        busy = self._runner.busy().get(owner, ())
        return {
            "sandboxes": 0 if found is None or found[1] is None else 1,
            "snapshot_bytes": sum(each.bytes for each in kept),
            "statement_seconds": max(
                (round(each.statement_seconds, 1) for each in busy), default=0
            ),
        }

    async def stop(self, owner: str, reason: str) -> None:
        """See `teaching.Classroom`."""
        await self._tending.halt(owner, reason)

    async def reset(self, owner: str, reason: str) -> None:
        """See `teaching.Classroom`."""
        await self._tending.erase(owner, reason)

    def extend(self, owner: str, seconds: float) -> None:
        """See `teaching.Classroom`."""
        self._environments.extend(owner, seconds)


def _step(step: progress_store.Step) -> dict[str, Any]:
    return {
        "notebook": step.notebook,
        "cell": step.cell,
        "number": step.number,
        "cells": step.cells,
        "furthest": step.furthest,
        "status": step.status,
        "sqlstate": step.sqlstate,
        "at": step.at.isoformat(),
    }


def _standing(found: environments.Standing) -> dict[str, Any]:
    return {
        "status": found.status,
        "idle_seconds": round(found.idle, 1),
        "waiting_seconds": round(found.waiting, 1),
        "extended_seconds": round(found.extended, 1),
    }


def _busy(found: runner.Busy) -> dict[str, Any]:
    return {
        "run": found.run,
        "notebook": found.notebook,
        "cell": found.cell,
        "seconds": round(found.seconds, 1),
        "statement_seconds": round(found.statement_seconds, 1),
    }
