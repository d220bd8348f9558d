"""psql's `\\copy`, taken apart: which COPY statement, and which file."""

from __future__ import annotations

import dataclasses
import re

from pgcellar.notebook import patterns, statements

_COPY = patterns.compile(
    r"""\\copy \s+
        (?P<target> (?:"(?:[^"]|"")*+"|[\w$.])++ (?:\s*\([^)]*\))? | \(.*\) ) \s+
        (?P<way> from|to) \s+
        (?P<file> '(?:[^']|'')*+' | program[\s'].* | \S+ )
        (?P<rest> .*)""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """`\\copy TARGET from|to FILE …` as the COPY statement to send, and the file at this end."""

    sql: str
    file: str
    out: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a meta-command can't run here, and what to do instead."""

    message: str
    hint: str


def parse(text: str) -> Copy | Refusal:
    """What a meta-command asks for. The text is that of one `meta` statement."""
    command = text.split(None, 1)[0]
    if command.lower() != "\\copy":
        return Refusal(
            message=f"The meta-command {command} is not known to notebooks.",
            hint="Of psql's meta-commands, \\copy … from 'file' works here.",
        )
    match = _COPY.fullmatch(text.rstrip().removesuffix(";").rstrip())
    if match is None:
        return Refusal(
            message="This \\copy can't be read.",
            hint="Write \\copy TABLE (COLUMNS) from 'FILE' with (OPTIONS), all on one line.",
        )
    file = match["file"]
    if file.lower() in ("stdin", "pstdin", "stdout", "pstdout"):
        return Refusal(
            message="In notebooks \\copy reads or writes a file.",
            hint="COPY … FROM STDIN takes the lines below it, up to one of \\. alone; "
            "COPY … TO STDOUT shows what it gives.",
        )
    if re.match(r"program[\s']", file, re.IGNORECASE):
        return Refusal(
            message="\\copy … program is not allowed in notebooks.",
            hint="Write the program's output to a file beside the notebook and \\copy that.",
        )
    if file.startswith("'"):
        file = file[1:-1].replace("''", "'")
    out = match["way"].lower() == "to"
    way = "TO STDOUT" if out else "FROM STDIN"
    return Copy(
        sql=f"COPY {match['target']} {way} {match['rest'].strip()}".strip(), file=file, out=out
    )


def saved(statement: statements.Statement) -> Copy | None:
    """The `\\copy … to` that a statement is, if it is one."""
    if statement.kind != "meta" or not statement.text:
        return None
    found = parse(statement.text)
    return found if isinstance(found, Copy) and found.out else None
