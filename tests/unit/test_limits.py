"""pgcellar_server.limits: how much each caller may have open, and whose tokens are known."""

from __future__ import annotations

import pytest

from pgcellar.api import errors
from pgcellar_server import limits


def test_so_many_at_once() -> None:
    ceiling = limits.Ceiling(1)
    with ceiling.held("a"), ceiling.held("b"):
        assert ceiling.total == 2
        with pytest.raises(errors.LimitExceeded), ceiling.held("a"):
            pass
    assert ceiling.total == 0
    with ceiling.held("a"):
        pass
    anyone = limits.Ceiling(0)
    with anyone.held("a"), anyone.held("a"):
        assert anyone.total == 2


def test_so_much_at_once_of_everybody_and_of_one() -> None:
    room = limits.Room(16)
    with room.held("a", 3):
        with pytest.raises(errors.LimitExceeded, match="by you") as refused, room.held("a", 2):
            pass
        assert refused.value.retry_after
        with room.held("b", 4), room.held("c", 4), room.held("d", 4):
            with pytest.raises(errors.LimitExceeded, match="as can be held"), room.held("e", 2):
                pass
            with room.held("a", 1):
                pass
    with room.held("a", 4):
        pass


def test_a_token_is_known_while_it_is_taken() -> None:
    now = [0.0]
    known = limits.Known(clock=lambda: now[0])
    assert known.subject("t") is None
    known.answered("t", 404, "ann")
    assert known.subject("t") == "ann"
    known.answered("t", 503, None)
    assert known.subject("t") == "ann"
    known.answered("t", 401, None)
    assert known.subject("t") is None
    known.answered("t", 200, "ann")
    now[0] += 901.0
    assert known.subject("t") is None
    # The services had not looked at the token yet.
    known.answered("u", 400, None)
    assert known.subject("u") is None
