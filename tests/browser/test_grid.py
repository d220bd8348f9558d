"""Results as grids in the browser: whatever row is looked at, it is the one that SQL gives."""

from __future__ import annotations

import hashlib
import io
import json
import pathlib

import pytest
from playwright.sync_api import Locator, expect
from tests.fixtures_browser import Front, Lab

MILLION = "select g as id, md5(g::text) as name from generate_series(1, 1000000) g"
MIXED = """
create table mixed as
select g as id, nullif(g % 3, 0) as n, g * 1.5 as price,
  case when g % 5 = 0 then null when g % 5 = 1 then 'NULL' when g % 5 = 2 then '' else 'row ' || g
  end as note,
  jsonb_build_object('a', g, 'big', 12345678901234567890, 'list', jsonb_build_array(1, null)) as j,
  decode(md5(g::text), 'hex') as b, array['x,y', null, g::text] as list,
  timestamp '2026-01-01' + g * interval '1 hour' as at
from generate_series(1, 30) g"""
HOSTILE = """
select '<img src=x onerror="window.hacked = 1">' as "<b onmouseover=alert(1)>name</b>",
  repeat('very long ', 20000) as long, 'two\nlines\tand a tab' as lines,
  'abc\u202edef' as rtl, 'שלום עולם' as hebrew, '😀' as astral"""
#: Keeps the texts that are painted from now on, each with how it looks: fonts and colours.
_WATCH = """() => {
  const paint = CanvasRenderingContext2D.prototype.fillText;
  window.painted = {};
  CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
    (window.painted[text] ??= []).push(`${this.font} ${this.fillStyle}`);
    return paint.call(this, text, ...rest);
  };
}"""

#: Where a column ends, within its grid.
_RIGHT = """([cell, column]) => {
  const find = widget => {
    if (widget._grid) return widget._grid;
    for (const child of widget.children?.() ?? []) {
      const found = find(child);
      if (found) return found;
    }
  };
  const grid = find(window.jupyterapp.shell.currentWidget.content.widgets[cell]);
  return grid.headerWidth + grid.columnOffset('body', column) - grid.scrollX
    + grid.columnSize('body', column);
}"""


class Grid:
    """The grid below a cell."""

    def __init__(self, front: Front, number: int) -> None:
        self.front = front
        self.number = number
        self.page = front.page
        self.node: Locator = front.cell(number).locator(".pgc-Result")
        self.view = self.node.get_by_role("grid")

    def focus(self) -> None:
        """Have the keys."""
        self.view.focus()

    def press(self, *keys: str) -> None:
        """Press keys within it."""
        self.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def shows(self, text: str) -> None:
        """Wait until the cell at the cursor says so."""
        expect(self.node.get_by_role("gridcell")).to_have_text(text)

    def header(self, column: int, *, funnel: bool = False, accel: bool = False) -> None:
        """Click on a column's name, or on its funnel."""
        box = self.view.bounding_box()
        assert box is not None
        right = self.page.evaluate(_RIGHT, [self.number - 1, column])
        x, y = box["x"] + right - (14 if funnel else 40), box["y"] + 16
        if accel:
            self.page.keyboard.down("Control")
        self.page.mouse.click(x, y)
        if accel:
            self.page.keyboard.up("Control")

    def cell_at(self, row: int, column: int) -> tuple[float, float]:
        """Where a cell of the first rows is painted."""
        box = self.view.bounding_box()
        assert box is not None
        right = self.page.evaluate(_RIGHT, [self.number - 1, column])
        return box["x"] + right - 20, box["y"] + 40 + 24 * row + 12

    @property
    def footer(self) -> Locator:
        """Below it."""
        return self.node.locator(".pgc-Footer")


@pytest.fixture
def granted(front: Front) -> Front:
    """With the clipboard."""
    front.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return front


def clipboard(front: Front) -> str:
    """What was copied."""
    found: str = front.page.evaluate("navigator.clipboard.readText()")
    return found


def md5(number: int) -> str:
    """As PostgreSQL's."""
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


