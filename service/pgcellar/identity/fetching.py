"""JSON from other servers: bounded in time and size, without redirects."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import tornado.httpclient
import tornado.simple_httpclient

from pgcellar.api import errors

_SECONDS = 10.0
_MAX_BYTES = 1024 * 1024


async def fetch(
    url: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """The status and the JSON object of an answer; a form is posted.

    Raises ServiceUnavailable if there is no answer, or it is no JSON object where it should be.
    """
    host = urllib.parse.urlsplit(url).netloc
    client = tornado.simple_httpclient.SimpleAsyncHTTPClient(
        force_instance=True, max_body_size=_MAX_BYTES, max_buffer_size=_MAX_BYTES
    )
    try:
        answer = await client.fetch(
            url,
            method="GET" if form is None else "POST",
            headers={"Accept": "application/json", **(headers or {})},
            body=None if form is None else urllib.parse.urlencode(form),
            follow_redirects=False,
            request_timeout=_SECONDS,
            connect_timeout=_SECONDS,
            raise_error=False,
        )
    except (OSError, tornado.httpclient.HTTPError) as exc:
        raise errors.ServiceUnavailable(f"{host} does not answer.") from exc
    finally:
        client.close()
    try:
        found = json.loads(answer.body or b"{}")
    except (ValueError, RecursionError):
        found = None
    if answer.code < 300 and not isinstance(found, dict):
        raise errors.ServiceUnavailable(f"{host} gives an answer that is not understood.")
    return answer.code, found if isinstance(found, dict) else {}
