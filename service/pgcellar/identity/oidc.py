"""OpenID Connect: the authorization code flow with PKCE, state and nonce.

Somebody is known by issuer and subject; addresses and names only say what to call them.
"""

from __future__ import annotations

import base64
import secrets
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

from joserfc import errors as jose
from joserfc import jwk, jwt

from pgcellar.api import errors
from pgcellar.identity import codes, fetching, flow_store, providers

#: Signatures that providers use; never `none`, nor one with a shared secret.
ALGORITHMS = ("RS256", "ES256", "PS256", "Ed25519")
_LEEWAY = 60
#: What a provider says of itself is read anew after this, and its keys when one is unknown.
_READ_SECONDS = 3600.0
_LEAST_SECONDS = 30.0


class OpenId:
    """One provider, named `name` in our paths. `redirect` is the callback's URL as browsers see it.

    Satisfies `providers.Redirecting`.
    """

    def __init__(self, name: str, *, issuer: str, client: str, secret: str, redirect: str) -> None:
        for url in (issuer, redirect):
            codes.guarded(url)
        self.name = name
        self._issuer = issuer
        self._client = client
        self._secret = secret
        self._redirect = redirect
        self._metadata: dict[str, Any] = {}
        self._keys = jwk.KeySet([])
        self._read = float("-inf")

    async def start(self, subject: str | None = None) -> tuple[str, str, flow_store.Flow]:
        """Where to send the browser, the state to bind to it, and the flow to remember."""
        await self._discover(_READ_SECONDS)
        return codes.begin(
            self.name,
            self._endpoint("authorization_endpoint"),
            client=self._client,
            redirect=self._redirect,
            scope="openid profile",
            nonce=secrets.token_urlsafe(32),
            subject=subject,
        )

    async def finish(self, code: str, flow: flow_store.Flow) -> providers.External:
        """Whose code it is: the provider exchanges it for a signed statement."""
        await self._discover(_READ_SECONDS)
        status, answer = await fetching.fetch(
            self._endpoint("token_endpoint"),
            headers={"Authorization": self._basic()},
            form={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._redirect,
                "client_id": self._client,
                "code_verifier": flow.verifier,
            },
        )
        if status >= 500:
            raise errors.ServiceUnavailable(f"{self.name} answers with status {status}.")
        token = answer.get("id_token")
        if status != 200 or not isinstance(token, str):
            raise errors.Unauthenticated(f"{self.name} does not accept this login.")
        claims = await self._claims(token)
        self._validate(claims, flow.nonce)
        subject = claims["sub"]
        shown = claims.get("name") or claims.get("preferred_username") or subject
        return providers.External(
            provider=self._issuer, id=subject, name=providers.printable(shown)
        )

    # --- the provider's statement ------------------------------------------------------------

    async def _claims(self, token: str) -> dict[str, Any]:
        for seconds in (_READ_SECONDS, _LEAST_SECONDS):
            await self._discover(seconds)
            try:
                return jwt.decode(token, self._keys, algorithms=list(ALGORITHMS)).claims
            except (jose.JoseError, ValueError) as exc:
                failure = exc
        raise errors.Unauthenticated(f"{self.name} did not sign this login.") from failure

    def _validate(self, claims: Mapping[str, Any], nonce: str) -> None:
        now = time.time()
        meant = claims.get("aud")
        audience = [meant] if isinstance(meant, str) else meant
        good = (
            claims.get("iss") == self._issuer
            and isinstance(audience, list)
            and self._client in audience
            and claims.get("azp", self._client) == self._client
            and (len(audience) == 1 or "azp" in claims)
            and isinstance(claims.get("exp"), (int, float))
            and claims["exp"] > now - _LEEWAY
            and isinstance(claims.get("iat"), (int, float))
            and claims["iat"] < now + _LEEWAY
            and isinstance(claims.get("nonce"), str)
            and secrets.compare_digest(claims["nonce"].encode(), nonce.encode())
            and providers.is_id(claims.get("sub"))
        )
        if not good:
            raise errors.Unauthenticated(f"What {self.name} says is not about this login.")

    async def _discover(self, seconds: float) -> None:
        if time.monotonic() - self._read < seconds:
            return
        where = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        self._metadata = await self._get(where)
        if self._metadata.get("issuer") != self._issuer:
            raise errors.ServiceUnavailable(f"{where} is about another issuer.")
        try:
            self._keys = jwk.KeySet.import_key_set(
                {"keys": (await self._get(self._endpoint("jwks_uri")))["keys"]}
            )
        except (jose.JoseError, ValueError, KeyError, TypeError) as exc:
            raise errors.ServiceUnavailable(f"The keys of {self.name} can't be read.") from exc
        self._read = time.monotonic()

    async def _get(self, url: str) -> dict[str, Any]:
        status, answer = await fetching.fetch(url)
        if status != 200:
            raise errors.ServiceUnavailable(f"{url} answers with status {status}.")
        return answer

    def _endpoint(self, name: str) -> str:
        return codes.guarded(str(self._metadata.get(name)))

    def _basic(self) -> str:
        both = ":".join(urllib.parse.quote(part, safe="") for part in (self._client, self._secret))
        return f"Basic {base64.b64encode(both.encode()).decode()}"