def test_a_million_rows(front: Front, lab: Lab) -> None:
    """The end and the middle, by keys, the bar and the wheel."""
    front.open(lab.notebook("million.ipynb", ["select 1 as above", MILLION]))
    front.run(2)
    front.wait_ran(2)
    grid = Grid(front, 2)
    expect(grid.footer).to_contain_text("1,000,000 rows")
    expect(grid.footer).to_contain_text("SELECT 1000000")
    expect(grid.view).to_have_attribute("aria-rowcount", "1000001")
    front.picture("grid-million")
    grid.press("ArrowDown")
    grid.shows("1")
    grid.press("Control+End")
    grid.shows(md5(1_000_000))
    grid.press("Home")
    grid.shows("1000000")
    front.picture("grid-million-end")
    # A click on the track goes a page up; the thumb is dragged to the middle.
    thumb = grid.node.locator(".lm-ScrollBar[data-orientation=vertical] .lm-ScrollBar-thumb")
    track = grid.node.locator(".lm-ScrollBar[data-orientation=vertical] .lm-ScrollBar-track")
    at, rail = thumb.bounding_box(), track.bounding_box()
    assert at is not None
    assert rail is not None
    front.page.mouse.move(at["x"] + 4, at["y"] + at["height"] / 2)
    front.page.mouse.down()
    front.page.mouse.move(rail["x"] + 4, rail["y"] + rail["height"] / 2, steps=8)
    front.page.mouse.up()
    front.page.mouse.move(*grid.cell_at(3, 0))
    front.page.mouse.wheel(0, 240)
    front.page.mouse.click(*grid.cell_at(3, 0))
    cell = grid.node.get_by_role("gridcell")
    expect(cell).to_have_attribute("aria-busy", "false")
    number = int(cell.inner_text())
    assert 300_000 < number < 700_000
    row = grid.node.locator("[role=row]").last.get_attribute("aria-rowindex")
    assert row == str(number + 1)
    grid.press("End")
    grid.shows(md5(number))


def test_the_server_sorts_and_filters(granted: Front, lab: Lab) -> None:
    """By clicks and by keys; the same as SQL."""
    front = granted
    cells = [
        MIXED,
        "select * from mixed",
        "select string_agg(id::text, ',' order by n desc, id desc) from mixed"
        " where note like 'row%'",
    ]
    front.open(lab.notebook("sorted.ipynb", cells))
    front.command("notebook:run-all-cells")
    front.wait_ran(3)
    grid = Grid(front, 2)
    front.picture("grid-mixed")
    grid.press("ArrowDown")
    grid.header(1)
    headers = grid.node.get_by_role("columnheader")
    expect(headers.nth(1)).to_have_attribute("aria-sort", "ascending")
    grid.header(1)
    expect(headers.nth(1)).to_have_attribute("aria-sort", "descending")
    grid.press("ArrowDown", "ArrowRight")
    grid.shows("NULL")
    grid.header(1)
    expect(headers.nth(1)).to_have_attribute("aria-sort", "none")
    # A filter by its funnel, in a box.
    grid.header(3, funnel=True)
    box = front.page.get_by_role("dialog", name="Filter note")
    front.picture("grid-filter")
    box.get_by_label("Value").fill("ROW")
    box.get_by_role("button", name="Apply").click()
    expect(grid.footer).to_contain_text("12 of 30 rows match")
    front.picture("grid-filtered")
    # By two columns, with the keys.
    for direction in ("ascending", "descending"):
        grid.press("ArrowDown", "ArrowRight", "s")
        expect(headers.nth(1)).to_have_attribute("aria-sort", direction)
    for direction in ("ascending", "descending"):
        grid.press("ArrowDown", "Shift+S")
        expect(headers.nth(0)).to_have_attribute("aria-sort", direction)
    grid.press("ArrowDown", "Control+Space", "Control+c")
    expect(grid.footer).to_contain_text("12 rows copied")
    assert clipboard(front).splitlines() == ["id", *str(front.rows(3)[0][0]).split(",")]
    # What can't be compared says so, and the rows stay.
    grid.press("ArrowDown", "f")
    front.page.get_by_role("dialog", name="Filter id").get_by_label("Comparison").select_option("=")
    front.page.get_by_role("dialog", name="Filter id").get_by_label("Value").fill("abc")
    front.page.keyboard.press("Enter")
    expect(grid.footer).to_contain_text('invalid input syntax for type integer: "abc"')
    expect(grid.footer).to_contain_text("12 of 30 rows match")
    front.picture("grid-filter-wrong")
    grid.footer.get_by_role("button", name="Remove filters and order").click()
    expect(grid.footer).to_contain_text("30 rows")


