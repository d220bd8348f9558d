"""Rows as Vega-Lite: kinds, types, bounds, and that data stays data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar.api import charts, records, rendering
from pgcellar.notebook import showing

COLUMNS = {
    "name": "text",
    "n": "bigint",
    "share": "numeric(10,2)",
    "day": "date",
    "at": "timestamp(3) with time zone",
    "Odd . [name]": "double precision",
}
ROWS = [
    ("a", "1", "0.5", "2024-03-31", "2024-03-31 02:30:00.25+02", "NaN"),
    ("b", "9007199254740993", None, None, "infinity", "1e400"),
]


def columns(types: dict[str, str]) -> list[records.Column]:
    """Columns of these names and types."""
    return [records.Column(name=name, type=kind) for name, kind in types.items()]


def made(kind: Any, rows: Any = ROWS, types: dict[str, str] = COLUMNS, **spec: Any) -> Any:
    """A chart of some rows."""
    return charts.chart(columns(types), rows, showing.Chart(kind=kind, **spec))


def test_bars() -> None:
    assert made("bar", x="name", y=("n",), title="Hi") == {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": 560,
        "height": 320,
        "data": {"values": [{"x": "a", "y": 1}, {"x": "b", "y": 9007199254740992.0}]},
        "mark": {"type": "bar"},
        "encoding": {
            "x": {
                "field": "x",
                "type": "nominal",
                "title": "name",
                "sort": None,
                "axis": {"labelOverlap": True, "labelAngle": 0},
            },
            "y": {"field": "y", "type": "quantitative", "title": "n"},
            "tooltip": [
                {"field": "x", "type": "nominal", "title": "name"},
                {"field": "y", "type": "quantitative", "title": "n"},
            ],
        },
        "title": {"text": "Hi", "anchor": "start"},
    }


def test_several_columns_are_series() -> None:
    found = made("line", x="day", y=("n", "share"))
    assert found["data"]["values"][:2] == [
        {"x": "2024-03-31T00:00:00Z", "y": 1, "color": "n"},
        {"x": "2024-03-31T00:00:00Z", "y": 0.5, "color": "share"},
    ]
    assert found["encoding"]["color"]["field"] == "color"
    assert found["encoding"]["x"]["scale"] == {"type": "utc"}
    assert made("bar", y=("n", "share"))["encoding"]["xOffset"]["field"] == "color"


def test_what_is_not_said_is_taken_from_the_types() -> None:
    assert charts.resolve(columns(COLUMNS), showing.Chart(kind="bar")) == charts.Resolved(
        x=0, y=(1, 2, 5), color=None
    )
    assert charts.resolve(columns(COLUMNS), showing.Chart(kind="pie")).y == (1,)
    heat = charts.resolve(columns(COLUMNS), showing.Chart(kind="heatmap", x="day", y=("name",)))
    assert heat == charts.Resolved(x=3, y=(0,), color=5)


def test_names_are_found_as_postgresql_folds_them() -> None:
    assert charts.resolve(columns(COLUMNS), showing.Chart(kind="bar", x="NAME", y=("N",))).y == (1,)
    both = columns({"n": "text", "N": "integer"})
    assert charts.resolve(both, showing.Chart(kind="point", x="n", y=("N",))).y == (1,)


@pytest.mark.parametrize(
    ("type_", "value", "wanted"),
    [
        ("date", "2024-01-02", "2024-01-02T00:00:00Z"),
        ("timestamp without time zone", "2024-03-31 02:30:00", "2024-03-31T02:30:00Z"),
        ("timestamp(3) with time zone", "2024-03-31 02:30:00.25+05:30", "2024-03-31T02:30:00.25Z"),
        ("date", "infinity", None),
        ("date", "31.03.2024", "31.03.2024"),
        ("date", "0044-03-15 BC", "0044-03-15 BC"),
        ("integer", "-7", -7),
        ("numeric", "1.5", 1.5),
        ("numeric", "NaN", None),
        ("double precision", "Infinity", None),
        ("numeric", "1" + "0" * 400, None),
        ("boolean", "t", "t"),
        ("text", "x" * 300, "x" * 200 + "…"),
        ("money", "$1.00", "$1.00"),
    ],
)
def test_values(type_: str, value: str, wanted: Any) -> None:
    found = made("point", [(value, "1")], {"a": type_, "b": "integer"}, x="a", y=("b",))
    assert found["data"]["values"] == [{"x": wanted, "y": 1}]


@pytest.mark.parametrize("kind", charts._MARKS)
def test_every_kind_is_made_of_anything_that_fits(kind: Any) -> None:
    types = {"a": "text", "b": "integer", "c": "date", "d": "numeric"}
    x = "d" if kind == "histogram" else "a"
    color = "b" if kind in ("heatmap", "histogram") else None
    y = () if kind == "histogram" else ("c",) if kind == "heatmap" else ("d",)
    found = made(kind, [("x", "1", "2024-01-01", "2")], types, x=x, y=y, color=color)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ({"kind": "bar", "x": "nosuch"}, 'no column "nosuch"', "name (text), n (bigint)"),
        ({"kind": "bar", "y": ("name",)}, '"name" is text', "n (bigint)"),
        ({"kind": "bra"}, '"bra" is no kind', "area, bar"),
        ({"kind": "histogram"}, '"name" is text', "n (bigint)"),
        ({"kind": "pie", "y": ("n", "share")}, "A pie has one", "n (bigint)"),
        ({"kind": "heatmap", "y": ("n",), "color": "name"}, "three columns", "n (bigint)"),
        ({"kind": "line", "y": ("n", "share"), "color": "name"}, "no color", "one y"),
    ],
)
def test_what_does_not_fit(spec: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(charts.Unfit) as caught:
        charts.resolve(columns(COLUMNS), showing.Chart(**spec))
    assert message in caught.value.message
    assert hint in caught.value.hint
    with pytest.raises(charts.Unfit):
        charts.resolve([], showing.Chart(kind="bar"))


def test_points_are_bounded() -> None:
    rows = [(str(i), "1", "2") for i in range(charts.MAX_POINTS + 1)]
    types = {"x": "integer", "a": "integer", "b": "integer"}
    one = charts.chart(columns(types), rows, showing.Chart(kind="line", y=("a",)), row_count=99_999)
    assert len(one["data"]["values"]) == charts.MAX_POINTS
    assert one["title"]["subtitle"] == "The first 5,000 of 99,999 rows"
    two = made("line", rows, types)
    assert len(two["data"]["values"]) == charts.MAX_POINTS
    assert two["title"]["subtitle"] == "The first 2,500 of 5,001 rows"
    assert "title" not in made("line", rows[:10], types)


# --- data stays data -------------------------------------------------------------------------

#: Vega-Lite makes `"TITLE": …` of a title in a tooltip, escaping only the quote.
NAMES = st.text(st.sampled_from(list("\\\"'[].`{}()x \n\r\u2028\u2029;+")), min_size=1) | st.text()


def strings(spec: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a specification with where it stands, but for its data."""
    if isinstance(spec, dict):
        for key, value in spec.items():
            if key != "data":
                yield from strings(value, (*path, key))
    elif isinstance(spec, list):
        for value in spec:
            yield from strings(value, path)
    elif isinstance(spec, str):
        yield path, spec


