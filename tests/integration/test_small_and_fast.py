"""What a sandbox takes when nobody uses it, and what it does not wait for."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator

import pytest
from tests import cellar as cellars

from pgcellar.postgres import processes

#: Bytes of one that nobody has used, and of one with a notebook's session and one of ours; both
#: half as much again as docs/operators.md says.
UNUSED, USED = 9 << 20, 21 << 20


@pytest.fixture
def cellar(cellar_home: pathlib.Path) -> Iterator[cellars.Cellar]:
    """Services of a test's own."""
    with cellars.Cellar(cellar_home, spares=0) as made:
        yield made


@pytest.mark.skipif(not processes.PROC.is_dir(), reason="needs /proc")
def test_an_idle_sandbox_takes_a_few_megabytes(cellar: cellars.Cellar) -> None:
    """Of its own: programs and libraries are in memory once for all sandboxes."""
    sandbox = cellar.call(cellar.app._environments.sandbox(cellars.OWNER))
    data = pathlib.Path(sandbox.endpoint.data)
    assert sum(own(data).values()) < UNUSED, own(data)
    cellar.run(["create table t as select generate_series(1, 1000) a", "select sum(a) from t"])
    cellar.quiet()
    assert sum(own(data).values()) < USED, own(data)


def own(data: pathlib.Path) -> dict[str, int]:
    """Bytes of memory that are a server's own, by process."""
    postmaster = int((data / "postmaster.pid").read_text().split()[0])
    found = {}
    for pid in (postmaster, *(child.pid for child in processes.children(postmaster))):
        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        kinds = dict(re.findall(r"^Pss_(\w+): +(\d+) kB$", rollup, re.MULTILINE))
        if not {"Anon", "Shmem"} <= kinds.keys():
            pytest.skip("this kernel does not tell files from other memory")
        title = " ".join(processes.command(pid)).strip()
        found[f"{pid} {title}"] = (int(kinds["Anon"]) + int(kinds["Shmem"])) * 1024
    return found


def test_sandboxes_sync_nothing_and_the_control_database_all(cellar: cellars.Cellar) -> None:
    """What can be rebuilt need not survive a power failure; what can't must."""
    for setting in ("fsync", "synchronous_commit"):
        assert cellar.run([f"show {setting}"]).results[0].rows == (("off",),)
        assert cellar.call(cellar.app._db.fetch(f"show {setting}")) == [{setting: "on"}]
