"""pgcellar.profiles, on a real control database: quotas that hold at once, and classes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fixtures_identity import Acts

from pgcellar.api import errors, identities, quotas
from pgcellar.control import database, windows
from pgcellar.profiles import handlers, limits

NUMBERS = itertools.count(1)
ROOT = identities.Identity(
    subject="root", name="root", kind="os", roles=(identities.ADMINISTRATOR,)
)
ENDLESS = 86400.0


@pytest.fixture
def parts(control: database.ControlDatabase, acts: Acts) -> handlers.Parts:
    """The profiles, as one replica has them."""
    return handlers.compose(control, acts)


def somebody(kind: identities.Kind = "registered") -> identities.Identity:
    """Somebody no other test knows."""
    number = next(NUMBERS)
    return identities.Identity(subject=f"s_{number}", name=f"ann {number}", kind=kind)


@contextlib.asynccontextmanager
async def replicas(
    control: database.ControlDatabase, count: int
) -> AsyncIterator[list[windows.Windows]]:
    """Several processes' connections to one control database."""
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            db = database.ControlDatabase(_nowhere(), dsn=control._conninfo())
            found.append(windows.Windows(await stack.enter_async_context(db)))
        yield found


def _nowhere() -> Any:
    return pathlib.Path("/nonexistent")


# --- windows -------------------------------------------------------------------------------------


async def test_of_many_at_once_in_several_replicas_exactly_the_limit_is_admitted(
    control: database.ControlDatabase,
) -> None:
    async with replicas(control, 3) as several:
        for key in ("fresh", "fresh again"):
            taken = await asyncio.gather(
                *(
                    each.take(key, amount=1, limit=37, seconds=ENDLESS)
                    for _ in range(40)
                    for each in several
                )
            )
            assert sum(each.admitted for each in taken) == 37
            assert await several[0].used(key, seconds=ENDLESS) == 37
            assert all(each.retry_after > 0 for each in taken if not each.admitted)


async def test_amounts_add_up_to_the_limit_and_no_further(
    control: database.ControlDatabase,
) -> None:
    async with replicas(control, 2) as (one, two):
        sizes = [3, 5, 7, 11] * 20
        taken = await asyncio.gather(
            *(
                each.take("sizes", amount=size, limit=100, seconds=ENDLESS)
                for size, each in zip(sizes, itertools.cycle((one, two)), strict=False)
            )
        )
        sum_of = sum(size for size, each in zip(sizes, taken, strict=True) if each.admitted)
        assert 98 <= sum_of <= 100
        assert await one.used("sizes", seconds=ENDLESS) == sum_of


async def test_what_is_more_than_the_limit_is_never_admitted(
    control: database.ControlDatabase,
) -> None:
    taken = await windows.Windows(control).take("big", amount=11, limit=10, seconds=60)
    assert (taken.admitted, taken.retry_after) == (False, 0)


async def test_a_window_moves_on_and_is_not_exceeded_on_the_way(
    control: database.ControlDatabase,
) -> None:
    loop = asyncio.get_running_loop()
    counted = windows.Windows(control)
    begun: list[float] = []
    ended: list[float] = []
    end = loop.time() + 4
    while loop.time() < end:
        before = loop.time()
        taken = await counted.take("moving", amount=1, limit=5, seconds=1.2)
        if taken.admitted:
            begun.append(before)
            ended.append(loop.time())
        else:
            assert 0 < taken.retry_after <= 1.2 + 2 * 1.2 / windows.SLOTS
            await asyncio.sleep(taken.retry_after)
            assert (await counted.take("moving", amount=1, limit=5, seconds=1.2)).admitted
            begun.append(loop.time())
            ended.append(loop.time())
    assert len(begun) >= 15
    # From before the first of six to after the sixth is longer than the window.
    assert all(ended[i + 5] - begun[i] >= 1.19 for i in range(len(begun) - 5))


async def test_windows_that_passed_are_tidied(control: database.ControlDatabase) -> None:
    counted = windows.Windows(control)
    await counted.take("past", amount=1, limit=1, seconds=60)
    await control.execute("update windows set expires = now() where key = 'past'")
    assert await counted.tidy() == 1
    assert (await counted.take("past", amount=1, limit=1, seconds=60)).admitted
    await counted.clear("past")
    assert await counted.used("past", seconds=60) == 0


# --- quotas --------------------------------------------------------------------------------------


async def holding(subject: str) -> dict[quotas.Limit, float]:
    """What everybody holds."""
    return {"sandboxes": 1}