@pytest.mark.parametrize("kind", charts._MARKS)
@given(names=st.lists(NAMES, min_size=3, max_size=3, unique=True), title=st.text(), value=NAMES)
def test_names_and_values_are_drawn_and_no_more(
    kind: Any, names: list[str], title: str, value: str
) -> None:
    types = dict(zip(names, ("text", "integer", "numeric"), strict=True))
    a, b, c = names
    spec = showing.Chart(
        kind=kind,
        x=b if kind == "histogram" else a,
        y={"histogram": (), "pie": (b,), "heatmap": (b,)}.get(kind, (b, c)),
        color=c if kind == "heatmap" else None,
        title=title,
    )
    found = charts.chart(columns(types), [(value, "1", "2")], spec)
    for path, text in strings(found):
        if path[-1] == "title" or path == ("title", "text"):
            assert not set(text) & set('\\"\n\r\u2028\u2029')
            assert text.strip().lower() not in ("image", "title", "__proto__")
        else:
            # Of ours, whatever the database holds.
            assert text in FIXED
    for point in found["data"]["values"]:
        assert set(point) <= {"x", "y", "color"}


def fixed() -> set[str]:
    """The texts of a specification that are ours."""
    types = {"a": "text", "b": "integer", "c": "numeric", "d": "date"}
    out: set[str] = set()
    for kind in charts._MARKS:
        x = "b" if kind == "histogram" else "a"
        y = ("c",) if kind in ("pie", "heatmap") else ("b", "c")
        color = "b" if kind == "heatmap" else None
        spec = showing.Chart(kind=kind, x=x, y=y, color=color)  # type: ignore[arg-type]
        found = charts.chart(columns(types), [], spec)
        out |= {text for path, text in strings(found) if path[-1] != "title"}
    return out | {"start"}


FIXED = fixed()


@pytest.mark.parametrize("name", ["image", "Title", " __proto__ "])
def test_tooltips_have_no_key_of_a_meaning_of_its_own(name: str) -> None:
    """An image would be fetched from wherever the value says."""
    assert charts.label(name) == f"column {name}"


# --- the bundle ------------------------------------------------------------------------------


def result(rows: int, **spec: Any) -> rendering.Result:
    """What `\\chart` gives."""
    return rendering.Result(
        command=f"SELECT {rows}",
        columns=tuple(columns({"a": "integer", "b": "integer"})),
        rows=tuple((str(i), "1") for i in range(rows)),
        row_count=rows,
        tabular=True,
        chart=showing.Chart(**spec),
    )


def test_the_bundle_has_no_html_that_would_be_preferred() -> None:
    bundle = rendering.mime_bundle(result(150, kind="line"))
    assert list(bundle) == ["text/plain", charts.MIME]
    assert bundle["text/plain"].endswith("(150 rows; the first 100 are shown)")
    assert len(bundle[charts.MIME]["data"]["values"]) == 150


def test_what_can_not_be_drawn_is_a_table() -> None:
    bundle = rendering.mime_bundle(result(1, kind="line", x="nosuch"))
    assert list(bundle) == ["text/plain", "text/html", rendering.MIME]
    later = rendering.mime_bundle(result(1, kind="sankey"))
    assert rendering.MIME in later
