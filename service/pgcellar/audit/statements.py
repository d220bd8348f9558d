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
from typing import Any, Literal

from pgcellar.api import redaction

Policy = Literal["text", "digest", "none"]

#: Characters of one cell that are written down; its digest is of all of it.
MAX_TEXT = 64 * 1024

_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\r\n]*|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z))
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
_SET = re.compile(r"(\s*\\(?:set|setenv|prompt)\s+)(\S+)(\s+).*", re.DOTALL)


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


def redacted(source: str) -> str:
    """The cell without the passwords and tokens in it."""
    out: list[str] = []
    telling = False
    linked = False
    for token in _TOKEN.finditer(source):
        kind, piece = token.lastgroup, token[0]
        if kind == "tag":
            kind = "dollar"
        if kind in ("string", "dollar"):
            if telling:
                out.append(_masked(piece))
                telling = False
            else:
                out.append(redaction.text(piece))
                # set_config('x.password', '…'), and the like
                telling = linked = _tells(piece.strip("'"))
                continue
            linked = False
            continue
        if kind in ("comment", "meta"):
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


def _tells(name: str) -> bool:
    return redaction.SECRET_NAME.fullmatch(name[-80:]) is not None


def _masked(literal: str) -> str:
    if literal.startswith("$"):
        return f"$${redaction.MASK}$$"
    return f"'{redaction.MASK}'"


def _meta(line: str) -> str:
    match = _SET.match(line)
    if match is not None and _tells(match[2]):
        return f"{match[1]}{match[2]}{match[3]}{redaction.MASK}"
    return redaction.text(line)