def test_types_and_null_are_seen(front: Front, lab: Lab) -> None:
    """Types below the names; NULL is dimmed and italic, the text NULL is not."""
    cells = [MIXED, "select id, note, list, at from mixed"]
    front.open(lab.notebook("types.ipynb", cells))
    front.page.evaluate(_WATCH)
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    grid = Grid(front, 2)
    types = {
        "id": "integer",
        "note": "text",
        "list": "text[]",
        "at": "timestamp without time zone",
    }
    headers = grid.node.get_by_role("columnheader")
    expect(headers).to_have_text([f"{name} ({type_})" for name, type_ in types.items()])
    painted = front.page.evaluate("window.painted")
    assert {*types, *types.values()} <= {*painted}
    (plain,) = {*painted["row 3"]}
    (null,) = {*painted["NULL"]} - {plain}
    assert plain in painted["NULL"]
    assert null.startswith("italic ")
    assert null.split()[-1] != plain.split()[-1]
    # And heard: the first row has the text, the fifth has none.
    grid.press("ArrowDown", "ArrowRight")
    grid.shows("NULL")
    cell = grid.node.get_by_role("gridcell")
    assert cell.get_attribute("aria-description") is None
    grid.press(*["ArrowDown"] * 4)
    expect(cell).to_have_attribute("aria-description", "no value")
    grid.shows("NULL")


def test_what_is_copied(granted: Front, lab: Lab) -> None:
    """As TSV by the keys, as CSV and INSERT statements by the menu."""
    front = granted
    front.open(lab.notebook("copied.ipynb", [MIXED, "select id, n, note, b from mixed"]))
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    grid = Grid(front, 2)
    grid.press("ArrowDown", "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown", "Control+c")
    expect(grid.footer).to_contain_text("2 rows copied")
    assert clipboard(front) == 'id\tn\tnote\n1\t1\tNULL\n2\t2\t""'
    front.command("pgcellar:copy-result", form="csv")
    expect(grid.footer).to_contain_text("2 rows copied")
    front.page.wait_for_function("navigator.clipboard.readText().then(t => t.includes(','))")
    assert clipboard(front) == 'id,n,note\n1,1,NULL\n2,2,""'
    grid.press("Control+a")
    front.page.mouse.click(*grid.cell_at(2, 2), button="right")
    front.picture("grid-menu")
    front.page.get_by_text("Copy as INSERT Statements").click()
    front.page.wait_for_function("navigator.clipboard.readText().then(t => t.includes('INSERT'))")
    lines = clipboard(front).splitlines()
    assert lines[0] == 'INSERT INTO "table" ("id", "n", "note", "b") VALUES'
    assert lines[3].startswith("  (3, NULL, 'row 3', E'\\\\x")
    assert len(lines) == 31
    # A column, by Control and a click; one cell alone is its value.
    grid.press("Escape")
    grid.header(0, accel=True)
    grid.press("Control+c")
    front.page.wait_for_function("navigator.clipboard.readText().then(t => t.startsWith('id\\n'))")
    assert clipboard(front).splitlines() == ["id", *(str(n) for n in range(1, 31))]


