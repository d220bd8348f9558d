"""What is written down of SQL: its text without passwords, only a digest of that, or nothing.

Literals are found by PostgreSQL's lexical rules, in one linear pass that takes any text. One is a
secret where a telling name stands before it: `PASSWORD '…'`, `OPTIONS (password '…')`,
`token => '…'`, `set_config('x.secret', '…')`. A password that is given as any other value, to
`crypt()` say, can't be told; the policy `digest` keeps it out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator
from typing import Any, Literal

from pgcellar.api import redaction
from pgcellar.notebook import lexer, patterns

Policy = Literal["text", "digest", "none"]

#: Characters of one cell that are written down; its digest is of all of it.
MAX_TEXT = 64 * 1024
#: How deep in one another literals are looked into.
_DEPTH = 3

_TOKEN = patterns.compile(
    r"""
      (?P<comment>--[^\r\n]*)
    | (?P<block>/\*)
    | (?P<meta>^[ \t]*\\[^\r\n]*)
    | (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z))
    | (?P<string>(?:[eE]'(?:[^'\\]|''|\\.)*+(?:'|\\?\Z))
               | (?:[nNbBxX]|[uU]&)?'[^']*+(?:''[^']*+)*+(?:'|\Z))
    | (?P<name>"[^"]*+(?:""[^"]*+)*+(?:"|\Z) | [^\W\d][\w$.]*)
    | (?P<space>\s+)
    | (?P<link>:=|=>|=|,)
    | (?P<other>\d+|.)
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_SET = patterns.compile(r"(\s*\\(?:set|setenv|prompt)\s+)(\S+)(\s+).*", re.DOTALL)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Statements:
    """The policy, applied to cells."""

    policy: Policy = "text"

    def of(self, source: str) -> dict[str, Any]:
        """What is written down of a cell: `text`, `digest`, both or neither.

        The digest is of the text without passwords: with it nobody can try them out.
        """
        if self.policy == "none":
            return {}
        clean = redacted(source)
        found: dict[str, Any] = {"digest": digest(clean)}
        if self.policy == "text":
            found["text"] = clean[:MAX_TEXT]
            if len(clean) > MAX_TEXT:
                found["characters"] = len(clean)
        return found


def digest(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def redacted(source: str, depth: int = 0) -> str:
    """The cell without the passwords and tokens in it, nor in statements that literals hold."""
    out: list[str] = []
    telling = False
    linked = False
    for token, piece in _tokens(source):
        kind = token.lastgroup
        if kind in ("string", "dollar"):
            if telling:
                # Of one literal that is written in two pieces, `'a' 'b'`, the second is one too.
                out.append(_masked(piece))
            else:
                out.append(_inside(piece, token["tag"], depth))
                # set_config('x.password', '…'), and the like
                telling = linked = _tells(piece.strip("'"))
                continue
            linked = False
            continue
        if kind in ("comment", "block", "meta"):
            out.append(_meta(piece) if kind == "meta" else redaction.text(piece))
            continue
        out.append(piece if kind != "name" else redaction.text(piece))
        if kind == "name":
            # `ENCRYPTED PASSWORD '…'`, `SET x.password TO '…'`
            telling = _tells(piece.strip('"')) or (telling and piece.lower() == "to")
            linked = False
        elif kind == "link":
            # A comma leads from a name to its value only where the name is a literal.
            telling = telling and (piece != "," or linked)
        elif kind == "other":
            telling = False
    return "".join(out)


def _tokens(source: str) -> Iterator[tuple[re.Match[str], str]]:
    position = 0
    while position < len(source):
        token = _TOKEN.match(source, position)
        assert token is not None
        end = token.end() if token["block"] is None else lexer.block_end(source, token.end())
        yield token, source[position:end]
        position = end


def _tells(name: str) -> bool:
    return redaction.SECRET_NAME.fullmatch(name[-80:]) is not None


def _inside(literal: str, tag: str | None, depth: int) -> str:
    """A literal without secrets: a function's body, say, or a statement for EXECUTE."""
    literal = redaction.text(literal)
    if depth >= _DEPTH or ("'" not in literal[1:-1] and "$" not in literal[1:-1]):
        return literal
    if tag is not None:
        edge = f"${tag}$"
        body = literal[len(edge) :]
        end = edge if body.endswith(edge) else ""
        return edge + redacted(body.removesuffix(edge), depth + 1) + end
    body = literal.replace("''", "'")
    clean = redacted(body[body.find("'") + 1 :].removesuffix("'"), depth + 1)
    if redaction.MASK not in clean:
        return literal
    return "'" + clean.replace("'", "''") + "'"


def _masked(literal: str) -> str:
    if literal.startswith("$"):
        return f"$${redaction.MASK}$$"
    return f"'{redaction.MASK}'"


def _meta(line: str) -> str:
    match = _SET.match(line)
    if match is not None and _tells(match[2]):
        return f"{match[1]}{match[2]}{match[3]}{redaction.MASK}"
    return redaction.text(line)
