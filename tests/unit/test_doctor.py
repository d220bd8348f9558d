"""pgcellar.cli.doctor: what it says of the account that servers run as."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from pgcellar.api import paths
from pgcellar.cli import doctor
from pgcellar.postgres import account

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root changes accounts")


def finding(printed: str) -> tuple[bool | None, str]:
    """Whether the account is as it should be, and what is said of it."""
    (found,) = [one for one in json.loads(printed)["findings"] if one["what"] == "account"]
    return found["ok"], found["says"]


@as_root
def test_root_is_told_whom_servers_run_as_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    who = account.current()
    assert who is not None
    doctor.doctor(as_json=True)
    ok, says = finding(capsys.readouterr().out)
    assert ok is True
    assert "PostgreSQL refuses to run as root" in says
    assert f"servers run as {who.name} (uid {who.uid})" in says
    assert f"a copy of the binaries below {paths.current().home}" in says
    assert "PGCELLAR_SERVER_USER names another account" in says


@as_root
def test_root_is_told_of_a_named_account(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(account.VARIABLE, "daemon")
    doctor.doctor(as_json=True)
    ok, says = finding(capsys.readouterr().out)
    assert ok is True
    assert "servers run as daemon (uid " in says


@as_root
def test_one_that_is_not_there_is_a_fault(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(account.VARIABLE, "nobody-of-that-name")
    assert doctor.doctor(as_json=True) == 2
    ok, says = finding(capsys.readouterr().out)
    assert ok is False
    assert "nobody-of-that-name" in says


def test_an_ordinary_user_is_told_that_servers_are_theirs(tmp_path: pathlib.Path) -> None:
    # Root becomes one when all is imported: its own Python may be closed to others.
    code = (
        "import jupyter_client.kernelspec, os, pgcellar.cli.doctor as doctor, pwd;"
        "os.getuid() == 0 and os.setuid(pwd.getpwnam('nobody').pw_uid);"
        "doctor.doctor(as_json=True)"
    )
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "LOGNAME": "somebody",
        "PGCELLAR_HOME": str(tmp_path / "nowhere"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finding(done.stdout) == (True, "servers run as you, somebody"), done.stderr
