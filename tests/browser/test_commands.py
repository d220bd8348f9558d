"""Commands, menus, shortcuts and settings of the extension, in a real JupyterLab."""

from __future__ import annotations

import json
import shutil

from playwright.sync_api import WebSocket, expect
from tests.fixtures_browser import ROOT, Front, Lab

NOTEBOOKS = ROOT / "notebooks"
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

#: Of what the keyboard reaches in our parts: what has no name, and what does not show the focus.
#: JupyterLab's own buttons show it within themselves, a grid around itself.
_UNSEEN = """() => {
  const seen = new Set();
  const found = [];
  for (const node of document.querySelectorAll(
    '[class*="pgc-"] :is(button, select, input, summary, a[href], [tabindex])'
  )) {
    if (seen.has(node) || node.tabIndex < 0 || node.disabled || !node.checkVisibility()) continue;
    seen.add(node);
    const parts = [node, node.closest('.pgc-Grid')].filter(Boolean);
    const look = () => parts.map(part => {
      const { outline, boxShadow, borderColor, backgroundColor } = getComputedStyle(part);
      return [outline, boxShadow, borderColor, backgroundColor].join();
    }).join();
    document.activeElement?.blur();
    const before = look();
    node.focus();
    const name = node.getAttribute('aria-label') || node.title || node.labels?.[0]?.textContent
      || node.textContent.trim();
    if (!name || document.activeElement !== node
        || (look() === before && !node.matches('jp-button, jp-toolbar *'))) {
      found.push(`${node.tagName} ${node.className} ${name}`);
    }
  }
  return [seen.size, found];
}"""
#: Commands that are buttons of the schema browser, and about the line that is selected there.
_BUTTONS = {
    "pgcellar:insert-name",
    "pgcellar:select-below",
    "pgcellar:select-here",
    "pgcellar:show-definition",
}
#: Which of our commands the palette has; some are there with arguments alone.
_OFFERED = """() => [...document.querySelectorAll('.lm-CommandPalette-item')]
  .map(item => item.dataset.command)"""


def launcher(front: Front, lab: Lab) -> None:
    """Open JupyterLab without a notebook."""
    front.page.goto(lab.address())
    front.page.wait_for_selector(".jp-Launcher", timeout=60_000)


