"""Functions, procedures, triggers and policies."""

from __future__ import annotations

from tests.statements import rows, tables
from tests.statements.author import Author, Kind


def create_function(author: Author) -> str:
    table = author.table()
    made = author.model.tables[table].key == "made"
    number = author.number(1, 40)
    # Downwards from the least id, where no insert gives any.
    logged = (
        f"insert into {table} (n, s) values ({number}, 'log') returning 1"
        if made
        else f"insert into {table} (id, s) select least(min(id), 0) - 1, 'log' from {table}"
        " returning id"
    )
    tried = (
        f"insert into {table} (n) values ({number})"
        if made
        else f"insert into {table} (id) values ({number})"
    )
    bodies = {
        "f_pure": "integer language sql immutable as $$ select 6 * 7 $$",
        "f_count": f"bigint language sql stable as $$ select count(*) from {table} $$",
        "f_log": f"integer language sql volatile as $$ {logged} $$",
        "f_try": f"text language plpgsql as $$ begin {tried}; return 'done';"
        " exception when others then return 'caught ' || sqlstate; end $$",
        "f_update": f"void language plpgsql as $$ begin execute"
        f" 'update {table} set n = {number} where id = 1'; end $$",
        # What its literals mean, a session remembers.
        "f_date": "text language plpgsql as $$ begin return '01/02/2024'::date - date '2024-01-01'"
        " || ', ' || ('2024-01-01 12:00'::timestamptz at time zone 'UTC')::time; end $$",
        "f_set": "text language sql as $$ select set_config('work_mem', '7MB', false) $$",
    }
    if author.model.sequences:
        sequence = author.sequence()
        bodies["f_next"] = f"bigint language sql as $$ select nextval('{sequence}') $$"
        bodies["f_quiet"] = (
            f"integer language plpgsql as $$ begin perform nextval('{sequence}');"
            " perform 1 / 0; return 1; exception when others then return 0; end $$"
        )
    # Those that a reader of `select f()` would not suspect come more often.
    sly = sorted(bodies.keys() & {"f_log", "f_next", "f_quiet", "f_try"})
    name = author.pick([*sorted(bodies), *sly])
    author.model.functions[name] = {table}
    return f"create or replace function {name}() returns {bodies[name]}"


def call_function(author: Author) -> str:
    name = author.pick(sorted(author.model.functions))
    return author.pick(
        (
            f"select {name}()",
            f"select {name}()",
            f"select i, {name}() from generate_series(1, 2) i",
            f"select case when 1 < 2 then {name}()::text end as c",
            f"do $$ begin perform {name}(); end $$",
            f"select 1 as one where {name}() is not null",
        )
    )


def drop_function(author: Author) -> str:
    name = author.pick(sorted(author.model.functions))
    del author.model.functions[name]
    author.model.views = {v: on for v, on in author.model.views.items() if v == "m1"}
    return f"drop function {name}() cascade"


def procedure(author: Author) -> str:
    name = author.table()
    return (
        "create or replace procedure p_commit() language plpgsql as $$ begin"
        f" update {name} set n = 1 where id = 2; commit;"
        f" update {name} set n = n + 1 where id = 2; end $$; call p_commit()"
    )


def trigger(author: Author) -> str:
    name = author.table()
    table = author.model.tables[name]
    if table.triggered:
        return rows.insert(author)
    table.triggered = True
    if author.number(0, 1) == 0:
        body, when = "new.n := coalesce(new.n, 0) + 1000; return new;", "before insert"
    else:
        body, when = "insert into log values (tg_op || new.id); return null;", "after update"
    return (
        "create table if not exists log (entry text);"
        f" create or replace function t_{name}() returns trigger language plpgsql"
        f" as $$ begin {body} end $$;"
        f" create trigger t_{name} {when} on {name} for each row execute function t_{name}()"
    )


def policy(author: Author) -> str:
    if not author.model.tables:
        return tables.create_table(author)
    name = author.table()
    table = author.model.tables[name]
    if table.policed or "f_next" not in author.model.functions:
        return call_function(author)
    table.policed = True
    return (
        f"alter table {name} enable row level security, force row level security;"
        f" create policy p on {name} using (f_next() is not null)"
    )


def anonymous(author: Author) -> str:
    name = author.table()
    body = author.pick(
        (
            f"update {name} set n = 5 where id = 5; raise notice 'updated %', 5;",
            "for i in 1..3 loop raise notice 'round %', i; end loop;",
            f"delete from {name} where id = 2; perform 1 / 0;"
            " exception when division_by_zero then null;",
        )
    )
    return f"do $$ begin {body} end $$"


KINDS = (
    Kind(10, create_function, "table"),
    Kind(24, call_function, "function"),
    Kind(1, drop_function, "function"),
    Kind(1, procedure, "table", "outside"),
    Kind(3, trigger, "table"),
    Kind(3, policy, "function"),
    Kind(2, anonymous, "table"),
)
