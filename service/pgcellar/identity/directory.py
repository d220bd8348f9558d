"""Accounts as administrators see them."""

from __future__ import annotations

from typing import Any, get_args

from pgcellar.api import errors, identities
from pgcellar.identity import grant_store, managing, store

MOST = 500
MAX_SEARCH = 100
_KINDS: tuple[str, ...] = get_args(identities.Kind)


class Directory:
    """See the module. Nothing of it is anybody else's to see: all raises Forbidden."""

    def __init__(self, accounts: store.AccountStore, grants: grant_store.GrantStore) -> None:
        self._accounts = accounts
        self._grants = grants

    async def page(
        self, who: identities.Identity, filters: store.Filters, *, limit: int, after: str | None
    ) -> dict[str, Any]:
        """Accounts, newest first; `next`, given as `after`, leads to those after them."""
        _administers(who)
        _check(filters, after)
        found = await self._accounts.page(filters, limit=limit, after=after)
        last = found[-1].account.subject if len(found) == limit else None
        return {"accounts": [_shown(each) for each in found], "next": last}

    async def account(self, who: identities.Identity, subject: str) -> dict[str, Any]:
        """An account with its logins, and how often it is logged in. Raises NotFound."""
        _administers(who)
        found = await self._accounts.listed(subject)
        if found is None:
            raise managing.missing()
        logins = [{"provider": each.provider, "id": each.external} for each in found[1]]
        sessions = await self._grants.logged_in(subject)
        return {**_shown(found[0]), "logins": logins, "sessions": sessions}

    async def tokens(self, who: identities.Identity, subject: str) -> list[dict[str, Any]]:
        """Somebody's personal access tokens, without their secrets. Raises NotFound."""
        _administers(who)
        if await self._accounts.get(subject) is None:
            raise managing.missing()
        return [managing.shown(grant) for grant in await self._grants.tokens(subject)]

    async def sessions(
        self, who: identities.Identity, subject: str, *, limit: int, after: str | None
    ) -> dict[str, Any]:
        """A page of somebody's open sessions. Raises NotFound or BadRequest."""
        _administers(who)
        if await self._accounts.get(subject) is None:
            raise managing.missing()
        return await managing.page(self._grants, who, subject, limit=limit, after=after)


def _check(filters: store.Filters, after: str | None) -> None:
    if filters.kind is not None and filters.kind not in _KINDS:
        raise errors.BadRequest(f"`kind` is one of {', '.join(_KINDS)}.")
    if filters.role not in (None, identities.ADMINISTRATOR):
        raise errors.BadRequest(f"`role` is `{identities.ADMINISTRATOR}`.")
    for name, text in (("search", filters.search), ("after", after)):
        if text is not None and not (0 < len(text) <= MAX_SEARCH and text.isprintable()):
            raise errors.BadRequest(f"`{name}` is a text of 1 to {MAX_SEARCH} characters.")


def _shown(listed: store.Listed) -> dict[str, Any]:
    found = listed.account
    return {
        "subject": found.subject,
        "name": found.name,
        "kind": found.kind,
        "roles": list(found.roles),
        "disabled": found.disabled,
        "created": listed.created.isoformat(),
        "last_seen": listed.last_seen.isoformat(),
    }


def _administers(who: identities.Identity) -> None:
    if not who.administers:
        raise errors.Forbidden("Only an administrator may see others' accounts.")
