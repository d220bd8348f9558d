"""JupyterHub as a provider: pgcellar is a service of the hub, whose users show their tokens, or log
in at the hub in their browser.

The hub says whose a token is and what it is good for; one that isn't meant for this service
(`access:services!service=NAME`) is refused, so that a token given to another can't be used here.
Who logs in is known by the token that the hub gives for it, and so is who they are with one that
they show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgcellar.api import errors
from pgcellar.identity import codes, fetching, flow_store, providers

NAME = "jupyterhub"
_REFUSALS = (400, 401, 403, 404)


class JupyterHub:
    """The provider `jupyterhub`; credentials are a `token`.

    `api` is the URL of the hub's API, `service` the name that the hub knows us by.
    """

    name = NAME
    vouched = False

    def __init__(self, api: str, service: str = "pgcellar") -> None:
        self.api = api.rstrip("/")
        self.service = service
        self.scope = f"access:services!service={service}"

    async def identify(self, credentials: Mapping[str, Any]) -> providers.External:
        """Whose token it is, by asking the hub."""
        token = credentials.get("token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise errors.Unauthenticated("`token` is no token of JupyterHub.")
        status, user = await fetching.fetch(
            f"{self.api}/user", headers={"Authorization": f"token {token}"}
        )
        if status in (401, 403, 404):
            raise errors.Unauthenticated("JupyterHub does not know this token.")
        if status != 200:
            raise _unavailable(status)
        scopes = user.get("scopes")
        if not isinstance(scopes, list) or {"access:services", self.scope}.isdisjoint(
            map(str, scopes)
        ):
            raise errors.Forbidden(
                "This token of JupyterHub is not meant for pgcellar.",
                hint=f"It needs the scope {self.scope}.",
            )
        name = user.get("name")
        if user.get("kind") != "user" or not providers.is_id(name):
            raise errors.Unauthenticated("This token of JupyterHub is no user's.")
        return providers.External(
            provider=f"{self.name}:{self.api}", id=str(name), name=providers.printable(name)
        )


class Login:
    """Logging in at a hub that knows us as its OAuth client: satisfies `providers.Redirecting`.

    `url` is where browsers find the hub, `secret` our API token there, and `redirect` the
    callback's URL as browsers see it.
    """

    name = NAME

    def __init__(self, hub: JupyterHub, *, url: str, secret: str, redirect: str) -> None:
        for each in (url, redirect):
            codes.guarded(each)
        self._hub = hub
        self._client = f"service-{hub.service}"
        self._authorize = f"{url.rstrip('/')}/api/oauth2/authorize"
        self._secret = secret
        self._redirect = redirect

    async def start(self, subject: str | None = None) -> tuple[str, str, flow_store.Flow]:
        """Where to send the browser, the state to bind to it, and the flow to remember."""
        return codes.begin(
            self.name,
            self._authorize,
            client=self._client,
            redirect=self._redirect,
            # Without one the hub gives all that this service may ask for.
            scope=self._hub.scope,
            subject=subject,
        )

    async def finish(self, code: str, flow: flow_store.Flow) -> providers.External:
        """Whose code it is: the hub exchanges it for a token, which is looked at and forgotten."""
        status, answer = await fetching.fetch(
            f"{self._hub.api}/oauth2/token",
            form={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._redirect,
                "client_id": self._client,
                "client_secret": self._secret,
                "code_verifier": flow.verifier,
            },
        )
        if answer.get("error") == "invalid_client":
            raise errors.ServiceUnavailable(
                "JupyterHub does not take pgcellar for one of its services.",
                hint="Whoever operates them sets `c.Identity.hub_service` and `hub_secret` to the"
                " service's name and API token at the hub.",
            )
        if status in _REFUSALS:
            raise errors.Unauthenticated("JupyterHub does not accept this login.")
        if status != 200:
            raise _unavailable(status)
        return await self._hub.identify({"token": answer.get("access_token")})


def _unavailable(status: int) -> errors.ServiceUnavailable:
    return errors.ServiceUnavailable(f"JupyterHub answers with status {status}.")
