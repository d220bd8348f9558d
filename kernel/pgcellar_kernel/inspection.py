"""Inspection of the words at the cursor: what they name, or the syntax of their command. Pure."""

from __future__ import annotations

import re

from pgcellar.api import catalogs, names
from pgcellar_kernel import metacommands, sheets
from pgcellar_kernel.language import catalog, definitions, groups, scopes, tokens

#: Characters before and behind the cursor that are looked through, more than any command's name.
AROUND = 128
#: No command's name has more words.
MOST_WORDS = 4
_WORD = re.compile(r'(?<![\w"$])[A-Za-z]+(?![\w"$])')
#: Words that stand within a command's name, and belong to its syntax but not to the name.
_WITHIN = frozenset({"OR", "REPLACE", "GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED", "UNIQUE"})
#: What the texts call by other names than SQL does.
_CALLED = {
    "INSERT INTO": "INSERT",
    "DELETE FROM": "DELETE",
    "OPERATOR CLASS": "OPCLASS",
    "OPERATOR FAMILY": "OPFAMILY",
    "TEXT SEARCH CONFIGURATION": "TSCONFIG",
    "TEXT SEARCH DICTIONARY": "TSDICTIONARY",
    "TEXT SEARCH PARSER": "TSPARSER",
    "TEXT SEARCH TEMPLATE": "TSTEMPLATE",
}


def inspect(code: str, cursor: int, known: catalog.Catalog) -> dict[str, str]:
    """What the word at the cursor means, by MIME type; empty where it means nothing known."""
    place = tokens.around(code, cursor)
    if place.inside is not None:
        return _command(place.inside)
    known = definitions.after(known, place.above)
    written, calls, at = _written(place)
    if not written:
        return {}
    reserved = known.words.keywords.get(written[-1], "U") == "R" and len(written) == 1
    if reserved and place.text[at : at + 1] != '"' and (found := syntax(code, cursor)):
        return {"text/plain": found}
    seen = scopes.scope(groups.tree(place.tokens), at, known)
    sheet = _named(written, calls, seen, known)
    if sheet is not None:
        return sheet.data()
    found = syntax(code, cursor)
    return {} if found is None else {"text/plain": found}


def _written(place: tokens.Place) -> tuple[tuple[str, ...], bool, int]:
    """The name up to the word at the cursor, whether it is called, and where the word begins.

    In the brackets of a call, behind no word, it is what is called.
    """
    found, cursor = place.tokens, place.cursor
    at = _name_at(found, cursor)
    if at is None:
        chain = groups.chain(groups.tree(found), cursor)
        if len(chain) < 2:
            return (), False, cursor
        at = _name_at(found, chain[-1].start - 1)
        if at is None:
            return (), False, cursor
    parts = [found[at].identifier or ""]
    first = at
    while first > 1 and found[first - 1].text == "." and found[first - 2].identifier is not None:
        first -= 2
        parts.insert(0, found[first].identifier or "")
    calls = at + 1 < len(found) and found[at + 1].text == "("
    return tuple(parts), calls, found[at].start


def _name_at(found: tuple[tokens.Token, ...], cursor: int) -> int | None:
    hits = [
        index
        for index, token in enumerate(found)
        if token.start <= cursor <= token.end and token.identifier is not None
    ]
    return hits[0] if hits else None


def _named(
    written: tuple[str, ...], calls: bool, seen: scopes.Scope, known: catalog.Catalog
) -> sheets.Sheet | None:
    """What is known of a name where these tables are seen."""
    routines = known.routine(written)
    if calls and routines:
        return _routines(routines)
    if len(written) == 1:
        source = seen.source(written[0])
        if source is not None:
            return _source(source)
    column = _column_of(written, seen, known)
    if column is not None:
        return column
    relation = known.relation(written)
    if relation is not None:
        return _relation(relation)
    if routines:
        return _routines(routines)
    found = known.type(written)
    if found is not None:
        return _type(found)
    setting = known.words.settings.get(".".join(written))
    if setting is not None:
        about = tuple(each for each in (setting.comment, ", ".join(setting.values)) if each)
        return sheets.Sheet(title=f"{setting.name}: setting, {setting.type}", about=about)
    if len(written) == 1 and written[0] in known.schemas:
        return _schema(written[0], known)
    return None


def _column_of(
    written: tuple[str, ...], seen: scopes.Scope, known: catalog.Catalog
) -> sheets.Sheet | None:
    sources = list(seen.sources)
    if seen.target is not None:
        sources.append(seen.target)
    for source in sources:
        if len(written) > 1 and source.alias != written[-2]:
            continue
        for column in source.columns:
            if column.name == written[-1]:
                return _column(column, source.relation, source.alias)
    relation = known.relation(written[:-1]) if len(written) > 1 else None
    for column in relation.columns if relation is not None else ():
        if column.name == written[-1]:
            return _column(column, relation, "")
    return None


