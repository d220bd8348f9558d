"""Kernels, driven as a front end does: a request, then its reply and the idle status.

Spoken to over plain sockets: what the client library adds is the same for every kernel, and
would only blur the ratios.
"""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jupyter_client.manager
import zmq
from tests.bench import measure, places

import pgcellar_kernel.install

SECTION = "kernel round trip: request → reply and idle"
STARTS = "kernel: from its start to its first result"
_WARM_UP = 10
_READY_SECONDS = 60.0
_ANSWER_MS = 120_000

_JUPYSQL = "%load_ext sql\n%sql {url}\n%sql select 1"

IPYKERNEL = "python3"
PGCELLAR = pgcellar_kernel.install.NAME


class Kernel:
    """A running kernel."""

    def __init__(self, manager: jupyter_client.manager.KernelManager) -> None:
        self._client: Any = manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=_READY_SECONDS)
        self._shell = self._client.shell_channel.socket
        self._iopub = self._client.iopub_channel.socket
        self._poller = zmq.Poller()
        for channel in (self._shell, self._iopub):
            self._poller.register(channel, zmq.POLLIN)

    def close(self) -> None:
        """Close the channels."""
        self._client.stop_channels()

    def run(self, code: str, metadata: dict[str, Any] | None = None) -> float:
        """Execute a cell; ms until both its reply and the idle status are here.

        Raises RuntimeError if the cell failed, or nothing came for two minutes.
        """
        begin = time.perf_counter()
        reply = self._wait(self._request(code, metadata))
        took = (time.perf_counter() - begin) * 1000
        if reply["status"] != "ok":
            raise RuntimeError(f"{code!r} failed: {reply.get('ename')}: {reply.get('evalue')}")
        return took

    def interrupted(self, code: str, after: float) -> float:
        """Interrupt a cell after so many seconds; ms from then until it has ended.

        Raises RuntimeError if it did not fail, or nothing came for two minutes.
        """
        request = self._request(code)
        time.sleep(after)
        begin = time.perf_counter()
        self._client.control_channel.send(self._client.session.msg("interrupt_request", {}))
        reply = self._wait(request)
        took = (time.perf_counter() - begin) * 1000
        if reply["status"] == "ok":
            raise RuntimeError(f"{code!r} was interrupted, and ended all the same.")
        return took

    def _request(self, code: str, metadata: dict[str, Any] | None = None) -> str:
        """Send an execute request; its id."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        message = self._client.session.msg("execute_request", content, metadata=metadata or {})
        self._client.shell_channel.send(message)
        found: str = message["header"]["msg_id"]
        return found

    def cell(self, cells: Sequence[str], head: int) -> float:
        """Run a cell of a notebook whose order pgcellar's kernel is told, as JupyterLab will."""
        listed = [{"id": f"c{index}", "source": text} for index, text in enumerate(cells)]
        return self.run(cells[head], {"pgcellar": {"cells": listed, "head": head}})

    def _wait(self, request: str) -> dict[str, Any]:
        reply: dict[str, Any] | None = None
        idle = False
        while reply is None or not idle:
            ready = dict(self._poller.poll(_ANSWER_MS))
            if not ready:
                raise RuntimeError("The kernel does not answer.")
            for socket in ready:
                _, message = self._client.session.recv(socket)
                if message is None or message["parent_header"].get("msg_id") != request:
                    continue
                if socket is self._shell:
                    reply = message["content"]
                elif message["header"]["msg_type"] == "status":
                    idle = message["content"]["execution_state"] == "idle"
        return reply


@contextlib.contextmanager
def prepared(folder: pathlib.Path) -> Iterator[None]:
    """An environment in which kernels keep all they write in a folder, and tell nobody of it."""
    pgcellar_kernel.install.install(user=False, prefix=str(folder))
    with places.environment(
        JUPYTER_PATH=str(folder / "share" / "jupyter"),
        JUPYTER_RUNTIME_DIR=str(folder / "runtime"),
        JUPYTER_CONFIG_DIR=str(folder / "config"),
        IPYTHONDIR=str(folder / "ipython"),
        PLOOMBER_STATS_ENABLED="false",
        PLOOMBER_VERSION_CHECK_DISABLED="true",
    ):
        yield


@contextlib.contextmanager
def started(name: str) -> Iterator[Kernel]:
    """A kernel of this name, ended in order."""
    manager = jupyter_client.manager.KernelManager(kernel_name=name)
    manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        kernel = Kernel(manager)
        try:
            yield kernel
        finally:
            kernel.close()
    finally:
        manager.shutdown_kernel()


@contextlib.contextmanager
def jupysql(server: places.Plain) -> Iterator[Kernel]:
    """An ipykernel with JupySQL, connected."""
    with started(IPYKERNEL) as kernel:
        kernel.run("%load_ext sql")
        kernel.run(f"%sql {server.url}")
        yield kernel


def round_trips(table: measure.Table, server: places.Plain, rounds: int) -> None:
    """The three kernels in turn."""
    with started(IPYKERNEL) as python, started(PGCELLAR) as ours, jupysql(server) as magic:
        took: tuple[list[float], ...] = ([], [], [], [])
        for number in range(_WARM_UP + rounds):
            took[0].append(python.run("1+1"))
            # Another each time: the answer to one that ran before is kept.
            took[1].append(ours.cell([f"select {number}"], 0))
            took[2].append(ours.cell(["select 0"], 0))
            took[3].append(magic.run("%sql select 1"))
    ipykernel = table.add(SECTION, "ipykernel: 1+1", took[0][_WARM_UP:])
    table.add(SECTION, "pgcellar: select 1", took[1][_WARM_UP:], against=ipykernel, aim="below 1")
    table.add(SECTION, "pgcellar: its answer kept", took[2][_WARM_UP:], against=ipykernel)
    table.add(SECTION, "JupySQL: %sql select 1", took[3][_WARM_UP:], against=ipykernel)


def starts(table: measure.Table, server: places.Plain, rounds: int) -> None:
    """From nothing to the first cell's end, the service and its sandbox running."""
    took: tuple[list[float], ...] = ([], [], [])
    for number in range(rounds):
        for index, (name, code) in enumerate(
            ((IPYKERNEL, "1+1"), (PGCELLAR, f"select {number}"), (IPYKERNEL, _JUPYSQL))
        ):
            begin = time.perf_counter()
            with started(name) as kernel:
                kernel.run(code.format(url=server.url))
                took[index].append((time.perf_counter() - begin) * 1000)
    ipykernel = table.add(STARTS, "ipykernel: 1+1", took[0])
    table.add(STARTS, "pgcellar: select 1", took[1], against=ipykernel)
    table.add(STARTS, "JupySQL: load, connect, select 1", took[2], against=ipykernel)
