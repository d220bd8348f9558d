"""pgcellar.notebook.remembering: what is made of texts, kept within bounds."""

from __future__ import annotations

from pgcellar.notebook import cells, remembering


def test_many_short_texts_and_few_long_ones() -> None:
    made: list[int] = []

    @remembering.remembered(1_000, remembering.is_long)
    def length(text: str) -> int:
        made.append(len(text))
        return len(text)

    short = ["x" * n for n in range(1_000)]
    long = ["x" * (remembering.LONG + n) for n in range(1, 2 * remembering.FEW)]
    for _ in range(2):
        assert [length(text) for text in short] == [*range(1_000)]
        assert [length(text) for text in long] == [len(text) for text in long]
    assert len(made) == 1_000 + 2 * len(long)
    length(long[-1])
    assert len(made) == 1_000 + 2 * len(long)
    length.forget()
    length(short[1])
    assert len(made) == 1_001 + 2 * len(long)


def test_a_cell_is_parsed_once() -> None:
    assert cells.parse("select 42 as remembered") is cells.parse("select 42 as remembered")
    assert cells.parse.__doc__ is not None