def test_values_at_length(front: Front, lab: Lab) -> None:
    """JSON with its numbers as they are, bytes, arrays."""
    front.open(lab.notebook("values.ipynb", [MIXED, "select j, b, list, note from mixed"]))
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    grid = Grid(front, 2)
    grid.press("ArrowDown", "Enter")
    text = front.page.locator(".pgc-Value-text")
    expect(text).to_contain_text('"big": 12345678901234567890')
    assert text.inner_text().splitlines()[:2] == ["{", '  "a": 1,']
    front.picture("grid-value-json")
    front.page.keyboard.press("Escape")
    front.page.mouse.dblclick(*grid.cell_at(0, 1))
    expect(text).to_contain_text("00000000  c4 ca 42 38")
    expect(front.page.locator(".pgc-Value-about")).to_have_text("bytea, 16 bytes")
    front.picture("grid-value-bytes")
    front.page.keyboard.press("Escape")
    grid.press("ArrowRight", "Enter")
    assert text.inner_text().splitlines() == ['"x,y"', "NULL", "1"]
    front.page.keyboard.press("Escape")


def test_geometry_is_text_and_a_column_is_resized(front: Front, lab: Lab) -> None:
    """A figure is shown as PostgreSQL writes it; a column's edge is dragged."""
    figures = "select polygon '((0,0),(1,1),(2,0))' as shape, point '(1.5,2)' as place"
    front.open(lab.notebook("figures.ipynb", [figures]))
    front.run(1)
    front.wait_ran(1)
    grid = Grid(front, 1)
    grid.press("ArrowDown", "Enter")
    expect(front.page.locator(".pgc-Value-text")).to_have_text("((0,0),(1,1),(2,0))")
    front.page.keyboard.press("Escape")
    before = front.page.evaluate(_RIGHT, [0, 0])
    box = grid.view.bounding_box()
    assert box is not None
    front.page.mouse.move(box["x"] + before - 1, box["y"] + 16)
    front.page.mouse.down()
    front.page.mouse.move(box["x"] + before + 59, box["y"] + 16, steps=5)
    front.page.mouse.up()
    after, second = (front.page.evaluate(_RIGHT, [0, column]) for column in (0, 1))
    assert abs(after - before - 60) <= 2
    front.picture("grid-resized")
    # By the keys, too: the column of the cursor.
    grid.press("ArrowRight", ">", ">", "ArrowLeft", "<")
    assert front.page.evaluate(_RIGHT, [0, 0]) == after - 20
    assert front.page.evaluate(_RIGHT, [0, 1]) == second - 20 + 40
    grid.press(*["<"] * 50)
    assert 0 < front.page.evaluate(_RIGHT, [0, 0]) < 100


def test_downloads(front: Front, lab: Lab) -> None:
    """All rows, sorted and filtered as they are seen."""
    cells = ["select g as id, nullif(g % 2, 0) as n from generate_series(1, 30000) g"]
    front.open(lab.notebook("downloads.ipynb", cells))
    front.run(1)
    front.wait_ran(1)
    grid = Grid(front, 1)
    grid.press("ArrowDown", "s", "s")
    expect(grid.node.get_by_role("columnheader").first).to_have_attribute("aria-sort", "descending")

    def download(name: str) -> bytes:
        grid.footer.get_by_role("button", name="Download all rows").click()
        if name == "CSV":
            front.picture("grid-download")
        with front.page.expect_download(timeout=60_000) as waiting:
            front.page.get_by_role("menuitem", name=f"Download All Rows as {name}").click()
        return pathlib.Path(waiting.value.path()).read_bytes()

    lines = download("CSV").decode().splitlines()
    assert lines[:3] == ["id,n", "30000,", "29999,1"]
    assert len(lines) == 30_001
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(download("Parquet")))
    assert table.column("id").to_pylist()[:2] == [30_000, 29_999]
    assert len(table) == 30_000
    arrow = pytest.importorskip("pyarrow.ipc")
    assert arrow.open_file(io.BytesIO(download("Arrow"))).read_all().num_rows == 30_000


