"""The arguments of `pgcellar admin`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence

from pgcellar.api import errors

Run = Callable[[argparse.Namespace], int]

_UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_VALUE = re.compile(r"(\d+(?:\.\d+)?) ?(KiB|MiB|GiB|TiB|)")
_SUBJECT = re.compile(r"[A-Za-z0-9_.:@-]{1,80}")
_CLASS = re.compile(r"[0-9a-f]{16}")
_OF_CLASS = "class:"


def add(
    admin: argparse.ArgumentParser, run: Run, audit: Callable[[argparse.ArgumentParser], None]
) -> None:
    """Add what `pgcellar admin` takes; `audit` adds what `pgcellar audit` does."""
    areas = admin.add_subparsers(required=True, metavar="WHAT", dest="area")
    _users(_actions(areas.add_parser("users", help="accounts")), run)
    _classes(_actions(areas.add_parser("classes", help="classes")), run)
    _quotas(_actions(areas.add_parser("quotas", help="limits of people and classes")), run)
    _tokens(_actions(areas.add_parser("tokens", help="others' access tokens and sessions")), run)
    audit(areas.add_parser("audit", help="the audit log, as `pgcellar audit`"))
    keys = _actions(areas.add_parser("keys", help="the keys that sign access tokens"))
    _action(keys, "rotate", "sign with a new key from now on", run)


def _actions(area: argparse.ArgumentParser) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    return area.add_subparsers(required=True, metavar="ACTION", dest="action")


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, run: Run
) -> argparse.ArgumentParser:
    made = actions.add_parser(name, help=text)
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.set_defaults(run=run)
    return made


def _users(actions: argparse._SubParsersAction[argparse.ArgumentParser], run: Run) -> None:
    listing = _action(actions, "list", "list accounts, newest first", run)
    listing.add_argument("--search", metavar="TEXT", help="part of a subject, a name or a login")
    listing.add_argument("--kind", choices=("anonymous", "registered", "service", "os"))
    listing.add_argument("--disabled", action="store_true", help="only those that are disabled")
    listing.add_argument("--administrators", action="store_true", help="only those who administer")
    listing.add_argument("--limit", type=_limit, default=100, metavar="N", help="accounts to show")
    listing.add_argument("--after", metavar="SUBJECT", help="go on after this account")
    adding = _action(actions, "add", "make an account; its password is asked for, or read", run)
    adding.add_argument("email", metavar="ADDRESS", help="an e-mail address, to log in with")
    adding.add_argument("--name", help="what to call them")
    for name, text in (
        ("show", "show an account"),
        ("disable", "keep somebody out at once: their sessions and tokens end"),
        ("enable", "let somebody in again"),
    ):
        _action(actions, name, text, run).add_argument("subject", type=subject)
    role = _action(actions, "role", "make somebody an administrator, or not", run)
    role.add_argument("subject", type=subject)
    role.add_argument("role", choices=("administrator", "none"))


def _classes(actions: argparse._SubParsersAction[argparse.ArgumentParser], run: Run) -> None:
    _action(actions, "list", "list classes", run)
    create = _action(actions, "create", "make a class; shows its join code this once", run)
    create.add_argument("name")
    create.add_argument("--teacher", type=subject, metavar="SUBJECT", help="who teaches it")
    for name, text in (
        ("show", "show a class"),
        ("remove", "remove a class; its members keep what is theirs"),
        ("code", "make another join code; the one before is good no more"),
    ):
        _action(actions, name, text, run).add_argument("which", type=class_id, metavar="CLASS")
    members = _action(actions, "members", "list the members, or change one", run)
    members.add_argument("which", type=class_id, metavar="CLASS")
    change = members.add_mutually_exclusive_group()
    change.add_argument("--teacher", type=subject, metavar="SUBJECT", help="make one a teacher")
    change.add_argument("--student", type=subject, metavar="SUBJECT", help="make one a student")
    change.add_argument("--remove", type=subject, metavar="SUBJECT", help="take one out")
    limits = _action(actions, "quotas", "show the limits of its members, or set some", run)
    limits.add_argument("which", type=class_id, metavar="CLASS")
    limits.add_argument("values", nargs="*", type=setting, metavar="NAME=VALUE")


def _quotas(actions: argparse._SubParsersAction[argparse.ArgumentParser], run: Run) -> None:
    show = _action(actions, "show", "show limits, and what is left", run)
    show.add_argument("target", type=target, metavar="SUBJECT|class:ID")
    change = _action(actions, "set", "set limits", run)
    change.add_argument("target", type=target, metavar="SUBJECT|class:ID")
    change.add_argument("values", nargs="+", type=setting, metavar="NAME=VALUE")


def _tokens(actions: argparse._SubParsersAction[argparse.ArgumentParser], run: Run) -> None:
    _action(actions, "list", "list somebody's tokens", run).add_argument("subject", type=subject)
    opened = _action(actions, "sessions", "list somebody's open sessions", run)
    opened.add_argument("subject", type=subject)
    revoke = _action(actions, "revoke", "revoke somebody's tokens and end their sessions", run)
    revoke.add_argument("subject", type=subject)
    revoke.add_argument("--token", type=_token, metavar="ID", help="only this one, or session")


# --- what arguments may be -------------------------------------------------------------------


def subject(text: str) -> str:
    """A subject, as it may stand in a path."""
    if not _SUBJECT.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no subject; `admin users list` shows them")
    return text


def class_id(text: str) -> str:
    """The id of a class."""
    if not _CLASS.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no class's id; `admin classes list` shows them"
        )
    return text


def target(text: str) -> tuple[str, str]:
    """`class` or `subject`, and whose limits they are."""
    if text.startswith(_OF_CLASS):
        return "class", class_id(text.removeprefix(_OF_CLASS))
    return "subject", subject(text)


def setting(text: str) -> tuple[str, float | None]:
    """A limit and its value; None for the default."""
    name, _, value = text.partition("=")
    if name and value == "default":
        return name, None
    match = _VALUE.fullmatch(value)
    if not name or match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=VALUE, with a number, `2GiB`, say, or `default` as its value"
        )
    return name, float(match[1]) * _UNITS[match[2]]


def together(values: Sequence[tuple[str, float | None]]) -> dict[str, float | None]:
    """Settings as one object. Raises BadRequest if one comes twice."""
    found = dict(values)
    if len(found) < len(values):
        raise errors.BadRequest("A limit is set twice.")
    return found


def _limit(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 500:
        raise argparse.ArgumentTypeError("it is from 1 to 500")
    return number


def _token(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no token's id; `tokens list` shows them")
    return text
