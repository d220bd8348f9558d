"""Maintenance, commits in procedures, large objects, COPY and EXPLAIN."""

from __future__ import annotations

from tests.statements.author import Author, Kind

#: Large objects have numbers of our choice.
NUMBERS = (7001, 7002)
PLAIN = "analyze, timing off, summary off, costs off, buffers off"


def maintain(author: Author) -> str:
    """What can't be in a transaction."""
    name, number = author.table(), author.number(1, 3)
    return author.pick(
        (
            f"vacuum {name}",
            f"vacuum (analyze, freeze) {name}",
            f"vacuum full {name}",
            f"create index concurrently if not exists ci{number}_{name} on {name} (n)",
            f"create index concurrently if not exists cu{number}_{name} on {name} (id, n)"
            " where n > 3",
            f"drop index concurrently if exists ci{number}_{name}",
            f"reindex table concurrently {name}",
            f"vacuum {name}; analyze {name}",
        )
    )


def arrange(author: Author) -> str:
    name = author.table()
    return author.pick((f"reindex table {name}", f"analyze {name} (id, n)", f"analyze {name}"))


def committing(author: Author) -> str:
    """Commits and rollbacks inside."""
    name, number = author.table(), author.number(1, 20)
    return author.pick(
        (
            f"do $$ begin update {name} set n = {number} where id = 1; commit;"
            f" update {name} set n = 0 where id = 1; rollback; end $$",
            "create table if not exists log (entry text); do $$ begin for i in 1..3 loop"
            " insert into log values ('round ' || i); if i % 2 = 1 then commit; else rollback;"
            " end if; end loop; end $$",
            "create table if not exists log (entry text); create or replace procedure p_in(inout"
            " x integer) language plpgsql as $$ begin insert into log values ('p' || x); commit;"
            f" x := x * 2; end $$; call p_in({number})",
        )
    )


def large_object(author: Author) -> str:
    number = author.pick(NUMBERS)
    name = f"lo{number}"
    if name not in author.model.others:
        author.model.others.add(name)
        return f"select lo_from_bytea({number}, '\\x0102{author.number(10, 99)}')"
    if author.number(0, 7) == 0:
        author.model.others.discard(name)
        return f"select lo_unlink({number})"
    return author.pick(
        (
            f"select lo_get({number})",
            f"select lo_get({number}, 1, 2)",
            f"select lo_put({number}, {author.number(0, 3000)}, 'abc')",
            f"comment on large object {number} is 'large {author.number(1, 9)}'",
            f"grant select on large object {number} to public",
            f"select length(lo_get({number}))",
            f"do $$ begin perform lo_put({number}, 0, 'do'); end $$",
        )
    )


def descriptor(author: Author) -> str:
    """A large object that is open, up to the end of the transaction; the first one is 0."""
    model, number = author.model, author.number(0, 30)
    if "t_descriptor" not in model.held:
        objects = sorted(name for name in model.others if name[:2] == "lo" and name[2:].isdigit())
        if not objects:
            return f"{large_object(author)}; {descriptor(author)}"
        model.held.add("t_descriptor")
        return f"select lo_open({author.pick(objects)[2:]}, 393216)"
    if author.number(0, 9) == 0:
        model.held.discard("t_descriptor")
        return "select lo_close(0)"
    return author.pick(
        (
            f"select loread(0, {number})",
            f"select loread(0, {number}) as bytes, lo_tell(0) as place",
            f"select lowrite(0, '\\x{number:02x}ff')",
            f"select lo_lseek(0, {number}, 0)",
            f"select lo_lseek64(0, -{number % 3}, 2), lo_tell64(0)",
            f"select lo_truncate(0, {number})",
            "select lo_lseek(0, 0, 0); select loread(0, 4)",
        )
    )


def at_once(author: Author) -> str:
    """Opened and read in one statement, which is a transaction."""
    number = author.pick(NUMBERS)
    if f"lo{number}" not in author.model.others:
        return large_object(author)
    return author.pick(
        (
            f"select loread(lo_open({number}, 262144), 3)",
            f"select lowrite(lo_open({number}, 131072), 'xy')",
        )
    )


def copy_out(author: Author) -> str:
    name = author.table()
    return author.pick(
        (
            "copy (values (1, 'x'), (2, null)) to stdout",
            f"copy (select count(*), max(n) from {name}) to stdout with (format csv, header)",
            f"copy (select count(*) as n from {name}) to stdout (format csv, header)",
        )
    )


def explain(author: Author) -> str:
    """Plans that nothing but the statement decides; with ANALYZE it runs."""
    name = author.table()
    calls = sorted(author.model.functions)
    choices = [
        "explain (costs off) select 1",
        "explain (costs off, verbose) select i from generate_series(1, 3) i where i > 1",
        "explain (costs off, format json) values (1), (2)",
        f"explain ({PLAIN}) delete from {name}",
        f"explain (costs off) insert into {name} (id) values (1)",
        f"explain ({PLAIN}) update {name} set s = 'explained'",
        f"explain ({PLAIN}) create table ex{author.fresh()} as select 1 as x",
    ]
    if author.model.tables[name].key == "given":
        table = author.model.tables[name]
        table.next_id += 1
        choices += [f"explain ({PLAIN}) insert into {name} (id, n) values ({table.next_id - 1}, 1)"]
    if calls:
        choices += [f"explain ({PLAIN}) select {author.pick(calls)}()"] * 3
    if author.model.sequences:
        choices += [f"explain ({PLAIN}) select nextval('{author.sequence()}')"] * 2
    return author.pick(choices)


KINDS = (
    Kind(4, maintain, "table", "outside"),
    Kind(2, arrange, "table"),
    Kind(2, committing, "table", "outside"),
    Kind(4, large_object),
    Kind(10, descriptor, "", "inside"),
    Kind(2, at_once),
    Kind(2, copy_out, "table"),
    Kind(3, explain, "table"),
)
