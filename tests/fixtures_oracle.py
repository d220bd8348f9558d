"""Fixtures of the oracle: a pytest plugin."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Iterator

import pytest
from tests import oracle as oracles

from pgcellar.postgres import account, binaries


@pytest.fixture(scope="session")
def bindir() -> Iterator[pathlib.Path]:
    """The folder of the product's PostgreSQL programs, where the servers' account can run them."""
    with tempfile.TemporaryDirectory(prefix="oracle-bin-") as home:
        # A copy made for another account must be passable for it.
        pathlib.Path(home).chmod(0o711)
        found = account.readable(binaries.find(), account.current(), pathlib.Path(home))
        yield found.bindir


@pytest.fixture(scope="session")
def oracle(bindir: pathlib.Path) -> Iterator[oracles.Oracle]:
    """One oracle for all tests."""
    with oracles.Oracle(bindir) as made:
        yield made
