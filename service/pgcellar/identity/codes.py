"""Logins at other servers by the authorization code flow (RFC 6749), with PKCE (RFC 7636): what is
common to all of them.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import urllib.parse

from pgcellar.api import errors
from pgcellar.identity import flow_store

_LOCAL = ("localhost", "127.0.0.1", "::1")


def begin(
    provider: str,
    endpoint: str,
    *,
    client: str,
    redirect: str,
    scope: str,
    nonce: str = "",
    subject: str | None = None,
) -> tuple[str, str, flow_store.Flow]:
    """Where to send the browser, the state to bind to it, and the flow to remember."""
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    query = {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": redirect,
        "scope": scope,
        "state": state,
        "code_challenge": challenge.rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    if nonce:
        query["nonce"] = nonce
    url = f"{endpoint}{'&' if '?' in endpoint else '?'}{urllib.parse.urlencode(query)}"
    flow = flow_store.Flow(provider=provider, verifier=verifier, nonce=nonce, subject=subject)
    return url, state, flow


def guarded(url: str) -> str:
    """A URL whose answers nobody on the way can change. Raises BadRequest."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL):
        return url
    raise errors.BadRequest(f"{url} must begin with https://.")
