"""Takes secrets out of what is going to be written down: audit records and logs. Pure.

It looks for what is known to be a secret: by its form (tokens, private keys), or by the name it is
given under (`password=…`). What looks like any other word can't be found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"

_NAMES = (
    r"pass(?:word|wd|phrase)|pwd|secret|token|api_?key|access_?key|private_?key"
    r"|credentials?|authorization|cookie"
)
#: A name whose value is a secret: the word stands last, as in `client_secret`, not `token_id`.
SECRET_NAME = re.compile(rf"(?:.*[^a-z0-9]|ssl|)(?:{_NAMES})", re.IGNORECASE)

# Repetitions are bounded, or begin at a word's edge only: hostile text must not cost its square.
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [^-]{0,60}-----|\Z)", re.S
        ),
        MASK,
    ),
    (re.compile(r"(://[^\s:@/'\"]{0,256}:)[^\s'\"]{1,256}@"), rf"\1{MASK}@"),
    (re.compile(r"\b(bearer\s{1,8})[\w.~+/=-]{6,}", re.I), rf"\1{MASK}"),
    (re.compile(r"\b((?:basic|negotiate)\s{1,8})[\w+/=-]{16,}", re.I), rf"\1{MASK}"),
    (re.compile(r"\bpgc_[\w-]+"), MASK),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"), MASK),
    (re.compile(r"\bSCRAM-SHA-256\$[\w+/=:$]+"), MASK),
    (re.compile(r"\bmd5[0-9a-f]{32}\b"), MASK),
    (re.compile(r"\bAKIA[0-9A-Z]{16}\b"), MASK),
    (
        re.compile(
            rf"\b(\w*(?:{_NAMES})['\"]?\s{{0,8}}[=:]\s{{0,8}})"
            r"""('(?:[^'\\]|\\.)*(?:'|\Z)|"(?:[^"\\]|\\.)*(?:"|\Z)|[^\s,;&)'"]+)""",
            re.I | re.S,
        ),
        rf"\1{MASK}",
    ),
)
#: What every text with a secret in it holds some of: most texts need be looked through only once.
_HINT = re.compile(
    r"-----begin|://|bearer|basic|negotiate|pgc_|eyj|scram-sha|md5|akia|[=:]", re.IGNORECASE
)
#: Nested deeper, JSON is shown as text.
_DEPTH = 8


def text(value: str) -> str:
    """The text without the secrets that can be told in it."""
    if _HINT.search(value) is None:
        return value
    for pattern, instead in _FORMS:
        value = pattern.sub(instead, value)
    return value


def details(value: Any, depth: int = 0) -> Any:
    """A JSON value without secrets: those under a telling name, and those in texts."""
    if isinstance(value, str):
        return text(value)
    if depth > _DEPTH:
        return text(str(value))
    if isinstance(value, Mapping):
        return {
            text(str(name)): MASK
            if SECRET_NAME.fullmatch(str(name)) and item is not None
            else details(item, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [details(item, depth + 1) for item in value]
    return value
