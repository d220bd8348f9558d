"""A real kernel, told by a front end how the notebook stands, and asked about it."""

from __future__ import annotations

import asyncio
import base64
import io
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from tests import following
from tests.fixtures_service import CommandLine
from tests.integration.test_kernel_protocol import Kernel

from pgcellar.api import client

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
CELLS = {"a": "create table t (a int)", "b": "insert into t values (1)", "c": "table t"}


class Page:
    """A front end's comm."""

    def __init__(self, kernel: Kernel, cells: dict[str, str]) -> None:
        self.kernel = kernel
        self.identity = uuid.uuid4().hex
        self.events: list[dict[str, Any]] = []
        self._asked = self._count = 0
        #: Whether the kernel has closed it.
        self.closed = False
        told = {"order": [*cells], "cells": {i: {"source": s} for i, s in cells.items()}}
        self._send("comm_open", target_name="pgcellar.notebook", data=told)

    def tell(self, **data: Any) -> None:
        """Tell the kernel something."""
        self._send("comm_msg", data=data)

    def lose(self) -> None:
        """A message that does not come."""
        self._count += 1

    def change(self, **sources: str) -> None:
        """Cells have other texts now."""
        self.tell(cells={i: {"source": source} for i, source in sources.items()})

    def run(self, cell: str, source: str) -> list[str]:
        """Run a cell as JupyterLab does; what is shown."""
        self.tell(send=cell, source=source)
        reply = self.kernel.run(source, cellId=cell)
        self._note(reply.messages)
        return reply.texts or [error["evalue"] for error in reply.of("error")]

    def ask(self, question: str, **about: Any) -> dict[str, Any]:
        """Ask something; the reply."""
        self._asked += 1
        self.tell(ask=question, id=self._asked, **about)
        return self.reply(self._asked)

    def reply(self, number: int) -> dict[str, Any]:
        """Wait for the reply to a question."""
        while True:
            message = self.kernel.client.get_iopub_msg(timeout=60)
            data = self._data(message)
            if data is not None and data.get("id") == number:
                return data
            self._note([message])

    def wait(self, event: str) -> None:
        """Wait for an event that no request of its own brings, or for the end of the comm."""
        while not self.of(event) and not self.closed:
            self._note([self.kernel.client.get_iopub_msg(timeout=60)])

    def of(self, event: str) -> list[dict[str, Any]]:
        """The events of a kind that came so far."""
        return [told for told in self.events if told.get("event") == event]

    def _note(self, messages: list[dict[str, Any]]) -> None:
        closed = [each for each in messages if each["msg_type"] == "comm_close"]
        self.closed |= any(each["content"]["comm_id"] == self.identity for each in closed)
        self.events += [data for data in map(self._data, messages) if data and "event" in data]

    def _data(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == self.identity:
            data: dict[str, Any] = message["content"]["data"]
            return data
        return None

    def _send(self, kind: str, **content: Any) -> None:
        content["comm_id"] = self.identity
        content["data"]["n"] = self._count
        self._count += 1
        client = self.kernel.client
        client.shell_channel.send(client.session.msg(kind, content))


@pytest.fixture
def kernel(kernel_home: CommandLine) -> Iterator[Kernel]:
    """A kernel of this test's own."""
    made = Kernel()
    made.client.wait_for_ready(timeout=60)
    yield made
    made.stop()


def test_a_cell_runs_below_those_that_stand_above_it(kernel: Kernel) -> None:
    """Though none of them ever ran, and as they were when it was sent."""
    page = Page(kernel, CELLS)
    assert page.run("c", CELLS["c"]) == [" a \n---\n 1\n(1 row)"]
    page.change(b="insert into t values (2)")
    assert page.run("c", CELLS["c"]) == [" a \n---\n 2\n(1 row)"]
    page.tell(order=["a", "c", "b"])
    assert page.run("c", CELLS["c"]) == [" a \n---\n(0 rows)"]


def test_the_kernel_tells_what_becomes_of_a_cell(kernel: Kernel) -> None:
    page = Page(kernel, {"a": "create table u ()", "c": "table u", "d": "table nowhere"})
    page.ask("plan")
    page.run("c", "table u")
    assert page.of("hello") == [{"event": "hello", "version": 1}]
    assert [told["cell"] for told in page.of("running")] == ["c"]
    (ran,) = page.of("ran")
    assert [cell["source"] for cell in ran["cells"]] == ["replayed", "head"]
    assert ran["cells"][-1]["input"]
    page.run("d", "table nowhere")
    failed = page.of("ran")[-1]
    assert failed["error"]["sqlstate"] == "42P01"
    assert failed["cells"][-1]["input"]


def test_a_plan_says_what_is_out_of_date(kernel: Kernel) -> None:
    """Only a change that can matter makes another input; where it would lead is not known."""
    page = Page(kernel, CELLS)

    def inputs() -> list[str | None]:
        return [step["input"] for step in page.ask("plan")["answer"]["steps"]]

    for cell, source in CELLS.items():
        page.run(cell, source)
    first = [told["cells"][-1]["input"] for told in page.of("ran")]
    assert inputs() == first
    page.change(b="insert into t values (1) -- the same")
    assert inputs() == first
    page.change(b="insert into t values (2)")
    changed = inputs()
    assert changed[0] == first[0]
    assert changed[1] != first[1]
    assert changed[2] != first[2]
    page.change(b=CELLS["b"])
    assert inputs() == first
    page.change(a="create table t (a int); select f()")
    assert inputs()[1:] == [None, None]


def test_a_variable_makes_stale_what_names_it_alone(kernel: Kernel) -> None:
    cells = {
        "t": "create table t as select 1 as a",
        "a": "\\set one 1\n\\set two 2",
        "b": "select :one",
        "c": "-- @param own: slider(1, 9) = 5\nselect :own, :two",
        "d": "\\echo :one",
        "e": "select 3 -- :one",
    }
    page = Page(kernel, cells)

    def inputs() -> dict[str, str]:
        return {step["id"]: step["input"] for step in page.ask("plan")["answer"]["steps"]}

    for cell, source in cells.items():
        page.run(cell, source)
    first = inputs()
    assert {told["cell"]: told["cells"][-1]["input"] for told in page.of("ran")} == first
    page.change(a="\\set one 1\n\\set two 3")
    assert {cell for cell, now in inputs().items() if now != first[cell]} == {"c"}
    page.change(a="\\set one 4\n\\set two 2")
    assert {cell for cell, now in inputs().items() if now != first[cell]} == {"b", "d"}


def test_questions_are_answered_while_a_cell_runs(kernel: Kernel) -> None:
    page = Page(kernel, {**CELLS, "d": "select pg_sleep(30)"})
    sent = kernel.send("select pg_sleep(30)", cellId="d")
    while not page.of("running"):
        page._note([kernel.client.get_iopub_msg(timeout=60)])
    assert len(page.ask("plan")["answer"]["steps"]) == 4
    kernel.manager.interrupt_kernel()
    reply = kernel.receive(sent)
    assert reply.status == "error"
    assert reply.of("error")[0]["ename"] == "57014"


def test_a_page_that_comes_while_a_cell_runs_is_told(kernel: Kernel) -> None:
    cells = {"d": "select pg_sleep(600)"}
    page = Page(kernel, cells)
    sent = kernel.send(cells["d"], cellId="d")
    page.wait("running")
    late = Page(kernel, cells)
    late.wait("running")
    assert late.of("running") == [{"event": "running", "cell": "d"}]
    kernel.manager.interrupt_kernel()
    kernel.receive(sent)
    after = Page(kernel, cells)
    after.ask("plan")
    assert after.of("running") == []


def test_names_are_completed_and_inspected_while_a_cell_runs(kernel: Kernel) -> None:
    """By requests as any front end sends them; the cell still counts as running."""
    page = Page(kernel, {**CELLS, "d": "select pg_sleep(600)"})
    page.run("c", CELLS["c"])
    sent = kernel.send("select pg_sleep(600)", cellId="d")
    while not page.of("running")[1:]:
        page._note([kernel.client.get_iopub_msg(timeout=60)])
    page.tell(active="c")
    asked = {
        kernel.client.complete("select * from t where t.", 24): "complete_reply",
        kernel.client.inspect("table t", 7): "inspect_reply",
    }
    replies = {}
    for _ in asked:
        reply = kernel.client.get_shell_msg(timeout=60)
        assert reply["msg_type"] == asked[reply["parent_header"]["msg_id"]]
        replies[reply["msg_type"]] = reply["content"]
    assert "a" in replies["complete_reply"]["matches"]
    assert replies["inspect_reply"]["found"]
    told: list[tuple[str, str]] = []
    while len(told) < 4:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["msg_type"] == "status" and "execution_state" in message["content"]:
            parent = message["parent_header"]["msg_id"]
            told.append((asked.get(parent, parent), message["content"]["execution_state"]))
    assert told[1::2] == [(sent, "busy")] * 2
    assert sorted(told[::2]) == [("complete_reply", "idle"), ("inspect_reply", "idle")]
    kernel.manager.interrupt_kernel()
    ended = kernel.receive(sent)
    assert ended.of("error")[0]["ename"] == "57014"
    assert kernel.run("select 1", cellId="e").status == "ok"


def test_what_is_wrong_is_answered_with_a_problem(kernel: Kernel) -> None:
    page = Page(kernel, CELLS)
    assert page.ask("nonsense")["problem"]["status"] == 400
    assert page.ask("page", cell="c")["problem"]["status"] == 409
    assert page.ask("prepare", cell="nowhere")["problem"]["status"] == 404
    assert page.ask("plan", order=["nowhere"])["problem"]["status"] == 400
    page.run("c", CELLS["c"])
    assert page.ask("page", cell="c", offset="1")["problem"]["status"] == 400
    assert page.ask("page", cell="c", limit=1)["answer"]["rows"] == [["1"]]


def test_pages_belong_to_the_run_and_not_to_what_stands_now(kernel: Kernel) -> None:
    page = Page(kernel, CELLS)
    page.run("c", CELLS["c"])
    page.change(b="insert into t values (5)")
    assert page.ask("page", cell="c")["answer"]["rows"] == [["1"]]


def test_two_front_ends_each_tell_their_own_notebook(kernel: Kernel) -> None:
    """The one that sent a cell is the one whose notebook it stands in; one may leave."""
    one = Page(kernel, CELLS)
    two = Page(kernel, {**CELLS, "b": "insert into t values (9)"})
    assert one.run("c", CELLS["c"]) == [" a \n---\n 1\n(1 row)"]
    assert two.run("c", CELLS["c"]) == [" a \n---\n 9\n(1 row)"]
    two._send("comm_close", data={})
    assert one.run("c", CELLS["c"]) == [" a \n---\n 1\n(1 row)"]


def test_cells_that_follow_a_failed_one_do_not_keep_their_places(kernel: Kernel) -> None:
    """They were aborted; sent again, they stand where they stand then."""
    page = Page(kernel, {"a": "create table t (a int)", "b": "nonsense", "c": "select 1"})
    page.tell(send="c", source="select 1")
    assert "syntax error" in page.run("b", "nonsense")[0]
    page.change(b="create table u ()")
    reply = kernel.run("select 1", cellId="c")
    assert reply.status == "ok"


def test_a_cell_runs_rightly_while_it_is_prepared(kernel: Kernel) -> None:
    """What is prepared yields to what runs."""
    page = Page(kernel, {**CELLS, "d": "insert into t values (7)"})
    for cell in ("a", "b", "d"):
        page.run(cell, {**CELLS, "d": "insert into t values (7)"}[cell])
    assert page.ask("prepare", cell="b") == {"id": 1, "answer": {}}
    page.change(b="insert into t values (3)")
    assert page.run("b", "insert into t values (3)") == ["INSERT 0 1"]
    assert page.run("c", CELLS["c"]) == [" a \n---\n 3\n(1 row)"]


def test_a_state_is_kept_on_request(kernel: Kernel) -> None:
    """Where a cell leads that was only passed by; what it froze stays, and what fails is said."""
    cells = {
        "a": "create table keeping (a float)",
        "b": "insert into keeping values (random())",
        "c": "insert into keeping values (2)",
        "d": "table nowhere",
        "e": "create table never ()",
        "f": "insert into nowhere values (1)",
        "g": "select 1",
    }
    page = Page(kernel, cells)
    page.run("c", cells["c"])
    states = {each["id"]: each["state"] for each in page.of("ran")[0]["cells"]}
    reached = {cell: page.ask("keep", cell=cell)["answer"] for cell in "abcd"}
    assert [reached[cell]["state"] for cell in "abc"] == [states[cell] for cell in "abc"]
    assert reached["d"] == reached["c"]
    assert reached["a"]["pinned"] is None
    problem = page.ask("keep", cell="g")["problem"]
    assert problem["status"] == 409
    assert "nowhere" in problem["detail"]
    assert page.ask("keep", cell="none")["problem"]["status"] == 404


def test_pages_are_sorted_and_filtered(kernel: Kernel) -> None:
    """Of what a cell gave; or would give, where the front end knows that to be the same."""
    source = "select g, 'x' || g as t from generate_series(1, 3000) g"
    page = Page(kernel, {**CELLS, "d": source})
    view = {
        "order": [{"column": 0, "descending": True}],
        "filters": [{"column": 1, "operator": "contains", "value": "X29"}],
    }
    assert page.ask("page", cell="d", view=view)["problem"]["status"] == 409
    found = page.ask("page", cell="d", view=view, current=True, limit=2)["answer"]
    assert found["rows"] == [["2999", "x2999"], ["2998", "x2998"]]
    assert found["row_count"] == 111
    page.run("d", source)
    assert page.ask("page", cell="d", view=view, limit=2)["answer"] == found
    for wrong in ({"order": 1}, {"filters": [{}]}, {"order": ["g"]}, [], "x"):
        assert page.ask("page", cell="d", view=wrong)["problem"]["status"] == 400


def test_all_rows_as_a_file(kernel: Kernel) -> None:
    """By as many pages as it takes."""
    parquet = pytest.importorskip("pyarrow.parquet")
    source = "select g from generate_series(1, 25000) g"
    page = Page(kernel, {"d": source})
    page.run("d", source)
    view = {"order": [{"column": 0, "descending": True}]}
    answer = page.ask("download", cell="d", form="parquet", view=view)["answer"]
    table = parquet.read_table(io.BytesIO(base64.b64decode(answer["file"])))
    assert table.column("g").to_pylist() == list(range(25_000, 0, -1))
    assert answer["media_type"] == "application/vnd.apache.parquet"
    assert page.ask("download", cell="d", form="xlsx")["problem"]["status"] == 400


def test_a_sandbox_that_was_stopped_is_not_started_by_a_question(kernel: Kernel) -> None:
    """By whoever runs, or types: a front end asks for plans on its own."""
    page = Page(kernel, CELLS)
    page.run("c", CELLS["c"])

    async def status(*, stops: bool = False) -> str:
        services = client.Client()
        (sandbox,) = await services.environments()
        if stops:
            await services.stop_environment(sandbox.id)
            (sandbox,) = await services.environments()
        services.close()
        return sandbox.status

    assert asyncio.run(status(stops=True)) == "stopped"
    assert page.ask("plan")["problem"]["status"] == 409
    assert asyncio.run(status()) == "stopped"
    assert "(1 row)" in page.run("c", CELLS["c"])[0]
    assert asyncio.run(status()) == "running"
    assert len(page.ask("plan")["answer"]["steps"]) == 3


def test_cells_that_are_skipped_or_are_no_code(kernel: Kernel) -> None:
    """A cell tagged `skip` takes no part, also when the tag comes later; front ends tell of code
    alone.
    """
    cells = {"a": "create table s (a int)", "b": "insert into s values (1)", "c": "table s"}
    page = Page(kernel, cells)
    assert "(1 row)" in page.run("c", cells["c"])[0]
    page.tell(cells={"b": {"source": cells["b"], "tags": ["skip"]}})
    assert "(0 rows)" in page.run("c", cells["c"])[0]
    page.tell(cells={"b": {"source": cells["b"], "tags": []}})
    assert "(1 row)" in page.run("c", cells["c"])[0]


def test_cells_that_are_skipped_are_as_if_they_were_not(
    kernel: Kernel, oracle: following.Oracle
) -> None:
    """What the kernel shows is what psql shows without them, whichever they are."""
    cells = {
        "a": "create table s (a int); insert into s values (1)",
        "b": "insert into s values (2) returning a",
        "c": "set intervalstyle = iso_8601; delete from s where a = 1",
        "d": "begin; insert into s values (4)",
        "e": "select a, interval '1 day' as i from s order by a",
    }
    page = Page(kernel, cells)
    for skipped in ("", "b", "bc", "c", "d", "bcd", ""):
        tagged = {i: {"source": cells[i], "tags": ["skip"] * (i in skipped)} for i in "bcd"}
        page.tell(cells=tagged)
        left = [cells[i] for i in cells if i not in skipped]
        (expected,) = oracle.evaluate(left).cells[-1].results
        lines = page.run("e", cells["e"])[-1].splitlines()
        assert lines[-1].startswith(f"({len(expected.rows)} row")
        shown = [tuple(value.strip() for value in line.split("|")) for line in lines[2:-1]]
        assert shown == list(expected.rows), skipped


def test_a_notebook_that_is_not_known_whole_is_not_run(kernel: Kernel) -> None:
    """A message of the front end was lost: rather no result than that of another notebook."""
    page = Page(kernel, CELLS)
    assert page.run("c", CELLS["c"]) == [" a \n---\n 1\n(1 row)"]
    page.lose()
    page.tell(active="c")
    page.wait("lost")
    (refused,) = page.run("c", CELLS["c"])
    assert "were lost" in refused
    other = Page(kernel, {**CELLS, "b": "insert into t values (2)"})
    assert other.run("c", CELLS["c"]) == [" a \n---\n 2\n(1 row)"]


def test_a_page_of_the_kernel_before_is_told_so(kernel: Kernel) -> None:
    """The kernel was restarted from elsewhere: this page's comm is not there any more."""
    page = Page(kernel, CELLS)
    page.run("c", CELLS["c"])
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)
    page.tell(active="c")
    page.wait("lost")
    assert page.closed
    (refused,) = page.run("c", CELLS["c"])
    assert "were lost" in refused
    assert Page(kernel, CELLS).run("c", CELLS["c"]) == [" a \n---\n 1\n(1 row)"]


def test_what_the_notebooks_file_claims_is_no_order(kernel: Kernel) -> None:
    """JupyterLab sends a cell's metadata along, which whoever made the file wrote."""
    cells = [{"id": "x", "source": "create table t as select 666 as a"}, {"id": "c", "source": ""}]
    hidden = {"cells": cells, "head": 1}
    page = Page(kernel, CELLS)
    page.tell(send="c", source="table t")
    reply = kernel.run("table t", cellId="c", pgcellar=hidden)
    assert reply.texts == [" a \n---\n 1\n(1 row)"]
    reply = kernel.run("table t", cellId="else", pgcellar=hidden, deletedCells=[])
    assert reply.of("error")[0]["ename"] == "42P01"
