"""Completion at the cursor: names by what is seen there, keywords by what may stand there. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from pgcellar_kernel import metacommands, variables
from pgcellar_kernel.language import (
    candidates,
    catalog,
    clauses,
    contexts,
    definitions,
    groups,
    scopes,
    tokens,
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The matches, the likeliest first, and what of the text they stand for."""

    matches: tuple[candidates.Match, ...] = ()
    start: int = 0
    end: int = 0

    def reply(self) -> dict[str, Any]:
        """The content of Jupyter's complete_reply."""
        typed = [
            {
                "start": self.start,
                "end": self.end,
                "text": each.text,
                "type": each.kind,
                "signature": each.detail,
            }
            for each in self.matches
        ]
        return {
            "status": "ok",
            "matches": [each.text for each in self.matches],
            "cursor_start": self.start,
            "cursor_end": self.end,
            "metadata": {"_jupyter_types_experimental": typed},
        }


def complete(code: str, cursor: int, known: catalog.Catalog, above: Iterable[str] = ()) -> Answer:
    """What may be written at a cursor; `above` are the texts of the cells above, for variables."""
    place = tokens.around(code, cursor)
    cursor = place.cursor
    if place.inside is not None and place.inside.kind == "meta":
        return _in_command(place, place.inside, known)
    variable = variables.at(place)
    if variable is not None:
        return _variables(place, variable, above)
    if place.inside is not None:
        return Answer(start=cursor, end=cursor)
    known = definitions.after(known, place.above)
    said, statement = contexts.typed(place)
    wanted, root = contexts.wanted(statement, cursor)
    seen = scopes.scope(root, cursor, known)
    maker = candidates.Maker(said, wanted, seen, known, _lower(place, said), root, cursor)
    end = cursor + (said.quoted and code[cursor : cursor + 1] == '"')
    return Answer(matches=tuple(maker.matches()), start=said.start, end=end)


def _lower(place: tokens.Place, said: contexts.Typed) -> bool:
    """Whether keywords are written in lower case here: as the word is, or else the statement."""
    if said.prefix and not said.quoted:
        return said.prefix == said.prefix.lower()
    first = next((each.text for each in place.tokens if each.kind == "word"), "")
    return first == first.lower()


# --- variables and meta-commands -----------------------------------------------------------------


def _variables(place: tokens.Place, begin: int, above: Iterable[str]) -> Answer:
    prefix = place.text[begin : place.cursor]
    here = place.text[max(0, place.cursor - tokens.REACH) : place.cursor]
    found = dict(variables.known((*above, here)))
    matches = tuple(
        candidates.Match(text=name, kind="variable", detail=detail)
        for name, detail in found.items()
        if name.startswith(prefix)
    )
    return Answer(matches=matches[: candidates.MOST], start=begin, end=place.cursor)


def _in_command(place: tokens.Place, command: tokens.Token, known: catalog.Catalog) -> Answer:
    cursor = place.cursor
    typed = place.text[command.start : cursor]
    name, space, rest = typed.partition(" ")
    if not space:
        matches = tuple(
            candidates.Match(text=each, kind="command", detail=about)
            for each, (about, _) in metacommands.COMMANDS.items()
            if each.startswith(name)
        )
        return Answer(matches=matches[: candidates.MOST], start=command.start, end=cursor)
    what = metacommands.argument(name)
    word = re.search(r"[^\s]*\Z", rest)
    begin = cursor - len(word[0] if word is not None else "")
    if name == "\\copy" and len(rest.split()) > (0 if rest.endswith(" ") else 1):
        return Answer(start=cursor, end=cursor)
    kinds: dict[str, tuple[clauses.What, ...]] = {
        "table": ("table", "schema"),
        "view": ("table", "schema"),
        "any": ("table", "schema"),
        "function": ("function", "schema"),
        "type": ("type",),
        "schema": ("schema",),
        "setting": ("setting",),
    }
    if what not in kinds:
        return Answer(start=cursor, end=cursor)
    said, _ = contexts.typed(tokens.around(place.text[begin:cursor], cursor - begin))
    said = dataclasses.replace(said, start=said.start + begin, first=said.first + begin)
    maker = candidates.Maker(
        said,
        clauses.Wanted(whats=kinds[what], loose=False),
        scopes.Scope(levels=(), ctes={}),
        known,
        True,
        groups.Group(0, 0),
        0,
    )
    return Answer(matches=tuple(maker.matches()), start=said.start, end=cursor)
