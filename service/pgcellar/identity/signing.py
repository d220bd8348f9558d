"""Signs access tokens, with keys that are exchanged without a token becoming invalid.

All replicas read the same keys. A verifier that meets a key it does not know reads them anew, so
that a new key signs at once; an old one verifies until all that it signed is expired.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from joserfc import jwk, jwt

from pgcellar.identity import key_store, sealing

#: Ours, and the only one that is ever accepted: Ed25519 (RFC 9864).
ALGORITHM = "Ed25519"
TYPE = "at+jwt"
#: How long keys are used before they are read again.
READ_SECONDS = 15.0


class Keyring:
    """The keys of this installation. `lifetime` is that of the tokens they sign."""

    def __init__(
        self, keys: key_store.KeyStore, sealer: sealing.Sealer, *, lifetime: float
    ) -> None:
        self._store = keys
        self._sealer = sealer
        self._lifetime = lifetime
        self._rows: list[key_store.KeyRow] = []
        self._signing: jwk.OKPKey | None = None
        self._read = 0.0

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """An access token with these claims."""
        await self._refresh()
        assert self._signing is not None
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self._signing.kid}
        return jwt.encode(header, dict(claims), self._signing, algorithms=[ALGORITHM])

    async def public(self) -> list[dict[str, Any]]:
        """The keys to verify with, as JWKs."""
        await self._refresh()
        return [row.public for row in self._rows]

    async def rotate(self) -> str:
        """Sign with a new key from now on; its id. The others verify what they have signed."""
        row = self._make()
        await self._store.replace(row, self._lifetime + 4 * READ_SECONDS)
        await self._refresh(now=True)
        return row.kid

    async def _refresh(self, *, now: bool = False) -> None:
        if self._rows and not now and time.monotonic() - self._read < READ_SECONDS:
            return
        rows = await self._store.all()
        if not any(row.retired is None for row in rows):
            await self._store.first(self._make())
            rows = await self._store.all()
        newest = next(row for row in rows if row.retired is None)
        private = json.loads(self._sealer.unseal(newest.private))
        self._signing = jwk.OKPKey.import_key(private)
        self._rows = rows
        self._read = time.monotonic()

    def _make(self) -> key_store.KeyRow:
        kid = secrets.token_hex(8)
        key = jwk.OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": ALGORITHM})
        private = json.dumps(key.as_dict(private=True)).encode()
        return key_store.KeyRow(
            kid=kid,
            public=dict(key.as_dict(private=False)),
            private=self._sealer.seal(private),
        )
