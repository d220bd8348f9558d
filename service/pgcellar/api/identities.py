"""Who asks: identities, and how a service learns whose request it has.

The subject of an identity is the owner of sandboxes, states, runs and audit records. It is never
given to another, and says nothing about the person.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

#: By which a gateway says, over the service's Unix socket, where a request is from; and that it is
#: a stranger's, whom nothing but a token makes somebody.
ADDRESS = "Pgcellar-Address"
STRANGER = "Pgcellar-Stranger"
#: By which the services tell that gateway, and it nobody, whose token it was.
SUBJECT = "Pgcellar-Subject"

Kind = Literal["os", "anonymous", "registered", "service"]

#: May read and change everything of everybody.
ADMINISTRATOR = "administrator"
#: The scope of a token that may do whatever its subject may.
EVERYTHING = "*"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Somebody, as one request or one token knows them.

    `roles` holds `administrator` or nothing; who teaches a class is the profiles' matter. `token`
    is the id of the token that was shown, for the audit log and for revoking it.
    """

    subject: str
    name: str
    kind: Kind
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = (EVERYTHING,)
    token: str | None = None

    def may(self, scope: str) -> bool:
        """Whether this identity's token allows a scope: `runs`, say, or `runs:read`."""
        area = scope.partition(":")[0]
        return not {EVERYTHING, area, scope}.isdisjoint(self.scopes)

    @property
    def administers(self) -> bool:
        """Whether this is an administrator, with a token that says so."""
        return ADMINISTRATOR in self.roles and self.may("admin")


class Registry(Protocol):
    """Knows who there is."""

    async def find(self, subject: str) -> Identity | None:
        """Who a subject is; None if there is no such account."""

    async def last_seen(self, subjects: Sequence[str]) -> Mapping[str, datetime.datetime]:
        """When each of some subjects was seen last; without those who never were."""


class Anybody:
    """Takes every subject for a registered one's, never seen: satisfies `Registry`."""

    async def find(self, subject: str) -> Identity | None:
        """See `Registry`."""
        return Identity(subject=subject, name=subject, kind="registered")

    async def last_seen(self, subjects: Sequence[str]) -> Mapping[str, datetime.datetime]:
        """See `Registry`."""
        return {}


ANYBODY = Anybody()


class Verifier(Protocol):
    """Turns an access token into an identity."""

    async def verify(self, token: str, audience: str) -> Identity:
        """Whose token it is.

        Raises Unauthenticated if it is forged, expired, revoked, or for another audience.
        """
