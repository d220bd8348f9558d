"""Fixtures of a real Jupyter Server process with the gateway in it: a pytest plugin."""

from __future__ import annotations

import contextlib
import html
import json
import pathlib
import re
import secrets
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from tests.fixtures_service import CommandLine, command_line

START_SECONDS = 60.0


@contextlib.contextmanager
def jupyter_server(
    cli: CommandLine, *options: str, certificate: pathlib.Path | None = None
) -> Iterator[httpx.Client]:
    """A client, with its token, of a Jupyter Server that serves the gateway alone.

    With a `certificate` the client speaks TLS, and trusts that one.
    """
    token = secrets.token_hex(16)
    port = _free_port()
    folder = cli.home / f"jupyter-{port}"
    folder.mkdir()
    config = {"ServerApp": {"jpserver_extensions": {"pgcellar_server": True}}}
    (folder / "jupyter_server_config.json").write_text(json.dumps(config))
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyter_server",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            "--ServerApp.allow_root=True",
            "--ServerApp.open_browser=False",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.root_dir={folder}",
            *options,
        ],
        env={
            **cli.environment,
            "JUPYTER_CONFIG_DIR": str(folder),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTER_TOKEN": token,
        },
        stdout=log,
        stderr=log,
    )
    scheme = "http" if certificate is None else "https"
    try:
        with httpx.Client(
            base_url=f"{scheme}://127.0.0.1:{port}/pgcellar/api/v1",
            headers={"Authorization": f"token {token}"},
            verify=True if certificate is None else ssl.create_default_context(cafile=certificate),
            timeout=60,
        ) as made:
            _wait(made, process, folder / "log")
            yield made
    finally:
        process.terminate()
        process.wait(START_SECONDS)
        log.close()


@pytest.fixture(scope="module")
def gateway_cli(cellar_home_module: pathlib.Path) -> Iterator[CommandLine]:
    """The command line on the home that `gateway` is on."""
    with command_line(cellar_home_module) as cli:
        yield cli


@pytest.fixture(scope="module")
def gateway(gateway_cli: CommandLine) -> Iterator[httpx.Client]:
    """The gateway on a home for all tests of a module."""
    with jupyter_server(gateway_cli) as made:
        yield made


def operations(page: str) -> list[tuple[str, str, str]]:
    """Method, path and summary of every route that the page for people has."""
    row = r"<tr><td><code>(.*?)</code></td><td><code>(.*?)</code></td><td>(.*?)</td>"
    return [tuple(map(html.unescape, cells)) for cells in re.findall(row, page)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        with contextlib.suppress(httpx.TransportError):
            if client.get("/openapi.json").status_code == 200:
                return
        time.sleep(0.1)
