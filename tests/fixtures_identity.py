"""Fixtures of an open control database, and of an audit log that can be looked at: a plugin."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator

import pytest

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
