"""The service's log: as text, or one JSON object a line; with run ids, without secrets."""

from __future__ import annotations

import datetime
import json
import logging
import sys
from typing import Literal, TextIO

from pgcellar.api import redaction
from pgcellar.web import calls

Format = Literal["text", "json"]

_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class Text(logging.Formatter):
    """Lines for people. What a message quotes can't begin a line that looks like another."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """One line, with the run's id at its end."""
        run = calls.run.get()
        line = super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")
        return line if run is None else f"{line} run={run}"

    def format(self, record: logging.LogRecord) -> str:
        """The record without secrets."""
        return redaction.text(super().format(record))


class Json(logging.Formatter):
    """Lines for programs: `time`, `level`, `logger`, `message`, and where there are any `run`,
    `trace` and `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        body = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redaction.text(record.getMessage()),
        }
        run, call = calls.run.get(), calls.current.get()
        if run is not None:
            body["run"] = run
        if call is not None and call.traceparent is not None:
            body["trace"] = call.traceparent[3:35]
        if record.exc_info:
            body["error"] = redaction.text(self.formatException(record.exc_info))
        return json.dumps(body)


def configure(form: Format, level: str, stream: TextIO | None = None) -> None:
    """Have this process log in this form, and no other."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Json() if form == "json" else Text())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
