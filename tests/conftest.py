"""Fixtures for all tests."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import tempfile
from collections.abc import Iterator

import hypothesis
import pytest
from tests import memory

pytest_plugins = [
    "tests.fixtures_control",
    "tests.fixtures_oracle",
    "tests.fixtures_service",
    "tests.fixtures_gateway",
    "tests.fixtures_central",
    "tests.fixtures_identity",
    "tests.fixtures_hub",
    "tests.fixtures_browser",
]

#: Bytes of memory that must be free for homes to lie there.
_PLENTY = 8 << 30

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("pgcellar", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("pgcellar")

# A shell's background job ignores it, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def cellar_home() -> Iterator[pathlib.Path]:
    """A folder for servers: short, as socket paths are, and passable for their account.

    pytest's own `tmp_path` is neither when the tests run as root. TMPDIR says where; without it, it
    lies in memory if there is plenty.
    """
    with _home() as path:
        yield path


@pytest.fixture(scope="module")
def cellar_home_module() -> Iterator[pathlib.Path]:
    """The same for all tests of a module."""
    with _home() as path:
        yield path


@pytest.fixture(scope="session", autouse=True)
def shared_templates() -> Iterator[None]:
    """One set of data folders' templates for all homes: initdb takes a second or two."""
    with _home() as path, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGCELLAR_TEMPLATES", str(path))
        yield


@contextlib.contextmanager
def _home() -> Iterator[pathlib.Path]:
    where = None if "TMPDIR" in os.environ else memory.folder(_PLENTY)
    path = pathlib.Path(tempfile.mkdtemp(prefix="cellar-", dir=where))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
