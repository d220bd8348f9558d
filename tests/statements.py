"""Random SQL statements for the generated notebooks, by an author who roughly knows what exists.

Few names are shared by everything, so that statements meet: tables collide, views hang on tables,
functions write to them. What the author knows is rough on purpose; where it is wrong a cell fails,
and that is a test too. Nothing here depends on the clock, on chance or on the order of a scan:
several runs of the same statements must give the same rows, sequence values and errors.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

TABLES = ("a", "b", "c", "d")
SEQUENCES = ("s1", "s2")
VIEWS = ("v1", "v2", "m1")
PREPARED = ("q1", "q2")
TEXTS = ("'x'", "'null'", "''", "null", "'it''s; -- no comment'", "'Zoë'", "$q$a 'b'; c$q$")
#: One statement of a cell that fails, whatever there is.
FAILING = (
    "select 1 / 0",
    "select * from missing",
    "selct 1",
    "select 'one'::integer",
    "insert into missing values (1)",
    "do $$ begin raise exception 'no'; end $$",
    "create table e (id integer primary key); insert into e values (1), (1)",
    "select (-1)::integer::positive",
)

_FLAGS = re.DOTALL | re.IGNORECASE
_CREATED = re.compile(
    r"create (?:or replace )?(?:materialized )?(table|sequence|view|function|schema|type|domain)"
    r" (?:if not exists )?(\w+)([^;]*)",
    _FLAGS,
)
_DROPPED = re.compile(r"drop (?:materialized )?(table|sequence|view|function) (\w+)", _FLAGS)


@dataclasses.dataclass(kw_only=True)
class Table:
    """What the author knows of a table; it always has the columns id, n and s.

    `key` says where its ids come from: `given` (a primary key that inserts name), `made` (a serial
    or identity column) or `none`. `next_id` is beyond all ids that were given.
    """

    key: str
    next_id: int = 1
    extra: set[str] = dataclasses.field(default_factory=set)
    triggered: bool = False
    policed: bool = False


@dataclasses.dataclass(kw_only=True)
class Model:
    """What the author believes to exist. `views` and `functions` name the tables they need."""

    tables: dict[str, Table] = dataclasses.field(default_factory=dict)
    sequences: set[str] = dataclasses.field(default_factory=set)
    views: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    functions: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    prepared: set[str] = dataclasses.field(default_factory=set)
    others: set[str] = dataclasses.field(default_factory=set)

    def forget(self, table: str) -> None:
        """The table is gone, and what needs it."""
        self.tables.pop(table, None)
        self.views = {name: on for name, on in self.views.items() if table not in on}
        self.functions = {name: on for name, on in self.functions.items() if table not in on}

    def has(self, need: str) -> bool:
        """Whether there is one of the kind; of no kind there always is."""
        return {
            "": True,
            "table": bool(self.tables),
            "given": any(table.key == "given" for table in self.tables.values()),
            "sequence": bool(self.sequences),
            "view": bool(self.views),
            "function": bool(self.functions),
            "prepared": bool(self.prepared),
        }[need]


def believed(sources: Iterable[str]) -> Model:
    """A model read off cells that were written earlier, by their looks."""
    model = Model()
    for source in sources:
        for kind, name, rest in _CREATED.findall(source):
            if kind.lower() == "table" and name in TABLES:
                key = "made" if re.search("serial|identity", rest) else "given"
                # Beyond what the author of those cells gave.
                model.tables[name] = Table(key=key, next_id=500)
            elif kind.lower() == "sequence":
                model.sequences.add(name)
            elif kind.lower() == "view":
                model.views[name] = {t for t in TABLES if re.search(rf"\b{t}\b", rest)}
            elif kind.lower() == "function" and name.startswith("f_"):
                model.functions[name] = set()
            else:
                model.others.add(name)
        for kind, name in _DROPPED.findall(source):
            if kind.lower() == "table":
                model.forget(name)
            model.sequences.discard(name)
            model.views.pop(name, None)
            model.functions.pop(name, None)
    return model


class Author:
    """Writes statements one after the other and keeps the model."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], model: Model) -> None:
        self._draw = draw
        self.model = model

    def statement(self) -> str:
        """One statement, likely to succeed; a few are two that belong together."""
        kinds = [k for k in _KINDS if self.model.has(k[1])]
        weighted = [write for weight, _, write in kinds for _ in range(weight)]
        return self.pick(weighted)(self)

    def opening(self) -> list[str]:
        """Statements that give all others something to work on."""
        return [
            *(self.create_table(), self.insert_many(), self.create_sequence()),
            *(self.create_function(), self.call_function()),
        ]

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        choice: T = self._draw(st.sampled_from(choices))
        return choice

    def number(self, low: int, high: int) -> int:
        """A number, both ends included."""
        number: int = self._draw(st.integers(low, high))
        return number

    def _table(self, key: str | None = None) -> str:
        names = [n for n, t in self.model.tables.items() if key is None or t.key == key]
        return self.pick(sorted(names))

    def _sequence(self) -> str:
        return self.pick(sorted(self.model.sequences))

    # --- definitions ---

    def create_table(self) -> str:
        name = self.pick([t for t in TABLES if t not in self.model.tables] or TABLES)
        exists = "if not exists " if name in self.model.tables else ""
        key, column = self.pick(
            [
                ("given", "id integer primary key"),
                ("given", "id integer primary key"),
                ("made", "id serial primary key"),
                ("made", "id integer generated always as identity primary key"),
                ("none", "id integer"),
            ]
        )
        columns = [column, "n bigint", "s text"]
        table = Table(key=key)
        if self.model.sequences and self.number(0, 3) == 0:
            columns[1] = f"n bigint default nextval('{self._sequence()}')"
        if "mood" in self.model.others and self.number(0, 1) == 0:
            columns.append("m mood default 'ok'")
        if "positive" in self.model.others and self.number(0, 2) == 0:
            columns.append("p positive default 1")
        self.model.tables.setdefault(name, table)
        return f"create table {exists}{name} ({', '.join(columns)})"

    def create_table_from(self) -> str:
        source = self._table()
        free = [t for t in TABLES if t not in self.model.tables]
        if not free:
            return self.read()
        name = self.pick(free)
        self.model.tables[name] = Table(key="none", next_id=self.model.tables[source].next_id)
        if self.number(0, 2) == 0:
            return f"select id, n, s into {name} from {source} where id < 50"
        return f"create table {name} as select id, n * 2 as n, s from {source}"

    def drop_table(self) -> str:
        name = self._table()
        needed = any(name in on for on in self.model.views.values())
        self.model.forget(name)
        return f"drop table {name}{' cascade' if needed else ''}"

    def alter_table(self) -> str:
        name = self._table()
        table = self.model.tables[name]
        column = self.pick(("x", "y"))
        if column in table.extra:
            table.extra.discard(column)
            return f"alter table {name} drop column {column} cascade"
        table.extra.add(column)
        default = self.pick(("", " default 7", " not null default 'é'", " default null"))
        kind = "text" if "é" in default else "integer"
        return f"alter table {name} add column {column} {kind}{default}"

    def rename_table(self) -> str:
        name = self._table()
        free = [t for t in TABLES if t not in self.model.tables]
        if not free:
            return self.read()
        new = self.pick(free)
        table = self.model.tables[name]
        views = {v: {new if t == name else t for t in on} for v, on in self.model.views.items()}
        self.model.forget(name)
        self.model.views, self.model.tables[new] = views, table
        return f"alter table {name} rename to {new}"

    def decorate(self) -> str:
        name = self._table()
        number = self.number(0, 9)
        return self.pick(
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

    def truncate(self) -> str:
        return f"truncate {self._table()}{self.pick(('', ' restart identity'))}"

    def create_type(self) -> str:
        name = self.pick(("mood", "positive"))
        if name in self.model.others:
            return "alter type mood add value if not exists 'great' after 'ok'; select 'ok'::mood"
        self.model.others.add(name)
        if name == "mood":
            return "create type mood as enum ('bad', 'ok')"
        return "create domain positive as integer check (value > 0)"

    # --- rows ---

    def _values(self, name: str, id_: int) -> str:
        value = self.pick(("null", "0", str(self.number(1, 99))))
        if self.model.sequences and self.number(0, 4) == 0:
            value = f"nextval('{self._sequence()}')"
        ids = "" if self.model.tables[name].key == "made" else f"{id_}, "
        return f"({ids}{value}, {self.pick(TEXTS)})"

    def insert(self) -> str:
        name = self._table()
        table = self.model.tables[name]
        count = self.number(1, 3)
        rows = [self._values(name, table.next_id + i) for i in range(count)]
        table.next_id += count
        columns = "n, s" if table.key == "made" else "id, n, s"
        returning = self.pick(("", "", " returning id, n, s"))
        return f"insert into {name} ({columns}) values {', '.join(rows)}{returning}"

    def insert_many(self) -> str:
        name = self._table()
        table = self.model.tables[name]
        first = table.next_id
        last = first + self.number(1, 9)
        table.next_id = last + 1
        if table.key == "made":
            columns, given = "n, s", "i * 3, 'row ' || i"
        else:
            columns, given = "id, n, s", "i, i * 3, 'row ' || i"
        return (
            f"insert into {name} ({columns}) select {given} from generate_series({first}, {last}) i"
        )

    def insert_from(self) -> str:
        source, name = self._table(), self._table("given")
        table = self.model.tables[name]
        base = table.next_id
        table.next_id += 100
        return (
            f"insert into {name} (id, n, s) select {base} + row_number() over (order by id, n, s),"
            f" n, s from (select * from {source} order by id, n, s limit 20) _ order by id, n, s"
        )

    def upsert(self) -> str:
        name = self._table("given")
        id_ = self.number(1, max(1, self.model.tables[name].next_id - 1))
        # Should it be new, it must not be given once more.
        self.model.tables[name].next_id = max(self.model.tables[name].next_id, id_ + 1)
        action = self.pick(("nothing", "update set n = coalesce(t.n, 0) + excluded.n"))
        return f"insert into {name} as t (id, n) values ({id_}, 5) on conflict (id) do {action}"

    def update(self) -> str:
        name = self._table()
        change = self.pick(("n = coalesce(n, 0) + 1", "s = s || '!'", "s = null, n = id"))
        if self.model.sequences and self.number(0, 3) == 0:
            # Of one row: the order in which rows of a table are met is nobody's promise.
            change = f"n = nextval('{self._sequence()}')"
            return f"update {name} set {change} where id = {self.number(1, 9)} returning n"
        return f"update {name} set {change} where id % {self.number(2, 4)} = 0"

    def delete(self) -> str:
        return f"delete from {self._table()} where id % {self.number(3, 6)} = {self.number(0, 2)}"

    def write_in_cte(self) -> str:
        name = self._table()
        change = self.pick(
            (
                f"update {name} set n = id * 2 where id < 4 returning id, n",
                f"delete from {name} where id > {self.number(3, 30)} returning id, n",
            )
        )
        return f"with w as ({change}) select id, n from w order by id, n"

    def merge(self) -> str:
        name = self._table("given")
        new = self.model.tables[name].next_id
        self.model.tables[name].next_id += 1
        return (
            f"merge into {name} t using (values (1, 7), ({new}, 8)) as u (id, n) on t.id = u.id"
            " when matched then update set n = u.n"
            " when not matched then insert (id, n) values (u.id, u.n)"
        )

    # --- sequences ---

    def create_sequence(self) -> str:
        name = self.pick(SEQUENCES)
        exists = "if not exists " if name in self.model.sequences else ""
        self.model.sequences.add(name)
        options = self.pick(("", " start 10 increment 5", " increment -1", " cache 1 cycle"))
        return f"create sequence {exists}{name}{options}"

    def use_sequence(self) -> str:
        name = self._sequence()
        number = self.number(-9, -1) if self.number(0, 9) == 0 else self.number(1, 99)
        return self.pick(
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

    # --- views ---

    def create_view(self) -> str:
        name, table = self.pick(VIEWS), self._table()
        calls = sorted(set(self.model.functions) & {"f_next", "f_log", "f_try"})
        if name in self.model.views:
            del self.model.views[name]
            return f"drop {'materialized ' if name == 'm1' else ''}view {name} cascade"
        if name == "m1":
            body = f"select id, n, s from {table} where id < 100"
        elif calls and self.number(0, 1) == 0:
            body = f"select 1 as id, {self.pick(calls)}()::text as n, null::text as s"
        else:
            body = f"select id, n + 1 as n, s from {table}"
        self.model.views[name] = {table}
        return f"create {'materialized ' if name == 'm1' else ''}view {name} as {body}"

    def use_view(self) -> str:
        name = self.pick(sorted(self.model.views))
        if name == "m1" and self.number(0, 1) == 0:
            return f"refresh materialized view {name}"
        return f"select id, n, s from {name} order by id, n, s"

    # --- functions ---

    def create_function(self) -> str:
        table = self._table()
        made = self.model.tables[table].key == "made"
        number = self.number(1, 40)
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
            "f_set": "text language sql as $$ select set_config('work_mem', '7MB', false) $$",
        }
        if self.model.sequences:
            sequence = self._sequence()
            bodies["f_next"] = f"bigint language sql as $$ select nextval('{sequence}') $$"
            bodies["f_quiet"] = (
                f"integer language plpgsql as $$ begin perform nextval('{sequence}');"
                " perform 1 / 0; return 1; exception when others then return 0; end $$"
            )
        # Those that a reader of `select f()` would not suspect come more often.
        sly = sorted(bodies.keys() & {"f_log", "f_next", "f_quiet", "f_try"})
        name = self.pick([*sorted(bodies), *sly])
        self.model.functions[name] = {table}
        return f"create or replace function {name}() returns {bodies[name]}"

    def call_function(self) -> str:
        name = self.pick(sorted(self.model.functions))
        return self.pick(
            (
                f"select {name}()",
                f"select {name}()",
                f"select i, {name}() from generate_series(1, 2) i",
                f"select case when 1 < 2 then {name}()::text end as c",
                f"do $$ begin perform {name}(); end $$",
                f"select 1 as one where {name}() is not null",
            )
        )

    def drop_function(self) -> str:
        name = self.pick(sorted(self.model.functions))
        del self.model.functions[name]
        self.model.views = {v: on for v, on in self.model.views.items() if v == "m1"}
        return f"drop function {name}() cascade"

    def procedure(self) -> str:
        name = self._table()
        return (
            "create or replace procedure p_commit() language plpgsql as $$ begin"
            f" update {name} set n = 1 where id = 2; commit;"
            f" update {name} set n = n + 1 where id = 2; end $$; call p_commit()"
        )

    def trigger(self) -> str:
        name = self._table()
        table = self.model.tables[name]
        if table.triggered:
            return self.insert()
        table.triggered = True
        if self.number(0, 1) == 0:
            body, when = "new.n := coalesce(new.n, 0) + 1000; return new;", "before insert"
        else:
            body, when = "insert into log values (tg_op || new.id); return null;", "after update"
        return (
            "create table if not exists log (entry text);"
            f" create or replace function t_{name}() returns trigger language plpgsql"
            f" as $$ begin {body} end $$;"
            f" create trigger t_{name} {when} on {name} for each row execute function t_{name}()"
        )

    def policy(self) -> str:
        if not self.model.tables:
            return self.create_table()
        name = self._table()
        table = self.model.tables[name]
        if table.policed or "f_next" not in self.model.functions:
            return self.call_function()
        table.policed = True
        return (
            f"alter table {name} enable row level security, force row level security;"
            f" create policy p on {name} using (f_next() is not null)"
        )

    # --- reads ---

    def read(self) -> str:
        name, other = self._table(), self._table()
        return self.pick(
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

    def read_nothing(self) -> str:
        return self.pick(
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

    # --- sessions ---

    def session(self) -> str:
        return self.pick(
            (
                "set work_mem = '8MB'",
                "set work_mem to '9MB'",
                "reset work_mem",
                "set time zone 'America/New_York'",
                "set timezone = 'UTC'",
                "select set_config('work_mem', '10MB', false)",
                "create schema if not exists extra; set search_path to public, extra",
                "create schema if not exists extra; set search_path to extra, public",
                "set search_path to public",
                "reset all",
            )
        )

    def custom(self) -> str:
        return self.pick(
            (
                "set app.who = 'ann'",
                "select set_config('app.who', 'ben', false)",
                "reset app.who",
                "select current_setting('app.who', true)",
            )
        )

    def role(self) -> str:
        name, table = self.pick(("r_one", "r_two")), self._table()
        return self.pick(
            (
                f"create role {name}",
                f"create role {name}; grant select on {table} to {name}",
                f"grant select, insert on {table} to {name}",
                f"revoke all on {table} from {name}",
                f"set role {name}; select count(*) from {table}; reset role",
                f"drop role if exists {name}",
                "select rolname from pg_roles where rolname in ('r_one', 'r_two') order by 1",
            )
        )

    def database(self) -> str:
        """Something of the database itself."""
        name = self.pick(("r_one", "public", "pgcellar"))
        return self.pick(
            (
                "alter database pgcellar set work_mem = '11MB'",
                'alter database pgcellar set search_path = extra, public, "$user"',
                "alter database pgcellar reset all",
                "alter role pgcellar in database pgcellar set work_mem = '12MB'",
                "do $$ begin execute format('comment on database %I is %L',"
                " current_database(), 'ours'); end $$",
                f"grant create on database pgcellar to {name}",
                f"revoke temp on database pgcellar from {name}",
                "select setrole::regrole, setconfig from pg_db_role_setting"
                " join pg_database on oid = setdatabase where datname = current_database()",
                "select datacl::text[], shobj_description(oid, 'pg_database') from pg_database"
                " where datname = current_database()",
            )
        )

    def script(self) -> str:
        """A whole cell with meta-commands in it."""
        number, table = self.number(1, 9), self._table()
        return self.pick(
            (
                f"\\set v {number}",
                "\\unset v",
                f"select count(*) as v from {table} \\gset",
                f"select count(*) + :v as w from {table} \\gset\n\\echo :w",
                f"\\if :{{?v}}\nupdate {table} set n = :v where id = 1;"
                "\n\\else\n\\set v 2\n\\endif",
                f"select :'v' as v, ':v' as w from {table} limit 0;",
                f"copy {table} (id, n) from stdin;\n90{number}\t{number}\n\\.\nselect 1",
                f"delete from {table} where id = :v;\n\\set v 3",
                "\\c\nshow work_mem; show search_path;",
            )
        )

    def dated(self) -> str:
        name = self._table("given")
        table = self.model.tables[name]
        table.next_id += 1
        stamp = "'2024-07-01 12:00+00'::timestamptz::text"
        return f"insert into {name} (id, s) values ({table.next_id - 1}, {stamp})"

    def prepare(self) -> str:
        name, table = self.pick(PREPARED), self._table()
        if name in self.model.prepared:
            self.model.prepared.discard(name)
            return f"deallocate {name}"
        self.model.prepared.add(name)
        body = self.pick(
            (f"select count(*) from {table}", f"update {table} set n = 3 where id = 3")
        )
        return f"prepare {name} as {body}"

    def execute(self) -> str:
        return f"execute {self.pick(sorted(self.model.prepared))}"

    def anonymous(self) -> str:
        name = self._table()
        body = self.pick(
            (
                f"update {name} set n = 5 where id = 5; raise notice 'updated %', 5;",
                "for i in 1..3 loop raise notice 'round %', i; end loop;",
                f"delete from {name} where id = 2; perform 1 / 0;"
                " exception when division_by_zero then null;",
            )
        )
        return f"do $$ begin {body} end $$"


_KINDS: tuple[tuple[int, str, Callable[[Author], str]], ...] = (
    # weight, what must exist, who writes it
    (10, "", Author.create_table),
    (2, "table", Author.create_table_from),
    (2, "table", Author.drop_table),
    (4, "table", Author.alter_table),
    (1, "table", Author.rename_table),
    (4, "table", Author.decorate),
    (1, "table", Author.truncate),
    (1, "", Author.create_type),
    (14, "table", Author.insert),
    (6, "table", Author.insert_many),
    (3, "given", Author.insert_from),
    (4, "given", Author.upsert),
    (7, "table", Author.update),
    (4, "table", Author.delete),
    (3, "table", Author.write_in_cte),
    (2, "given", Author.merge),
    (3, "", Author.create_sequence),
    (8, "sequence", Author.use_sequence),
    (6, "table", Author.create_view),
    (8, "view", Author.use_view),
    (10, "table", Author.create_function),
    (24, "function", Author.call_function),
    (1, "function", Author.drop_function),
    (1, "table", Author.procedure),
    (3, "table", Author.trigger),
    (3, "function", Author.policy),
    (16, "table", Author.read),
    (3, "", Author.read_nothing),
    (4, "", Author.session),
    (2, "", Author.custom),
    (2, "table", Author.role),
    (3, "", Author.database),
    (2, "given", Author.dated),
    (2, "table", Author.prepare),
    (3, "prepared", Author.execute),
    (2, "table", Author.anonymous),
)
