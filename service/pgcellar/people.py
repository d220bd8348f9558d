"""Identity and profiles, wired: who may use a service besides its owner, and how much.

Off by default: the embedded service knows the operating system's user and nobody else, has no
limits, and imports nothing of this.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import traitlets
import traitlets.config

from pgcellar.api import auditing, client, errors, identities, paths, quotas, teaching
from pgcellar.control import database
from pgcellar.web import authentication, base, pacing

logger = logging.getLogger(__name__)

#: Seconds for which an owner's kind is remembered; an anonymous one may sign up.
_KIND_SECONDS = 60.0
_REMEMBERED = 4096


class Identity(traitlets.config.Configurable):
    """The settings of who may come in."""

    enabled = traitlets.Bool(
        False, help="Whether people besides the service's owner may use it, with tokens."
    ).tag(config=True)
    issuer = traitlets.Unicode(
        "pgcellar", help="What tokens name as their issuer: the gateway's URL, say."
    ).tag(config=True)
    anonymous = traitlets.Bool(
        False, help="Whether anybody gets an identity of their own without signing up."
    ).tag(config=True)
    passwords = traitlets.Bool(
        True, help="Whether people log in with an e-mail address and a password."
    ).tag(config=True)
    registration = traitlets.Bool(
        False, help="Whether anybody may sign up with an e-mail address and a password."
    ).tag(config=True)
    administrators = traitlets.List(
        traitlets.Unicode(), help="Who administers, as `provider:id`."
    ).tag(config=True)
    hub_api = traitlets.Unicode(
        "", help="JupyterHub's API, `https://hub.example.org/hub/api`; empty for none."
    ).tag(config=True)
    hub_service = traitlets.Unicode(
        "pgcellar", help="The name of this service in JupyterHub's scopes."
    ).tag(config=True)
    hub_url = traitlets.Unicode(
        "",
        help="Where browsers find JupyterHub, `https://hub.example.org/hub`, for people to log in"
        " there; empty if they don't.",
    ).tag(config=True)
    hub_secret = traitlets.Unicode(
        "", help="The API token of this service at JupyterHub: its client secret for that."
    ).tag(config=True)
    hub_redirect = traitlets.Unicode(
        "",
        help="The URL that JupyterHub sends them back to: the service's `oauth_redirect_uri`.",
    ).tag(config=True)
    jupyter_server = traitlets.Unicode(
        "", help="A name for the Jupyter Servers whose word for their users is taken."
    ).tag(config=True)
    oidc = traitlets.Dict(
        help="OpenID providers by name: `issuer`, `client`, `secret` and `redirect` of each."
    ).tag(config=True)
    anonymous_per_hour = traitlets.Int(
        2000, min=0, help="Anonymous identities that one address may get in an hour."
    ).tag(config=True)
    anonymous_most = traitlets.Int(
        5000,
        min=0,
        help="Anonymous identities there may be; they end after half a day. 0 for any number.",
    ).tag(config=True)
    requests_per_minute = traitlets.Float(
        1200.0,
        min=0,
        help="Requests that one person may make in a minute, by all gateways together; 0 for any"
        " number.",
    ).tag(config=True)
    strangers_per_minute = traitlets.Float(
        6000.0, min=0, help="The same, of one address without a token that is taken."
    ).tag(config=True)


class People(Protocol):
    """Who may use a service, and how much."""

    @property
    def others(self) -> bool:
        """Whether there may be others than the service's owner."""

    @property
    def allowances(self) -> quotas.Quotas:
        """What they may use."""

    @property
    def pace(self) -> pacing.Pace:
        """How often they may ask."""

    def authentication(self) -> authentication.Authentication:
        """How their requests are told apart."""

    def routes(self, classroom: Callable[[], teaching.Classroom]) -> list[Any]:
        """The routes of identity and profiles; of people's work a classroom is asked."""

    async def limit(self, owner: str, limit: quotas.Limit) -> float:
        """A limit of the owner of something."""

    async def spend(self, owner: str, amount: int) -> None:
        """So many bytes of results were given to an owner."""

    async def tidy(self) -> None:
        """Remove what has expired."""

    async def departed(self, limit: int) -> list[str]:
        """Subjects who can't come back."""

    async def remove(self, subject: str) -> None:
        """Remove the account and profile of one of them."""


class Disabled(base.BaseHandler):
    """What is asked of identity and profiles where there are none."""

    async def prepare(self) -> None:
        """Raises NotFound."""
        await super().prepare()
        raise errors.NotFound(
            "This service knows its owner alone: identity is not enabled.",
            hint="Set `c.Identity.enabled = True` in pgcellar_config.py in its home, and run"
            " `pgcellar service stop`.",
        )


class Owner:
    """The operating system's user alone."""

    others = False
    allowances: quotas.Quotas = quotas.Unlimited()
    pace = pacing.Pace()

    def authentication(self) -> authentication.Authentication:
        """See `People`."""
        return authentication.Authentication()

    def routes(self, classroom: Callable[[], teaching.Classroom]) -> list[Any]:
        """See `People`."""
        return [(f"{client.PREFIX}/(?:identity|profiles)/.*", Disabled)]

    async def limit(self, owner: str, limit: quotas.Limit) -> float:
        """See `People`."""
        return math.inf

    async def spend(self, owner: str, amount: int) -> None:
        """See `People`."""

    async def tidy(self) -> None:
        """See `People`."""

    async def departed(self, limit: int) -> list[str]:
        """See `People`."""
        return []

    async def remove(self, subject: str) -> None:
        """See `People`."""


