"""Sequences and views."""

from __future__ import annotations

from tests.statements.author import Author, Kind

SEQUENCES = ("s1", "s2")
VIEWS = ("v1", "v2", "m1")


def create_sequence(author: Author) -> str:
    name = author.pick(SEQUENCES)
    exists = "if not exists " if name in author.model.sequences else ""
    author.model.sequences.add(name)
    options = author.pick(("", " start 10 increment 5", " increment -1", " cache 1 cycle"))
    return f"create sequence {exists}{name}{options}"


def use_sequence(author: Author) -> str:
    name = author.sequence()
    number = author.number(-9, -1) if author.number(0, 9) == 0 else author.number(1, 99)
    return author.pick(
        (
            f"select nextval('{name}')",
            f"select nextval('{name}')",
            f"select nextval('{name}'::regclass) + i as k from generate_series(1, 3) i",
            f"select setval('{name}', {abs(number)})",
            f"select setval('{name}', {abs(number)}, false)",
            f"alter sequence {name} minvalue -999 restart with {number}",
            f"select last_value, is_called from {name}",
        )
    )


def create_view(author: Author) -> str:
    name, table = author.pick(VIEWS), author.table()
    calls = sorted(set(author.model.functions) & {"f_next", "f_log", "f_try"})
    if name in author.model.views:
        del author.model.views[name]
        return f"drop {'materialized ' if name == 'm1' else ''}view {name} cascade"
    if name == "m1":
        body = f"select id, n, s from {table} where id < 100"
    elif calls and author.number(0, 1) == 0:
        body = f"select 1 as id, {author.pick(calls)}()::text as n, null::text as s"
    else:
        body = f"select id, n + 1 as n, s from {table}"
    author.model.views[name] = {table}
    return f"create {'materialized ' if name == 'm1' else ''}view {name} as {body}"


def use_view(author: Author) -> str:
    name = author.pick(sorted(author.model.views))
    if name == "m1" and author.number(0, 1) == 0:
        return f"refresh materialized view {name}"
    return f"select id, n, s from {name} order by id, n, s"


KINDS = (
    Kind(3, create_sequence),
    Kind(8, use_sequence, "sequence"),
    Kind(6, create_view, "table"),
    Kind(8, use_view, "view"),
)
