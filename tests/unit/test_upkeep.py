"""pgcellar.audit.upkeep: what the service does by itself is written down, a moment late."""

from __future__ import annotations

import asyncio
import datetime
import logging

import pytest
from tests.fixtures_identity import Acts

from pgcellar.api import auditing, errors
from pgcellar.audit import upkeep


class Log(Acts):
    """An audit log in memory that is told how urgent an act is."""

    async def write(
        self,
        act: auditing.Act,
        *,
        at: datetime.datetime | None = None,
        owed: bool = False,
        urgent: bool = True,
    ) -> None:
        """Keep an act that has happened, and for which nobody waits."""
        assert (owed, urgent) == (True, False)
        self.acts.append(act)


class Broken(Log):
    """One that takes nothing."""

    async def write(self, act: auditing.Act, **_: object) -> None:
        """Raises AuditUnavailable."""
        raise errors.AuditUnavailable("no disk")


async def test_states_that_are_given_up_are_told_together() -> None:
    log = Log()
    kept = upkeep.Upkeep(log, later=0.05)
    for number in range(150):
        kept.evicted("ann", "sandbox1", [f"{number}"])
    kept.evicted("bob", "sandbox2", ["x", "y"])
    assert log.acts == []
    async with asyncio.timeout(10):
        while len(log.acts) < 2:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    first, second = log.acts
    assert {(act.subject, act.kind, act.action, act.outcome) for act in log.acts} == {
        ("pgcellar", "service", "state.evict", "done")
    }
    named = [f"{number}" for number in range(100)]
    assert (first.target, first.details) == (
        "sandbox1",
        {"owner": "ann", "count": 150, "states": named},
    )
    assert second.details == {"owner": "bob", "count": 2, "states": ["x", "y"]}
    # And those that come afterwards, in their turn.
    kept.evicted("ann", "sandbox1", ["z"])
    await kept.close()
    assert [act.details["count"] for act in log.acts] == [150, 2, 1]


async def test_what_can_not_be_written_stands_in_the_services_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = upkeep.Upkeep(Broken())
    with caplog.at_level(logging.ERROR):
        kept.note(upkeep.SERVICE.act("environment.stop", "sandbox1"))
        await kept.close()
    assert "not in the audit log: environment.stop of sandbox1" in caplog.text
