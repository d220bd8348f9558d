"""The idp's HTTP face. What is answered is never kept by a cache; secrets are in bodies only."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from pgcellar.api import errors, identities
from pgcellar.identity import composing, providers
from pgcellar.web import authentication, base, calls

#: Logins begun at another server are bound to this browser by it.
COOKIE = "pgcellar_flow"
_FLOW_SECONDS = 600


class IdentityHandler(base.BaseHandler):
    """A handler over the idp."""

    def initialize(self, parts: composing.Parts) -> None:
        """See the routes in `pgcellar.people`."""
        self.parts = parts

    def set_default_headers(self) -> None:
        """Tokens are nobody's to keep."""
        self.set_header("Cache-Control", "no-store")

    @property
    def address(self) -> str:
        """Where the request is from."""
        return authentication.address(self.request)

    def text(self, name: str) -> str:
        """A text in the body. Raises BadRequest."""
        found = self.body().get(name)
        if not isinstance(found, str) or not found:
            raise errors.BadRequest(f"The request has no `{name}`.")
        if not providers.encodable(found):
            raise errors.BadRequest(f"`{name}` is no text.")
        return found

    def page(self) -> dict[str, Any]:
        """The page that the query asks for: `limit` and `after`. Raises BadRequest."""
        return {
            "limit": self.whole("limit", base.MOST, 1, base.MOST),
            "after": self.get_query_argument("after", "", strip=False) or None,
        }


class _Public(IdentityHandler):
    public = True


class Anonymous(_Public):
    """`POST /identity/anonymous`."""

    async def post(self) -> None:
        """A new anonymous identity's tokens."""
        self.answer(await self.parts.idp.anonymous(self.address))


class Login(_Public):
    """`POST /identity/login/{provider}`; `POST /identity/password` is that of passwords."""

    async def post(self, provider: str = "password") -> None:
        """Tokens for whose credentials are in the body."""
        if self.parts.idp.provider(provider).vouched:
            await self._trusted()
        self.answer(await self.parts.idp.login(provider, self.body(), self.address))

    async def _trusted(self) -> None:
        """Only a service's word for somebody else is taken. Raises Forbidden."""
        how: authentication.Authentication = self.settings["pgcellar_authentication"]
        self.identity = await how.identify(self.request)
        calls.begin(self.request, self.identity)
        self.allow("identity:vouch")
        if self.identity.kind not in ("service", "os"):
            raise errors.Forbidden("Only a service may say who somebody is.")


class Register(_Public):
    """`POST /identity/register`."""

    async def post(self) -> None:
        """A new account's tokens."""
        self.answer(await self.parts.idp.register(self.body(), self.address))


class Upgrade(IdentityHandler):
    """`POST /identity/upgrade`."""

    scope = "identity"

    async def post(self) -> None:
        """Tokens for the same subject, registered from now on."""
        self.answer(await self.parts.idp.upgrade(self.identity, self.body(), self.address))


class Refresh(_Public):
    """`POST /identity/refresh`."""

    async def post(self) -> None:
        """New tokens for a `refresh_token`, which is used up."""
        secret = self.text("refresh_token")
        self.answer(await self.parts.management.renew(secret, self.address, self.key()))


class Exchange(_Public):
    """`POST /identity/exchange`."""

    async def post(self) -> None:
        """An access token for a personal access `token`."""
        self.answer(await self.parts.management.exchange(self.text("token")))


class Tokens(IdentityHandler):
    """`/identity/tokens`: one's personal access tokens."""

    scope = "tokens"

    async def get(self) -> None:
        """All of them, without their secrets."""
        self.answer({"tokens": await self.parts.management.tokens(self.identity)})

    async def post(self) -> None:
        """A new one; its secret is shown this once."""
        body = self.body()
        days = body.get("days", 90)
        if not isinstance(days, int) or isinstance(days, bool):
            raise errors.BadRequest("`days` is a whole number.")
        made = await self.parts.management.create(
            self.identity,
            name=self.text("name"),
            scopes=_texts(body.get("scopes")),
            days=days,
            address=self.address,
        )
        self.set_status(201)
        self.answer(made)

    async def delete(self) -> None:
        """Revoke all, and end all sessions, this one too."""
        await self.parts.management.revoke(self.identity, None, self.address)
        self.set_status(204)


