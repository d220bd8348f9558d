"""The oracle: what a notebook's cells give when psql runs them from the top on a fresh database.

It is the measure of correctness, so it shares no code with the product, save for the account that
servers run as, and takes none of its short cuts: psql itself splits the cells into statements, a
cell that fails is left out by starting over without it, and every run has a fresh database.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import psycopg
from pglast import parser
from psycopg import sql
from tests import contents, memory, terminals

from pgcellar.postgres import account

ROLE = "pgcellar"
#: What notebooks call their database.
DATABASE = "pgcellar"
TEMPLATE = "oracle_template"
#: Databases kept after their evaluation; the oldest is dropped for a new one.
KEPT_DATABASES = 8
PSQL_TIMEOUT_S = 60

#: A database is cloned many times faster in memory than on a busy disk. Containers often have a
#: tiny /dev/shm, though; what is needed is about 10 MB a database and the write-ahead log.
MEMORY_NEEDED = 1 << 30

#: As in a sandbox, since it decides the order of strings and what is upper case.
LOCALE = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
#: Before PostgreSQL 17 there is no built-in provider.
OLD_LOCALE = ("--locale=C.UTF-8",)
SETTINGS = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    "listen_addresses": "",
    "max_wal_senders": "0",
    "max_wal_size": "96MB",
    "min_wal_size": "32MB",
    "shared_buffers": "32MB",
    "synchronous_commit": "off",
    "timezone": "UTC",
    "wal_level": "minimal",
}
#: Since PostgreSQL 16.
ROLE_SETTINGS = {"createrole_self_grant": "set, inherit"}

# What psql prints is told apart by marks that no test writes into its data.
_NULL = "\x02null\x02"
_TABLE = "\x02table\x02"
_CELL = "\x02cell\x02"
_FIELD = "\x1f"
_RECORD = "\0"

_TIME = re.compile(r"(?<![^\n\0])Time: [\d.]+ ms.*\n")
#: What \\c says.
ASIDES = re.compile(r"^You are now connected to .*\n", re.MULTILINE)
#: A message of NOTIFY, up to the number of the process that sent it.
_HEARD = re.compile(
    r'(?<![^\n\0])(Asynchronous notification "[^\n]*?"(?: with payload "(?s:.*?)")?'
    r" received from server process with PID )\d+\.\n"
)
_FOOTER = re.compile(r"\((\d+) rows?\)")
_MESSAGE = re.compile(r"^psql:[^\n]*?:\d+: ([A-Za-z]+): +(?:(\w{5}): )?([^\n]*)", re.MULTILINE)
_FAILURES = {"ERROR", "FATAL", "PANIC", "error"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StatementResult:
    """What psql showed for one statement that succeeded; null is None.

    `command` is the command tag, None for a statement that returns rows and is no INSERT, UPDATE,
    DELETE or MERGE: psql shows no tag for those. `columns` is None where no rows are returned.
    `row_count` is None where psql shows nothing of a table: expanded, without rows or columns.
    """

    command: str | None
    columns: tuple[str, ...] | None = None
    rows: tuple[tuple[str | None, ...], ...] = ()
    row_count: int | None = None


_Table = tuple[tuple[str, ...], tuple[tuple[str | None, ...], ...], int | None, int]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CellError:
    """Why a cell failed. `sqlstate` is None where psql itself failed (a missing file)."""

    sqlstate: str | None
    message: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CellOutcome:
    """One cell, run after all cells above it that did not fail.

    `results` of a failed cell are those of the statements before the one that failed. `notices`
    are the first lines of what the server said, as `(severity, sqlstate, message)`, `heard` the
    messages of NOTIFY. `inside`: all errors came in an open transaction, so that psql went on and
    the cell left its trace.
    """

    results: tuple[StatementResult, ...]
    notices: tuple[tuple[str, str | None, str], ...] = ()
    heard: tuple[str, ...] = ()
    error: CellError | None = None
    inside: bool = False

    @property
    def ok(self) -> bool:
        """Whether every statement succeeded."""
        return self.error is None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OracleRun:
    """The outcome of every cell, in order, and the database the successful ones left behind."""

    cells: tuple[CellOutcome, ...]
    dbname: str

    @property
    def failed(self) -> tuple[int, ...]:
        """The indices of the cells that failed and left no trace."""
        cells = enumerate(self.cells)
        return tuple(index for index, cell in cells if not cell.ok and not cell.inside)


class ThrowawayServer:
    """A PostgreSQL server on a Unix socket in a temporary folder, gone with everything at `stop`.

    This class alone knows how a server is started.
    """

    #: As in a sandbox: what trusted extensions make is its.
    superuser = "pgcellar_admin"

    def __init__(self, bindir: pathlib.Path) -> None:
        self._bindir = bindir
        # PostgreSQL refuses to run as root.
        self._account = account.current()
        self._folder: pathlib.Path | None = None

    def start(self) -> None:
        """Make the data folder and start; returns when the server accepts connections."""
        made = tempfile.mkdtemp(prefix="oracle-", dir=memory.folder(MEMORY_NEEDED))
        self._folder = folder = pathlib.Path(made)
        if self._account is not None:
            os.chown(folder, self._account.uid, self._account.gid)
        user = f"--username={self.superuser}"
        arguments = (user, "--encoding=UTF8", "--auth=trust", "--no-sync", *self._locale())
        self._call("initdb", f"--pgdata={folder}/data", *arguments)
        with (folder / "data" / "postgresql.conf").open("a") as conf:
            conf.write(f"unix_socket_directories = '{folder}'\n")
            settings = SETTINGS if self._major() < 16 else {**SETTINGS, **ROLE_SETTINGS}
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self._call("pg_ctl", "start", "--wait", f"--pgdata={folder}/data", f"--log={folder}/log")

    def stop(self) -> None:
        """End the server, whatever it is doing, and remove its files."""
        if self._folder is None:
            return
        # Immediate: nothing of it is wanted any more.
        self._call("pg_ctl", "stop", "--mode=immediate", f"--pgdata={self._folder}/data")
        shutil.rmtree(self._folder)
        self._folder = None

    def address(self, dbname: str, user: str) -> contents.Address:
        """Where to reach a database of this server."""
        assert self._folder is not None, "the server is not started"
        return contents.Address(host=str(self._folder), port=5432, user=user, dbname=dbname)

    def _locale(self) -> tuple[str, ...]:
        return LOCALE if self._major() >= 17 else OLD_LOCALE

    def _major(self) -> int:
        match = re.search(r"\) (\d+)", self._call("initdb", "--version"))
        return int(match[1]) if match else 0

    def _call(self, program: str, *arguments: str) -> str:
        # A file, not a pipe: the server inherits it and would hold a pipe open for ever.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [self._bindir / program, *arguments],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                **account.popen_kwargs(self._account),
            )
            output.seek(0)
            said = output.read().decode(errors="replace")
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {said}")
        return said


class Oracle:
    """Evaluates notebooks on a server of its own. A context manager; not for several threads.

    The database of a run may be read until `KEPT_DATABASES` other runs have been made, and must
    not be written to: evaluating the same cells again gives the same run.
    """

    def __init__(self, bindir: pathlib.Path) -> None:
        self.bindir = bindir
        self._server = ThrowawayServer(bindir)
        self._numbers = itertools.count()
        self._runs: collections.OrderedDict[object, OracleRun] = collections.OrderedDict()
        self._admin: psycopg.Connection[Any] | None = None

    def __enter__(self) -> Self:
        self._server.start()
        self._admin = self.connect("postgres")
        # Before 16 a user's role may make none, as CREATEROLE reached all others.
        makes_roles = self._admin.info.server_version >= 160000
        self._execute(f"create role {{role}} login {'' if makes_roles else 'no'}createrole")
        self._execute("create database {template}")
        with self.connect(TEMPLATE) as connection:
            owner = sql.SQL("alter schema public owner to {}").format(sql.Identifier(ROLE))
            connection.execute(owner)
        self._execute("alter database {template} is_template true allow_connections false")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._admin is not None:
            self._admin.close()
        self._server.stop()

    def evaluate(
        self, cells: Sequence[str], directory: str | os.PathLike[str] | None = None
    ) -> OracleRun:
        """Run the cells from the top; a cell that fails outside of a transaction leaves no trace.

        `directory` is the folder that files named in the cells are relative to. The files must
        not change while the oracle lives.
        """
        key = (tuple(cells), directory)
        if key in self._runs:
            self._runs.move_to_end(key)
            return self._runs[key]
        failed: dict[int, CellOutcome] = {}
        abandoned: list[str] = []
        while True:
            kept = [index for index in range(len(cells)) if index not in failed]
            texts = [cells[index] for index in kept]
            inside = self.inside(texts)
            self.fresh()
            outcomes = self._psql(texts, directory, inside)
            dbname = self._put_by()
            if not outcomes or outcomes[-1].ok or outcomes[-1].inside:
                break
            # Sequences and session settings outlive a ROLLBACK; only a new start forgets them.
            failed[kept[len(outcomes) - 1]] = outcomes[-1]
            abandoned.append(dbname)
        # Not before: dropping waits in steps of 100 ms for a psql session that is just ending.
        for name in abandoned:
            self.drop(name)
        every = failed | dict(zip(kept, outcomes, strict=True))
        run = OracleRun(cells=tuple(every[index] for index in range(len(cells))), dbname=dbname)
        self._runs[key] = run
        if len(self._runs) > KEPT_DATABASES:
            _, oldest = self._runs.popitem(last=False)
            self.drop(oldest.dbname)
        return run

    def through(self, cells: Sequence[str], directory: pathlib.Path) -> list[CellOutcome]:
        """The outcomes of all cells in one run of psql, those after an error too; nothing stays."""
        self.fresh()
        try:
            return self._psql(cells, directory, set(range(len(cells))))
        finally:
            self.drop(DATABASE)

    def address(self, dbname: str) -> contents.Address:
        """Where the superuser reaches a run's database."""
        return self._server.address(dbname, self._server.superuser)

    @contextlib.contextmanager
    def database(self) -> Iterator[terminals.Terminals]:
        """A fresh database with a terminal for every session that is asked for."""
        self.fresh()
        address = self._server.address(DATABASE, ROLE)
        with self.connect(DATABASE) as watcher:
            opened = terminals.Terminals(self.bindir / "psql", address, watcher)
            try:
                yield opened
            finally:
                opened.close()
        self.drop(DATABASE)

    def dump(self, dbname: str) -> str:
        """The canonical dump of a run's database."""
        return contents.canonical_dump(self.address(dbname), self.bindir)

    def fingerprint(self, dbname: str) -> dict[str, list[str]]:
        """The fingerprint of a run's database."""
        with self.connect(dbname) as connection:
            return contents.fingerprint(connection)

    def connect(self, dbname: str) -> psycopg.Connection[Any]:
        """A superuser's connection to a database."""
        return self.address(dbname).connect()

    def _execute(self, statement: str, **names: str) -> None:
        assert self._admin is not None, "the oracle is not started"
        names = {"role": ROLE, "template": TEMPLATE, **names}
        identifiers = {key: sql.Identifier(name) for key, name in names.items()}
        self._admin.execute(sql.SQL(statement).format(**identifiers))

    def fresh(self) -> None:
        """The database as every notebook finds it, on a server without other roles."""
        assert self._admin is not None, "the oracle is not started"
        left = "select from pg_database where datname = %s"
        if self._admin.execute(left, (DATABASE,)).fetchone() is not None:
            # By a run that broke off.
            self.drop(DATABASE)
        self._forget_roles()
        self._execute(
            "create database {new} template {template} owner {role} strategy file_copy",
            new=DATABASE,
        )

    def _put_by(self) -> str:
        """Rename the database of a run that is over, for another to have its name."""
        assert self._admin is not None, "the oracle is not started"
        query = "select exists (select from pg_stat_activity where datname = %s)"
        while self._admin.execute(query, (DATABASE,)).fetchall() != [(False,)]:
            # Renaming waits in steps of 100 ms for a psql session that is just ending.
            time.sleep(0.001)
        dbname = f"oracle_{next(self._numbers)}"
        self._execute("alter database {old} rename to {new}", old=DATABASE, new=dbname)
        return dbname

    def _forget_roles(self) -> None:
        """Roles are the server's: those of earlier notebooks lose their names, and the runs go."""
        assert self._admin is not None, "the oracle is not started"
        stale = self._admin.execute(
            "select oid::text, rolname from pg_roles where oid >= 16384 and rolname <> %s"
            " and rolname not like 'stale%%'",
            (ROLE,),
        ).fetchall()
        for oid, name in stale:
            # Databases of earlier runs may still need them.
            self._execute("alter role {old} rename to {new}", old=name, new=f"stale{oid}")
        if stale:
            for run in self._runs.values():
                self.drop(run.dbname)
            self._runs.clear()

    def drop(self, dbname: str) -> None:
        """Drop a database."""
        # Its owner may have made it a template, which can't be dropped.
        self._execute("alter database {old} is_template false", old=dbname)
        self._execute("drop database {old} with (force)", old=dbname)

    def inside(self, cells: Sequence[str]) -> set[int]:
        """The cells with errors that all came in an open transaction.

        psql does not tell, so the cells are run once more, statement by statement, to see; without
        psql's own commands, which say nothing of transactions.
        """
        if not any(_BEGINS.search(cell) for cell in cells):
            return set()
        found: set[int] = set()
        self.fresh()
        with contextlib.closing(self._server.address(DATABASE, ROLE).connect()) as connection:
            for index, cell in enumerate(cells):
                for text in split(_COMMANDS.sub("", cell)):
                    idle = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
                    try:
                        # The simple protocol, as psql: no parameters and nothing prepared.
                        result = connection.pgconn.exec_(text.encode())
                    except psycopg.Error:
                        break
                    if result.status == psycopg.pq.ExecStatus.FATAL_ERROR and not idle:
                        found.add(index)
                    elif result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
                        found.discard(index)
                        break
        self.drop(DATABASE)
        self._forget_roles()
        return found

    def psql(self, directory: str) -> subprocess.Popen[bytes]:
        """A psql that takes what it does from a pipe, on the database that `fresh` made."""
        return subprocess.Popen(
            [self.bindir / "psql", *_PSQL_OPTIONS, "--file=-"],
            env=_environment(self._server.address(DATABASE, ROLE).environment()),
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _psql(
        self,
        cells: Sequence[str],
        directory: str | os.PathLike[str] | None,
        inside: set[int],
    ) -> list[CellOutcome]:
        """Run the cells in one session; the outcomes up to and including the first failure.

        psql stops at an error, but goes on in the cells `inside`.
        """
        with tempfile.TemporaryDirectory(prefix="oracle-cells-") as folder:
            script = [r"\set QUIET on", r"\timing on", r"\set QUIET off"]
            for index, cell in enumerate(cells):
                # A file each: what a cell leaves open ends with its file, not in the next cell.
                path = pathlib.Path(folder, f"{index}.sql")
                path.write_text(cell, encoding="utf-8", newline="")
                script.append(rf"\set ON_ERROR_STOP {'off' if index in inside else 'on'}")
                script += [rf"\echo '{_CELL}'", rf"\warn '{_CELL}'", rf"\include '{path}'"]
            main = pathlib.Path(folder, "main.sql")
            main.write_text("\n".join(script) + "\n", encoding="utf-8")
            done = subprocess.run(
                [self.bindir / "psql", *_PSQL_OPTIONS, f"--file={main}"],
                env=_environment(self._server.address(DATABASE, ROLE).environment()),
                cwd=directory or folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PSQL_TIMEOUT_S,
                check=False,
            )
        shown, said = (text.decode().split(f"{_CELL}\n") for text in (done.stdout, done.stderr))
        assert len(shown) == len(said), f"psql: {done.stderr.decode()}"
        outcomes = [
            dataclasses.replace(outcome(*pair), inside=index in inside)
            for index, pair in enumerate(zip(shown[1:], said[1:], strict=True))
        ]
        if done.returncode == 0:
            assert len(outcomes) == len(cells), "psql ended early and without an error"
        else:
            # Exit status 3 is a failing script; others mean that the session itself broke.
            assert done.returncode in (2, 3), f"psql: {done.stderr.decode()}"
            assert [o.ok for o in outcomes][-1:] == [False], f"psql: {done.stderr.decode()}"
        return outcomes


_PSQL_OPTIONS = (
    "--no-psqlrc",
    "--set=ON_ERROR_STOP=1",
    "--set=VERBOSITY=verbose",
    "--no-align",
    f"--field-separator={_FIELD}",
    "--record-separator-zero",
    f"--pset=null={_NULL}",
    f"--pset=title={_TABLE}",
)

#: But for `\\c`, which ends a transaction.
_COMMANDS = re.compile(r"^\s*\\(?!c\b|connect\b).*$", re.MULTILINE)
_BEGINS = re.compile(r"\b(?:begin|start\s+transaction)\b", re.IGNORECASE)


def split(cell: str) -> list[str]:
    """The statements of a cell, by PostgreSQL's grammar; at semicolons where it has an error."""
    try:
        return list(parser.split(cell, with_parser=True))
    except parser.ParseError:
        pass
    try:
        tokens = parser.scan(cell)
    except parser.ParseError:
        return [cell]
    # pglast's own way without the grammar leaves out what has no keyword in it.
    found, begin, depth = [], 0, 0
    for token in tokens:
        depth += {"ASCII_40": 1, "ASCII_41": -1}.get(token.name, 0)
        if token.name == "ASCII_59" and depth <= 0:
            found.append(cell[begin : token.start])
            begin = token.end + 1
    return [text for text in (*found, cell[begin:]) if text.strip()]


def _environment(connection: Mapping[str, str]) -> dict[str, str]:
    """psql's environment: nothing of ours but where to connect."""
    return {"PATH": os.environ["PATH"], "LC_ALL": "C", "PGCLIENTENCODING": "UTF8", **connection}


def outcome(shown: str, said: str) -> CellOutcome:
    """A cell's outcome from what psql wrote to stdout and stderr while it ran."""
    messages = [match.groups() for match in _MESSAGE.finditer(said)]
    errors = [CellError(sqlstate=m[1], message=m[2]) for m in messages if m[0] in _FAILURES]
    return CellOutcome(
        results=_results(unheard(shown)),
        heard=heard(shown),
        notices=tuple((m[0], m[1], m[2]) for m in messages if m[0] not in _FAILURES),
        error=errors[0] if errors else None,
    )


def heard(shown: str) -> tuple[str, ...]:
    """The messages of NOTIFY in a text, without the number of the process that sent them."""
    return tuple(match[1] for match in _HEARD.finditer(shown))


def unheard(shown: str) -> str:
    """The text without messages of NOTIFY."""
    return _HEARD.sub("", shown)


def masked(shown: str) -> str:
    """The text with messages of NOTIFY, but without the number of the process that sent them."""
    return _HEARD.sub(r"\1?\n", shown)


def _results(shown: str) -> tuple[StatementResult, ...]:
    """The statements' results: of each a table, a tag, or both, and then the time it took."""
    results = []
    position = 0
    shown = ASIDES.sub("", shown)
    while position < len(shown):
        columns: tuple[str, ...] | None = None
        rows: tuple[tuple[str | None, ...], ...] = ()
        count: int | None = None
        if shown.startswith(_TABLE + _RECORD, position):
            position += len(_TABLE) + 1
            columns, rows, count, position = _table(shown, position)
        time = _TIME.search(shown, position)
        tag = shown[position : time.start() if time else None].strip()
        position = time.end() if time else len(shown)
        # An empty statement, and one that failed, show their time and nothing else.
        if tag or columns is not None:
            results.append(
                StatementResult(command=tag or None, columns=columns, rows=rows, row_count=count)
            )
    return tuple(results)


def _table(shown: str, position: int) -> _Table:
    """Columns, rows, row count of the table that begins at `position`, and where it ends."""
    if _TIME.match(shown, position) or (
        shown.startswith(_RECORD, position) and not _FOOTER.match(shown, position + 1)
    ):
        return _expanded(shown, position)
    records: list[str] = []
    while True:
        end = shown.index(_RECORD, position)
        record = shown[position:end]
        position = end + 1
        footer = _FOOTER.fullmatch(record)
        # Rows without columns are counted, but not shown.
        if footer and records and (records == [""] or int(footer[1]) == len(records) - 1):
            break
        records.append(record)
    header, *lines = records
    rows = (tuple(None if v == _NULL else v for v in line.split(_FIELD)) for line in lines)
    return tuple(header.split(_FIELD)) if header else (), tuple(rows), int(footer[1]), position


def _expanded(shown: str, position: int) -> _Table:
    """The same of an expanded table: a record for each value, an empty one before each row."""
    rows: list[list[tuple[str, str]]] = []
    while (end := shown.find(_RECORD, position)) >= 0:
        name, field, value = shown[position:end].partition(_FIELD)
        if field:
            rows[-1].append((name, value))
        elif name:
            break
        else:
            rows.append([])
        position = end + 1
    columns = tuple(name for name, _ in rows[0]) if rows else ()
    values = (tuple(None if value == _NULL else value for _, value in row) for row in rows)
    return columns, tuple(values), len(rows) or None, position
