"""What is done with sessions, personal access tokens and accounts once somebody is in."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from pgcellar.api import auditing, errors, identities
from pgcellar.control import windows
from pgcellar.identity import (
    flow_store,
    grant_store,
    providers,
    service,
    sessions,
    signing,
    store,
    throttle,
)

DEFAULT_DAYS = 90
MAX_DAYS = 366
MAX_TOKENS = 50
#: After an anonymous session is over its last access token is, in which a run may have begun.
DEPARTED_SECONDS = service.ANONYMOUS_SECONDS + 3600.0
_MAX_SCOPES = 20
_ID = re.compile("[0-9a-f]{32}")
_SCOPE = re.compile(r"\*|[a-z]{1,20}(:[a-z]{1,20})?")


class Management:
    """See the module. Every act of it is written down."""

    def __init__(
        self,
        accounts: store.AccountStore,
        grants: grant_store.GrantStore,
        open_sessions: sessions.Sessions,
        keyring: signing.Keyring,
        flows: flow_store.FlowStore,
        counted: windows.Windows,
        audit: auditing.AuditLog,
    ) -> None:
        self._accounts = accounts
        self._grants = grants
        self._sessions = open_sessions
        self._keyring = keyring
        self._flows = flows
        self._windows = counted
        self._attempts = throttle.Throttle(counted)
        self._audit = audit

    # --- tokens ------------------------------------------------------------------------------

    async def renew(self, secret: str, address: str, key: str | None = None) -> dict[str, Any]:
        """New tokens for a refresh token; a stolen one is written down."""
        session = await self._grants.named(secret)
        if session is not None:
            await self._attempts.attempt(throttle.RENEWALS, session)
        try:
            return await self._sessions.renew(secret, key)
        except sessions.Reused as exc:
            await self._audit.write(
                auditing.Act(
                    subject=exc.subject,
                    name="",
                    kind="registered",
                    action="session.reuse",
                    target=exc.session,
                    outcome="denied",
                    address=address,
                )
            )
            # The class → status map knows the error, not what is special about this one.
            raise errors.Unauthenticated(exc.message, hint=exc.hint) from exc

    async def exchange(self, secret: str) -> dict[str, Any]:
        """An access token for a personal one."""
        return await self._sessions.exchange(secret)

    async def tokens(self, who: identities.Identity) -> list[dict[str, Any]]:
        """Somebody's personal access tokens, without their secrets."""
        return [shown(grant) for grant in await self._grants.tokens(who.subject)]

    async def open_sessions(
        self, who: identities.Identity, *, limit: int, after: str | None
    ) -> dict[str, Any]:
        """A page of somebody's open sessions. Raises BadRequest."""
        return await page(self._grants, who, who.subject, limit=limit, after=after)

    async def create(
        self,
        who: identities.Identity,
        *,
        name: str,
        scopes: Sequence[str],
        days: int = DEFAULT_DAYS,
        address: str = "",
    ) -> dict[str, Any]:
        """A personal access token, with its secret this once.

        It may do no more than the token that asks for it.
        """
        wanted = _scopes(scopes)
        if who.kind == "anonymous":
            raise errors.Forbidden("An anonymous identity has no personal access tokens.")
        lacking = [scope for scope in wanted if not _allows(who, scope)]
        if lacking:
            raise errors.Forbidden(f"You can't give the scope `{lacking[0]}`: you lack it.")
        if not 1 <= days <= MAX_DAYS:
            raise errors.BadRequest(f"A token is valid for 1 to {MAX_DAYS} days.")
        await self._attempts.attempt(throttle.TOKENS, who.subject)
        if who.kind == "os":
            # The operating system's user has an account from the first token on.
            await self._accounts.ensure(
                store.Account(subject=who.subject, kind=who.kind, name=who.name)
            )
            await self._accounts.set_roles(who.subject, who.roles)
        return await self._personal(who, who.subject, name, wanted, days, address, MAX_TOKENS)

    async def revoke(self, who: identities.Identity, token: str | None, address: str = "") -> None:
        """Revoke one of one's own tokens or sessions, or all of them. Raises NotFound."""
        gone = await self._grants.revoke(who.subject, token)
        self._sessions.forget()
        if not gone and token is not None:
            raise errors.NotFound("You have no such token.")
        await self._write(who, "token.revoke", token or "all", address)

    # --- administration ----------------------------------------------------------------------

    async def create_service(
        self, who: identities.Identity, *, name: str, scopes: Sequence[str], address: str = ""
    ) -> dict[str, Any]:
        """An account of a service, with a token that it exchanges for access tokens."""
        _administers(who)
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", name):
            raise errors.BadRequest("A service's name has small letters, digits and hyphens.")
        account = store.Account(subject=f"service:{name}", kind="service", name=name)
        await self._accounts.ensure(account)
        return await self._personal(who, account.subject, name, _scopes(scopes), MAX_DAYS, address)

    async def end_sessions(
        self, who: identities.Identity, subject: str, address: str = "", token: str | None = None
    ) -> None:
        """Log somebody out everywhere, and revoke their personal access tokens; or only one.

        Raises NotFound.
        """
        _administers(who)
        if await self._accounts.get(subject) is None:
            raise missing()
        gone = await self._grants.revoke(subject, token)
        self._sessions.forget()
        if token is None:
            await self._write(who, "session.revoke", subject, address)
            return
        if not gone:
            raise errors.NotFound("They have no such token.")
        await self._write(who, "token.revoke", token, address, subject=subject)

    async def disable(
        self, who: identities.Identity, subject: str, disabled: bool, address: str = ""
    ) -> None:
        """Keep somebody out, or let them in again. Raises NotFound, or Conflict for oneself."""
        _administers(who)
        if disabled:
            _another(who, subject)
        if not await self._accounts.set_disabled(subject, disabled):
            raise missing()
        if disabled:
            await self._grants.revoke(subject)
            await self._grants.refuse(subject)
        else:
            await self._grants.accept(subject)
        self._sessions.forget()
        await self._write(
            who, "account.disable" if disabled else "account.enable", subject, address
        )

    async def set_administrator(
        self, who: identities.Identity, subject: str, administers: bool, address: str = ""
    ) -> None:
        """Make somebody an administrator, or no longer one: their tokens are refused then.

        Raises NotFound, or Conflict for oneself.
        """
        _administers(who)
        if not administers:
            _another(who, subject)
        account = await self._accounts.get(subject)
        if account is None:
            raise missing()
        if administers and account.kind == "anonymous":
            raise errors.Conflict(
                "An anonymous identity can't administer.", hint="It signs up first."
            )
        roles = (identities.ADMINISTRATOR,) if administers else ()
        if account.roles == roles:
            return
        await self._accounts.set_roles(subject, roles)
        if not administers:
            await self._grants.revoke(subject)
            self._sessions.forget()
        await self._write(who, "role.set", subject, address, roles=list(roles))

    async def rotate(self, who: identities.Identity, address: str = "") -> str:
        """Sign with a new key; its id."""
        _administers(who)
        kid = await self._keyring.rotate()
        self._sessions.forget()
        await self._write(who, "key.rotate", kid, address)
        return kid

    async def tidy(self) -> None:
        """Remove what has expired; to be called now and then."""
        await self._grants.tidy()
        await self._flows.tidy()
        await self._windows.tidy()

    async def departed(self, limit: int) -> list[str]:
        """Anonymous subjects who can't come back: their session is over, and their tokens."""
        return await self._accounts.departed(DEPARTED_SECONDS, limit)

    async def remove(self, subject: str) -> None:
        """Remove the account of somebody who can't come back."""
        if await self._accounts.remove(subject):
            await self._audit.write(
                auditing.Act(
                    subject=subject,
                    name="",
                    kind="anonymous",
                    action="account.expire",
                    target=subject,
                    outcome="done",
                )
            )

    # --- inside ------------------------------------------------------------------------------

    async def _personal(
        self,
        who: identities.Identity,
        subject: str,
        name: str,
        scopes: tuple[str, ...],
        days: int,
        address: str,
        most: int | None = None,
    ) -> dict[str, Any]:
        secret = sessions.new_secret()
        grant = await self._grants.add(
            secrets.token_hex(16),
            subject=subject,
            kind="personal",
            name=providers.printable(name),
            scopes=scopes,
            secret=secret,
            seconds=days * 86400.0,
            most=most,
        )
        await self._write(
            who, "token.create", grant.id, address, subject=subject, scopes=list(scopes)
        )
        return {**shown(grant), "secret": secret}

    async def _write(
        self, who: identities.Identity, action: str, target: str, address: str, **details: Any
    ) -> None:
        await self._audit.write(
            auditing.Act(
                subject=who.subject,
                name=who.name,
                kind=who.kind,
                action=action,
                target=target,
                outcome="done",
                address=address,
                token=who.token,
                details=details,
            )
        )


