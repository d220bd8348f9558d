"""Makes a data folder: all of it or nothing."""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
import tempfile
from collections.abc import Iterator

from psycopg import sql

from pgcellar.api import errors
from pgcellar.postgres import account as accounts
from pgcellar.postgres import binaries as programs
from pgcellar.postgres import commands, faults, folders, templates

#: The built-in locale provider, whose order of strings is the same on every machine.
_BUILTIN_SINCE = 17
#: The settings pgcellar writes, included at the end of postgresql.conf so that they win.
SETTINGS_FILE = "pgcellar.conf"
#: A server that runs one statement of ours, and says nothing of it.
_ALONE = {
    "exit_on_error": "on",
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
    "dynamic_shared_memory_type": "mmap",
}


async def create(
    binaries: programs.Binaries,
    data: pathlib.Path,
    *,
    account: accounts.Account | None,
    superuser: str,
    password: str,
    hba: str,
    kept: templates.Templates | None = None,
) -> None:
    """Make the data folder `data`, which must not exist yet, or be empty; with `kept` as a copy.

    It is made beside its place and then moved there, so that what was interrupted is not
    mistaken for a data folder. Raises PostgresFailed or SandboxFull.
    """
    with faults.translated(f"The data folder {data} can't be made"):
        folders.sweep(data)
        temporary = data.with_name(f".{data.name}.{secrets.token_hex(4)}.new")
        folders.private_folder(temporary, account=account)
        try:
            if kept is None:
                await _initdb(binaries, temporary, account, superuser, password)
            else:

                async def make(template: pathlib.Path) -> None:
                    nobodys = secrets.token_urlsafe(24)
                    await _initdb(binaries, template, account, templates.SUPERUSER, nobodys)

                template = await kept.copy(binaries, account, temporary, make)
                try:
                    await _set_superuser(binaries, temporary, account, superuser, password)
                except errors.PostgresFailed as exc:
                    raise errors.PostgresFailed(
                        exc.message,
                        hint=f"If {template} is damaged, remove it: it is made anew.",
                    ) from exc
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


async def _initdb(
    binaries: programs.Binaries,
    data: pathlib.Path,
    account: accounts.Account | None,
    superuser: str,
    password: str,
) -> None:
    with _secret(data.parent, password, account) as pwfile:
        common = [
            binaries.path("initdb"),
            *("--pgdata", str(data), "--encoding", "UTF8"),
            *("--username", superuser, "--pwfile", pwfile),
            *("--auth-local=scram-sha-256", "--auth-host=scram-sha-256"),
            # Syncing a thousand small files makes a first start three times as long.
            "--no-sync",
        ]
        await _in_a_locale(common, binaries.major, account)


async def _in_a_locale(common: list[str], major: int, account: accounts.Account | None) -> None:
    if major >= _BUILTIN_SINCE:
        choices = [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
    else:
        choices = [["--locale=C.UTF-8"], ["--locale=C"]]
    for locale in choices:
        status, output = await commands.run([*common, *locale], account)
        if status == 0:
            return
        if "locale" not in output:
            break
    raise faults.failure(f"initdb failed (status {status}):", output)


async def _set_superuser(
    binaries: programs.Binaries,
    data: pathlib.Path,
    account: accounts.Account | None,
    superuser: str,
    password: str,
) -> None:
    """Give a copy of a template its superuser, with a password; no server runs for it."""
    alone = [binaries.path("postgres"), "--single", "-F", "-D", str(data)]
    for name, value in _ALONE.items():
        alone += ["-c", f"{name}={value}"]
    verb = "alter" if superuser == templates.SUPERUSER else "create"
    statement = sql.SQL("{} role {} superuser login password {}\n").format(
        sql.SQL(verb), sql.Identifier(superuser), sql.Literal(password)
    )
    await commands.check([*alone, "postgres"], account, statement.as_string(None))
