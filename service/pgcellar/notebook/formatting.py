"""Formats the SQL of a cell: white space alone, and only where it surely means the same after.

Each statement is laid out from PostgreSQL's own tokens, and then held against what it was: the same
tokens, comments and literals to the byte, in the same order, and the same parse tree. Whatever is
not is left as it stands, and so is all that is no statement: meta-commands, the data of COPY, cells
in another dialect.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pglast import error, parser

from pgcellar.notebook import dialects, layout, psqllex, psqlscan, psqlvars, scanning, statements

#: Longer statements are data, mostly.
MAX_STATEMENT = 50_000
#: Longer cells are not looked through.
MAX_CELL = 1_000_000
_COMMENTS = frozenset({"SQL_COMMENT", "C_COMMENT"})
#: Statements that are laid out; others are as their writer has them.
_FORMATTED = layout.listed(
    """SELECT WITH VALUES TABLE INSERT UPDATE DELETE MERGE EXPLAIN CREATE_TABLE CREATE_VIEW
    CREATE_TEMP CREATE_TEMPORARY CREATE_UNLOGGED CREATE_MATERIALIZED CREATE_OR CREATE_INDEX
    CREATE_UNIQUE"""
)


def format(source: str) -> str:
    """The cell with its statements laid out. Never raises, and means what it meant."""
    if len(source) > MAX_CELL or not statements.readable(source):
        return source
    if source.lstrip().startswith("%%"):
        header, newline, rest = source.partition("\n")
        return source if header.strip() == "" else header + newline + format(rest)
    if dialects.declared(source) is not None:
        return source
    parts: list[str] = []
    end = 0
    for start, text in _statements(source):
        parts += [source[end:start], statement(text)]
        end = start + len(text)
    return "".join([*parts, source[end:]])


def _statements(source: str) -> Iterator[tuple[int, str]]:
    """The statements that stand in a cell as they are sent, and where."""
    if scanning.needs(source) != "always":
        for each in statements.split(source):
            if each.kind == "sql" and source.startswith(each.text, each.start):
                yield each.start, each.text
        return
    scanner = psqlscan.Scanner(source)
    end = 0
    try:
        while (step := scanner.next({})) is not None:
            if not isinstance(step, psqlscan.Query):
                continue
            again = step.start < end
            if not (again or step.interpolated) and source.startswith(step.text, step.start):
                end = step.start + len(step.text)
                yield step.start, step.text
            for _ in range(step.copies):
                scanner.copy_data()
    except psqllex.TooLong:
        return


def statement(text: str) -> str:
    """One statement laid out, or as it is."""
    body = text.strip(" \t\r\n\f\v")
    if not body or len(body) > MAX_STATEMENT or psqlvars.mentioned(body):
        return text
    before = _words(body)
    if before is None or not _is_formatted(before):
        return text
    try:
        after = layout.lay_out(before)
    except (layout.TooDeep, ValueError, RecursionError):
        return text
    if not _same(body, before, after):
        return text
    begin = text.index(body[0]) if body else 0
    return text[:begin] + after + text[begin + len(body) :]


def _is_formatted(words: list[layout.Word]) -> bool:
    named = [word.upper for word in words if not word.comment][:2]
    return bool(named) and (named[0] in _FORMATTED or "_".join(named) in _FORMATTED)


def _words(text: str) -> list[layout.Word] | None:
    try:
        found = parser.scan(text)
    except error.Error:
        return None
    words: list[layout.Word] = []
    end = 0
    for token in found:
        gap = text[end : token.start]
        words.append(
            layout.Word(
                text=text[token.start : token.end + 1],
                blank=bool(gap),
                below="\n" in gap,
                comment=token.name in _COMMENTS,
            )
        )
        end = token.end + 1
    return words


def _same(body: str, before: list[layout.Word], after: str) -> bool:
    """Whether the text after has the tokens, comments included, and the meaning of that before."""
    words = _words(after)
    if words is None or [word.text for word in words] != [word.text for word in before]:
        return False
    one, other = _tree(body), _tree(after)
    return one is not None and one == other


def _tree(text: str) -> Any:
    """The parse tree without what only says where things stand; None if there is none."""
    try:
        found = json.loads(parser.parse_sql_json(text))
    except (error.Error, ValueError, RecursionError):
        return None
    return found["stmts"] and [_bare(each["stmt"]) for each in found["stmts"]]


def _bare(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            name: _bare(value)
            for name, value in node.items()
            if not name.endswith("location") and name not in ("list_start", "list_end")
        }
    return [_bare(each) for each in node] if isinstance(node, list) else node
