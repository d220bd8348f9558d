"""A result as Apache Arrow or Parquet: what programs read without parsing texts.

Values come from PostgreSQL as text. A column gets the Arrow type that holds its type exactly; if
one of its values does not fit there (`infinity` as a date, NaN as a numeric, another DateStyle),
the whole column stays text, so that nothing is changed or lost. PostgreSQL's name of the type is in
the field's metadata as `pgcellar:type` in either case.
"""

from __future__ import annotations

import datetime
import decimal
import io
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from pgcellar.api import errors, records

Form = Literal["arrow", "parquet"]
MEDIA_TYPES: dict[Form, str] = {
    "arrow": "application/vnd.apache.arrow.file",
    "parquet": "application/vnd.apache.parquet",
}
TYPE = b"pgcellar:type"

_Rows = Sequence[Sequence[str | None]]

#: Digits that Arrow's widest decimal holds.
_DIGITS = 76
_MODIFIER = re.compile(r"\s*\([^)]*\)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?)([+-]\d\d)?(:\d\d)?(:\d\d)?"
)


def table(columns: Sequence[records.Column], rows: _Rows) -> Any:
    """A `pyarrow.Table`. Raises Unsupported where pyarrow is not installed."""
    arrow = _pyarrow()
    arrays = [
        _array(arrow, column.type, [row[number] for row in rows])
        for number, column in enumerate(columns)
    ]
    fields = [
        arrow.field(column.name, array.type, metadata={TYPE: column.type.encode()})
        for column, array in zip(columns, arrays, strict=True)
    ]
    return arrow.Table.from_arrays(arrays, schema=arrow.schema(fields))


def encode(form: Form, columns: Sequence[records.Column], rows: _Rows) -> bytes:
    """A file with these rows, for a thread. Raises Unsupported where pyarrow is not installed."""
    made = table(columns, rows)
    out = io.BytesIO()
    if form == "parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(made, out, compression="zstd")
    else:
        with _pyarrow().ipc.new_file(out, made.schema) as writer:
            writer.write_table(made)
    return out.getvalue()


def check() -> None:
    """Raise Unsupported where pyarrow is not installed."""
    _pyarrow()


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as exc:
        raise errors.Unsupported(
            "Arrow and Parquet need the Python package pyarrow, which is not installed here.",
            hint="Whoever runs this installs pgcellar[arrow]; CSV is always there.",
        ) from exc
    return pyarrow


def _array(arrow: Any, type_name: str, values: Sequence[str | None]) -> Any:
    base = _MODIFIER.sub("", type_name)
    try:
        if base == "numeric":
            return _decimals(arrow, values)
        made = _MADE.get(base)
        if made is not None:
            name, convert = made
            zoned = name == _ZONED
            wanted = arrow.timestamp("us", tz="UTC") if zoned else arrow.type_for_alias(name)
            converted = [None if value is None else convert(value) for value in values]
            return arrow.array(converted, type=wanted)
    except (ValueError, OverflowError, decimal.InvalidOperation):
        # pyarrow's own errors are ValueErrors.
        pass
    return arrow.array(values, type=arrow.string())


def _decimals(arrow: Any, values: Sequence[str | None]) -> Any:
    """All with the scale of the longest fraction. Raises ValueError where there is no such type."""
    parsed = [None if value is None else decimal.Decimal(value) for value in values]
    scale = before = 0
    for number in parsed:
        if number is None:
            continue
        if not number.is_finite():
            raise ValueError(f"{number} is no decimal")
        exponent = int(number.as_tuple().exponent)
        scale = max(scale, -exponent)
        before = max(before, len(number.as_tuple().digits) + exponent)
    precision = max(scale + before, 1)
    if precision > _DIGITS:
        raise ValueError(f"{precision} digits")
    wide = arrow.decimal128 if precision <= 38 else arrow.decimal256
    return arrow.array(parsed, type=wide(precision, scale))


def _truth(text: str) -> bool:
    if text not in ("t", "f"):
        raise ValueError(text)
    return text == "t"


def _date(text: str) -> datetime.date:
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    return datetime.date.fromisoformat(text)


def _moment(text: str) -> datetime.datetime:
    """A timestamp without a time zone, in the ISO style."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None or found[3] is not None:
        raise ValueError(text)
    return datetime.datetime.fromisoformat(text)


def _instant(text: str) -> datetime.datetime:
    """A timestamp with a time zone, in the ISO style: whatever zone it is shown in."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None or found[3] is None:
        raise ValueError(text)
    return datetime.datetime.fromisoformat(text)


def _bytes(text: str) -> bytes:
    if not text.startswith("\\x"):
        raise ValueError(text)
    return bytes.fromhex(text[2:])


#: Not an alias of Arrow's: a time in UTC.
_ZONED = "timestamp[us, tz=UTC]"
_Convert = Callable[[str], Any]
#: By PostgreSQL's name of a type: Arrow's, and what makes a value of a text.
_MADE: dict[str, tuple[str, _Convert]] = {
    "boolean": ("bool", _truth),
    "smallint": ("int16", int),
    "integer": ("int32", int),
    "bigint": ("int64", int),
    "oid": ("uint32", int),
    "real": ("float32", float),
    "double precision": ("float64", float),
    "date": ("date32", _date),
    "timestamp without time zone": ("timestamp[us]", _moment),
    "timestamp with time zone": (_ZONED, _instant),
    "bytea": ("binary", _bytes),
}
