"""The service's log: each line says which run and which trace it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from pgcellar.api import loglines
from pgcellar.web import calls


def configure(form: loglines.Format, level: str, stream: TextIO | None = None) -> None:
    """Have this process log in this form, and no other."""
    loglines.configure(form, level, _about, stream)


def _about() -> Mapping[str, str]:
    run, call = calls.run.get(), calls.current.get()
    trace = None if call is None else loglines.trace(call.traceparent)
    found = {"run": run, "trace": trace}
    return {name: value for name, value in found.items() if value is not None}
