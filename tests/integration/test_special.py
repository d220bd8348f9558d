"""psql's describing commands in notebooks, compared with psql itself.

They differ on purpose, besides what `DIFFERENT` lists:

* Titles stand at the left: a title is a text above a table, which may be shown as HTML.
* `\\d nosuch` and the like are no errors: the cell goes on, and says what was not found.
* In a notebook, `\\l` lists its own database alone, by the name `pgcellar`; `\\du`, `\\drg` and
  `\\drds` leave out the parked roles of other states and the service's own role.
* `\\h` has pgspecial's texts, `\\?` lists what notebooks know.
* `\\dRs+` shows no more than `\\dRs`. `\\db+` has No Access where psql fails for all tablespaces.
* `\\dconfig` tells of the notebook's session: its client_encoding, and no application_name.
* `\\sv 1` says that there is no such relation, where psql says (not available).
* The rows of an expanded list (`\\x`, `\\dtx`) are counted, as those of all expanded results are.
* psql takes the pattern of `\\dn` for SQL: `\\dn '; drop table t; --'` fails there.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator

import pytest
from tests import cellar as cellars
from tests import oracle as oracles
from tests.integration import describing

from pgcellar.api import records, rendering
from pgcellar.runner.describe import catalog, commands, pattern
from pgcellar.snapshots import roles

HERE = pathlib.Path(__file__).parent
COMMANDS = (HERE / "describe_commands.txt").read_text().splitlines()
#: What an installation may lack.
MISSING = ("ICU is not supported", "is not available", "does not exist")
#: Who looks: the one who owns it all, and one who is allowed little.
USERS = ("postgres", "pgcellar")

#: Lines where we differ on purpose: psql's, and ours in its place.
DIFFERENT = {
    # psql compares with the letter for DEFAULT.
    "Replica Identity: ???": "Replica Identity: NOTHING",
}
#: Settings under which everything is to be as it is without.
SETTINGS = {
    "strings": "set standard_conforming_strings = off; set backslash_quote = off",
    "path": "set search_path = s, public",
    "nothing": "set search_path = ''",
    "shadowed": "set search_path = evil, public, pg_catalog",
    "transaction": "begin isolation level serializable",
}
UNDER_SETTINGS = (
    "\\d t", "\\d+ t", "\\d+ public.t", "\\d+ public.part", "\\d+ public.part2a", "\\d public.sq",
    "\\d+ s.child", "\\d+ public.ft", "\\d public.part_pkey", "\\d+ public.v", "\\dt public.*",
    "\\dt+ s.*", "\\dti public.*", "\\dPn+ public.*", "\\dp public.*", "\\ddp", "\\dd public.*",
    "\\df+ public.f", "\\df public.* int", "\\da public.*", "\\do public.*", "\\dy",
    "\\sf public.f(text)", "\\sv+ public.v", "\\dT+ public.*", "\\dD+ public.*",
    "\\dC mood", "\\dc+ public.*",
    "\\dO+ public.*", "\\dn+", "\\dn s", "\\db", "\\dconfig work_mem", "\\dx", "\\dx+ plpgsql",
    "\\dL+", "\\dl+", "\\du+", "\\drg", "\\drds", "\\dA+", "\\dAc btree int4", "\\dAf btree int4",
    "\\dAo btree array_ops", "\\dAp+ btree float_ops", "\\dF+ public.tsc", "\\dFd+ public.*",
    "\\dFp+ public.tsp", "\\dFt+ public.*", "\\des+", "\\det+ public.*", "\\deu+", "\\dew+",
    "\\dRp+", "\\dX public.*", "\\d 'public.sq''x'", "\\d public.sla\\\\sh",
)  # fmt: skip


class Server(oracles.ThrowawayServer):
    """A server whose superuser is called as `describe.sql` and `USERS` have it."""

    superuser = "postgres"


@pytest.fixture(scope="module")
def described(bindir: pathlib.Path) -> Iterator[oracles.ThrowawayServer]:
    """A server with a database that has something of everything."""
    server = Server(bindir)
    server.start()
    try:
        with server.address("postgres", "postgres").connect() as connection:
            connection.execute("create role pgcellar login createrole")
            connection.execute("create database pgcellar owner pgcellar")
            version = connection.info.server_version
        address = server.address("pgcellar", "postgres")
        names = ["describe.sql", *(["describe18.sql"] if version >= 180000 else [])]
        for name in names:
            errors = describing.load(address, HERE / name)
            assert all(any(m in error for m in MISSING) for error in errors), errors
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def compared(
    described: oracles.ThrowawayServer,
) -> dict[str, tuple[dict[str, list[str]], dict[str, list[str]]]]:
    """What psql shows of every command, and what we do, by who looks."""
    return {
        user: (
            describing.psql(described.address("pgcellar", user), COMMANDS),
            describing.ours(described.address("pgcellar", user), COMMANDS),
        )
        for user in USERS
    }


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("command", COMMANDS)
def test_shows_what_psql_shows(
    compared: dict[str, tuple[dict[str, list[str]], dict[str, list[str]]]], command: str, user: str
) -> None:
    theirs, ours = (shown[command] for shown in compared[user])
    assert ours == [DIFFERENT.get(line, line) for line in theirs]


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_change_nothing(described: oracles.ThrowawayServer, setting: str) -> None:
    """Those that have names and literals mean something else, and a transaction that is open."""
    address = described.address("pgcellar", "postgres")
    with address.connect() as connection:
        connection.execute("create schema if not exists evil")
    theirs = describing.psql(address, UNDER_SETTINGS, SETTINGS[setting])
    if setting == "shadowed":
        assert describing.load(address, HERE / "describe_shadows.sql") == []
    try:
        ours = describing.ours(address, UNDER_SETTINGS, SETTINGS[setting])
    finally:
        with address.connect() as connection:
            connection.execute("drop schema evil cascade")
    if setting == "shadowed":
        ours, theirs = (
            {name: _unqualified(said) for name, said in s.items()} for s in (ours, theirs)
        )
    assert ours == theirs


def _unqualified(lines: list[str]) -> list[str]:
    """Lines without what the server puts before a name that the path hides, and their alignment."""
    bare = (re.sub(r"OPERATOR\(pg_catalog\.([^)]+)\)", r"\1", line) for line in lines)
    return [re.sub(r"[- ]+", " ", line.replace("pg_catalog.", "")) for line in bare]


def test_can_be_cancelled(described: oracles.ThrowawayServer) -> None:
    """The size of a table that someone has locked is waited for."""
    address = described.address("pgcellar", "postgres")
    with address.connect() as connection:
        connection.execute("begin; lock table t in access exclusive mode")
        assert describing.cancelled(address, "\\dt+ t")
        assert describing.cancelled(address, "\\dt+ t", "begin")
        connection.execute("rollback")


def test_is_bounded(described: oracles.ThrowawayServer) -> None:
    """A description of everything is no longer than a result may be, and says so."""
    address = described.address("pgcellar", "postgres")
    (lines,) = describing.ours(address, ["\\d *.*"], max_bytes=2_000).values()
    assert len(lines) < 200
    assert lines[-1] == "What follows is left out: 2000 bytes are shown."


def test_few_round_trips(described: oracles.ThrowawayServer) -> None:
    """What is found is asked for in one message, however many relations there are."""
    address = described.address("pgcellar", "postgres")
    assert describing.trips(address, "\\d+ t") == 2
    assert describing.trips(address, "\\d+ *.*") < 6
    assert describing.trips(address, "\\dt") == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("t", pattern.Pattern(name="^(t)$")),
        ("Foo", pattern.Pattern(name="^(foo)$")),
        ('"Foo"', pattern.Pattern(name="^(Foo)$")),
        ('F"O""O"o', pattern.Pattern(name='^(fO"Oo)$')),
        ("a*b?", pattern.Pattern(name="^(a.*b.)$")),
        ('"a*b?.c"', pattern.Pattern(name="^(a\\*b\\?\\.c)$")),
        ("s.t", pattern.Pattern(name="^(t)$", schema="^(s)$", dots=1)),
        ("D.s.t", pattern.Pattern(name="^(t)$", schema="^(s)$", database="d", dots=2)),
        ('"D*".s.t', pattern.Pattern(name="^(t)$", schema="^(s)$", database="D*", dots=2)),
        ("a$b|c", pattern.Pattern(name="^(a\\$b|c)$")),
        ("int[]", pattern.Pattern(name="^(int\\[\\])$")),
        ("[ab]", pattern.Pattern(name="^([ab])$")),
        ("", pattern.Pattern(name="^()$")),
    ],
)
def test_patterns(text: str, found: pattern.Pattern) -> None:
    assert pattern.parse(text) == found


@pytest.mark.parametrize("text", ["", "a", "'", "''", "\\", "\\'", "a\\\\'b", "E'", "ü表", "\n"])
def test_literals_stay_what_they_are(described: oracles.ThrowawayServer, text: str) -> None:
    query = f"select {pattern.literal(text)} as a, 'b' || 'c' as b"
    with described.address("pgcellar", "pgcellar").connect() as connection:
        for strings in ("on", "off"):
            connection.execute(f"set standard_conforming_strings = {strings}")
            # Bytes, for psycopg to leave them alone.
            asked = connection.execute(catalog.qualified(query).encode())
            assert asked.fetchone() == (text, "bc")


def test_every_name_is_qualified() -> None:
    query = "select f(a.b) || 'g(x) = y' from pg_class c where c.oid = any (array(select 1::oid))"
    assert catalog.qualified(query) == (
        "select pg_catalog.f(a.b) operator(pg_catalog.||) 'g(x) = y' from pg_catalog.pg_class c"
        " where c.oid operator(pg_catalog.=) any (array(select 1::pg_catalog.oid))"
    )


# --- in notebooks ------------------------------------------------------------------------------

TABLES = """
create schema s;
create type mood as enum ('sad', 'happy');
create table t(a int primary key, b text not null default 'x', m mood);
create table s.child(id serial primary key, t int references t);
create function f(x int) returns int language sql as 'select x + 1';
"""


@pytest.fixture(scope="module")
def cellar(cellar_home_module: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services for all tests."""
    with cellars.Cellar(cellar_home_module) as made:
        yield made


