"""Several psql sessions on one database, as somebody with a terminal for each would use them."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Any

import psycopg
from tests import contents

_MARK = "--- mark ---"
#: Seconds; more than deadlock_timeout, which is 1 s.
_WAITING = 1.1
TIMEOUT = 30.0
_BLOCKED = """
select count(*) from pg_locks
where pid = %s and not granted and clock_timestamp() - waitstart > make_interval(secs => %s)
"""


@dataclasses.dataclass
class Terminal:
    """One psql. `shown` is all it has said."""

    process: subprocess.Popen[str]
    pid: int = 0
    shown: str = ""
    sent: int = 0
    seen: int = 0

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        """Take what it says."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == f"{_MARK}\n":
                self.seen += 1
            else:
                self.shown += line

    def send(self, text: str) -> None:
        """Type a text, and have a mark printed when it is done."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n;\n\\echo '{_MARK}'\n")
        self.process.stdin.flush()
        self.sent += 1

    @property
    def busy(self) -> bool:
        """Whether it has not come to the end of what was typed."""
        return self.seen < self.sent


class Terminals:
    """See the module."""

    def __init__(
        self, psql: pathlib.Path, address: contents.Address, watcher: psycopg.Connection[Any]
    ) -> None:
        self._psql = psql
        self._address = address
        self._watcher = watcher
        self._terminals: dict[str, Terminal] = {}

    def close(self) -> None:
        """End all of them."""
        for terminal in self._terminals.values():
            terminal.process.kill()
            terminal.process.wait()
            terminal.reader.join()
            for pipe in (terminal.process.stdin, terminal.process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    assert pipe is not None
                    pipe.close()

    def waits(self, name: str) -> bool:
        """Whether a session waits."""
        return name in self._terminals and self._terminals[name].busy

    def shown(self) -> dict[str, str]:
        """What each has said."""
        return {name: terminal.shown for name, terminal in self._terminals.items()}

    def run(self, name: str, text: str) -> None:
        """Type a text; returns when every session is idle, or waits for good."""
        if name not in self._terminals:
            self._terminals[name] = self._open()
        self._terminals[name].send(text)
        deadline = time.monotonic() + TIMEOUT
        while any(self._runs(terminal) for terminal in self._terminals.values()):
            assert time.monotonic() < deadline, f"psql does not come to an end: {text}"
            time.sleep(0.01)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What somebody else sees in the database."""
        return self._watcher.execute(query, values).fetchall()  # type: ignore[call-overload, no-any-return]

    def _runs(self, terminal: Terminal) -> bool:
        if not terminal.busy:
            return False
        row = self._watcher.execute(_BLOCKED, (terminal.pid, _WAITING)).fetchone()
        return row is not None and not row[0] and terminal.busy

    def _open(self) -> Terminal:
        options = ["--no-psqlrc", "--no-align", "--tuples-only", "--set=VERBOSITY=sqlstate"]
        process = subprocess.Popen(
            [self._psql, *options],
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **self._address.environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        terminal = Terminal(process=process)
        terminal.reader.start()
        terminal.send("select pg_backend_pid()")
        deadline = time.monotonic() + TIMEOUT
        while terminal.busy:
            assert time.monotonic() < deadline, "psql does not start"
            time.sleep(0.005)
        terminal.pid = int(terminal.shown)
        terminal.shown = ""
        return terminal
