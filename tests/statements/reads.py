"""Reads of what is in the database, and of nothing."""

from __future__ import annotations

from tests.statements.author import Author, Kind


def read(author: Author) -> str:
    name, other = author.table(), author.table()
    return author.pick(
        (
            f"select * from {name} order by id, n, s",
            f"select * from {name} order by id, n, s",
            f"select count(*), sum(n), min(s) from {name}",
            f"table {name} order by id, n, s limit 5",
            f"select x.id, y.n from {name} x join {other} y using (id) order by 1, 2",
            f"select s, count(*) from {name} group by s order by s nulls first",
            f"with r as (select id from {name}) select max(id) from r",
            f"select id from {name} order by id, n, s for update",
            f"select exists (select from {name} where n is null) as gaps",
        )
    )


def read_nothing(author: Author) -> str:
    return author.pick(
        (
            "select 1 as one, null as nothing, 'null' as word, '' as empty",
            "values (1, 'x'), (2, null)",
            "select '2024-03-10 12:00+00'::timestamptz as noon",
            "select current_setting('work_mem') as memory",
            "show work_mem",
            "select upper('zoë'), 'a' < 'B' as collated, 1.10 * 3 as n",
            "select relname from pg_class where relnamespace = 'public'::regnamespace"
            " and relkind in ('r', 'v', 'm', 'S') order by 1",
        )
    )


KINDS = (
    Kind(16, read, "table"),
    Kind(3, read_nothing),
)
