"""One's own sandbox in JupyterLab's status bar, with a real kernel and service."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect
from tests.fixtures_browser import Front, Lab

CELLS = ["create table t as select 1 as a", "select * from t"]


def item(front: Front) -> Locator:
    """What the status bar shows."""
    return front.page.locator(".pgc-SandboxItem button")


def panel(front: Front) -> Locator:
    """What a click on it opens."""
    return front.page.get_by_role("dialog", name="Your SQL sandbox")


def test_who_writes_no_sql_sees_none_of_it(front: Front, lab: Lab) -> None:
    asked: list[str] = []
    front.page.on("request", lambda request: asked.append(request.url))
    front.page.goto(lab.address())
    front.page.wait_for_selector(".jp-Launcher", timeout=60_000)
    expect(item(front)).to_be_hidden()
    assert not [url for url in asked if "/pgcellar/api" in url]
    assert front.page.evaluate("window.jupyterapp.commands.hasCommand('pgcellar:open-class')") is (
        False
    )


def test_the_sandbox_is_seen_stopped_and_started(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("sandbox.ipynb", CELLS))
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    expect(item(front)).to_contain_text(re.compile("Sandbox: (running|busy)"))
    expect(item(front)).to_contain_text("MiB")
    item(front).click()
    for text in ("PostgreSQL", "Memory", "snapshot", "Runs since", "it is stopped in", "running"):
        # States are kept, and names looked up, behind the runs: it is idle a little later.
        expect(panel(front)).to_contain_text(text)
    front.picture("sandbox-panel")

    panel(front).get_by_role("button", name="Stop").click()
    expect(item(front)).to_contain_text("Sandbox: stopped")
    expect(panel(front).get_by_role("button", name="Stop")).to_be_disabled()
    expect(panel(front)).not_to_contain_text("Memory")
    panel(front).get_by_role("button", name="Restart").click()
    expect(item(front)).to_contain_text(re.compile("Sandbox: (running|busy)"))
    # Its states are there still.
    front.page.keyboard.press("Escape")
    front.run(2)
    front.wait_ran(2)
    assert front.rows(2) == [["1"]]


def test_a_stopped_one_is_asked_about_when_something_runs(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("again.ipynb", CELLS))
    front.run(1)
    front.wait_ran(1)
    expect(item(front)).to_contain_text(re.compile("Sandbox: (running|busy)"))
    front.command("pgcellar:stop-sandbox")
    expect(item(front)).to_contain_text("Sandbox: stopped")
    front.type(2, "select a + 41 from t")
    front.run(2)
    front.wait_ran(2)
    expect(item(front)).to_contain_text(re.compile("Sandbox: (running|busy)"))


def test_a_reset_is_confirmed(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("reset.ipynb", CELLS))
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    item(front).click()
    expect(panel(front)).to_contain_text("snapshot")
    panel(front).get_by_role("button", name="Reset").click()
    dialog = front.page.locator(".jp-Dialog")
    expect(dialog).to_contain_text("all its states go")
    front.picture("sandbox-reset")
    dialog.get_by_role("button", name="Cancel").click()
    expect(item(front)).to_contain_text(re.compile("Sandbox: (running|busy)"))
    front.command("pgcellar:reset-sandbox")
    dialog.get_by_role("button", name="Reset").click()
    expect(item(front)).not_to_contain_text("resetting")
    item(front).click()
    expect(panel(front).get_by_role("alert")).to_have_count(0)
    expect(item(front)).to_contain_text("Sandbox: none")
    item(front).click()
    front.run(2)
    front.wait_ran(2)
    expect(item(front)).to_contain_text(re.compile("Sandbox: (running|busy)"))


def test_it_is_used_by_keyboard(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("keys.ipynb", CELLS))
    front.run(1)
    front.wait_ran(1)
    front.command("pgcellar:show-sandbox")
    expect(panel(front)).to_be_focused()
    restart = panel(front).get_by_role("button", name="Restart")
    expect(restart).to_be_enabled()
    front.page.keyboard.press("Tab")
    expect(restart).to_be_focused()
    front.page.keyboard.press("Escape")
    expect(panel(front)).to_have_count(0)
    expect(item(front)).to_be_focused()
    front.page.keyboard.press("Enter")
    expect(panel(front)).to_be_visible()