def shown(ran: cellars.Ran) -> str:
    """All that was shown, as text."""
    out = []
    for result in ran.results:
        out += [rendering.render_notice(notice) for notice in result.notices]
        out.append(rendering.as_text(result))
    return "\n".join(out)


@pytest.mark.parametrize("suffix", ["", "+"])
def test_every_command_answers(cellar: cellars.Cellar, suffix: str) -> None:
    """Something is shown; the state stays and the session goes on."""
    names = [name.split(",")[0].split(" ")[0] for name, _ in commands.described()]
    asking = [name for name in names if name not in ("\\sf", "\\sv")]
    cell = "\n".join(f"{name}{suffix}" for name in asking)
    ran = cellar.run([TABLES, f"{cell}\nselect 1"], notebook="all")
    assert ran.done.error is None
    tables = [result for result in ran.results if result.tabular]
    assert len(tables) >= len(asking) - 8


def test_describes_a_table(cellar: cellars.Cellar) -> None:
    text = shown(cellar.run([TABLES, "\\d s.child"], notebook="all"))
    assert text.strip() == CHILD.strip()
    html = rendering.mime_bundle(cellar.run([TABLES, "\\d s.child"], notebook="all").results[0])[
        "text/html"
    ]
    assert "not null" in html
    assert "rows)" not in html


