"""Notebook files, whose tags say what psql is not told: cells to skip, the base, parameters, other
dialects. What comes of them is what psql gives for the cells that count.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from tests import cellar as cellars
from tests import following, generators
from tests.integration import test_equals_oracle
from tests.statements import scripts

from pgcellar.api import documents
from pgcellar.cli import notebooks
from pgcellar.notebook import cells

pytestmark = pytest.mark.timeout(test_equals_oracle.SECONDS)

Tagged = tuple[str, tuple[str, ...]]
NOTHING: tuple[str, ...] = ()
SKIPPED = "drop table a cascade; \\set v skipped\nselct nonsense"
MYSQL = (
    "create table if not exists `dialected` (`id` int, `n` varchar(20))",
    "insert into `dialected` values (1, ifnull(null, 'x')), (2, \"it's\")",
    "select `id`, ifnull(`n`, '-') as n from `dialected` order by 1, 2",
    "update `dialected` set `n` = 'z' where `id` <=> 1",
    "select if(1 > 2, 'more', 'less') as w, 7 div 2 as half",
)
#: What stands behind a cell besides.
EXTRAS = st.sampled_from(
    [
        *[NOTHING] * 8,
        (SKIPPED, "skip"),
        *[(text, "dialect:mysql") for text in MYSQL],
        (f"-- dialect: mysql\n{MYSQL[2]}",),
        ("select :'v' as v, :{?w} as w",),
    ]
)
PARAMETERS = st.sampled_from([*[{}] * 3, {"v": "3"}, {"v": "it's"}, {"v": "1", "w": "\\x"}])
SETTINGS = hypothesis.settings(
    test_equals_oracle.SETTINGS, max_examples=max(5, test_equals_oracle.SETTINGS.max_examples // 3)
)


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


@pytest.fixture(scope="module")
def folder(cellar_home_module: pathlib.Path) -> pathlib.Path:
    """The notebooks' folder, with the files that they read."""
    path = cellar_home_module / "notebooks"
    path.mkdir()
    scripts.write_files(path)
    return path


@SETTINGS
@hypothesis.given(
    session=generators.sessions(max_cells=6, max_edits=4),
    below=st.integers(0, 3),
    declared=st.sampled_from([None, None, "\\set v 5", "\\set w declared"]),
    extras=st.lists(EXTRAS, min_size=12, max_size=12),
    given=st.lists(PARAMETERS, min_size=5, max_size=5),
)
def test_heads_equal_the_oracle(
    cellar: cellars.Cellar,
    oracle: following.Oracle,
    folder: pathlib.Path,
    session: generators.Session,
    below: int,
    declared: str | None,
    extras: Sequence[tuple[str, ...]],
    given: Sequence[Mapping[str, str]],
) -> None:
    """The first `below` cells stand in the base; with every edit other parameters are given."""
    key = f"f{next(test_equals_oracle.NUMBERS)}"
    first = session.notebook
    steps = [first, *(edit.notebook for edit in session.edits)]
    for notebook, parameters in zip(steps, given, strict=False):
        base, own = split(notebook, below, extras)
        if declared is not None:
            own.insert(0, (declared, ("parameters",)))
        if base:
            write(folder / "load.ipynb", base)
            own.insert(0, ("-- load.ipynb", ("base",)))
        write(folder / f"{key}.ipynb", own)
        found = notebooks.given(notebooks.read(folder / f"{key}.ipynb"), parameters)
        sources = [cell.source for cell in found.cells]
        hypothesis.note(f"{base}; {sources}; {found.parameters}")
        above = [documents.as_tagged(text, tags) for text, tags in base if "skip" not in tags]
        sets = [f"\\set {name} {as_argument(v)}" for name, v in found.parameters.items()]
        heads = range(len(sources)) if notebook is first else range(len(sources))[-1:]
        for head in heads:
            test_equals_oracle.check(
                cellar,
                oracle,
                key,
                sources,
                head,
                str(folder),
                run_as=[run_by_psql(source) for source in sources],
                above=["\n".join(sets), *map(run_by_psql, above)],
                parameters=found.parameters,
            )
    cellar.call(cellar.runner.forget(cellars.OWNER, key))


def as_argument(value: str) -> str:
    """A value as psql reads it behind `\\set`."""
    quoted = value.replace("\\", "\\\\").replace("'", "''")
    return "'" + quoted.replace("\n", "\\n").replace("\r", "\\r") + "'"


def split(
    notebook: generators.Notebook, below: int, extras: Sequence[tuple[str, ...]]
) -> tuple[list[Tagged], list[Tagged]]:
    """The cells of the base, and the others, with what stands behind each."""
    parts: tuple[list[Tagged], list[Tagged]] = ([], [])
    for index, cell in enumerate(notebook.cells):
        part = parts[index >= below]
        part.append((cell.source, ()))
        extra = extras[int(cell.id.removeprefix("cell-")) % len(extras)]
        if extra:
            part.append((extra[0], extra[1:]))
    return parts


def run_by_psql(source: str) -> str:
    """A cell as psql can run it."""
    return "" if documents.base_named(source) is not None else cells.parse(source).source


def write(path: pathlib.Path, cells: Sequence[Tagged]) -> None:
    """Write a notebook file."""
    content: dict[str, Any] = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {
                "cell_type": "code",
                "id": f"i{number}",
                "metadata": {"tags": list(tags)},
                "source": text,
                "outputs": [],
                "execution_count": None,
            }
            for number, (text, tags) in enumerate(cells)
        ],
    }
    path.write_text(json.dumps(content))
