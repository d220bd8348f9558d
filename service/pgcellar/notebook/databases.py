"""What a notebook calls its database.

Every instance is a database with a name of its own, which a text can't know. So statements that
name a database call the notebook's own by one stable name, or by any name that an instance may have
had: what `current_database()` gave when the person looked. Pure.
"""

from __future__ import annotations

import re
from typing import Any

from pglast import error, parser

#: The name; psql connects the user's role to the database of its name, too.
NAME = "pgcellar"
_INSTANCE = re.compile(r"i_[0-9a-f]{8}")

#: Where in a text, in characters, its database is named.
Spans = tuple[tuple[int, int], ...]

_NAMING = frozenset({"AlterDatabaseStmt", "AlterDatabaseSetStmt", "AlterDatabaseRefreshCollStmt"})
_BY_OBJECT = frozenset({"GrantStmt", "CommentStmt", "SecLabelStmt"})
_BEFORE_NAME = frozenset({"CONCURRENTLY", "SQL_COMMENT", "C_COMMENT"})


def is_own(name: str) -> bool:
    """Whether a name is the notebook's own database's."""
    return name == NAME or _INSTANCE.fullmatch(name) is not None


def spans(kind: str, node: dict[str, Any], text: str) -> Spans:
    """Where a statement names the notebook's own database."""
    if not _names_database(kind, node):
        return ()
    try:
        tokens = [t for t in parser.scan(text) if t.name not in _BEFORE_NAME]
    except error.Error:
        return ()
    found = []
    for index, token in enumerate(tokens):
        if token.name not in ("DATABASE", "SYSTEM_P"):
            continue
        # GRANT … ON DATABASE a, b TO …
        for name, comma in zip(
            tokens[index + 1 :: 2], [*tokens[index + 2 :: 2], None], strict=False
        ):
            if _own(text[name.start : name.end + 1]):
                found.append((name.start, name.end + 1))
            if comma is None or comma.name != "ASCII_44":
                break
        if found:
            break
    return tuple(found)


def placed(text: str, where: Spans, name: str) -> str:
    """The text with the database's present name in these places."""
    for start, end in reversed(where):
        text = f"{text[:start]}{name}{text[end:]}"
    return text


def unplaced(position: int, where: Spans, name: str) -> int:
    """A position in the text as it was typed, from one in `placed`; both count from 0."""
    shift = 0
    for start, end in where:
        if position <= start + shift:
            break
        # Within the name, its beginning is meant.
        if position < start + shift + len(name):
            return start
        shift += len(name) - (end - start)
    return position - shift


def _names_database(kind: str, node: dict[str, Any]) -> bool:
    if kind in _BY_OBJECT:
        return bool(node.get("objtype") == "OBJECT_DATABASE")
    if kind == "AlterRoleSetStmt":
        return "database" in node
    if kind == "ReindexStmt":
        return node.get("kind") in ("REINDEX_OBJECT_DATABASE", "REINDEX_OBJECT_SYSTEM")
    return kind in _NAMING


def _own(token: str) -> bool:
    quoted = len(token) > 1 and token[0] == token[-1] == '"'
    return is_own(token[1:-1] if quoted else token.lower())
