"""More people than sandboxes that may run at once."""

from __future__ import annotations

import pathlib
import time

import pytest
from tests import cellar

from pgcellar.environments import service

CELLS = ["create table t (i int)", "insert into t values (1)", "select count(*) from t"]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_RESPITE", 0.3)


def running(services: cellar.Cellar) -> int:
    counts = services.app._environments.counts()
    return counts["running"]


def test_idle_sandboxes_make_room(cellar_home: pathlib.Path) -> None:
    with cellar.Cellar(cellar_home, max_sandboxes=2, spares=0) as services:
        for turn in range(2):
            for owner in ("ann", "bob", "cid"):
                ran = services.start_for(owner, CELLS).result(cellar.TIMEOUT)
                assert ran.done.error is None
                assert ran.results[-1].rows == (("1",),)
                assert running(services) <= 2
                if turn:
                    # The states of a sandbox that was stopped stay.
                    assert "replayed" not in ran.sources
        assert len(services.runner._workspaces) <= 2
        assert len(services.app._caches) <= 2


def test_many_at_once_wait_for_their_turn(cellar_home: pathlib.Path) -> None:
    with cellar.Cellar(cellar_home, max_sandboxes=2, spares=0) as services:
        begun = [services.start_for(f"p{i}", CELLS) for i in range(8)]
        for run in begun:
            ran = run.result(cellar.TIMEOUT)
            assert ran.done.error is None
            assert ran.results[-1].rows == (("1",),)
        assert running(services) <= 2


def test_sandboxes_in_use_are_left_alone(cellar_home: pathlib.Path) -> None:
    with cellar.Cellar(cellar_home, max_sandboxes=1, spares=0, sandbox_patience=1.0) as services:
        assert services.start_for("ann", ["select 1"]).result(cellar.TIMEOUT).done.error is None
        busy = services.start_for("ann", ["select pg_sleep(4)"])
        time.sleep(0.5)
        ran = services.start_for("bob", CELLS).result(cellar.TIMEOUT)
        assert ran.done.error is not None
        assert "All 1 sandboxes" in ran.done.error.message
        assert busy.result(cellar.TIMEOUT).done.error is None
        assert services.start_for("bob", CELLS).result(cellar.TIMEOUT).done.error is None
