"""pgcellar_server.schemas: what the document says of a request is what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from pgcellar.api import errors, records
from pgcellar.profiles import service
from pgcellar.runner import requests
from pgcellar_server import people_routes, schemas

CELL = records.Cell(id="c", source="select 1")


@pytest.mark.parametrize(
    ("name", "bound", "least"),
    [
        ("cells", "maxItems", lambda most: (CELL,) * most),
        ("reroll", "maxItems", lambda most: ("c",) * most),
        ("parameters", "maxProperties", lambda most: {f"p{i}": "" for i in range(most)}),
        ("notebook", "maxLength", lambda most: "n" * most),
    ],
)
def test_the_most_of_a_request(name: str, bound: str, least: Any) -> None:
    asked = schemas.components()["RunRequest"]["properties"]
    right = {"notebook": "n", "cells": (CELL,), "head": 0}
    requests.check(records.RunRequest(**{**right, name: least(asked[name][bound])}))
    with pytest.raises(errors.BadRequest):
        requests.check(records.RunRequest(**{**right, name: least(asked[name][bound] + 1)}))


def test_the_most_of_a_cells_name_and_of_preferences() -> None:
    most = schemas.components()["Cell"]["properties"]["id"]["maxLength"]
    for more in (0, 1):
        cell = records.Cell(id="c" * (most + more), source="")
        request = records.RunRequest(notebook="n", cells=(cell,), head=0)
        if more:
            with pytest.raises(errors.BadRequest):
                requests.check(request)
        else:
            requests.check(request)
    (route,) = [each for each in people_routes.PROFILES if each.path.endswith("/preferences")]
    assert route.body is not None
    assert route.body["maxProperties"] == service.MAX_CHANGES
