"""JSON schemas of what travels about people: identities, profiles, classes, acts."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from pgcellar.api import quotas
from pgcellar_server.schemas import NUMBER, TEXT, listed, members, nullable, ref

_ANYTHING: Mapping[str, Any] = {"type": "object"}
_WHEN: Mapping[str, Any] = {"type": "string", "format": "date-time"}
_WHOLE: Mapping[str, Any] = {"type": "integer"}
_TRUTH: Mapping[str, Any] = {"type": "boolean"}
_LIMITS = typing.get_args(quotas.Limit)
_ROLE: Mapping[str, Any] = {"enum": ["teacher", "student"]}
_NEXT = nullable(TEXT)
_TOKEN = {
    "id": TEXT,
    "name": TEXT,
    "scopes": listed(TEXT),
    "created": _WHEN,
    "last_used": nullable(_WHEN),
    "expires": nullable(_WHEN),
}
_ACCOUNT = {
    "subject": TEXT,
    "name": TEXT,
    "kind": TEXT,
    "roles": listed(TEXT),
    "disabled": _TRUTH,
    "created": _WHEN,
    "last_seen": nullable(_WHEN),
}
_CLASS = {"id": TEXT, "name": TEXT, "role": _ROLE}

IDENTITY: Mapping[str, Any] = {
    "KeySet": {
        **members(keys=listed(_ANYTHING)),
        "description": "A JSON Web Key Set (RFC 7517).",
    },
    "Session": members(
        subject=TEXT,
        name=TEXT,
        kind=TEXT,
        roles=listed(TEXT),
        scopes=listed(TEXT),
        token=nullable(TEXT),
    ),
    "Token": members(**_TOKEN),
    "NewToken": {
        **members(**_TOKEN, secret=TEXT),
        "description": "A personal access token, and its secret, which is shown this once.",
    },
    "TokenList": members(tokens=listed(ref("Token"))),
    "OpenSession": {
        **members(
            id=TEXT,
            scopes=listed(TEXT),
            created=_WHEN,
            last_used=nullable(_WHEN),
            expires=_WHEN,
            current=_TRUTH,
        ),
        "description": "What somebody began by logging in; `last_used` is when it was last renewed,"
        " `current` whether the request's own token is of it.",
    },
    "SessionList": members(sessions=listed(ref("OpenSession")), next=_NEXT),
    "Account": members(**_ACCOUNT),
    "AccountDetail": members(
        **_ACCOUNT,
        logins=listed(members(provider=TEXT, id=TEXT)),
        sessions=_WHOLE,
    ),
    "AccountList": members(accounts=listed(ref("Account")), next=_NEXT),
    "KeyId": members(key=TEXT),
}

PROFILES: Mapping[str, Any] = {
    "Profile": members(
        subject=TEXT,
        name=TEXT,
        kind=TEXT,
        preferences=_ANYTHING,
        classes=listed(ref("Class")),
    ),
    "Preferences": members(preferences=_ANYTHING),
    "Quota": {
        "type": "object",
        "description": "A limit, null for none; of one over time, what is left of it, over how many"
        " seconds; of one for what is held, how much is used, where that is known.",
        "properties": {
            "limit": nullable(NUMBER),
            "left": NUMBER,
            "seconds": NUMBER,
            "used": NUMBER,
        },
        "required": ["limit"],
    },
    "Quotas": {
        "type": "object",
        "properties": {limit: ref("Quota") for limit in _LIMITS},
        "additionalProperties": ref("Quota"),
    },
    "QuotaValues": {"type": "object", "additionalProperties": nullable(NUMBER)},
    "QuotaChange": {
        "type": "object",
        "description": "Limits to set; null takes one back, so that the default holds.",
        "properties": {limit: nullable({**NUMBER, "minimum": 0}) for limit in _LIMITS},
        "additionalProperties": False,
    },
    "QuotaList": members(quotas=ref("Quotas")),
    "QuotaSettings": members(quotas=ref("QuotaValues")),
    "QuotasOf": members(subject=TEXT, set=ref("QuotaValues"), quotas=ref("Quotas")),
    "Class": members(**_CLASS),
    "ClassList": members(classes=listed(ref("Class")), next=nullable(TEXT)),
    "NewClass": {
        **members(id=TEXT, name=TEXT, join_code=TEXT),
        "description": "A class, and the code to join it by, which is shown this once.",
    },
    "JoinCode": members(join_code=TEXT),
    "Member": members(subject=TEXT, name=TEXT, role=_ROLE, joined=_WHEN),
    "ClassDetail": {
        **members(**_CLASS),
        "description": "A class; for who teaches it, with its members.",
        "properties": {**_CLASS, "members": listed(ref("Member")), "next": nullable(TEXT)},
    },
    "NotebookProgress": members(
        notebook=TEXT,
        cell=TEXT,
        number=_WHOLE,
        cells=_WHOLE,
        furthest=_WHOLE,
        status=TEXT,
        sqlstate=nullable(TEXT),
        at=_WHEN,
    ),
    "BusyRun": members(
        run=TEXT, notebook=TEXT, cell=TEXT, seconds=NUMBER, statement_seconds=NUMBER
    ),
    "Activity": members(
        subject=TEXT,
        name=TEXT,
        role=_ROLE,
        last_seen=nullable(_WHEN),
        online=_TRUTH,
        notebooks=listed(ref("NotebookProgress")),
        sandbox=members(
            status=TEXT, idle_seconds=NUMBER, waiting_seconds=NUMBER, extended_seconds=NUMBER
        ),
        busy=listed(ref("BusyRun")),
        queued=_WHOLE,
    ),
    "ClassActivity": {
        **members(now=_WHEN, members=listed(ref("Activity")), next=_NEXT),
        "description": "Members of a class, how far each is, and how their sandboxes stand.",
    },
    "Extension": members(until=_WHEN, quotas=ref("QuotaValues")),
}

AUDIT: Mapping[str, Any] = {
    "AuditRecord": {
        **members(
            day={"type": "string", "format": "date"},
            seq=_WHOLE,
            id=TEXT,
            at=_WHEN,
            subject=TEXT,
            name=TEXT,
            kind=TEXT,
            action=TEXT,
            target=TEXT,
            outcome=TEXT,
            address=TEXT,
            token=nullable(TEXT),
            details=_ANYTHING,
            resources=_ANYTHING,
            previous=TEXT,
            hash=TEXT,
        ),
        "description": "An act, chained to the one before by its hash.",
    },
    "AuditPage": members(records=listed(ref("AuditRecord")), next=_NEXT),
    "AuditVerdict": {
        **members(
            ok=_TRUTH,
            anchored=_TRUTH,
            days=_WHOLE,
            records=_WHOLE,
            expired=_WHOLE,
            findings=listed(members(day=TEXT, seq=nullable(_WHOLE), problem=TEXT, message=TEXT)),
            last=TEXT,
        ),
        "description": "What was looked at, what was found, and the chain's end.",
    },
}

ALL: Mapping[str, Any] = {**IDENTITY, **PROFILES, **AUDIT}
