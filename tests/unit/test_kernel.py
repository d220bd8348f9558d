"""The kernel, with a service that answers what the test says."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import pathlib
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

import pytest
from jupyter_client import session

from pgcellar.api import client, errors, records, rendering
from pgcellar_kernel import completeness, display, install, kernel

TIMEOUT = 10.0
COLUMN = records.Column(name="a", type="integer")
INTERRUPTED = records.SqlError(sqlstate="57014", message="canceling statement due to user request")


def done(error: records.SqlError | None = None) -> records.Done:
    """The last event of a run."""
    return records.Done(
        cells=(),
        totals=records.Totals(hits=0, replayed=0, ms=0.0, planning_ms=0.0),
        sandbox=records.SandboxInfo(
            name="s", status="running", server_version="18", copy_on_write=True
        ),
        error=error,
    )


def completed(command: str, statement: int = 0) -> records.Completed:
    """A statement is done."""
    return records.Completed(
        statement=statement, command=command, row_count=None, truncated=False, ms=1.0
    )


def rows(statement: int = 0) -> list[records.Event]:
    """A statement returns one row."""
    return [
        records.Columns(statement=statement, columns=(COLUMN,)),
        records.Rows(statement=statement, rows=(("1",),)),
        dataclasses.replace(completed("SELECT 1", statement), row_count=1),
    ]


def notice(message: str) -> records.Notice:
    """The server says something."""
    return records.Notice(statement=0, severity="NOTICE", sqlstate="00000", message=message)


class Service:
    """Answers every run with the next script, else with success."""

    def __init__(self) -> None:
        self.scripts: list[Sequence[records.Event | Exception]] = []
        self.requests: list[records.RunRequest] = []
        self.planned: list[records.RunRequest] = []
        self.forgotten: list[str] = []
        self.cancelled = asyncio.Event()
        self.fault: Exception | None = None

    def close(self) -> None:
        """As the client's."""

    async def run(
        self, request: records.RunRequest, *, traceparent: str | None = None
    ) -> AsyncGenerator[records.Event, None]:
        """As the client's."""
        self.requests.append(request)
        yield records.Started(run=f"run{len(self.requests)}")
        for step in self.scripts.pop(0) if self.scripts else [completed("DO"), done()]:
            if isinstance(step, Exception):
                raise step
            yield step

    async def cancel(self, run: str) -> None:
        """As the client's."""
        assert run == f"run{len(self.requests)}"
        self.cancelled.set()

    async def plan(self, request: records.RunRequest) -> records.Plan:
        """As the client's."""
        self.planned.append(request)
        if self.fault:
            raise self.fault
        return records.Plan(steps=(), first_miss=None, planning_ms=0.0)

    async def forget(self, notebook: str) -> None:
        """As the client's."""
        if self.fault:
            raise self.fault
        self.forgotten.append(notebook)


