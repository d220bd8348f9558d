"""The OpenAPI 3.1 document of the routes, and a page of it for people."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import pgcellar
from pgcellar_server import routes, schemas

_PROBLEM = {"application/problem+json": {"schema": schemas.ref("Problem")}}
_REASONS = {
    200: "Done",
    201: "Made",
    202: "Accepted",
    204: "Done, and nothing to say",
    304: "As it was",
    400: "The request is not as it should be",
    401: "Nobody is known by these credentials",
    403: "Not allowed",
    404: "There is no such thing",
    405: "Not done here",
    408: "The request did not come in time",
    409: "It is not as the request takes it to be",
    413: "Too large",
    429: "A limit is reached; Retry-After says when to come again",
    503: "Something that is needed can't be reached now",
    507: "There is no room left",
}


def document(
    root: str,
    served: Sequence[routes.Route] = routes.ROUTES,
    named: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document of the routes that are served; `root` is where the API is.

    `named` are schemas that their answers and bodies refer to, besides those of `schemas`.
    """
    paths: dict[str, dict[str, Any]] = {}
    for route in served:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pgcellar",
            "version": pgcellar.__version__,
            "summary": "SQL notebooks without hidden state",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": root}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas.components(), **(named or {})},
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "Authorization"},
            },
        },
    }


def _operation(route: routes.Route) -> dict[str, Any]:
    given = {kind: {"schema": schema} for kind, schema in (route.answers or {}).items()}
    answers: dict[str, Any] = {}
    for status in (route.status, *route.also):
        answers[str(status)] = {"description": _REASONS[status]}
        if given and status != 304:
            answers[str(status)]["content"] = given
    for status in sorted({*routes.COMMON_PROBLEMS, *route.problems}):
        answers[str(status)] = {"description": _REASONS[status], "content": _PROBLEM}
    made: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [
            *(
                {
                    "name": name,
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string", "pattern": f"^{pattern}$"},
                }
                for name, pattern in route.parameters
            ),
            *route.query,
            *route.headers,
        ],
        "responses": answers,
    }
    if route.public:
        made["security"] = []
    if route.binary:
        made["requestBody"] = {
            "required": True,
            "content": {"application/octet-stream": {"schema": {}}},
        }
    elif route.body is not None:
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": route.body}},
        }
    return made


def page(root: str, served: Sequence[routes.Route] = routes.ROUTES) -> str:
    """The document for people: no script, nothing from elsewhere."""
    rows = "".join(
        f"<tr><td><code>{route.method}</code></td><td><code>{html.escape(root + route.path)}</code>"
        f"</td><td>{html.escape(route.summary)}</td><td>{_statuses(route)}</td></tr>"
        for route in served
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>pgcellar API</title>"
        "<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:70rem;padding:0 1rem}"
        "td{padding:.3rem 1rem .3rem 0;vertical-align:top;border-top:1px solid #ccc}</style>"
        f"<h1>pgcellar API</h1><p>The whole of it: <a href={html.escape(root)}/openapi.json>"
        f"openapi.json</a> (OpenAPI 3.1).</p><table>{rows}</table></html>"
    )


def _statuses(route: routes.Route) -> str:
    return ", ".join(str(status) for status in (route.status, *route.also, *route.problems))
