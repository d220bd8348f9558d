"""Rows: inserted, updated, deleted, merged."""

from __future__ import annotations

from tests.statements.author import Author, Kind

TEXTS = ("'x'", "'null'", "''", "null", "'it''s; -- no comment'", "'Zoë'", "$q$a 'b'; c$q$")


def _values(author: Author, name: str, id_: int) -> str:
    value = author.pick(("null", "0", str(author.number(1, 99))))
    if author.model.sequences and author.number(0, 4) == 0:
        value = f"nextval('{author.sequence()}')"
    ids = "" if author.model.tables[name].key == "made" else f"{id_}, "
    return f"({ids}{value}, {author.pick(TEXTS)})"


def insert(author: Author) -> str:
    name = author.table()
    table = author.model.tables[name]
    count = author.number(1, 3)
    rows = [_values(author, name, table.next_id + i) for i in range(count)]
    table.next_id += count
    columns = "n, s" if table.key == "made" else "id, n, s"
    returning = author.pick(("", "", " returning id, n, s"))
    return f"insert into {name} ({columns}) values {', '.join(rows)}{returning}"


def insert_many(author: Author) -> str:
    name = author.table()
    table = author.model.tables[name]
    first = table.next_id
    last = first + author.number(1, 9)
    table.next_id = last + 1
    if table.key == "made":
        columns, given = "n, s", "i * 3, 'row ' || i"
    else:
        columns, given = "id, n, s", "i, i * 3, 'row ' || i"
    return f"insert into {name} ({columns}) select {given} from generate_series({first}, {last}) i"


def insert_from(author: Author) -> str:
    source, name = author.table(), author.table("given")
    table = author.model.tables[name]
    base = table.next_id
    table.next_id += 100
    return (
        f"insert into {name} (id, n, s) select {base} + row_number() over (order by id, n, s),"
        f" n, s from (select * from {source} order by id, n, s limit 20) _ order by id, n, s"
    )


def upsert(author: Author) -> str:
    name = author.table("given")
    id_ = author.number(1, max(1, author.model.tables[name].next_id - 1))
    # Should it be new, it must not be given once more.
    author.model.tables[name].next_id = max(author.model.tables[name].next_id, id_ + 1)
    action = author.pick(("nothing", "update set n = coalesce(t.n, 0) + excluded.n"))
    return f"insert into {name} as t (id, n) values ({id_}, 5) on conflict (id) do {action}"


def update(author: Author) -> str:
    name = author.table()
    change = author.pick(("n = coalesce(n, 0) + 1", "s = s || '!'", "s = null, n = id"))
    if author.model.sequences and author.number(0, 3) == 0:
        # Of one row: the order in which rows of a table are met is nobody's promise.
        change = f"n = nextval('{author.sequence()}')"
        return f"update {name} set {change} where id = {author.number(1, 9)} returning n"
    return f"update {name} set {change} where id % {author.number(2, 4)} = 0"


def delete(author: Author) -> str:
    return f"delete from {author.table()} where id % {author.number(3, 6)} = {author.number(0, 2)}"


def write_in_cte(author: Author) -> str:
    name = author.table()
    change = author.pick(
        (
            f"update {name} set n = id * 2 where id < 4 returning id, n",
            f"delete from {name} where id > {author.number(3, 30)} returning id, n",
        )
    )
    return f"with w as ({change}) select id, n from w order by id, n"


def merge(author: Author) -> str:
    name = author.table("given")
    new = author.model.tables[name].next_id
    author.model.tables[name].next_id += 1
    return (
        f"merge into {name} t using (values (1, 7), ({new}, 8)) as u (id, n) on t.id = u.id"
        " when matched then update set n = u.n"
        " when not matched then insert (id, n) values (u.id, u.n)"
    )


def dated(author: Author) -> str:
    name = author.table("given")
    table = author.model.tables[name]
    table.next_id += 1
    stamp = "'2024-07-01 12:00+00'::timestamptz::text"
    return f"insert into {name} (id, s) values ({table.next_id - 1}, {stamp})"


KINDS = (
    Kind(14, insert, "table"),
    Kind(6, insert_many, "table"),
    Kind(3, insert_from, "given"),
    Kind(4, upsert, "given"),
    Kind(7, update, "table"),
    Kind(4, delete, "table"),
    Kind(3, write_in_cte, "table"),
    Kind(2, merge, "given"),
    Kind(2, dated, "given"),
)
