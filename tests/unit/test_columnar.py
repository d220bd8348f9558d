"""Results as Arrow: what is copied on the way to pandas and polars, and what is not."""

from __future__ import annotations

from typing import Any

import pandas
import polars
import pyarrow
import pytest

from pgcellar import magic
from pgcellar.api import columnar, records, rendering

#: By PostgreSQL's type: two values of it. There is a third row, of nulls.
VALUES = {
    "boolean": ("t", "f"),
    "smallint": ("1", "-2"),
    "integer": ("1", "-2"),
    "bigint": ("1", "-9000000000"),
    "oid": ("1", "4000000000"),
    "real": ("1.5", "Infinity"),
    "double precision": ("1.5", "-Infinity"),
    "numeric": ("1.50", "-20"),
    "date": ("2026-02-28", "1999-12-31"),
    "timestamp without time zone": ("2026-02-28 12:00:00", "1999-12-31 23:59:59.999999"),
    "timestamp with time zone": ("2026-02-28 12:00:00+01", "1999-12-31 23:59:59-08"),
    "bytea": ("\\x00", "\\x" + "ff" * 40),
    "text": ("short", "longer than what polars keeps beside the length"),
}
COLUMNS = tuple(records.Column(name=name, type=name) for name in VALUES)
ROWS = (*zip(*VALUES.values(), strict=True), (None,) * len(VALUES))


@pytest.fixture
def result() -> magic.Result:
    """What a cell gave."""
    return magic.Result(
        rendering.Result(
            command="SELECT 3", columns=COLUMNS, rows=ROWS, row_count=len(ROWS), tabular=True
        )
    )


def places(array: Any) -> list[range]:
    """Where the memory of an array lies: its nulls first, its values last."""
    if isinstance(array, pyarrow.ChunkedArray):
        (array,) = array.chunks
    return [place(buffer) for buffer in array.buffers() if buffer is not None]


def place(buffer: pyarrow.Buffer) -> range:
    """The addresses of its bytes."""
    return range(buffer.address, buffer.address + buffer.size)


def test_a_table_is_made_once(result: magic.Result) -> None:
    """Whatever is asked for, in whatever order: texts are parsed once."""
    assert result.to_arrow() is result.to_arrow()
    assert result.to_arrow().column("date").to_pylist()[2] is None


@pytest.mark.parametrize("name", VALUES)
def test_pandas_copies_nothing(result: magic.Result, name: str) -> None:
    series = result.to_pandas()[name]
    assert isinstance(series.dtype, pandas.ArrowDtype)
    assert places(series.array.__arrow_array__()) == places(result.to_arrow().column(name))


@pytest.mark.parametrize("name", VALUES)
def test_polars_copies_no_values(result: magic.Result, name: str) -> None:
    """Of long texts and bytes it makes views, which point into Arrow's memory; short ones lie in
    those themselves.
    """
    series = result.to_polars()[name]
    back = series.to_arrow(compat_level=polars.CompatLevel.newest())
    *_, values = places(back)
    *_, origin = places(result.to_arrow().column(name))
    assert values.start in origin
    assert values.start == origin.start or name in ("text", "bytea")


def test_a_change_is_nobody_elses(result: magic.Result) -> None:
    """Frames over one memory: who writes into one writes into a copy."""
    frame = result.to_pandas()
    frame.loc[0, "integer"] = 7
    polar = result.to_polars()
    polar[0, "integer"] = 8
    assert result.to_arrow().column("integer").to_pylist() == [1, -2, None]
    assert result.to_pandas()["integer"][0] == result.to_polars()["integer"][0] == 1


def test_a_file_is_read_where_it_lies() -> None:
    """What came over REST as Arrow: the table's memory is the body's, and nothing is copied."""
    body = pyarrow.py_buffer(columnar.encode("arrow", COLUMNS, ROWS))
    table = pyarrow.ipc.open_file(body).read_all()
    assert table.equals(columnar.table(COLUMNS, ROWS))
    inside = place(body)
    for column in table.columns:
        assert all(found.start in inside for found in places(column))
