"""Fixtures of the real service process and command line: a pytest plugin."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

TIMEOUT = 120.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommandLine:
    """`pgcellar`, with a home of its own."""

    home: pathlib.Path
    environment: dict[str, str]

    def __call__(
        self, *arguments: str, said: str | None = None, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; `said` is what comes in."""
        return subprocess.run(
            [sys.executable, "-m", "pgcellar", *arguments],
            env={**self.environment, **extra},
            input=said,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """Run a command with `--json`; what it printed."""
        done = self(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "pgcellar", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def notebook(
        self, cells: Sequence[str], name: str = "notebook", **metadata: Any
    ) -> pathlib.Path:
        """Write a notebook with these SQL cells, named c1, c2, …"""
        path = self.home / f"{name}.ipynb"
        path.write_text(json.dumps(notebook_json(cells, **metadata)))
        return path

    def run(self, cells: Sequence[str], *arguments: str) -> Any:
        """Run a notebook of these cells; the object `run --json` prints."""
        return self.json("run", str(self.notebook(cells)), *arguments)


def notebook_json(cells: Sequence[str], **metadata: Any) -> dict[str, Any]:
    """A notebook of SQL cells."""
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"c{number}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(cells, start=1)
        ],
        "metadata": metadata
        or {"kernelspec": {"name": "pgcellar", "display_name": "SQL", "language": "sql"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@contextlib.contextmanager
def command_line(home: pathlib.Path) -> Iterator[CommandLine]:
    """The command line on a home; its service is stopped at the end."""
    environment = {
        **os.environ,
        "PGCELLAR_HOME": str(home / "home"),
        "PGCELLAR_RUNTIME": str(home / "run"),
    }
    made = CommandLine(home=home, environment=environment)
    try:
        yield made
    finally:
        made("service", "stop")


@pytest.fixture(scope="module")
def cli(cellar_home_module: pathlib.Path) -> Iterator[CommandLine]:
    """The command line on a home for all tests of a module."""
    with command_line(cellar_home_module) as made:
        yield made


@pytest.fixture
def fresh_cli(cellar_home: pathlib.Path) -> Iterator[CommandLine]:
    """The command line on a home of this test's own."""
    with command_line(cellar_home) as made:
        yield made


@pytest.fixture(scope="module")
def kernel_home(cellar_home_module: pathlib.Path) -> Iterator[CommandLine]:
    """The kernelspec, installed, and a home for the kernels of a module."""
    with command_line(cellar_home_module) as made, pytest.MonkeyPatch.context() as patch:
        prefix = cellar_home_module / "prefix"
        made("kernelspec", "install", "--prefix", str(prefix))
        patch.setenv("JUPYTER_PATH", str(prefix / "share" / "jupyter"))
        for name in ("PGCELLAR_HOME", "PGCELLAR_RUNTIME"):
            patch.setenv(name, made.environment[name])
        made.run(["select 1"])
        yield made
