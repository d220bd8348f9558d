"""pgcellar.api.descriptors, on systems that keep their limits otherwise."""

from __future__ import annotations

import resource

import pytest

from pgcellar.api import descriptors

FOREVER = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "let", "room", "left"),
    [
        (1_024, 4_096, FOREVER, 2_000, 4_096),
        (1_024, 1_024, FOREVER, 768, 1_024),
        (200, 200, FOREVER, 1, 200),
        (FOREVER, FOREVER, FOREVER, 2_000, FOREVER),
        (1_024, FOREVER, FOREVER, 2_000, FOREVER),
        # As on macOS: no limit is said to be, and there is one.
        (256, FOREVER, 10_240, 2_000, 2_256),
        (256, FOREVER, 1_000, 1, 256),
        (8_000, FOREVER, 10_240, 2_000, 8_000),
    ],
)
def test_room(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, let: int, room: int, left: int
) -> None:
    limits = [soft, hard]

    def change(which: int, new: tuple[int, int]) -> None:
        assert which == resource.RLIMIT_NOFILE
        if let != FOREVER and (new[0] == FOREVER or new[0] > let):
            raise ValueError("Invalid argument")
        limits[:] = new

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", change)
    assert descriptors.room(2_000) == room
    assert limits[0] == left
