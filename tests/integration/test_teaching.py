"""A teacher's resources, before a real gateway and service: what is seen, done, and refused."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.fixtures_central import ADMINISTRATOR, Central

CELLS = [
    {"id": "a", "source": "create table t (n int); insert into t values (1), (2)"},
    {"id": "b", "source": "select sum(n) from t"},
    {"id": "c", "source": "select n / 0 from t"},
]
ACTIONS = ("stop", "reset", "extend")
BODIES: dict[str, Any] = {"stop": {}, "reset": {"confirm": True}, "extend": {"minutes": 5}}


@dataclasses.dataclass(frozen=True, kw_only=True)
class School:
    """A class with its teacher, and a student in it."""

    which: str
    teacher: httpx.Client
    student: httpx.Client
    subject: str

    @property
    def at(self) -> str:
        """The class."""
        return f"/profiles/classes/{self.which}"

    @property
    def sandbox(self) -> str:
        """The student's sandbox."""
        return f"{self.at}/members/{self.subject}/sandbox"

    def activity(self) -> Any:
        """What the teacher sees of the student."""
        answer = self.teacher.get(f"{self.at}/activity")
        assert answer.status_code == 200, answer.text
        (found,) = (each for each in answer.json()["members"] if each["subject"] == self.subject)
        return found


@pytest.fixture(scope="module")
def administrator(central: Central) -> Iterator[httpx.Client]:
    """Whom the settings name."""
    with central.registered(ADMINISTRATOR) as made:
        yield made


@contextlib.contextmanager
def school(central: Central, administrator: httpx.Client, name: str) -> Iterator[School]:
    """A class of its own."""
    with central.registered(f"{name}@example.org") as teacher, central.anonymous() as student:
        asked = {"name": name, "teacher": me(teacher)}
        made = administrator.post("/profiles/classes", json=asked).json()
        joined = student.post("/profiles/classes/join", json={"code": made["join_code"]})
        assert joined.status_code == 200
        yield School(which=made["id"], teacher=teacher, student=student, subject=me(student))


@pytest.fixture(scope="module")
def taught(central: Central, administrator: httpx.Client) -> Iterator[School]:
    """The class that most tests are about."""
    with school(central, administrator, "ms-frizzle") as made:
        yield made


def me(who: httpx.Client) -> str:
    """Whose client it is."""
    return str(who.get("/me").json()["subject"])