async def test_a_limit_is_named_with_its_value_and_when_it_resets(
    parts: handlers.Parts, acts: Acts
) -> None:
    who = somebody("anonymous")
    for _ in range(60):
        await parts.profiles.admit(who, "runs_per_minute")
    with pytest.raises(errors.LimitExceeded, match=r"60 runs in a minute, .* in \d+ s") as info:
        await parts.profiles.admit(who, "runs_per_minute")
    assert 0 < info.value.retry_after <= 62
    found = await parts.profiles.remaining(who, holding)
    assert found["runs_per_minute"] == {"limit": 60, "left": 0, "seconds": 60}
    assert found["sandboxes"] == {"limit": 1, "used": 1}
    assert found["cpu"] == {"limit": 1}
    assert len(acts.named("quota.deny")) == 1
    # Somebody else has a limit of their own.
    await parts.profiles.admit(somebody("anonymous"), "runs_per_minute")


async def test_what_is_held_is_compared_with_the_limit(parts: handlers.Parts) -> None:
    who = somebody()
    await parts.profiles.admit(who, "sandboxes", 2)
    with pytest.raises(errors.LimitExceeded, match="2 sandboxes at once") as info:
        await parts.profiles.admit(who, "sandboxes", 3)
    assert info.value.retry_after == 0
    with pytest.raises(errors.LimitExceeded, match="20 GiB of snapshots"):
        await parts.profiles.admit(who, "snapshot_bytes", 21 * limits.GIB)


async def test_the_operating_systems_user_has_no_limits(parts: handlers.Parts) -> None:
    for name in limits.NAMES:
        await parts.profiles.admit(ROOT, name, 1e18)
    found = await parts.profiles.remaining(ROOT, holding)
    assert {name: each.pop("limit") for name, each in found.items()} == dict.fromkeys(limits.NAMES)
    assert {name: each for name, each in found.items() if each} == {"sandboxes": {"used": 1}}


async def test_the_most_specific_wins_and_of_classes_the_most_generous(
    parts: handlers.Parts,
) -> None:
    who = somebody()
    for value in (3, 4, 2):
        made = await parts.classes.create(ROOT, "SQL")
        await parts.classes.set_quotas(ROOT, made["id"], {"sandboxes": value})
        await parts.classes.join(who, made["join_code"].lower(), "10.0.0.1")
    assert await parts.profiles.limit(who, "sandboxes") == 4
    assert await parts.profiles.limit(who, "cpu") == limits.REGISTERED["cpu"]
    await parts.profiles.set_quotas(ROOT, "subject", who.subject, {"sandboxes": 1})
    assert await parts.profiles.limit(who, "sandboxes") == 1
    await parts.profiles.set_quotas(ROOT, "subject", who.subject, {"sandboxes": None})
    assert await parts.profiles.limit(who, "sandboxes") == 4


@pytest.mark.parametrize(
    "values",
    [
        {"disk": 1},
        {"cpu": -1},
        {"cpu": True},
        {"cpu": "1"},
        {"cpu": float("nan")},
        {"cpu": float("inf")},
        {"cpu": 10**400},
    ],
)
async def test_what_is_no_limit_is_refused(
    parts: handlers.Parts, values: dict[str, object]
) -> None:
    with pytest.raises(errors.BadRequest):
        await parts.profiles.set_quotas(ROOT, "subject", "s_x", values)


async def test_who_may_set_limits(parts: handlers.Parts, acts: Acts) -> None:
    teacher, student = somebody(), somebody("anonymous")
    made = await parts.classes.create(ROOT, "SQL")
    which = made["id"]
    for who in (teacher, student):
        await parts.classes.join(who, made["join_code"], "10.0.0.2")
    await parts.classes.set_role(ROOT, which, teacher.subject, "teacher")
    await parts.classes.set_quotas(teacher, which, {"runs_per_minute": 300})
    assert await parts.profiles.limit(student, "runs_per_minute") == 300
    with pytest.raises(errors.Forbidden, match="300 runs in a minute at most"):
        await parts.classes.set_quotas(teacher, which, {"runs_per_minute": 301})
    with pytest.raises(errors.Forbidden):
        await parts.classes.set_quotas(student, which, {"runs_per_minute": 1})
    for who in (teacher, student):
        with pytest.raises(errors.Forbidden):
            await parts.profiles.set_quotas(who, "subject", who.subject, {"cpu": 1})
    other = await parts.classes.create(ROOT, "Other")
    with pytest.raises(errors.NotFound):
        await parts.classes.set_quotas(teacher, other["id"], {"cpu": 1})
    assert [act.target for act in acts.named("quota.set")] == [f"class:{which}"]


# --- classes -------------------------------------------------------------------------------------