class Token(IdentityHandler):
    """`DELETE /identity/tokens/{id}`."""

    scope = "tokens"

    async def delete(self, token: str) -> None:
        """Revoke one of them, or a session."""
        await self.parts.management.revoke(self.identity, token, self.address)
        self.set_status(204)


class Sessions(IdentityHandler):
    """`GET /identity/sessions`."""

    scope = "tokens"

    async def get(self) -> None:
        """A page of one's own open sessions; `DELETE /identity/tokens/{id}` ends one."""
        self.answer(await self.parts.management.open_sessions(self.identity, **self.page()))


class Keys(_Public):
    """`GET /identity/jwks`: a JWK set."""

    async def get(self) -> None:
        """The public keys."""
        trust = await self.parts.sessions.trust()
        self.set_header("Cache-Control", "public, max-age=15")
        self.answer({"keys": [dict(key) for key in trust.keys]})


class Refused(IdentityHandler):
    """`GET /identity/refused`: for services that verify tokens themselves."""

    scope = "identity:verify"

    async def get(self) -> None:
        """The subjects and sessions whose access tokens are refused."""
        if self.identity.kind != "service" and not self.identity.administers:
            raise errors.Forbidden("Only a service may ask this.")
        trust = await self.parts.sessions.trust()
        self.answer({"refused": sorted(trust.refused)})


class Me(IdentityHandler):
    """`GET /identity/me`."""

    scope = "me"

    def get(self) -> None:
        """Who asks, and what their token is good for."""
        who: identities.Identity = self.identity
        self.answer(
            {
                "subject": who.subject,
                "name": who.name,
                "kind": who.kind,
                "roles": list(who.roles),
                "scopes": list(who.scopes),
                "token": who.token,
            }
        )


class Start(_Public):
    """`POST /identity/oidc/{provider}/start`."""

    async def post(self, provider: str) -> None:
        """The `url` to send the browser to; who is anonymous and says so keeps the subject."""
        who = None
        if "Authorization" in self.request.headers:
            how: authentication.Authentication = self.settings["pgcellar_authentication"]
            who = await how.identify(self.request)
            if not who.may("identity"):
                raise errors.Forbidden("This token lacks the scope `identity`.")
        url, state = await self.parts.idp.start(provider, who, self.address)
        self.set_cookie(
            COOKIE,
            state,
            max_age=_FLOW_SECONDS,
            httponly=True,
            samesite="Lax",
            secure=self.request.protocol == "https",
        )
        self.answer({"url": url})


class Callback(_Public):
    """`GET /identity/oidc/{provider}/callback`."""

    async def get(self, provider: str) -> None:
        """Tokens for who comes back from a login, in the browser that began it."""
        state = self.get_query_argument("state", "")
        begun = self.get_cookie(COOKIE) or ""
        self.clear_cookie(COOKIE)
        if not state or not secrets.compare_digest(state.encode(), begun.encode()):
            raise errors.Unauthenticated("This login was not begun in this browser.")
        code = self.get_query_argument("code", "")
        if not code:
            raise errors.Unauthenticated(f"{provider} did not let you in.")
        self.answer(await self.parts.idp.finish(provider, state, code, self.address))


def _texts(found: Any) -> Sequence[str]:
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise errors.BadRequest("`scopes` is a list of words.")
    return found


def routes(at: str, parts: composing.Parts) -> list[Any]:
    """The idp's routes under a prefix."""
    given = {"parts": parts}
    name = "([a-z][a-z0-9_-]{0,40})"
    return [
        (f"{at}/identity/anonymous", Anonymous, given),
        (f"{at}/identity/password", Login, given),
        (f"{at}/identity/login/{name}", Login, given),
        (f"{at}/identity/register", Register, given),
        (f"{at}/identity/upgrade", Upgrade, given),
        (f"{at}/identity/refresh", Refresh, given),
        (f"{at}/identity/exchange", Exchange, given),
        (f"{at}/identity/tokens", Tokens, given),
        (f"{at}/identity/tokens/([0-9a-f]{{32}})", Token, given),
        (f"{at}/identity/sessions", Sessions, given),
        (f"{at}/identity/jwks", Keys, given),
        (f"{at}/identity/refused", Refused, given),
        (f"{at}/identity/me", Me, given),
        (f"{at}/identity/oidc/{name}/start", Start, given),
        (f"{at}/identity/oidc/{name}/callback", Callback, given),
    ]