def until(what: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until something is so; what it is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("it does not come")


def begin(who: httpx.Client, head: int, notebook: str = "n.ipynb", **changes: Any) -> str:
    """Have a cell run; the run."""
    asked = {"notebook": notebook, "cells": CELLS, "head": head, **changes}
    accepted = who.post("/runs", json=asked)
    assert accepted.status_code == 202, accepted.text
    return str(accepted.json()["id"])


def result(who: httpx.Client, run: str) -> Any:
    """What a run gave, once it is over."""
    return until(
        lambda: (
            answer.json() if (answer := who.get(f"/runs/{run}/result")).status_code != 409 else None
        )
    )


def sleeping(who: httpx.Client) -> str:
    """Have a statement run that takes its time; the run."""
    cells = [{"id": "slow", "source": "select pg_sleep(50)"}]
    return begin(who, 0, "slow.ipynb", cells=cells)


def test_how_far_a_student_is(taught: School) -> None:
    for head in (0, 1, 2):
        result(taught.student, begin(taught.student, head))
    found = taught.activity()
    assert found["online"] is True
    assert found["role"] == "student"
    (notebook,) = found["notebooks"]
    assert {**notebook, "at": ""} == {
        "notebook": "n.ipynb",
        "cell": "c",
        "number": 3,
        "cells": 3,
        "furthest": 2,
        "status": "failed",
        "sqlstate": "22012",
        "at": "",
    }
    assert found["sandbox"]["status"] == "running"
    assert found["busy"] == []
    result(taught.student, begin(taught.student, 0, cells=CELLS[:1]))
    (notebook,) = taught.activity()["notebooks"]
    # Whoever shows less of the notebook has not made it shorter.
    assert (notebook["number"], notebook["cells"], notebook["furthest"]) == (1, 3, 2)
    assert notebook["status"] == "done"


def test_several_heads_are_as_many_steps(taught: School) -> None:
    result(taught.student, begin(taught.student, 2, "all.ipynb", first=0))
    latest = taught.activity()["notebooks"][0]
    assert (latest["notebook"], latest["cell"], latest["furthest"]) == ("all.ipynb", "c", 2)


def test_names_may_be_anything(taught: School) -> None:
    names = ["x" * 3000, "n\0m", "\ud800", "a/../b"]
    for name in names[:1] + names[3:]:
        result(taught.student, begin(taught.student, 0, name))
    told = {each["notebook"] for each in taught.activity()["notebooks"]}
    assert {"x" * 400, "a/../b"} <= told


def test_a_stuck_sandbox_is_seen_and_stopped(taught: School, administrator: httpx.Client) -> None:
    run = sleeping(taught.student)
    (busy,) = until(
        lambda: [each for each in taught.activity()["busy"] if each["statement_seconds"] > 1]
    )
    assert (busy["run"], busy["notebook"], busy["cell"]) == (run, "slow.ipynb", "slow")
    assert busy["seconds"] >= busy["statement_seconds"]
    start = time.monotonic()
    assert taught.teacher.post(f"{taught.sandbox}/stop").status_code == 204
    assert time.monotonic() - start < 20
    found = result(taught.student, run)
    assert found["error"]["message"] == "Whoever teaches your class stopped your sandbox."
    after = taught.activity()
    assert after["sandbox"]["status"] == "stopped"
    assert after["busy"] == []
    assert after["notebooks"][0]["status"] == "cancelled"
    # Nothing is lost by it.
    again = result(taught.student, begin(taught.student, 1))
    assert again["error"] is None
    assert again["totals"]["replayed"] == 0
    query = {"action": "sandbox.stop", "target": taught.subject}
    (record,) = administrator.get("/audit", params=query).json()["records"]
    assert record["subject"] == me(taught.teacher)
    assert record["outcome"] == "done"
    assert record["details"]["class"] == taught.which
    assert record["address"] == "127.0.0.1"


def test_runs_that_wait_are_cancelled_too(taught: School) -> None:
    runs = [sleeping(taught.student) for _ in range(4)]
    until(lambda: taught.activity()["busy"])
    assert taught.teacher.post(f"{taught.sandbox}/stop").status_code == 204
    assert all(result(taught.student, run)["error"] is not None for run in runs)
    assert taught.activity()["sandbox"]["status"] == "stopped"


def test_a_sandbox_is_made_anew(taught: School) -> None:
    assert result(taught.student, begin(taught.student, 1))["error"] is None
    before = taught.student.get("/states").json()["states"]
    assert before
    refused = taught.teacher.post(f"{taught.sandbox}/reset", json={})
    assert refused.status_code == 400
    assert "confirm" in refused.json()["hint"]
    reset = taught.teacher.post(f"{taught.sandbox}/reset", json={"confirm": True})
    assert reset.status_code == 204, reset.text
    assert taught.activity()["sandbox"]["status"] == "none"
    again = result(taught.student, begin(taught.student, 1))
    assert again["error"] is None
    assert again["cells"][-1]["results"][0]["rows"] == [["3"]]


def test_what_a_student_holds(taught: School) -> None:
    """Of each limit that has a measure, how much is used; of oneself one is told what is left."""
    result(taught.student, begin(taught.student, 1))
    run = sleeping(taught.student)
    until(lambda: taught.activity()["busy"])

    def limits() -> Any:
        return taught.teacher.get(f"{taught.sandbox.rsplit('/', 1)[0]}/quotas").json()["quotas"]

    assert until(lambda: limits()["statement_seconds"]["used"] > 0.1)
    found = limits()
    assert found["sandboxes"]["used"] == 1
    assert found["snapshot_bytes"]["used"] > 1 << 20
    assert found["runs_per_minute"]["left"] < found["runs_per_minute"]["limit"]
    assert [name for name, each in found.items() if {"left", "used"}.isdisjoint(each)] == [
        "cpu",
        "memory_bytes",
    ]
    taught.student.post(f"/runs/{run}/cancel")
    until(lambda: not taught.activity()["busy"])
    assert limits()["statement_seconds"]["used"] == 0


def test_more_for_a_while(taught: School) -> None:
    extend = f"{taught.sandbox}/extend"
    mine = "/profiles/me/quotas"
    assert taught.student.get(mine).json()["quotas"]["statement_seconds"]["limit"] == 60
    given = {"minutes": 30, "quotas": {"statement_seconds": 300, "runs_per_minute": 1}}
    answer = taught.teacher.post(extend, json=given)
    assert answer.status_code == 200, answer.text
    assert answer.json()["until"]
    limits = taught.student.get(mine).json()["quotas"]
    assert limits["statement_seconds"]["limit"] == 300
    assert 1700 < taught.activity()["sandbox"]["extended_seconds"] <= 1800
    for wrong, status in (
        ({}, 400),
        ({"minutes": 0}, 400),
        ({"minutes": 1441}, 400),
        ({"minutes": True}, 400),
        ({"minutes": 5, "quotas": {"statement_seconds": None}}, 400),
        ({"minutes": 5, "quotas": {"beer": 1}}, 400),
        ({"minutes": 5, "quotas": [1]}, 400),
        ({"minutes": 5, "quotas": {"statement_seconds": 999_999}}, 403),
    ):
        assert taught.teacher.post(extend, json=wrong).status_code == status, wrong


def test_an_extension_ends_with_the_membership(
    central: Central, administrator: httpx.Client
) -> None:
    with school(central, administrator, "leaving") as made:
        given = {"minutes": 30, "quotas": {"statement_seconds": 300}}
        assert made.teacher.post(f"{made.sandbox}/extend", json=given).status_code == 200
        member = f"{made.at}/members/{made.subject}"
        assert made.student.delete(member).status_code == 204
        limits = made.student.get("/profiles/me/quotas").json()["quotas"]
        assert limits["statement_seconds"]["limit"] == 60
        assert made.teacher.post(f"{made.sandbox}/stop").status_code == 404


def test_nobody_else_sees_or_does_anything(
    central: Central, taught: School, administrator: httpx.Client
) -> None:
    with (
        school(central, administrator, "other-teacher") as other,
        central.registered("nobody@example.org") as somebody,
        central.anonymous() as guest,
        central.client() as stranger,
    ):
        for who, status in (
            (other.teacher, 404),
            (other.student, 404),
            (somebody, 404),
            (guest, 404),
            (taught.student, 403),
            (stranger, 401),
        ):
            assert who.get(f"{taught.at}/activity").status_code == status
            for action in ACTIONS:
                answer = who.post(f"{taught.sandbox}/{action}", json=BODIES[action])
                assert answer.status_code == status, (action, answer.text)
                assert answer.headers["Content-Type"] == "application/problem+json"
        # Nor does a teacher reach others' students by way of the own class.
        foreign = f"{other.at}/members/{taught.subject}/sandbox"
        for action in ACTIONS:
            answer = other.teacher.post(f"{foreign}/{action}", json=BODIES[action])
            assert answer.status_code == 404
        told = {
            each["subject"] for each in other.teacher.get(f"{other.at}/activity").json()["members"]
        }
        assert told == {me(other.teacher), other.subject}
        denied = {"action": "sandbox.*", "outcome": "denied", "subject": me(other.teacher)}
        records = administrator.get("/audit", params=denied).json()["records"]
        assert {each["action"] for each in records} == {f"sandbox.{each}" for each in ACTIONS}


def test_teachers_do_not_look_at_one_another(central: Central, administrator: httpx.Client) -> None:
    with school(central, administrator, "staff") as made:
        member = f"{made.at}/members/{made.subject}"
        assert made.teacher.patch(member, json={"role": "teacher"}).status_code == 204
        seen = made.activity()
        assert seen["online"] is True
        assert "notebooks" not in seen
        assert "sandbox" not in seen
        assert made.teacher.post(f"{made.sandbox}/stop").status_code == 403
        whole = administrator.get(f"{made.at}/activity").json()["members"]
        assert all("sandbox" in each for each in whole)
        assert administrator.post(f"{made.sandbox}/stop").status_code == 204


def test_looking_is_written_down_once(taught: School, administrator: httpx.Client) -> None:
    for _ in range(3):
        taught.activity()
    query = {"action": "class.activity", "target": taught.which, "subject": me(taught.teacher)}
    assert len(administrator.get("/audit", params=query).json()["records"]) == 1


def test_activity_comes_by_pages(
    central: Central, taught: School, administrator: httpx.Client
) -> None:
    code = taught.teacher.post(f"{taught.at}/code").json()["join_code"]
    with central.anonymous() as one, central.anonymous() as two:
        for who in (one, two):
            assert who.post("/profiles/classes/join", json={"code": code}).status_code == 200
        found: list[str] = []
        query: dict[str, Any] = {"limit": 2}
        while True:
            page = taught.teacher.get(f"{taught.at}/activity", params=query).json()
            found += [each["subject"] for each in page["members"]]
            if page["next"] is None:
                break
            query["after"] = page["next"]
        everybody = administrator.get(taught.at).json()["members"]
        assert sorted(found) == sorted({each["subject"] for each in everybody})
        idle = taught.teacher.get(f"{taught.at}/activity", params={"limit": 1000}).json()
        (first,) = (each for each in idle["members"] if each["subject"] == me(one))
        assert first["sandbox"]["status"] == "none"
        assert first["notebooks"] == []
    for wrong in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"after": "x" * 81}):
        assert taught.teacher.get(f"{taught.at}/activity", params=wrong).status_code == 400
