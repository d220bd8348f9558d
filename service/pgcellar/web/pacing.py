"""How often people may ask by way of gateways: of all gateways before this service together.

Each gateway has a limiter of its own, which keeps from the service what it can; this one is where
their requests meet. It is in memory: a request costs no write, and there is one service.
"""

from __future__ import annotations

import tornado.httputil

from pgcellar.api import identities, rates
from pgcellar.web import authentication

#: What may come at once is what may come in so many seconds.
_BURST_SECONDS = 10


class Pace:
    """See the module. Requests a minute of one person, and of one address that shows no token
    which is taken; 0 for any number."""

    def __init__(self, *, people: float = 0.0, strangers: float = 0.0) -> None:
        self._people = _limiter(people)
        self._strangers = _limiter(strangers)

    def person(
        self, request: tornado.httputil.HTTPServerRequest, identity: identities.Identity
    ) -> None:
        """Count a request of somebody who is known. Raises LimitExceeded."""
        if identities.STRANGER in request.headers:
            self._people.admit(identity.subject)

    def stranger(self, request: tornado.httputil.HTTPServerRequest) -> None:
        """Count a request that shows no token, or none that is taken. Raises LimitExceeded."""
        if identities.STRANGER in request.headers:
            self._strangers.admit(authentication.network(authentication.address(request)))


def _limiter(per_minute: float) -> rates.RateLimiter:
    return rates.RateLimiter(per_minute, max(1, int(per_minute * _BURST_SECONDS / 60)))
