"""A real kernel whose widgets are moved as a front end moves them."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import nbclient
import nbformat
import pytest
from tests.fixtures_service import CommandLine
from tests.integration.test_kernel_comm import Page
from tests.integration.test_kernel_protocol import Kernel, Reply

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
FLIGHTS = (
    "create table flights as select i, i % 12 + 1 as month, chr(65 + i % 3) as carrier"
    " from generate_series(1, 120) i"
)
#: One parameter, and two of them.
SLIDER = (
    "-- @param month: slider(1, 12) = 5\n"
    "select count(*), :month as m from flights where month = :month"
)
CHOICE = (
    "-- @param carrier: dropdown(select distinct carrier from flights)\n"
    "-- @param least: number(0, 200) = 100\n"
    "select carrier, i from flights where carrier = :'carrier' and i >= :least order by i limit 1"
)
VIEW = "application/vnd.jupyter.widget-view+json"


class Widgets:
    """What a front end knows of a kernel's widgets, and of a cell's output."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.states: dict[str, dict[str, Any]] = {}
        self.shown: list[tuple[str | None, dict[str, Any]]] = []
        self.updates = 0

    def run(self, code: str, **metadata: Any) -> Reply:
        """Run a cell, and take what it shows for the output."""
        reply = self.kernel.run(code, **metadata)
        self.shown = []
        for message in reply.messages:
            self.take(message)
        return reply

    def take(self, message: dict[str, Any]) -> None:
        """Take a message as front ends do."""
        kind, content = message["msg_type"], message["content"]
        if kind == "comm_open" and content["target_name"] == "jupyter.widget":
            self.states[content["comm_id"]] = content["data"]["state"]
        elif kind == "comm_msg" and content["comm_id"] in self.states:
            self.states[content["comm_id"]].update(content["data"].get("state", {}))
        elif kind == "comm_close":
            self.states.pop(content["comm_id"], None)
        elif kind == "clear_output":
            self.shown = []
        elif kind == "display_data":
            self.shown.append((content["transient"].get("display_id"), content["data"]))
        elif kind == "update_display_data":
            self.updates += 1
            identity = content["transient"]["display_id"]
            self.shown = [
                (known, content["data"] if known == identity else data)
                for known, data in self.shown
            ]

    def named(self, name: str) -> str:
        """The widget of a parameter."""
        return next(i for i, state in self.states.items() if state.get("description") == name)

    def move(self, name: str, **state: Any) -> None:
        """Move a widget."""
        content = {
            "comm_id": self.named(name),
            "data": {"method": "update", "state": state, "buffer_paths": []},
        }
        client = self.kernel.client
        client.shell_channel.send(client.session.msg("comm_msg", content))

    @property
    def texts(self) -> list[str]:
        """What is shown below the widgets."""
        found = [data["text/plain"] for _, data in self.shown if VIEW not in data]
        return [text for text in found if text]

    def wait(self, holds: Callable[[], bool]) -> None:
        """Take messages until something holds."""
        while not holds():
            self.take(self.kernel.client.get_iopub_msg(timeout=60))


@pytest.fixture(scope="module")
def kernel(kernel_home: CommandLine) -> Iterator[Kernel]:
    """One for the module; each test has a notebook of its own."""
    made = Kernel()
    made.client.wait_for_ready(timeout=60)
    yield made
    made.stop()


@pytest.fixture
def widgets(kernel: Kernel) -> Widgets:
    """A front end."""
    return Widgets(kernel)


def below(code: str, above: str = FLIGHTS) -> dict[str, Any]:
    """The metadata of a request for a cell below another one."""
    cells = [{"id": "a", "source": above}, {"id": "b", "source": code}]
    return {"pgcellar": {"cells": cells, "head": 1}, "cellId": f"b{uuid.uuid4().hex}"}