def test_hostile_values_are_text(front: Front, lab: Lab) -> None:
    """In the grid, its headers, its viewer and its filters."""
    front.open(lab.notebook("hostile.ipynb", [HOSTILE]))
    front.run(1)
    front.wait_ran(1)
    grid = Grid(front, 1)
    grid.press("ArrowDown")
    grid.shows('<img src=x onerror="window.hacked = 1">')
    grid.press("Enter")
    expect(front.page.locator(".pgc-Value-text")).to_have_text(
        '<img src=x onerror="window.hacked = 1">'
    )
    front.page.keyboard.press("Escape")
    grid.press("f")
    front.page.get_by_label("Value", exact=True).fill("<img src=x")
    front.page.keyboard.press("Enter")
    expect(grid.footer.locator(".pgc-Chip").first).to_contain_text("<b onmouseover")
    expect(grid.footer).to_contain_text("1 of 1 rows match")
    grid.press("Control+Home", "ArrowRight", "ArrowRight")
    grid.shows("two↵lines→and a tab")
    front.picture("grid-hostile")
    grid.press("ArrowRight")
    grid.shows("abc\\u202Edef")
    assert front.page.evaluate("window.hacked") is None
    assert grid.node.locator("img, b").count() == 0


def test_hostile_outputs_of_a_file(front: Front, lab: Lab) -> None:
    """Counts that are none, columns that are none, and names that an object has anyway."""
    mime = "application/vnd.pgcellar.result+json"
    columns = [
        {"name": "__proto__", "type": "text"},
        {"name": "a\u200fb\u200b", "type": "(" * 9999},
    ]
    good = {"columns": columns, "rows": [["1", None]], "__proto__": {"hacked": True}}
    outputs = [
        {**good, "row_count": 1e300, "ms": -1, "statement": {"hacked": True}, "command": ["x"]},
        {**good, "row_count": -5, "statement": 1.5},
        {**good, "columns": [{"name": 1, "type": None}] * 2},
        {**good, "rows": [["1"], {"length": 2}]},
        ["nothing"],
    ]
    address = lab.notebook("outputs.ipynb", ["select 1"])
    path = lab.folder / "outputs.ipynb"
    content = json.loads(path.read_text())
    content["cells"][0]["outputs"] = [
        {
            "output_type": "display_data", "metadata": {},
            "data": {mime: output, "text/html": "<script>window.hacked = 1</script>",
                     "text/plain": "as text"},
        }
        for output in outputs
    ]  # fmt: skip
    path.write_text(json.dumps(content))
    front.open(address)
    expect(front.cell(1).locator(".pgc-Result")).to_have_count(2)
    expect(front.cell(1).get_by_text("as text")).to_have_count(3)
    for grid in front.cell(1).get_by_role("grid").all():
        expect(grid).to_have_attribute("aria-rowcount", "2")
        expect(grid.get_by_role("columnheader").last).to_contain_text("a\\u200Fb\\u200B")
    assert front.page.evaluate("[window.hacked, ({}).hacked]") == [None, None]


def test_what_is_no_grid(front: Front, lab: Lab) -> None:
    """Commands and what is expanded are text; results that are no functions of the state say why
    there is no more of them.
    """
    cells = [
        "create table t (a int)",
        "select 1 as a where false",
        "select g, random() from generate_series(1, 5000) g",
        "\\x\nselect 1 as one",
    ]
    front.open(lab.notebook("no-grid.ipynb", cells))
    front.command("notebook:run-all-cells")
    front.wait_ran(4)
    for number, text in ((1, "CREATE TABLE"), (4, "-[ RECORD 1 ]")):
        assert text in front.cell(number).locator(".jp-RenderedText").last.inner_text()
        assert front.cell(number).locator(".pgc-Result").count() == 0
    expect(Grid(front, 2).footer).to_contain_text("0 rows")
    grid = Grid(front, 3)
    grid.press("ArrowDown", "Control+End")
    expect(grid.footer).to_contain_text("1,000 of 5,000 rows")
    expect(grid.footer).to_contain_text("Cell c3 has no pages: ")
    front.picture("grid-no-pages")