async def page(
    grants: grant_store.GrantStore,
    who: identities.Identity,
    subject: str,
    *,
    limit: int,
    after: str | None,
) -> dict[str, Any]:
    """A subject's open sessions, the newest first; `next`, given as `after`, leads to those after.

    `current` is the one whose token the request of `who` shows. Raises BadRequest.
    """
    if after is not None and not _ID.fullmatch(after):
        raise errors.BadRequest("`after` is not what an answer gave as `next`.")
    found = await grants.sessions(subject, limit=limit + 1, after=after)
    listed = found[:limit]
    return {
        "sessions": [
            {
                "id": each.id,
                "scopes": list(each.scopes),
                "created": each.created.isoformat(),
                "last_used": each.last_used.isoformat() if each.last_used else None,
                "expires": each.expires.isoformat(),
                "current": each.id == who.token,
            }
            for each in listed
        ],
        "next": listed[-1].id if len(found) > limit else None,
    }


def shown(grant: grant_store.Grant) -> dict[str, Any]:
    """A grant as it may be listed."""
    return {
        "id": grant.id,
        "name": grant.name,
        "scopes": list(grant.scopes),
        "created": grant.created.isoformat(),
        "last_used": grant.last_used.isoformat() if grant.last_used else None,
        "expires": grant.expires.isoformat(),
    }


def _scopes(wanted: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(wanted))
    if not 1 <= len(found) <= _MAX_SCOPES or not all(_SCOPE.fullmatch(each) for each in found):
        raise errors.BadRequest("`scopes` are words as `runs` or `runs:read`, or `*`.")
    return found


def _allows(who: identities.Identity, scope: str) -> bool:
    return identities.EVERYTHING in who.scopes or (
        scope != identities.EVERYTHING and who.may(scope)
    )


def missing() -> errors.NotFound:
    """Nobody is called so."""
    return errors.NotFound("There is no such account.")


def _another(who: identities.Identity, subject: str) -> None:
    if who.subject == subject:
        raise errors.Conflict("You can't do that to yourself.", hint="Another administrator can.")


def _administers(who: identities.Identity) -> None:
    if not who.administers:
        raise errors.Forbidden("Only an administrator may do that.")
