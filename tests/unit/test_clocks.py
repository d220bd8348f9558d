"""pgcellar.notebook.clocks: what hangs on more than the state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar.notebook import cells, clocks, effects, statements, states

STAGED = "create table s (a text)"
#: Texts that say the clock, and texts put together, which may.
SAID = ("insert into s values ('now')", "insert into s values ('a_today')")
MADE = (
    "insert into s values ('n' || 'ow')",
    "insert into s select substr(a, 2) from s",
    "update s set a = replace(a, 'x', 'o')",
    "insert into s values (E'\\x6eow')",
    "insert into s select '{\"a\": \"\\u006eow\"}'::json ->> 'a'",
    "insert into s values ('nowhere'::varchar(3))",
    "insert into s select trim('xnowx', 'x')",
    "do $$ begin insert into s values ('n' || 'ow'); end $$",
)
#: Texts that only what they are loaded from can make say anything.
WHOLE = (
    "insert into s values ('2020-01-01'), ('known')",
    "insert into s select lower(trim(a)) from s",
    "insert into s select a from s where length(a) > 3",
    "insert into s select generate_series(1, 3)::text",
    "create table k (d date, z timestamptz default '2020-01-01'::timestamptz)",
    "create function twice(n int) returns int language sql as 'select 2 * n'",
)
READERS = (
    "create table u as select a::timestamptz as z from s",
    "create table u as select cast(a as date) as d from s",
    "insert into k select date(a) from s",
    "alter table s alter a type timestamptz using a::timestamptz",
    "create table u as select j.d from s, json_to_record(s.a::json) as j (d date)",
    "create table u as select * from s, json_table(s.a::jsonb, '$' columns (d date path '$.a')) j",
    "create table u as select a::tstzrange from s",
    "create table u as select array_agg(a)::timestamptz[] from s",
    "create table u as select a::mydomain from s",
    "create view v as select a::date as d from s",
    "do $$ declare d date; x text; begin select a into x from s; d := x; end $$",
)
TIMELESS = (
    "create table u as select a::int, a::numeric(4, 1), a::text, a::jsonb, a::uuid from s",
    "create table u as select '2020-01-01'::date as d",
    "create table k (d date, z timestamptz)",
    "create table u as select * from s, json_to_record(s.a::json) as j (d int)",
    "insert into k select date_trunc('month', z), z + interval '1 day' from k",
)


def volatile(*texts: str, digests: dict[str, str] | None = None) -> bool:
    """Whether the last of these statements is volatile below the others."""
    mark = states.Mark(state="0")
    steps = [step for text in texts for step in cells.parse(text).steps]
    for step in steps[:-1]:
        mark = states.advance(mark, step)
    return mark.volatile(steps[-1])


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_below_what_makes_texts(reader: str) -> None:
    assert not volatile(STAGED, reader)
    for text in (*SAID, *MADE):
        assert volatile(STAGED, text, "insert into s values ('x')", reader), text
    for text in WHOLE:
        assert not volatile(STAGED, text, reader), text


@pytest.mark.parametrize("text", TIMELESS)
def test_what_reads_no_clock(text: str) -> None:
    for above in (*SAID, *MADE):
        assert not volatile(STAGED, above, text), above


def test_in_one_statement() -> None:
    assert volatile("create table u as select ('n' || 'ow')::timestamptz as z")
    assert volatile("create table u as select split_part(a, ' ', 1)::date from s")
    assert volatile("create table u as select concat(a, '')::date from s")
    assert not volatile("create table u as select d::date from generate_series(1, 2) d")


def test_a_function_that_reads() -> None:
    """Whoever calls it reads, and does not show it."""
    function = "create function f(x text) returns date language sql as 'select x::date'"
    assert volatile(function, "create table u as select f('no' || 'w')")
    assert volatile("insert into s values ('no' || 'w')", function, "insert into k select f(a)")
    assert not volatile(function, "insert into k values ('2020-01-01')")
    anything = "do $$ begin execute 'create view v as ' || 'select 1'; end $$"
    assert volatile(anything, "insert into k select * from v")


def test_large_objects_with_numbers() -> None:
    for text in ("lo_create(4711)", "lo_from_bytea(12, '\\x00')", "lo_create ( 007 )"):
        assert not volatile(f"select {text}"), text
    for text in (
        *("lo_create(0)", "lo_creat(-1)", "lo_from_bytea(0, '')", "lo_create(n) from t"),
        *("lo_create(00)", "lo_from_bytea(1 - 1, '')", "lo_from_bytea(- 1 + 1, '')"),
    ):
        assert volatile(f"select {text}"), text


def test_what_shows_the_server() -> None:
    for expression in (
        *("pg_current_snapshot()::text", "pg_current_wal_lsn()", "pg_postmaster_start_time()"),
        *("(select max(backend_start) from pg_stat_activity)", "(select xmin::text from s)"),
        *("(select relfilenode from pg_class limit 1)", "inet_client_port()", "mxid_age('1')"),
        *("query_to_xml('select 1', true, true, '')", "(select count(*) from pg_locks)"),
    ):
        assert volatile(f"create table u as select {expression}"), expression
    for text in (
        "create extension pg_trgm",
        "select setval(pg_get_serial_sequence('t', 'a'), 5)",
        "grant pg_read_all_stats to r",
        "insert into t select pg_typeof(a), pg_sleep(0) from t",
    ):
        assert not volatile(text), text


def test_times_with_the_zone_of_today() -> None:
    """A time without a zone is given one that in summer is another than in winter."""
    made = "create table z (a timetz)"
    for text in (
        "create table u as select '12:00'::timetz as a",
        "create table u as select time with time zone '12:00' as a",
        "create table u as select '12:00'::time(3) with time zone as a",
    ):
        assert volatile(text), text
    assert volatile(made, "insert into z values ('12:00')")
    assert not volatile("create table z (a time, b timestamp with time zone, c timestamptz)")


def test_long_statements() -> None:
    rows = ", ".join(["('2020-01-01', 'some text')"] * (statements.LONG_TEXT // 20))
    assert not volatile("insert into s values ('n' || 'ow')", f"insert into t values {rows}")
    assert volatile(f"insert into t values {rows}, ('now', '')")
    rows = rows.replace("'some text'", "('n' || 'ow')::timestamptz", 1)
    assert volatile(f"insert into t values {rows}")


# --- files -----------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from([b"1,2020-01-01\n", b"known,nowhere,", b"NULL", b" ", b"x"])),
    st.sampled_from(
        [
            *(b"now", b"Today", b"TOMORROW", b"yesterday", b"\\x6eow", b"\\u006eow"),
            # A backslash before a letter, white space by name, CSV's quotes within a field.
            *(b"n\\ow", b"\\ttoday", b"yeste\\Rda\\y", b'n"o"w', b"\\156OW"),
        ]
    ),
    st.sampled_from([b",", b"\n", b"_", b"", b"1"]),
    st.integers(1, 40),
)
def test_search(rest: list[bytes], word: bytes, beside: bytes, size: int) -> None:
    without = b",".join(rest)
    assert not found(without, size)
    assert found(without + b"," + word + beside, size)
    assert found(word + b"," + without, size)


def test_words_that_are_spelled_otherwise() -> None:
    for text in (
        *("insert into t values (e'n\\ow')", "insert into t values ('n'\n  'ow')"),
        *("insert into t values (e'\\ttoday')", "copy t from '/f' csv quote 'x'"),
        "copy t from '/f' with (format csv, quote 'x')",
    ):
        assert volatile(text), text
    for text in (
        *("insert into t values (e'known\\n', 'c:\\new')", "insert into t values ('a'\n 'b')"),
        *("copy t from '/f' csv quote '\"'", "select quote from t"),
    ):
        assert not volatile(text), text


def found(data: bytes, size: int) -> bool:
    """Whether a file says one of the words, read in blocks of a size."""
    search = clocks.Search()
    for start in range(0, len(data), size):
        search.feed(data[start : start + size])
    search.end()
    return search.found


def test_a_file_that_says_the_clock() -> None:
    (copy,) = statements_of_copy()
    mark = states.Mark(state="0")
    assert not mark.volatile(copy, "12ab")
    assert mark.volatile(copy, f"12ab{clocks.MARK}")
    after = states.advance(mark, copy, f"12ab{clocks.MARK}", "roll")
    (reader,) = cells.parse(READERS[0]).steps
    assert after.volatile(reader)
    assert not states.advance(mark, copy, "12ab").volatile(reader)


def statements_of_copy() -> tuple[cells.Step, ...]:
    """A `\\copy` as a step."""
    text = "\\copy s from 'f.csv'"
    statement = statements.Statement(kind="meta", text=text, start=0, canonical=text)
    return (cells.Step(statement=statement, effect=effects.predict(statement)),)
