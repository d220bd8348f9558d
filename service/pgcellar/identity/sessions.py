"""Sessions and the tokens in them: issued, renewed, exchanged, verified, revoked.

An access token lives for minutes and is verified with public keys. What it is renewed by lives
longer and is a random secret, used once: if it is used again, one of its two holders is a thief,
and the session ends for both.
"""

from __future__ import annotations

import base64
import collections
import hmac
import secrets
import time
from collections.abc import Sequence
from typing import Any

from pgcellar.api import errors, identities
from pgcellar.identity import grant_store, providers, signing, store, verifying

REFRESH = "pgc_r_"
PERSONAL = "pgc_p_"
#: Access tokens live so long, in seconds: what a verifier that hears of no revocation risks.
LIFETIME = 600.0
#: How long a personal token that was seen is not looked up again.
_PERSONAL_SECONDS = 5.0
_REMEMBERED = 1024


class Sessions:
    """See the module. `audience` is that of tokens for people."""

    def __init__(
        self,
        accounts: store.AccountStore,
        grants: grant_store.GrantStore,
        keyring: signing.Keyring,
        *,
        issuer: str,
        audience: str,
        lifetime: float = LIFETIME,
    ) -> None:
        self._accounts = accounts
        self._grants = grants
        self._keyring = keyring
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime
        self._verifier = verifying.Verifier(self.trust, issuer=issuer)
        self._seen: collections.OrderedDict[bytes, tuple[float, identities.Identity]] = (
            collections.OrderedDict()
        )

    async def open(
        self, account: store.Account, *, seconds: float, scopes: Sequence[str] = ("*",)
    ) -> dict[str, Any]:
        """A new session: its tokens, as they are answered."""
        session, secret = secrets.token_hex(16), _secret(REFRESH)
        grant = await self._grants.add(
            session,
            subject=account.subject,
            kind="session",
            name="",
            scopes=tuple(scopes),
            secret=secret,
            seconds=seconds,
        )
        return await self._tokens(account, grant, refresh=secret)

    async def renew(self, secret: str, key: str | None = None) -> dict[str, Any]:
        """New tokens for a refresh token. Raises Reused if it was used before, Unauthenticated.

        With a `key` the same request may come again until the new refresh token is used: whoever
        did not hear the answer would have lost the session, and who is anonymous all they did.
        """
        new = _secret(REFRESH) if key is None else _successor(secret, key)
        grant = await self._grants.renew(secret, new)
        if grant is None and key is not None:
            grant = await self._grants.renewed(secret, new)
        if grant is None:
            stolen = await self._grants.reused(secret)
            if stolen is not None:
                self._verifier.forget()
                raise Reused(*stolen)
            raise errors.Unauthenticated(
                "This refresh token is not valid, or no more.", hint="Log in again."
            )
        return await self._tokens(await self._account(grant.subject), grant, refresh=new)

    async def end(self, subject: str) -> None:
        """End all sessions of a subject."""
        await self._grants.revoke(subject)
        self.forget()

    async def exchange(self, secret: str) -> dict[str, Any]:
        """An access token for a personal one. Raises Unauthenticated."""
        grant = await self._personal(secret)
        return await self._tokens(await self._account(grant.subject), grant)

    async def service(self, name: str, audience: str, scopes: Sequence[str]) -> str:
        """An access token by which this service shows itself to another."""
        token = secrets.token_hex(16)
        who = store.Account(subject=f"service:{name}", kind="service", name=name)
        return await self._sign(who, session=token, scopes=scopes, audience=audience)

    # --- verifying ---------------------------------------------------------------------------

    async def verify(self, token: str, audience: str) -> identities.Identity:
        """Whose access token, or personal one, it is. Raises Unauthenticated."""
        if not token.startswith(PERSONAL):
            return await self._verifier.verify(token, audience)
        if audience != self._audience:
            raise errors.Unauthenticated("This access token is meant for another service.")
        digest = grant_store.digest(token)
        seen = self._seen.get(digest)
        if seen is not None and seen[0] > time.monotonic():
            return seen[1]
        grant = await self._personal(token)
        account = await self._account(grant.subject)
        found = identities.Identity(
            subject=account.subject,
            name=account.name,
            kind=account.kind,
            roles=account.roles,
            scopes=grant.scopes,
            token=grant.id,
        )
        self._seen[digest] = (time.monotonic() + _PERSONAL_SECONDS, found)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return found

    async def trust(self) -> verifying.Trust:
        """What this installation's tokens are verified with."""
        return verifying.Trust(
            keys=await self._keyring.public(), refused=await self._grants.refused()
        )

    def forget(self) -> None:
        """Something was revoked: nothing that was seen before counts in this process."""
        self._verifier.forget()
        self._seen.clear()

    # --- tokens ------------------------------------------------------------------------------

    async def _personal(self, secret: str) -> grant_store.Grant:
        grant = await self._grants.personal(secret)
        if grant is None:
            raise errors.Unauthenticated(
                "This personal access token is not valid, or no more.", hint="Make a new one."
            )
        return grant

    async def _account(self, subject: str) -> store.Account:
        account = await self._accounts.get(subject)
        if account is None:
            raise errors.Unauthenticated("There is no such account.")
        if account.disabled:
            raise disabled()
        await self._accounts.seen(subject)
        return account

    async def _tokens(
        self, account: store.Account, grant: grant_store.Grant, *, refresh: str | None = None
    ) -> dict[str, Any]:
        found: dict[str, Any] = {
            "access_token": await self._sign(
                account, session=grant.id, scopes=grant.scopes, audience=self._audience
            ),
            "token_type": "Bearer",
            "expires_in": int(self._lifetime),
            "subject": account.subject,
            "name": account.name,
            "kind": account.kind,
            "scope": " ".join(grant.scopes),
        }
        if refresh is not None:
            found["refresh_token"] = refresh
            found["refresh_expires"] = grant.expires.isoformat()
        return found

    async def _sign(
        self, account: store.Account, *, session: str, scopes: Sequence[str], audience: str
    ) -> str:
        now = int(time.time())
        return await self._keyring.sign(
            {
                "iss": self._issuer,
                "aud": audience,
                "sub": account.subject,
                "iat": now,
                "exp": now + int(self._lifetime),
                "jti": secrets.token_hex(16),
                "sid": session,
                "scope": " ".join(scopes),
                "kind": account.kind,
                "name": account.name[: providers.MAX_NAME],
                "roles": list(account.roles),
            }
        )


class Reused(errors.Unauthenticated):
    """This refresh token was used before; its session is ended."""

    def __init__(self, subject: str, session: str) -> None:
        super().__init__(self.__doc__, hint="Log in again.")
        self.subject = subject
        self.session = session


def disabled() -> errors.Forbidden:
    """Somebody may not come in."""
    return errors.Forbidden("This account is disabled.", hint="Ask an administrator.")


def _secret(prefix: str) -> str:
    return f"{prefix}{secrets.token_urlsafe(32)}"


def _successor(secret: str, key: str) -> str:
    """The refresh token that follows another one for this key: nobody finds it without both."""
    made = hmac.digest(secret.encode(), key.encode(), "sha256")
    return f"{REFRESH}{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def new_secret() -> str:
    """A personal access token's secret: 256 random bits."""
    return _secret(PERSONAL)
