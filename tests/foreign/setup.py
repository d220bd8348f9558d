"""What a regression suite's files share (`test_setup.sql`), and how much of it one file needs."""

from __future__ import annotations

import dataclasses
import re

from tests.foreign import cutting

_SET = re.compile(r"\\set\s+(\w+)\s+:abs_srcdir\s+'/data/([\w.]+)'")
_FROM_VARIABLE = re.compile(r"^\s*copy\s+(.*?)\s+from\s+:'(\w+)'(.*)$", re.IGNORECASE | re.DOTALL)
_TARGET = re.compile(
    r"^\s*(?:create\s+(?:unique\s+)?(?:table|function|index\s+\w+\s+on|type)"
    r"|insert\s+into|\\?copy|vacuum(?:\s+analyze)?|analyze|alter\s+table)\s+(\w+)",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_WORD = re.compile(r"\w+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Step:
    text: str
    target: str
    words: frozenset[str]


def variables(pieces: list[cutting.Piece]) -> list[cutting.Piece]:
    """`COPY … FROM :'file'` after a `\\set file …` as a `\\copy` of the data file."""
    files: dict[str, str] = {}
    out = []
    for piece in pieces:
        if piece.kind == "meta" and (match := _SET.match(piece.text)):
            files[match[1]] = match[2]
        elif (match := _FROM_VARIABLE.match(_bare(piece.text))) and match[2] in files:
            text = f"\\copy {match[1]} from 'data/{files[match[2]]}'{match[3]}"
            out.append(cutting.Piece(kind="sql", text=" ".join(text.split())))
            continue
        out.append(piece)
    return out


class Setup:
    """The shared file, taken apart by what each statement makes or fills."""

    def __init__(self, text: str) -> None:
        self._steps = []
        for piece in variables(cutting.cut(text)):
            found = _TARGET.match(_bare(piece.text))
            if piece.kind == "sql" and found:
                words = frozenset(_WORD.findall(_bare(piece.text).lower()))
                step = _Step(text=piece.text, target=found[1].lower(), words=words)
                self._steps.append(step)
        self._targets = {step.target for step in self._steps}

    def needed(self, text: str) -> tuple[str, ...]:
        """The statements that a file builds on, in order."""
        wanted = {word.lower() for word in _WORD.findall(text)} & self._targets
        kept = []
        for step in reversed(self._steps):
            if step.target in wanted:
                kept.append(step.text)
                wanted |= step.words & self._targets
        return tuple(reversed(kept))


def _bare(text: str) -> str:
    return _COMMENT.sub("", text).strip()
