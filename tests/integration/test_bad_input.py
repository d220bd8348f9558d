"""Bad input, hostile cells and a full disk: each gets a clear message and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from tests.fixtures_service import CommandLine, command_line, notebook_json

from pgcellar.postgres import account, postmaster, processes


def said(cli: CommandLine, *arguments: str) -> tuple[int, str]:
    """The exit status and everything printed, in which there must be no traceback."""
    done = cli(*arguments)
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    return done.returncode, text


def refused(cli: CommandLine, cell: str) -> str:
    """The message of a cell that must fail, after which another works."""
    done = cli.run([cell])
    assert done["error"], cell
    assert cli.run(["select 1"])["error"] is None
    return f"{done['error']['message']} {done['error']['hint'] or ''}"


def beyond(cli: CommandLine) -> list[str]:
    """What there is on a home besides its service and servers that nobody uses.

    That is a sandbox, a spare one, and the control database, if the service runs at all.
    """
    service = cli.json("service", "status").get("pid")
    named = f"PGCELLAR_HOME={cli.environment['PGCELLAR_HOME']}\0".encode()
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(entry.name) != service and named in (entry / "environ").read_bytes():
                found.append(" ".join(processes.command(int(entry.name))))
    home = cli.home / "home"
    folders = sorted(home.glob("sandboxes/*"))
    found += map(str, folders[2:] if service is not None else folders)
    # Templates of databases have this file, too.
    data = {path.parent for path in home.rglob("PG_VERSION") if path.parts[-3] != "base"}
    known = {folder / "data" for folder in (*folders, home / "control")}
    found += map(str, data ^ known if service is not None else data)
    for folder in data & known:
        server = postmaster.running(folder, account.current())
        if server is None:
            found.append(f"{folder} without a server")
            continue
        titles = (" ".join(processes.command(one.pid)) for one in processes.children(server.pid))
        found += [title for title in titles if "[local]" in title and " idle" not in title]
    return found


def until(true: Callable[[], bool], told: Callable[[], object] = lambda: None) -> None:
    """Wait for a condition; `told` says what there is instead."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, told()
        time.sleep(0.2)


def leaves_nothing(cli: CommandLine) -> None:
    """In a moment nobody works for what was given up; no database or folder of it is there."""
    until(lambda: not beyond(cli), lambda: beyond(cli))
    assert cli.json("gc")["strays_dropped"] == 0


def test_an_empty_notebook_and_one_of_comments(cli: CommandLine) -> None:
    """Run, and do nothing."""
    assert cli.run([])["cells"] == []
    done = cli.run(["-- nothing", "", "/* nor\nhere */"])
    assert [cell["effect"] for cell in done["cells"]] == ["none", "none", "none"]
    assert done["error"] is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a notebook"),
        ("[]", "no list of cells"),
        ('{"worksheets": []}', "no list of cells"),
        (json.dumps(notebook_json(["1 + 1"], kernelspec={"language": "python"})), "of python"),
        ('{"cells": [1], "metadata": {}}', "cell 1 is not as it should be"),
    ],
)
def test_files_that_are_no_sql_notebook(cli: CommandLine, content: str, message: str) -> None:
    """Exit status 2, and a sentence."""
    path = cli.home / "bad.ipynb"
    path.write_text(content)
    status, text = said(cli, "run", str(path))
    assert status == 2
    assert message in text


def test_a_cell_of_ten_megabytes(cli: CommandLine) -> None:
    """Runs; and where it is wrong at its end, the message says where, not all of it."""
    rows = ", ".join(f"({number}, 'abcdefgh')" for number in range(500_000))
    cell = f"insert into big values {rows}"
    assert len(cell) > 9_000_000
    done = cli.run(["create table big (a int, b text)", cell, "select count(*) from big"])
    assert done["cells"][2]["results"][0]["rows"] == [["500000"]]
    status, text = said(cli, "run", str(cli.notebook([f"{cell} oops"])))
    assert status == 1
    assert "syntax error" in text
    assert len(text) < 5_000


def test_ten_million_rows_need_bounded_memory(cli: CommandLine) -> None:
    """They are counted, and some are shown."""
    cli.run(["select 1"])
    pid = cli.json("service", "status")["pid"]
    before = resident(pid)
    done = cli.run(["select g, 'some text' from generate_series(1, 10000000) g"])
    result = done["cells"][0]["results"][0]
    assert (result["row_count"], len(result["rows"])) == (10_000_000, 100)
    assert resident(pid) - before < 300 * 1024


