"""Fixtures of a real central gateway before a service that knows people: a pytest plugin."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import signal
import ssl
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.fixtures_service import CommandLine, command_line

ADMINISTRATOR = "boss@example.org"
PASSWORD = "correct horse battery staple"
#: Whose pages may call the gateway of a module.
ORIGIN = "https://pages.example.org"
CONFIG = f"""\
c = get_config()
c.Identity.enabled = True
c.Identity.anonymous = True
c.Identity.registration = True
c.Identity.administrators = ["password:{ADMINISTRATOR}"]
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Central:
    """A central gateway, and the command line of who operates it."""

    cli: CommandLine
    url: str
    log: pathlib.Path
    process: _Process
    tls: ssl.SSLContext | bool = True

    @property
    def pid(self) -> int:
        """The gateway's process id."""
        return self.process.pid

    def kill(self) -> None:
        """Kill the gateway, and start another at the same place."""
        self.process.stop(signal.SIGKILL)
        port = urllib.parse.urlsplit(self.url).port
        assert port is not None
        self.process.start(port)

    def client(self, token: str | None = None, **headers: str) -> httpx.Client:
        """A client, with a token or a stranger's."""
        shown = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(
            base_url=self.url, headers={**shown, **headers}, timeout=60, verify=self.tls
        )

    def anonymous(self) -> httpx.Client:
        """The client of somebody new, without a name."""
        with self.client() as stranger:
            answer = stranger.post("/identity/anonymous")
        assert answer.status_code == 200, answer.text
        return self.client(answer.json()["access_token"])

    def registered(self, email: str) -> httpx.Client:
        """The client of somebody who signs up; or of the administrator, whom the operator adds."""
        way = "register"
        if email == ADMINISTRATOR:
            self.cli("admin", "users", "add", email, said=PASSWORD)
            way = "password"
        with self.client() as stranger:
            answer = stranger.post(f"/identity/{way}", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return self.client(answer.json()["access_token"])


@contextlib.contextmanager
def central_gateway(
    cli: CommandLine, *options: str, config: str = "", certificate: pathlib.Path | None = None
) -> Iterator[Central]:
    """A gateway, whose service has `config` besides that of tests."""
    home = pathlib.Path(cli.environment["PGCELLAR_HOME"])
    home.mkdir(exist_ok=True)
    home.chmod(0o711)
    (home / "pgcellar_config.py").write_text(CONFIG + config)
    log = cli.home / "gateway.log"
    process = _Process(cli, options, log)
    tls: Any = True if certificate is None else ssl.create_default_context(cafile=certificate)
    try:
        url = process.start(0)
        yield Central(cli=cli, url=url, log=log, tls=tls, process=process)
    finally:
        process.stop(signal.SIGTERM)


class _Process:
    """The gateway's process."""

    def __init__(self, cli: CommandLine, options: tuple[str, ...], log: pathlib.Path) -> None:
        self._cli = cli
        self._options = options
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """The id of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def start(self, port: int) -> str:
        """Start it; where it serves."""
        with self._log.open("a") as file:
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "pgcellar_server", f"--port={port}", *self._options],
                env=self._cli.environment,
                cwd=self._cli.home,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        assert said.startswith("serving at "), self._log.read_text()
        return said.removeprefix("serving at ")

    def stop(self, number: signal.Signals) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            if self._process.stdout is not None:
                self._process.stdout.close()


@pytest.fixture(scope="module")
def central(cellar_home_module: pathlib.Path) -> Iterator[Central]:
    """A central gateway for all tests of a module."""
    option = f"--Gateway.allow_origins=['{ORIGIN}']"
    with command_line(cellar_home_module) as cli, central_gateway(cli, option) as made:
        yield made
