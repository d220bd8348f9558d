"""The chain's newest place, noted outside the database.

Cutting off the end of the chain, or making all of it anew, shows nowhere inside it.
"""

from __future__ import annotations

import datetime
import json
import logging
import pathlib

from pgcellar.audit import store

logger = logging.getLogger(__name__)


def note(path: pathlib.Path, place: store.Place) -> None:
    """Note a place. A note that can't be made is worth a warning, no more."""
    body = {"day": place.day.isoformat(), "seq": place.seq, "hash": place.hash.hex()}
    temporary = path.with_suffix(".new")
    try:
        temporary.write_text(json.dumps(body))
        temporary.replace(path)
    except OSError as exc:
        logger.warning("the audit log's end can't be noted: %s", exc)


def read(path: pathlib.Path) -> store.Place | None:
    """What was noted last, if anything was."""
    try:
        body = json.loads(path.read_text())
        return store.Place(
            day=datetime.date.fromisoformat(body["day"]),
            seq=int(body["seq"]),
            hash=bytes.fromhex(body["hash"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        logger.warning("the note of the audit log's end can't be read: %s", exc)
        return None