async def test_a_class_from_beginning_to_end(parts: handlers.Parts, acts: Acts) -> None:
    teacher, student, stranger = somebody(), somebody("anonymous"), somebody()
    made = await parts.classes.create(ROOT, "  SQL  for all ")
    which = made["id"]
    assert made["name"] == "SQL for all"
    for who in (teacher, student, student):
        await parts.classes.join(who, made["join_code"], "10.0.0.3")
    await parts.classes.set_role(ROOT, which, teacher.subject, "teacher")
    members = (await parts.classes.get(teacher, which))["members"]
    assert {each["subject"]: each["role"] for each in members} == {
        "root": "teacher",
        teacher.subject: "teacher",
        student.subject: "student",
    }
    assert "members" not in await parts.classes.get(student, which)
    assert [each["id"] for each in await parts.classes.of(student)] == [which]
    with pytest.raises(errors.NotFound):
        await parts.classes.get(stranger, which)
    for act in (
        parts.classes.rename(student, which, "Mine"),
        parts.classes.remove(student, which),
        parts.classes.new_code(student, which),
        parts.classes.leave(student, which, teacher.subject),
        parts.classes.set_role(student, which, student.subject, "teacher"),
        parts.classes.create(teacher, "Another"),
    ):
        with pytest.raises(errors.Forbidden):
            await act
    code = await parts.classes.new_code(teacher, which)
    with pytest.raises(errors.NotFound):
        await parts.classes.join(stranger, made["join_code"], "10.0.0.3")
    await parts.classes.join(stranger, code, "10.0.0.3")
    await parts.classes.leave(stranger, which, stranger.subject)
    assert code not in repr(acts.acts)
    await parts.classes.remove(teacher, which)
    assert await parts.classes.of(student) == []


async def test_a_classs_name_is_one_line_without_what_is_not_seen(parts: handlers.Parts) -> None:
    """Teachers' terminals and tables show it."""
    made = await parts.classes.create(ROOT, "SQL\n for\tall")
    assert made["name"] == "SQL for all"
    for name in ("", " ", "x" * 3000, "\x1b[2J", "a\0b", "a\u202eb", "\u200b", "\ud800", 5, None):
        with pytest.raises(errors.BadRequest):
            await parts.classes.create(ROOT, name)
        with pytest.raises(errors.BadRequest):
            await parts.classes.rename(ROOT, made["id"], name)


async def test_a_class_keeps_a_teacher_even_if_all_leave_at_once(parts: handlers.Parts) -> None:
    teachers = [somebody() for _ in range(5)]
    made = await parts.classes.create(ROOT, "SQL")
    which = made["id"]
    for who in teachers:
        await parts.classes.join(who, made["join_code"], "10.0.0.4")
        await parts.classes.set_role(ROOT, which, who.subject, "teacher")
    found = await asyncio.gather(
        *(parts.classes.leave(who, which, who.subject) for who in (ROOT, *teachers)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, errors.Conflict) for each in found) == 1
    assert sum(each is None for each in found) == 5


async def test_join_codes_are_not_guessed(parts: handlers.Parts) -> None:
    who = somebody()
    for guess in ["", None, 7, "\ud800", *map(str, range(16))]:
        with pytest.raises(errors.NotFound):
            await parts.classes.join(who, guess, "10.0.0.5")
    with pytest.raises(errors.LimitExceeded, match="join codes"):
        await parts.classes.join(who, "x", "10.0.0.5")


async def test_codes_are_tried_from_a_network_not_an_address(
    parts: handlers.Parts, control: database.ControlDatabase
) -> None:
    """Who has an address of IPv6 has 2⁶⁴ of them."""
    counted = windows.Windows(control)
    for last in ("::1", "::2"):
        with pytest.raises(errors.NotFound):
            await parts.classes.join(somebody(), "x", f"2001:db8:5:5{last}")
    assert await counted.used("join:2001:db8:5:5::/64", seconds=600.0) == 2


# --- preferences ---------------------------------------------------------------------------------


async def test_preferences_change_and_are_bounded(parts: handlers.Parts) -> None:
    who = somebody()
    assert await parts.profiles.preferences(who) == {}
    await parts.profiles.prefer(who, {"theme": "dark", "rows": 50, "gone": None})
    await parts.profiles.prefer(who, {"rows": None, "font": {"size": 12}})
    assert await parts.profiles.preferences(who) == {"theme": "dark", "font": {"size": 12}}
    noise = "".join(map(str, range(200_000)))
    for changes in ({"x": noise}, {"x": "\0"}, dict.fromkeys(map(str, range(300)), 1)):
        with pytest.raises(errors.BadRequest):
            await parts.profiles.prefer(who, changes)