def test_a_slider_sets_its_variable_and_moving_it_runs_the_head(widgets: Widgets) -> None:
    reply = widgets.run(SLIDER, **below(SLIDER))
    assert reply.status == "ok"
    assert widgets.shown[0][1][VIEW]["model_id"] in widgets.states
    assert widgets.shown[0][1]["text/plain"].startswith("Parameters:\n  month: slider from 1 to 12")
    state = widgets.states[widgets.named("month")]
    assert (state["_model_name"], state["min"], state["max"]) == ("IntSliderModel", 1, 12)
    assert state["value"] == 5
    assert widgets.texts == [" count | m \n-------+---\n    10 | 5\n(1 row)"]
    widgets.move("month", value=7)
    widgets.wait(lambda: "| 7" in widgets.texts[-1])
    # No front end changes the cell's text here, so what is shown says that it is a look aside.
    aside, result = widgets.texts
    assert aside.endswith("-- @param month: slider(1, 12) = 7\n")
    assert result == " count | m \n-------+---\n    10 | 7\n(1 row)"
    widgets.move("month", value=5)
    widgets.wait(lambda: "| 5" in widgets.texts[0] and len(widgets.texts) == 1)


def test_a_dropdown_offers_what_its_query_gives(widgets: Widgets) -> None:
    widgets.run(CHOICE, **below(CHOICE))
    state = widgets.states[widgets.named("carrier")]
    assert state["_options_labels"] == ["A", "B", "C"]
    assert state["index"] == 0
    assert "A       | 102" in widgets.texts[0]
    widgets.move("carrier", index=2)
    widgets.wait(lambda: "C       | 101" in widgets.texts[-1])
    widgets.move("least", value=110)
    widgets.wait(lambda: "C       | 110" in widgets.texts[-1])


def test_the_newest_value_wins(widgets: Widgets) -> None:
    """What it overtakes is cancelled: a hundred runs of a second each would take long."""
    code = "-- @param n: slider(0, 100) = 0\nselect :n as n, pg_sleep((:n > 0)::int)"
    widgets.run(code, **below(code))
    begin = time.monotonic()
    for n in range(1, 101):
        widgets.move("n", value=n)
    widgets.wait(lambda: " 100 |" in widgets.texts[-1])
    assert time.monotonic() - begin < 50
    assert "57014" not in "".join(widgets.texts)


def test_errors_are_shown_in_place_and_go_away(widgets: Widgets) -> None:
    code = "-- @param n: slider(0, 9) = 1\nselect 1 / :n as q;\nselect :n as n"
    widgets.run(code, **below(code))
    assert len(widgets.texts) == 2
    widgets.move("n", value=0)
    widgets.wait(lambda: "division by zero" in "".join(widgets.texts))
    assert [bool("ERROR" in text) for text in widgets.texts] == [False, True]
    widgets.move("n", value=2)
    widgets.wait(lambda: " n \n---\n 2" in widgets.texts[-1])
    assert "ERROR" not in "".join(widgets.texts)


def test_a_cell_that_failed_is_mended_by_its_widget(widgets: Widgets) -> None:
    code = "-- @param n: slider(0, 9)\nselect 1 / :n as q"
    reply = widgets.run(code, **below(code))
    assert reply.status == "error"
    assert reply.of("error")[0]["ename"] == "22012"
    widgets.move("n", value=1)
    widgets.wait(lambda: bool(widgets.texts) and " q \n---\n 1" in widgets.texts[-1])
    assert VIEW in widgets.shown[0][1]


def test_a_front_end_that_knows_the_notebook_changes_the_text(
    kernel: Kernel, widgets: Widgets
) -> None:
    """So that the cells below, and a run from the top, have the value that is shown.

    What stands above ran once: a move runs the head alone.
    """
    above = FLIGHTS.replace("120", "240")
    cells = {"a": above, "b": SLIDER, "c": "select :month as below"}
    page = Page(kernel, cells)
    page.tell(send="b", source=SLIDER)
    page._note(widgets.run(SLIDER, cellId="b").messages)
    widgets.move("month", value=8)
    messages: list[dict[str, Any]] = []

    def holds() -> bool:
        return "| 8" in widgets.texts[-1] and len(page.of("ran")) == 2

    while not holds():
        messages.append(kernel.client.get_iopub_msg(timeout=60))
        widgets.take(messages[-1])
        page._note(messages[-1:])
    assert len(widgets.texts) == 1
    (edit,) = page.of("edit")
    ((was, now),) = edit["edits"]
    assert (was, now) == (f"{SLIDER.splitlines()[0]}", "-- @param month: slider(1, 12) = 8")
    # Of a cell that did not run nothing is told.
    ran = [[(each["id"], each["source"]) for each in told["cells"]] for told in page.of("ran")]
    assert ran == [[("a", "replayed"), ("b", "head")], [("b", "head")]]
    # The front end tells the change, as any other.
    page.change(b=SLIDER.replace(was, now))
    assert page.run("c", cells["c"]) == [" below \n-------\n     8\n(1 row)"]
    page._send("comm_close", data={})