class Slow(Service):
    """A service whose statements run until they are cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.running = asyncio.Event()
        self.starting = asyncio.Event()
        self.let = asyncio.Event()
        self.let.set()

    async def run(
        self, request: records.RunRequest, *, traceparent: str | None = None
    ) -> AsyncGenerator[records.Event, None]:
        """Ends when it is cancelled."""
        self.requests.append(request)
        self.starting.set()
        await self.let.wait()
        yield records.Started(run=f"run{len(self.requests)}")
        self.running.set()
        await self.cancelled.wait()
        yield done(INTERRUPTED)

    async def forget(self, notebook: str) -> None:
        """Never ends."""
        await asyncio.Event().wait()


class Wire(session.Session):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__(key=b"key")
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def send(  # type: ignore[override]
        self, stream: Any, msg_or_type: Any, content: Any = None, *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """Keep a message."""
        self.sent.append((msg_or_type, content or {}))
        return {"content": content}


class Front:
    """A kernel as a front end sees it."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.kernel = kernel.PgcellarKernel(session=self.wire, log=logging.getLogger("kernel"))

    async def run(self, code: str, **more: Any) -> dict[str, Any]:
        """Run a cell; its reply."""
        self.wire.sent.clear()
        self.kernel.execution_count += 1
        async with asyncio.timeout(TIMEOUT):
            return await self.kernel.do_execute(code, **{"silent": False, **more})

    async def interrupt(self) -> None:
        """As the control channel does: from a thread and a loop of its own."""
        await asyncio.to_thread(asyncio.run, self.kernel.interrupt_request(None, None, {}))

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The contents of the messages of one type since the last cell began."""
        return [content for sent, content in self.wire.sent if sent == kind]

    @property
    def kinds(self) -> list[str]:
        """The types of all messages since the last cell began."""
        return [kind for kind, _ in self.wire.sent]

    @property
    def texts(self) -> list[str]:
        """What stays shown, as text."""
        shown: list[str] = []
        pending = False
        for kind, content in self.wire.sent:
            if kind == "clear_output":
                pending = bool(content["wait"])
                shown = shown if pending else []
            elif kind in ("display_data", "stream"):
                shown = [] if pending else shown
                pending = False
                shown.append(content.get("text") or content["data"]["text/plain"])
        return shown


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """What every client made meets."""
    return serve(monkeypatch, Service())


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """A slow one."""
    made = Slow()
    serve(monkeypatch, made)
    return made


def serve(monkeypatch: pytest.MonkeyPatch, made: Service) -> Service:
    """Put a service behind every client."""
    monkeypatch.setattr(client, "Client", lambda **_: made)
    return made


@pytest.fixture
def front() -> Iterator[Front]:
    """A kernel."""
    made = Front()
    yield made
    made.kernel.clear_instance()


# --- showing ----------------------------------------------------------------------------------


async def test_every_statement_is_shown_in_order(front: Front, service: Service) -> None:
    """As display_data, with text, HTML where there are rows, and JSON."""
    service.scripts = [[completed("CREATE TABLE"), *rows(1), completed("SET", 2), done()]]
    reply = await front.run("create table t (); select 1; set x = 1")
    assert reply["status"] == "ok"
    assert front.kinds == ["display_data"] * 3
    assert front.texts == ["CREATE TABLE", " a \n---\n 1\n(1 row)", "SET"]
    bundles = [content["data"] for content in front.of("display_data")]
    assert all(rendering.MIME in bundle for bundle in bundles)
    assert ["text/html" in bundle for bundle in bundles] == [False, True, False]


async def test_notices_go_to_stdout(front: Front, service: Service) -> None:
    """Before the result they come with."""
    service.scripts = [[notice("one"), notice("two"), completed("DO"), done()]]
    await front.run("do $$ $$")
    assert front.kinds == ["stream", "stream", "display_data"]
    assert front.of("stream")[0] == {"name": "stdout", "text": "NOTICE:  one\n"}


@pytest.mark.parametrize("code", ["", "  \n\t"])
async def test_an_empty_cell_runs_nothing(front: Front, service: Service, code: str) -> None:
    """It is fine."""
    assert (await front.run(code))["status"] == "ok"
    assert (service.requests, front.kinds) == ([], [])


async def test_a_silent_request_runs_nothing(front: Front, service: Service) -> None:
    """Front ends send such to look into a kernel, not to change it."""
    assert (await front.run("drop table t", silent=True))["status"] == "ok"
    assert service.requests == []


async def test_a_cell_of_comments_shows_nothing(front: Front, service: Service) -> None:
    """The service finds no statement in it."""
    service.scripts = [[done()]]
    assert (await front.run("-- nothing"))["status"] == "ok"
    assert front.kinds == []


async def test_what_was_waited_with_makes_room(front: Front, service: Service) -> None:
    """For the first output, at once."""
    waiting = records.Progress(message="Replaying …", left=2)
    service.scripts = [[waiting, records.Progress(message="Cloning …"), *rows(), done()]]
    await front.run("select 1")
    shown = [content["data"]["text/plain"] for content in front.of("display_data")]
    assert shown[:2] == ["Replaying … (2 cells left)", "Cloning …"]
    assert [content["wait"] for content in front.of("clear_output")] == [True, True]
    assert front.texts == [" a \n---\n 1\n(1 row)"]


@pytest.mark.parametrize(
    "end", [done(), done(INTERRUPTED), errors.SandboxLost(), RuntimeError("boom")]
)
async def test_what_was_waited_with_is_never_left(
    front: Front, service: Service, end: records.Event | Exception
) -> None:
    """However the run ends."""
    service.scripts = [[records.Progress(message="Cloning …"), end]]
    await front.run("select 1")
    assert front.texts == []
    assert front.of("clear_output") == [{"wait": False}]


async def test_a_result_is_never_cleared_away(front: Front, service: Service) -> None:
    """What is waited for after a result is not shown: to clear it would clear the result."""
    late = records.Progress(message="Cloning …")
    service.scripts = [[*rows(), late, notice("hi"), late, completed("DO", 1), done()]]
    await front.run("select 1; do $$ $$")
    assert front.kinds == ["display_data", "stream", "display_data"]


# --- errors -----------------------------------------------------------------------------------


async def test_an_error_is_shown_and_the_kernel_goes_on(front: Front, service: Service) -> None:
    """After the results of the statements before it."""
    error = records.SqlError(
        sqlstate="42P01", message='relation "x" does not exist', position=26, cell="c"
    )
    service.scripts = [[*rows(), done(error)]]
    reply = await front.run("select 1;\nselect * from   x", cell_id="c")
    assert front.kinds == ["display_data", "error"]
    content = {
        "ename": "42P01",
        "evalue": 'relation "x" does not exist',
        "traceback": [
            'ERROR:  42P01: relation "x" does not exist',
            "LINE 2: select * from   x",
            "                       ^",
        ],
    }
    assert front.of("error") == [content]
    assert reply == {"status": "error", "execution_count": 1, **content}
    assert (await front.run("select 1"))["status"] == "ok"


async def test_an_error_above_is_told_as_such(front: Front, service: Service) -> None:
    """With that cell's own source."""
    cells = [
        {"id": "x", "source": "select 1"},
        {"id": "y", "source": "\n  select\n nope"},
        {"id": "z", "source": "select 2"},
    ]
    error = records.SqlError(sqlstate="42703", message="no nope", position=12, cell="y")
    service.scripts = [[done(error)]]
    await front.run("select 2", cell_meta={"pgcellar": {"cells": cells, "head": 2}}, cell_id="z")
    assert front.of("error")[0]["traceback"] == [
        "Cell 2 above failed, so this cell did not run. It begins: select",
        "ERROR:  42703: no nope",
        "LINE 3:  nope",
        "         ^",
    ]


