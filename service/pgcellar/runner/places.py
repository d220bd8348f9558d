"""Errors at their place: in the cell's own text, wherever in what was sent they came up."""

from __future__ import annotations

import dataclasses
import re

from pgcellar.api import errors, records
from pgcellar.notebook import cells

_NO_FOREIGN = (
    "Foreign tables would lead out of the sandbox, and PostgreSQL lets no user lead one back into"
    " it. A view shows a table under another name, a schema of its own stands for another database,"
    " and \\copy loads a file."
)
#: By the beginning of a message, and its SQLSTATE: insufficient_privilege, undefined_object.
_HINTS = {
    'permission denied to create extension "postgres_fdw"': ("42501", _NO_FOREIGN),
    'permission denied to create extension "dblink"': ("42501", _NO_FOREIGN),
    'permission denied to create extension "file_fdw"': ("42501", _NO_FOREIGN),
    "permission denied to create extension": (
        "42501",
        "It is not a trusted one. Whoever operates pgcellar may put it into the base of all"
        " notebooks: `c.ServiceApp.extensions`.",
    ),
    "permission denied for foreign-data wrapper": ("42501", _NO_FOREIGN),
    "permission denied to create foreign-data wrapper": ("42501", _NO_FOREIGN),
    "foreign-data wrapper ": ("42704", _NO_FOREIGN),
    "server ": ("42704", _NO_FOREIGN),
}
#: psql leaves a variable that is not set as it is typed.
_UNSET = re.compile(r":['\"]?(\w+)")
_MAGIC = re.compile(r"\s*%%?\w")


def refusal(step: cells.Step) -> records.SqlError:
    """Why a statement can't run in a notebook."""
    return records.SqlError(
        sqlstate=errors.Unsupported.code,
        message=step.effect.refusal or "",
        hint=step.effect.hint,
        position=None if step.included else step.statement.start + 1,
    )


def explained(error: records.SqlError, text: str) -> records.SqlError:
    """With a hint for who has no server of their own, where PostgreSQL's is for who has, and for
    what PostgreSQL knows nothing of; `text` is the statement's.
    """
    if error.sqlstate == "42601" and error.hint is None and error.position is not None:
        return dataclasses.replace(error, hint=_no_sql(text, error.position - 1))
    for beginning, (sqlstate, hint) in _HINTS.items():
        if error.sqlstate == sqlstate and error.message.startswith(beginning):
            return dataclasses.replace(error, hint=hint)
    return error


def _no_sql(text: str, position: int) -> str | None:
    """What to do about a syntax error at what is a front end's and no SQL."""
    unset = _UNSET.match(text, position)
    if unset is not None:
        name = unset[1]
        return f"The variable {name} is not set: \\set {name} VALUE sets it, a parameter does, too."
    if _MAGIC.match(text) is not None:
        return "This is a SQL notebook: its cells are SQL without any %% magic."
    return None


def in_source(error: records.SqlError, cell: cells.ParsedCell) -> records.SqlError:
    """The error of a cell, which shows what was run where that is not the cell's source."""
    if cell.translation is None or error.position is None:
        return error
    if error.query is not None:
        return dataclasses.replace(error, position=None)
    return dataclasses.replace(
        error, position=None, query=cell.source, query_position=error.position
    )


def shift(error: records.SqlError, by: int) -> records.SqlError:
    """The error with its position counted from where the statement began in what was sent."""
    if error.position is None:
        return error
    position = error.position - by
    return dataclasses.replace(error, position=position if position > 0 else None)


def in_cell(error: records.SqlError, step: cells.Step) -> records.SqlError:
    """The error with its position counted in the cell."""
    position = error.position
    if position is not None and step.origin is not None:
        offset = step.origin.source_offset(position - 1)
        position = None if offset is None or step.included else offset + 1
    elif position is not None:
        position = step.statement.start + position if step.statement.kind == "sql" else None
    return dataclasses.replace(error, position=position)
