"""Installs the kernelspec."""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile

from jupyter_client import kernelspec

NAME = "pgcellar"
_SPEC = pathlib.Path(__file__).parent / "kernelspec"


def install(user: bool, prefix: str | None) -> str:
    """Install the kernelspec for this Python, for the user or below `prefix`; where it went."""
    spec = json.loads((_SPEC / "kernel.json").read_text())
    spec["argv"][0] = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        for source in _SPEC.iterdir():
            (pathlib.Path(folder) / source.name).write_bytes(source.read_bytes())
        (pathlib.Path(folder) / "kernel.json").write_text(json.dumps(spec, indent=1) + "\n")
        manager = kernelspec.KernelSpecManager()
        found: str = manager.install_kernel_spec(folder, NAME, user=user, prefix=prefix)
    return found
