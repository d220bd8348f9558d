"""The teacher's page in JupyterLab, over a real central gateway with a class at work."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import re
import signal
import urllib.parse
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, expect
from tests.fixtures_browser import Front, Lab, jupyter_lab
from tests.fixtures_central import ADMINISTRATOR, Central, central_gateway
from tests.fixtures_service import CommandLine, command_line
from tests.integration.test_teaching import begin, me, result, until

STUCK = "toby"
FAILED = "ada"
DONE = "grace"
QUIET = "quinn"
#: A notebook's name is its writer's to choose.
MARKUP = "<img src=x onerror=document.title='owned'>.ipynb"


@dataclasses.dataclass(frozen=True, kw_only=True)
class School:
    """A class at work, and the JupyterLab of who teaches it."""

    central: Central
    lab: Lab
    teacher: httpx.Client
    which: str
    students: dict[str, httpx.Client]

    def subject(self, name: str) -> str:
        """Whose name it is."""
        return me(self.students[name])

    def activity(self, name: str) -> Any:
        """What the teacher is told of a student."""
        answer = self.teacher.get(f"/profiles/classes/{self.which}/activity")
        (found,) = (each for each in answer.json()["members"] if each["name"] == name)
        return found


def token_of(who: httpx.Client) -> str:
    """A personal access token for what classes need."""
    asked = {"name": "lab", "scopes": ["profiles"], "days": 1}
    return str(who.post("/identity/tokens", json=asked).json()["secret"])


@pytest.fixture(scope="module")
def central(cellar_home_module: pathlib.Path) -> Iterator[Central]:
    """A central gateway whose service is not the one of the teacher's kernels."""
    home = cellar_home_module / "central"
    home.mkdir()
    with command_line(home) as cli, central_gateway(cli) as made:
        yield made


@pytest.fixture(scope="module")
def school(central: Central, kernel_home: CommandLine) -> Iterator[School]:
    """The class."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        boss = enter(central.registered(ADMINISTRATOR))
        teacher = enter(central.registered("ms-frizzle@example.org"))
        asked = {"name": "Databases, autumn", "teacher": me(teacher)}
        made = boss.post("/profiles/classes", json=asked).json()
        boss.post("/profiles/classes", json={"name": "Statistics", "teacher": me(teacher)})
        students = {
            name: enter(central.registered(f"{name}@example.org"))
            for name in (STUCK, FAILED, DONE, QUIET)
        }
        for who in students.values():
            who.post("/profiles/classes/join", json={"code": made["join_code"]})
        slow = [{"id": "slow", "source": "select pg_sleep(500)"}]
        begin(students[STUCK], 0, "homework.ipynb", cells=slow)
        for head in (0, 1, 2):
            result(students[FAILED], begin(students[FAILED], head, MARKUP))
        result(students[DONE], begin(students[DONE], 1, "homework.ipynb"))
        environment = {**kernel_home.environment, "PGCELLAR_TOKEN": token_of(teacher)}
        cli = dataclasses.replace(kernel_home, environment=environment)
        lab = enter(jupyter_lab(cli, f"--Gateway.central_url={central.url}"))
        yield School(central=central, lab=lab, teacher=teacher, which=made["id"], students=students)


@pytest.fixture
def page(front: Front, school: School) -> Front:
    """The teacher's page."""
    show(front, school.lab)
    expect(front.page.locator(".pgc-Class tbody")).to_have_count(5)
    return front


@pytest.fixture
def lab(school: School) -> Lab:
    """The teacher's JupyterLab."""
    return school.lab


def show(front: Front, lab: Lab) -> None:
    """Open the page."""
    front.page.goto(lab.address())
    front.page.wait_for_selector(".jp-Launcher", timeout=60_000)
    front.command("pgcellar:open-class")
    front.page.wait_for_selector(".pgc-Class", timeout=60_000)


def row(front: Front, name: str) -> Locator:
    """A member's rows."""
    return front.page.locator(".pgc-Class tbody").filter(has_text=name)


def names(front: Front) -> list[str]:
    """The members in their order."""
    return front.page.locator(".pgc-Class-name").all_inner_texts()


