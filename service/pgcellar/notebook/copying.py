"""psql's `\\copy`, taken apart: which COPY statement, and which file."""

from __future__ import annotations

import dataclasses
import re

_COPY = re.compile(
    r"""\\copy \s+
        (?P<target> (?:"(?:[^"]|"")*+"|[\w$.])++ (?:\s*\([^)]*\))? | \(.*\) ) \s+
        (?P<way> from|to) \s+
        (?P<file> '(?:[^']|'')*+' | program[\s'].* | \S+ )
        (?P<rest> .*)""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """`\\copy TARGET from FILE …` as the COPY statement to send and the file to send it."""

    sql: str
    file: str


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
    if match["way"].lower() == "to" or file.lower() in ("stdin", "pstdin"):
        return Refusal(
            message="Notebooks can \\copy from a file only.",
            hint="SELECT what you need: the result can be saved from the notebook.",
        )
    if re.match(r"program[\s']", file, re.IGNORECASE):
        return Refusal(
            message="\\copy … program is not allowed in notebooks.",
            hint="Write the program's output to a file beside the notebook and \\copy that.",
        )
    if file.startswith("'"):
        file = file[1:-1].replace("''", "'")
    return Copy(sql=f"COPY {match['target']} FROM STDIN {match['rest'].strip()}".strip(), file=file)
