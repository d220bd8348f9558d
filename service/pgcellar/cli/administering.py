"""`pgcellar admin`: accounts, classes, quotas, tokens and keys of the service that runs here."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pgcellar.api import client, errors
from pgcellar.cli import admin


async def administer(arguments: argparse.Namespace) -> int:
    """Do what the arguments say, as the operating system's user. Raises PgcellarError."""
    with contextlib.closing(client.Client()) as service:
        found = await _AREAS[arguments.area](service, arguments)
    if arguments.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0


async def _users(service: client.Client, arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.action == "list":
        return await service.administer(
            "GET",
            "/identity/accounts",
            search=arguments.search,
            kind=arguments.kind,
            disabled="true" if arguments.disabled else None,
            role="administrator" if arguments.administrators else None,
            limit=str(arguments.limit),
            after=arguments.after,
        )
    if arguments.action == "add":
        body = {"email": arguments.email, "password": _password()}
        if arguments.name is not None:
            body["name"] = arguments.name
        return await service.administer("POST", "/identity/accounts", body)
    at = f"/identity/accounts/{arguments.subject}"
    if arguments.action == "show":
        return await service.administer("GET", at)
    if arguments.action == "role":
        wanted = {"administrator": arguments.role == "administrator"}
    else:
        wanted = {"disabled": arguments.action == "disable"}
    return await service.administer("PATCH", at, wanted)


def _password() -> str:
    """A new password: typed twice, or the first line of what comes in. Raises BadRequest."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first, second = (getpass.getpass(text) for text in ("Password: ", "Again: "))
    if first != second:
        raise errors.BadRequest("These are two passwords.", hint="Type the same one twice.")
    return first


async def _classes(service: client.Client, arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.action == "list":
        return await service.administer("GET", "/profiles/classes")
    if arguments.action == "create":
        body = {"name": arguments.name}
        if arguments.teacher is not None:
            body["teacher"] = arguments.teacher
        return await service.administer("POST", "/profiles/classes", body)
    at = f"/profiles/classes/{arguments.which}"
    if arguments.action == "remove":
        return await service.administer("DELETE", at)
    if arguments.action == "code":
        return await service.administer("POST", f"{at}/code", {})
    if arguments.action == "quotas":
        return await _limits(service, at, arguments.values)
    if arguments.action == "members":
        await _change_member(service, at, arguments)
    return await service.administer("GET", at)


async def _change_member(service: client.Client, at: str, arguments: argparse.Namespace) -> None:
    if arguments.remove is not None:
        await service.administer("DELETE", f"{at}/members/{arguments.remove}")
    for role in ("teacher", "student"):
        subject = getattr(arguments, role)
        if subject is not None:
            await service.administer("PATCH", f"{at}/members/{subject}", {"role": role})


async def _quotas(service: client.Client, arguments: argparse.Namespace) -> dict[str, Any]:
    kind, name = arguments.target
    at = f"/profiles/{'classes' if kind == 'class' else 'subjects'}/{name}"
    return await _limits(service, at, arguments.values if arguments.action == "set" else ())


async def _limits(
    service: client.Client, at: str, values: Sequence[tuple[str, float | None]]
) -> dict[str, Any]:
    """Set some limits, and show what holds then."""
    if values:
        await service.administer("PATCH", f"{at}/quotas", admin.together(values))
    return await service.administer("GET", f"{at}/quotas")


async def _tokens(service: client.Client, arguments: argparse.Namespace) -> dict[str, Any]:
    account = f"/identity/accounts/{arguments.subject}"
    if arguments.action == "sessions":
        return await service.administer("GET", f"{account}/sessions")
    at = f"{account}/tokens"
    if arguments.action == "revoke":
        await service.administer("DELETE", f"{at}/{arguments.token}" if arguments.token else at)
    return await service.administer("GET", at)


async def _keys(service: client.Client, arguments: argparse.Namespace) -> dict[str, Any]:
    return await service.administer("POST", "/identity/keys/rotate", {})


_AREAS = {
    "users": _users,
    "classes": _classes,
    "quotas": _quotas,
    "tokens": _tokens,
    "keys": _keys,
}


# --- for a person ----------------------------------------------------------------------------


def show(found: Mapping[str, Any]) -> None:
    """Plain members as lines; lists of objects as tables below them."""
    plain = {
        name: value
        for name, value in found.items()
        if value is not None and not _is_table(name, value)
    }
    width = max(map(len, plain), default=0)
    for name, value in plain.items():
        print(f"{name.ljust(width)}  {_text(value)}")
    for name, value in found.items():
        if not _is_table(name, value):
            continue
        if name == "quotas":
            value = [_limit(limit, each) for limit, each in value.items()]
        if plain:
            print()
        print(f"{name}:" if value else f"{name}: none")
        _table(value)


def _is_table(name: str, value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, dict) for each in value) and name != "roles"
    return name == "quotas"


def _limit(name: str, value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        limit = value.get("limit")
        shown = "none" if limit is None else limit
        return {"limit": name, "value": shown, "left": value.get("left"), "used": value.get("used")}
    return {"limit": name, "value": value}


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    names = list(rows[0])
    lines = [names, *([_text(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(names))]
    for line in lines:
        print(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        )


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}={_text(each)}" for name, each in value.items()) or "none"
    # What people call themselves is nothing for a terminal to obey.
    return "".join(character if character.isprintable() else "?" for character in str(value))
