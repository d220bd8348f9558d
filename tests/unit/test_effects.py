"""No write is ever predicted to be a read."""

from __future__ import annotations

import pytest

from pgcellar.notebook import effects, statements


def predict(text: str) -> effects.Effect:
    """The effect of a text of one statement."""
    (statement,) = statements.split(text)
    return effects.predict(statement)


READS = ["select 1", "table t", "values (1)", "with x as (select 1) select * from x", "show all",
         "explain delete from t", "explain analyze select 1", "select now()"]  # fmt: skip
WRITES = [
    "insert into t values (1)", "update t set a = 1", "delete from t", "truncate t",
    "merge into t using s on t.a = s.a when matched then delete", "create table t (a int)",
    "create table t as select 1", "select 1 into t", "select * from t for update",
    "select (select a from t for share limit 1)", "select nextval('s')", "select setval('s', 1)",
    "with x as (delete from t returning *) select * from x", "call p()", "do $$ begin end $$",
    "select * from (with x as (insert into t values (1) returning a) select 1) y",
    "explain analyze delete from t", "explain (analyze) insert into t values (1)", "vacuum",
    "refresh materialized view m", "comment on table t is 'x'", "grant select on t to public",
    "execute p", "copy t from '/x'", "selec 1", "reindex table t", "analyze t", "lock table t",
]  # fmt: skip
SESSION = [
    "set search_path to a",
    "reset all",
    "discard all",
    "prepare p as select 1",
    "listen x",
    "select set_config('search_path', 'a', false)",
    "notify x",
    "select setseed(0.5)",
]
PINNING = ["begin", "commit", "rollback", "savepoint a", "create temp table t (a int)",
           "create temporary view v as select 1", "declare c cursor with hold for select 1",
           "select pg_advisory_lock(1)", "select 1 into temp t"]  # fmt: skip
GLOBAL = ["create role x", "alter role x login", "drop role x", "grant a to b", "create database d",
          "alter database d set a = b", "alter system set a = b", "drop owned by x",
          "comment on role x is 'y'", "alter role x rename to y",
          "create tablespace t location '/'",
          "grant all on database d to x", "alter database d rename to e"]  # fmt: skip


@pytest.mark.parametrize("text", READS)
def test_reads(text: str) -> None:
    """Which PostgreSQL is asked about once more."""
    assert predict(text).name == "read"


@pytest.mark.parametrize(
    ("texts", "name"), [(WRITES, "write"), (SESSION, "session"), (PINNING, "pinning")]
)
def test_effects(texts: list[str], name: str) -> None:
    """By the kind of statement."""
    assert {text: predict(text).name for text in texts} == dict.fromkeys(texts, name)


@pytest.mark.parametrize("text", GLOBAL)
def test_global_statements_are_refused_with_a_hint(text: str) -> None:
    """They reach beyond the database."""
    effect = predict(text)
    assert effect.name == "global"
    assert effect.refusal
    assert effect.hint


def test_bindings() -> None:
    """What depends on the session beyond what is restored."""
    assert predict("select currval('s')").binding == "base"
    assert predict("set app.name = '1'").binding == "pinned"
    assert predict("select set_config('app.name', '1', false)").binding == "pinned"
    assert predict("select set_config('search_path', '', false)").binding == "free"
    assert predict("select set_config('app' || '.x', '1', false)").binding == "pinned"
    assert predict("set work_mem = '1MB'").binding == "free"


def test_words_are_unknown_where_a_name_may_hide() -> None:
    """Then a read is never certain."""
    assert predict('select U&"\\0066"()').words is None
    assert predict("select 1 + " + "1 + " * 100_000 + "1").words is None
    assert "f" in (predict("select 'f'").words or ())


def test_deep_statements_do_not_raise() -> None:
    """They are writes, as far as anybody can tell."""
    assert predict("select " + "+".join("1" * 3000)).name == "write"
    assert predict("select " + "(" * 5000 + "1" + ")" * 5000).name in ("read", "write")
