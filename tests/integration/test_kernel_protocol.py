"""A real kernel process, spoken to as front ends do."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import nbclient
import nbformat
import pytest
from jupyter_client.manager import KernelManager
from tests.fixtures_service import CommandLine, notebook_json

from pgcellar.api import charts, rendering
from pgcellar.api.plans import bundles

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
NOTEBOOKS = pathlib.Path(__file__).parents[2] / "notebooks"

#: A kernel that meets what it does not foresee.
FAULTY = """
import logging

from pgcellar_kernel import __main__, kernel


async def fail(self, place):
    logging.getLogger("asyncio").error("secret")
    raise RuntimeError("secret")


kernel.PgcellarKernel._run_place = fail
__main__.main()
"""


@dataclasses.dataclass(kw_only=True)
class Reply:
    """What one cell gave."""

    status: str
    messages: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The contents of the messages of one type."""
        return [m["content"] for m in self.messages if m["msg_type"] == kind]

    @property
    def texts(self) -> list[str]:
        """What stays shown, as plain text: what was cleared is gone."""
        shown: list[str] = []
        for message in self.messages:
            if message["msg_type"] == "clear_output":
                shown.clear()
            elif message["msg_type"] == "display_data":
                shown.append(message["content"]["data"]["text/plain"])
        return shown


class Kernel:
    """A kernel and a client of it."""

    def __init__(self, name: str = "pgcellar") -> None:
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()

    def send(self, code: str, **metadata: Any) -> str:
        """Send an execute request with this metadata."""
        content = {
            "code": code, "silent": False, "store_history": True, "user_expressions": {},
            "allow_stdin": False, "stop_on_error": True,
        }  # fmt: skip
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        identity: str = message["header"]["msg_id"]
        return identity

    def receive(self, identity: str, timeout: float = 60.0) -> Reply:
        """Everything until the kernel is idle again, and the reply."""
        messages = []
        while True:
            message = self.client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") != identity:
                continue
            messages.append(message)
            if message["content"].get("execution_state") == "idle":
                break
        while True:
            reply = self.client.get_shell_msg(timeout=timeout)
            if reply["parent_header"].get("msg_id") == identity:
                return Reply(status=reply["content"]["status"], messages=messages)

    def run(self, code: str, **metadata: Any) -> Reply:
        """Run one cell."""
        return self.receive(self.send(code, **metadata))

    def stop(self) -> None:
        """Shut the kernel down."""
        self.client.stop_channels()
        self.manager.shutdown_kernel()
        self.manager.cleanup_resources()


@pytest.fixture
def kernel(kernel_home: CommandLine) -> Iterator[Kernel]:
    """A kernel of this test's own."""
    made = Kernel()
    made.client.wait_for_ready(timeout=60)
    yield made
    made.stop()


def test_kernel_info_comes_before_any_database(kernel_home: CommandLine) -> None:
    """And promises nothing the kernel can't do."""
    kernel_home("service", "stop")
    begin = time.monotonic()
    made = Kernel()
    try:
        made.client.wait_for_ready(timeout=60)
        made.client.kernel_info()
        info = made.client.get_shell_msg(timeout=10)["content"]
        assert time.monotonic() - begin < 10
        assert info["supported_features"] == []
        assert info["language_info"]["codemirror_mode"] == "text/x-pgsql"
    finally:
        made.stop()


