"""Audit records for programs: as JSON objects, as NDJSON, and as CSV. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from pgcellar.audit import chain

_FIELDS = (
    "day", "seq", "id", "at", "subject", "name", "kind", "action", "target", "outcome",
    "address", "token", "details", "resources", "previous", "hash",
)  # fmt: skip
#: What makes a spreadsheet take a cell for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_json(record: chain.Record) -> dict[str, Any]:
    """A record as a JSON object; `cursor` leads on from it."""
    body = json.loads(chain.canonical(record.entry))
    return {
        "day": record.day.isoformat(),
        "seq": record.seq,
        **body,
        "previous": record.previous.hex(),
        "hash": record.hash.hex(),
    }


def ndjson(records: Iterable[Mapping[str, Any]]) -> bytes:
    """Records as `to_json` gives them, one JSON object a line."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def header() -> bytes:
    """The first line of CSV."""
    return (",".join(_FIELDS) + "\r\n").encode()


def as_csv(records: Iterable[Mapping[str, Any]]) -> bytes:
    """Records as `to_json` gives them, as lines of CSV.

    A text that a spreadsheet would take for a formula has an apostrophe before it: subjects and
    targets are of other people's choosing.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    for record in records:
        body = {
            **record,
            "details": json.dumps(record["details"]),
            "resources": json.dumps(record["resources"]),
        }
        writer.writerow([_harmless(body[field]) for field in _FIELDS])
    return out.getvalue().encode()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
