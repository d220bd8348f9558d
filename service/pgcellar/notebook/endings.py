"""The arguments of `\\explain` and `\\chart`, ours: they end a query as `\\g` does. Pure."""

from __future__ import annotations

import re
import typing

from pgcellar.notebook import patterns, psqlscan, psqlslash, showing

NAMES = frozenset({"explain", "chart"})
#: The options of EXPLAIN, but for its format.
OPTIONS = (
    "analyze", "buffers", "costs", "generic_plan", "memory", "serialize", "settings", "summary",
    "timing", "verbose", "wal",
)  # fmt: skip
#: What an option may be set to; `text` and `binary` are for `serialize`.
_VALUES = frozenset({"on", "off", "true", "false", "1", "0", "none", "text", "binary"})
#: PostgreSQL's syntax, and `name=value`, as in a chart.
_WORDS = re.compile(r"[^\s,()=]+")

KINDS: tuple[showing.ChartKind, ...] = typing.get_args(showing.ChartKind)
_FORM = "Write \\chart KIND x=COLUMN y=COLUMN[,COLUMN…] [color=COLUMN] [title='TEXT']."
_SETTING = re.compile(r"(?P<name>\w+)=(?P<value>.*)\Z", re.DOTALL)
#: One of several names between commas, which may stand in double quotes.
_NAME = patterns.compile(r'\s*(?P<name>(?:"[^"]*+(?:""[^"]*+)*+"|[^,"]++|")*+)(?P<more>,|\Z)')
#: Characters of a title.
MAX_TITLE = 500


def explain(command: psqlscan.MetaCommand, query: str) -> showing.Explain | psqlscan.Problem:
    """What `\\explain` asks for, or what is wrong with it."""
    options: list[str] = []
    for word in _WORDS.findall(" ".join(command.arguments)):
        lower = word.lower()
        if lower in OPTIONS:
            options.append(lower.upper())
        elif lower in _VALUES and options and " " not in options[-1]:
            options[-1] += f" {lower}"
        elif lower == "format":
            return _problem(
                command,
                "\\explain has its plan as JSON, so it takes no format.",
                "EXPLAIN (FORMAT …) as a statement shows it in the others.",
            )
        else:
            return _problem(
                command,
                f'"{word[:40]}" is no option of \\explain.',
                f"There are {', '.join(OPTIONS)}; each may be followed by on or off.",
            )
    return showing.Explain(query=query, options=tuple(options))


def statement(wanted: showing.Explain) -> str:
    """What stands before the query in the statement that `\\explain` runs."""
    return f"EXPLAIN ({', '.join(('FORMAT JSON', *wanted.options))}) "


def chart(command: psqlscan.MetaCommand) -> showing.Chart | psqlscan.Problem:
    """What `\\chart` asks for, or what is wrong with it."""
    kind, *settings = command.arguments or ("",)
    known = next((each for each in KINDS if each == kind.lower()), None)
    if known is None:
        said = f'"{kind[:40]}" is no kind of chart.' if kind else "\\chart does not name its kind."
        return _problem(command, said, f"There are {', '.join(KINDS)}. {_FORM}")
    found: dict[str, list[str]] = {}
    for setting in settings:
        match = _SETTING.match(setting)
        name = match["name"].lower() if match else ""
        if match is None or name not in ("x", "y", "color", "title"):
            return _problem(command, f'"{setting[:40]}" is no setting of \\chart.', _FORM)
        value = match["value"]
        found.setdefault(name, []).extend([value] if name == "title" else _names(value))
    for name in ("x", "color", "title"):
        if len(found.get(name, ())) > 1:
            return _problem(command, f"\\chart takes one {name}.", _FORM)
    if found.get("color") and len(found.get("y", ())) > 1:
        return _problem(
            command,
            "\\chart takes several columns as y, or one as color.",
            "Several columns are told apart by their colors themselves.",
        )
    return showing.Chart(
        kind=known,
        x=_first(found, "x"),
        y=tuple(found.get("y", ())),
        color=_first(found, "color"),
        title=(_first(found, "title") or "")[:MAX_TITLE] or None,
    )


def _first(found: dict[str, list[str]], name: str) -> str | None:
    return next(iter(found.get(name, ())), None)


def _names(text: str) -> list[str]:
    """Names between commas, without their quotes."""
    out: list[str] = []
    for match in _NAME.finditer(text):
        name = match["name"].strip()
        if name:
            out.append(psqlslash.identifier(name, fold=False))
        if not match["more"]:
            break
    return out


def _problem(command: psqlscan.MetaCommand, message: str, hint: str) -> psqlscan.Problem:
    return psqlscan.Problem(message=message, hint=hint, start=command.start)
