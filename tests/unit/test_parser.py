"""The cells of requests: what is remembered of a tail is what would be worked out of it anew."""

from __future__ import annotations

import pytest

from pgcellar.api import records
from pgcellar.notebook import cells
from pgcellar.runner import requests

TEXTS = ("create role ann", "\\copy t from 'a.csv'", "select 1", "select :x", "select 2")


def request(texts: tuple[str, ...], notebook: str = "n") -> records.RunRequest:
    """A run of the last of some cells."""
    listed = tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(texts))
    return records.RunRequest(notebook=notebook, cells=listed, head=len(listed) - 1)


def same(found: cells.Cells, texts: tuple[str, ...]) -> None:
    """What is known of all cells is what each of them says."""
    anew = cells.Cells(map(cells.parse, texts))
    assert found == anew
    assert (found.roles, found.files, found.scanned) == (anew.roles, anew.files, anew.scanned)
    assert found.digests == anew.digests


async def test_a_tail_is_that_of_the_request() -> None:
    parser = requests.Parser()
    for texts in (TEXTS, (*TEXTS[:-1], "select 3"), TEXTS[2:], TEXTS[:3], TEXTS[:1], TEXTS):
        same(await parser.parse("ann", request(texts)), texts)


async def test_tails_take_so_much_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.Parser, "CHARACTERS", 5_000)
    parser = requests.Parser()
    for number in range(20):
        same(await parser.parse("ann", request(TEXTS, f"n{number}")), TEXTS)
        assert parser._characters == sum(each.characters for each in parser._tails.values())
        assert parser._characters <= 5_000
    assert ("ann", "n19") in parser._tails