async def test_a_service_that_is_lost_is_told_with_what_to_do(
    front: Front, service: Service
) -> None:
    """And the next cell works."""
    service.scripts = [[errors.ServiceUnavailable("It ended.", hint="Run it again.")]]
    assert (await front.run("select 1"))["ename"] == "PC003"
    assert front.of("error")[0]["traceback"] == ["ERROR:  PC003: It ended.", "HINT:  Run it again."]
    assert (await front.run("select 1"))["status"] == "ok"


@pytest.mark.parametrize("fault", [RuntimeError("secret"), ValueError("secret"), OSError("secret")])
async def test_an_unforeseen_exception_is_logged_not_shown(
    front: Front, service: Service, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends the cell, not the kernel."""
    service.scripts = [[fault]]
    reply = await front.run("select 1")
    assert reply["status"] == "error"
    assert len(reply["traceback"]) == 1
    assert "secret" not in json.dumps(front.wire.sent)
    assert "secret" in caplog.text
    assert (await front.run("select 1"))["status"] == "ok"


def test_an_error_moves_no_cursor() -> None:
    """nbclient prints `evalue` to the terminal."""
    error = records.SqlError(sqlstate="P0001", message="\x1b[31mred")
    content = display.error_content(error, (records.Cell(id="a", source=""),), 0)
    assert "\x1b" not in "".join([content["evalue"], *content["traceback"]])


# --- the order of cells -----------------------------------------------------------------------


def sources(request: records.RunRequest) -> list[str]:
    """The sources of a request, the head's last."""
    assert request.head == len(request.cells) - 1
    return [cell.source for cell in request.cells]


async def test_without_ids_each_execution_comes_below(front: Front, service: Service) -> None:
    """As in a console, where the same text may come twice."""
    for code in ("A", "B", "B"):
        await front.run(code)
    assert sources(service.requests[-1]) == ["A", "B", "B"]


async def test_an_id_that_comes_again_keeps_its_place(front: Front, service: Service) -> None:
    """And what failed is in no tail."""
    failure = [done(records.SqlError(sqlstate="42601", message="m"))]
    service.scripts = [[done()], [done()], failure, [done()]]
    for code, identity in (("A", "a"), ("B", "b"), ("A2", "a"), ("B2", "b")):
        await front.run(code, cell_id=identity)
    assert [sources(request) for request in service.requests] == [
        ["A"],
        ["A", "B"],
        ["A2"],
        ["B2"],
    ]


async def test_the_notebook_order_is_not_mixed_with_that_of_execution(
    front: Front, service: Service
) -> None:
    """A front end that tells the order tells it of every cell."""
    await front.run("A", cell_id="a")
    cells = [{"id": "t", "source": "T"}, {"id": "b", "source": "old"}]
    meta = {"pgcellar": {"cells": cells, "head": 1}}
    await front.run("B", cell_id="b", cell_meta=meta)
    assert sources(service.requests[-1]) == ["T", "B"]
    await front.run("C", cell_id="c")
    assert sources(service.requests[-1]) == ["A", "C"]


async def test_a_wrong_order_is_refused(front: Front, service: Service) -> None:
    """Nothing runs."""
    reply = await front.run("select 1", cell_meta={"pgcellar": {"cells": "nonsense"}})
    assert (reply["status"], reply["ename"]) == ("error", "PC001")
    assert service.requests == []


async def test_a_request_names_notebook_folder_and_bounds(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """The folder is where Jupyter starts the kernel; without it, files can't be read."""
    monkeypatch.setenv("PGCELLAR_MAX_ROWS", "7")
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    front = Front()
    await front.run("select 1")
    folder.rmdir()
    await front.run("select 1")
    first, second = service.requests
    assert first.notebook == second.notebook
    assert first.notebook.startswith("kernel:")
    assert (first.directory, first.max_rows) == (str(folder), 7)
    assert second.directory is None
    assert Front().kernel._notebook != first.notebook


class Told:
    """The comm of a page that only listens."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def send(self, data: dict[str, Any]) -> None:
        """As a comm's."""
        self.events.append(data["event"])

    def on_msg(self, callback: object) -> None:
        """As a comm's."""

    def on_close(self, callback: object) -> None:
        """As a comm's."""


@pytest.mark.parametrize("fault", [None, errors.ServiceUnavailable("gone"), ValueError("bug")])
async def test_pages_are_told_that_a_cell_runs_no_more(
    front: Front, service: Service, fault: Exception | None
) -> None:
    """Also where the run broke off, and there is no report of it."""
    page = Told()
    front.kernel._front.open(page, {"content": {}})
    service.scripts.append([done()] if fault is None else [fault])
    await front.run("select 1", cell_id="a")
    assert page.events == ["hello", "running", "ended" if fault else "ran"]


# --- interrupting -----------------------------------------------------------------------------


async def test_an_interrupt_cancels_the_run(front: Front, slow: Slow) -> None:
    """The cell ends when the server has acknowledged it."""
    cell = asyncio.create_task(front.run("select pg_sleep(1000)"))
    await slow.running.wait()
    await front.interrupt()
    assert (await cell)["ename"] == "57014"
    assert sorted(front.kinds) == ["error", "interrupt_reply"]


async def test_an_interrupt_before_the_run_has_begun(front: Front, slow: Slow) -> None:
    """It is not lost."""
    slow.let.clear()
    cell = asyncio.create_task(front.run("select pg_sleep(1000)"))
    await slow.starting.wait()
    await front.interrupt()
    assert not slow.cancelled.is_set()
    slow.let.set()
    assert (await cell)["ename"] == "57014"


async def test_an_interrupt_of_nothing_is_harmless(front: Front, service: Service) -> None:
    """Before the first cell, and between two."""
    await front.interrupt()
    assert (await front.run("select 1"))["status"] == "ok"
    await front.interrupt()
    await asyncio.sleep(0)
    assert (await front.run("select 1"))["status"] == "ok"
    assert not service.cancelled.is_set()


# --- the rest of the protocol -----------------------------------------------------------------


@pytest.mark.parametrize("fault", [None, errors.ServiceUnavailable(), OSError("no")])
async def test_kernel_info_warms_the_service_up(
    front: Front, service: Service, fault: Exception | None
) -> None:
    """Once, and whether or not that works the answer comes first."""
    service.fault = fault
    for _ in range(2):
        await front.kernel.kernel_info_request(None, None, {})
    assert [kind for kind in front.kinds if kind.endswith("_reply")] == ["kernel_info_reply"] * 2
    assert service.planned == []
    with contextlib.suppress(errors.PgcellarError, OSError):
        assert front.kernel._warming is not None
        await front.kernel._warming
    assert len(service.planned) == 1


def test_kernel_info_promises_what_there_is(front: Front) -> None:
    """No subshells: their comm messages could overtake an execute request."""
    info = front.kernel.kernel_info
    assert info["supported_features"] == []
    assert info["language_info"]["name"] == "sql"
    assert info["language_info"]["codemirror_mode"] == "text/x-pgsql"


async def test_shutdown_gives_the_notebook_back(front: Front, service: Service) -> None:
    """Its instances, that is."""
    await front.run("select 1")
    assert await front.kernel.do_shutdown(True) == {"status": "ok", "restart": True}
    assert service.forgotten == [service.requests[0].notebook]


@pytest.mark.parametrize("fault", [errors.ServiceUnavailable(), OSError("no"), ValueError("bad")])
async def test_shutdown_needs_no_service(front: Front, service: Service, fault: Exception) -> None:
    """A kernel ends all the same."""
    service.fault = fault
    assert (await front.kernel.do_shutdown(False))["status"] == "ok"


async def test_shutdown_waits_for_nobody(
    front: Front, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for long."""
    monkeypatch.setattr(kernel, "FORGET_TIMEOUT", 0.01)
    async with asyncio.timeout(TIMEOUT):
        assert (await front.kernel.do_shutdown(False))["status"] == "ok"


@pytest.fixture
def no_service(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """A home in which no service listens, whatever runs on this machine."""
    monkeypatch.setenv("PGCELLAR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PGCELLAR_RUNTIME", str(tmp_path / "run"))


@pytest.mark.usefixtures("no_service")
@pytest.mark.parametrize(
    ("code", "matches", "start"),
    [
        ("sel", ["select"], 0),
        ("select 1 FR", ["FROM"], 9),
        ("Ord", ["ORDER"], 0),
        ("zzz", [], 0),
        ("select 'a", [], 9),
    ],
)
async def test_keywords_complete(front: Front, code: str, matches: list[str], start: int) -> None:
    """In the case that was typed."""
    reply = await front.kernel.do_complete(code, len(code))
    assert (reply["status"], reply["matches"], reply["cursor_start"]) == ("ok", matches, start)


@pytest.mark.usefixtures("no_service")
async def test_what_may_begin_is_offered_before_a_letter_is_typed(front: Front) -> None:
    """And no service is needed for it."""
    reply = await front.kernel.do_complete("", 0)
    assert (reply["matches"][0], reply["cursor_start"]) == ("select", 0)
    assert reply["metadata"]["_jupyter_types_experimental"][0]["type"] == "keyword"
    reply = await front.kernel.do_complete("select ", 7)
    assert (reply["matches"][0], reply["cursor_start"]) == ("distinct", 7)


@pytest.mark.usefixtures("no_service")
async def test_inspection_shows_a_command_and_history_is_empty(front: Front) -> None:
    """What is no command's name is answered, and found is false."""
    found = await front.kernel.do_inspect("select", 3)
    assert found["status"] == "ok"
    assert found["found"] is True
    assert found["data"]["text/plain"].startswith("[ WITH")
    nothing = await front.kernel.do_inspect("1 + 1", 5)
    assert (nothing["status"], nothing["found"], nothing["data"]) == ("ok", False, {})
    assert (await front.kernel.do_history())["history"] == []


async def test_consoles_are_told_what_is_complete(front: Front) -> None:
    """With an indent where it isn't, as the protocol wants."""
    assert await front.kernel.do_is_complete("select 1;") == {"status": "complete"}
    assert await front.kernel.do_is_complete("select") == {"status": "incomplete", "indent": ""}


@pytest.mark.parametrize(
    "code",
    [
        "",
        "  \n",
        "\\d t",
        "select 1;",
        "select 'a;b''c';",
        "select E'a\\'b';",
        "select $$a;$$;",
        "select $x$ $$ ' ( $x$;",
        'select ";" from "t""(";',
        "-- only a comment (",
        "/* only /* a */ comment; */",
        "select 1; -- done (",
        "select 1; /* it's */",
        "select (1);",
        "select a$b$c;",
    ],
)
def test_complete(code: str) -> None:
    """Blank, a backslash command, or ended by a semicolon."""
    assert completeness.status(code) == "complete"


@pytest.mark.parametrize(
    "code",
    [
        "select 1",
        "select 'a;",
        "select 'a';  'b'",
        "select E'a\\';",
        "select E'a\\",
        "select $$a;",
        "select $x$ $$;",
        'select "a;',
        "select (1;",
        "select 1; /* ;",
        "/* /* */ ;",
        "select '--;'",
        "select 1 -- ;",
        "'a'",
    ],
)
def test_incomplete(code: str) -> None:
    """Something has no end yet."""
    assert completeness.status(code) == "incomplete"


def test_the_kernelspec_names_this_python(tmp_path: pathlib.Path) -> None:
    """The one in the wheel names any."""
    where = pathlib.Path(install.install(user=False, prefix=str(tmp_path)))
    assert where == tmp_path / "share" / "jupyter" / "kernels" / "pgcellar"
    spec = json.loads((where / "kernel.json").read_text())
    assert spec["argv"] == [sys.executable, "-m", "pgcellar_kernel", "-f", "{connection_file}"]
    assert spec["interrupt_mode"] == "message"
    assert (where / "logo-svg.svg").exists()


async def test_a_cell_tagged_base_names_a_notebook(front: Front, service: Service) -> None:
    """Where the front end tells of tags."""
    meta = {"tags": ["base"]}
    await front.run("load.ipynb", cell_id="a", cell_meta=meta)
    assert sources(service.requests[-1]) == ["\\base load.ipynb"]
    await front.run("select 1", cell_id="b")
    assert sources(service.requests[-1]) == ["\\base load.ipynb", "select 1"]
    await front.run("empty", cell_id="a", cell_meta=meta)
    await front.run("select 1", cell_id="b")
    assert sources(service.requests[-1]) == ["-- empty", "select 1"]
