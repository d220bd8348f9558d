"""Cells with parameters against psql, in which the same values are set by hand."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
from tests import cellar as cellars
from tests import following
from tests.integration import test_equals_oracle

from pgcellar.notebook import parameters

NUMBERS = itertools.count()
FLIGHTS = (
    "create table flights as select i, i % 12 + 1 as month, chr(65 + i % 3) as carrier"
    " from generate_series(1, 120) i"
)
COUNTED = "select :'carrier' as a, :'third' as b, count(*) from flights where carrier = :'carrier'"
#: A notebook, and what is typed into psql in place of each cell that has parameters.
NOTEBOOKS = [
    (
        [
            FLIGHTS,
            "-- @param month: slider(1, 12) = 5\n-- of the year\n"
            "create table few as select * from flights where month = :month",
            "select count(*), sum(i) from few where month = :month",
        ],
        {
            1: "\\set month 5\ncreate table few as select * from flights where month = :month",
        },
    ),
    (
        [
            FLIGHTS,
            "-- @param carrier: dropdown(select distinct carrier from flights)\n"
            "-- @param third: dropdown('it''s', \"b\") = 'say \\'it''s\\' \\\\n'\n" + COUNTED,
            "insert into flights values (0, 1, '@')",
            "select :'carrier' as a",
        ],
        {
            1: "select min(carrier) as carrier from flights \\gset\n"
            "\\set third 'say \\'it''s\\' \\\\n'\n" + COUNTED,
        },
    ),
    (
        [
            FLIGHTS,
            "-- @param many: select-multiple(select carrier, month from flights) = {A,C}\n"
            "-- @param on: checkbox = true\n"
            "delete from flights where carrier = any(:'many') and :on",
            "select carrier, count(*) from flights group by 1 order by 1",
        ],
        {
            1: "\\set many '{A,C}'\n\\set on true\n"
            "delete from flights where carrier = any(:'many') and :on",
        },
    ),
    (
        [
            "/* none */ select 1 as a",
            "-- @param x the x\n-- @param: y\nselect 2 as b -- @param z: text",
        ],
        {},
    ),
]


@pytest.fixture(scope="module")
def cellar(cellar_home_module) -> Iterator[cellars.Cellar]:  # type: ignore[no-untyped-def]
    """One for the module."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


@pytest.mark.parametrize("number", range(len(NOTEBOOKS)))
def test_it_equals_psql(cellar: cellars.Cellar, oracle: following.Oracle, number: int) -> None:
    """In order, and in any other one."""
    sources, by_hand = NOTEBOOKS[number]
    typed = [by_hand.get(index, source) for index, source in enumerate(sources)]
    key = f"p{next(NUMBERS)}"
    heads = [*range(len(sources)), *random.Random(number).sample(range(len(sources)), len(sources))]
    for head in heads:
        test_equals_oracle.check(cellar, oracle, key, sources, head, run_as=typed)


def test_a_value_that_is_moved_equals_psql(
    cellar: cellars.Cellar, oracle: following.Oracle
) -> None:
    """Hostile ones, too; and the tail is replayed for none of them."""
    sources = [
        FLIGHTS,
        "-- @param month: slider(1, 12) = 5\n-- @param name: text\n"
        "select :'name' as name, count(*) from flights where month = :month",
        "select :month + 1 as below",
    ]
    for month, name in ((7, "x"), (12, "'; drop table flights; --"), (1, "\\'\n:month `id`")):
        values = {"month": str(month), "name": name}
        sources[1] = parameters.with_values(sources[1], values)
        assert dict((one.name, one.value) for one in parameters.parse(sources[1])) == values
        query = sources[1].split("\n", 2)[2]
        typed = [
            FLIGHTS,
            f"\\set month {month}\n\\set name {parameters.quoted(name)}\n{query}",
            sources[2],
        ]
        for head in (1, 2):
            test_equals_oracle.check(cellar, oracle, "moved", sources, head, run_as=typed)
        ran = cellar.run(sources, 1, notebook="moved")
        assert ran.results[0].rows == ((name, "10"),)
        assert ran.done.totals.replayed == 0


def test_a_line_that_is_no_parameter_as_it_should_be(cellar: cellars.Cellar) -> None:
    source = "\n-- @param month: slider(1)\nselect 1"
    error = cellar.run([source]).done.error
    assert error is not None
    assert error.message.startswith("The parameter month: it needs its least")
    assert error.position == source.index("--") + 1


def test_positions_stay(cellar: cellars.Cellar) -> None:
    source = "-- @param month: slider(1, 12) = 5\nselect :month, nosuch"
    error = cellar.run([source]).done.error
    assert error is not None
    assert error.position == source.index("nosuch") + 1
