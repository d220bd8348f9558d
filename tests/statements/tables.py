"""Tables: made, altered, dropped, decorated."""

from __future__ import annotations

from tests.statements import model, reads
from tests.statements.author import Author, Kind


def create_table(author: Author) -> str:
    name = author.pick([t for t in model.TABLES if t not in author.model.tables] or model.TABLES)
    exists = "if not exists " if name in author.model.tables else ""
    key, column = author.pick(
        [
            ("given", "id integer primary key"),
            ("given", "id integer primary key"),
            ("made", "id serial primary key"),
            ("made", "id integer generated always as identity primary key"),
            ("none", "id integer"),
        ]
    )
    columns = [column, "n bigint", "s text"]
    table = model.Table(key=key)
    if author.model.sequences and author.number(0, 3) == 0:
        columns[1] = f"n bigint default nextval('{author.sequence()}')"
    if "mood" in author.model.others and author.number(0, 1) == 0:
        columns.append("m mood default 'ok'")
    if "positive" in author.model.others and author.number(0, 2) == 0:
        columns.append("p positive default 1")
    author.model.tables.setdefault(name, table)
    return f"create table {exists}{name} ({', '.join(columns)})"


def create_table_from(author: Author) -> str:
    source = author.table()
    free = [t for t in model.TABLES if t not in author.model.tables]
    if not free:
        return reads.read(author)
    name = author.pick(free)
    author.model.tables[name] = model.Table(key="none", next_id=author.model.tables[source].next_id)
    if author.number(0, 2) == 0:
        return f"select id, n, s into {name} from {source} where id < 50"
    return f"create table {name} as select id, n * 2 as n, s from {source}"


def drop_table(author: Author) -> str:
    name = author.table()
    needed = any(name in on for on in author.model.views.values())
    author.model.forget(name)
    return f"drop table {name}{' cascade' if needed else ''}"


def alter_table(author: Author) -> str:
    name = author.table()
    table = author.model.tables[name]
    column = author.pick(("x", "y"))
    if column in table.extra:
        table.extra.discard(column)
        return f"alter table {name} drop column {column} cascade"
    table.extra.add(column)
    default = author.pick(("", " default 7", " not null default 'é'", " default null"))
    kind = "text" if "é" in default else "integer"
    return f"alter table {name} add column {column} {kind}{default}"


def rename_table(author: Author) -> str:
    name = author.table()
    free = [t for t in model.TABLES if t not in author.model.tables]
    if not free:
        return reads.read(author)
    new = author.pick(free)
    table = author.model.tables[name]
    views = {v: {new if t == name else t for t in on} for v, on in author.model.views.items()}
    author.model.forget(name)
    author.model.views, author.model.tables[new] = views, table
    return f"alter table {name} rename to {new}"


def decorate(author: Author) -> str:
    name = author.table()
    number = author.number(0, 9)
    return author.pick(
        (
            f"create index on {name} (n, id)",
            f"create unique index if not exists {name}_{number} on {name} (id, n, s)",
            f"alter table {name} add check (n < {10**9 + number})",
            f"comment on table {name} is 'number {number}; or so'",
            f"comment on column {name}.s is null",
            f"alter table {name} alter column s set default 'd{number}'",
            f"grant select on {name} to public",
        )
    )


def truncate(author: Author) -> str:
    return f"truncate {author.table()}{author.pick(('', ' restart identity'))}"


def create_type(author: Author) -> str:
    name = author.pick(("mood", "positive"))
    if name in author.model.others:
        return "alter type mood add value if not exists 'great' after 'ok'; select 'ok'::mood"
    author.model.others.add(name)
    if name == "mood":
        return "create type mood as enum ('bad', 'ok')"
    return "create domain positive as integer check (value > 0)"


KINDS = (
    Kind(10, create_table),
    Kind(2, create_table_from, "table"),
    Kind(2, drop_table, "table"),
    Kind(4, alter_table, "table"),
    Kind(1, rename_table, "table"),
    Kind(4, decorate, "table"),
    Kind(1, truncate, "table"),
    Kind(1, create_type),
)
