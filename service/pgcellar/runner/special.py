"""psql's describing commands (`\\d` and its family), by pgspecial.

pgspecial wants a synchronous cursor: it gets one over the session's own connection, so that it sees
what the session sees, and works in a thread while the session waits. Only commands that look at the
catalog are let through; what pgspecial has besides would touch the host.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import pgspecial
import psycopg
from psycopg import pq

from pgcellar.api import errors, records
from pgcellar.notebook import databases
from pgcellar.runner import executor

#: As psql names them; each may have a `+`.
DESCRIBING = frozenset(
    {
        "\\d", "\\l", "\\list", "\\du", "\\dp", "\\z", "\\ddp", "\\db", "\\dn", "\\dx", "\\dt",
        "\\dv", "\\dm", "\\ds", "\\di", "\\df", "\\dT", "\\dD", "\\dF", "\\sf", "\\dE", "\\h",
    }
)  # fmt: skip
#: Handled before they come here; listed by `\\?`.
_OTHERS = (
    ("\\copy TABLE from|to 'FILE'", "Load or save a file beside the notebook."),
    ("\\base FILE.ipynb", "Start from another notebook; alone in the first cell."),
    ("\\i FILE", "Run the commands of a file beside the notebook."),
    ("\\set NAME VALUE", "Set a variable: :NAME, :'NAME', :\"NAME\"."),
    ("\\unset NAME", "Forget a variable."),
    ("\\gset [PREFIX]", "Run the query before it; its columns become variables."),
    ("\\g, \\gx", "Run the query before it; \\gx shows it expanded."),
    ("\\if … \\elif … \\else … \\endif", "Run what stands between on a condition."),
    ("\\echo TEXT", "Show a text."),
    ("\\x [on|off]", "Show each row as a table of its own."),
    ("\\timing [on|off]", "Show how long statements take."),
    ("\\drds", "List the settings that new sessions begin with."),
    ("\\c", "Begin a new session."),
    ("\\conninfo", "Show the name of the database, and who is connected."),
)
_SETTINGS = f"""
select r.rolname, case when d.oid is not null then '{databases.NAME}' end,
       pg_catalog.array_to_string(s.setconfig, E'\\n')
from pg_catalog.pg_db_role_setting s
left join pg_catalog.pg_database d on d.oid = s.setdatabase
left join pg_catalog.pg_roles r on r.oid = s.setrole
where s.setdatabase = 0 or d.datname = pg_catalog.current_database()
order by 1, 2
"""
_MAX_PATTERN = 1_000
_Result = tuple[str | None, list[tuple[Any, ...]] | None, list[str], str | None]


async def run(
    session: executor.Session, text: str, output: executor.Output
) -> records.Completed | None:
    """Run a describing command and show what it gives, each of its tables with a `Completed`.

    Raises StatementFailed, or SandboxLost. Cancelling the task cancels the query at the server.
    """
    begin = time.perf_counter()
    name = text.split(None, 1)[0]
    if name == "\\?":
        shown: list[_Result] = [(None, _commands(), ["Command", "Description"], None)]
    elif text == "\\drds":
        shown = [await _settings(session)]
    elif name.rstrip("+") not in DESCRIBING or len(text) > _MAX_PATTERN:
        raise _unknown(name)
    else:
        shown = await _describe(session, text)
    ms = (time.perf_counter() - begin) * 1000
    for found in shown:
        await _show(output, found, name, ms)
    return None


async def _settings(session: executor.Session) -> _Result:
    """psql's `\\drds`, but for the settings of other databases of the sandbox."""
    rows = await session.query(_SETTINGS)
    return "List of settings", [tuple(row) for row in rows], ["Role", "Database", "Settings"], None


async def _describe(session: executor.Session, text: str) -> list[_Result]:
    """What pgspecial finds, read in a READ ONLY transaction unless the user's own is open."""
    wrapped = not session.in_transaction
    if wrapped:
        await session.query("BEGIN READ ONLY")
    work = asyncio.ensure_future(asyncio.to_thread(_ask, session.connection, text))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await session.cancel()
        await asyncio.gather(work, return_exceptions=True)
        raise
    except psycopg.OperationalError as exc:
        if not session.usable:
            raise errors.SandboxLost(str(exc).strip()) from exc
        raise _failure(exc) from exc
    except psycopg.Error as exc:
        raise _failure(exc) from exc
    except pgspecial.CommandNotFound as exc:
        raise _unknown(text.split(None, 1)[0]) from exc
    except (ValueError, TypeError, LookupError, AttributeError) as exc:
        # pgspecial stumbles over patterns that are none.
        hint = "\\d [PATTERN], for example \\dt public.*"
        raise _refusal(f"{text[:80]} can't be read: {exc}", hint) from exc
    finally:
        if wrapped and session.usable and session.in_transaction:
            await session.query("ROLLBACK")


def _ask(connection: pq.abc.PGconn, text: str) -> list[_Result]:
    handlers = connection.notice_handler, connection.notify_handler
    wrapper = psycopg.Connection(connection)
    # It owns nothing, so there is nothing to warn of when it goes.
    wrapper._pool = None
    try:
        cursor = psycopg.ClientCursor(wrapper)
        found = pgspecial.PGSpecial().execute(cursor, text)
        return [
            (
                title,
                None if rows is None else [tuple(row) for row in rows],
                [str(header) for header in headers or ()],
                status,
            )
            for title, rows, headers, status in found
        ]
    finally:
        connection.notice_handler, connection.notify_handler = handlers


async def _show(output: executor.Output, found: _Result, command: str, ms: float) -> None:
    title, rows, headers, status = found
    statement = output.statement
    if title:
        await output.emit(records.Text(statement=statement, text=f"{title}\n"))
    if rows is not None:
        width = max((len(row) for row in rows), default=len(headers))
        names = [*headers, *[""] * (width - len(headers))]
        columns = tuple(records.Column(name=name, type="text") for name in names)
        await output.emit(records.Columns(statement=statement, columns=columns))
        kept = rows[: output.max_rows]
        await output.emit(
            records.Rows(statement=statement, rows=tuple(_texts(row, width) for row in kept))
        )
        await output.emit(
            records.Completed(
                statement=statement,
                command=command,
                row_count=len(rows),
                truncated=len(kept) < len(rows),
                ms=round(ms, 3),
            )
        )
    if status and not (rows is not None and status.startswith("SELECT ")):
        await output.emit(records.Text(statement=statement, text=f"{status.rstrip()}\n"))


def _texts(row: Iterable[Any], width: int) -> tuple[str | None, ...]:
    texts = [None if value is None else str(value) for value in row]
    return tuple(texts + [None] * (width - len(texts)))


def _commands() -> list[tuple[Any, ...]]:
    known = pgspecial.PGSpecial().commands
    ours = {
        (command.syntax, command.description)
        for name, command in known.items()
        if name in DESCRIBING and not command.hidden
    }
    return [*sorted(ours), *_OTHERS]


def _unknown(name: str) -> executor.StatementFailed:
    return _refusal(
        f"The meta-command {name} is not known to notebooks.", "\\? lists those that are."
    )


def _refusal(message: str, hint: str) -> executor.StatementFailed:
    return executor.StatementFailed(
        records.SqlError(sqlstate=errors.Unsupported.code, message=message, hint=hint)
    )


def _failure(exc: psycopg.Error) -> executor.StatementFailed:
    return executor.StatementFailed(
        records.SqlError(
            sqlstate=exc.sqlstate or "XX000",
            message=exc.diag.message_primary or str(exc).strip(),
            detail=exc.diag.message_detail,
            hint=exc.diag.message_hint,
        )
    )
