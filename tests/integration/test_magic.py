"""`%%pgcellar` in a real IPython kernel: the semantics of a SQL notebook, results as frames."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jupyter_client
import jupyter_client.manager
import pytest
from tests.fixtures_service import CommandLine

TIMEOUT = 120.0
LOAD = "%%pgcellar\ncreate table t as select g as n, 'x' || g as s from generate_series(1, 5) g"


class Notebook:
    """A Python notebook's kernel; cells have ids, as JupyterLab gives them."""

    def __init__(self, client: Any, manager: Any) -> None:
        self.client = client
        self.manager = manager

    def run(self, source: str, identity: str | None = None, *, interrupt: bool = False) -> Ran:
        """Run a cell; with `interrupt`, interrupt it after a second."""
        content = {"code": source, "silent": False, "store_history": True, "stop_on_error": True}
        metadata = {"cellId": identity} if identity else {}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        began, ran = time.monotonic(), Ran()
        while True:
            if interrupt and time.monotonic() - began > 1.0:
                self.manager.interrupt_kernel()
                interrupt = False
            assert time.monotonic() - began < TIMEOUT, source
            try:
                found = self.client.get_iopub_msg(timeout=0.2)
            except Exception:
                continue
            if found["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            kind, body = found["msg_type"], found["content"]
            if kind == "status" and body["execution_state"] == "idle":
                ran.seconds = time.monotonic() - began
                return ran
            if kind in ("execute_result", "display_data"):
                ran.shown.append(body["data"])
            elif kind == "stream":
                ran.text += body["text"]
            elif kind == "error":
                ran.error = "\n".join(body["traceback"])

    def run_below(self, cells: Mapping[str, str], above: Sequence[str], head: str) -> Ran:
        """Run a cell as our front end does, below others of which it tells."""
        told = [{"id": each, "source": cells[each]} for each in (*above, head)]
        document = json.dumps({"cells": told, "head": len(above)})
        found = "get_ipython().find_cell_magic('pgcellar')"
        assert self.run(f"{found}.__self__.tell({document!r})").error == ""
        return self.run(cells[head], head)


class Ran:
    """What a cell gave."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.text = ""
        self.error = ""
        self.seconds = 0.0

    @property
    def rows(self) -> list[list[str | None]]:
        """The rows of the last result that is shown."""
        rows: list[list[str | None]] = self.shown[-1]["application/vnd.pgcellar.result+json"][
            "rows"
        ]
        return rows


@pytest.fixture(scope="module")
def notebook(
    gateway_cli: CommandLine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Notebook]:
    """A kernel in a folder of its own, with the magic loaded."""
    folder = tmp_path_factory.mktemp("python")
    environment = {**os.environ, **gateway_cli.environment, "IPYTHONDIR": str(folder / "ipython")}
    manager = jupyter_client.manager.KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder), env=environment)
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    made = Notebook(client, manager)
    assert made.run("%load_ext pgcellar").error == ""
    (folder / "rows.csv").write_text("1\n2\n")
    yield made
    client.stop_channels()
    manager.shutdown_kernel()


def test_cells_run_below_those_above(notebook: Notebook) -> None:
    """Run again with another text, a cell takes its place, and those below see it."""
    notebook.run(LOAD, "a")
    assert notebook.run("%%pgcellar\nselect count(*) from t", "c").rows == [["5"]]
    notebook.run("%%pgcellar\ndelete from t where n > 3", "b")
    for _ in range(3):
        notebook.run("%%pgcellar\ninsert into t values (9, 'nine')", "d")
        assert notebook.run("%%pgcellar\nselect count(*) from t", "e").rows == [["4"]]
    notebook.run("%%pgcellar\ndelete from t where n > 4", "b")
    assert notebook.run("%%pgcellar\nselect count(*) from t", "e").rows == [["5"]]
    assert notebook.run("%%pgcellar\nselect count(*) from t", "c").rows == [["5"]]


def test_a_front_end_tells_what_stands_above(notebook: Notebook) -> None:
    """Whatever ran before, and with the parameters of cells that never ran."""
    cells = {
        "m1": "%%pgcellar\ncreate table told as select 1 as a",
        "m2": "%%pgcellar -p more\ninsert into told select :more",
        "m3": "%%pgcellar\nupdate told set a = a + 100",
        "m4": "%%pgcellar\nselect sum(a) from told",
    }
    notebook.run("more = 10")
    assert notebook.run_below(cells, ["m1", "m2"], "m4").rows == [["11"]]
    assert notebook.run_below(cells, ["m1", "m2", "m3"], "m4").rows == [["211"]]
    assert notebook.run_below(cells, ["m1", "m3", "m2"], "m4").rows == [["111"]]
    cells["m3"] = "%%pgcellar\nupdate told set a = nosuch"
    failed = notebook.run_below(cells, ["m1", "m3"], "m4").error
    assert "A cell above failed" in failed
    assert "LINE 1: update told set a = nosuch" in failed
    assert notebook.run_below(cells, ["m1"], "m4").rows == [["1"]]


def test_errors_look_as_in_psql(notebook: Notebook) -> None:
    """And no Python traceback; the cell leaves no trace."""
    failed = notebook.run("%%pgcellar\ncreate table z (a int);\nselect nosuch from z", "f")
    assert "42703" in failed.error
    assert "LINE 2: select nosuch from z" in failed.error
    assert "Traceback" not in failed.error
    assert "magic.py" not in failed.error
    assert notebook.run("%%pgcellar\nselect to_regclass('z') is null", "g").rows == [["t"]]
    unbound = notebook.run("%%pgcellar -p nosuch\nselect :nosuch", "h")
    assert "NameError" in unbound.error
    odd = notebook.run("%%pgcellar -p x=[1]\nselect :x", "h")
    assert "`x` is list" in odd.error


def test_python_variables_are_bound(notebook: Notebook) -> None:
    """As psql's variables, quoted by whoever uses them."""
    notebook.run('name = "o\'neill"; n = 7\nimport datetime; day = datetime.date(2020, 2, 29)')
    shown = notebook.run(
        "%%pgcellar -p name -p n -p day -p m=n*2\nselect :'name', :n + :m, :'day'::date + 1", "p"
    )
    assert shown.rows == [["o'neill", "21", "2020-03-01"]]
    numpy = notebook.run("import numpy, decimal; i = numpy.int64(7); d = decimal.Decimal('1.50')")
    assert numpy.error == ""
    assert notebook.run("%%pgcellar -p i -p d\nselect :i, :d", "q").rows == [["7", "1.50"]]
    evil = notebook.run('name = "\'; drop table t; --"')
    assert evil.error == ""
    assert notebook.run("%%pgcellar -p name\nselect :'name'", "p").rows == [["'; drop table t; --"]]


def test_results_are_values(notebook: Notebook) -> None:
    """Of the last statement; what is before it is shown, too."""
    ran = notebook.run(
        "%%pgcellar -o out\nselect 1 as a;\nselect generate_series(1, 300) as n", "v"
    )
    assert len(ran.shown) == 1
    checks = """
import pyarrow
table = out.to_arrow()
assert (table.num_rows, str(table.schema.field("n").type)) == (300, "int32"), table.schema
assert (len(out), out.columns, out.rows[2]) == (300, ("n",), ("3",))
"""
    assert notebook.run(checks).error == ""
    frames = """
frame, polar = out.to_pandas(), out.to_polars()
assert (frame.shape, str(frame.dtypes["n"])) == ((300, 1), "int32[pyarrow]")
assert (polar.shape, str(polar.dtypes[0])) == ((300, 1), "Int32")
assert frame["n"].sum() == polar["n"].sum() == 45150
"""
    assert notebook.run(frames).error == ""
    shown = notebook.run("out").shown[-1]
    assert "300 rows" in shown["text/plain"]
    assert shown["text/html"].count("<tr>") < 120
    cut = notebook.run("%%pgcellar --max-rows 2 -o out\nselect generate_series(1, 5)", "v")
    assert cut.error == ""
    assert "Of 5 rows only 2 came." in notebook.run("out.to_arrow()").error


def test_files_are_the_notebooks(notebook: Notebook) -> None:
    notebook.run("%%pgcellar\ncreate table f (a int);\n\\copy f from 'rows.csv'", "i")
    assert notebook.run("%%pgcellar\nselect sum(a) from f", "j").rows == [["3"]]


def test_an_interrupt_cancels_at_the_server(notebook: Notebook) -> None:
    ran = notebook.run("%%pgcellar\nselect pg_sleep(600)", "k", interrupt=True)
    assert "57014" in ran.error
    assert ran.seconds < 15
    assert notebook.run("%%pgcellar\nselect 1", "l").rows == [["1"]]


def test_plans_and_charts(notebook: Notebook) -> None:
    """A chart is of all rows, where of a table the first are shown."""
    query = "select g as x, g % 7 as y from generate_series(1, 300) g"
    chart = notebook.run(f"%%pgcellar\n{query} \\chart line").shown[-1]
    assert len(chart["application/vnd.vegalite.v5+json"]["data"]["values"]) == 300
    plan = notebook.run(f"%%pgcellar\n{query} \\explain").shown[-1]
    assert plan["application/vnd.pgcellar.plan+json"]["query"] == query