def _column(
    column: catalogs.ColumnInfo, relation: catalogs.RelationInfo | None, alias: str
) -> sheets.Sheet:
    of = f"{relation.schema}.{relation.name}" if relation is not None else alias
    about = [", ".join([column.type, *_properties(column)]).strip(", ")]
    if column.comment:
        about.append(column.comment)
    parts = relation.parts if relation is not None else ()
    lines = tuple(_part(part) for part in parts if column.name in part.columns)
    return sheets.Sheet(
        title=f"{column.name}: column of {of}" if of else f"{column.name}: column",
        about=tuple(each for each in about if each),
        code=lines,
    )


def _part(part: catalogs.PartInfo) -> str:
    named = part.name and not part.definition.startswith("CREATE")
    return f"{part.name}: {part.definition}" if named else part.definition


def _properties(column: catalogs.ColumnInfo) -> list[str]:
    found = [] if column.nullable else ["not null"]
    if column.default is not None:
        found.append(f"default {column.default}")
    if column.identity is not None:
        found.append(f"generated {column.identity} as identity")
    if column.generated is not None:
        found.append(f"generated always as ({column.generated})")
    return found


def _source(source: scopes.Source) -> sheets.Sheet:
    if source.relation is not None:
        return _relation(source.relation)
    return sheets.Sheet(
        title=f"{source.alias}: {source.kind}",
        header=("column", "type"),
        rows=tuple((column.name, column.type) for column in source.columns),
    )


def _relation(relation: catalogs.RelationInfo) -> sheets.Sheet:
    title = f"{relation.schema}.{relation.name}: {relation.kind}"
    if relation.rows is not None:
        title += f", about {relation.rows:,} rows"
    about = [relation.comment] if relation.comment else []
    about += [f"{name}: {value}" for name, value in relation.options.items()]
    return sheets.Sheet(
        title=title,
        about=tuple(about),
        header=("column", "type", "", "comment"),
        rows=tuple(
            (column.name, column.type, " ".join(_properties(column)), column.comment or "")
            for column in relation.columns
        ),
        code=(
            *(_part(part) for part in relation.parts),
            *([relation.definition] if relation.definition else ()),
        ),
    )


def _routines(found: tuple[names.RoutineInfo, ...]) -> sheets.Sheet:
    first = found[0]
    return sheets.Sheet(
        title=f"{first.schema}.{first.name}: {first.kind}",
        about=tuple(dict.fromkeys(each.comment for each in found if each.comment)),
        code=tuple(
            f"{each.name}({each.arguments})" + (f" → {each.returns}" if each.returns else "")
            for each in found
        ),
    )


def _type(found: names.TypeInfo) -> sheets.Sheet:
    details = (found.comment, found.definition, ", ".join(found.labels))
    return sheets.Sheet(
        title=f"{found.schema}.{found.name}: {found.kind}",
        about=tuple(each for each in details if each),
    )


def _schema(name: str, known: catalog.Catalog) -> sheets.Sheet:
    found = sorted((each.name, each.kind) for each in known.all_relations() if each.schema == name)
    return sheets.Sheet(title=f"{name}: schema", header=("name", "kind"), rows=tuple(found))


def _command(token: tokens.Token) -> dict[str, str]:
    """A meta-command; of a literal or a comment there is nothing to say."""
    name = token.text.split()[0] if token.kind == "meta" else ""
    found = metacommands.COMMANDS.get(name)
    return {} if found is None else {"text/plain": f"{name}: {found[0]}"}


def syntax(code: str, cursor: int) -> str | None:
    """The syntax of the longest command's name around the cursor, or None if there is none.

    `cursor` counts characters of `code`; a word it stands at the end of is one it stands on.
    """
    words, at = _around(code, cursor)
    if at is None:
        return None
    for length in range(min(len(words), MOST_WORDS), 0, -1):
        for first in range(max(0, at - length + 1), min(at, len(words) - length) + 1):
            known = _known(" ".join(words[first : first + length]))
            if known is not None:
                return known
    return None


def _around(code: str, cursor: int) -> tuple[list[str], int | None]:
    """The words around the cursor without those within names, and which of them it stands on."""
    first = max(0, cursor - AROUND)
    begin = code.rfind(";", first, cursor) + 1 or first
    end = code.find(";", cursor, cursor + AROUND)
    words: list[str] = []
    at = None
    for match in _WORD.finditer(code, begin, cursor + AROUND if end < 0 else end):
        word = match[0].upper()
        if word in _WITHIN:
            continue
        if match.start() <= cursor <= match.end():
            at = len(words)
        words.append(word)
    return words, at


def _known(name: str) -> str | None:
    # Not needed before somebody asks, and a sixth of a second to import.
    from pgspecial.help import commands

    for called, instead in _CALLED.items():
        name = name.replace(called, instead)
    found = commands.helpcommands.get(name)
    return None if found is None else str(found["synopsis"]).strip()
