"""Puts the parts of the idp together, for the composition root."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable

from pgcellar.api import auditing
from pgcellar.control import database, windows
from pgcellar.identity import (
    directory,
    flow_store,
    grant_store,
    key_store,
    managing,
    providers,
    sealing,
    service,
    sessions,
    signing,
    store,
    throttle,
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The idp. `sessions` is a Verifier of what it issues."""

    idp: service.Idp
    management: managing.Management
    sessions: sessions.Sessions
    accounts: store.AccountStore
    directory: directory.Directory


def compose(
    db: database.ControlDatabase,
    sealer: sealing.Sealer,
    audit: auditing.AuditLog,
    *,
    issuer: str,
    audience: str,
    found: Callable[
        [store.AccountStore], Iterable[providers.Provider | providers.Redirecting]
    ] = lambda accounts: (),
    administrators: Collection[str] = (),
    anonymous: bool = False,
    registration: bool = False,
    issued: throttle.Rate | None = None,
    most: int = 0,
    lifetime: float = sessions.LIFETIME,
) -> Parts:
    """The parts over one control database. `found` makes the providers."""
    accounts = store.AccountStore(db)
    # A token is good until a moment after its end, where clocks differ.
    grants = grant_store.GrantStore(db, lifetime=lifetime + 60)
    keyring = signing.Keyring(key_store.KeyStore(db), sealer, lifetime=lifetime)
    flows, counted = flow_store.FlowStore(db), windows.Windows(db)
    open_sessions = sessions.Sessions(
        accounts, grants, keyring, issuer=issuer, audience=audience, lifetime=lifetime
    )
    return Parts(
        idp=service.Idp(
            accounts,
            open_sessions,
            throttle.Throttle(counted),
            flows,
            audit,
            found=found(accounts),
            administrators=administrators,
            anonymous=anonymous,
            registration=registration,
            issued=issued,
            most=most,
        ),
        management=managing.Management(
            accounts, grants, open_sessions, keyring, flows, counted, audit
        ),
        sessions=open_sessions,
        accounts=accounts,
        directory=directory.Directory(accounts, grants),
    )
