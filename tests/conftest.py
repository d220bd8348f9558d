"""Fixtures for all tests."""

from __future__ import annotations

import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture
def cellar_home() -> Iterator[pathlib.Path]:
    """A folder for servers: short, as socket paths are, and passable for their account.

    pytest's own `tmp_path` is neither when the tests run as root.
    """
    path = pathlib.Path(tempfile.mkdtemp(prefix="cellar-", dir="/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)
