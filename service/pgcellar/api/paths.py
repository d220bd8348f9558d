"""Where pgcellar keeps its files: one home for data, one short folder for sockets."""

from __future__ import annotations

import dataclasses
import getpass
import hashlib
import os
import pathlib
import tempfile

import platformdirs

#: Data of root lies where the unprivileged server account can reach it; /root is closed to it.
ROOT_HOME = pathlib.Path("/var/lib/pgcellar")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Paths:
    """The folders of one installation. `home` holds data, `runtime` only sockets."""

    home: pathlib.Path
    runtime: pathlib.Path

    @property
    def socket(self) -> pathlib.Path:
        """The service's Unix socket."""
        return self.runtime / "service" / "http.sock"

    @property
    def lock(self) -> pathlib.Path:
        """Held by the home's one service process while it lives; it names that and its socket."""
        return self.home / "service.lock"

    @property
    def log(self) -> pathlib.Path:
        """What the service process prints."""
        return self.home / "service.log"


def make_home(where: Paths) -> None:
    """Make the home folder. Under root another account's servers must get through to theirs."""
    where.home.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        where.home.chmod(0o711)


def current() -> Paths:
    """The paths of this user: `PGCELLAR_HOME` if set, else the platform's data folder.

    A Unix socket's path holds about 100 characters, and homes can be longer; sockets therefore
    live in a folder whose name is a digest of the home.
    """
    named = os.environ.get("PGCELLAR_HOME")
    if named:
        home = pathlib.Path(named).expanduser().absolute()
    elif os.getuid() == 0:
        home = ROOT_HOME
    else:
        home = pathlib.Path(platformdirs.user_data_dir("pgcellar"))
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:10]
    base = os.environ.get("PGCELLAR_RUNTIME")
    if base:
        return Paths(home=home, runtime=pathlib.Path(base) / digest)
    usual = Paths(home=home, runtime=_runtime_parent() / digest)
    return dataclasses.replace(usual, runtime=_running(usual) or usual.runtime)


def _running(usual: Paths) -> pathlib.Path | None:
    """Where a service that was started from another environment has its sockets.

    A session of cron, su or a desktop has an `$XDG_RUNTIME_DIR` or not, and the home is the same.
    """
    socket = served(usual)
    if socket is None or socket == usual.socket or not socket.is_socket():
        return None
    return socket.parent.parent


def served(where: Paths) -> pathlib.Path | None:
    """The socket of the home's service, as the last one that was started wrote it down."""
    try:
        _, socket = where.lock.read_text().splitlines()
    except (OSError, ValueError):
        return None
    return pathlib.Path(socket)


def _runtime_parent() -> pathlib.Path:
    """`$XDG_RUNTIME_DIR/pgcellar`, or `/tmp/pgcellar-UID` where there is none or we are root."""
    xdg = os.environ.get("XDG_RUNTIME_DIR")
    if xdg and os.getuid() != 0 and os.access(xdg, os.W_OK | os.X_OK):
        return pathlib.Path(xdg) / "pgcellar"
    return pathlib.Path(tempfile.gettempdir()) / f"pgcellar-{os.getuid()}"


def user_name() -> str:
    """The operating system's name for this user, or its number where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
