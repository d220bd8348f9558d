"""Makes a data folder: all of it or nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import secrets
import signal
import tempfile
from collections.abc import Iterator

from pgcellar.postgres import account as accounts
from pgcellar.postgres import binaries as programs
from pgcellar.postgres import faults, folders

#: The built-in locale provider, whose order of strings is the same on every machine.
_BUILTIN_SINCE = 17
#: The settings pgcellar writes, included at the end of postgresql.conf so that they win.
SETTINGS_FILE = "pgcellar.conf"
#: Variables that are passed on; PGPORT, PGTZ and their like would be taken for settings.
_PASSED = ("PATH", "HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")


def environment() -> dict[str, str]:
    """The environment of all of PostgreSQL's programs: messages in English, times in UTC."""
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    return {**passed, "LC_ALL": "C", "TZ": "UTC"}


async def create(
    binaries: programs.Binaries,
    data: pathlib.Path,
    *,
    account: accounts.Account | None,
    superuser: str,
    password: str,
    hba: str,
) -> None:
    """Make the data folder `data`, which must not exist yet, or be empty.

    It is made beside its place and then moved there, so that what was interrupted is not
    mistaken for a data folder. Raises PostgresFailed or SandboxFull.
    """
    with faults.translated(f"The data folder {data} can't be made"):
        folders.sweep(data)
        temporary = data.with_name(f".{data.name}.{secrets.token_hex(4)}.new")
        folders.private_folder(temporary, account=account)
        try:
            with _secret(data.parent, password, account) as pwfile:
                common = [
                    binaries.path("initdb"),
                    *("--pgdata", str(temporary), "--encoding", "UTF8"),
                    *("--username", superuser, "--pwfile", pwfile),
                    *("--auth-local=scram-sha-256", "--auth-host=scram-sha-256"),
                    # Syncing a thousand small files makes a first start three times as long.
                    "--no-sync",
                ]
                await _run_initdb(common, binaries.major, account)
            install(temporary, "pg_hba.conf", hba, account)
            conf = temporary / "postgresql.conf"
            text = conf.read_text() + f"\ninclude_if_exists '{SETTINGS_FILE}'\n"
            install(temporary, conf.name, text, account)
            temporary.rename(data)
        finally:
            folders.remove(temporary)


def install(folder: pathlib.Path, name: str, text: str, account: accounts.Account | None) -> None:
    """Write a file of a data folder, at once.

    It is written outside and moved in: the account, which owns the folder, might have put a link
    there, and root must not write through it.
    """
    handle, temporary = tempfile.mkstemp(dir=folder.parent, prefix=f".{folder.name}.")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            if account is not None:
                os.fchown(file.fileno(), account.uid, account.gid)
        os.replace(temporary, folder / name)
    except BaseException:
        os.unlink(temporary)
        raise


@contextlib.contextmanager
def _secret(folder: pathlib.Path, text: str, account: accounts.Account | None) -> Iterator[str]:
    """A file that holds a password for as long as this is entered; only the account reads it."""
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".password-") as file:
        file.write(text)
        file.flush()
        if account is not None:
            os.fchown(file.fileno(), account.uid, account.gid)
        yield file.name


async def _run_initdb(common: list[str], major: int, account: accounts.Account | None) -> None:
    if major >= _BUILTIN_SINCE:
        choices = [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
    else:
        choices = [["--locale=C.UTF-8"], ["--locale=C"]]
    for locale in choices:
        status, output = await _run([*common, *locale], account)
        if status == 0:
            return
        if "locale" not in output:
            break
    raise faults.failure(f"initdb failed (status {status}):", output)


async def _run(arguments: list[str], account: accounts.Account | None) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(),
        cwd="/",
        start_new_session=True,
        **accounts.popen_kwargs(account),
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            # Its whole session: initdb runs postgres, which would go on writing.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")
