"""`pgcellar token`: one's own personal access tokens and open sessions, here or on a server."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
from typing import Any

from pgcellar.api import client, errors, paths, remote
from pgcellar.cli import administering, servers

_AT = "/identity/tokens"
_SESSIONS = "/identity/sessions"
#: What `pgcellar run --server` needs.
_SCOPES = ("runs", "files")
_ID = re.compile(r"[0-9a-f]{32}")
_WHY = (
    "The service answers this user of the operating system alone, over a Unix socket that nobody"
    " else can open; there is nothing to log in to, so there are no tokens."
)


async def token(arguments: argparse.Namespace) -> int:
    """List, create or revoke. Raises PgcellarError."""
    with contextlib.closing(servers.connect(arguments)) as service:
        found = await _WORK[arguments.what](service, arguments)
    if arguments.json:
        print(json.dumps(found))
    else:
        administering.show(found)
    return 0


async def _list(
    service: client.Client | remote.Remote, arguments: argparse.Namespace
) -> dict[str, Any]:
    return await _listed(service, _AT, "tokens")


async def _sessions(
    service: client.Client | remote.Remote, arguments: argparse.Namespace
) -> dict[str, Any]:
    return await _listed(service, _SESSIONS, "sessions")


async def _listed(service: client.Client | remote.Remote, at: str, what: str) -> dict[str, Any]:
    if isinstance(service, remote.Remote):
        return {"mode": "server", **await service.administer("GET", at)}
    mine = {"mode": "embedded", "user": paths.user_name()}
    try:
        return {**mine, **await service.administer("GET", at)}
    except errors.NotFound:
        # Identity is not enabled.
        return {**mine, what: [], "why": _WHY}


async def _create(
    service: client.Client | remote.Remote, arguments: argparse.Namespace
) -> dict[str, Any]:
    if not arguments.name:
        raise errors.BadRequest(
            "The new token has no name.", hint="Name it for where it will be used."
        )
    wanted = {
        "name": arguments.name,
        "scopes": arguments.scope or list(_SCOPES),
        "days": arguments.days,
    }
    return await service.administer("POST", _AT, wanted)


async def _revoke(
    service: client.Client | remote.Remote, arguments: argparse.Namespace
) -> dict[str, Any]:
    if not _ID.fullmatch(arguments.name or ""):
        raise errors.BadRequest(
            f"{arguments.name or ''!r} is no token's id.", hint="`pgcellar token list` shows them."
        )
    await service.administer("DELETE", f"{_AT}/{arguments.name}")
    return await _list(service, arguments)


_WORK = {"list": _list, "sessions": _sessions, "create": _create, "revoke": _revoke}
