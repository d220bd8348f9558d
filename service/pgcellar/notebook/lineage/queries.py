"""What queries and expressions use, read off PostgreSQL's own parse tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pgcellar.notebook.lineage import functions
from pgcellar.notebook.lineage.objects import (
    CATALOG,
    EVERYTHING,
    RANDOM_USES,
    SESSION,
    SESSION_CHANGED,
    Mode,
    Node,
    Ref,
    Use,
    Uses,
    linked,
    literal_of,
    parsed_name,
    ref_of,
    relation,
    strings,
)

_SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})
#: Columns that tell of more than the row's table.
_SYSTEM_COLUMNS = frozenset({"xmin", "xmax", "cmin", "cmax", "tableoid"})
SERIAL = frozenset({"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"})
_TARGETS = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_BUILT_IN_TYPE_NAMES = """
text date json jsonb uuid bytea money inet cidr macaddr xml name point line box path polygon
circle tsvector tsquery int2 int4 int8 float4 float8 bool bpchar varchar numeric timestamptz
timetz timestamp time interval int4range int8range numrange tsrange tstzrange daterange record
void trigger anyelement anyarray char bit varbit lseg jsonpath event_trigger refcursor
"""
_BUILT_IN_TYPES = frozenset(_BUILT_IN_TYPE_NAMES.split())


def collect(tree: Any) -> frozenset[Use]:
    """What a part of a tree uses when it is run."""
    found: set[Use] = set()
    stack: list[tuple[str, Any, frozenset[str]]] = [("", tree, frozenset())]
    while stack:
        key, value, scope = stack.pop()
        if isinstance(value, list):
            stack.extend((key, child, scope) for child in value)
        elif isinstance(value, dict):
            if "withClause" in value:
                inner = scope | {_cte_name(cte) for cte in value["withClause"]["ctes"]}
                stack += _ctes(value["withClause"], scope, inner)
                scope = inner
            skip = _node(key, value, scope, found)
            stack.extend((k, v, scope) for k, v in value.items() if k not in skip)
    return frozenset(found)


def _cte_name(cte: Node) -> str:
    return str(cte["CommonTableExpr"]["ctename"])


def _ctes(
    clause: Node, outer: frozenset[str], inner: frozenset[str]
) -> Iterator[tuple[str, Any, frozenset[str]]]:
    """The queries of a WITH, each with the names it sees: without RECURSIVE, those above it."""
    for cte in clause["ctes"]:
        query = {k: v for k, v in cte["CommonTableExpr"].items() if k != "ctename"}
        yield "CommonTableExpr", query, inner if clause.get("recursive") else outer
        outer |= {_cte_name(cte)}


def _node(key: str, node: Node, scope: frozenset[str], found: set[Use]) -> tuple[str, ...]:
    """Add what this node itself uses; the members that were dealt with."""
    if key in _TARGETS:
        found.add(Use(ref=relation(node["relation"]), mode=_target_mode(key, node)))
        return ("relation", "withClause")
    if "relname" in node:
        _named_relation(node, scope, found)
    elif key == "FuncCall" or key == "funccall":
        return _called(node, found)
    elif "names" in node and "typemod" in node:
        _type(node, found)
    elif "objname" in node:
        found.add(Use(ref=ref_of(node["objname"]), mode=Mode.REFER, kind="function", guess=True))
    elif key in ("ColumnRef", "A_Indirection"):
        _fields(node, found)
    elif key in ("into", "intoClause") and "rel" in node:
        found.add(Use(ref=relation(node["rel"]), mode=Mode.DEFINE, verb="create"))
        return ("rel",)
    elif key == "ExecuteStmt":
        found.add(Use(ref=Ref(name=node["name"]), kind="other", call=True))
    elif key == "RangeTableSample":
        found.update(RANDOM_USES)
    elif key == "CurrentOfExpr" and "cursor_name" in node:
        found.add(Use(ref=Ref(name=node["cursor_name"]), kind="other"))
    elif "rolename" in node:
        found.add(Use(ref=Ref(name=node["rolename"]), kind="other"))
    elif key == "VariableSetStmt":
        found.update(use for use in setting(node).uses if use.ref != SESSION)
    return ("withClause",)


def _target_mode(key: str, node: Node) -> Mode:
    plain = node.get("onConflictClause", {}).get("action") != "ONCONFLICT_UPDATE"
    return Mode.INSERT if key == "InsertStmt" and plain else Mode.CHANGE


def _named_relation(node: Node, scope: frozenset[str], found: set[Use]) -> None:
    ref = relation(node)
    if not ref.schema and ref.name in scope:
        return
    found.add(Use(ref=ref))
    if ref.schema:
        found.add(Use(ref=Ref(name=ref.schema), kind="other", guess=True))
    if ref.schema in _SYSTEM_SCHEMAS or ref.name.startswith("pg_"):
        found.add(CATALOG)


def _called(node: Node, found: set[Use]) -> tuple[str, ...]:
    ref = ref_of(node["funcname"])
    literal = literal_of((node.get("args") or [{}])[0])
    effect = functions.effect(ref.name)
    found.update(calls(ref, literal))
    # The cast to regclass in nextval('s'::regclass) shows no catalog.
    return ("args",) if effect in ("advances", "current") and literal is not None else ()


def calls(ref: Ref, literal: str | None) -> Iterator[Use]:
    """What a call of the function uses; `literal` is its first argument, if that is a literal."""
    effect = functions.effect(ref.name)
    yield Use(ref=ref, kind="function", call=effect == "unknown", guess=effect != "unknown")
    if ref.schema and ref.schema not in _SYSTEM_SCHEMAS:
        yield Use(ref=Ref(name=ref.schema), kind="other", guess=True)
    if effect == "catalog":
        yield CATALOG
    elif effect == "random":
        yield from RANDOM_USES
    elif effect == "session":
        yield SESSION_CHANGED
        # setseed() is for random(), any setting may name a schema or a role.
        yield from RANDOM_USES
    elif effect in ("advances", "current"):
        named = parsed_name(literal)
        if named is None:
            yield from EVERYTHING
        else:
            yield Use(ref=named, mode=Mode.CHANGE if effect == "advances" else Mode.READ)


def _type(node: Node, found: set[Use]) -> None:
    ref = ref_of(node["names"])
    if ref.name.startswith("reg") or ref.name == "oid":
        found.add(CATALOG)
    if not (ref.schema == "pg_catalog" or (not ref.schema and _known_type(ref.name))):
        found.add(Use(ref=ref, kind="type"))
    if ref.schema and ref.schema not in _SYSTEM_SCHEMAS:
        found.add(Use(ref=Ref(name=ref.schema), kind="other", guess=True))


def _fields(node: Node, found: set[Use]) -> None:
    """`x.f` may be a call of f, and a system column tells of other tables."""
    names = strings(node.get("fields") or node.get("indirection") or ())
    if len(names) > 1 or "indirection" in node:
        found.update(Use(ref=Ref(name=name), kind="function", guess=True) for name in names)
    if names and names[-1] in _SYSTEM_COLUMNS:
        found.add(CATALOG)


def _known_type(name: str) -> bool:
    """Whether an unqualified name is surely that of a built-in type: its schema comes first."""
    return name in _BUILT_IN_TYPES or name in SERIAL


def setting(node: Node) -> Uses:
    """SET: what it names (a schema, a role) decides what the statements below mean."""
    named = [literal_of(argument) for argument in node.get("args", ())]
    words = {word for text in named if text for word in re.split(r"[,\s\"]+", text) if word}
    uses = {Use(ref=Ref(name=word), kind="other", guess=True) for word in words}
    own = uses | {SESSION_CHANGED}
    return Uses(uses=frozenset(own), links=linked(SESSION, uses))
