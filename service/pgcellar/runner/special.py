"""psql's describing commands (`\\d` and its family), `\\h` and `\\?`.

They are queries of ours: see `describe`. Only the texts of `\\h` are pgspecial's, of which nothing
else is used.
"""

from __future__ import annotations

import time

from pgspecial.help import commands as syntax

from pgcellar.api import records
from pgcellar.runner import executor, outputs
from pgcellar.runner.describe import catalog, commands

#: Characters of a pattern; a name has 63 bytes.
MAX_PATTERN = 1_000
#: Handled before they come here; listed by `\\?`.
_OTHERS = (
    ("\\copy TABLE from|to 'FILE'", "Load or save a file beside the notebook."),
    ("\\base FILE.ipynb", "Start from another notebook; alone in the first cell."),
    ("\\i FILE", "Run the commands of a file beside the notebook."),
    ("\\set NAME VALUE", "Set a variable: :NAME, :'NAME', :\"NAME\"."),
    ("\\unset NAME", "Forget a variable."),
    ("\\gset [PREFIX]", "Run the query before it; its columns become variables."),
    ("\\g, \\gx", "Run the query before it; \\gx shows it expanded."),
    ("\\explain [OPTION …]", "Show the plan of the query before it; analyze runs it."),
    ("\\chart KIND x=COLUMN y=COLUMN", "Draw the rows of the query before it."),
    ("\\if … \\elif … \\else … \\endif", "Run what stands between on a condition."),
    ("\\echo TEXT", "Show a text."),
    ("\\x [on|off]", "Show each row as a table of its own."),
    ("\\timing [on|off]", "Show how long statements take."),
    ("\\c", "Begin a new session."),
    ("\\conninfo", "Show the name of the database, and who is connected."),
    ("\\h [STATEMENT]", "Show the syntax of SQL."),
)
_HELP_WIDTH = 33


async def run(
    session: executor.Session,
    command: tuple[str, ...],
    output: outputs.Output,
    *,
    expanded: bool = False,
) -> None:
    """Run a describing command, its name and arguments, and show what it gives.

    Each table comes with a `Completed`, its title in a `Text` before it and its footers in one
    behind it. With `expanded`, each row of a list is shown as a table of its own. What goes beyond
    the bounds of `output` is left out, and said to be. Raises StatementFailed, or SandboxLost.
    Cancelling the task cancels the query at the server.
    """
    begin = time.perf_counter()
    name, *arguments = command
    if name == "?":
        shown: catalog.Shown = [_commands()]
    elif name in ("h", "help"):
        shown = [_syntax(" ".join(arguments))]
    else:
        shown = await _describe(session, name, arguments, output)
        # Of these letters only those behind the command's own are modifiers.
        expanded = expanded or "x" in name[2 if name.startswith("d") else 1 :]
    ms = (time.perf_counter() - begin) * 1000
    room = output.max_bytes
    for found in shown:
        room -= _size(found)
        if room < 0:
            await _say(output, f"What follows is left out: {output.max_bytes} bytes are shown.")
            break
        if isinstance(found, str):
            await _say(output, found)
        else:
            await _show(output, found, f"\\{name}", ms, expanded=expanded and found.expandable)


async def _describe(
    session: executor.Session, name: str, arguments: list[str], output: outputs.Output
) -> catalog.Shown:
    found = commands.find(name)
    if found is None:
        raise catalog.failed(
            f"The meta-command \\{name} is not known to notebooks.", "\\? lists those that are."
        )
    if any(len(argument) > MAX_PATTERN for argument in arguments):
        raise catalog.failed(f"A pattern of \\{name} is too long.", "Names have up to 63 bytes.")
    most = commands.arguments(name)
    request = catalog.Request(command=name, arguments=tuple(arguments[:most]))
    async with catalog.reading(session, output.emit) as reader:
        shown = await found(reader, request)
    return [*shown, *(f'\\{name}: extra argument "{more}" ignored' for more in arguments[most:])]


def _size(found: catalog.Table | str) -> int:
    if isinstance(found, str):
        return len(found)
    values = sum(len(value or "") for row in found.rows for value in row)
    return values + sum(map(len, found.footers))


async def _say(output: outputs.Output, text: str) -> None:
    await output.emit(records.Text(statement=output.statement, text=f"{text}\n"))


async def _show(
    output: outputs.Output, table: catalog.Table, command: str, ms: float, *, expanded: bool
) -> None:
    statement = output.statement
    if table.title:
        await _say(output, table.title)
    types = dict(table.types)
    columns = tuple(records.Column(name=n, type=types.get(n, "text")) for n in table.columns)
    await output.emit(records.Columns(statement=statement, columns=columns))
    kept = table.rows[: output.max_rows]
    # psql shows nothing for what is null here.
    rows = tuple(tuple(value or "" for value in row) for row in kept)
    await output.emit(records.Rows(statement=statement, rows=rows))
    truncated = len(kept) < len(table.rows)
    counted = truncated or (table.counted and not table.footers)
    await output.emit(
        records.Completed(
            statement=statement,
            command=command,
            row_count=len(table.rows) if counted else None,
            truncated=truncated,
            ms=round(ms, 3),
            expanded=expanded,
        )
    )
    if table.footers:
        await _say(output, "\n".join(table.footers))


def _commands() -> catalog.Table:
    listed = sorted([*commands.described(), *_OTHERS])
    return catalog.Table(title=None, columns=("Command", "Description"), rows=tuple(listed))


def _syntax(wanted: str) -> str:
    """What `\\h` shows: the statements there are, or the syntax of those that begin so."""
    known = syntax.helpcommands
    words = wanted.strip().rstrip(";").upper().split()
    if not words:
        return _available(sorted(known))
    # As psql does: of too many words those at the end are no part of the command's name.
    while words:
        name = " ".join(words)
        found = [name] if name in known else [n for n in sorted(known) if n.startswith(name)]
        if found or name == "*":
            return "\n".join(map(_statement, found or sorted(known)))
        words.pop()
    return (
        f'No help available for "{wanted.strip()}".\n'
        "Try \\h with no arguments to see available help."
    )


def _statement(name: str) -> str:
    text = syntax.helpcommands[name]
    description = " ".join(text["description"].split()).removeprefix("Description ")
    return f"Command:     {name}\nDescription: {description}\nSyntax:{text['synopsis']}"


def _available(names: list[str]) -> str:
    half = (len(names) + 1) // 2
    rows = zip(names[:half], [*names[half:], ""], strict=False)
    lines = (f"  {left:<{_HELP_WIDTH}}{right}".rstrip() for left, right in rows)
    return "\n".join(["Available help:", *lines])
