"""The wheel: what is in it, and that it works where there is nothing but Python."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import zipfile

import pytest
from tests.fixtures_browser import EXTENSION, ROOT

pytestmark = pytest.mark.slow
DATA = ".data/data/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The wheel of this checkout."""
    if not (EXTENSION / "package.json").exists():
        pytest.skip("the JupyterLab extension is not built: it needs Node")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT]
    subprocess.run(command, check=True, timeout=200)
    (made,) = folder.glob("pgcellar-*.whl")
    return made


@pytest.fixture(scope="module")
def empty(wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The programs of an environment with the wheel and JupyterLab in it, and no Node."""
    folder = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=100)
    command = [folder / "bin" / "pip", "install", "--quiet", wheel, "jupyterlab>=4.4"]
    subprocess.run(command, check=True, timeout=280)
    return folder / "bin"


def _run(bin_: pathlib.Path, *command: str) -> str:
    home = bin_.parent / "home"
    environment = {
        "PATH": f"{bin_}:/nothing",
        "HOME": str(home),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "PGCELLAR_HOME": str(home / "cellar"),
    }
    done = subprocess.run(
        [bin_ / command[0], *command[1:]],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout + done.stderr


def test_it_holds_packages_kernelspec_extension_and_configuration(wheel: pathlib.Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for package in ("pgcellar", "pgcellar_kernel", "pgcellar_server"):
        assert f"{package}/py.typed" in names
    data = {name.partition(DATA)[2] for name in names if DATA in name}
    assert "share/jupyter/kernels/pgcellar/kernel.json" in data
    assert "etc/jupyter/jupyter_server_config.d/pgcellar.json" in data
    extension = "share/jupyter/labextensions/pgcellar-labextension"
    assert {f"{extension}/package.json", f"{extension}/install.json"} <= data
    assert any(name.startswith(f"{extension}/static/remoteEntry") for name in data)
    assert not any("node_modules" in name or name.startswith("labextension") for name in names)


@pytest.mark.timeout(600)
def test_both_extensions_are_sound_where_there_is_no_node(empty: pathlib.Path) -> None:
    lab = _run(empty, "jupyter", "labextension", "list")
    (line,) = (line for line in lab.splitlines() if "pgcellar-labextension" in line)
    assert "enabled" in line
    assert "OK" in line
    server = _run(empty, "jupyter", "server", "extension", "list")
    assert "pgcellar_server" in server
    assert "OK" in server.partition("pgcellar_server")[2]
    for said in (lab, server):
        assert "error" not in said.lower()
        assert "Traceback" not in said
    assert "ok    extension" in _run(empty, "pgcellar", "doctor")
