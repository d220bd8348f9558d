"""Reads the schema of a state from its catalog."""

from __future__ import annotations

import importlib.resources
import json
from typing import TypeVar

from pgcellar.api import catalogs, records
from pgcellar.runner.looks import sides

R = TypeVar("R")

#: Relations, functions and other objects in a description, of each.
MAX_OBJECTS = 5_000
#: Longer texts are cut, and told apart by a digest.
_CUT = 20_000
_CUT_BEGIN = (
    f"(select case when length(v) > {_CUT} then left(v, {_CUT}) || ' … md5 ' || md5(v) else v end"
    " from (values ("
)
_CUT_END = ")) as _ (v))"


def sql(name: str) -> str:
    """A query; `{<}` and `{>}` stand around texts that may be long."""
    text = importlib.resources.files(__package__).joinpath(name).read_text()
    text = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    limit = str(MAX_OBJECTS + 1)
    return text.replace("{<}", _CUT_BEGIN).replace("{>}", _CUT_END).replace("{limit}", limit)


_RELATIONS = sql("relations.sql")
_FUNCTIONS = sql("functions.sql")
_OBJECTS = sql("objects.sql")


async def relations(
    side: sides.Side, deadline: sides.Deadline, max_bytes: int = sides.MAX_BYTES
) -> tuple[tuple[catalogs.RelationInfo, ...], bool]:
    """The relations that are no extension's, and whether that is all of them.

    Raises StatementFailed or TimeoutError.
    """
    return await listed(side, _RELATIONS, catalogs.RelationInfo, deadline, max_bytes)


async def read(side: sides.Side, state: str, deadline: sides.Deadline) -> catalogs.StateDetail:
    """The schema of a state. Raises StatementFailed or TimeoutError."""
    tables, all_relations = await relations(side, deadline)
    functions, all_functions = await listed(side, _FUNCTIONS, catalogs.FunctionInfo, deadline)
    objects, all_objects = await listed(side, _OBJECTS, catalogs.ObjectInfo, deadline)
    return catalogs.StateDetail(
        state=state,
        relations=tables,
        functions=functions,
        objects=objects,
        bytes=side.bytes,
        complete=all_relations and all_functions and all_objects,
    )


async def listed(
    side: sides.Side,
    query: str,
    cls: type[R],
    deadline: sides.Deadline,
    max_bytes: int = sides.MAX_BYTES,
) -> tuple[tuple[R, ...], bool]:
    """What the JSON in the third column of a query describes, and whether that is all of it."""
    rows, complete = await side.rows(query, deadline, max_rows=MAX_OBJECTS, max_bytes=max_bytes)
    found = tuple(records.from_json(cls, json.loads(row[2] or "{}")) for row in rows)
    return found, complete
