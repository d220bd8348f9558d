"""Seals private keys, so that who reads the control database can't sign tokens."""

from __future__ import annotations

import contextlib
import os
import pathlib

from cryptography import fernet

from pgcellar.api import errors

#: 32 random bytes in URL-safe base64, as `python -m pgcellar.identity.sealing` prints them.
VARIABLE = "PGCELLAR_KEY"
FILE = "identity.key"


class Sealer:
    """Encrypts and authenticates with one key (Fernet)."""

    def __init__(self, key: str) -> None:
        try:
            self._fernet = fernet.Fernet(key)
        except ValueError as exc:
            raise errors.BadRequest(
                f"The key of {VARIABLE} or {FILE} is not 32 bytes in URL-safe base64.",
                hint="Make one: `python -m pgcellar.identity.sealing`.",
            ) from exc

    def seal(self, plain: bytes) -> bytes:
        """Encrypt."""
        return self._fernet.encrypt(plain)

    def unseal(self, sealed: bytes) -> bytes:
        """Decrypt. Raises ServiceUnavailable if it was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed)
        except fernet.InvalidToken as exc:
            raise errors.ServiceUnavailable(
                "The signing keys were sealed with another key than this service has.",
                hint=f"Set {VARIABLE} to the key that all replicas share.",
            ) from exc


def load(home: pathlib.Path) -> Sealer:
    """With the key that the environment names, else that of the home, made if there is none."""
    named = os.environ.get(VARIABLE)
    return Sealer(named or _from_file(home / FILE))


def _from_file(path: pathlib.Path) -> str:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    if not path.exists():
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w") as file:
            file.write(fernet.Fernet.generate_key().decode())
            file.flush()
            os.fsync(handle)
        # Of two that make it at once the first one's counts.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    found = path.stat()
    if found.st_mode & 0o077 or found.st_uid != os.getuid():
        raise errors.Forbidden(
            f"{path} can be read by others, or is another's.", hint=f"chmod 600 {path}"
        )
    return path.read_text().strip()


if __name__ == "__main__":
    print(fernet.Fernet.generate_key().decode())
