"""Fixtures of the oracle: a pytest plugin."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Iterator

import pytest
from tests import following

from pgcellar.postgres import account, binaries

#: It counts the heads that were held against it.
_ORACLE = pytest.StashKey[following.Oracle]()


@pytest.fixture(scope="session")
def bindir() -> Iterator[pathlib.Path]:
    """The folder of the product's PostgreSQL programs, where the servers' account can run them."""
    with tempfile.TemporaryDirectory(prefix="oracle-bin-") as home:
        # A copy made for another account must be passable for it.
        pathlib.Path(home).chmod(0o711)
        found = account.readable(binaries.find(), account.current(), pathlib.Path(home))
        yield found.bindir


@pytest.fixture(scope="session")
def oracle(request: pytest.FixtureRequest, bindir: pathlib.Path) -> Iterator[following.Oracle]:
    """One oracle for all tests."""
    with following.Oracle(bindir) as made:
        request.config.stash[_ORACLE] = made
        yield made


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how much was compared."""
    made = config.stash.get(_ORACLE, None)
    if made is not None and made.compared:
        terminalreporter.write_line(f"{made.compared} heads were compared with the oracle.")
