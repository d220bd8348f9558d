"""Chooses what is written next."""

from __future__ import annotations

from collections.abc import Iterable

from tests.statements import (
    functions,
    objects,
    pinning,
    reads,
    roles,
    rows,
    sessions,
    storage,
    tables,
    transactions,
    views,
)
from tests.statements.author import Author, Kind

#: One statement of a cell that fails, whatever there is.
FAILING = (
    "select 1 / 0",
    "select * from missing",
    "selct 1",
    "select 'one'::integer",
    "insert into missing values (1)",
    "do $$ begin raise exception 'no'; end $$",
    "create table e (id integer primary key); insert into e values (1), (1)",
    "select (-1)::integer::positive",
    "create event trigger e on ddl_command_end execute function missing()",
    "savepoint outside",
    "create extension amcheck",
    "copy missing from '/etc/passwd'",
    "fetch 1 from nothing_held",
    "set role nobody_there",
)
KINDS = (
    *tables.KINDS,
    *rows.KINDS,
    *views.KINDS,
    *functions.KINDS,
    *reads.KINDS,
    *sessions.KINDS,
    *pinning.KINDS,
    *transactions.KINDS,
    *roles.KINDS,
    *objects.KINDS,
    *storage.KINDS,
)


def statement(author: Author) -> str:
    """One statement, likely to succeed; a few are several that belong together."""
    model = author.model
    if model.aborted and author.number(0, 2) > 0:
        return _one(author, transactions.ABORTED)
    if model.role is not None:
        return _one(author, roles.AS_ROLE)
    # What belongs to transactions comes often in one.
    inside = model.begun is not None
    where = "inside" if inside else "outside"
    if inside and author.number(0, 2) == 0:
        return _one(author, [kind for kind in KINDS if kind.where == "inside"])
    return _one(author, [kind for kind in KINDS if kind.where in ("anywhere", where)])


def opening(author: Author) -> list[str]:
    """Statements that give all others something to work on."""
    return [
        *(tables.create_table(author), rows.insert_many(author), views.create_sequence(author)),
        *(functions.create_function(author), functions.call_function(author)),
    ]


def _one(author: Author, kinds: Iterable[Kind]) -> str:
    there = [kind for kind in kinds if author.model.has(kind.need)]
    weighted = [kind for kind in there for _ in range(kind.weight)]
    return author.pick(weighted).write(author)
