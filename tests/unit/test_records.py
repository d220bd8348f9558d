"""pgcellar.api.records: what is written is read back, whatever the text."""

from __future__ import annotations

import dataclasses
import json
import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar.api import records

#: No lone surrogates: what PostgreSQL sends has none.
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
st.register_type_strategy(str, texts)
st.register_type_strategy(float, st.floats(0, 1e9))

EVENTS: tuple[type[Any], ...] = typing.get_args(records.Event)
OTHERS: tuple[type[Any], ...] = (
    *(records.Cell, records.RunRequest, records.Column, records.SqlError, records.CellReport),
    *(records.Totals, records.SandboxInfo, records.PlanStep, records.Plan, records.StateInfo),
    *(records.PageRequest, records.Page, records.Order, records.Filter),
)


@given(st.sampled_from(EVENTS).flatmap(st.from_type))
def test_events_round_trip(event: records.Event) -> None:
    line = records.encode(event)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert records.decode(line) == event


@given(st.sampled_from([*EVENTS, *OTHERS]).flatmap(st.from_type))
def test_records_round_trip(record: Any) -> None:
    body = json.loads(json.dumps(records.to_json(record)))
    assert records.from_json(type(record), body) == record


@pytest.mark.parametrize("cls", [*EVENTS, *OTHERS])
def test_records_are_frozen_and_keyword_only(cls: type[Any]) -> None:
    assert cls.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(cls))
    assert cls.__doc__


@pytest.mark.parametrize("cls", EVENTS)
def test_an_event_says_its_name_first(cls: type[Any]) -> None:
    @given(st.from_type(cls))
    def check(event: records.Event) -> None:
        line = records.encode(event)
        assert line.startswith(b'{"event":"%s"' % cls.__name__.lower().encode())

    check()


def test_null_and_empty_are_told_apart() -> None:
    event = records.Rows(statement=0, rows=((None, "", "null", "\n\u2028é😀\0"), ()))
    assert records.decode(records.encode(event)) == event


def test_what_is_not_known_is_ignored() -> None:
    assert records.decode(b'{"event":"started","run":"1","new":[1,{"a":2}]}') == records.Started(
        run="1"
    )


def test_defaults_may_be_left_out() -> None:
    request = records.from_json(records.RunRequest, {"notebook": "n", "cells": [], "head": 0})
    assert request == records.RunRequest(notebook="n", cells=(), head=0)


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"{", b"[]", b"1", b"null", b'"started"', b"{}", b'{"event":null}', b"\xff"),
        *(b'{"event":"nothing"}', b'{"event":"started"}', b'{"event":1,"run":"1"}'),
        b'{"event":"columns","statement":0,"columns":[{"name":"a"}]}',
    ],
)
def test_what_is_no_event(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        records.decode(line)
