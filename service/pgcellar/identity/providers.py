"""Identity providers: who knows somebody, under a name that stays theirs.

People of different providers are never taken for the same, whatever address they give.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from pgcellar.api import errors, identities, paths
from pgcellar.identity import flow_store

#: Longer names are cut: they are shown in lists, and travel in every token.
MAX_NAME = 100
_MAX_ID = 255


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class External:
    """Somebody as a provider knows them. `id` must be unique and permanent there.

    `subject` is the subject of their account if it is made now; None for a random one.
    """

    provider: str
    id: str
    name: str
    kind: identities.Kind = "registered"
    subject: str | None = None


@runtime_checkable
class Provider(Protocol):
    """Somewhere people can show who they are.

    `vouched` says that credentials are no secret but the word of a service that we trust, so
    that nobody else may show them.
    """

    @property
    def name(self) -> str:
        """As it stands in paths and in the audit log."""

    @property
    def vouched(self) -> bool:
        """See the class."""

    async def identify(self, credentials: Mapping[str, Any]) -> External:
        """Whose credentials these are. Raises Unauthenticated or ServiceUnavailable."""


@runtime_checkable
class Redirecting(Protocol):
    """A server that people's browsers are sent to, to log in there and come back with a code.

    No code is taken but of whom comes back in the browser that was sent there: hence this is no
    `Provider`, to which anybody may show credentials that are anybody's.
    """

    @property
    def name(self) -> str:
        """As it stands in paths and in the audit log."""

    async def start(self, subject: str | None = None) -> tuple[str, str, flow_store.Flow]:
        """Where to send the browser, the state to bind to it, and the flow to remember."""

    async def finish(self, code: str, flow: flow_store.Flow) -> External:
        """Whose code it is. Raises Unauthenticated, Forbidden or ServiceUnavailable."""


class OperatingSystem:
    """The operating system's user that this process runs as."""

    name = "os"
    vouched = True

    async def identify(self, credentials: Mapping[str, Any]) -> External:
        """The user; needs no credentials. Their subject is the name that they own things by."""
        user = paths.user_name()
        return External(provider=self.name, id=user, name=user, kind="os", subject=user)


class JupyterServer:
    """A Jupyter Server's IdentityProvider, given its `User` as plain data by the gateway.

    Usernames are unique within one server, or one hub of them: `server` names it.
    """

    name = "jupyter_server"
    vouched = True

    def __init__(self, server: str) -> None:
        self._server = server

    async def identify(self, credentials: Mapping[str, Any]) -> External:
        """The user that the record is of."""
        username = credentials.get("username")
        if not isinstance(username, str) or not username:
            raise errors.Unauthenticated("This user of Jupyter Server has no `username`.")
        shown = credentials.get("display_name") or credentials.get("name") or username
        return External(provider=f"{self.name}:{self._server}", id=username, name=printable(shown))


def encodable(text: str) -> bool:
    """Whether a text can be written: JSON may hold lone surrogates, which can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_id(found: object) -> bool:
    """Whether what another server calls somebody can be kept as it is, as their `External.id`."""
    return isinstance(found, str) and 0 < len(found) <= _MAX_ID and found.isprintable()


def printable(name: object) -> str:
    """A name as it may be shown: one line, without what controls terminals or text's direction."""
    text = " ".join(unicodedata.normalize("NFC", str(name)).split())
    kept = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    return kept[:MAX_NAME].strip() or "?"