def is_new_notebook(front: Front) -> None:
    """Wait for a SQL notebook in front."""
    page = front.page
    page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell", timeout=60_000)
    expect(page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-KernelName")).to_contain_text(
        "SQL (PostgreSQL)"
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


def test_a_tour_for_who_is_here_for_the_first_time(front: Front, lab: Lab) -> None:
    """Its tile leads to a notebook that runs as it says; what one did in it is not overwritten."""
    launcher(front, lab)
    front.page.locator(".jp-LauncherCard").filter(has_text="Tour of SQL Notebooks").click()
    is_new_notebook(front)
    front.idle()
    texts = front.page.locator(".jp-MarkdownCell .jp-RenderedMarkdown")
    expect(texts.first).to_contain_text("1. Run everything")
    front.command("notebook:run-all-cells")
    codes = [2, 3, 4, 6, 8, 10]
    for number in codes[:-1]:
        assert front.wait_ran(number) != "failed"
    front.wait_status(10, "failed")
    assert [row[0] for row in front.rows(4)] == ["London", "New York", "Oxford"]
    expect(front.cell(8).locator(".vega-embed")).to_be_visible()
    front.picture("tour")
    front.type(3, front.text(3).replace("10", "50"))
    for number in (4, 6, 8):
        front.wait_status(number, "stale")
    assert front.status(2) in ("current", "cached")
    before = front.rows(4)
    front.run(4)
    front.wait_ran(4)
    assert front.rows(4) != before
    front.type(3, front.text(3).replace("50", "10"))
    front.run(4)
    assert front.wait_ran(4) == "cached"
    assert front.rows(4) == before
    front.command("docmanager:save")
    front.page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")
    launcher(front, lab)
    front.command("pgcellar:tour")
    is_new_notebook(front)
    assert front.rows(4) == before


def test_the_tour_of_the_quickstart(front: Front, lab: Lab) -> None:
    """Its steps, one by one, on its data."""
    shutil.copy(NOTEBOOKS / "quickstart.ipynb", lab.folder)
    shutil.copytree(NOTEBOOKS / "data", lab.folder / "data")
    # So tall that all cells are there at once.
    front.page.set_viewport_size({"width": 1400, "height": 9000})
    front.open(lab.address("/tree/quickstart.ipynb"))
    text = front.page.locator(".jp-MarkdownCell").nth(1)
    steps = ["Run all cells", "change 200 to 100", "Run any cell", "Shift Tab", "plan", "Undo"]
    for number, step in enumerate(steps):
        expect(text.locator("li").nth(number)).to_contain_text(step)

    # 1
    front.command("notebook:run-all-cells")
    codes = [4, 6, 7, 8, 10, 12, 14, 16, 17, 19, 21, 23, 25, 27]
    for number in codes:
        assert front.wait_ran(number) != "failed"
    before = front.rows(23)
    # 2
    mended = front.text(14)
    assert mended.startswith("delete from flights")
    front.type(14, mended.replace("200", "100"))
    for number in codes:
        front.wait_status(number, *(["stale"] if number >= 14 else ["current", "cached"]))
    # 3
    front.run(23)
    front.wait_ran(23)
    assert front.status(21) == "stale"
    front.page.keyboard.press("Control+Shift+Enter")
    for number in codes:
        assert front.wait_ran(number) != "failed"
    # 4
    front.cell(10).locator(".cm-line", has_text="from flights").click()
    front.page.keyboard.press("Shift+Tab")
    expect(front.page.locator(".jp-Tooltip")).to_contain_text("dep_delay")
    front.page.keyboard.press("Escape")
    front.select(27)
    front.page.keyboard.press("b")
    front.type(28, "select f. from flights f")
    for _ in range(len(" from flights f")):
        front.page.keyboard.press("ArrowLeft")
    front.page.keyboard.press("Tab")
    expect(front.page.locator(".jp-Completer:not(.lm-mod-hidden)")).to_contain_text("dep_delay")
    front.page.keyboard.press("Escape")
    # 5
    front.select(19)
    front.cell(19).locator(".jp-cell-toolbar [data-command='pgcellar:explain']").click()
    expect(front.page.locator(".pgc-PlanView")).to_contain_text("Aggregate")
    front.page.locator(".jp-SideBar [data-id=pgcellar-states]").click()
    expect(front.page.locator("#pgcellar-states")).to_contain_text("kept ·")
    front.page.locator(".jp-SideBar [data-id=pgcellar-schema]").click()
    schema = front.page.locator("#pgcellar-schema")
    expect(schema.locator(".pgc-Tree-label:text-is('flights')")).to_be_visible()
    # 6
    front.type(14, mended)
    for number in (14, 16, 17):
        front.run(number)
        assert front.wait_ran(number) == "cached"
    front.run(23)
    front.wait_ran(23)
    assert front.rows(23) == before


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
    front.cell(1).locator(".jp-InputArea-editor").click(button="right")
    front.page.locator(".lm-Menu-item[data-command='pgcellar:what-changed']").click()
    view = front.page.locator(".pgc-Difference:visible")
    replay = view.get_by_role("button", name="Replay the cells and compare")
    rows = view.locator("[data-pgcellar-table=t]")
    expect(replay.or_(rows)).to_be_visible()
    if replay.is_visible():
        replay.click()
    expect(rows).to_contain_text("1 inserted")


def test_shortcuts_are_nobody_elses(front: Front, lab: Lab) -> None:
    launcher(front, lab)
    found = front.page.evaluate(_CLASHES)
    assert not found, json.dumps(found)


def test_everything_is_reached_by_keyboard(front: Front, lab: Lab) -> None:
    """What the Tab key reaches has a name and shows the focus; the rest is in the palette."""
    front.open(lab.notebook("keys.ipynb", CELLS))
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    front.select(2)
    front.command("pgcellar:explain")
    expect(front.page.locator(".pgc-PlanView table")).to_be_visible()
    front.command("pgcellar:what-changed")
    expect(front.page.locator(".pgc-Difference")).to_be_visible()
    front.command("pgcellar:show-states")
    front.command("pgcellar:show-schema")
    tree = front.page.get_by_role("tree", name="What the state holds")
    expect(tree.get_by_role("treeitem").first).to_be_visible()
    front.command("pgcellar:show-sandbox")
    # As after a key: the focus is shown to who uses the keyboard.
    front.page.keyboard.press("Tab")
    many, unseen = front.page.evaluate(_UNSEEN)
    assert many > 15
    assert unseen == []
    front.page.keyboard.press("Control+Shift+C")
    front.page.wait_for_selector(".lm-CommandPalette-input:visible")
    front.page.wait_for_selector(".lm-CommandPalette-item[data-command='pgcellar:explain']")
    ours = front.page.evaluate(
        "window.jupyterapp.commands.listCommands().filter(id => id.startsWith('pgcellar:'))"
    )
    assert set(ours) - set(front.page.evaluate(_OFFERED)) == _BUTTONS


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
    expect(field).to_be_visible()
    expect(front.page.get_by_label("Prepare the cell being edited")).to_be_checked()
    front.picture("commands-settings")
