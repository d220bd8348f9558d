"""The lines of a process's log: as text, or one JSON object a line; about what, without secrets."""

from __future__ import annotations

import datetime
import json
import logging
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal, TextIO

from pgcellar.api import redaction

Format = Literal["text", "json"]
#: What the task that logs works for: `run` and `trace`, where there are any.
About = Callable[[], Mapping[str, str]]

#: The attribute of a record, given as `extra`, that has more of the kind.
ABOUT = "about"
_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
#: W3C's header `traceparent`: only the trace's id is shown.
_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.{0,200}")


class Text(logging.Formatter):
    """Lines for people. What a message quotes can't begin a line that looks like another."""

    def __init__(self, about: About) -> None:
        super().__init__(_TEXT)
        self._about = about

    def formatMessage(self, record: logging.LogRecord) -> str:
        """One line, with the run's id at its end."""
        run = _about(self._about, record).get("run")
        line = super().formatMessage(record)
        line = _harmless(line)
        return line if run is None else f"{line} run={run}"

    def formatException(self, info: Any) -> str:
        """A traceback, whose lines begin with spaces: its message may be anybody's."""
        lines = super().formatException(info).splitlines()
        return "".join(f"    {_harmless(line)}\n" for line in lines)

    def format(self, record: logging.LogRecord) -> str:
        """The record without secrets."""
        return redaction.text(super().format(record)).rstrip("\n")


class Json(logging.Formatter):
    """Lines for programs: `time`, `level`, `logger`, `message`, what the line is about, and
    `error`, a traceback."""

    def __init__(self, about: About) -> None:
        super().__init__()
        self._about = about

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        body = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redaction.text(record.getMessage()),
            **redaction.details(_about(self._about, record)),
        }
        if record.exc_info:
            body["error"] = redaction.text(self.formatException(record.exc_info))
        return json.dumps(body)


def _harmless(line: str) -> str:
    """A line without what ends it, turns it around, or is an order to a terminal."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def configure(form: Format, level: str, about: About, stream: TextIO | None = None) -> None:
    """Have this process log in this form, and no other."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Json(about) if form == "json" else Text(about))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)


def trace(traceparent: str | None) -> str | None:
    """The id of the trace that a request belongs to; None where what it says is no such header."""
    found = _PARENT.fullmatch(traceparent or "")
    return None if found is None else found[1]


def _about(about: About, record: logging.LogRecord) -> Mapping[str, Any]:
    return {**about(), **getattr(record, ABOUT, {})}
