"""Which command is served by what, read from its letters as psql does."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from pgcellar.runner.describe import (
    access,
    catalog,
    foreign,
    publications,
    relation,
    relations,
    roles,
    routines,
    search,
    server,
    types,
)

Command = Callable[[catalog.Catalog, catalog.Request], Awaitable[catalog.Shown]]


async def _describe(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\d`: alone a list, else what there is of these names."""
    if request.pattern is None:
        return await relations.listed(reader, request)
    return await relation.describe(reader, request)


#: Commands: their names, how they are listed, what serves them, and what they show. `+`, `S` and
#: `x` may follow in any order.
_COMMANDS: tuple[tuple[str, str, Command, str], ...] = (
    (
        r"d(?:[+S][A-Za-z+]*)?",
        "d",
        _describe,
        "relations, or everything about one",
    ),
    (
        r"d[tvmsiE][tvmsiE+Sx]*",
        "dt, \\dv, \\dm, \\ds, \\di, \\dE",
        relations.listed,
        "tables, views, materialized views, sequences, indexes, foreign tables",
    ),
    (
        r"dP[tin+Sx]*",
        "dP",
        relations.partitioned,
        "partitioned tables, indexes (t, i), nested ones (n)",
    ),
    (r"(?:dp|z)", "dp, \\z", relations.privileges, "privileges and policies"),
    (r"ddp", "ddp", relations.default_privileges, "privileges that new objects will have"),
    (r"dd", "dd", publications.descriptions, "comments on what no other command shows them of"),
    (
        r"df[anptw+Sx]*",
        "df",
        routines.functions,
        "functions: aggregates, normal, procedures, triggers",
    ),
    (r"da", "da", routines.aggregates, "aggregates"),
    (r"do", "do", routines.operators, "operators"),
    (r"dy", "dy", routines.event_triggers, "event triggers"),
    (r"sf", "sf", routines.function_source, "a function's definition"),
    (r"sv", "sv", routines.view_source, "a view's definition"),
    (r"dT", "dT", types.data_types, "data types"),
    (r"dD", "dD", types.domains, "domains"),
    (r"dC", "dC", types.casts, "casts"),
    (r"dc", "dc", types.conversions, "conversions"),
    (r"dO", "dO", types.collations, "collations"),
    (r"dn", "dn", server.schemas, "schemas"),
    (r"(?:l|list)", "l", server.databases, "databases"),
    (r"db", "db", server.tablespaces, "tablespaces"),
    (r"dconfig", "dconfig", server.settings, "settings of the server"),
    (r"dx", "dx", server.extensions, "extensions"),
    (r"dL", "dL", server.languages, "procedural languages"),
    (r"(?:dl|lo_list)", "dl", server.large_objects, "large objects"),
    (r"d[ug]", "du, \\dg", roles.roles, "roles"),
    (r"drg", "drg", roles.grants, "which roles are members of which"),
    (r"drds", "drds", roles.settings, "settings that new sessions begin with"),
    (r"dA", "dA", access.methods, "access methods"),
    (r"dAc", "dAc", access.classes, "operator classes"),
    (r"dAf", "dAf", access.families, "operator families"),
    (r"dAo", "dAo", access.operators, "operators of operator families"),
    (r"dAp", "dAp", access.functions, "support functions of operator families"),
    (r"dF", "dF", search.configurations, "text search configurations"),
    (r"dFd", "dFd", search.dictionaries, "text search dictionaries"),
    (r"dFp", "dFp", search.parsers, "text search parsers"),
    (r"dFt", "dFt", search.templates, "text search templates"),
    (r"des", "des", foreign.servers, "foreign servers"),
    (r"det", "det", foreign.tables, "foreign tables"),
    (r"deu", "deu", foreign.mappings, "user mappings"),
    (r"dew", "dew", foreign.wrappers, "foreign-data wrappers"),
    (r"dRp", "dRp", publications.publications, "publications"),
    (r"dRs", "dRs", publications.subscriptions, "subscriptions"),
    (r"dX", "dX", publications.statistics, "extended statistics"),
)
_COMPILED = tuple(
    (re.compile(name if name.endswith(("*", "?")) else f"{name}[+Sx]*"), command)
    for name, _, command, _ in _COMMANDS
)
#: Those that take more than one argument, and how many.
_ARGUMENTS = (("dconfig", 1), ("drds", 2), ("dA", 2), ("df", 101), ("do", 3))


def find(name: str) -> Command | None:
    """What serves a command; the name is without its backslash, modifiers are part of it."""
    for compiled, command in _COMPILED:
        if compiled.fullmatch(name):
            return command
    return None


def arguments(name: str) -> int:
    """How many arguments a command takes."""
    for start, most in _ARGUMENTS:
        if name.startswith(start):
            return most
    return 1


def described() -> list[tuple[str, str]]:
    """The commands and what each shows, for people."""
    return [(f"\\{shown} [PATTERN]", text) for _, shown, _, text in _COMMANDS]
