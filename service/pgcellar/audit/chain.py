"""The chain of hashes: what is hashed, and how. Pure.

A record's hash is SHA-256 of the hash before it and the record in canonical JSON. A day is closed
when the first record of a later one is written: the closing's hash covers the day's first and last
hash and how many records there are, and is what the next day begins with. So a day's records may be
given up, and the chain still holds.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import math
import uuid
from collections.abc import Mapping
from typing import Any

from pgcellar.api import auditing, redaction

#: What the first day begins with.
GENESIS = hashlib.sha256(b"pgcellar audit").digest()

#: Characters of a name, a target, an address. Longer ones are cut.
_MAX_FIELD = 1024
#: Bytes of details; of larger ones only a digest is kept.
_MAX_DETAILS = 1024 * 1024
_MAX_INT = 1 << 63


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An act as it is written down: without secrets, when it happened, and an id of its own."""

    id: str
    at: datetime.datetime
    subject: str
    name: str
    kind: str
    action: str
    target: str
    outcome: str
    address: str
    token: str | None
    details: Mapping[str, Any]
    resources: Mapping[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """An entry in its place in the chain."""

    day: datetime.date
    seq: int
    entry: Entry
    previous: bytes
    hash: bytes


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Closing:
    """How a day ended."""

    day: datetime.date
    records: int
    opening: bytes
    last: bytes
    hash: bytes


def entry(act: auditing.Act, at: datetime.datetime) -> Entry:
    """The entry for an act. Whatever the act holds, this can be written."""
    details = _plain(redaction.details(act.details))
    size = len(json.dumps(details))
    if size > _MAX_DETAILS:
        details = {"bytes": size, "digest": hashlib.sha256(_json(details)).hexdigest()}
    return Entry(
        id=str(uuid.uuid4()),
        at=at.astimezone(datetime.UTC),
        subject=_field(act.subject),
        name=_field(act.name),
        kind=_field(act.kind),
        action=_field(act.action),
        target=redaction.text(_field(act.target)),
        outcome=_field(act.outcome),
        address=_field(act.address),
        token=None if act.token is None else redaction.text(_field(act.token)),
        details=details,
        resources=_plain(dict(act.resources)),
    )


def canonical(found: Entry) -> bytes:
    """The entry as bytes, the same whenever and wherever it is read."""
    body = {field: getattr(found, field) for field in Entry.__slots__}
    body["at"] = found.at.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return _json(body)


def parse(line: bytes) -> Entry:
    """The entry in what `canonical` gave. Raises ValueError."""
    try:
        body = json.loads(line)
        body["at"] = datetime.datetime.fromisoformat(body["at"])
        return Entry(**body)
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"not an entry: {exc}") from exc


def link(previous: bytes, found: Entry) -> bytes:
    """The hash of an entry that comes after the hash `previous`."""
    return hashlib.sha256(previous + canonical(found)).digest()


def close(day: datetime.date, records: int, opening: bytes, last: bytes) -> Closing:
    """The closing of a day."""
    body = _json({"day": day.isoformat(), "opening": opening.hex(), "records": records})
    digest = hashlib.sha256(last + body).digest()
    return Closing(day=day, records=records, opening=opening, last=last, hash=digest)


def _json(body: Any) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _field(value: str) -> str:
    return _text(value)[:_MAX_FIELD]


def _text(value: str) -> str:
    """The text as PostgreSQL can hold it."""
    return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _plain(value: Any) -> Any:
    """The value as JSON that reads back as the same."""
    if isinstance(value, Mapping):
        return {_text(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and -_MAX_INT < value < _MAX_INT:
        return value
    return _text(str(value))
