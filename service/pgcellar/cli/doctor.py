"""`pgcellar doctor`: what this machine offers, what is missing, and what to do about it."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator

from pgcellar.api import documents, errors, paths
from pgcellar.postgres import account, binaries
from pgcellar.snapshots import driver

#: Room for a control database, a sandbox and a few states.
ENOUGH_BYTES = 1024**3
_EXTENSION = "pgcellar-labextension"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at. `ok` is None where it is neither good nor bad."""

    what: str
    ok: bool | None
    says: str


def doctor(*, as_json: bool) -> int:
    """Print the findings; 2 if something is missing without which nothing runs."""
    findings = [_careful(name, check) for name, check in _CHECKS]
    if as_json:
        print(json.dumps({"findings": [dataclasses.asdict(found) for found in findings]}))
    else:
        for found in findings:
            mark = {True: "ok  ", False: "BAD ", None: "note"}[found.ok]
            print(f"{mark}  {found.what:14}  {found.says}")
    return 2 if any(found.ok is False for found in findings) else 0


def _careful(name: str, check: Callable[[], tuple[bool | None, str]]) -> Finding:
    try:
        ok, says = check()
    except errors.PgcellarError as exc:
        ok, says = False, " ".join(filter(None, (exc.message, exc.hint)))
    except OSError as exc:
        ok, says = False, str(exc)
    return Finding(what=name, ok=ok, says=says)


def _python() -> tuple[bool | None, str]:
    return True, f"{sys.version.split()[0]} at {sys.executable}"


def _postgres() -> tuple[bool | None, str]:
    found = binaries.find()
    return True, f"{found.version} from {found.origin}, {found.bindir}"


def _account() -> tuple[bool | None, str]:
    who = account.current()
    if who is None:
        return True, f"servers run as you, {paths.user_name()}"
    return True, (
        f"you are root, and PostgreSQL refuses to run as root: servers run as {who.name} "
        f"(uid {who.uid}), with a copy of the binaries below {paths.current().home} where it can't "
        "read them; PGCELLAR_SERVER_USER names another account"
    )


def _home() -> tuple[bool | None, str]:
    home = paths.current().home
    existing = next(_existing(home))
    if not os.access(existing, os.W_OK):
        return False, f"{home} can't be written; set PGCELLAR_HOME to a folder that can"
    free = shutil.disk_usage(existing).free
    says = f"{home}, {free / 1024**3:.1f} GiB free"
    return (True, says) if free > ENOUGH_BYTES else (False, f"{says}: too little to work with")


def _cloning() -> tuple[bool | None, str]:
    existing = next(_existing(paths.current().home))
    if not driver.shares_extents(existing):
        return None, (
            f"{existing} can't share extents, so every state is a full copy and large ones take "
            "seconds; put PGCELLAR_HOME on XFS or Btrfs to clone in milliseconds"
        )
    if binaries.find().major < 18:
        return None, "the file system shares extents, but only PostgreSQL 18 makes use of it"
    return True, "copy-on-write: a clone takes milliseconds, whatever its size"


def _kernel() -> tuple[bool | None, str]:
    from jupyter_client import kernelspec

    found = kernelspec.KernelSpecManager().find_kernel_specs().get(documents.KERNEL)
    if found is None:
        return None, "not installed; `pgcellar kernelspec install` does it"
    return True, found


def _extension() -> tuple[bool | None, str]:
    from jupyter_core import paths as jupyter

    for folder in jupyter.jupyter_path("labextensions"):
        found = pathlib.Path(folder, _EXTENSION, "package.json")
        if found.is_file():
            return True, str(found.parent)
    return None, (
        "not installed: JupyterLab shows SQL notebooks in the order of execution; from a checkout,"
        " `make extension` builds it, with Node"
    )


def _service() -> tuple[bool | None, str]:
    where = paths.current()
    running = where.socket.exists()
    return None, f"{'running' if running else 'not running'}; its log is {where.log}"


def _existing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """The path's nearest folders that exist."""
    return (folder for folder in (path, *path.parents) if folder.is_dir())


_CHECKS: tuple[tuple[str, Callable[[], tuple[bool | None, str]]], ...] = (
    ("python", _python),
    ("postgresql", _postgres),
    ("account", _account),
    ("home", _home),
    ("copy-on-write", _cloning),
    ("kernel", _kernel),
    ("extension", _extension),
    ("service", _service),
)
