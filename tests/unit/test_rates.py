"""pgcellar.api.rates: how often each caller may ask."""

from __future__ import annotations

import pytest

from pgcellar.api import errors, rates


def test_bursts_and_then_a_rate() -> None:
    now = [0.0]
    limiter = rates.RateLimiter(60, 2, clock=lambda: now[0])
    limiter.admit("a")
    limiter.admit("a")
    with pytest.raises(errors.LimitExceeded) as refused:
        limiter.admit("a")
    assert 0 < refused.value.retry_after <= 1.0
    limiter.admit("b")
    now[0] += 1.0
    limiter.admit("a")


def test_amounts_of_something() -> None:
    now = [0.0]
    limiter = rates.RateLimiter(60, 10, clock=lambda: now[0])
    limiter.admit("a", 9.0)
    for amount, seconds in ((2.0, 1.0), (11.0, 10.0)):
        with pytest.raises(errors.LimitExceeded) as refused:
            limiter.admit("a", amount)
        assert refused.value.retry_after == pytest.approx(seconds)
    # What was refused counts for nothing.
    limiter.admit("a", 1.0)


def test_who_has_no_limit_is_not_counted() -> None:
    limiter = rates.RateLimiter(0, 1)
    for _ in range(1_000):
        limiter.admit("a")
