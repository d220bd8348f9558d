"""Pure text: PostgreSQL's configuration files and connection strings, quoted right."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping

from pgcellar.api import errors

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?")
#: In a configuration file's string a raw line feed is a syntax error, its escape is not.
_ESCAPES = str.maketrans({"'": "''", "\\": "\\\\", "\n": "\\n", "\r": "\\r"})


def quote(value: str) -> str:
    """A value as a string of `postgresql.conf`. Raises PostgresFailed for a NUL."""
    if "\0" in value:
        raise errors.PostgresFailed("A PostgreSQL setting can't hold a NUL character.")
    return f"'{value.translate(_ESCAPES)}'"


def render(values: Mapping[str, str]) -> str:
    """Settings as lines of `postgresql.conf`. Raises PostgresFailed for what is no name."""
    for name in values:
        if not _NAME.fullmatch(name):
            raise errors.PostgresFailed(f"{name!r} is no name of a PostgreSQL setting.")
    return "".join(f"{name} = {quote(value)}\n" for name, value in values.items())


def folder_list(path: pathlib.Path) -> str:
    """One folder as the value of a setting that takes a list, where commas would separate."""
    return '"' + str(path).replace('"', '""') + '"'


def conninfo(values: Mapping[str, str]) -> str:
    """A libpq connection string."""
    return " ".join(
        "{}='{}'".format(name, value.replace("\\", "\\\\").replace("'", "\\'"))
        for name, value in values.items()
    )