def test_a_notebook_starts_from_another(
    kernel_home: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """Named in a cell with the tag `base`; an error there is told here."""
    monkeypatch.chdir(tmp_path)
    cells = ["create table t as select 7 as a", "select count(*) from t"]
    (tmp_path / "load.ipynb").write_text(json.dumps(notebook_json(cells)))
    made = Kernel()
    try:
        made.client.wait_for_ready(timeout=60)
        assert made.run("load.ipynb", tags=["base"]).status == "ok"
        assert made.run("table t").texts == [" a \n---\n 7\n(1 row)"]
        (tmp_path / "load.ipynb").write_text(json.dumps(notebook_json([cells[0], "nonsense"])))
        (error,) = made.run("table t").of("error")
        assert error["traceback"][0].endswith("It begins: \\base load.ipynb")
        assert error["traceback"][-1] == "CONTEXT:  cell 2 (c2) of load.ipynb"
    finally:
        made.stop()


def test_every_statement_shows_its_result(kernel: Kernel) -> None:
    """Whatever its first word; as display_data, which nobody takes for a grade."""
    reply = kernel.run(
        "create table t (a int);\nwith x as (values (1), (2)) insert into t select * from x"
        " returning a;\nvalues (7);\ntable t;\nshow work_mem;\nexplain select 1;\n"
        "delete from t where a = 1"
    )
    assert reply.status == "ok"
    assert len(reply.texts) == 7
    assert reply.of("execute_result") == []
    assert reply.texts[0] == "CREATE TABLE"
    assert reply.texts[3] == " a \n---\n 1\n 2\n(2 rows)"
    assert reply.texts[6] == "DELETE 1"
    assert rendering.MIME in reply.of("display_data")[-1]["data"]


@pytest.mark.parametrize("code", ["select 1", "", "select", "-- nothing"])
def test_what_runs_is_told_between_busy_and_all_else(kernel: Kernel, code: str) -> None:
    kinds = [message["msg_type"] for message in kernel.run(code).messages]
    assert kinds[:2] == ["status", "execute_input"]
    assert kinds[-1] == "status"
    assert kinds.count("execute_input") == 1


def test_an_error_is_shown_as_psql_does_and_the_next_cell_works(kernel: Kernel) -> None:
    """With its line and a caret."""
    reply = kernel.run("select *\nfrom nope")
    assert reply.status == "error"
    (error,) = reply.of("error")
    assert error["ename"] == "42P01"
    assert error["traceback"] == [
        'ERROR:  42P01: relation "nope" does not exist',
        "LINE 2: from nope",
        "             ^",
    ]
    assert kernel.run("select 1").status == "ok"


def test_what_waits_behind_an_error_is_aborted(kernel: Kernel) -> None:
    """All of it, as in any kernel; what is sent afterwards runs."""
    codes = ["select pg_sleep(0.5)", "select 1 / 0", "select 1", "select 2", "select 3"]
    sent = [kernel.send(code) for code in codes]
    replies = {}
    while not set(sent) <= replies.keys():
        reply = kernel.client.get_shell_msg(timeout=60)
        replies[reply["parent_header"]["msg_id"]] = reply["content"].get("status")
    assert [replies[each] for each in sent] == ["ok", "error", *["aborted"] * 3]
    assert kernel.run("select 4").status == "ok"


def test_plans_and_charts(kernel: Kernel) -> None:
    """As display_data; JupyterLab draws the chart by itself, and would prefer HTML to it."""
    made = "create table t as select i as a, i % 3 as b from generate_series(1, 9) i"
    assert kernel.run(made).status == "ok"
    reply = kernel.run("select a from t where b = 0\n\\explain analyze")
    (plan,) = reply.of("display_data")
    assert list(plan["data"]) == ["text/plain", "text/html", bundles.MIME]
    assert plan["data"][bundles.MIME]["plan"]["root"]["type"] == "Seq Scan"
    assert "Seq Scan on t" in plan["data"]["text/plain"]
    reply = kernel.run("select b, count(*) as n from t group by b;\n\\chart pie")
    table, chart = (content["data"] for content in reply.of("display_data"))
    assert rendering.MIME in table
    assert list(chart) == ["text/plain", charts.MIME]
    assert len(chart[charts.MIME]["data"]["values"]) == 3
    assert reply.of("execute_result") == []
    reply = kernel.run("select a from t \\chart bar x=nosuch")
    (error,) = reply.of("error")
    assert error["traceback"] == [
        'ERROR:  PC008: There is no column "nosuch" in the result.',
        "LINE 1: select a from t \\chart bar x=nosuch",
        "                        ^",
        "HINT:  There are: a (integer).",
    ]
    assert len(reply.of("display_data")) == 1
    assert kernel.run("select count(*) from t").texts == [" count \n-------\n     9\n(1 row)"]


def test_html_escapes_every_value(kernel: Kernel) -> None:
    """A value is no markup."""
    reply = kernel.run("select '<script>alert(1)</script>' as \"<b>\"")
    shown = reply.of("display_data")[0]["data"]["text/html"]
    assert "<script>" not in shown
    assert "<b>" not in shown


def test_interrupt_cancels_at_the_server(kernel: Kernel) -> None:
    """By message; the next cell runs at once."""
    identity = kernel.send("select pg_sleep(60)")
    time.sleep(1.0)
    begin = time.monotonic()
    kernel.manager.interrupt_kernel()
    reply = kernel.receive(identity)
    assert reply.status == "error"
    assert reply.of("error")[0]["ename"] == "57014"
    assert kernel.run("select 1").status == "ok"
    assert time.monotonic() - begin < 10
    kernel.manager.interrupt_kernel()
    assert kernel.run("select 2").status == "ok"


def test_the_notebook_order_in_the_metadata_is_the_tail(kernel: Kernel) -> None:
    """Whatever was run before, in whatever order."""
    cells = [
        {"id": "a", "source": "create table o (a int)"},
        {"id": "b", "source": "insert into o values (1)"},
        {"id": "c", "source": "select count(*) from o"},
    ]
    reply = kernel.run(cells[2]["source"], pgcellar={"cells": cells, "head": 2})
    assert reply.texts == [" count \n-------\n     1\n(1 row)"]
    del cells[1]
    reply = kernel.run(cells[1]["source"], pgcellar={"cells": cells, "head": 1})
    assert reply.texts == [" count \n-------\n     0\n(1 row)"]
    reply = kernel.run("select 1", pgcellar={"cells": "nonsense"})
    assert reply.status == "error"


def test_a_cell_id_that_comes_again_replaces_its_text(kernel: Kernel) -> None:
    """Without the notebook's order, that of execution stands for it."""
    kernel.run("create table r (a int)", cellId="one")
    kernel.run("insert into r values (1)", cellId="two")
    kernel.run("insert into r values (1), (2)", cellId="two")
    assert "\n     2\n" in kernel.run("select count(*) from r", cellId="three").texts[0]
    assert kernel.run("insert into nope values (1)", cellId="two").status == "error"
    assert "\n     0\n" in kernel.run("select count(*) from r", cellId="three").texts[0]


def test_what_vs_code_sends_is_understood(kernel: Kernel) -> None:
    """Requests as microsoft/vscode-jupyter makes them, in src/kernels/execution/cellExecution.ts:

    a cell is known by the address of its document, and what its metadata hold stands beside that.
    """

    def run(cell: int, code: str, **metadata: Any) -> Reply:
        address = f"vscode-notebook-cell:/home/ann/flights.ipynb#W{cell}sZmlsZQ%3D%3D"
        content = {
            "code": code, "silent": False, "store_history": True, "user_expressions": {},
            "allow_stdin": True, "stop_on_error": False,
        }  # fmt: skip
        sent = {"cellId": address, "vscode": {"languageId": "sql"}, **metadata}
        message = kernel.client.session.msg("execute_request", content, metadata=sent)
        kernel.client.shell_channel.send(message)
        return kernel.receive(message["header"]["msg_id"])

    assert run(0, "\\set least 1", tags=["parameters"]).status == "ok"
    assert run(1, "create table v (a int)").status == "ok"
    assert run(2, "insert into v values (1)").status == "ok"
    (shown,) = run(3, "select count(*) from v where a >= :least").of("display_data")
    assert set(shown["data"]) >= {"text/plain", "text/html"}
    assert "\n     1\n" in shown["data"]["text/plain"]
    # Edited and run again, a cell keeps its place; one that failed has no part.
    assert run(2, "insert into v values (1), (2)").status == "ok"
    assert "\n     2\n" in run(3, "select count(*) from v").texts[0]
    failed = run(4, "insert into nope values (1)")
    assert failed.of("error")[0]["ename"] == "42P01"
    assert run(4, "insert into v values (3)").status == "ok"
    assert "\n     3\n" in run(5, "select count(*) from v").texts[0]
    assert run(6, "select 1/0", tags=["skip"]).texts == []


def test_a_failing_cell_above_is_named(kernel: Kernel) -> None:
    """And the cell itself does not run."""
    failing = {"id": "x", "source": "insert into nope values (1)"}
    cells = [failing, {"id": "y", "source": "select 1"}]
    reply = kernel.run("select 1", pgcellar={"cells": cells, "head": 1})
    assert reply.status == "error"
    assert "Cell 1 above failed" in reply.of("error")[0]["traceback"][0]
    assert reply.texts == []


def test_comments_alone_are_fine(kernel: Kernel) -> None:
    """And show nothing."""
    reply = kernel.run("-- nothing here\n/* nor here */")
    assert (reply.status, reply.texts) == ("ok", [])


def test_a_service_killed_in_a_cell_is_survived(kernel: Kernel, kernel_home: CommandLine) -> None:
    """The cell says so; the next finds everything as it was."""
    kernel.run("create table s (a int)")
    identity = kernel.send("select pg_sleep(60)")
    time.sleep(1.0)
    os.kill(kernel_home.json("service", "status")["pid"], signal.SIGKILL)
    reply = kernel.receive(identity)
    assert reply.status == "error"
    assert "service ended" in reply.of("error")[0]["evalue"]
    assert kernel.run("select count(*) from s").status == "ok"


def test_what_is_logged_is_not_shown(
    kernel_home: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ipykernel shows what comes on stderr, where a log goes by default."""
    script = kernel_home.home / "faulty.py"
    script.write_text(FAULTY)
    spec = {
        "argv": [sys.executable, str(script), "-f", "{connection_file}"],
        "display_name": "faulty",
        "language": "sql",
        "interrupt_mode": "message",
    }
    folder = kernel_home.home / "share" / "kernels" / "faulty"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(folder.parents[1]))
    made = Kernel("faulty")
    try:
        made.client.wait_for_ready(timeout=60)
        reply = made.run("select 1")
        assert reply.of("error")[0]["ename"] == "PC000"
        # Whatever else was sent, to whichever cell, by the time that the next is done.
        made.client.execute("select 2")
        sent = [made.client.get_shell_msg(timeout=60)]
        while made.client.iopub_channel.msg_ready():
            sent.append(made.client.get_iopub_msg(timeout=60))
        assert "secret" not in json.dumps([*reply.messages, *sent], default=str)
    finally:
        made.stop()


def test_nbclient_runs_the_quickstart_and_faster_the_second_time(kernel_home: CommandLine) -> None:
    """As `jupyter execute` does."""
    seconds = []
    for _ in range(2):
        notebook = nbformat.read(NOTEBOOKS / "quickstart.ipynb", as_version=4)
        runner = nbclient.NotebookClient(
            notebook, kernel_name="pgcellar", resources={"metadata": {"path": str(NOTEBOOKS)}}
        )
        begin = time.monotonic()
        runner.execute()
        seconds.append(time.monotonic() - begin)
        shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        assert {output.output_type for output in shown} == {"display_data"}
        assert len(shown) > 20
    print(f"first {seconds[0]:.1f} s, second {seconds[1]:.1f} s")
    assert seconds[1] < seconds[0]
