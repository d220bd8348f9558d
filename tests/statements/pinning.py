"""What ties a state to its connection: temporary objects, cursors, advisory locks."""

from __future__ import annotations

from tests.statements.author import Author, Kind

TEMPORARY = ("ta", "tb")
CURSORS = ("k1", "k2")


def create_temporary(author: Author) -> str:
    name = author.pick(TEMPORARY)
    if name in author.model.temporary:
        return use_temporary(author, name)
    inside = author.model.begun is not None
    how = author.pick(["preserve", "preserve", "delete", *(["drop"] if inside else [])])
    author.model.temporary[name] = how
    at_commit = {
        "preserve": author.pick(("", " on commit preserve rows")),
        "delete": " on commit delete rows",
        "drop": " on commit drop",
    }[how]
    if author.model.tables and author.number(0, 2) == 0:
        table = author.table()
        return f"create temp table {name}{at_commit} as select id::integer, n, s from {table}"
    key = author.pick(("integer", "integer", "serial"))
    return f"create temporary table {name} (id {key}, n bigint default 4, s text){at_commit}"


def use_temporary(author: Author, name: str | None = None) -> str:
    if not author.model.temporary:
        return create_temporary(author)
    name = name or author.pick(sorted(author.model.temporary))
    if name not in TEMPORARY:
        return f"select count(*) from pg_temp.{name}"
    number = author.fresh()
    choices = [
        f"insert into {name} (id, n, s) values ({number}, {number % 7}, 'temp')",
        f"insert into {name} (id) select i from generate_series({number}, {number + 3}) i",
        f"select id, n, s from {name} order by id, n, s",
        f"select id, n, s from {name} order by id, n, s",
        f"update {name} set n = n + 1 where id % 2 = 0",
        f"delete from {name} where id % 5 = 0 returning id",
        f"create index on {name} (id)",
        f"select count(*) from {name}",
    ]
    if author.model.tables:
        table = author.table()
        choices.append(f"select count(*) from {table} x join {name} y using (id)")
        if author.model.tables[table].key == "none":
            choices.append(f"insert into {table} (id, n, s) select id, n, s from {name}")
    return author.pick(choices)


def drop_temporary(author: Author) -> str:
    if not author.model.temporary:
        return create_temporary(author)
    name = author.pick(sorted(author.model.temporary))
    del author.model.temporary[name]
    return f"drop table pg_temp.{name} cascade"


def shadow(author: Author) -> str:
    """A temporary table with the name of another, which is no longer to be seen."""
    name = author.pick(sorted(author.model.tables))
    if name in author.model.temporary:
        return drop_temporary(author)
    author.model.temporary[name] = "preserve"
    return f"create temp table {name} (id integer, n bigint, s text, x integer, y text)"


def temporary_other(author: Author) -> str:
    number = author.fresh()
    return author.pick(
        (
            f"create temp view tv{number} as select {number} as number;"
            f" select number from tv{number}",
            f"create temp sequence ts{number}; select nextval('ts{number}')",
            f"create function pg_temp.tf{number}() returns integer language sql"
            f" as 'select {number}'; select pg_temp.tf{number}()",
            f"create type pg_temp.tt{number} as (x integer)",
            f"create temp table tx{number} (x integer); drop table tx{number}",
        )
    )


def hold_cursor(author: Author) -> str:
    """One that outlives its transaction, or one that does not."""
    inside = author.model.begun is not None
    prefix = "t_" if inside and author.number(0, 1) == 0 else "h_"
    name = prefix + author.pick(CURSORS)
    if name in author.model.held:
        return fetch(author, name)
    author.model.held.add(name)
    hold = "with hold " if prefix == "h_" else ""
    query = "select i, i * i as square from generate_series(1, 6) i"
    if author.model.tables and author.number(0, 2):
        query = f"select id, n, s from {author.table()} order by id, n, s"
    return f"declare {name} scroll cursor {hold}for {query}"


def fetch(author: Author, name: str | None = None) -> str:
    names = sorted(n for n in author.model.held if n[2:] in CURSORS)
    if not names:
        return hold_cursor(author)
    name = name or author.pick(names)
    if author.number(0, 6) == 0:
        author.model.held.discard(name)
        return f"close {name}"
    return author.pick(
        (
            f"fetch 2 from {name}",
            f"fetch next in {name}",
            f"fetch all from {name}",
            f"fetch backward 1 from {name}",
            f"fetch first from {name}",
            f"move 2 in {name}",
            f"fetch absolute 2 from {name}",
            "select name, is_holdable, is_scrollable from pg_cursors where name like '%k_'"
            " order by name",
        )
    )


def at_cursor(author: Author) -> str:
    """Rows changed where a cursor stands, which may be before the first one, or behind the last."""
    name = "t_rows"
    if name not in author.model.held:
        author.model.held.add(name)
        table = author.pick(sorted(author.model.tables))
        return (
            f"declare {name} cursor for select id, n, s from {table} order by id, n, s for update"
        )
    table = author.table()
    if author.number(0, 9) == 0:
        author.model.held.discard(name)
        return f"close {name}"
    return author.pick(
        (
            f"fetch 1 from {name}",
            f"fetch 1 from {name}",
            f"move 1 in {name}; update {table} set n = 77 where current of {name}",
            f"update {table} set n = coalesce(n, 0) + 1 where current of {name} returning id, n",
            f"delete from {table} where current of {name}",
        )
    )


def close_all(author: Author) -> str:
    author.model.held -= {n for n in author.model.held if n[:2] in ("t_", "h_")}
    return "close all"


def lock(author: Author) -> str:
    author.model.held.add("locks")
    number = author.number(1, 3)
    return author.pick(
        (
            f"select pg_advisory_lock({number})",
            f"select pg_try_advisory_lock({number})",
            f"select pg_advisory_lock_shared({number}, 7)",
            f"select pg_advisory_xact_lock({number})",
            f"do $$ begin perform pg_advisory_lock({number}); end $$",
        )
    )


def unlock(author: Author) -> str:
    number = author.number(1, 3)
    return author.pick(
        (
            f"select pg_advisory_unlock({number})",
            f"select pg_advisory_unlock({number})",
            "select pg_advisory_unlock_all()",
            "select classid, objid, objsubid, mode from pg_locks where locktype = 'advisory'"
            " and pid = pg_backend_pid() order by 1, 2, 3, 4",
        )
    )


KINDS = (
    Kind(5, create_temporary),
    Kind(7, use_temporary),
    Kind(2, drop_temporary),
    Kind(1, shadow, "table"),
    Kind(1, temporary_other),
    Kind(2, hold_cursor),
    Kind(4, hold_cursor, "", "inside"),
    Kind(7, fetch),
    Kind(1, close_all),
    Kind(10, at_cursor, "table", "inside"),
    Kind(2, lock),
    Kind(5, unlock, "locks"),
)
