"""Takes secrets out of what is going to be written down: audit records and logs. Pure.

It looks for what is known to be a secret: by its form (tokens, private keys), or by the name it is
given under (`password=…`). What looks like any other word can't be found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pgcellar.notebook import patterns

MASK = "***"

_NAMES = (
    r"pass(?:word|wd|phrase)|pwd|secret|token|api_?key|access_?key|private_?key"
    r"|credentials?|authorization|cookie"
)
#: A name whose value is a secret: the word stands last, as in `client_secret`, not `token_id`.
SECRET_NAME = re.compile(rf"(?:.*[^a-z0-9]|ssl|)(?:{_NAMES})", re.IGNORECASE)


def _mask(found: re.Match[str]) -> str:
    """The first group stays, which is the name or what else tells that a secret follows."""
    return f"{found[1]}{MASK}" if found.re.groups else MASK


def _mask_user(found: re.Match[str]) -> str:
    """What stands before the last `@` of an address is a password; without one it is a path."""
    _, at, rest = found[2].rpartition("@")
    return f"{found[1]}{MASK}@{rest}" if at else found[0]


def _mask_token(found: re.Match[str]) -> str:
    """A word that begins as a token does, and is one if it has three parts."""
    return MASK if found[1] else found[0]


# Hostile text must not cost its square, so repetitions are bounded, or give nothing back and take
# what is no secret, too, in which none begins then. The beginning by which a form is told is short.
_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (
        patterns.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [^-]{0,60}-----|\Z)", re.S
        ),
        _mask,
    ),
    (patterns.compile(r"(://[^\s:@/'\"]{0,256}+:)([^\s'\"]*+)"), _mask_user),
    (patterns.compile(r"\b(bearer\s{1,8})[\w.~+/=-]{6,}", re.I), _mask),
    (patterns.compile(r"\b((?:basic|negotiate)\s{1,8})[\w+/=-]{16,}", re.I), _mask),
    (patterns.compile(r"\bpgc_[\w-]+"), _mask),
    (patterns.compile(r"\beyJ[\w-]{5,}+(\.[\w-]++\.[\w-]*+)?"), _mask_token),
    (patterns.compile(r"\bSCRAM-SHA-256\$[\w+/=:$]+"), _mask),
    (patterns.compile(r"\bmd5[0-9a-f]{32}\b"), _mask),
    (patterns.compile(r"\bAKIA[0-9A-Z]{16}\b"), _mask),
    (
        patterns.compile(
            rf"((?:{_NAMES})['\"]?\s{{0,8}}[=:]\s{{0,8}})"
            r"""('(?:[^'\\]++|\\.)*+(?:'|\\?\Z)|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[^\s,;&)'"]+)""",
            re.I | re.S,
        ),
        _mask,
    ),
)
#: What every text with a secret in it holds some of: most texts need be looked through only once.
_HINT = re.compile(
    r"-----begin|://|bearer|basic|negotiate|pgc_|eyj|scram-sha|md5|akia|[=:]", re.IGNORECASE
)
#: Characters that are looked through at a time, which takes some ms for which all else waits; and
#: of them those at the end in which a secret may have begun that goes on behind it.
_PIECE = 64 << 10
_EDGE = 8 << 10
#: Nested deeper, JSON is shown as text.
_DEPTH = 8


def text(value: str) -> str:
    """The text without the secrets that can be told in it."""
    if len(value) <= _PIECE and _HINT.search(value) is None:
        return value
    for pattern, masked in _FORMS:
        value = _without(pattern, masked, value)
    return value


def _without(pattern: re.Pattern[str], masked: Callable[[re.Match[str]], str], value: str) -> str:
    """As `pattern.sub` of a whole text, by pieces."""
    if len(value) <= _PIECE:
        return pattern.sub(masked, value)
    out: list[str] = []
    done = position = 0
    while position < len(value):
        end = position + _PIECE
        found = pattern.search(value, position, end)
        if found is None:
            position = end - _EDGE if end < len(value) else end
            continue
        position = found.start()
        if found.end() > end - _EDGE:
            # Cut off, perhaps; or it is none.
            found = pattern.match(value, position)
        if found is None:
            position += 1
            continue
        out += value[done:position], masked(found)
        done = position = found.end()
    return "".join((*out, value[done:]))


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
