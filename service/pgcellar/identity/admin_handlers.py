"""The idp's HTTP face for administrators: others' accounts and tokens, and the keys."""

from __future__ import annotations

from typing import Any

from pgcellar.api import errors
from pgcellar.identity import composing, directory, handlers, store
from pgcellar.web import authentication

_DEFAULT = 100
_TRUTHS = {None: None, "true": True, "false": False}


class _AdminHandler(handlers.IdentityHandler):
    scope = "admin"

    async def prepare(self) -> None:
        """Raises Forbidden for who does not administer, whatever is asked."""
        await super().prepare()
        if not self.identity.administers:
            raise errors.Forbidden("Only an administrator may do that.")


class Accounts(_AdminHandler):
    """`/identity/accounts`."""

    async def get(self) -> None:
        """A page of at most `limit`, of those that fit."""
        shown = self.get_query_argument("disabled", None)
        if shown not in _TRUTHS:
            raise errors.BadRequest("`disabled` is `true` or `false`.")
        texts = {
            name: self.get_query_argument(name, None, strip=False)
            for name in ("search", "kind", "role")
        }
        filters = store.Filters(**texts, disabled=_TRUTHS[shown])
        limit = self.whole("limit", _DEFAULT, 1, directory.MOST)
        after = self.get_query_argument("after", None, strip=False)
        self.answer(
            await self.parts.directory.page(self.identity, filters, limit=limit, after=after)
        )

    async def post(self) -> None:
        """Make one, with an `email` and a `password` to log in with."""
        subject = await self.parts.idp.enroll(self.identity, self.body(), self.address)
        self.set_status(201)
        self.answer(await self.parts.directory.account(self.identity, subject))


class Account(_AdminHandler):
    """`/identity/accounts/{subject}`."""

    async def get(self, subject: str) -> None:
        """An account."""
        self.answer(await self.parts.directory.account(self.identity, subject))

    async def patch(self, subject: str) -> None:
        """Keep somebody out, `disabled`, or let them in; make them an `administrator`, or not."""
        wanted = self.body()
        known = {name: wanted[name] for name in ("disabled", "administrator") if name in wanted}
        if not known or not all(isinstance(value, bool) for value in known.values()):
            raise errors.BadRequest("Give `disabled` or `administrator`, true or false.")
        management = self.parts.management
        if "administrator" in known:
            await management.set_administrator(
                self.identity, subject, known["administrator"], self.address
            )
        if "disabled" in known:
            await management.disable(self.identity, subject, known["disabled"], self.address)
        self.answer(await self.parts.directory.account(self.identity, subject))


class Tokens(_AdminHandler):
    """`/identity/accounts/{subject}/tokens`."""

    async def get(self, subject: str) -> None:
        """Somebody's personal access tokens."""
        self.answer({"tokens": await self.parts.directory.tokens(self.identity, subject)})

    async def delete(self, subject: str) -> None:
        """Revoke them all, and end all sessions."""
        await self.parts.management.end_sessions(self.identity, subject, self.address)
        self.set_status(204)


class Token(_AdminHandler):
    """`DELETE /identity/accounts/{subject}/tokens/{id}`."""

    async def delete(self, subject: str, token: str) -> None:
        """Revoke one, or end a session."""
        await self.parts.management.end_sessions(self.identity, subject, self.address, token)
        self.set_status(204)


class Sessions(_AdminHandler):
    """`GET /identity/accounts/{subject}/sessions`."""

    async def get(self, subject: str) -> None:
        """A page of somebody's open sessions."""
        found = await self.parts.directory.sessions(self.identity, subject, **self.page())
        self.answer(found)


class Rotation(_AdminHandler):
    """`POST /identity/keys/rotate`."""

    async def post(self) -> None:
        """Sign with a new key from now on."""
        self.answer({"key": await self.parts.management.rotate(self.identity, self.address)})


def routes(at: str, parts: composing.Parts) -> list[Any]:
    """The administrators' routes under a prefix."""
    given = {"parts": parts}
    account = f"{at}/identity/accounts/{authentication.SUBJECT}"
    return [
        (f"{at}/identity/accounts", Accounts, given),
        (account, Account, given),
        (f"{account}/tokens", Tokens, given),
        (f"{account}/tokens/([0-9a-f]{{32}})", Token, given),
        (f"{account}/sessions", Sessions, given),
        (f"{at}/identity/keys/rotate", Rotation, given),
    ]
