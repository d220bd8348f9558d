"""Completion of keywords. Pure."""

from __future__ import annotations

import re

#: No keyword is longer; a literal of megabytes above the cursor is not looked through.
LONGEST = 64
_WORD = re.compile(r"\w+\Z")
KEYWORDS = tuple(
    [
        "ADD",
        "ALL",
        "ALTER",
        "ANALYZE",
        "AND",
        "ANY",
        "AS",
        "ASC",
        "BEGIN",
        "BETWEEN",
        "BY",
        "CASCADE",
        "CASE",
        "CAST",
        "CHECK",
        "COALESCE",
        "COLUMN",
        "COMMIT",
        "CONFLICT",
        "CONSTRAINT",
        "CREATE",
        "CROSS",
        "CURRENT_DATE",
        "CURRENT_TIMESTAMP",
        "DEFAULT",
        "DELETE",
        "DESC",
        "DISTINCT",
        "DO",
        "DROP",
        "ELSE",
        "END",
        "EXCEPT",
        "EXISTS",
        "EXPLAIN",
        "FALSE",
        "FILTER",
        "FIRST",
        "FOREIGN",
        "FROM",
        "FULL",
        "FUNCTION",
        "GENERATED",
        "GRANT",
        "GROUP",
        "HAVING",
        "ILIKE",
        "IN",
        "INDEX",
        "INNER",
        "INSERT",
        "INTERSECT",
        "INTERVAL",
        "INTO",
        "IS",
        "JOIN",
        "KEY",
        "LANGUAGE",
        "LAST",
        "LATERAL",
        "LEFT",
        "LIKE",
        "LIMIT",
        "MATERIALIZED",
        "MERGE",
        "NATURAL",
        "NOT",
        "NOTHING",
        "NULL",
        "NULLS",
        "OFFSET",
        "ON",
        "OR",
        "ORDER",
        "OUTER",
        "OVER",
        "PARTITION",
        "PRIMARY",
        "PROCEDURE",
        "RECURSIVE",
        "REFERENCES",
        "RETURNING",
        "RETURNS",
        "REVOKE",
        "RIGHT",
        "ROLLBACK",
        "ROW",
        "ROWS",
        "SCHEMA",
        "SELECT",
        "SEQUENCE",
        "SET",
        "SIMILAR",
        "TABLE",
        "THEN",
        "TO",
        "TRIGGER",
        "TRUE",
        "TRUNCATE",
        "TYPE",
        "UNION",
        "UNIQUE",
        "UPDATE",
        "USING",
        "VACUUM",
        "VALUES",
        "VIEW",
        "WHEN",
        "WHERE",
        "WINDOW",
        "WITH",
    ]
)


def keywords(code: str, cursor: int) -> tuple[list[str], int]:
    """The keywords that begin as the word at the cursor does, and where that word begins.

    They come in lower case where the word does.
    """
    match = _WORD.search(code, max(0, cursor - LONGEST), cursor)
    if match is None:
        return [], cursor
    word = match[0]
    found = [keyword for keyword in KEYWORDS if keyword.startswith(word.upper())]
    if word == word.lower():
        found = [keyword.lower() for keyword in found]
    return found, match.start()
