"""Fixtures of a control database on a real PostgreSQL, one for all tests of a module: a plugin."""

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
async def control(cellar_home_module: pathlib.Path) -> AsyncIterator[database.ControlDatabase]:
    """An open control database; what other tests of the module left is in it."""
    where = paths.Paths(home=cellar_home_module / "home", runtime=cellar_home_module / "run")
    async with database.ControlDatabase(where) as db:
        yield db


@pytest.fixture
def acts() -> Acts:
    """An audit log."""
    return Acts()
