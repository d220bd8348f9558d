"""Fixtures of a real central gateway before a service that knows people: a pytest plugin."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.fixtures_service import CommandLine, command_line

ADMINISTRATOR = "boss@example.org"
PASSWORD = "correct horse battery staple"
_CONFIG = f"""\
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
    tls: ssl.SSLContext | bool = True

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
        """The client of somebody who signs up."""
        with self.client() as stranger:
            answer = stranger.post(
                "/identity/register", json={"email": email, "password": PASSWORD}
            )
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
    (home / "pgcellar_config.py").write_text(_CONFIG + config)
    log = cli.home / "gateway.log"
    with log.open("a") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pgcellar_server", "--port=0", *options],
            env=cli.environment,
            cwd=cli.home,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    try:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        assert said.startswith("serving at "), log.read_text()
        tls: Any = True if certificate is None else ssl.create_default_context(cafile=certificate)
        yield Central(cli=cli, url=said.removeprefix("serving at "), log=log, tls=tls)
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="module")
def central(cellar_home_module: pathlib.Path) -> Iterator[Central]:
    """A central gateway for all tests of a module."""
    with command_line(cellar_home_module) as cli, central_gateway(cli) as made:
        yield made
