"""The idp: who may come in, under which subject; written down in the audit log."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pgcellar.api import auditing, errors, identities
from pgcellar.identity import (
    flow_store,
    passwords,
    providers,
    sessions,
    store,
    throttle,
)
from pgcellar.web import authentication

#: How long somebody stays who comes back within it, in seconds.
REGISTERED_SECONDS = 30 * 86400.0
ANONYMOUS_SECONDS = 12 * 3600.0
_RETRY_SECONDS = 600.0


class Idp:
    """See the module. `found` are the providers besides anonymous issuance.

    `administrators` are logins, as `provider:external`, whose accounts administer. `most` is how
    many anonymous accounts there may be, 0 for any number.
    """

    def __init__(
        self,
        accounts: store.AccountStore,
        open_sessions: sessions.Sessions,
        attempts: throttle.Throttle,
        flows: flow_store.FlowStore,
        audit: auditing.AuditLog,
        *,
        found: Iterable[providers.Provider | providers.Redirecting] = (),
        administrators: Collection[str] = (),
        anonymous: bool = False,
        registration: bool = False,
        issued: throttle.Rate | None = None,
        most: int = 0,
    ) -> None:
        self._accounts = accounts
        self._sessions = open_sessions
        self._attempts = attempts
        self._flows = flows
        self._audit = audit
        known = tuple(found)
        self._providers = {
            each.name: each for each in known if isinstance(each, providers.Provider)
        }
        self._redirecting = {
            each.name: each for each in known if isinstance(each, providers.Redirecting)
        }
        self._administrators = frozenset(map(_login_named, administrators))
        self._anonymous = anonymous
        self._registration = registration
        self._issued = issued or throttle.ANONYMOUS
        self._most = most

    # --- coming in ---------------------------------------------------------------------------

    async def anonymous(self, address: str) -> dict[str, Any]:
        """An identity for somebody who has not signed up."""
        if not self._anonymous:
            raise errors.Forbidden("Nobody comes in here without logging in.")
        await self._attempts.attempt(self._issued, authentication.network(address))
        if self._most and await self._accounts.anonymous() >= self._most:
            raise errors.LimitExceeded(
                f"There are {self._most} anonymous people here, which is the most there may be.",
                hint="Log in, or try again later: who leaves makes room within hours.",
                retry_after=_RETRY_SECONDS,
            )
        subject = _subject()
        account = store.Account(subject=subject, kind="anonymous", name=f"guest-{subject[2:8]}")
        await self._accounts.add(account)
        await self._write("login.anonymous", account, address)
        return await self._sessions.open(account, seconds=ANONYMOUS_SECONDS)

    async def login(
        self, provider: str, credentials: Mapping[str, Any], address: str
    ) -> dict[str, Any]:
        """A session for whose credentials these are."""
        known = self.provider(provider)
        where = authentication.network(address)
        tried = (where, passwords.email(credentials)) if provider == "password" else None
        if not known.vouched:
            await self._attempts.attempt(throttle.ADDRESS, where)
        if tried is not None:
            await self._attempts.attempt(throttle.LOGIN, *tried)
            await self._attempts.attempt(throttle.ACCOUNT, tried[1])
        try:
            external = await known.identify(credentials)
        except (errors.Unauthenticated, errors.Forbidden) as exc:
            await self._write(f"login.{provider}", None, address, "denied", reason=exc.message)
            raise
        if tried is not None:
            await self._attempts.forgive(throttle.LOGIN, *tried)
        return await self._enter(known.name, external, address)

    async def register(self, credentials: Mapping[str, Any], address: str) -> dict[str, Any]:
        """An account with an e-mail address and a password, and a session."""
        login = await self._new_login(credentials, address)
        account = store.Account(
            subject=_subject(), kind="registered", name=_name(credentials, login.external)
        )
        await self._accounts.add(account, login)
        await self._write("account.register", account, address)
        return await self._open(account, login)

    async def enroll(
        self, who: identities.Identity, credentials: Mapping[str, Any], address: str
    ) -> str:
        """An account with an address and a password, made by an administrator; its subject.

        Whoever knows the password logs in. Raises Conflict if the address has an account.
        """
        if not who.administers:
            raise errors.Forbidden("Only an administrator may make others' accounts.")
        known = self.provider("password")
        assert isinstance(known, passwords.Passwords)
        login = await known.new(credentials)
        account = store.Account(
            subject=_subject(), kind="registered", name=_name(credentials, login.external)
        )
        await self._accounts.add(account, login)
        await self._audit.write(
            auditing.Act(
                subject=who.subject,
                name=who.name,
                kind=who.kind,
                action="account.add",
                target=account.subject,
                outcome="done",
                address=address,
                token=who.token,
            )
        )
        return account.subject

    async def upgrade(
        self, who: identities.Identity, credentials: Mapping[str, Any], address: str
    ) -> dict[str, Any]:
        """The same for somebody anonymous, who keeps the subject and all that it owns."""
        login = await self._new_login(credentials, address)
        name = _name(credentials, login.external)
        return await self._upgrade(who.subject, name, login, address)

    # --- logging in at another server --------------------------------------------------------

    async def start(
        self, provider: str, who: identities.Identity | None, address: str
    ) -> tuple[str, str]:
        """Where to send somebody's browser, and the state to bind to it."""
        subject = who.subject if who is not None and who.kind == "anonymous" else None
        known = self._elsewhere(provider)
        await self._attempts.attempt(throttle.STARTS, authentication.network(address))
        url, state, flow = await known.start(subject)
        await self._flows.add(state, flow)
        return url, state

    async def finish(self, provider: str, state: str, code: str, address: str) -> dict[str, Any]:
        """A session for who comes back from there."""
        known = self._elsewhere(provider)
        await self._attempts.attempt(throttle.ADDRESS, authentication.network(address))
        flow = await self._flows.take(state, provider)
        try:
            if flow is None:
                raise errors.Unauthenticated("This login was not begun here, or too long ago.")
            external = await known.finish(code, flow)
        except (errors.Unauthenticated, errors.Forbidden) as exc:
            await self._write(f"login.{provider}", None, address, "denied", reason=exc.message)
            raise
        if flow.subject is not None:
            login = store.Login(provider=external.provider, external=external.id)
            if await self._accounts.by_login(login.provider, login.external) is None:
                return await self._upgrade(flow.subject, external.name, login, address)
        return await self._enter(provider, external, address)

    # --- inside ------------------------------------------------------------------------------

    def provider(self, name: str) -> providers.Provider:
        """A provider that takes credentials, by its name. Raises NotFound."""
        if name in self._providers:
            return self._providers[name]
        if name in self._redirecting:
            raise errors.NotFound(
                f"{name!r} takes no credentials here.",
                hint=f"A login there begins at /identity/oidc/{name}/start.",
            )
        raise errors.NotFound(f"There is no identity provider {name!r} here.")

    def _elsewhere(self, name: str) -> providers.Redirecting:
        if name in self._redirecting:
            return self._redirecting[name]
        if name in self._providers:
            raise errors.NotFound(f"Nobody is sent to {name!r} to log in.")
        raise errors.NotFound(f"There is no identity provider {name!r} here.")

    async def _new_login(self, credentials: Mapping[str, Any], address: str) -> store.Login:
        known = self.provider("password")
        if not self._registration or not isinstance(known, passwords.Passwords):
            raise errors.Forbidden("Nobody can register here.")
        await self._attempts.attempt(throttle.REGISTER, authentication.network(address))
        if f"{known.name}:{passwords.email(credentials)}" in self._administrators:
            # Nothing shows whose an address is, and whoever logs in with this one administers.
            raise errors.Forbidden(
                "Nobody can register this address.",
                hint="Whoever runs the service can: `pgcellar admin users add ADDRESS`.",
            )
        return await known.new(credentials)

    async def _enter(
        self, provider: str, external: providers.External, address: str
    ) -> dict[str, Any]:
        login = store.Login(provider=external.provider, external=external.id)
        found = await self._accounts.by_login(login.provider, login.external)
        if found is None:
            new = store.Account(
                subject=external.subject or _subject(), kind=external.kind, name=external.name
            )
            try:
                await self._accounts.add(new, login)
            except errors.Conflict:
                # The same person came twice at once.
                found = await self._accounts.by_login(login.provider, login.external)
                if found is None:
                    raise
        account = found[0] if found is not None else new
        if account.disabled:
            await self._write(f"login.{provider}", account, address, "denied", reason="disabled")
            raise sessions.disabled()
        await self._write(f"login.{provider}", account, address)
        return await self._open(account, login)

    async def _upgrade(
        self, subject: str, name: str, login: store.Login, address: str
    ) -> dict[str, Any]:
        if not await self._accounts.upgrade(subject, name, login):
            raise errors.Conflict("Only an anonymous identity can be upgraded.")
        account = store.Account(subject=subject, kind="registered", name=name)
        # Who had the anonymous identity's tokens besides has not signed up.
        await self._sessions.end(subject)
        await self._write("account.upgrade", account, address)
        return await self._open(account, login)

    async def _open(self, account: store.Account, login: store.Login) -> dict[str, Any]:
        named = f"{login.provider}:{login.external}" in self._administrators
        if named and identities.ADMINISTRATOR not in account.roles:
            roles = (*account.roles, identities.ADMINISTRATOR)
            await self._accounts.set_roles(account.subject, roles)
            account = dataclasses.replace(account, roles=roles)
        return await self._sessions.open(account, seconds=REGISTERED_SECONDS)

    async def _write(
        self,
        action: str,
        account: store.Account | None,
        address: str,
        outcome: auditing.Outcome = "done",
        **details: Any,
    ) -> None:
        await self._audit.write(
            auditing.Act(
                subject=account.subject if account else "",
                name=account.name if account else "",
                kind=account.kind if account else "anonymous",
                action=action,
                target=account.subject if account else "",
                outcome=outcome,
                address=address,
                details=details,
            )
        )


def _subject() -> str:
    return f"s_{secrets.token_hex(16)}"


def _login_named(text: str) -> str:
    """A login as the settings name it, in the form that is compared."""
    provider, _, external = text.partition(":")
    if provider != "password":
        return text
    try:
        return f"{provider}:{passwords.email({'email': external})}"
    except errors.BadRequest as exc:
        raise errors.BadRequest(
            f"c.Identity.administrators names {text!r}, which is no e-mail address."
        ) from exc


def _name(credentials: Mapping[str, Any], address: str) -> str:
    return providers.printable(credentials.get("name") or address.partition("@")[0])
