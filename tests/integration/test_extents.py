"""Whether a file system shares extents is probed, and `cp` agrees."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import tempfile

import pytest
from tests import memory
from tests.bench import places

from pgcellar.snapshots import driver

#: The least that mkfs.xfs makes a volume of; sparse.
XFS_BYTES = 320 << 20


def clones(folder: pathlib.Path) -> bool:
    """Whether cp can make a copy in a folder that shares all extents with its original."""
    original, copy = folder / "original", folder / "copy"
    original.write_bytes(b"x" * 65536)
    try:
        said = subprocess.run(
            ["cp", "--reflink=always", original, copy], capture_output=True, text=True, check=False
        )
        if "unrecognized option" in said.stderr or "illegal option" in said.stderr:
            pytest.skip(f"cp knows no reflinks here: {said.stderr}")
        return said.returncode == 0
    finally:
        original.unlink()
        copy.unlink(missing_ok=True)


def test_where_tests_keep_their_files(tmp_path: pathlib.Path) -> None:
    """Whatever file system that is."""
    assert driver.shares_extents(tmp_path) == clones(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_memory_shares_none() -> None:
    """A tmpfs has no extents."""
    found = memory.folder(1 << 20)
    if found is None or places.file_system(found) != "tmpfs":
        pytest.skip("there is no tmpfs to write to")
    with tempfile.TemporaryDirectory(dir=found) as folder:
        assert not driver.shares_extents(pathlib.Path(folder))
        assert not clones(pathlib.Path(folder))


def test_xfs_shares_them(tmp_path: pathlib.Path) -> None:
    """As does the one that operators are told to take."""
    if shutil.which("mount") is None:
        pytest.skip("there is no mount")
    try:
        with places.xfs(tmp_path, XFS_BYTES) as volume:
            assert driver.shares_extents(volume)
            assert clones(volume)
    except places.NoVolume as exc:
        pytest.skip(str(exc))


def test_a_folder_that_is_none_shares_none(tmp_path: pathlib.Path) -> None:
    """The probe tells, and raises nothing."""
    assert not driver.shares_extents(tmp_path / "nowhere")