def resident(pid: int) -> int:
    """The largest memory a process has had, in KiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def test_ctrl_c_cancels_at_the_server(cli: CommandLine) -> None:
    """And the next run need not wait."""
    cli.run(["select 1"])
    process = cli.popen("run", str(cli.notebook(["select pg_sleep(1000)"], name="sleep")))
    until(lambda: any("[local] SELECT" in one for one in beyond(cli)))
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    assert process.returncode == 130
    assert cli.json("run", str(cli.notebook(["select 1"], name="sleep")))["error"] is None
    assert time.monotonic() - begin < 15
    leaves_nothing(cli)


def test_no_postgresql(fresh_cli: CommandLine, tmp_path: pathlib.Path) -> None:
    """The message says where was looked; no service waits for one, and no folder was made."""
    done = fresh_cli("run", str(fresh_cli.notebook(["select 1"])), PGCELLAR_PG_BIN=str(tmp_path))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert str(tmp_path) in done.stderr
    assert fresh_cli.json("service", "status")["status"] == "not running"
    assert beyond(fresh_cli) == []


@pytest.mark.parametrize(
    "cell",
    [
        "create database other",
        "alter system set fsync = on",
        "drop owned by current_user",
        "reassign owned by current_user to pg_monitor",
        "\\! id",
        "\\copy t from program 'id'",
        "set client_encoding = 'latin1'",
    ],
)
def test_what_reaches_beyond_the_database_is_refused(cli: CommandLine, cell: str) -> None:
    """With a sentence that says what to do instead."""
    done = cli.run([cell])
    assert done["error"]["sqlstate"] == "PC008"
    assert done["error"]["hint"]


@pytest.mark.parametrize(
    "cell",
    [
        "copy (select 1) to program 'id'",
        "create table t (a text); copy t from '/etc/passwd'",
        "create table t (a text); copy t from program 'id'",
        "select pg_read_file('/etc/passwd')",
        "select pg_ls_dir('.')",
        "select lo_import('/etc/passwd')",
        "create role mallory superuser",
        "create role mallory bypassrls",
        "create role mallory replication",
        "create role mallory in role pg_execute_server_program",
        "create role mallory; grant pg_read_server_files to mallory",
        "alter role pgcellar_admin password 'x'",
        "alter role pgcellar_admin rename to nobody",
        "alter role pgcellar bypassrls",
        "grant pgcellar_admin to current_user",
        "grant current_user to pgcellar_admin",
        "drop role pgcellar_admin",
        "create role mallory admin pgcellar_admin",
        "create role mallory; alter role mallory set session_preload_libraries = 'x'",
        "do $$ begin execute 'create role mallory superuser'; end $$",
        "do $$ begin execute 'alter role pgcellar superuser'; end $$",
        *("comment on database postgres is 'x'", "alter database postgres set search_path = x"),
        "do $$ begin execute 'alter database template1 is_template false'; end $$",
        "do $$ declare d name; begin for d in select datname from pg_database where datname ~ '^s_'"
        " loop execute format('alter database %I set search_path = x', d); end loop; end $$",
        "alter database pgcellar set session_preload_libraries = 'x'",
        "alter database pgcellar set log_statement = 'all'",
        "alter database pgcellar set app.x = '1'",
        "alter database pgcellar allow_connections false",
        "do $$ begin execute format('alter database %I rename to x', current_database()); end $$",
        "do $$ begin execute format('alter database %I owner to pg_monitor',"
        " current_database()); end $$",
        "grant connect on database pgcellar to public granted by pgcellar_admin",
        "set role pgcellar_admin",
        "set session authorization pgcellar_admin",
        "create extension dblink",
        "create function f() returns int language c as '/lib/x86_64-linux-gnu/libc.so.6', 'system'",
        "select pg_terminate_backend(pg_backend_pid())",
        "select pg_reload_conf()",
        "checkpoint",
    ],
)
def test_postgresql_itself_refuses_the_rest(cli: CommandLine, cell: str) -> None:
    """User SQL has a role that can't reach host, server or neighbour."""
    assert refused(cli, cell)


