"""psql's patterns for names: shell's wildcards, SQL's quotes and dots, a regular expression inside.

Outside of double quotes letters are folded to lower case, `*` and `?` stand for any characters and
any one, a dot separates a schema or database, and what else regular expressions know works. Inside
of quotes every character stands for itself. A dollar sign always does, as names may have one. Pure.
"""

from __future__ import annotations

import dataclasses

from pgcellar.api import errors, records
from pgcellar.notebook import databases
from pgcellar.runner import connections

_SPECIAL = frozenset("|*+?()[]{}.^$\\")
_WILD = {"*": ".*", "?": "."}
_ANY = "^(.*)$"
#: Schema and database besides the name.
_MOST = 3
_ASCII_UPPER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """A pattern taken apart: regular expressions, and the database as it is meant."""

    name: str
    schema: str | None = None
    database: str | None = None
    dots: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a pattern is matched with: SQL expressions of the name, another name, and the schema.

    `visible` says whether the name is found without its schema. `parts`: how many names a pattern
    may consist of. `dotted`: where dots separate nothing.
    """

    name: str
    schema: str | None = None
    visible: str | None = None
    other: str | None = None
    parts: int = 1
    dotted: bool = False

    def conditions(self, text: str | None, database: str) -> list[str]:
        """SQL conditions on what the pattern `text` matches; None is no pattern.

        Raises StatementFailed for more names than there can be, and other databases.
        """
        if text is None:
            return [self.visible] if self.visible else []
        found = parse(text, parts=_MOST if self.schema else 1)
        if found.dots >= self.parts and not self.dotted:
            raise _refused(f"improper qualified name (too many dotted names): {text}")
        if found.dots and found.dots == self.parts - 1 and not _same(found.database, database):
            raise _refused(f"cross-database references are not implemented: {text}")
        out = []
        if found.name != _ANY:
            names = [_matches(name, found.name) for name in (self.name, self.other) if name]
            out.append(f"({' or '.join(names)})")
        if found.schema is None:
            out += [self.visible] if self.visible else []
        elif found.schema != _ANY and self.schema:
            out.append(_matches(self.schema, found.schema))
        return out


def parse(text: str, *, parts: int = _MOST) -> Pattern:
    """Take a pattern apart; a dot beyond the last of `parts` belongs to the name."""
    found: list[list[str]] = [[]]
    literal: list[str] = []
    database: str | None = None
    quoted = False
    dots = position = 0
    while position < len(text):
        character = text[position]
        following = text[position + 1 : position + 2]
        position += 1
        if character == '"' and quoted and following == '"':
            position += 1
        elif character == '"':
            quoted = not quoted
            continue
        elif character == "." and not quoted:
            dots += 1
            if len(found) < parts:
                if len(found) == parts - 2:
                    database = "".join(literal)
                found.append([])
                continue
        elif character in _WILD and not quoted:
            found[-1].append(_WILD[character])
            literal.append(character)
            continue
        if not quoted and character in _ASCII_UPPER:
            character = character.lower()
        literal.append(character)
        if character == "$" or (quoted and character in _SPECIAL):
            character = f"\\{character}"
        elif character == "[" and following == "]":
            # An array's type rather than a set of characters.
            position += 1
            character = "\\[\\]"
        found[-1].append(character)
    names = [f"^({''.join(part)})$" for part in found]
    return Pattern(
        name=names[-1],
        schema=names[-2] if len(names) > 1 else None,
        database=database if len(names) == _MOST else None,
        dots=dots,
    )


def _same(named: str | None, database: str) -> bool:
    """Whether a database is meant; a notebook's goes by all names that it has ever had."""
    if named is not None and databases.is_own(named) and databases.is_own(database):
        return True
    return named == database


def literal(text: str) -> str:
    """A string as SQL, whatever standard_conforming_strings says."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _matches(expression: str, regex: str) -> str:
    # Names have the collation C, in which a letter beyond ASCII is none.
    return f"{expression} ~ {literal(regex)} collate pg_catalog.default"


def _refused(message: str) -> connections.StatementFailed:
    return connections.StatementFailed(
        records.SqlError(sqlstate=errors.Unsupported.code, message=message)
    )