CHILD = """
Table "s.child"
 Column |  Type   | Collation | Nullable |               Default               
--------+---------+-----------+----------+-------------------------------------
 id     | integer |           | not null | nextval('s.child_id_seq'::regclass)
 t      | integer |           |          | 
Indexes:
    "child_pkey" PRIMARY KEY, btree (id)
Foreign-key constraints:
    "child_t_fkey" FOREIGN KEY (t) REFERENCES t(a)
"""


def test_variables_and_quotes_in_patterns(cellar: cellars.Cellar) -> None:
    cells = [
        'create table "a b" (x int); create table "it\'s" (y int);',
        "\\set name '\"a b\"'\n\\d :name\n\\d 'it''s'\n\\d it''s",
    ]
    text = shown(cellar.run(cells, notebook="quotes"))
    assert 'Table "public.a b"' in text
    assert 'Table "public.it\'s"' in text
    assert 'Did not find any relation named "its".' in text


def test_expanded(cellar: cellars.Cellar) -> None:
    text = shown(cellar.run([TABLES, "\\x on\n\\dt t\n\\d t"], notebook="expanded"))
    assert "-[ RECORD 1 ]" in text
    assert " a      | integer" in text


def test_helps(cellar: cellars.Cellar) -> None:
    assert "\\copy" in shown(cellar.run(["\\?"], notebook="all"))
    assert "INSERT INTO" in shown(cellar.run(["\\h insert"], notebook="all"))
    text = shown(cellar.run(["\\h create tab"], notebook="all"))
    assert "Command:     CREATE TABLE AS" in text
    assert "CREATE TABLESPACE" in text
    assert "No help available" in shown(cellar.run(["\\h nosuch"], notebook="all"))
    assert "DROP TABLE" in shown(cellar.run(["\\h"], notebook="all"))


