"""pgcellar_kernel.completion: what is offered at a cursor, and in which order."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pgcellar.api import names
from pgcellar_kernel import completion
from pgcellar_kernel.language import candidates, catalog, definitions

SCHEMA = """
create schema shop; create schema "Odd";
create table customers (id int primary key, name text, city text, "Full Name" text);
create table orders (id int primary key, customer_id int references customers (id), total numeric,
                     placed timestamptz, "order" int);
create table shop.items (order_id int, sku text, price numeric(10, 2));
create table "Odd"."T t" (a int);
create view big_orders as select o.id, o.total as amount, c.name from orders o
                          join customers c on c.id = o.customer_id where o.total > 100;
create type mood as enum ('good', 'bad');
create domain positive as int;
create function tax(amount numeric, rate numeric default 0.2) returns numeric language sql as $$
    select amount * rate $$;
"""
VOCABULARY = names.Vocabulary(
    base="b",
    relations=(),
    routines=tuple(
        names.RoutineInfo(
            schema="pg_catalog", name=name, kind=kind, arguments=arguments, returns=returns,
            comment=f"about {name}",
        )
        for name, kind, arguments, returns in [
            ("count", "aggregate", "", "bigint"),
            ("count", "aggregate", "\"any\"", "bigint"),
            ("lower", "function", "text", "text"),
            ("now", "function", "", "timestamp with time zone"),
            ("generate_series", "function", "integer, integer", "SETOF integer"),
            ("json_each", "function", "from_json json, OUT key text, OUT value json",
             "SETOF record"),
        ]
    ),
    types=tuple(
        names.TypeInfo(schema="pg_catalog", name=name, kind="type")
        for name in ("int4", "text", "numeric", "timestamptz", "tsvector", "point")
    ),
    keywords=tuple(
        names.KeywordInfo(word=word, category=category)
        for word, category in [
            ("select", "R"), ("from", "R"), ("order", "R"), ("table", "R"), ("user", "R"),
            ("where", "R"), ("group", "R"), ("left", "T"), ("between", "C"), ("name", "U"),
            ("limit", "R"), ("lateral", "R"), ("total", "U"), ("unlogged", "U"),
        ]
    ),
    settings=(
        names.SettingInfo(name="search_path", type="string"),
        names.SettingInfo(name="work_mem", type="integer", comment="memory for sorts"),
        names.SettingInfo(name="enable_seqscan", type="bool"),
    ),
)  # fmt: skip
KNOWN = definitions.over(catalog.of_names(None, catalog.words(VOCABULARY)), [SCHEMA])


def at(code: str, known: catalog.Catalog = KNOWN) -> completion.Answer:
    """What is offered at the mark `|`."""
    cursor = code.index("|")
    return completion.complete(code[:cursor] + code[cursor + 1 :], cursor, known)


def texts(code: str, known: catalog.Catalog = KNOWN) -> list[str]:
    """The texts of what is offered."""
    return [match.text for match in at(code, known).matches]


@pytest.mark.parametrize(
    ("code", "first"),
    [
        # Tables first where a table is to come.
        ("select * from |", ["big_orders", "customers", "orders"]),
        ("select * from o|", ["orders"]),
        ("select * from cust|", ["customers"]),
        ("select * from customers, |", ["orders", "big_orders", "customers"]),
        ("select * from customers c left join |", ["orders"]),
        ("select * from customers c join | on true", ["orders"]),
        ("update |", ["big_orders", "customers", "orders"]),
        ("insert into |", ["big_orders", "customers", "orders"]),
        ("delete from |", ["big_orders", "customers", "orders"]),
        ("alter table |", ["big_orders", "customers", "orders"]),
        ("drop table if exists |", ["big_orders", "customers", "orders"]),
        ("truncate |", ["big_orders", "customers", "orders"]),
        ("copy |", ["big_orders", "customers", "orders"]),
        ("create index on |", ["big_orders", "customers", "orders"]),
        ("merge into |", ["big_orders", "customers", "orders"]),
        ("comment on table |", ["big_orders", "customers", "orders"]),
        ("grant select on |", ["big_orders", "customers", "orders"]),
        ("explain analyze select * from |", ["big_orders", "customers", "orders"]),
        ("create view v as select * from |", ["big_orders", "customers", "orders"]),
        ("select * from (select * from |", ["big_orders", "customers", "orders"]),
        ("select * from i|", ["shop.items"]),
        ("select * from shop.|", ["items"]),
        ("select * from shop.i|", ["items"]),
        ('select * from "Odd".|', ['"T t"']),
        ("create table x (a int references |", ["big_orders", "customers", "orders"]),
        # Columns first where a value is to come.
        ("select | from orders", ["id", "customer_id", "total", "placed", '"order"', "orders"]),
        ("select id, | from orders", ["id", "customer_id"]),
        ("select t| from orders", ["total"]),
        ("select o.| from orders o", ["id", "customer_id", "total", "placed", '"order"']),
        ("select o.t| from orders as o", ["total"]),
        ("select * from orders o where o.|", ["id", "customer_id"]),
        ("select * from orders where |", ["id", "customer_id"]),
        ("select * from orders where total > 1 and |", ["id", "customer_id"]),
        ("select * from orders where (|", ["id", "customer_id"]),
        ("select count(|) from orders", ["id", "customer_id"]),
        ("select lower(o.|) from orders o", ["id", "customer_id"]),
        ("select case when | from orders", ["id", "customer_id"]),
        ("select * from orders group by |", ["id", "customer_id"]),
        ("select * from orders order by to|", ["total"]),
        ("select * from orders o, customers c where c.|", ["id", "name", "city", '"Full Name"']),
        ("select * from customers where f|", ['"Full Name"']),
        ('select * from customers where "F|', ['"Full Name"']),
        ("select x.| from (select id, total as t from orders) x", ["id", "t"]),
        ("select x.| from (values (1, 2)) as x (a, b)", ["a", "b"]),
        ("select i.| from shop.items i", ["order_id", "sku", "price"]),
        ("select shop.items.| from shop.items", ["order_id", "sku", "price"]),
        ("select big_orders.| from big_orders", ["id", "amount", "name"]),
        ("select * from orders o where exists (select from customers c where c.id = o.cu|)",
         ["customer_id"]),
        ("select * from orders o, lateral (select o.| ) x", ["id", "customer_id"]),
        ("select n.| from generate_series(1, 2) n", ["n"]),
        ("select j.| from json_each('{}') j", ["key", "value"]),
        # CTEs.
        ("with x as (select 1 as a, 2 as b) select | from x", ["a", "b"]),
        ("with x as (select 1 as a) select * from |", ["x", "big_orders"]),
        ("with x (p) as (select 1), y as (select * from x) select y.| from y", ["p"]),
        ("with x as (select o.| from orders o) select 1", ["id", "customer_id"]),
        ("with x as (select 1 as a), y as (select | from x) select 1", ["a"]),
        ("with recursive t as (select 1 as n union all select t.| from t) select 1", ["n"]),
        ("with x as (delete from orders returning id, total) select x.| from x", ["id", "total"]),
        # Writing.
        ("update orders set |", ["id", "customer_id", "total", "placed", '"order"']),
        ("update orders set total = 1, |", ["id", "customer_id", "placed"]),
        ("update orders set total = |", ["id", "customer_id"]),
        ("update orders o set total = 1 where o.|", ["id", "customer_id"]),
        ("update orders set total = 1 from customers c where c.|", ["id", "name"]),
        ("insert into orders (|", ["id", "customer_id", "total", "placed", '"order"']),
        ("insert into orders (id, |)", ["customer_id", "total", "placed", '"order"']),
        ("insert into orders as o (id) values (1) on conflict (|", ["id", "customer_id"]),
        ("insert into orders (id) values (1) returning |", ["id", "customer_id"]),
        ("delete from orders where |", ["id", "customer_id"]),
        ("delete from orders o using customers c where c.|", ["id", "name"]),
        ("delete from orders returning |", ["id", "customer_id"]),
        ("select * from orders join customers using (|", ["id"]),
        ("select * from orders o join customers c on |", ["o.customer_id = c.id"]),
        ("alter table orders drop column |", ["id", "customer_id"]),
        ("alter table orders rename column |", ["id", "customer_id"]),
        ("alter table orders alter column t|", ["total"]),
        ("create index on orders (|", ["id", "customer_id"]),
        ("copy orders (|", ["id", "customer_id"]),
        ("create table x (a int, b int references orders (|", ["id", "customer_id"]),
        ("create table x (a int, b int, primary key (|", ["a", "b"]),
        ("comment on column orders.|", ["id", "customer_id"]),
        # Functions, types, schemas, settings.
        ("select ta|", ["tax"]),
        ("select lo|", ["lower"]),
        ("select pg_catalog.lo|", ["lower"]),
        ("call |", ["tax"]),
        ("drop function |", ["tax"]),
        ("select '1'::|", ["mood", "positive", "integer"]),
        ("select '1'::te|", ["text"]),
        ("select cast(1 as |", ["mood", "positive", "integer"]),
        ("create table x (a |", ["mood", "positive", "integer"]),
        ("create table x (a ts|", ["tsvector"]),
        ("create table x (a int, b mo|", ["mood"]),
        ("alter table orders add column x |", ["mood", "positive", "integer"]),
        ("alter table orders alter column total type |", ["mood", "positive", "integer"]),
        ("create function f(a int) returns mo|", ["mood"]),
        ("drop type |", ["mood", "positive"]),
        ("drop schema s|", ["shop"]),
        ("set w|", ["work_mem"]),
        ("show |", ["enable_seqscan", "search_path", "work_mem"]),
        ("set enable_seqscan to |", ["off", "on"]),
        # Keywords by what stands before.
        ("|", ["select"]),
        ("sel|", ["select"]),
        ("SEL|", ["SELECT"]),
        ("select * fr|", ["from"]),
        ("SELECT * FR|", ["FROM"]),
        ("select * from orders wh|", ["where"]),
        ("select * from orders |", ["where", "join", "left join"]),
        ("select * from orders o le|", ["left join"]),
        ("select * from orders where id |", ["and", "or", "is null"]),
        ("select * from orders order |", ["by"]),
        ("select * from orders where id = 1 gr|", ["group by"]),
        ("update orders |", ["set"]),
        ("insert into orders |", ["values", "select"]),
        ("delete |", ["from"]),
        ("create t|", ["table", "type"]),
        ("alter table orders ad|", ["add column"]),
        ("create table x (a int n|", ["not null"]),
        ("insert into orders values (1) on c|", ["conflict"]),
        ("select 1; sel|", ["select"]),
        ("explain |", ["analyze"]),
        ("select count(*) o|", ["over"]),
        # psql.
        ("\\d|", ["\\d", "\\d+"]),
        ("select 1;\n\\dt|", ["\\dt", "\\dt+"]),
        ("select 1 \\ex|", ["\\explain"]),
        ("\\d o|", ["orders"]),
        ("\\d shop.|", ["items"]),
        ("\\copy or|", ["orders"]),
        ("\\df t|", ["tax"]),
        ("\\set since 1\nselect :s|", ["since"]),
        ("\\set since 1\nselect :'s|'", ["since"]),
        ("select 1 as one \\gset\nselect :o|", ["one"]),
        # In the body of a function.
        ("create function g() returns int language sql as $$ select | from orders $$",
         ["id", "customer_id"]),
        ("do $$ begin delete from |", ["big_orders", "customers", "orders"]),
        # Made in the same cell.
        ("create table fresh (k int, v text); select | from fresh", ["k", "v"]),
        ("create temp table fresh as select 1 as k; select * from fr|", ["fresh"]),
        ("alter table orders add column note text; select orders.n| from orders", ["note"]),
        ("drop table orders; select * from o|", []),
        ("set search_path to shop; select * from i|", ["items"]),
    ],
)  # fmt: skip
def test_what_is_offered_first(code: str, first: list[str]) -> None:
    found = texts(code)
    assert found[: len(first)] == first, found[:12]
    if not first:
        assert "orders" not in found


@pytest.mark.parametrize(
    "code",
    [
        "select 'from |'",
        "select 1 -- from |",
        "/* select | */",
        "select * from orders as |",
        "create table |x",
        "select 'it''s |",
        "select e'\\' |'",
    ],
)
def test_nothing_is_offered_where_nothing_is_known(code: str) -> None:
    assert not {"orders", "select", "id"} & set(texts(code)), code


@pytest.mark.parametrize(
    ("code", "begin", "end"),
    [
        ("select * from cust|", 14, 18),
        ("select o.t| from orders o", 9, 10),
        ('select "Fu|" from customers', 7, 11),
        ("select | from orders", 7, 7),
        ("select '😀', t| from orders", 12, 13),
        ("\\d shop.i|", 8, 9),
        ("\\dt|", 0, 3),
        ("select :'x|", 9, 10),
    ],
)
def test_what_is_replaced(code: str, begin: int, end: int) -> None:
    found = at(code)
    assert (found.start, found.end) == (begin, end)


def test_each_match_says_what_it_is() -> None:
    said = {match.text: (match.kind, match.detail) for match in at("select | from orders").matches}
    assert said["total"] == ("column", "numeric · orders")
    assert said["orders"] == ("table", "orders")
    functions = {match.text: match for match in at("select cou|").matches}
    assert functions["count"].detail == "count() → bigint (+1)"
    tax = next(match for match in at("select ta|").matches if match.text == "tax")
    assert tax.detail == "tax(amount numeric, rate numeric default 0.2) → numeric"
    moods = next(match for match in at("select 1::mo|").matches)
    assert moods == candidates.Match(text="mood", kind="type", detail="enum: good, bad")
    reply = at("select to| from orders").reply()
    assert reply["matches"][0] == "total"
    assert reply["metadata"]["_jupyter_types_experimental"][0] == {
        "start": 7, "end": 9, "text": "total", "type": "column", "signature": "numeric · orders",
    }  # fmt: skip


def test_columns_of_two_tables_with_one_name_are_told_apart() -> None:
    found = texts("select | from orders o join customers c on true")
    assert {"o.id", "c.id", "total", "name"} <= set(found)
    assert "id" not in found


def test_names_are_found_along_the_search_path() -> None:
    known = definitions.over(KNOWN, ["create table shop.orders (other int)"])
    assert texts("select orders.| from orders", known)[:1] == ["id"]
    assert "shop.orders" in texts("select * from o|", known)
    moved = definitions.over(known, ["set search_path = shop, public"])
    assert texts("select orders.| from orders", moved) == ["other"]
    assert "public.orders" in texts("select * from o|", moved)
    assert texts("select * from i|", moved)[0] == "items"


def test_without_a_server_there_are_keywords() -> None:
    nothing = catalog.of_names(None, catalog.words(None))
    assert texts("sel|", nothing)[0] == "select"
    assert texts("select 1 fr|", nothing)[0] == "from"
    assert texts('create table "A b" (c int); select * from |', nothing)[0] == '"A b"'


_PIECES = st.sampled_from(
    [
        *("select ", "from ", "where ", "(", ")", ",", ".", "'", '"', "$$", "/*", "*/", "--", "\n"),
        *(
            "with ",
            "as ",
            "insert into ",
            "values ",
            "update ",
            "set ",
            "orders ",
            "o",
            ";",
            "\\d ",
        ),
        *(":", "::", "[", "]", "join ", "on ", "using ", "create table ", "alter table ", "x "),
        *("create function ", "\\gset", "returning ", "union ", "*", "e'", 'U&"', "$a$", "\0"),
        *("drop ", "rename ", "to ", "references ", "primary key ", "like ", "group by ", "é"),
    ]
)


@given(st.text(max_size=60) | st.lists(_PIECES, max_size=25).map("".join), st.integers(-3, 300))
@example('U&"', 1)
def test_any_text_and_cursor_has_an_answer(code: str, cursor: int) -> None:
    found = completion.complete(code, cursor, KNOWN)
    assert 0 <= found.start <= found.end <= max(len(code), 0)
    assert len(found.matches) <= candidates.MOST
    assert len({match.text for match in found.matches}) == len(found.matches)


@pytest.mark.parametrize(
    "piece",
    ["select 1;\n", "(", "'", "insert into t values (1, 'x');\n", "a,", "/*", "$$", '"', "select (",
     "with a as (", "\\", ":", "x.", "case "],
)  # fmt: skip
def test_a_cell_of_ten_megabytes_takes_no_longer(piece: str) -> None:
    code = piece * (10_000_000 // len(piece)) + "\nselect * from orders o where o."
    begin = time.perf_counter()
    completion.complete(code, len(code), KNOWN)
    completion.complete(code, len(code) // 2, KNOWN)
    assert time.perf_counter() - begin < 3
