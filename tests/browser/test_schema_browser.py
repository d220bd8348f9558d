"""The schema browser: what the state at the selected cell holds, and what can be done with it."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect
from tests.fixtures_browser import Front, Lab

HOSTILE = '"><img src=x onerror="window.harmed = 1">'
QUOTED = '"' + HOSTILE.replace('"', '""') + '"'
CELLS = [
    "create table airports (code text primary key, name text not null); \n"
    "comment on table airports is 'Where flights begin and end';\n"
    f"comment on column airports.name is '{HOSTILE}';\n"
    "create table flights (id int generated always as identity primary key,\n"
    "  origin text not null references airports, target text references airports (code),\n"
    "  delay numeric(6, 2) default 0 check (delay > -100));\n"
    "create index on flights (origin, target);\n"
    "create schema sales; create table sales.orders (flight int references flights, seats int);\n"
    f'create table {QUOTED} ("select" int, {QUOTED} text primary key);\n'
    f"alter table sales.orders add column note text references {QUOTED};\n"
    "create view late as select * from flights where delay > 15;\n"
    "create function twice(a int) returns int language sql immutable as 'select a * 2';\n"
    "create type mood as enum ('good', 'bad'); create sequence numbers",
    "insert into airports values ('AMS', 'Schiphol'), ('SFO', 'San Francisco');\nanalyze airports",
    "",
]


def _panel(front: Front) -> Locator:
    front.command("pgcellar:show-schema")
    panel = front.page.locator("#pgcellar-schema")
    expect(panel).to_be_visible()
    return panel


def _line(panel: Locator, name: str) -> Locator:
    return panel.locator(f"[role=treeitem]:has(> .pgc-Tree-label:text-is({name!r}))")


def _source(front: Front, number: int) -> str:
    return str(
        front.page.evaluate(
            "n => window.jupyterapp.shell.currentWidget.content.widgets[n - 1]"
            ".model.sharedModel.getSource()",
            number,
        )
    )


def _opened(front: Front, lab: Lab, name: str) -> Locator:
    """The panel on a notebook that has run."""
    front.open(lab.notebook(name, CELLS))
    panel = _panel(front)
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    front.select(2)
    expect(panel.locator(".pgc-Which")).to_contain_text("After cell 2")
    expect(panel.locator(".pgc-Which")).not_to_contain_text("nearest")
    expect(_line(panel, "airports")).to_be_visible()
    return panel


def test_names_are_inserted(front: Front, lab: Lab) -> None:
    """Quoted, at the cursor; a SELECT as a new cell, or at the cursor."""
    panel = _opened(front, lab, "insert.ipynb")
    front.picture("schema-tree")
    front.select(3)
    expect(_line(panel, HOSTILE)).to_be_visible()
    _line(panel, HOSTILE).click()
    panel.get_by_role("button", name="Insert name").click()
    front.page.wait_for_function(
        "name => window.jupyterapp.shell.currentWidget.content.widgets[2]"
        ".model.sharedModel.getSource() === name",
        arg=QUOTED,
    )
    _line(panel, "orders").click()
    panel.get_by_role("button", name="Top rows here").click()
    assert _source(front, 3) == f"{QUOTED}select *\nfrom sales.orders\nlimit 20"
    _line(panel, "airports").click()
    panel.get_by_role("button", name="Top rows", exact=True).click()
    front.cell(4).wait_for()
    assert _source(front, 4) == "select *\nfrom airports\norder by code\nlimit 20"
    front.type(3, "-- nothing")
    front.run(4)
    front.wait_ran(4)
    assert "Schiphol" in str(front.rows(4))
    assert front.page.evaluate("window.harmed") is None


def test_marks_that_reorder_a_name_are_seen(front: Front, lab: Lab) -> None:
    """And what is inserted is the name as it is."""
    front.open(lab.notebook("marks.ipynb", ['create table "pay\u202eee\u200b" (a int)', ""]))
    panel = _panel(front)
    front.run(1)
    front.wait_ran(1)
    line = panel.locator("[role=treeitem][title^=pay] .pgc-Tree-label")
    expect(line).to_have_text("pay\\u202Eee\\u200B")
    line.click()
    expect(panel.locator(".pgc-About h3")).to_have_text("pay\\u202Eee\\u200B")
    front.select(2)
    panel.get_by_role("button", name="Insert name").click()
    front.page.wait_for_function(
        "name => window.jupyterapp.shell.currentWidget.content.widgets[1]"
        ".model.sharedModel.getSource() === name",
        arg='"pay\u202eee\u200b"',
    )
    front.command("pgcellar:draw-tables")
    drawn = front.page.locator(".pgc-Diagram:visible")
    for part in (".pgc-Diagram-name", "title"):
        expect(drawn.locator(part).first).to_have_text('"pay\\u202Eee\\u200B"')


def test_the_tree_by_keyboard(front: Front, lab: Lab) -> None:
    """Arrows open, close and go; the search finds what lies deep."""
    panel = _opened(front, lab, "keys.ipynb")
    keyboard = front.page.keyboard
    _line(panel, "public").click()
    keyboard.press("ArrowDown")
    expect(panel.locator("[role=treeitem]:focus")).to_have_attribute("aria-level", "2")
    _line(panel, "flights").click()
    keyboard.press("ArrowRight")
    expect(_line(panel, "flights")).to_have_attribute("aria-expanded", "true")
    keyboard.press("ArrowRight")
    expect(panel.locator("[role=treeitem]:focus")).to_have_text(re.compile("^id"))
    expect(panel.locator(".pgc-About")).to_contain_text("always")
    keyboard.press("End")
    keyboard.press("Home")
    expect(panel.locator("[role=treeitem]:focus")).to_have_text("public")
    panel.get_by_role("searchbox").fill("delay")
    expect(panel.get_by_role("treeitem", name="delay")).to_have_count(3)
    assert panel.get_by_role("treeitem", name="airports").count() == 0
    front.picture("schema-search")
    panel.get_by_role("searchbox").fill("nothing is called so")
    expect(panel.locator(".pgc-Tree")).to_contain_text("No name has")


def test_the_parts_of_a_table_and_how_large_it_is(front: Front, lab: Lab) -> None:
    """Keys, checks and indexes below it, each with what it is; the estimate, and its size."""
    panel = _opened(front, lab, "parts.ipynb")
    about = panel.locator(".pgc-About")
    _line(panel, "airports").click()
    for fact in ("Key\ncode", "Rows\nabout 2", "Size\n"):
        assert fact in about.locator("dl").inner_text()
    expect(about).to_contain_text(re.compile(r"Size\s*[\d.]+ KiB"))
    expect(_line(panel, "airports")).to_contain_text("~2 rows")
    _line(panel, "flights").locator(".pgc-Tree-caret").click()
    _line(panel, "Keys, indexes, triggers").locator(".pgc-Tree-caret").click()
    parts = {
        "flights_pkey": ("primary key", "(id)"),
        "flights_origin_fkey": ("foreign key", "REFERENCES public.airports(code)"),
        "flights_delay_check": ("check", "-100"),
        "flights_origin_target_idx": ("index", "(origin, target)"),
    }
    for name, (kind, definition) in parts.items():
        _line(panel, name).click()
        expect(_line(panel, name).locator(".pgc-Tree-note")).to_have_text(kind)
        expect(about).to_contain_text(definition)
    front.picture("schema-parts")


def test_definitions_are_shown(front: Front, lab: Lab) -> None:
    """Of tables, views and functions; what they say runs."""
    panel = _opened(front, lab, "ddl.ipynb")
    dialog = front.page.locator(".jp-Dialog")

    def shown(name: str) -> str:
        _line(panel, name).click()
        panel.get_by_role("button", name="DDL").click()
        text = dialog.locator("pre").inner_text()
        if name == "airports":
            front.picture("schema-ddl")
        dialog.get_by_role("button", name="Close").last.click()
        expect(dialog).to_have_count(0)
        return text

    assert "CREATE VIEW public.late AS\n" in shown("late")
    _line(panel, "Functions").first.dblclick()
    _line(panel, "Functions").first.locator(".pgc-Tree-caret").click()
    assert "CREATE OR REPLACE FUNCTION public.twice" in shown("twice(a integer)")
    commands = [shown(name) for name in ("airports", "flights", HOSTILE)]
    assert "DEFAULT 0" in commands[1]
    assert "CREATE INDEX" in commands[1]
    front.type(1, "\n".join(commands))
    front.run(1)
    front.wait_ran(1)
    assert front.status(1) == "current", front.cell(1).inner_text()


def test_a_state_that_is_not_kept(front: Front, lab: Lab) -> None:
    """The nearest one above is shown, and said so."""
    panel = _opened(front, lab, "nearest.ipynb")
    front.type(2, "create table another (a int)")
    front.select(2)
    expect(panel.locator(".pgc-Which")).to_contain_text("the nearest one above")
    front.run(2)
    front.wait_ran(2)
    expect(_line(panel, "another")).to_be_visible()


def test_the_picture(front: Front, lab: Lab) -> None:
    """Boxes and lines, names as text."""
    panel = _opened(front, lab, "picture.ipynb")
    panel.get_by_role("button", name="Draw the tables").click()
    drawn = front.page.locator(".pgc-Diagram:visible")
    expect(drawn.locator(".pgc-Diagram-table")).to_have_count(4)
    expect(drawn.locator(".pgc-Diagram-key")).to_have_count(4)
    expect(drawn).to_contain_text("4 tables, 4 foreign keys")
    for name in ("Larger", "Smaller", "Show all"):
        drawn.get_by_role("button", name=name).click()
    front.picture("schema-picture")
    assert drawn.locator("img").count() == 0
    assert front.page.evaluate("window.harmed") is None


def test_a_picture_of_fifty_tables(front: Front, lab: Lab) -> None:
    """In layers, one of which is tall; a table that refers to itself, and a circle."""
    made = (
        "create table t0 (id int primary key, other int references t0);\n"
        "do $$ begin for i in 1..49 loop execute format('create table t%s (id int primary key,"
        " a int references t%s, b int references t%s)', i, i / 7, i / 3); end loop; end $$;\n"
        "alter table t1 add column back int references t49"
    )
    front.open(lab.notebook("fifty.ipynb", [made]))
    panel = _panel(front)
    front.run(1)
    front.wait_ran(1)
    expect(_line(panel, "t49")).to_be_visible()
    front.command("pgcellar:draw-tables")
    drawn = front.page.locator(".pgc-Diagram:visible")
    expect(drawn).to_contain_text("50 tables, 100 foreign keys")
    expect(drawn.locator(".pgc-Diagram-table")).to_have_count(50)
    drawn.get_by_role("button", name="Show all").click()
    front.picture("schema-fifty")
