"""One notebook through the kernel, REST with curl as documented, and Python: the same."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
from typing import Any

import httpx
import nbclient
import nbformat
import pytest
from tests.fixtures_service import CommandLine, notebook_json

from pgcellar.api import errors, rendering, scripting

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "rest.md").read_text()
CELLS = ["create table t as select generate_series(1, 5) as a", "select sum(a) from t"]


def commands() -> list[str]:
    """The commands of the page, as they stand there."""
    found = re.findall(
        r"^    (curl .*(?:\\\n.*|\n      .*|\n            .*)*)$", PAGE, re.MULTILINE
    )
    return list(found)


@pytest.fixture(scope="module")
def address(gateway: httpx.Client) -> tuple[str, str]:
    """The URL and the token of the module's gateway."""
    url = str(gateway.base_url).split("/pgcellar")[0]
    return url, gateway.headers["Authorization"].removeprefix("token ")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl_as_documented(address: tuple[str, str], tmp_path: pathlib.Path) -> None:
    """The documented commands, run by a shell, and the client give the same states and results."""
    url, token = address
    environment = {**os.environ, "SERVER": url, "PGCELLAR_TOKEN": token}

    (tmp_path / "notebook.ipynb").write_text(json.dumps(notebook_json(CELLS)))

    def shell(command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    post, events, result, table, file = commands()
    environment["RUN"] = json.loads(shell(post))["id"]
    followed = [json.loads(line) for line in shell(events).splitlines()]
    assert followed[-1]["event"] == "done"
    got: dict[str, Any] = json.loads(shell(result))
    assert got["cells"][-1]["results"][0]["rows"] == [["15"]]
    assert shell(table) == "sum\n15\n"
    environment["RUN"] = json.loads(shell(file))["id"]
    shell(events)
    whole = json.loads(shell(result))["cells"]
    assert [cell["state"] for cell in whole] == [cell["state"] for cell in got["cells"]]
    assert whole[-1]["results"][0]["rows"] == [["15"]]
    with scripting.Connection(url, token) as cellar:
        run = cellar.run(CELLS, notebook="python")
    assert [report.state for report, _ in run.reports()] == [c["state"] for c in got["cells"]]
    assert run.cells[-1].results[0].rows == (("15",),)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_kernel_gives_the_same(
    address: tuple[str, str], gateway_cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same notebook in a kernel, as front ends run it: the same states, the same result."""
    url, token = address
    with scripting.Connection(url, token) as cellar:
        run = cellar.run(CELLS, notebook="elsewhere")
    prefix = gateway_cli.home / "prefix"
    gateway_cli("kernelspec", "install", "--prefix", str(prefix))
    monkeypatch.setenv("JUPYTER_PATH", str(prefix / "share" / "jupyter"))
    for name in ("PGCELLAR_HOME", "PGCELLAR_RUNTIME"):
        monkeypatch.setenv(name, gateway_cli.environment[name])
    monkeypatch.chdir(gateway_cli.home)
    notebook = nbformat.from_dict(notebook_json(CELLS))
    since = datetime.datetime.now(datetime.UTC)
    nbclient.NotebookClient(notebook, kernel_name="pgcellar").execute()
    result = run.cells[-1].results[0]
    (shown,) = notebook.cells[-1].outputs
    assert shown["data"]["text/plain"] == " sum \n-----\n  15\n(1 row)"
    assert shown["data"][rendering.MIME]["rows"] == [list(row) for row in result.rows]

    def states() -> list[str]:
        asked = ("audit", "show", "--action", "run.end", "--from", since.isoformat())
        found = gateway_cli.json(*asked)["records"]
        return [state for each in reversed(found) for state in each["details"]["states"].values()]

    deadline = time.monotonic() + 30
    while len(found := states()) < len(CELLS):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert found == [report.state for report, _ in run.reports()]


def test_the_command_line_on_a_server(address: tuple[str, str], gateway_cli: CommandLine) -> None:
    """Uploads what the notebook reads, and prints what a run here prints."""
    url, token = address
    (gateway_cli.home / "some.csv").write_text("1\n2\n")
    cells = ["create table f (a int)", "\\copy f from 'some.csv'", "select sum(a) from f"]
    path = gateway_cli.notebook(cells)
    here = gateway_cli.json("run", str(path))
    arguments = ("run", str(path), "--server", url, "--json")
    done = gateway_cli(*arguments, PGCELLAR_TOKEN=token)
    assert "uploaded some.csv, 4 bytes" in done.stderr
    there = json.loads(done.stdout)
    for kept in ("id", "state", "effect", "results"):
        assert [c[kept] for c in there["cells"]] == [c[kept] for c in here["cells"]], kept
    again = gateway_cli(*arguments, PGCELLAR_TOKEN=token)
    assert "uploaded" not in again.stderr
    for extra, said in (
        ({}, "PGCELLAR_TOKEN"),
        ({"PGCELLAR_TOKEN": "wrong"}, "credentials"),
    ):
        refused = gateway_cli(*arguments, **extra)
        assert refused.returncode == 2
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr


def test_no_server(gateway_cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is said, soon."""
    monkeypatch.setattr("pgcellar.api.remote._PAUSE", 0.0)
    with (
        scripting.Connection("http://127.0.0.1:9/", "x") as cellar,
        pytest.raises(errors.ServiceUnavailable, match="No pgcellar server answers"),
    ):
        cellar.run(["select 1"])
    with pytest.raises(errors.BadRequest, match="URL"):
        scripting.Connection("nonsense", "x")