def test_a_page_that_is_loaded_anew_gets_the_value_alone(kernel: Kernel, widgets: Widgets) -> None:
    """It does not take output of the page before, so what it shows must not count as new."""
    cells = {"a": FLIGHTS, "b": SLIDER}
    before = Page(kernel, cells)
    before.tell(send="b", source=SLIDER)
    widgets.run(SLIDER, cellId="b")
    page = Page(kernel, cells)
    before._send("comm_close", data={})
    page.ask("plan")
    updates = widgets.updates
    widgets.move("month", value=9)
    while not page.of("edit"):
        message = kernel.client.get_iopub_msg(timeout=60)
        widgets.take(message)
        page._note([message])
    page.ask("plan")
    assert page.of("running") == []
    assert widgets.updates == updates
    page._send("comm_close", data={})


def test_a_page_may_go_without_a_word(
    kernel: Kernel, widgets: Widgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when it is loaded anew: whoever moves a widget is told what to change."""
    cells = {"a": FLIGHTS, "b": SLIDER}
    before = Page(kernel, cells)
    before.tell(send="b", source=SLIDER)
    widgets.run(SLIDER, cellId="b")
    with monkeypatch.context() as patch:
        patch.setattr(kernel.client.session, "session", "another")
        page = Page(kernel, cells)
    # Whoever spoke last need not be the one who moves it.
    before.ask("plan")
    monkeypatch.setattr(kernel.client.session, "session", "another")
    widgets.move("month", value=3)
    while not page.of("edit"):
        message = kernel.client.get_iopub_msg(timeout=60)
        for each in (before, page):
            each._note([message])
    assert before.of("edit") == []
    for each in (before, page):
        each._send("comm_close", data={})


def test_without_a_front_end_that_knows_the_order_cells_stand_as_they_ran(
    widgets: Widgets,
) -> None:
    widgets.run("create table t as select 1 as a", cellId="first")
    code = "-- @param n: slider(1, 9)\nselect a, :n as n from t"
    widgets.run(code, cellId="second")
    widgets.kernel.run("create table t as select 2 as a", cellId="first")
    widgets.move("n", value=3)
    widgets.wait(lambda: " a | n \n---+---\n 2 | 3" in widgets.texts[-1])


def test_every_kind_of_parameter(widgets: Widgets) -> None:
    code = (
        "-- @param t: text = 'O''Neil'\n-- @param c: checkbox\n-- @param d: date = 2024-02-29\n"
        "-- @param x: slider(0, 1, 0.1) = 0.5\n-- @param n: number = 3\n"
        "-- @param m: select-multiple(A, 'B') = {A}\n-- @param k: dropdown('x', y)\n"
        "select :'t' as t, :'c'::bool as c, :'d'::date as d, :x as x, :n as n,"
        " 'A' = any(:'m') as m, :'k' as k"
    )
    widgets.run(code, **below(code))

    def values() -> list[str]:
        return [value.strip() for value in widgets.texts[-1].split("\n")[2].split("|")]

    assert values() == ["O'Neil", "f", "2024-02-29", "0.5", "3", "t", "x"]
    widgets.move("t", value="it's \\n")
    widgets.move("c", value=True)
    widgets.move("d", value={"year": 2023, "month": 0, "date": 31})
    widgets.move("x", value=0.7)
    widgets.move("n", value=2.5)
    widgets.move("m", index=[1])
    widgets.move("k", index=1)
    widgets.wait(lambda: widgets.texts[-1].startswith(" ") and values()[-1] == "y")
    assert values() == ["it's \\n", "t", "2023-01-31", "0.7", "2.5", "f", "y"]


def test_a_line_that_is_no_parameter_is_an_error_of_the_cell(widgets: Widgets) -> None:
    code = "-- @param t: text = O'Neil\nselect 1"
    (error,) = widgets.run(code, **below(code)).of("error")
    assert "must stand in quotes" in error["evalue"]
    assert error["traceback"][1] == "LINE 1: -- @param t: text = O'Neil"


def test_a_value_is_never_sql(widgets: Widgets) -> None:
    code = "-- @param t: text = a\nselect :'t' as t"
    widgets.run(code, **below(code))
    for attack in ("'; drop table flights; --", "\\'; drop table flights; --", ":'t' `id`"):
        widgets.move("t", value=attack)
        widgets.wait(lambda attack=attack: f" {attack}\n" in widgets.texts[-1])  # type: ignore[misc]


def test_options_may_depend_on_another_parameter(widgets: Widgets) -> None:
    code = (
        "-- @param n: slider(1, 5) = 2\n"
        "-- @param k: dropdown(select g from generate_series(1, :n) g) = 1\nselect :k as k"
    )
    widgets.run(code, **below(code))
    assert widgets.states[widgets.named("k")]["_options_labels"] == ["1", "2"]
    widgets.move("n", value=4)
    labels = ["1", "2", "3", "4"]
    widgets.wait(lambda: widgets.states[widgets.named("k")]["_options_labels"] == labels)


def test_a_query_that_fails_is_an_error_of_the_cell(widgets: Widgets) -> None:
    code = "-- @param k: dropdown(select x from nowhere) = 1\nselect 1"
    reply = widgets.run(code, **below(code))
    (error,) = reply.of("error")
    assert error["evalue"] == 'The parameter k: relation "nowhere" does not exist'
    assert error["traceback"][1].startswith("LINE 1: -- @param k")
    code = "-- @param k: dropdown(select 1 where false)\nselect 1"
    assert "gives no options" in widgets.run(code, **below(code)).of("error")[0]["evalue"]


def test_a_cell_that_runs_again_has_new_widgets(widgets: Widgets) -> None:
    meta = below(SLIDER)
    widgets.run(SLIDER, **meta)
    first = widgets.named("month")
    widgets.run(SLIDER, **meta)
    assert first not in widgets.states
    assert widgets.named("month") != first


def test_an_interrupt_ends_what_a_widget_began(kernel: Kernel, widgets: Widgets) -> None:
    code = "-- @param n: slider(0, 60) = 0\nselect pg_sleep(:n)"
    widgets.run(code, **below(code))
    page = Page(kernel, {})
    widgets.move("n", value=60)
    while not page.of("running"):
        page._note([kernel.client.get_iopub_msg(timeout=60)])
    kernel.manager.interrupt_kernel()
    widgets.wait(lambda: "canceling statement" in "".join(widgets.texts))
    page._send("comm_close", data={})
    assert widgets.run("select 'after'").status == "ok"


def test_nbclient_shows_the_result_of_the_values_in_the_text(kernel_home: CommandLine) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in (FLIGHTS, SLIDER, "select :month")],
        metadata={"kernelspec": {"name": "pgcellar", "display_name": "SQL"}},
    )
    nbclient.NotebookClient(notebook, timeout=120).execute()
    controls, result = notebook.cells[1].outputs
    assert "month: slider from 1 to 12" in controls["data"]["text/plain"]
    assert "month: slider from 1 to 12" in controls["data"]["text/html"]
    assert result["data"]["text/plain"] == " count | m \n-------+---\n    10 | 5\n(1 row)"
    assert "5" in notebook.cells[2].outputs[0]["data"]["text/plain"]


#: A kernel without ipywidgets.
BARE = """
import sys

sys.modules["ipywidgets"] = None
from pgcellar_kernel import __main__

__main__.main()
"""


def test_without_ipywidgets_it_is_said_what_to_install(
    kernel_home: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = kernel_home.home / "bare.py"
    script.write_text(BARE)
    spec = {
        "argv": [sys.executable, str(script), "-f", "{connection_file}"],
        "display_name": "bare",
        "language": "sql",
        "interrupt_mode": "message",
    }
    folder = kernel_home.home / "share" / "kernels" / "bare"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(folder.parents[1]))
    made = Kernel("bare")
    try:
        made.client.wait_for_ready(timeout=60)
        described, result = made.run(SLIDER, **below(SLIDER)).of("display_data")
        assert VIEW not in described["data"]
        assert "pip install pgcellar[widgets]" in described["data"]["text/plain"]
        assert "pip install pgcellar[widgets]" in described["data"]["text/html"]
        assert result["data"]["text/plain"] == " count | m \n-------+---\n    10 | 5\n(1 row)"
    finally:
        made.stop()


def test_a_front_end_is_told_at_once_that_there_are_no_widgets(kernel: Kernel) -> None:
    comm = uuid.uuid4().hex
    client = kernel.client

    def send(kind: str, **content: Any) -> None:
        client.shell_channel.send(
            client.session.msg(kind, {"comm_id": comm, **content}, metadata={"version": "1.0.0"})
        )

    send("comm_open", target_name="jupyter.widget.control", data={})
    send("comm_msg", data={"method": "request_states"})
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == comm:
            break
    assert message["content"]["data"]["method"] == "update_states"
    send("comm_close", data={})


LONG = "select i, 'row ' || i as name from generate_series(1, 2500) i"


def test_long_results_have_pages_where_widgets_are_shown(
    kernel: Kernel, widgets: Widgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing but the table elsewhere. The comm that asks for widgets is closed once it has."""
    client = kernel.client
    monkeypatch.setattr(client.session, "session", "shows none")
    assert len(widgets.run(LONG).of("display_data")) == 1
    monkeypatch.setattr(client.session, "session", "shows widgets")
    comm = uuid.uuid4().hex
    opened = {"comm_id": comm, "target_name": "jupyter.widget.control", "data": {}}
    for kind, content in (("comm_open", opened), ("comm_close", {"comm_id": comm, "data": {}})):
        client.shell_channel.send(client.session.msg(kind, content, metadata={"version": "1.0.0"}))
    reply = widgets.run(LONG, cellId="long")
    table, buttons = reply.of("display_data")
    assert "(2500 rows; the first 1000 are shown)" in table["data"]["text/plain"]
    assert buttons["data"][VIEW]["model_id"] in widgets.states

    def label() -> str:
        return next(s["value"] for s in widgets.states.values() if s["_model_name"] == "LabelModel")

    def press(tooltip: str) -> None:
        button = next(i for i, s in widgets.states.items() if s.get("tooltip") == tooltip)
        data = {"method": "custom", "content": {"event": "click"}}
        client.shell_channel.send(client.session.msg("comm_msg", {"comm_id": button, "data": data}))

    assert label() == "rows 1–1,000 of 2,500"
    for tooltip, says, row in (
        ("Next page", "rows 1,001–2,000 of 2,500", "row 1001"),
        ("Last page", "rows 2,001–2,500 of 2,500", "row 2500"),
        ("Page before", "rows 1,001–2,000 of 2,500", "row 2000"),
        ("First page", "rows 1–1,000 of 2,500", "row 1000"),
    ):
        press(tooltip)
        widgets.wait(
            lambda says=says, row=row: label() == says and f"{row}\n" in widgets.texts[0]  # type: ignore[misc]
        )
    assert "(2500 rows; rows 1 to 1000 are shown)" in widgets.texts[0]
    press("Next page")
    widgets.wait(lambda: "row 2000\n" in widgets.texts[0])
    widgets.run("select random() from generate_series(1, 2500)", cellId="long")
    press("Next page")
    widgets.wait(lambda: "has no pages" in label())
    monkeypatch.setattr(client.session, "session", "shows none")
    assert len(widgets.run(LONG, cellId="long").of("display_data")) == 1
