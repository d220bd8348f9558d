"""JupyterHub as a provider: pgcellar is a service of the hub, and its users show their tokens.

The hub says whose a token is and what it is good for; one that isn't meant for this service
(`access:services!service=NAME`) is refused, so that a token given to another can't be used here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgcellar.api import errors
from pgcellar.identity import fetching, providers


class JupyterHub:
    """The provider `jupyterhub`; credentials are a `token`.

    `api` is the URL of the hub's API, `service` the name that the hub knows us by.
    """

    name = "jupyterhub"
    vouched = False

    def __init__(self, api: str, service: str = "pgcellar") -> None:
        self._api = api.rstrip("/")
        self._scopes = {"access:services", f"access:services!service={service}"}

    async def identify(self, credentials: Mapping[str, Any]) -> providers.External:
        """Whose token it is, by asking the hub."""
        token = credentials.get("token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise errors.Unauthenticated("`token` is no token of JupyterHub.")
        status, user = await fetching.fetch(
            f"{self._api}/user", headers={"Authorization": f"token {token}"}
        )
        if status in (401, 403, 404):
            raise errors.Unauthenticated("JupyterHub does not know this token.")
        if status != 200:
            raise errors.ServiceUnavailable(f"JupyterHub answers with status {status}.")
        scopes = user.get("scopes")
        if not isinstance(scopes, list) or self._scopes.isdisjoint(map(str, scopes)):
            raise errors.Forbidden(
                "This token of JupyterHub is not meant for pgcellar.",
                hint=f"It needs the scope {max(self._scopes, key=len)}.",
            )
        name = user.get("name")
        if user.get("kind") != "user" or not isinstance(name, str):
            raise errors.Unauthenticated("This token of JupyterHub is no user's.")
        return providers.External(
            provider=f"{self.name}:{self._api}", id=name, name=providers.printable(name)
        )
