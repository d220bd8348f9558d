"""Commands, menus, shortcuts and settings of the extension, in a real JupyterLab."""

from __future__ import annotations

import json

from playwright.sync_api import WebSocket, expect
from tests.fixtures_browser import Front, Lab

CELLS = ["create table t as select 1 as a", "select * from t"]
#: Bindings of the same keys, one of them ours, at one place: (keys, selector, commands).
_CLASHES = """() => {
  const bindings = window.jupyterapp.commands.keyBindings;
  const places = {};
  for (const { keys, selector, command } of bindings) {
    (places[JSON.stringify(keys)] ??= []).push([selector, command]);
  }
  return Object.entries(places).filter(([, found]) =>
    found.some(([, command]) => command.startsWith('pgcellar:')) && found.length > 1);
}"""


def launcher(front: Front, lab: Lab) -> None:
    """Open JupyterLab without a notebook."""
    front.page.goto(lab.address())
    front.page.wait_for_selector(".jp-Launcher", timeout=60_000)


def is_new_notebook(front: Front) -> None:
    """Wait for a SQL notebook in front."""
    page = front.page
    page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell", timeout=60_000)
    expect(page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-KernelName")).to_contain_text(
        "SQL (PostgreSQL)", timeout=60_000
    )


def change(front: Front, label: str, value: bool) -> None:
    """Change a setting in the settings editor, and come back."""
    front.command("settingeditor:open", query="SQL Notebooks")
    field = front.page.get_by_label(label)
    field.wait_for(timeout=30_000)
    with front.page.expect_response(
        lambda answer: answer.request.method == "PUT" and "/api/settings" in answer.url
    ):
        field.set_checked(value)
    front.page.locator(".lm-TabBar-tab.lm-mod-current .lm-TabBar-tabCloseIcon:visible").click()
    field.wait_for(state="detached")


def test_the_launcher_has_one_tile_for_sql_notebooks(front: Front, lab: Lab) -> None:
    launcher(front, lab)
    tiles = front.page.locator(".jp-LauncherCard[data-category=Notebook]")
    assert [each for each in tiles.all_inner_texts() if "SQL" in each] == ["SQL (PostgreSQL)"]
    front.picture("commands-launcher")


def test_a_new_notebook_by_the_palette(front: Front, lab: Lab) -> None:
    launcher(front, lab)
    front.page.keyboard.press("Control+Shift+C")
    front.page.wait_for_selector(".lm-CommandPalette-input:visible")
    front.page.keyboard.type("New SQL Note")
    item = front.page.locator(".lm-CommandPalette-item[data-command='pgcellar:new-notebook']")
    expect(item).to_be_visible()
    front.page.keyboard.press("Enter")
    is_new_notebook(front)


def test_a_new_notebook_by_the_menu(front: Front, lab: Lab) -> None:
    launcher(front, lab)
    front.page.locator(".lm-MenuBar-item").filter(has_text="File").click()
    front.page.locator(".lm-Menu-item").filter(has_text="New").first.hover()
    item = front.page.locator(".lm-Menu-item[data-command='pgcellar:new-notebook']")
    expect(item).to_be_visible()
    front.picture("commands-menu")
    item.click()
    is_new_notebook(front)


def test_a_new_notebook_in_a_folder(front: Front, lab: Lab) -> None:
    (lab.folder / "sub").mkdir(exist_ok=True)
    launcher(front, lab)
    front.page.locator(".jp-DirListing-item").filter(has_text="sub").dblclick()
    expect(front.page.locator(".jp-BreadCrumbs")).to_contain_text("sub")
    front.page.locator(".jp-DirListing-content").click(button="right")
    item = front.page.locator(".lm-Menu-item[data-command='pgcellar:new-notebook']")
    expect(item).to_be_visible()
    front.picture("commands-folder")
    item.click()
    is_new_notebook(front)
    assert list((lab.folder / "sub").glob("*.ipynb"))


def test_the_menu_of_a_sql_cell(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("menu.ipynb", CELLS))
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    front.type(1, "create table t as select 2 as a")
    front.wait_status(2, "stale")
    front.cell(2).locator(".jp-InputArea-editor").click(button="right")
    item = front.page.locator(".lm-Menu-item[data-command='pgcellar:run-stale']")
    expect(item).to_be_visible()
    front.picture("commands-cell")
    item.click()
    for number in (1, 2):
        front.wait_ran(number)
    assert front.rows(2) == [["2"]]


def test_shortcuts_are_nobody_elses(front: Front, lab: Lab) -> None:
    launcher(front, lab)
    found = front.page.evaluate(_CLASHES)
    assert not found, json.dumps(found)


def test_stale_outputs_are_dimmed_as_one_likes(front: Front, lab: Lab) -> None:
    front.open(lab.notebook("dim.ipynb", CELLS))
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    front.type(1, "create table t as select 3 as a")
    front.wait_status(2, "stale")
    output = front.cell(2).locator(".jp-OutputArea").first
    expect(output).to_have_css("opacity", "0.5")
    change(front, "Dim stale outputs", False)
    try:
        assert front.status(2) == "stale"
        expect(output).to_have_css("opacity", "1")
    finally:
        change(front, "Dim stale outputs", True)
    expect(output).to_have_css("opacity", "0.5")


def test_what_is_edited_is_prepared_as_one_likes(front: Front, lab: Lab) -> None:
    sent: list[str] = []

    def watch(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: sent.append(str(frame)))

    front.page.on("websocket", watch)
    front.open(lab.notebook("ahead.ipynb", CELLS))
    front.type(1, "create table u as select 1 as a")
    front.run(1)
    front.wait_ran(1)
    assert any("prepare" in each for each in sent)
    change(front, "Prepare the cell being edited", False)
    try:
        sent.clear()
        front.select(2)
        front.type(2, "select 3")
        front.run(2)
        front.wait_ran(2)
        assert sent
        assert [each for each in sent if "prepare" in each] == []
    finally:
        change(front, "Prepare the cell being edited", True)


def test_the_settings_are_in_the_editor(front: Front, lab: Lab) -> None:
    launcher(front, lab)
    front.command("settingeditor:open", query="SQL Notebooks")
    field = front.page.get_by_label("Dim stale outputs")
    expect(field).to_be_visible(timeout=30_000)
    expect(front.page.get_by_label("Prepare the cell being edited")).to_be_checked()
    front.picture("commands-settings")