def test_shows_what_the_notebook_has(cellar: cellars.Cellar) -> None:
    """No other state's roles and databases, and none of the service's."""
    cells = ["create role ours", "create role another", "\\du\n\\l\n\\drds\n\\dn+"]
    if int(cellar.call(cellar.sandbox()).endpoint.server_version.split(".")[0]) < roles.SINCE:
        pytest.skip("PostgreSQL 15 has no roles that belong to a state")
    cellar.run(cells[:2], notebook="roles")
    text = shown(cellar.run([cells[0], cells[2]], notebook="roles"))
    assert "ours" in text
    for hidden in ("another", "parked", "pgcellar_admin", "template0", " s_", " i_"):
        assert hidden not in text, text
    assert " pgcellar | pgcellar" in text.replace("  ", " ")


def test_in_an_open_transaction(cellar: cellars.Cellar) -> None:
    cells = ["begin; create table inside (a int)", "\\dt", "rollback", "\\dt"]
    texts = [shown(cellar.run(cells, head, notebook="tx")) for head in range(4)]
    assert "inside" in texts[1]
    assert "inside" not in texts[3]


@pytest.mark.parametrize(
    "cell",
    [
        "\\d 'x; drop table t; --'",
        '\\d "x\'; drop table t; --"',
        "\\dt '",
        "\\df (((",
        "\\dt *.*.*.*",
        "\\sf nosuch(",
        "\\d " + "x" * 5000,
        "\\dq",
        "\\dS+",
    ],
)
def test_patterns_are_no_sql(cellar: cellars.Cellar, cell: str) -> None:
    ran = cellar.run(["create table t(a int)", cell], notebook="evil")
    assert ran.done.error is None or ran.done.error.message
    assert ran.done.error is None or ran.done.error.sqlstate != "PC000", ran.done.error
    after = cellar.run(["create table t(a int)", "select * from t"], notebook="evil")
    assert after.done.error is None


def test_names_are_no_sql(cellar: cellars.Cellar) -> None:
    """A sequence's name once became part of a query, and what it said was committed."""
    names = ["x'); drop table t; commit; --", "x\\'); drop table t; commit; --", "'"]
    quoted = [name.replace('"', '""') for name in names]
    made = "create table t(a int);" + "".join(
        f'create sequence "{name}"; create table "t{name}" (a int);' for name in quoted
    )
    shows = "\n".join(("\\d *", "\\d+ *", "\\ds+", "\\dp", "\\dt+"))
    off = "set standard_conforming_strings = off"
    for setup in ([made], [made, off]):
        ran = cellar.run([*setup, shows], notebook="names")
        assert ran.done.error is None
        assert cellar.run([*setup, "select * from t"], notebook="names").done.error is None


def test_notices_still_arrive_afterwards(cellar: cellars.Cellar) -> None:
    say = "do $$ begin raise notice 'heard'; end $$"
    ran = cellar.run(["\\d pg_class\n" + say], notebook="handlers")
    assert any(isinstance(event, records.Notice) for event in ran.events)
