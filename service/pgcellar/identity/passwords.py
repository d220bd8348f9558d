"""E-mail addresses and passwords: our own provider of identities.

Nothing is sent to an address, so it proves nothing: it is a name to log in by. An unknown one
costs as much time as a wrong password.
"""

from __future__ import annotations

import asyncio
import functools
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pgcellar.api import errors
from pgcellar.identity import providers, store

if TYPE_CHECKING:
    import argon2

MIN_PASSWORD = 10
MAX_PASSWORD = 1024
_MAX_EMAIL = 254
_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+")
#: Each takes 64 MiB and some processors for a moment; the others wait.
_AT_ONCE = 2


class Passwords:
    """The provider `password`; credentials are `email` and `password`."""

    name = "password"
    vouched = False

    def __init__(
        self, accounts: store.AccountStore, hasher: argon2.PasswordHasher | None = None
    ) -> None:
        self._accounts = accounts
        self._given = hasher
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def identify(self, credentials: Mapping[str, Any]) -> providers.External:
        """Whose address and password these are."""
        address, password = email(credentials), secret(credentials)
        found = await self._accounts.by_login(self.name, address)
        kept = found[1].password if found is not None else None
        async with self._slots:
            good = await asyncio.to_thread(self._verify, kept, password)
        if not good or found is None or kept is None:
            raise errors.Unauthenticated("The e-mail address or the password is wrong.")
        if self._hasher.check_needs_rehash(kept):
            login = store.Login(
                provider=self.name, external=address, password=await self.hash(password)
            )
            await self._accounts.set_password(login)
        return providers.External(provider=self.name, id=address, name=found[0].name)

    async def new(self, credentials: Mapping[str, Any]) -> store.Login:
        """A login with this address and password. Raises BadRequest if either won't do."""
        address, password = email(credentials), secret(credentials)
        if len(password) < MIN_PASSWORD:
            raise errors.BadRequest(f"A password has at least {MIN_PASSWORD} characters.")
        return store.Login(provider=self.name, external=address, password=await self.hash(password))

    async def hash(self, password: str) -> str:
        """What is kept of a password."""
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, password)

    def _verify(self, kept: str | None, password: str) -> bool:
        import argon2

        # Known or not, a hash is compared; made in advance, it takes no longer the first time.
        decoy = self._decoy
        try:
            return self._hasher.verify(kept or decoy, password) and kept is not None
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    @functools.cached_property
    def _hasher(self) -> argon2.PasswordHasher:
        import argon2

        return self._given or argon2.PasswordHasher()

    @functools.cached_property
    def _decoy(self) -> str:
        return self._hasher.hash("nobody's password")


def email(credentials: Mapping[str, Any]) -> str:
    """The address among credentials, in the form that is compared. Raises BadRequest."""
    found = credentials.get("email")
    text = unicodedata.normalize("NFKC", found).strip().casefold() if isinstance(found, str) else ""
    # What can't be seen, and surrogates: nobody is to look like somebody else by it.
    unseen = any(unicodedata.category(character).startswith("C") for character in text)
    if len(text) > _MAX_EMAIL or not _EMAIL.fullmatch(text) or unseen:
        raise errors.BadRequest("`email` is no e-mail address.")
    return text


def secret(credentials: Mapping[str, Any]) -> str:
    """The password among credentials, in the form that is hashed. Raises BadRequest."""
    found = credentials.get("password")
    if not isinstance(found, str) or not 0 < len(found) <= MAX_PASSWORD:
        raise errors.BadRequest(f"`password` is a text of 1 to {MAX_PASSWORD} characters.")
    try:
        return unicodedata.normalize("NFKC", found.encode().decode())
    except UnicodeError as exc:
        raise errors.BadRequest("`password` is no text.") from exc
