"""pgcellar.audit.thinning: nobody fills the log by being refused, and nothing is lost."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from tests.fixtures_identity import Acts

from pgcellar.api import auditing, errors
from pgcellar.audit import thinning


def denied(subject: str = "eve", action: str = "request.deny", target: str = "x") -> auditing.Act:
    """Something that somebody was kept from."""
    return auditing.Act(
        subject=subject,
        name=subject,
        kind="registered",
        action=action,
        target=target,
        outcome="denied",
        details={"reason": "no"},
    )


def times(acts: Acts, subject: str = "eve") -> int:
    """How many denials the acts tell of."""
    return sum(act.details.get("times", 1) for act in acts.acts if act.subject == subject)


async def test_many_denials_are_written_together(acts: Acts) -> None:
    thinned = thinning.Thinned(acts, later=0.05)
    for number in range(500):
        await thinned.write(denied(target=f"t{number}"))
    await thinned.write(denied("bob"))
    assert len(acts.acts) == 21
    async with asyncio.timeout(10):
        while times(acts) < 500:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    told = acts.acts[-1]
    assert (told.target, told.details["reason"], told.details["times"]) == ("t499", "no", 480)
    # Nothing is hidden among many: the first ones are told apart, and all are counted.
    targets = told.details["targets"]
    assert (targets["t20"], targets["t69"], targets["others"]) == (1, 1, 430)
    assert times(acts, "bob") == 1
    await thinned.close()


async def test_failed_logins_from_many_addresses_are_written_together(acts: Acts) -> None:
    thinned = thinning.Thinned(acts)
    for number in range(1_000):
        act = dataclasses.replace(denied("", "login.password"), address=f"2001:db8:{number:x}::1")
        await thinned.write(act)
    assert 300 <= len(acts.acts) < 330
    await thinned.close()
    assert times(acts, "") == 1_000
    assert acts.acts[-1].details["addresses"]["others"] > 600


async def test_where_denials_came_from_is_not_hidden_among_many(acts: Acts) -> None:
    """As when somebody who has another's token tries at the same time."""
    thinned = thinning.Thinned(acts)
    for number in range(100):
        act = dataclasses.replace(denied(), address="192.0.2.1" if number % 50 else "203.0.113.7")
        await thinned.write(act)
    await thinned.close()
    assert acts.acts[-1].details["addresses"] == {"192.0.2.1": 79, "203.0.113.7": 1}


async def test_what_was_gathered_is_written_at_the_end(acts: Acts) -> None:
    thinned = thinning.Thinned(acts)
    for number in range(60):
        thinned.note(denied(action=f"a{number % 2}"))
    await thinned.close()
    assert times(acts) == 60
    assert len(acts.acts) == 22


async def test_acts_that_were_done_are_written_at_once(acts: Acts) -> None:
    thinned = thinning.Thinned(acts)
    for _ in range(100):
        done = auditing.Act(
            subject="eve", name="", kind="os", action="a", target="", outcome="done"
        )
        await thinned.write(done)
        # Logins that fail are nobody's, and counted elsewhere.
        await thinned.write(denied(""))
    assert len(acts.acts) == 200
    await thinned.close()


async def test_of_many_people_no_more_is_held(acts: Acts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "_SUBJECTS", 5)
    thinned = thinning.Thinned(acts)
    for number in range(5):
        for _ in range(22):
            await thinned.write(denied(f"s{number}"))
    async with asyncio.timeout(10):
        while len(acts.acts) < 105:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
    assert sum(times(acts, f"s{number}") for number in range(5)) == 110
    await thinned.close()


class Slow(Acts):
    """A log that takes its time."""

    async def write(self, act: auditing.Act) -> None:
        """Keep an act, later."""
        await asyncio.sleep(0.02)
        await super().write(act)


async def test_what_comes_while_others_are_written_is_not_forgotten() -> None:
    acts = Slow()
    thinned = thinning.Thinned(acts, later=0.0)
    for _ in range(21):
        await thinned.write(denied())
    # The one too many is being written by now.
    while thinned._more:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0)
    await thinned.write(denied())
    await thinned.close()
    assert times(acts) == 22


class Full(Acts):
    """A log that takes nothing."""

    async def write(self, act: auditing.Act) -> None:
        """Raises AuditUnavailable."""
        raise errors.AuditUnavailable("full")


async def test_what_nobody_takes_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    thinned = thinning.Thinned(Full())
    thinned.note(denied(target="POST /keys"))
    await thinned.close()
    assert "request.deny of eve: POST /keys" in caplog.text
    with pytest.raises(errors.AuditUnavailable):
        await thinned.write(denied())
