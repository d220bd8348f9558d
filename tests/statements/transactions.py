"""Transactions over several cells: begun in one, looked at and written in in others, ended in a
third; with errors inside, savepoints, locks, and constraints that wait for COMMIT."""

from __future__ import annotations

import copy
import dataclasses

from tests.statements import model
from tests.statements.author import Author, Kind

SAVEPOINTS = ("one", "two")
#: Errors inside, which abort the transaction.
FAILING = (
    "select 1 / 0",
    "select * from missing",
    "insert into missing values (1)",
    "create table aborted (id integer primary key); insert into aborted values (1), (1)",
    "do $$ begin raise exception 'no'; end $$",
    "selct 1",
    "savepoint lost; rollback to nowhere",
    "begin; vacuum",
)


def begin(author: Author) -> str:
    author.model.begin()
    return author.pick(
        (
            "begin",
            "begin",
            "begin",
            "begin isolation level repeatable read",
            "begin isolation level serializable",
            "start transaction",
            "begin; set transaction isolation level repeatable read",
            "begin; savepoint zero",
        )
    )


def commit(author: Author) -> str:
    author.model.commit()
    return author.pick(("commit", "commit", "end", "commit work"))


def commit_and_chain(author: Author) -> str:
    author.model.commit()
    author.model.begin()
    return "commit and chain"


def rollback(author: Author) -> str:
    author.model.rollback()
    return author.pick(("rollback", "rollback", "abort", "rollback work"))


def refused(author: Author) -> str:
    """Two-phase commit, which neither server has: the transaction is rolled back."""
    author.model.rollback()
    return "prepare transaction 'two phases'"


def savepoint(author: Author) -> str:
    name = author.pick(SAVEPOINTS)
    author.model.savepoints.append((name, _bare(author)))
    return f"savepoint {name}"


def rollback_to(author: Author) -> str:
    name = author.pick(sorted({name for name, _ in author.model.savepoints}))
    author.model.rollback_to(name)
    return f"rollback to {author.pick(('', 'savepoint '))}{name}"


def release(author: Author) -> str:
    name = author.pick(sorted({name for name, _ in author.model.savepoints}))
    while author.model.savepoints.pop()[0] != name:
        pass
    return f"release {name}"


def fail(author: Author) -> str:
    author.model.aborted = True
    return author.pick(FAILING)


def settings(author: Author) -> str:
    return author.pick(
        (
            "set local work_mem = '6MB'",
            "set constraints all deferred",
            "set constraints all immediate",
            "show transaction_isolation",
            "select set_config('app.who', 'cyd', true)",
            "set local time zone 'Asia/Tokyo'",
        )
    )


def lock_table(author: Author) -> str:
    mode = author.pick(("share", "row exclusive", "access exclusive", "access share"))
    return f"lock table {author.table()} in {mode} mode"


def in_one_cell(author: Author) -> str:
    """With an error inside and a savepoint, all of it."""
    number = author.fresh()
    return author.pick(
        (
            f"begin; create table t{number} (); rollback",
            f"begin; savepoint one; create table u{number} (); rollback to one; commit",
            "begin; select 1 / 0; commit",
            "begin; select 1 / 0; rollback; select 1 as after",
            f"begin; create table w{number} (); savepoint one; select 1 / 0; rollback to one;"
            " commit",
            "begin read only; select 1 as one; commit",
            "commit",
            "begin; begin; commit",
        )
    )


def _bare(author: Author) -> model.Model:
    """The model as it is now, without what it was before."""
    return copy.deepcopy(dataclasses.replace(author.model, savepoints=[], begun=None))


KINDS = (
    Kind(5, begin, "", "outside"),
    Kind(2, in_one_cell, "", "outside"),
    Kind(12, commit, "", "inside"),
    Kind(2, commit_and_chain, "", "inside"),
    Kind(7, rollback, "", "inside"),
    Kind(1, refused, "", "inside"),
    Kind(6, savepoint, "", "inside"),
    Kind(6, rollback_to, "savepoint", "inside"),
    Kind(2, release, "savepoint", "inside"),
    Kind(4, fail, "", "inside"),
    Kind(4, settings, "", "inside"),
    Kind(2, lock_table, "table", "inside"),
)
#: What may come in a transaction that was aborted; anything else is refused.
ABORTED = (
    Kind(6, rollback),
    Kind(8, rollback_to, "savepoint"),
    Kind(2, commit),
)
