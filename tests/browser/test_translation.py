"""A JupyterLab in another language: what the extension says is looked up, all of it."""

from __future__ import annotations

import ast
import dataclasses
import json
import pathlib
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from tests.fixtures_browser import ROOT, Front, Lab, jupyter_lab
from tests.fixtures_service import CommandLine

LOCALE, LANGUAGE = "de_DE", "de-DE"
#: What is no sentence, but names, cells and states.
DATA = re.compile(r"public|t|\[\d+\] .*|[0-9a-f]{64}", re.DOTALL)
#: Commands, and what they open.
PANELS = {
    "pgcellar:show-states": ".pgc-States",
    "pgcellar:show-schema": ".pgc-Schema",
    "pgcellar:show-sandbox": ".pgc-SandboxPanel dl",
}
#: What every sentence of ours stands in, in this language.
LEFT, RIGHT = "⟦", "⟧"
_PLURALS = "nplurals=2; plural=(n != 1);"
_LITERAL = r"'(?:[^'\\\n]|\\.)*'"
_SENTENCE = rf"{_LITERAL}(?:\s*\+\s*{_LITERAL})*"
_ONE = re.compile(rf"\b__\(\s*({_SENTENCE})")
_MANY = re.compile(rf"\b_n\(\s*({_SENTENCE}),\s*({_SENTENCE})")
#: Labels, captions and usages of our commands.
_COMMANDS = """() => {
  const { commands } = window.jupyterapp;
  const ours = commands.listCommands().filter(id => id.startsWith('pgcellar:'));
  return ours.flatMap(id => [commands.label(id), commands.caption(id)]).filter(Boolean);
}"""
#: What is said by attributes, and by buttons and headings, in elements of ours.
_SAID = """() => {
  const ours = [...document.querySelectorAll('[class*="pgc-"]')];
  const named = ours.flatMap(node => ['title', 'aria-label'].map(name => node.getAttribute(name)));
  const heads = ours.flatMap(node => [...node.querySelectorAll('button, h2, h3, caption, th, dt')]);
  const said = [...named, ...heads.map(node => node.textContent)];
  return said.filter(text => /[a-z]/i.test(text ?? ''));
}"""


def text(literal: str) -> str:
    """What TypeScript's literals, joined, say; Python reads them alike."""
    return str(ast.literal_eval(re.sub(r"'\s*\+\s*'", "", literal)))


def catalogue() -> dict[str, object]:
    """All that the extension can say, as a language pack has it."""
    found: dict[str, object] = {
        "": {"domain": "pgcellar", "language": LANGUAGE, "plural_forms": _PLURALS}
    }
    for path in sorted((ROOT / "labextension" / "src").rglob("*.ts*")):
        source = path.read_text()
        for sentence in _ONE.findall(source):
            found[text(sentence)] = [f"{LEFT}{text(sentence)}{RIGHT}"]
        for one, many in _MANY.findall(source):
            found[text(one)] = [f"{LEFT}{text(each)}{RIGHT}" for each in (one, many)]
    return found


def write_pack(folder: pathlib.Path) -> None:
    """A language pack, as pip would install it."""
    messages = folder / "pgcellar_language_pack" / "locale" / LOCALE / "LC_MESSAGES"
    messages.mkdir(parents=True)
    (messages.parents[2] / "__init__.py").touch()
    (messages / "pgcellar.json").write_text(json.dumps(catalogue()))
    about = folder / "pgcellar_language_pack-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: pgcellar-language-pack\nVersion: 1\n"
    )
    (about / "entry_points.txt").write_text(
        f"[jupyterlab.languagepack]\n{LOCALE} = pgcellar_language_pack\n"
    )


@pytest.fixture(scope="module")
def lab(browser: Browser, kernel_home: CommandLine) -> Iterator[Lab]:
    """A JupyterLab in that language."""
    packs = kernel_home.home / "packs"
    write_pack(packs)
    environment = {**kernel_home.environment, "PYTHONPATH": str(packs)}
    cli = dataclasses.replace(kernel_home, environment=environment)
    settings = {"@jupyterlab/translation-extension:plugin": {"locale": LOCALE}}
    with jupyter_lab(cli, settings=settings) as made:
        yield made


def test_all_that_the_extension_says_is_translated(front: Front, lab: Lab) -> None:
    cells = ["create table t as select generate_series(1, 3) as g", "select g from t"]
    front.open(lab.notebook("language.ipynb", cells))
    front.command("notebook:run-all-cells")
    front.wait_ran(2)
    footer = front.cell(2).locator(".pgc-Footer")
    expect(footer).to_contain_text(f"{LEFT}3 rows{RIGHT}")
    assert [each for each in front.page.evaluate(_COMMANDS) if LEFT not in each] == []
    for name, shown in PANELS.items():
        front.command(name)
        expect(front.page.locator(shown).first).to_be_visible()
        said = front.page.evaluate(_SAID)
        assert any(LEFT in each for each in said)
        assert {each for each in said if LEFT not in each and not DATA.fullmatch(each)} == set()
    front.picture("translated")
