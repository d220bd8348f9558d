"""pgcellar.runner.files: digests of content, and no way out of the notebook's folder."""

from __future__ import annotations

import hashlib
import os
import pathlib

import pytest

from pgcellar.api import errors
from pgcellar.notebook import clocks
from pgcellar.runner import files

COPY = "\\copy t from 'data.csv' with (format csv)"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "notebooks"
    made.mkdir()
    (made / "data.csv").write_bytes(b"1\n")
    (tmp_path / "secret").write_bytes(b"secret")
    return made


def refused(folder: pathlib.Path | None, name: str) -> errors.FileRefused:
    with (
        pytest.raises(errors.FileRefused) as caught,
        files.Files().open(str(folder) if folder else None, name),
    ):
        pass
    return caught.value


def test_digest(folder: pathlib.Path) -> None:
    found = files.Files()
    assert found.digest(str(folder), COPY) == sha(b"1\n")
    assert found.digest(str(folder), COPY) == sha(b"1\n")


def test_a_file_that_names_the_clock_is_marked(folder: pathlib.Path) -> None:
    (folder / "data.csv").write_bytes(b"1,now")
    assert files.Files().digest(str(folder), COPY) == sha(b"1,now") + clocks.MARK


def test_large_files(folder: pathlib.Path) -> None:
    data = os.urandom(1 << 19).hex().encode() * 3 + b"x"
    (folder / "data.csv").write_bytes(data)
    assert files.Files().digest(str(folder), COPY) == sha(data)


def test_digest_follows_the_content(folder: pathlib.Path) -> None:
    found = files.Files()
    path = folder / "data.csv"
    found.digest(str(folder), COPY)
    path.write_bytes(b"22\n")
    assert found.digest(str(folder), COPY) == sha(b"22\n")
    # Of the same size: another time, or another file.
    path.write_bytes(b"33\n")
    os.utime(path, ns=(1, 1))
    assert found.digest(str(folder), COPY) == sha(b"33\n")
    other = folder / "other"
    other.write_bytes(b"44\n")
    os.utime(other, ns=(1, 1))
    other.replace(path)
    assert found.digest(str(folder), COPY) == sha(b"44\n")


def test_an_unchanged_file_is_read_once(folder: pathlib.Path) -> None:
    found = files.Files()
    path = folder / "data.csv"
    found.digest(str(folder), COPY)
    os.utime(path, ns=(os.stat(path).st_atime_ns + 1, os.stat(path).st_mtime_ns))
    assert found.digest(str(folder), COPY) == sha(b"1\n")


def test_what_is_refused_anyway_has_no_digest(folder: pathlib.Path) -> None:
    for command in ("\\d", "\\copy t to 'x'", "\\copy t from program 'x'", "\\copy t from stdin"):
        assert files.Files().digest(str(folder), command) == ""


def test_open(folder: pathlib.Path) -> None:
    found = files.Files()
    names = ("data.csv", "./data.csv", "../notebooks/data.csv", str(folder / "data.csv"))
    for name in names:
        with found.open(str(folder), name) as (path, file):
            assert path == (folder / "data.csv").resolve()
            assert file.read() == b"1\n"
        assert file.closed


def test_links_within_the_folder(folder: pathlib.Path) -> None:
    (folder / "link").symlink_to("data.csv")
    (folder / "sub").mkdir()
    (folder / "sub" / "up").symlink_to("../data.csv")
    for name in ("link", "sub/up"):
        with files.Files().open(str(folder), name) as (_, file):
            assert file.read() == b"1\n"


def test_a_folder_that_is_a_link(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "alias").symlink_to(folder)
    with files.Files().open(str(tmp_path / "alias"), "data.csv") as (_, file):
        assert file.read() == b"1\n"


def test_the_way_out_is_closed(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "door").symlink_to(tmp_path)
    (tmp_path / "notebooks2").mkdir()
    (tmp_path / "notebooks2" / "data.csv").write_bytes(b"secret")
    for name in (
        *("../secret", "link", "door/secret", "/etc/passwd", "sub/../../secret", ".."),
        *(str(tmp_path / "secret"), "../notebooks2/data.csv", "/dev/zero", "/proc/self/environ"),
    ):
        error = refused(folder, name)
        assert "outside" in error.message
        assert error.hint


def test_what_is_no_file(folder: pathlib.Path) -> None:
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    assert "No such file" in refused(folder, "missing.csv").message
    assert "No such file" in refused(folder, "missing/data.csv").message
    assert "Not a directory" in refused(folder, "data.csv/x").message
    for name in ("sub", ".", "", "pipe"):
        assert "not a regular file" in refused(folder, name).message
    assert "too long" in refused(folder, "x" * 300).message


def test_without_a_folder(folder: pathlib.Path) -> None:
    assert "no folder" in refused(None, "data.csv").message
    with pytest.raises(errors.FileRefused):
        files.Files().digest(None, COPY)


def test_a_missing_file_has_no_digest(folder: pathlib.Path) -> None:
    found = files.Files()
    found.digest(str(folder), COPY)
    (folder / "data.csv").unlink()
    with pytest.raises(errors.FileRefused):
        found.digest(str(folder), COPY)
