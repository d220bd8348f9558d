"""Makes a notebook of a foreign file: what succeeds becomes cells, the rest heads of their own."""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import random
import re
import shutil
import subprocess

from tests import oracle as oracles
from tests.foreign import cutting, setup, sources

from pgcellar.notebook import cells

MAX_GROUP = 5
#: Each pass of psql takes out what fails; then others may.
PASSES = 12
#: psql prints in the client's encoding, and the oracle reads UTF-8; ended sessions end psql.
_UNREADABLE = re.compile(
    r"client_encoding|\bset\s+names\b|pg_terminate_backend|pg_sleep|idle_\w*timeout", re.IGNORECASE
)
#: psql's own variables; others are set by meta-commands.
_VARIABLE = re.compile(r"(?<![:\w]):(?:'[A-Z_]+'|\"[A-Z_]+\"|[A-Z_]{4,}\b)")
_OWN = re.compile(r":[A-Z_]{4,}\b|^\\(?:un)?set\s+[A-Z_]{4,}\b")
#: Of each meta-command, as many as this are run as heads: one refusal is like the other.
_METAS = 2
_DESCRIBING = re.compile(r"\\(?:d\S*|lo_list\+?|l|l\+|s[fv]\+?|z|h|\?)(?:\s|$)")
#: Ends a transaction that the file, or the cut at the cap, leaves open.
_LAST = "commit;"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extra:
    """A head that is in no tail: it stands before the cell `at`.

    `sqlstate` is psql's error where it fails. `above`: it is run in one cell with the cell above.
    `psql`: only psql can run it, since it ends in a meta-command or names a variable of psql's.
    """

    at: int
    text: str
    sqlstate: str | None
    above: bool = False
    psql: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """A foreign file as a notebook. `left_out` counts the pieces that could not be used, by why."""

    name: str
    cells: tuple[str, ...]
    extras: tuple[Extra, ...]
    directory: pathlib.Path
    left_out: dict[str, int]


