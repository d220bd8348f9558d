"""Completion, inspection and formatting in a real kernel with its service."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jupyter_client.manager import KernelManager
from tests.fixtures_service import CommandLine

from pgcellar.api import client, order, records
from pgcellar_kernel import comforts

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

#: Seconds within which a state that is no more worked on is kept, and its names are known.
SOON = 30.0


class Kernel:
    """A kernel, and the client of somebody who types."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="pgcellar")
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str, cell: str) -> str:
        """Run a cell by its id; the reply's status."""
        content = {
            "code": code, "silent": False, "store_history": True, "user_expressions": {},
            "allow_stdin": False, "stop_on_error": False,
        }  # fmt: skip
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell})
        self.client.shell_channel.send(message)
        return str(self._reply(message["header"]["msg_id"])["status"])

    def complete(self, code: str) -> list[dict[str, Any]]:
        """The typed matches at the end of a text."""
        reply = self._reply(self.client.complete(code))
        assert reply["status"] == "ok"
        typed: list[dict[str, Any]] = reply["metadata"]["_jupyter_types_experimental"]
        assert [each["text"] for each in typed] == reply["matches"]
        return typed

    def inspect(self, code: str, cursor: int) -> dict[str, str]:
        """What is shown of the word at a cursor."""
        found: dict[str, str] = self._reply(self.client.inspect(code, cursor))["data"]
        return found

    def stop(self) -> None:
        """Shut the kernel down."""
        self.client.stop_channels()
        self.manager.shutdown_kernel()
        self.manager.cleanup_resources()

    def _reply(self, identity: str) -> dict[str, Any]:
        while True:
            reply = self.client.get_shell_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == identity:
                content: dict[str, Any] = reply["content"]
                return content


@pytest.fixture
def kernel(kernel_home: CommandLine) -> Iterator[Kernel]:
    """A kernel of this test's own."""
    made = Kernel()
    yield made
    made.stop()


def until(holds: Callable[[], bool]) -> None:
    """Ask again and again, as somebody does who types, until something holds."""
    end = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < end


def names(matches: list[dict[str, Any]], kind: str) -> list[str]:
    """The matches of a kind."""
    return [each["text"] for each in matches if each["type"] == kind]


def test_names_made_by_an_earlier_cell_are_offered(kernel: Kernel) -> None:
    """At once, by their text; and after that cell is edited, the new ones."""
    assert kernel.run("create table before (alpha int, beta text)", "a") == "ok"
    assert kernel.run("create view seen as select alpha as gamma from before", "b") == "ok"
    assert names(kernel.complete("select * from "), "table") == ["before"]
    assert names(kernel.complete("select * from "), "view") == ["seen"]
    assert names(kernel.complete("update before set "), "column") == ["alpha", "beta"]
    assert kernel.run("create table after (alpha int, delta text); "
                      "create table before as table after", "a") == "ok"  # fmt: skip
    found = names(kernel.complete("select * from "), "table")
    assert found == ["after", "before"]
    assert names(kernel.complete("update before set "), "column") == ["alpha", "delta"]


def test_what_no_text_tells_is_offered_when_the_state_is_kept(kernel: Kernel) -> None:
    """Here what a DO block has made, with its comment, in a schema that must be quoted."""
    code = """do $$ begin
        execute 'create schema "S s"; create table "S s"."T t" (a int primary key, b text)';
        execute 'comment on table "S s"."T t" is ''of <b>''';
    end $$"""
    assert kernel.run(code, "a") == "ok"
    until(lambda: names(kernel.complete("select * from t"), "table") == ['"S s"."T t"'])
    assert names(kernel.complete('select * from "S s".'), "table") == ['"T t"']
    assert names(kernel.complete('select * from "S s"."T t" x where x.'), "column") == ["a", "b"]
    text = 'select * from "S s"."T t"'
    found = kernel.inspect(text, len(text) - 2)
    assert found["text/plain"].startswith("S s.T t: table\nof <b>")
    assert "of &lt;b&gt;" in found["text/html"]


def test_what_postgresql_brings_is_offered(kernel: Kernel) -> None:
    """Functions with their signatures, system catalogs, settings."""
    assert kernel.run("select 1", "a") == "ok"
    until(lambda: "generate_series" in names(kernel.complete("select generate_s"), "function"))
    (found,) = [e for e in kernel.complete("select lowe") if e["text"] == "lower"]
    assert found["signature"].startswith("lower(text) → text")
    assert "pg_class" in names(kernel.complete("select * from pg_cl"), "table")
    assert "work_mem" in names(kernel.complete("set work_"), "setting")
    shown = kernel.inspect("select string_agg(", 18)["text/plain"]
    assert shown.startswith("pg_catalog.string_agg: aggregate\nconcatenate")


def test_completion_is_quick_when_names_are_known(kernel: Kernel) -> None:
    """Well within what somebody notices who types."""
    assert kernel.run("create table t (a int)", "a") == "ok"
    until(lambda: bool(names(kernel.complete("select lowe"), "function")))
    taken = []
    for _ in range(20):
        begin = time.perf_counter()
        kernel.complete("select * from t where a")
        taken.append(time.perf_counter() - begin)
    assert sorted(taken)[10] < 0.05


async def test_places_and_formats(kernel_home: CommandLine) -> None:
    """The facade as a front end uses it: the place says which cells are above."""
    service = client.Client()
    helper = comforts.Comforts(service, notebook="places")
    texts = ["create table one (a int)", "create table two (b int)", ""]

    def place(head: int) -> order.Place:
        cells = tuple(records.Cell(id=str(i), source=text) for i, text in enumerate(texts))
        return order.Place(cells=cells[: head + 1], head=head)

    try:
        first = await helper.complete(place(1), "select * from ", 14)
        second = await helper.complete(place(2), "select * from ", 14)
        assert "one" in first["matches"]
        assert "two" not in first["matches"]
        assert {"one", "two"} <= set(second["matches"])
        shown = await helper.inspect(place(2), "table two", 8)
        assert shown["found"] is True
        assert json.loads(json.dumps(second)) == second
        assert await helper.format("select   1") == {
            "status": "ok", "source": "select 1", "changed": True,
        }  # fmt: skip
        await helper.prepare(place(2))
    finally:
        service.close()


async def test_without_a_service_texts_and_keywords_do(
    kernel_home: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Nothing is started, and nobody waits."""
    monkeypatch.setenv("PGCELLAR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PGCELLAR_RUNTIME", str(tmp_path / "run"))
    service = client.Client()
    helper = comforts.Comforts(service, notebook="alone")
    cells = (records.Cell(id="a", source="create table t (a int)"), records.Cell(id="", source=""))
    try:
        async with asyncio.timeout(2):
            found = await helper.complete(order.Place(cells=cells, head=1), "select * from ", 14)
        assert found["matches"][0] == "t"
        found = await helper.complete(order.Place(cells=cells, head=1), "sel", 3)
        assert found["matches"] == ["select"]
        assert not (tmp_path / "run").exists()
    finally:
        service.close()