@contextlib.asynccontextmanager
async def open(
    settings: Identity,
    where: paths.Paths,
    control: database.ControlDatabase,
    audit: auditing.AuditLog,
) -> AsyncIterator[People]:
    """The people that the settings name, while this is held."""
    if not settings.enabled:
        yield Owner()
        return
    async with _Everybody(settings, where, control, audit).kept() as everybody:
        yield everybody


class _Everybody:
    others = True

    def __init__(
        self,
        settings: Identity,
        where: paths.Paths,
        control: database.ControlDatabase,
        audit: auditing.AuditLog,
    ) -> None:
        # Libraries of cryptography, which take their time.
        from pgcellar.identity import composing, presence, sealing, throttle
        from pgcellar.profiles import handlers as profiles

        self._settings = settings
        self._identity = composing.compose(
            control,
            sealing.load(where.home),
            audit,
            issuer=settings.issuer,
            audience=authentication.AUDIENCE,
            found=self._providers,
            administrators=settings.administrators,
            anonymous=settings.anonymous,
            registration=settings.registration and settings.passwords,
            issued=dataclasses.replace(throttle.ANONYMOUS, count=settings.anonymous_per_hour),
            most=settings.anonymous_most,
        )
        self._presence = presence.Presence(self._identity.sessions, self._identity.accounts)
        self._profiles = profiles.compose(control, audit, registry=self)
        self.allowances: quotas.Quotas = self._profiles.profiles
        self.pace = pacing.Pace(
            people=settings.requests_per_minute, strangers=settings.strangers_per_minute
        )
        self._kinds: collections.OrderedDict[str, tuple[float, identities.Identity]] = (
            collections.OrderedDict()
        )

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[_Everybody]:
        """While this is held it is written down who was here."""
        async with self._presence.kept():
            yield self

    def authentication(self) -> authentication.Authentication:
        """See `People`."""
        return authentication.Authentication(verifier=self._presence)

    def routes(self, classroom: Callable[[], teaching.Classroom]) -> list[Any]:
        """See `People`."""
        from pgcellar.identity import admin_handlers as administration
        from pgcellar.identity import handlers as identity
        from pgcellar.profiles import handlers as profiles
        from pgcellar.profiles import teaching_handlers as teachers

        seen = classroom()
        return [
            *identity.routes(client.PREFIX, self._identity),
            *administration.routes(client.PREFIX, self._identity),
            *profiles.routes(client.PREFIX, self._profiles, seen.held),
            *teachers.routes(client.PREFIX, self._profiles.teaching(seen)),
        ]

    async def limit(self, owner: str, limit: quotas.Limit) -> float:
        """See `People`."""
        return await self.allowances.limit(await self._who(owner), limit)

    async def spend(self, owner: str, amount: int) -> None:
        """See `People`."""
        await self.allowances.spend(await self._who(owner), "result_bytes", amount)

    async def tidy(self) -> None:
        """See `People`."""
        await self._identity.management.tidy()

    async def departed(self, limit: int) -> list[str]:
        """See `People`."""
        return await self._identity.management.departed(limit)

    async def remove(self, subject: str) -> None:
        """See `People`."""
        await self._profiles.profiles.remove(subject)
        await self._identity.management.remove(subject)
        self._kinds.pop(subject, None)

    async def find(self, subject: str) -> identities.Identity | None:
        """See `identities.Registry`."""
        who = authentication.owner()
        if subject == who.subject:
            return who
        account = await self._identity.accounts.get(subject)
        if account is None:
            return None
        return identities.Identity(subject=subject, name=account.name, kind=account.kind)

    async def last_seen(self, subjects: Sequence[str]) -> Mapping[str, datetime.datetime]:
        """See `identities.Registry`."""
        return await self._presence.of(subjects)

    async def _who(self, owner: str) -> identities.Identity:
        known = self._kinds.get(owner)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        who = await self.find(owner)
        if who is None:
            raise errors.Unauthenticated(f"There is no account {owner}.")
        self._kinds[owner] = (time.monotonic() + _KIND_SECONDS, who)
        if len(self._kinds) > _REMEMBERED:
            self._kinds.popitem(last=False)
        return who

    def _providers(self, accounts: Any) -> Iterator[Any]:
        from pgcellar.identity import hub, oidc, passwords, providers

        settings = self._settings
        yield providers.OperatingSystem()
        if settings.passwords:
            yield passwords.Passwords(accounts)
        known = hub.JupyterHub(settings.hub_api, settings.hub_service)
        if settings.hub_api:
            yield known
        login = {name: getattr(settings, f"hub_{name}") for name in ("url", "secret", "redirect")}
        if any(login.values()):
            if not (settings.hub_api and all(login.values())):
                raise errors.BadRequest(
                    "Some of the settings by which people log in at JupyterHub are missing.",
                    hint="Set `hub_api`, `hub_url`, `hub_secret` and `hub_redirect` of"
                    " `c.Identity`, or the first alone.",
                )
            yield hub.Login(known, **login)
        if settings.jupyter_server:
            yield providers.JupyterServer(settings.jupyter_server)
        for name, given in settings.oidc.items():
            try:
                yield oidc.OpenId(name, **given)
            except TypeError as exc:
                raise errors.BadRequest(
                    f"c.Identity.oidc[{name!r}] is not as it should be: {exc}",
                    hint="It has `issuer`, `client`, `secret` and `redirect`.",
                ) from exc