def test_a_notebook_opened_again(front: Front, lab: Lab) -> None:
    """Has all rows while nothing changed, and the saved ones after an edit above."""
    cells = ["create table t as select generate_series(1, 5000) as g", "select g from t order by g"]
    address = lab.notebook("again.ipynb", cells)
    front.open(address)
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    front.command("docmanager:save")
    front.page.wait_for_function(
        "!window.jupyterapp.shell.currentWidget.context.model.dirty", timeout=30_000
    )
    front.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    front.idle()
    front.page.reload()
    front.open(address)
    front.wait_status(2, "current", "cached")
    grid = Grid(front, 2)
    for _ in range(20):
        if grid.node.get_by_role("gridcell").text_content():
            break
        # A notebook that has just been opened may still take the focus.
        grid.press("ArrowDown")
    grid.press("Control+End")
    grid.shows("5000")
    front.type(1, "create table t as select generate_series(2, 5001) as g")
    front.wait_status(2, "stale")
    front.run(1)
    front.wait_ran(1)
    front.select(2)
    # Rows that were fetched before may be seen still; those in the middle were not.
    grid.press("Control+Home")
    front.page.mouse.move(*grid.cell_at(1, 0))
    front.page.mouse.wheel(0, 2500 * 24)
    expect(grid.footer).to_contain_text("1,000 of 5,000 rows")
    expect(grid.footer).to_contain_text("Run the cell again.")
    front.picture("grid-outdated")
    grid.footer.get_by_role("button", name="Run the cell").press("Enter")
    front.wait_status(2, "current", "cached")
    grid.press("ArrowDown", "Control+End")
    grid.shows("5001")


def test_wide_rows_and_long_values(front: Front, lab: Lab) -> None:
    """As many columns as PostgreSQL gives, and a value of a million characters."""
    columns = ", ".join(f"g + {n} as c{n}" for n in range(1600))
    cells = [
        f"select {columns} from generate_series(0, 2) g",
        "select repeat('long ', 200000) as long, 1 as after",
    ]
    front.open(lab.notebook("wide.ipynb", cells))
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    wide = Grid(front, 1)
    expect(wide.view).to_have_attribute("aria-colcount", "1600")
    wide.press("ArrowDown", "Control+End")
    wide.shows("1601")
    front.picture("grid-wide")
    long = Grid(front, 2)
    long.press("ArrowDown", "ArrowRight")
    long.shows("1")
    long.press("Control+Home", "Enter")
    expect(front.page.locator(".jp-Dialog")).to_contain_text("1,000,000 characters")
    front.picture("grid-long")
    front.page.keyboard.press("Escape")
    expect(front.page.locator(".jp-Dialog")).to_have_count(0)


def test_a_plan_as_text_has_the_room_to_itself(front: Front, lab: Lab) -> None:
    """Its one column shows whole lines; one of several leaves room for the others."""
    line = "repeat('plan ', 14)"
    front.open(lab.notebook("sole.ipynb", [f"select {line} as a", f"select {line} as a, 1 as b"]))
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    sole, shared = (front.page.evaluate(_RIGHT, [cell, 0]) for cell in (0, 1))
    assert shared < 420 < 500 < sole


def test_rows_are_drawn_by_a_button(front: Front, lab: Lab) -> None:
    """The chart is in the cell's text, so that a run from the top draws it, too."""
    source = 'select g as "the x", g * g as squared from generate_series(1, 9) g -- rows'
    front.open(lab.notebook("draw.ipynb", [source]))
    front.run(1)
    front.wait_ran(1)
    cell = front.cell(1)
    for kind in ("bar", "line"):
        cell.get_by_role("button", name="Draw a chart").click()
        front.page.locator(".pgc-ChartForm select").first.select_option(kind)
        front.picture(f"chart-form-{kind}")
        front.page.get_by_role("button", name="Draw", exact=True).click()
        expect(cell.locator(".cm-content")).to_contain_text(f'\\chart {kind} x="the x" y=squared')
        front.wait_ran(1)
        expect(cell.locator(".vega-embed")).to_be_visible()
    assert cell.locator(".cm-content").inner_text().count("\\chart") == 1
    expect(cell.locator(".pgc-Grid")).to_be_visible()
    front.picture("chart-of-grid")
