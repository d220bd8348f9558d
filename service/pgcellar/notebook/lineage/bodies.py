"""What the body of a PL/pgSQL function names, read off its tokens.

The language has no parser that could be trusted with any text inside the service's process, and
needs none here: PL/pgSQL's lexical rules are SQL's, the targets of INSERT, UPDATE, DELETE, MERGE
and TRUNCATE stand behind these words, and any other word may be the name of something that is
read. A body with definitions, with transactions or with SQL put together at run time is given up.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from pglast import error, parser

from pgcellar.notebook import statements

#: Commands whose effect is not followed; SET and EXECUTE are looked at more closely.
_GIVEN_UP_NAMES = """
CREATE ALTER DROP GRANT REVOKE COMMIT ROLLBACK COPY DO REFRESH PREPARE DEALLOCATE DISCARD RESET
LOCK_P VACUUM ANALYZE CLUSTER REINDEX COMMENT SECURITY LISTEN NOTIFY UNLISTEN IMPORT_P LOAD
REASSIGN CASCADE UIDENT USCONST
"""
_GIVEN_UP = frozenset(_GIVEN_UP_NAMES.split())
_COMMENTS = frozenset({"SQL_COMMENT", "C_COMMENT"})
#: Behind these no function is called, though a parenthesis may follow the name.
_NO_CALL = frozenset({"INTO", "UPDATE", "TABLE", "ONLY", "AS", "TRUNCATE"})
#: PL/pgSQL's own words, no functions though a parenthesis may follow.
_PLPGSQL = frozenset(
    {"if", "elsif", "elseif", "while", "return", "perform", "assert", "raise", "exit", "until"}
)
_NAMES = ("UNRESERVED_KEYWORD", "COL_NAME_KEYWORD", "TYPE_FUNC_NAME_KEYWORD")
_WORD = re.compile(r"[^\W\d][\w$]*")
_BEGINS_STATEMENT = frozenset({"ASCII_59", "BEGIN_P", "THEN", "ELSE", "loop"})
_IN_LIST = frozenset({"ASCII_44", "ASCII_46", "ASCII_42", "TABLE", "ONLY"})
_ENDS_LITERAL = frozenset({"ASCII_59", "USING", "INTO", "loop"})
_CATALOG = re.compile(r"pg_\w+|information_schema|reg[a-z]+|oid|tg_relid|tableoid|[xc]m(?:in|ax)")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """What a body names: schema ("" where it isn't said) and name.

    `reads` stand where a relation does, `words` are all others that may name something.
    `calls` have their first argument as well, if that is a literal; `executes` are the texts of
    EXECUTE. `catalog`: it may show anything of the database's content.
    """

    writes: frozenset[tuple[str, str]]
    reads: frozenset[tuple[str, str]]
    calls: frozenset[tuple[str, str, str | None]]
    words: frozenset[str]
    executes: tuple[str, ...]
    catalog: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Token:
    """`name` is that of the grammar, in lower case for PL/pgSQL's own words."""

    name: str
    kind: str
    text: str

    @property
    def nameable(self) -> bool:
        """Whether it may be (a part of) a name."""
        return self.kind in _NAMES or self.name in ("IDENT", "loop")


def plpgsql(source: str) -> Body | None:
    """What a body names; None where that can't be told."""
    try:
        tokens = _tokens(source)
    except error.Error:
        return None
    if any(token.name in _GIVEN_UP for token in tokens) or len(source) > statements.LONG_TEXT:
        return None
    writes: set[tuple[str, str]] = set()
    reads: set[tuple[str, str]] = set()
    calls: set[tuple[str, str, str | None]] = set()
    words: set[str] = set()
    executes: list[str] = []
    for index, token in enumerate(tokens):
        before = tokens[index - 1].name if index else "ASCII_59"
        if token.name == "EXECUTE":
            text = _executed(tokens[index + 1 : index + 3])
            if text is None:
                return None
            executes.append(text)
        elif token.name == "SET" and before in _BEGINS_STATEMENT:
            return None
        elif token.name == "SCONST":
            words.update(word.lower() for word in _WORD.findall(token.text))
        elif token.nameable:
            words.add(token.text)
            if before == "ASCII_46":
                continue
            schema, name, end = _name(tokens, index)
            follows = tokens[end].name if end < len(tokens) else ""
            if _written(tokens, index):
                writes.add((schema, name))
            elif name in _PLPGSQL and not schema:
                continue
            elif follows == "ASCII_40" and before not in _NO_CALL:
                last = tokens[end - 1]
                if last.name == "IDENT" or last.kind in ("UNRESERVED_KEYWORD", _NAMES[2]):
                    calls.add((schema, name, _argument(tokens[end + 1 : end + 3])))
            elif before in ("FROM", "JOIN", "USING"):
                reads.add((schema, name))
    return Body(
        writes=frozenset(writes),
        reads=frozenset(reads),
        calls=frozenset(calls),
        words=frozenset(words),
        executes=tuple(executes),
        catalog=any(_CATALOG.fullmatch(word) for word in words),
    )


def _tokens(source: str) -> list[_Token]:
    out = []
    for token in parser.scan(source):
        if token.name in _COMMENTS:
            continue
        text = source[token.start : token.end + 1]
        name = token.name
        if name == "IDENT" and text.startswith('"'):
            text = text[1:-1].replace('""', '"')
        elif name == "IDENT" or token.kind != "NO_KEYWORD":
            text = text.lower()
            name = "loop" if text == "loop" else name
        elif name == "SCONST":
            text = _unquoted(text)
        out.append(_Token(name=name, kind=token.kind, text=text))
    return out


def _unquoted(text: str) -> str:
    """The value of a literal; where escapes would have to be read, its text as it stands."""
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if text.startswith("$"):
        tag = text[: text.index("$", 1) + 1]
        return text[len(tag) : -len(tag)]
    return text


def _name(tokens: Sequence[_Token], index: int) -> tuple[str, str, int]:
    """The qualified name that begins at a token: schema, name, and where it ends."""
    parts = [tokens[index].text]
    index += 1
    while (
        index + 1 < len(tokens)
        and tokens[index].name == "ASCII_46"
        and (tokens[index + 1].nameable or tokens[index + 1].kind != "NO_KEYWORD")
    ):
        parts.append(tokens[index + 1].text)
        index += 2
    return (parts[-2] if len(parts) > 1 else ""), parts[-1], index


def _written(tokens: Sequence[_Token], index: int) -> bool:
    """Whether the name at a token is the target of a statement that writes."""
    at = index - 1
    while at > 0 and tokens[at].name in ("ONLY", "TABLE"):
        at -= 1
    if at < 0:
        return False
    name = tokens[at].name
    if name == "UPDATE":
        # ON CONFLICT DO UPDATE SET, FOR UPDATE OF.
        return tokens[index].name not in ("SET", "OF", "loop", "SKIP", "NOWAIT")
    if name in ("INTO", "FROM"):
        # SELECT … INTO sets a variable.
        return at > 0 and tokens[at - 1].name in ("INSERT", "MERGE", "DELETE_P")
    # TRUNCATE takes a list.
    while at >= 0 and tokens[at].name != "TRUNCATE":
        if not (tokens[at].nameable or tokens[at].name in _IN_LIST):
            return False
        at -= 1
    return at >= 0


def _executed(tokens: Sequence[_Token]) -> str | None:
    """The text of an EXECUTE, from the tokens behind it; None where it is put together."""
    if not tokens or tokens[0].name != "SCONST" or tokens[0].text[:2].lower() == "e'":
        return None
    alone = len(tokens) == 1 or tokens[1].name in _ENDS_LITERAL
    return tokens[0].text if alone else None


def _argument(tokens: Sequence[_Token]) -> str | None:
    """The first argument, if it is a literal and nothing else (or a cast of one)."""
    if len(tokens) < 2 or tokens[0].name != "SCONST":
        return None
    return tokens[0].text if tokens[1].name in ("ASCII_41", "ASCII_44", "TYPECAST") else None
