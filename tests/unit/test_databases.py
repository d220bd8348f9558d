"""Statements that name the notebook's database: the name an instance has, and back."""

from __future__ import annotations

import pytest

from pgcellar.notebook import databases, effects, statements

NOW = "i_89abcdef"


def spans(text: str) -> databases.Spans:
    """Where a statement names its database, as its effect has it."""
    return effects.predict(statements.split(text)[0]).database


@pytest.mark.parametrize(
    ("text", "placed"),
    [
        ("alter database pgcellar reset all", f"alter database {NOW} reset all"),
        (
            'grant connect on database "pgcellar" , d, i_00000000 to pgcellar',
            f"grant connect on database {NOW} , d, {NOW} to pgcellar",
        ),
        ("comment on database pgcellar is 'pgcellar'", f"comment on database {NOW} is 'pgcellar'"),
        ('alter database "Pgcellar" reset all', 'alter database "Pgcellar" reset all'),
        ("alter database i_1 reset all", "alter database i_1 reset all"),
        ("alter role pgcellar set a = 'database pgcellar'",) * 2,
        ("comment on table pgcellar is 'database pgcellar'",) * 2,
        ("alter table pgcellar add database pgcellar",) * 2,
        ("create table pgcellar (database pgcellar)",) * 2,
        ("select 1 as database, pgcellar",) * 2,
    ],
)
def test_placed(text: str, placed: str) -> None:
    """Only where a database is meant, and only the notebook's own."""
    assert databases.placed(text, spans(text), NOW) == placed


def test_positions_are_those_of_what_was_typed() -> None:
    """Before, within and after names."""
    text = "grant x on database pgcellar, pgcellar to nobody"
    sent = databases.placed(text, spans(text), NOW)
    for word in ("grant", "x ", "pgcellar,", "to", "nobody"):
        there = sent.index(NOW if word == "pgcellar," else word)
        assert databases.unplaced(there, spans(text), NOW) == text.index(word)
    last = sent.rindex(NOW)
    assert databases.unplaced(last + 5, spans(text), NOW) == text.rindex("pgcellar")