def test_a_tile_leads_to_the_class(front: Front, school: School) -> None:
    until(lambda: school.activity(STUCK)["busy"][0]["statement_seconds"] > 30)
    front.page.goto(school.lab.address())
    tile = front.page.locator(".jp-LauncherCard[title='See how the classes that you teach get on']")
    tile.wait_for(timeout=60_000)
    front.picture("teaching-launcher")
    tile.click()
    expect(row(front, FAILED)).to_contain_text("cell 2 of 3")
    expect(row(front, FAILED)).to_contain_text("cell 3 failed (22012)")
    expect(row(front, FAILED)).to_contain_text("now")
    expect(row(front, DONE)).to_contain_text("cell 2 done")
    expect(row(front, STUCK)).to_contain_text("stuck")
    expect(row(front, STUCK)).to_contain_text("busy")
    expect(row(front, "ms-frizzle")).to_contain_text("teacher")
    expect(front.page.locator(".pgc-Class-counts")).to_contain_text("1 stuck")
    front.picture("teaching-class")


def test_what_others_named_is_text(page: Front, school: School) -> None:
    expect(row(page, FAILED).locator(".pgc-Class-notebook")).to_have_text(MARKUP)
    assert page.page.locator(".pgc-Class img").count() == 0
    assert "owned" not in page.page.title()


def test_members_are_sorted_and_sought(page: Front, school: School) -> None:
    assert names(page) == sorted(names(page))
    sandbox = page.page.get_by_role("columnheader", name="Sandbox")
    sandbox.get_by_role("button").click()
    expect(sandbox).to_have_attribute("aria-sort", "descending")
    assert names(page)[0] == STUCK
    far = page.page.get_by_role("columnheader", name="How far")
    far.get_by_role("button").press("Enter")
    expect(far).to_have_attribute("aria-sort", "ascending")
    far.get_by_role("button").press("Enter")
    expect(far).to_have_attribute("aria-sort", "descending")
    assert set(names(page)[:2]) == {FAILED, DONE}
    search = page.page.get_by_role("searchbox", name="Search members")
    search.fill("22012")
    expect(page.page.locator(".pgc-Class tbody")).to_have_count(1)
    assert names(page) == [FAILED]
    search.fill("nobody of that name")
    expect(page.page.locator(".pgc-Class-none")).to_contain_text("nobody of that name")


def test_the_quotas_of_a_student(page: Front, school: School) -> None:
    opener = row(page, FAILED).get_by_role("button", name=FAILED, exact=True)
    opener.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "true")
    quotas = page.page.locator(".pgc-Quotas")
    expect(quotas).to_contain_text("Runs in a minute")
    expect(quotas).to_contain_text("of 120")
    expect(quotas).to_contain_text("2 GiB")
    expect(quotas).to_contain_text("1 of 2")
    expect(quotas).to_contain_text("MiB of 20 GiB")
    expect(quotas).to_contain_text("0 s of 10 min")
    expect(row(page, FAILED)).to_contain_text("Notebooks run last")
    bars = quotas.locator(".pgc-Bar")
    lefts = bars.evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().left)")
    assert len(lefts) > 1
    assert len(set(lefts)) == 1
    page.picture("teaching-details")
    opener.press("Enter")
    expect(quotas).to_have_count(0)


def test_a_sandbox_is_extended(page: Front, school: School) -> None:
    row(page, STUCK).get_by_role("button", name=f"Extend…: {STUCK}").click()
    dialog = page.page.locator(".jp-Dialog")
    dialog.get_by_label("Minutes").fill("45")
    dialog.get_by_label("Seconds a statement may take").fill("900")
    page.picture("teaching-extend")
    dialog.get_by_role("button", name="Extend").click()
    expect(page.page.locator(".pgc-Message")).to_contain_text("extended for 45 min")
    expect(row(page, STUCK)).to_contain_text(re.compile("extended, 4[45] min left"))
    assert 2600 < school.activity(STUCK)["sandbox"]["extended_seconds"] <= 2700
    limits = school.students[STUCK].get("/profiles/me/quotas").json()["quotas"]
    assert limits["statement_seconds"]["limit"] == 900


