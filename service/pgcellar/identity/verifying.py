"""Verifies access tokens with public keys: without a call for each, in any service.

The algorithm is ours, whatever a token says. What a token may be refused for beyond its own
claims, its subject or its session being revoked, is read every few seconds.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from joserfc import errors as jose
from joserfc import jwk, jws, jwt

from pgcellar.api import errors, identities
from pgcellar.identity import signing

#: Clocks of two machines differ by this much at most.
LEEWAY = 10
#: How long a revocation may take to be heard of.
READ_SECONDS = 15.0
#: However many unknown keys are shown, they are not looked for more often.
_LEAST_SECONDS = 1.0
#: No token of ours is near that long.
MAX_CHARACTERS = 4096
#: Signatures found good that are remembered; checking one takes half a millisecond.
_REMEMBERED = 4096


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """What tokens are verified with: public keys as JWKs, and revoked subjects and sessions."""

    keys: Sequence[Mapping[str, Any]]
    refused: frozenset[str] = frozenset()


class Verifier:
    """See the module. `read` gets what is trusted now."""

    def __init__(self, read: Callable[[], Awaitable[Trust]], *, issuer: str) -> None:
        self._source = read
        self._issuer = issuer
        self._keys: dict[str, jwk.OKPKey] = {}
        self._refused: frozenset[str] = frozenset()
        self._read: float | None = None
        self._reading = asyncio.Lock()
        self._known: collections.OrderedDict[bytes, tuple[str, dict[str, Any]]] = (
            collections.OrderedDict()
        )

    async def verify(self, token: str, audience: str) -> identities.Identity:
        """Whose token it is. Raises Unauthenticated; ServiceUnavailable if no key can be read."""
        await self._refresh(READ_SECONDS)
        claims = await self._signed(token)
        now = time.time()
        if claims["exp"] < now - LEEWAY:
            raise errors.Unauthenticated("This access token is expired.", hint="Get a new one.")
        if claims["iat"] > now + LEEWAY:
            raise errors.Unauthenticated("This access token is from the future.")
        if claims["iss"] != self._issuer or claims["aud"] != audience:
            raise errors.Unauthenticated("This access token is meant for another service.")
        if not self._refused.isdisjoint((claims["sub"], claims["sid"])):
            raise errors.Unauthenticated("This access token was revoked.", hint="Log in again.")
        return identities.Identity(
            subject=claims["sub"],
            name=claims["name"],
            kind=cast(identities.Kind, claims["kind"]),
            roles=tuple(claims["roles"]),
            scopes=tuple(claims["scope"].split()),
            token=claims["sid"],
        )

    def forget(self) -> None:
        """Read anew what is trusted, at the next token."""
        self._read = None

    # --- signatures --------------------------------------------------------------------------

    async def _signed(self, token: str) -> dict[str, Any]:
        """The claims of a token that one of our keys signed."""
        if len(token) > MAX_CHARACTERS or not token.isascii():
            raise _forged()
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and known[0] in self._keys:
            self._known.move_to_end(digest)
            return known[1]
        kid = _kid(token)
        if kid not in self._keys:
            await self._refresh(_LEAST_SECONDS)
        key = self._keys.get(kid)
        if key is None:
            raise _forged()
        try:
            found = jwt.decode(token, key, algorithms=[signing.ALGORITHM])
        except (jose.JoseError, ValueError) as exc:
            raise _forged() from exc
        if found.header.get("typ") != signing.TYPE or not _whole(found.claims):
            raise _forged()
        self._known[digest] = (kid, found.claims)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found.claims

    async def _refresh(self, seconds: float) -> None:
        if self._fresh(seconds):
            return
        async with self._reading:
            if self._fresh(seconds):
                return
            trust = await self._source()
            self._keys = {
                str(each["kid"]): jwk.OKPKey.import_key(dict(each)) for each in trust.keys
            }
            self._refused = trust.refused
            self._read = time.monotonic()

    def _fresh(self, seconds: float) -> bool:
        return self._read is not None and time.monotonic() - self._read < seconds


#: What every token of ours has.
_CLAIMS: Mapping[str, type] = {
    "iss": str, "aud": str, "sub": str, "sid": str, "jti": str, "scope": str, "name": str,
    "kind": str, "roles": list, "exp": int, "iat": int,
}  # fmt: skip


def _whole(claims: Mapping[str, Any]) -> bool:
    return all(isinstance(claims.get(name), cls) for name, cls in _CLAIMS.items())


def _kid(token: str) -> str:
    """The key that a token names; nothing else in its header is looked at."""

    try:
        kid = jws.extract_compact(token.encode()).headers().get("kid")
    except (jose.JoseError, ValueError) as exc:
        raise _forged() from exc
    return kid if isinstance(kid, str) else ""


def _forged() -> errors.Unauthenticated:
    return errors.Unauthenticated("This is no access token of ours.")
