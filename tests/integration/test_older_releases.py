"""Notebooks on older releases of PostgreSQL, where Debian's packages of them are installed."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterator

import hypothesis
import pytest
from tests import cellar as cellars
from tests import following, generators
from tests.integration import test_equals_oracle
from tests.statements import scripts

from pgcellar.postgres import binaries

RELEASES = sorted(pathlib.Path("/usr/lib/postgresql").glob("1[5-7]/bin/postgres"))
NUMBERS = itertools.count()

pytestmark = [
    pytest.mark.skipif(not RELEASES, reason="no PostgreSQL 15, 16 or 17 is installed"),
    pytest.mark.timeout(test_equals_oracle.SECONDS),
]


@pytest.fixture(scope="module", params=RELEASES, ids=lambda path: str(path.parts[-3]))
def release(request: pytest.FixtureRequest) -> Iterator[pathlib.Path]:
    """The folder of an older release's programs, which services take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(binaries.VARIABLE, str(request.param.parent))
        yield request.param.parent


@pytest.fixture(scope="module")
def older(release: pathlib.Path) -> Iterator[following.Oracle]:
    """The oracle of that release."""
    with following.Oracle(release) as made:
        yield made


@pytest.fixture(scope="module")
def cellar(release: pathlib.Path, cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services on that release."""
    with cellars.Cellar(cellar_home_module / release.parts[-2]) as made:
        yield made


@pytest.fixture(scope="module")
def folder(cellar_home_module: pathlib.Path) -> str:
    """The notebooks' folder, with the files that they read."""
    path = cellar_home_module / "notebooks"
    path.mkdir(exist_ok=True)
    scripts.write_files(path)
    return str(path)


def test_it_is_that_release(release: pathlib.Path, cellar: cellars.Cellar) -> None:
    ((version,),) = cellar.run(["show server_version_num"]).results[0].rows
    assert version is not None
    assert version[:2] == release.parts[-2]


@hypothesis.settings(
    test_equals_oracle.SETTINGS, max_examples=max(5, test_equals_oracle.SETTINGS.max_examples // 5)
)
@hypothesis.given(session=generators.sessions(max_edits=4))
def test_heads_equal_the_oracle(
    cellar: cellars.Cellar, older: following.Oracle, folder: str, session: generators.Session
) -> None:
    """Every cell in turn, then edits."""
    key = f"n{next(NUMBERS)}"
    hypothesis.note(f"{session.notebook.sources}")
    for head in range(len(session.notebook.cells)):
        test_equals_oracle.check(cellar, older, key, session.notebook.sources, head, folder)
    for edit in session.edits:
        hypothesis.note(f"{edit.kind}, {edit.head} of {edit.notebook.sources}")
        if edit.head is not None:
            sources = edit.notebook.sources
            test_equals_oracle.check(cellar, older, key, sources, edit.head, folder)
    cellar.call(cellar.runner.forget(cellars.OWNER, key))
