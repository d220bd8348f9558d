"""The tags of a cell, in its metadata, that the command line and the kernel heed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Code cells with this tag take no part.
SKIP = "skip"
#: The code cell with this tag sets the notebook's parameters, as papermill has it.
PARAMETERS = "parameters"
_DIALECT = "dialect:"


def of(metadata: Any) -> Sequence[str]:
    """The tags in a cell's metadata, if it has any."""
    tags = metadata.get("tags") if isinstance(metadata, Mapping) else None
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else ()


def dialect(tags: Sequence[str]) -> str | None:
    """What a tag such as `dialect:mysql` says the cell is written in."""
    return next((tag[len(_DIALECT) :].strip() for tag in tags if tag.startswith(_DIALECT)), None)
