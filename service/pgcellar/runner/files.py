"""Files that cells read: confined to the notebook's folder, known by their content's digest."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import pathlib
import stat
import tempfile
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from pgcellar.api import errors
from pgcellar.notebook import clocks, copying, psqlscan

_BLOCK = 1 << 20
#: A file's identity and the digest of its content; the content is read again if any part differs.
Stamp = tuple[int, int, int, int, int]


def stamp(info: os.stat_result) -> Stamp:
    """The stamp of an open file."""
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


_NOT_WRITTEN = "It is as it was before. Make room, or save less."
#: Characters of a file that `\\i` names.
MAX_INCLUDED = 4 << 20


class Digests(Mapping[str, str]):
    """The digests of the files that a notebook's `\\copy` commands read, by command.

    One that can't be read has none; its cell fails when it runs.
    """

    def __init__(self, opener: Files, directory: str | None) -> None:
        self._files = opener
        self._directory = directory
        self._known: dict[str, str] = {}

    def __getitem__(self, command: str) -> str:
        if command not in self._known:
            try:
                self._known[command] = self._files.digest(self._directory, command)
            except errors.FileRefused as exc:
                raise KeyError(command) from exc
        return self._known[command]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


class Files:
    """Finds files and remembers their digests while they don't change."""

    def __init__(self, read_only: pathlib.Path | None = None) -> None:
        """Below `read_only` nothing is written: what is there was uploaded, and counted."""
        self._read_only = None if read_only is None else read_only.resolve()
        self._digests: dict[pathlib.Path, tuple[Stamp, str]] = {}

    def path(self, directory: str | None, name: str) -> pathlib.Path:
        """Where a file is, or would be. Raises FileRefused."""
        return self._resolve(directory, name)

    def digest(self, directory: str | None, command: str) -> str:
        """The digest of the file a `\\copy` reads, marked where the file may name the clock.

        Raises FileRefused if it can't be read, or lies outside of the notebook's folder.
        """
        parsed = copying.parse(command)
        if isinstance(parsed, copying.Refusal) or parsed.out:
            return ""
        return self.content(directory, parsed.file)

    def content(self, directory: str | None, name: str) -> str:
        """The digest of what a file holds, marked where it may name the clock.

        Raises FileRefused.
        """
        with self.open(directory, name) as (path, file):
            now = stamp(os.fstat(file.fileno()))
            known = self._digests.get(path)
            if known is not None and known[0] == now:
                return known[1]
            hashed, search = hashlib.sha256(), clocks.Search()
            while block := file.read(_BLOCK):
                hashed.update(block)
                search.feed(block)
            search.end()
            digest = hashed.hexdigest() + (clocks.MARK if search.found else "")
            self._digests[path] = (now, digest)
            return digest

    def include(self, directory: str | None, name: str) -> str | psqlscan.Problem:
        """The text of a file that `\\i` names, or why there is none."""
        try:
            with self.open(directory, name) as (path, file):
                data = file.read(MAX_INCLUDED + 1)
            if len(data) > MAX_INCLUDED:
                raise errors.FileRefused(
                    f"{path} is larger than {MAX_INCLUDED >> 20} MiB.",
                    hint="Load data with \\copy; \\i is for SQL.",
                )
            return data.decode()
        except UnicodeDecodeError:
            return _problem(f"{name} is not UTF-8 text.", "Save it as UTF-8.")
        except errors.FileRefused as exc:
            return _problem(exc.message, exc.hint or "")

    @contextlib.contextmanager
    def create(self, directory: str | None, name: str) -> Iterator[BinaryIO]:
        """Write a file of the notebook's folder; it is there only if all went well.

        Raises FileRefused; so does an OSError within, which is taken for one of the file.
        """
        path = self.check(directory, name)
        try:
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".pgcellar.")
        except OSError as exc:
            raise _unwritable(path, exc) from exc
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException as exc:
            pathlib.Path(temporary).unlink(missing_ok=True)
            if isinstance(exc, OSError):
                raise _unwritable(path, exc, hint=_NOT_WRITTEN) from exc
            raise

    def check(self, directory: str | None, name: str) -> pathlib.Path:
        """Where a file would be written, if one can be there. Raises FileRefused."""
        path = self._resolve(directory, name)
        if self._read_only is not None and path.is_relative_to(self._read_only):
            raise errors.FileRefused(
                f"{name}: a notebook on a server writes no files.",
                hint="SELECT the rows, and fetch the run's result as CSV.",
            )
        try:
            if path.exists() and not path.is_file():
                raise errors.FileRefused(f"{path} is not a regular file.")
            folder = path.parent
            if not stat.S_ISDIR(folder.stat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as exc:
            raise _unwritable(path, exc) from exc
        return path

    @contextlib.contextmanager
    def open(self, directory: str | None, name: str) -> Iterator[tuple[pathlib.Path, BinaryIO]]:
        """Open a file of the notebook's folder for reading. Raises FileRefused."""
        path = self._resolve(directory, name)
        try:
            # The path is resolved, so its last part can't be a link any more; if it became one in
            # the meantime, somebody is playing tricks.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as exc:
            raise errors.FileRefused(
                f"{path}: {exc.strerror or exc}.",
                hint="File names count from the notebook's folder.",
            ) from exc
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise errors.FileRefused(f"{path} is not a regular file.")
        with os.fdopen(handle, "rb") as file:
            yield path, file

    def _resolve(self, directory: str | None, name: str) -> pathlib.Path:
        if directory is None:
            raise errors.FileRefused(
                f"{name}: this notebook has no folder to read files from.",
                hint="Save the notebook first; files lie beside it.",
            )
        try:
            folder = pathlib.Path(directory).resolve()
            path = (folder / name).resolve()
        except (OSError, RuntimeError, ValueError) as exc:
            # A loop of links; a name with a character that no file's can have.
            raise errors.FileRefused(
                f"{name!r} is no file's name here: {exc}.",
                hint="File names count from the notebook's folder.",
            ) from exc
        if not path.is_relative_to(folder):
            raise errors.FileRefused(
                f"{name} lies outside of the notebook's folder {folder}.",
                hint="Copy the file into that folder.",
            )
        return path


def _unwritable(
    path: pathlib.Path, cause: OSError, hint: str = "Its folder must exist already."
) -> errors.FileRefused:
    return errors.FileRefused(f"{path}: {cause.strerror or cause}.", hint=hint)


def _problem(message: str, hint: str) -> psqlscan.Problem:
    return psqlscan.Problem(message=message, hint=hint, start=0)
