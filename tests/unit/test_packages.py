"""What is imported is named in `pyproject.toml`: what another package brings may go with it."""

from __future__ import annotations

import ast
import importlib.metadata
import pathlib
import re
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OURS = {"pgcellar", "pgcellar_kernel", "pgcellar_server", "tests"}


def names(requirements: list[str]) -> set[str]:
    """The packages that requirements name, as an index knows them."""
    found = (re.match(r"[\w.-]+", requirement) for requirement in requirements)
    return {normal(match[0]) for match in found if match}


def normal(name: str) -> str:
    """A package's name in its one spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(path: pathlib.Path) -> set[str]:
    """The packages of others that a module imports, by the first part of their names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - OURS - sys.stdlib_module_names


@pytest.mark.parametrize(
    ("folders", "extras"),
    [
        (("service", "kernel", "server_extension"), [each for each in EXTRAS if each != "test"]),
        (("tests",), EXTRAS),
    ],
    ids=["sources", "tests"],
)
def test_what_is_imported_is_named(folders: tuple[str, ...], extras: list[str]) -> None:
    named = names(PROJECT["dependencies"]).union(*(names(EXTRAS[extra]) for extra in extras))
    distributions = importlib.metadata.packages_distributions()
    missing = {
        module: str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        for module in imported(path)
        if named.isdisjoint(normal(each) for each in distributions.get(module, [module]))
    }
    assert not missing