def test_a_stuck_sandbox_is_stopped(page: Front, school: School) -> None:
    stop = row(page, STUCK).get_by_role("button", name=f"Stop…: {STUCK}")
    stop.click()
    dialog = page.page.locator(".jp-Dialog")
    page.picture("teaching-stop")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert school.activity(STUCK)["sandbox"]["status"] == "running"
    stop.click()
    dialog.get_by_role("button", name="Stop").click()
    expect(page.page.locator(".pgc-Message")).to_contain_text("was stopped")
    expect(row(page, STUCK)).to_contain_text("stopped")
    expect(row(page, STUCK)).to_contain_text("cell 1 cancelled")
    assert school.activity(STUCK)["busy"] == []
    page.page.get_by_role("button", name="Dismiss").click()
    expect(page.page.locator(".pgc-Message")).to_have_count(0)


def test_a_reset_is_confirmed(page: Front, school: School) -> None:
    reset = row(page, DONE).get_by_role("button", name=f"Reset…: {DONE}")
    reset.click()
    page.picture("teaching-reset")
    page.page.keyboard.press("Escape")
    expect(page.page.locator(".jp-Dialog")).to_have_count(0)
    assert school.activity(DONE)["sandbox"]["status"] == "running"
    reset.click()
    page.page.locator(".jp-Dialog").get_by_role("button", name="Reset").click()
    expect(page.page.locator(".pgc-Message")).to_contain_text("was reset")
    expect(row(page, DONE)).to_contain_text("none")
    assert school.activity(DONE)["sandbox"]["status"] == "none"


def test_the_page_looks_again_by_itself_and_at_another_class(page: Front, school: School) -> None:
    page.page.get_by_role("combobox", name="Class").select_option(label="Statistics")
    expect(page.page.locator(".pgc-Class tbody")).to_have_count(1)
    page.page.get_by_role("combobox", name="Class").select_option(label="Databases, autumn")
    expect(page.page.locator(".pgc-Class tbody")).to_have_count(5)
    result(school.students[QUIET], begin(school.students[QUIET], 0))
    expect(row(page, QUIET)).to_contain_text("cell 1 of 3")


def test_nobody_moves_below_the_pointer(page: Front, school: School) -> None:
    page.page.get_by_role("columnheader", name="Last run").get_by_role("button").click()
    before = names(page)
    last = next(name for name in reversed(before) if name in (FAILED, DONE, QUIET))
    assert before[0] != last
    row(page, before[0]).hover()
    result(school.students[last], begin(school.students[last], 1, "catching up.ipynb"))
    expect(row(page, last)).to_contain_text("catching up.ipynb")
    assert names(page) == before
    page.page.get_by_role("searchbox", name="Search members").hover()
    expect(page.page.locator(".pgc-Class-name").first).to_have_text(last)


def test_what_goes_wrong_is_said(page: Front, school: School) -> None:
    refresh = page.page.get_by_role("button", name="Refresh", exact=True)
    port = urllib.parse.urlsplit(school.central.url).port
    assert port is not None
    school.central.process.stop(signal.SIGTERM)
    try:
        refresh.click()
        alert = page.page.locator(".pgc-Class [role=alert]")
        expect(alert).to_contain_text("The central gateway does not answer")
        page.picture("teaching-gone")
    finally:
        school.central.process.start(port)
    refresh.click()
    expect(alert).to_have_count(0)


def test_who_teaches_nobody_is_told_so(
    front: Front, school: School, kernel_home: CommandLine
) -> None:
    environment = {
        **kernel_home.environment,
        "PGCELLAR_TOKEN": token_of(school.students[FAILED]),
    }
    cli = dataclasses.replace(kernel_home, environment=environment)
    with jupyter_lab(cli, f"--Gateway.central_url={school.central.url}") as lab:
        show(front, lab)
        expect(front.page.locator(".pgc-Class-none")).to_contain_text("You teach no class")
        assert front.page.locator(".jp-LauncherCard").count()
        assert front.page.locator(".jp-LauncherCard[title^='See how the classes']").count() == 0
        # A page that outlives its server says that it can't reach it.
        front.page.goto("about:blank")