def test_files_stay_in_the_notebooks_folder(cli: CommandLine, tmp_path: pathlib.Path) -> None:
    """By whatever way out."""
    secret = tmp_path / "secret.csv"
    secret.write_text("1\n")
    (cli.home / "link.csv").unlink(missing_ok=True)
    (cli.home / "link.csv").symlink_to(secret)
    if not (cli.home / "fifo").exists():
        os.mkfifo(cli.home / "fifo")
    for name in (str(secret), "../secret.csv", "link.csv", "fifo", "missing.csv", "."):
        done = cli.run(["create table f (a int)", f"\\copy f from '{name}'"])
        assert done["error"]["sqlstate"] == "PC010", name
        assert done["error"]["cell"] == "c2"
    (cli.home / "good.csv").write_text("1\n2\n")
    done = cli.run(["create table f (a int)", "\\copy f from 'good.csv'", "table f"])
    assert done["cells"][2]["results"][0]["rows"] == [["1"], ["2"]]
    (cli.home / "good.csv").write_text("3\n")
    done = cli.run(["create table f (a int)", "\\copy f from 'good.csv'", "table f"])
    assert done["cells"][2]["results"][0]["rows"] == [["3"]]


@pytest.mark.parametrize(
    "hostile",
    [
        "set statement_timeout = '1ms'",
        "set default_transaction_read_only = on",
        "create schema evil; create table evil.pg_proc (oid int);"
        " set search_path = evil, pg_catalog",
        "create temp table pg_proc (x int); create temp table pg_locks (x int)",
        "do $$ begin execute 'alter role pgcellar set search_path = nowhere'; end $$",
        "do $$ begin execute 'alter role pgcellar password ''x'''; end $$",
        "set standard_conforming_strings = off",
        "begin; create table half (a int)",
    ],
)
def test_a_hostile_session_hurts_nobody(cli: CommandLine, hostile: str) -> None:
    """Neither the next cell's answer nor another notebook."""
    done = cli.run([hostile, "select 'é', 1 + 1"])
    if "statement_timeout" not in hostile:
        assert done["error"] is None, done["error"]
        assert done["cells"][1]["results"][0]["rows"][0][1] == "2"
    other = cli.json(
        "run", str(cli.notebook(["create table x (a int)", "show search_path"], name="other"))
    )
    assert other["error"] is None
    assert other["cells"][1]["results"][0]["rows"] == [['"$user", public']]


@pytest.fixture
def small_disk(cellar_home: pathlib.Path) -> Iterator[CommandLine]:
    """A home on a file system of 400 MB."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = cellar_home / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m,mode=711", "tmpfs", str(place)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"a tmpfs can't be mounted here: {mounted.stderr}")
    try:
        with command_line(place) as made:
            yield made
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(small_disk: CommandLine) -> None:
    """The message says so, and a small notebook works again afterwards."""
    filling = "create table full_disk as select repeat('x', 1000) from generate_series(1, 1000000)"
    done = small_disk.run(["create table a (b int)", filling])
    assert done["error"] is not None
    assert "space" in json.dumps(done["error"]).lower() or "full" in done["error"]["message"]
    until(lambda: not small_disk.run(["create table a (b int)", "select count(*) from a"])["error"])
    leaves_nothing(small_disk)


@pytest.mark.parametrize(
    ("source", "sqlstate", "hint"),
    [
        ("create extension pageinspect", "42501", "c.ServiceApp.extensions"),
        ("create extension postgres_fdw", "42501", "A view shows a table under another name"),
        ("create extension dblink", "42501", "A view shows a table under another name"),
        ("create extension file_fdw", "42501", "\\copy loads a file"),
        ("create foreign data wrapper mine", "42501", "out of the sandbox"),
        ("create server me foreign data wrapper postgres_fdw", "42704", "out of the sandbox"),
        ("create user mapping for current_user server me", "42704", "out of the sandbox"),
        ("create foreign table f (a int) server me", "42704", "A view shows a table"),
        ("import foreign schema public from server me into public", "42704", "a schema of its own"),
    ],
)
def test_what_leads_out_of_the_sandbox(
    cli: CommandLine, source: str, sqlstate: str, hint: str
) -> None:
    """Is refused with what to do instead."""
    error = cli.run([source])["cells"][0]["error"]
    assert error["sqlstate"] == sqlstate
    assert hint in error["hint"]


@pytest.mark.parametrize(
    ("source", "sqlstate", "hint"),
    [
        ("select 1, :month", "42601", "\\set month VALUE"),
        ("create table t as select :'month'", "42601", "\\set month VALUE"),
        ("%%sql\nselect 1", "42601", "without any %% magic"),
        ("%sql select 1", "42601", "without any %% magic"),
        ("\\foo", "PC008", "\\? lists them"),
    ],
)
def test_what_is_no_sql(cli: CommandLine, source: str, sqlstate: str, hint: str) -> None:
    """Variables that are not set, cells of other notebooks: the error says what to do."""
    error = cli.run([source])["cells"][0]["error"]
    assert error["sqlstate"] == sqlstate
    assert hint in error["hint"]
