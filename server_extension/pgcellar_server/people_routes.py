"""The routes of the central gateway alone: who comes in, by what, and how much they may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgcellar_server import routes, schemas
from pgcellar_server.routes import Route


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": schema}


_TOKENS = _json(schemas.ref("Tokens"))
_OBJECT = {"type": "object"}


def _texts(*names: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "string", "minLength": 1} for name in names},
        "required": list(names),
    }


def _query(name: str, described: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": described, "schema": {"type": "string"}}


def _login(
    path: str,
    summary: str,
    body: Any,
    *problems: int,
    headers: tuple[Mapping[str, Any], ...] = (),
) -> Route:
    """A public route that gives tokens."""
    return Route(
        method="POST",
        path=path,
        service=path,
        summary=summary,
        tag="identity",
        body=body,
        answers=_TOKENS,
        public=True,
        headers=headers,
        problems=problems,
    )


IDENTITY = (
    _login("/identity/anonymous", "An identity of your own, without signing up", None),
    _login("/identity/password", "Log in with a password", _texts("email", "password")),
    _login("/identity/register", "Sign up", _texts("email", "password"), 409),
    _login(
        "/identity/refresh",
        "New tokens for a refresh token",
        _texts("refresh_token"),
        headers=(routes.NAMED,),
    ),
    _login("/identity/exchange", "An access token for a personal one", _texts("token")),
    _login(
        "/identity/login/{provider}",
        "Log in with what a provider gave you: a token of JupyterHub, say",
        _OBJECT,
        404,
    ),
    Route(
        method="POST",
        path="/identity/upgrade",
        service="/identity/upgrade",
        summary="Sign up, and keep what you did anonymously",
        tag="identity",
        body=_texts("email", "password"),
        answers=_TOKENS,
        problems=(409,),
    ),
    Route(
        method="POST",
        path="/identity/oidc/{provider}/start",
        service="/identity/oidc/{provider}/start",
        summary="Begin to log in at an OpenID provider, or at JupyterHub",
        tag="identity",
        answers=_json(_texts("url")),
        public=True,
        cookies=True,
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/identity/oidc/{provider}/callback",
        service="/identity/oidc/{provider}/callback",
        summary="Come back from there",
        tag="identity",
        query=(_query("state", "The provider's word."), _query("code", "The provider's word.")),
        answers=_TOKENS,
        public=True,
        cookies=True,
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/identity/jwks",
        service="/identity/jwks",
        summary="The public keys of access tokens",
        tag="identity",
        answers=_json(schemas.ref("KeySet")),
        public=True,
    ),
    Route(
        method="GET",
        path="/identity/me",
        service="/identity/me",
        summary="Who you are, and what your token is good for",
        tag="identity",
        answers=_json(schemas.ref("Session")),
    ),
    Route(
        method="GET",
        path="/identity/tokens",
        service="/identity/tokens",
        summary="Your personal access tokens",
        tag="identity",
        answers=_json(schemas.ref("TokenList")),
    ),
    Route(
        method="POST",
        path="/identity/tokens",
        service="/identity/tokens",
        summary="A new personal access token; its secret is shown this once",
        tag="identity",
        status=201,
        body=schemas.ref("TokenRequest"),
        answers=_json(schemas.ref("NewToken")),
        problems=(409,),
    ),
    Route(
        method="DELETE",
        path="/identity/tokens",
        service="/identity/tokens",
        summary="Revoke all your tokens, and end all sessions",
        tag="identity",
        status=204,
    ),
    Route(
        method="DELETE",
        path="/identity/tokens/{token}",
        service="/identity/tokens/{token}",
        summary="Revoke a token, or a session",
        tag="identity",
        status=204,
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/identity/sessions",
        service="/identity/sessions",
        summary="Your open sessions, newest first",
        tag="identity",
        query=routes.PAGES,
        answers=_json(schemas.ref("SessionList")),
    ),
)

PROFILES = (
    Route(
        method="GET",
        path="/profiles/me",
        service="/profiles/me",
        summary="Your profile",
        tag="profiles",
        answers=_json(schemas.ref("Profile")),
    ),
    Route(
        method="PATCH",
        path="/profiles/me/preferences",
        service="/profiles/me/preferences",
        summary="Change your preferences; null takes one back",
        tag="profiles",
        body={**_OBJECT, "maxProperties": 200},
        answers=_json(schemas.ref("Preferences")),
    ),
    Route(
        method="GET",
        path="/profiles/me/quotas",
        service="/profiles/me/quotas",
        summary="Your limits, and what is left of them",
        tag="profiles",
        answers=_json(schemas.ref("QuotaList")),
    ),
    Route(
        method="PATCH",
        path="/profiles/subjects/{subject}/quotas",
        service="/profiles/subjects/{subject}/quotas",
        summary="Set somebody's limits",
        tag="administration",
        status=204,
        body=schemas.ref("QuotaChange"),
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/profiles/classes",
        service="/profiles/classes",
        summary="Your classes",
        tag="profiles",
        query=routes.PAGES,
        answers=_json(schemas.ref("ClassList")),
    ),
    Route(
        method="POST",
        path="/profiles/classes",
        service="/profiles/classes",
        summary="Make a class",
        tag="administration",
        status=201,
        body={
            **_texts("name"),
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "teacher": {"type": "string", "description": "A subject; you by default."},
            },
        },
        answers=_json(schemas.ref("NewClass")),
        problems=(404,),
    ),
    Route(
        method="POST",
        path="/profiles/classes/join",
        service="/profiles/classes/join",
        summary="Become a student of the class with a code",
        tag="profiles",
        body=_texts("code"),
        answers=_json(schemas.ref("Class")),
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/profiles/classes/{class_}",
        service="/profiles/classes/{class_}",
        summary="A class; for who teaches it, with its members, by pages",
        tag="profiles",
        query=routes.PAGES,
        answers=_json(schemas.ref("ClassDetail")),
        problems=(404,),
    ),
    Route(
        method="PATCH",
        path="/profiles/classes/{class_}",
        service="/profiles/classes/{class_}",
        summary="Rename a class",
        tag="teaching",
        status=204,
        body=_texts("name"),
        problems=(404,),
    ),
    Route(
        method="DELETE",
        path="/profiles/classes/{class_}",
        service="/profiles/classes/{class_}",
        summary="Remove a class",
        tag="teaching",
        status=204,
        problems=(404,),
    ),
    Route(
        method="POST",
        path="/profiles/classes/{class_}/code",
        service="/profiles/classes/{class_}/code",
        summary="Another join code, shown this once",
        tag="teaching",
        answers=_json(schemas.ref("JoinCode")),
        problems=(404,),
    ),
    Route(
        method="PATCH",
        path="/profiles/classes/{class_}/members/{subject}",
        service="/profiles/classes/{class_}/members/{subject}",
        summary="Make a member a teacher or a student",
        tag="teaching",
        status=204,
        body=_texts("role"),
        problems=(404, 409),
    ),
    Route(
        method="DELETE",
        path="/profiles/classes/{class_}/members/{subject}",
        service="/profiles/classes/{class_}/members/{subject}",
        summary="Take a member out, or leave",
        tag="teaching",
        status=204,
        problems=(404, 409),
    ),
    Route(
        method="GET",
        path="/profiles/classes/{class_}/quotas",
        service="/profiles/classes/{class_}/quotas",
        summary="The limits that are set for members of a class",
        tag="teaching",
        answers=_json(schemas.ref("QuotaSettings")),
        problems=(404,),
    ),
    Route(
        method="PATCH",
        path="/profiles/classes/{class_}/quotas",
        service="/profiles/classes/{class_}/quotas",
        summary="Set limits that members of a class have",
        tag="teaching",
        status=204,
        body=schemas.ref("QuotaChange"),
        problems=(404,),
    ),
)

_CLASS = "/profiles/classes/{class_}"
_SANDBOX = f"{_CLASS}/members/{{subject}}/sandbox"
_OF_MEMBER = f"{_CLASS}/members/{{subject}}/quotas"
TEACHING = (
    Route(
        method="GET",
        path=_OF_MEMBER,
        service=_OF_MEMBER,
        summary="A student's limits, and what is left of them",
        tag="teaching",
        answers=_json(schemas.ref("QuotaList")),
        problems=(404,),
    ),
    Route(
        method="GET",
        path=f"{_CLASS}/activity",
        service=f"{_CLASS}/activity",
        summary="Who of a class is online, how far each is, and whose sandbox is stuck",
        tag="teaching",
        query=(
            _query("limit", "Members on a page, up to 1,000."),
            _query("after", "`next` of the page before."),
        ),
        answers=_json(schemas.ref("ClassActivity")),
        problems=(404,),
    ),
    Route(
        method="POST",
        path=f"{_SANDBOX}/stop",
        service=f"{_SANDBOX}/stop",
        summary="Cancel a student's runs and stop the sandbox; its states stay",
        tag="teaching",
        status=204,
        problems=(404, 409),
    ),
    Route(
        method="POST",
        path=f"{_SANDBOX}/reset",
        service=f"{_SANDBOX}/reset",
        summary="Remove a student's sandbox with all its states",
        tag="teaching",
        status=204,
        body={
            "type": "object",
            "properties": {"confirm": {"const": True}},
            "required": ["confirm"],
        },
        problems=(404, 409),
    ),
    Route(
        method="POST",
        path=f"{_SANDBOX}/extend",
        service=f"{_SANDBOX}/extend",
        summary="Let a student's sandbox be idle, and give more, for a while",
        tag="teaching",
        body={
            "type": "object",
            "properties": {
                "minutes": {"type": "integer", "minimum": 1, "maximum": 1440},
                "quotas": schemas.ref("QuotaChange"),
            },
            "required": ["minutes"],
        },
        answers=_json(schemas.ref("Extension")),
        problems=(404,),
    ),
)

_ACCOUNT = "/identity/accounts/{subject}"
ADMINISTRATION = (
    Route(
        method="GET",
        path="/identity/accounts",
        service="/identity/accounts",
        summary="Accounts, newest first",
        tag="administration",
        query=(
            _query("search", "Part of a subject, a name or a login."),
            _query("kind", "`anonymous`, `registered`, `service` or `os`."),
            _query("disabled", "`true` or `false`."),
            _query("role", "`administrator`."),
            _query("limit", "Accounts on a page, up to 500."),
            _query("after", "`next` of the page before."),
        ),
        answers=_json(schemas.ref("AccountList")),
    ),
    Route(
        method="POST",
        path="/identity/accounts",
        service="/identity/accounts",
        summary="Make an account for somebody, who logs in with its password",
        tag="administration",
        status=201,
        body={
            **_texts("email", "password"),
            "properties": {
                "email": {"type": "string", "format": "email", "maxLength": 254},
                "password": {"type": "string", "minLength": 10, "maxLength": 1024},
                "name": {"type": "string"},
            },
        },
        answers=_json(schemas.ref("AccountDetail")),
        problems=(404, 409),
    ),
    Route(
        method="GET",
        path=_ACCOUNT,
        service=_ACCOUNT,
        summary="An account",
        tag="administration",
        answers=_json(schemas.ref("AccountDetail")),
        problems=(404,),
    ),
    Route(
        method="PATCH",
        path=_ACCOUNT,
        service=_ACCOUNT,
        summary="Keep somebody out at once, or let them in; make them an administrator, or not",
        tag="administration",
        body={
            "type": "object",
            "properties": {
                "disabled": {"type": "boolean"},
                "administrator": {"type": "boolean"},
            },
            "minProperties": 1,
        },
        answers=_json(schemas.ref("AccountDetail")),
        problems=(404, 409),
    ),
    Route(
        method="GET",
        path=f"{_ACCOUNT}/tokens",
        service=f"{_ACCOUNT}/tokens",
        summary="Somebody's personal access tokens",
        tag="administration",
        answers=_json(schemas.ref("TokenList")),
        problems=(404,),
    ),
    Route(
        method="DELETE",
        path=f"{_ACCOUNT}/tokens",
        service=f"{_ACCOUNT}/tokens",
        summary="Revoke somebody's tokens, and end their sessions",
        tag="administration",
        status=204,
        problems=(404,),
    ),
    Route(
        method="DELETE",
        path=f"{_ACCOUNT}/tokens/{{token}}",
        service=f"{_ACCOUNT}/tokens/{{token}}",
        summary="Revoke one of somebody's tokens, or end a session",
        tag="administration",
        status=204,
        problems=(404,),
    ),
    Route(
        method="GET",
        path=f"{_ACCOUNT}/sessions",
        service=f"{_ACCOUNT}/sessions",
        summary="Somebody's open sessions, newest first",
        tag="administration",
        query=routes.PAGES,
        answers=_json(schemas.ref("SessionList")),
        problems=(404,),
    ),
    Route(
        method="POST",
        path="/identity/keys/rotate",
        service="/identity/keys/rotate",
        summary="Sign access tokens with a new key",
        tag="administration",
        answers=_json(schemas.ref("KeyId")),
    ),
    Route(
        method="GET",
        path="/profiles/subjects/{subject}/quotas",
        service="/profiles/subjects/{subject}/quotas",
        summary="Somebody's limits",
        tag="administration",
        answers=_json(schemas.ref("QuotasOf")),
        problems=(404,),
    ),
)

_RECORDS = (
    _query("subject", "Whose."),
    _query("action", "What was done; `run.*`, say."),
    _query("target", "What to."),
    _query("outcome", "`done`, `failed` or `denied`."),
    _query("since", "A time in ISO 8601."),
    _query("until", "A time in ISO 8601."),
)
AUDIT = (
    Route(
        method="GET",
        path="/audit",
        service="/audit",
        summary="Audit records: your own, and everybody's for an administrator",
        tag="administration",
        query=(
            *_RECORDS,
            _query("limit", "Records on a page, up to 1,000."),
            _query("after", "`next` of the page before."),
        ),
        answers=_json(schemas.ref("AuditPage")),
    ),
    Route(
        method="GET",
        path="/audit/export",
        service="/audit/export",
        summary="All of them that fit, oldest first, as NDJSON or CSV",
        tag="administration",
        query=(*_RECORDS, _query("format", "`ndjson` or `csv`.")),
        answers={
            "application/x-ndjson": {"type": "string", "description": "A record a line."},
            "text/csv": {"type": "string"},
        },
    ),
    Route(
        method="GET",
        path="/audit/verify",
        service="/audit/verify",
        summary="Whether the audit log's chain holds, and where it does not",
        tag="administration",
        query=(_query("from", "The first day."), _query("to", "The last one.")),
        answers=_json(schemas.ref("AuditVerdict")),
    ),
)

#: All routes of the central gateway.
ALL: tuple[Route, ...] = (*routes.ROUTES, *IDENTITY, *PROFILES, *TEACHING, *ADMINISTRATION, *AUDIT)
#: What a Jupyter Server passes on to a central gateway for its person: what a teacher's page needs.
CLASSES: tuple[Route, ...] = (
    *(
        route
        for route in PROFILES
        if (route.method, route.path)
        in (("GET", "/profiles/classes"), ("GET", "/profiles/me/quotas"))
    ),
    *TEACHING,
)
