"""Connections to a sandbox, and what PostgreSQL says over them, as records."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import pq

from pgcellar.api import errors, records

#: sqlserver_rejected_establishment_of_sqlconnection; libpq does not tell the server's own code.
_REJECTED = "08004"
_REFUSED = re.compile(r"FATAL:  (.*)")
#: The settings by which a session may have an end, by the error that says so: the first two come
#: while it is idle.
_IDLE = {"57P05": "idle_session_timeout", "25P03": "idle_in_transaction_session_timeout"}
_TIMEOUTS = {**_IDLE, "25P04": "transaction_timeout"}


class StatementFailed(Exception):
    """PostgreSQL refused a statement; `error.position` counts in the text that was sent."""

    def __init__(self, error: records.SqlError) -> None:
        super().__init__(error.message)
        self.error = error


class NotPrepared(StatementFailed):
    """A query of ours is no longer prepared in its session; asked again, it will be."""


async def connect(parameters: Mapping[str, Any]) -> psycopg.AsyncConnection[Any]:
    """A connection in autocommit. Raises SandboxLost if the server does not answer."""
    try:
        return await psycopg.AsyncConnection.connect(
            **parameters, autocommit=True, client_encoding="utf8"
        )
    except psycopg.OperationalError as exc:
        raise errors.SandboxLost("The sandbox's PostgreSQL does not answer.") from exc


async def admitted(parameters: Mapping[str, Any]) -> psycopg.AsyncConnection[Any]:
    """A connection as a person asks for one. Raises StatementFailed where the server refuses."""
    try:
        return await connect(parameters)
    except errors.SandboxLost as exc:
        refusal = _REFUSED.search(str(exc.__cause__))
        if refusal is None:
            raise
        raise StatementFailed(
            records.SqlError(sqlstate=_REJECTED, severity="FATAL", message=refusal[1])
        ) from exc


def ended(failure: records.SqlError) -> errors.SandboxLost:
    """Why the server ended a session, in its own words."""
    setting = _TIMEOUTS.get(failure.sqlstate)
    hint = None
    if setting is not None:
        hint = f"The notebook sets {setting}: give it more time, or RESET {setting}."
    return errors.SandboxLost(failure.message, hint=hint, unread=failure.sqlstate in _IDLE)


def heard(notify: pq.misc.PGnotify) -> str:
    """A notification in psql's words."""
    name, payload = (part.decode("utf-8", "replace") for part in (notify.relname, notify.extra))
    given = f' with payload "{payload}"' if payload else ""
    return (
        f'Asynchronous notification "{name}"{given} received from server process with PID'
        f" {notify.be_pid}.\n"
    )


def error(result: pq.abc.PGresult) -> records.SqlError:
    """What went wrong, as PostgreSQL has it."""

    def field(which: pq.DiagnosticField) -> str | None:
        value = result.error_field(which)
        return None if value is None else value.decode("utf-8", "replace")

    position = field(pq.DiagnosticField.STATEMENT_POSITION)
    inner = field(pq.DiagnosticField.INTERNAL_POSITION)
    return records.SqlError(
        sqlstate=field(pq.DiagnosticField.SQLSTATE) or "XX000",
        message=field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message.decode(),
        severity=field(pq.DiagnosticField.SEVERITY) or "ERROR",
        position=int(position) if position else None,
        detail=field(pq.DiagnosticField.MESSAGE_DETAIL),
        hint=field(pq.DiagnosticField.MESSAGE_HINT),
        query=field(pq.DiagnosticField.INTERNAL_QUERY),
        query_position=int(inner) if inner else None,
        context=field(pq.DiagnosticField.CONTEXT),
    )


class Readiness:
    """Waits for a socket.

    It is looked at while it is waited for and not longer: whoever takes the rows may take their
    time, and meanwhile the loop would be woken at every turn by what waits there to be read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: int) -> None:
        self._loop = loop
        self._socket = socket
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Wait until there is something to read, or `wake` was called."""
        self._loop.add_reader(self._socket, self._readable)
        await self._event.wait()
        self._event.clear()

    def wake(self) -> None:
        """End the wait."""
        self._event.set()

    def _readable(self) -> None:
        self._loop.remove_reader(self._socket)
        self._event.set()
