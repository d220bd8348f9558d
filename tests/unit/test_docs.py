"""What users and operators can set, type or be told stands in the docs, and stays there."""

from __future__ import annotations

import argparse
import importlib.resources
import pathlib
import re

import pytest
import traitlets.config

from pgcellar import app, observing, runner
from pgcellar.api import errors
from pgcellar.cli import main
from pgcellar.environments import local, spawner

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}
TRAITS = [
    (cls.__name__, name, trait)
    for cls in (
        app.ServiceApp,
        observing.Audit,
        observing.Telemetry,
        spawner.Spawner,
        local.LocalSpawner,
    )
    for name, trait in cls.class_own_traits(config=True).items()
]
ERRORS = (errors.PgcellarError, *errors.PgcellarError.__subclasses__())
#: Inline links, but those to other sites and those within a page.
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


def subcommands() -> dict[str, argparse.ArgumentParser]:
    """Every subcommand, as `--help` knows it."""
    (found,) = (a for a in main.parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(found.choices)


def arguments() -> list[tuple[str, str]]:
    """Every subcommand with each of its options, and each word a positional argument may be."""
    return [
        (name, word)
        for name, command in subcommands().items()
        for action in command._actions
        if not isinstance(action, argparse._HelpAction)
        for word in (*action.option_strings, *_choices(action))
    ]


def _choices(action: argparse.Action) -> list[str]:
    return [str(choice) for choice in action.choices or ()]


def section(command: str) -> str:
    """The part of the command line reference that is about a subcommand; empty if there is none."""
    parts = re.split(r"^###? ", PAGES["users.md"], flags=re.MULTILINE)
    return next((part for part in parts if f"`pgcellar {command}" in part.split("\n")[0]), "")


def pins() -> list[str]:
    """The reasons for pinning in `pins.sql`."""
    query = importlib.resources.files(runner).joinpath("pins.sql").read_text()
    return re.findall(r"then '([^']+)'", query)


def variables() -> set[str]:
    """The environment variables that occur in the code."""
    sources = [p.read_text() for top in ("service", "kernel") for p in (ROOT / top).rglob("*.py")]
    return {name for source in sources for name in re.findall(r"PGCELLAR_[A-Z_]*[A-Z]", source)}


def row(page: str, name: str) -> list[str]:
    """The cells of the table row that begins with `name`."""
    lines = PAGES[page].splitlines()
    found = [line for line in lines if line.startswith(f"| `{name}` |")]
    assert len(found) == 1, f"{name} has {len(found)} rows in docs/{page}"
    return [cell.strip() for cell in found[0].strip("|").split(" | ")]


@pytest.mark.parametrize("command", subcommands())
def test_a_subcommand_has_a_section(command: str) -> None:
    assert section(command)


@pytest.mark.parametrize(("command", "word"), arguments())
def test_an_argument_stands_in_its_commands_section(command: str, word: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", section(command))


@pytest.mark.parametrize(("owner", "name", "trait"), TRAITS)
def test_a_setting_stands_with_its_default(
    owner: str, name: str, trait: traitlets.TraitType[object, object]
) -> None:
    _, default, meaning = row("operators.md", f"c.{owner}.{name}")
    assert default == f"`{trait.default()!r}`"
    assert meaning


@pytest.mark.parametrize("name", sorted(variables()))
def test_an_environment_variable_has_a_meaning(name: str) -> None:
    assert all(row("operators.md", name))


@pytest.mark.parametrize("reason", [*pins(), "an open transaction"])
def test_what_pins_a_state_is_explained_and_in_the_contract(reason: str) -> None:
    assert all(row("users.md", reason))
    assert re.search(rf"^\| .*\b{reason}\b.* \| pinned ", PAGES["states.md"], re.MULTILINE)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_of_our_own_is_listed(error: type[errors.PgcellarError]) -> None:
    assert error.code in PAGES["users.md"]


@pytest.mark.parametrize(
    "page",
    sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]),
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    links = LINK.findall(page.read_text())
    assert [link for link in links if not (page.parent / link).resolve().exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs/decisions").glob("*")), ids=lambda p: p.name)
def test_a_decision_has_its_form(page: pathlib.Path) -> None:
    parts = r"# .+\n\n\d{4}-\d\d-\d\d\n\n\*\*Context\.\*\* .+\n\n\*\*Decision\.\*\* .+\n\n"
    assert re.fullmatch(parts + r"\*\*Consequences\.\*\* .+\n", page.read_text())
