"""Services that are killed while people work: no run is lost or done twice, and all go on."""

from __future__ import annotations

import pathlib

import pytest
from tests.bench import load


@pytest.mark.timeout(400)
def test_services_are_killed_while_people_work(cellar_home: pathlib.Path) -> None:
    """Everybody compares answers, sandbox and list of runs with what they have to be."""
    plan = load.Plan(
        anonymous=5, registered=1, ramp=3.0, think=1.0, kills=4, limit=300.0, renew=5.0
    )
    seen, _ = load.run(plan, cellar_home, sandboxes=4)
    assert seen.errors == []
    assert seen.killed == {"service": 2, "gateway": 1, "control database": 1}
    assert len(seen.heads) + len(seen.first) == 6 * 6
