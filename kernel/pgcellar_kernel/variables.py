"""psql's variables in a cell: where one is being written, and which there are. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pgcellar_kernel.language import tokens

#: Characters of a cell that are looked through for variables.
MAX_TEXT = 100_000
_SET = re.compile(r"\\(?:set|prompt(?:\s+'[^'\n]*')?)\s+(\w+)")
_GSET = re.compile(r"\\gset[ \t]*(\w*)")
_AS = re.compile(r"\bas\s+(\w+)", re.IGNORECASE)
#: Variables that psql itself sets, of which a notebook has use.
_SPECIAL = ("ROW_COUNT", "ERROR", "SQLSTATE", "LAST_ERROR_MESSAGE", "DBNAME", "USER", "ENCODING",
            "SERVER_VERSION_NUM", "SERVER_VERSION_NAME", "ON_ERROR_STOP", "AUTOCOMMIT")  # fmt: skip


def at(place: tokens.Place) -> int | None:
    """Where the name of a variable begins that the cursor stands in; None if it does in none."""
    token = next((each for each in place.tokens if each.start < place.cursor <= each.end), None)
    if token is None:
        return None
    if token.kind == "variable":
        begin = token.start + 1
        return min(begin + (place.text[begin] in "'\""), place.cursor)
    # Not in a slice of an array: `a[1:`.
    before = place.text[token.start - 1 : token.start] if token.start else ""
    alone = token.text == ":" and not (before.isalnum() or before in ("]", ")", "_", ":"))
    return place.cursor if alone else None


def known(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The variables that texts set, and psql's own: name, and where it comes from."""
    for text in texts:
        text = text[-MAX_TEXT:]
        for match in _SET.finditer(text):
            yield match[1], "variable"
        begin = 0
        for sent in _GSET.finditer(text):
            # The query begins somewhere above; names that no query gives do no harm.
            for match in _AS.finditer(text, begin, sent.start()):
                yield sent[1] + match[1], "from \\gset"
            begin = sent.end()
    for name in _SPECIAL:
        yield name, "psql's own"
