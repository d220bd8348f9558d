"""What a session holds that can be given to another: settings, prepared statements, channels."""

from __future__ import annotations

from tests.statements.author import Author, Kind

PREPARED = ("q1", "q2")


def session(author: Author) -> str:
    return author.pick(
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
            "set local work_mem = '5MB'",
            "set session work_mem = default",
            "set datestyle = 'SQL, DMY'",
            "set intervalstyle = 'iso_8601'; set bytea_output = 'escape'",
            "set extra_float_digits = -3",
            "set default_transaction_isolation = 'repeatable read'",
            "reset default_transaction_isolation",
            "set statement_timeout = '50s'; set lock_timeout = '40s'",
            "select set_config('timezone', 'Asia/Tokyo', true)",
            "create schema if not exists extra; set local search_path to extra",
            "set enable_seqscan = off; set plan_cache_mode = force_generic_plan",
            "do $$ begin set work_mem = '13MB'; end $$",
            "set session characteristics as transaction isolation level read committed",
        )
    )


def look(author: Author) -> str:
    """Something that a setting changes."""
    return author.pick(
        (
            "select '2024-07-01 12:00+00'::timestamptz as noon, interval '1 day 02:03' as span",
            "select '\\x4100ff'::bytea as bytes, 0.1::float8 + 0.2 as sum, 1e-9::float4 as small",
            "show search_path",
            "select name, setting from pg_settings where name in ('work_mem', 'TimeZone',"
            " 'DateStyle', 'transaction_isolation', 'default_transaction_isolation') order by 1",
            "select current_user, session_user, current_schemas(false)",
            "create table if not exists extra_one (at timestamptz default '2024-01-01 00:00+00');"
            " insert into extra_one default values; select at::text from extra_one",
        )
    )


def custom(author: Author) -> str:
    return author.pick(
        (
            "set app.who = 'ann'",
            "select set_config('app.who', 'ben', false)",
            "reset app.who",
            "select current_setting('app.who', true)",
        )
    )


def prepare(author: Author) -> str:
    name, table = author.pick(PREPARED), author.table()
    if name in author.model.prepared:
        author.model.prepared.discard(name)
        return author.pick((f"deallocate {name}", f"deallocate prepare {name}"))
    author.model.prepared.add(name)
    body = author.pick(
        (
            f"select count(*) from {table}",
            f"update {table} set n = 3 where id = 3",
            f"select id, n from {table} where id < 9 order by id, n",
        )
    )
    return f"prepare {name} as {body}"


def prepare_with(author: Author) -> str:
    if "q3" in author.model.prepared:
        return f"execute q3({author.number(1, 9)}, 'x')"
    author.model.prepared = {"q3"}
    return "deallocate all; prepare q3(integer, text) as select $1 * 2 as twice, $2 || '!' as said"


def execute(author: Author) -> str:
    name = author.pick(sorted(author.model.prepared))
    return f"execute {name}{'(4, null)' if name == 'q3' else ''}"


def listen(author: Author) -> str:
    channel = author.pick(("news", '"Loud news"'))
    return author.pick(
        (
            f"listen {channel}",
            f"listen {channel}",
            f"unlisten {channel}",
            "unlisten *",
            f"notify {channel}, 'something'",
            "select pg_notify('news', 'else')",
            "select c from pg_listening_channels() c order by c",
            "select c from pg_listening_channels() c order by c",
        )
    )


def discard(author: Author) -> str:
    what = author.pick(("all", "plans", "sequences", "temp"))
    if what == "all":
        author.model.prepared, author.model.held, author.model.role = set(), set(), None
    if what in ("all", "temp"):
        author.model.temporary = {}
    return f"discard {what}"


KINDS = (
    Kind(5, session),
    Kind(3, look),
    Kind(2, custom),
    Kind(2, prepare, "table"),
    Kind(2, prepare_with),
    Kind(3, execute, "prepared"),
    Kind(4, listen),
    Kind(1, discard, "", "outside"),
)
