"""Fixtures of an open control database, an audit log that can be looked at, and an OpenID provider.

A pytest plugin.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import tornado.testing

from pgcellar.api import auditing, paths
from pgcellar.control import database


class Acts:
    """An audit log in memory."""

    def __init__(self) -> None:
        self.acts: list[auditing.Act] = []

    async def write(self, act: auditing.Act) -> None:
        """Keep an act."""
        self.acts.append(act)

    def named(self, action: str) -> list[auditing.Act]:
        """The acts of one kind."""
        return [act for act in self.acts if act.action == action]


@pytest.fixture
async def control(
    control_dsn: str, tmp_path: pathlib.Path
) -> AsyncIterator[database.ControlDatabase]:
    """An open control database of this test's own."""
    where = paths.Paths(home=tmp_path / "home", runtime=tmp_path / "run")
    async with database.ControlDatabase(where, dsn=control_dsn) as db:
        yield db


@pytest.fixture
def acts() -> Acts:
    """An audit log."""
    return Acts()


@pytest.fixture(scope="module")
def issuer() -> Any:
    """A real OpenID provider's process; its issuer."""
    socket, port = tornado.testing.bind_unused_port()
    socket.close()
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=60)) as client:
                found = client.get(f"http://localhost:{port}/.well-known/openid-configuration")
            yield found.json()["issuer"]
        finally:
            process.terminate()