class Unusable(Exception):
    """psql can't be run to the end of the file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Part:
    text: str
    #: Why it is no part of the notebook: "refused", "psql's", "fails"; None if it is.
    why: str | None = None
    sqlstate: str | None = None


class Screen:
    """Prepares one file; again without some pieces, where these turned out to stop the rest."""

    def __init__(
        self,
        source: sources.Source,
        oracle: oracles.Oracle,
        directory: pathlib.Path,
        *,
        cap: int,
        seed: int,
    ) -> None:
        self._source = source
        self._oracle = oracle
        self._directory = directory
        self._cap = cap
        self._seed = seed
        self._left_out: collections.Counter[str] = collections.Counter()
        if source.data is not None:
            _link(source.data, directory)
        self._before = len(source.before)
        self._parts = self._usable(setup.variables(sources.pieces(source)))

    def prepare(
        self, without: frozenset[str] = frozenset(), alone: frozenset[str] = frozenset()
    ) -> Prepared:
        """The notebook, without some pieces, and some in cells of their own. Raises Unusable."""
        parts = self._screened([part for part in self._parts if part.text not in without])
        grouped, extras = self._group(parts, alone)
        return Prepared(
            name=self._source.name,
            cells=(*grouped, _LAST),
            extras=tuple(extras),
            directory=self._directory,
            left_out=dict(self._left_out),
        )

    def _usable(self, pieces: list[cutting.Piece]) -> list[_Part]:
        """What can be tried at all, up to about the cap."""
        parts: list[_Part] = []
        metas: collections.Counter[str] = collections.Counter()
        for number, piece in enumerate(pieces):
            if len(parts) > self._before + self._cap * MAX_GROUP:
                self._left_out["beyond the cap"] += len(pieces) - number
                break
            if _UNREADABLE.search(piece.text):
                self._left_out["not for this oracle"] += 1
            elif piece.kind == "copy":
                parts.append(_Part(text=self._copied(piece, number)))
            elif piece.kind == "meta" and _DESCRIBING.match(piece.text):
                self._left_out["describing commands, which test_special compares"] += 1
            elif piece.kind == "meta" and _OWN.search(piece.text):
                self._left_out["psql's own variables"] += 1
            elif piece.kind == "meta" and not piece.text.lower().startswith("\\copy"):
                command = piece.text.split()[0]
                metas[command] += 1
                if metas[command] <= _METAS:
                    parts.append(_Part(text=piece.text, why="refused"))
                else:
                    self._left_out["meta-commands"] += 1
            elif piece.kind == "sent" or _VARIABLE.search(piece.text):
                parts.append(_Part(text=piece.text, why="psql's"))
            elif cells.parse(piece.text).refused is not None:
                parts.append(_Part(text=piece.text, why="refused"))
            else:
                parts.append(_Part(text=piece.text))
        return parts

    def _copied(self, piece: cutting.Piece, number: int) -> str:
        """A COPY with inline rows as a `\\copy` of a file."""
        file = self._directory / f"inline{number}.data"
        file.write_text(piece.rows, encoding="utf-8", newline="")
        text = re.sub(r"\b(pstdin|stdin)\b", f"'{file.name}'", piece.text, count=1, flags=re.I)
        text = re.sub(r"--[^\n]*", "", text)
        return "\\" + " ".join(text.split())

    # --- psql --------------------------------------------------------------------------------

    def _screened(self, parts: list[_Part]) -> list[_Part]:
        """The parts, with what psql fails on marked, but for errors in an open transaction."""
        for _ in range(PASSES):
            tried = [index for index, part in enumerate(parts) if part.why is None]
            texts = [joined([parts[index].text]) for index in tried]
            outcomes = go_on(self._oracle, texts, self._directory)
            errors = [outcome.error for outcome in outcomes]
            inside = self._oracle.inside(texts) if any(errors) else set()
            failed = [
                (tried[number], error)
                for number, error in enumerate(errors)
                if error is not None and number not in inside
            ]
            if not failed:
                return parts
            parts = list(parts)
            for index, error in failed:
                parts[index] = dataclasses.replace(
                    parts[index], why="fails", sqlstate=error.sqlstate
                )
        raise Unusable("what fails depends on what failed before, without end")

    # --- cells -------------------------------------------------------------------------------

    def _group(self, parts: list[_Part], alone: frozenset[str]) -> tuple[list[str], list[Extra]]:
        drawn = random.Random(f"{self._seed} {self._source.name}")
        out: list[str] = []
        extras: list[Extra] = []
        group: list[str] = []
        size = drawn.randint(1, MAX_GROUP)
        for number, part in enumerate(parts):
            # What is shared by a suite's files is one load, however long.
            setting_up = number < self._before
            if not setting_up and len(out) >= self._cap:
                self._left_out["beyond the cap"] += len(parts) - number
                break
            if group and (part.why or part.text in alone):
                out.append(joined(group))
                group = []
            if part.why is None:
                group.append(part.text)
            full = len(group) >= size and not setting_up
            if group and (full or part.text in alone or number == self._before - 1):
                out.append(joined(group))
                group, size = [], drawn.randint(1, MAX_GROUP)
            if part.why in ("refused", "psql's") or part.sqlstate is not None:
                above = part.why == "fails" and bool(out) and drawn.random() < 0.3
                extra = Extra(
                    at=len(out),
                    text=part.text if part.why == "psql's" else joined([part.text]),
                    sqlstate=part.sqlstate,
                    above=above,
                    psql=part.why == "psql's",
                )
                extras.append(extra)
        if group:
            out.append(joined(group))
        return out, extras


def texts(cell: str) -> list[str]:
    """The pieces of a cell, as they were joined."""
    return [piece.text for piece in cutting.cut(cell)]


def go_on(
    oracle: oracles.Oracle, texts: list[str], directory: pathlib.Path
) -> list[oracles.CellOutcome]:
    """The outcomes of all cells, those after one that failed too, in one run of psql.

    Up to and including the first failure they are the oracle's. Raises Unusable.
    """
    try:
        return oracle.through(texts, directory)
    except (AssertionError, UnicodeDecodeError, ValueError, subprocess.TimeoutExpired) as exc:
        raise Unusable(f"psql: {type(exc).__name__} {str(exc)[-200:]}") from exc


def joined(texts: list[str]) -> str:
    """Pieces as one cell."""
    out = []
    for text in texts:
        if text.startswith("\\"):
            end = "\n"
        else:
            end = "\n;\n" if "--" in text.rsplit("\n", 1)[-1] else ";\n"
        out.append(text + end)
    return "".join(out)


def _link(data: pathlib.Path, directory: pathlib.Path) -> None:
    """The data beside the notebook, as `data/`: the product follows no link out of its folder."""
    shutil.copytree(data, directory / "data", ignore=shutil.ignore_patterns("*.sql", "*.out"))
