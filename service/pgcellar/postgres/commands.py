"""Runs short programs, PostgreSQL's and the system's, to their end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from pgcellar.postgres import account as accounts
from pgcellar.postgres import faults

#: Variables that are passed on; PGPORT, PGTZ and their like would be taken for settings.
_PASSED = ("PATH", "HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")


def environment() -> dict[str, str]:
    """The environment of all of these programs: messages in English, times in UTC."""
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    return {**passed, "LC_ALL": "C", "TZ": "UTC"}


async def run(
    arguments: Sequence[str], account: accounts.Account | None, said: str = ""
) -> tuple[int, str]:
    """Run a program with `said` as its input; its status and all that it said.

    Cancelling ends it, and all that it started.
    """
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.PIPE if said else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(),
        cwd="/",
        start_new_session=True,
        **accounts.popen_kwargs(account),
    )
    try:
        output, _ = await process.communicate(said.encode() if said else None)
    finally:
        if process.returncode is None:
            # Its whole session: initdb runs postgres, which would go on writing.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


async def check(arguments: Sequence[str], account: accounts.Account | None, said: str = "") -> None:
    """Run a program that is not to fail. Raises PostgresFailed or SandboxFull."""
    status, output = await run(arguments, account, said)
    if status != 0:
        raise faults.failure(f"{arguments[0]} failed (status {status}):", output)
