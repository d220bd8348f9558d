"""pgcellar.identity.sealing."""

from __future__ import annotations

import pathlib
import stat

import pytest
from cryptography import fernet

from pgcellar.api import errors
from pgcellar.identity import sealing


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(sealing.VARIABLE, raising=False)


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: pathlib.Path) -> None:
    sealed = sealing.load(tmp_path).seal(b"private")
    assert b"private" not in sealed
    assert sealing.load(tmp_path).unseal(sealed) == b"private"
    assert stat.S_IMODE((tmp_path / sealing.FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [sealing.FILE]


def test_a_key_that_others_read_is_refused(tmp_path: pathlib.Path) -> None:
    sealing.load(tmp_path)
    (tmp_path / sealing.FILE).chmod(0o640)
    with pytest.raises(errors.Forbidden, match="read by others"):
        sealing.load(tmp_path)


def test_the_environments_key_goes_first(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(sealing.VARIABLE, fernet.Fernet.generate_key().decode())
    sealed = sealing.load(tmp_path).seal(b"x")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv(sealing.VARIABLE, fernet.Fernet.generate_key().decode())
    with pytest.raises(errors.ServiceUnavailable, match="another key"):
        sealing.load(tmp_path).unseal(sealed)


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(errors.BadRequest, match="32 bytes"):
        sealing.Sealer("short")
