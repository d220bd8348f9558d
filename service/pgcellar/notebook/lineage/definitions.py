"""Statements that define, change or drop objects, but for tables and functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from pgcellar.notebook.lineage.objects import (
    OPAQUE,
    SESSION,
    SESSION_CHANGED,
    SPECIAL,
    Handler,
    Kind,
    Mode,
    Node,
    Ref,
    Use,
    Uses,
    alias,
    define,
    found_in,
    in_schema,
    linked,
    made,
    ref_of,
    referred,
    relation,
)
from pgcellar.notebook.lineage.queries import collect

_DROPPED: dict[str, Kind] = {
    "TABLE": "relation",
    "VIEW": "relation",
    "MATVIEW": "relation",
    "INDEX": "relation",
    "SEQUENCE": "relation",
    "TYPE": "type",
    "DOMAIN": "type",
    "FUNCTION": "function",
    "PROCEDURE": "function",
    "ROUTINE": "function",
    "AGGREGATE": "function",
}


def _view(node: Node) -> Uses:
    ref = relation(node["view"])
    uses = collect(node["query"])
    view = made(ref, uses)
    # Of a simple view, or by its triggers.
    written = linked(ref, [u for u in uses if u.kind == "relation"], Mode.INSERT, same=True)
    return dataclasses.replace(view, links=view.links + written)


def _create_table_as(node: Node) -> Uses:
    uses = collect(node)
    if node.get("objtype") != "OBJECT_MATVIEW":
        return Uses(uses=uses)
    ref = relation(node["into"]["rel"])
    inner = collect(node["query"])
    refresh = linked(ref, inner, Mode.CHANGE)
    return Uses(uses=uses | referred(inner), links=refresh + linked(ref, _without_calls(inner)))


def _without_calls(uses: Iterable[Use]) -> frozenset[Use]:
    """What is stored with its result is not run again when that is read."""
    stored = [use for use in uses if use.ref not in SPECIAL]
    read = {use for use in stored if use.mode is Mode.READ and use.kind == "relation"}
    return referred(set(stored) - read) | read


def _type_made(node: Node) -> Uses:
    if "typevar" in node:
        ref = relation(node["typevar"])
    else:
        ref = ref_of(node.get("domainname") or node["typeName"])
    rest = {k: v for k, v in node.items() if k not in ("domainname", "typevar")}
    return made(ref, collect(rest), "type")


def _type_altered(node: Node) -> Uses:
    ref = ref_of(node["typeName"])
    inner = collect(node.get("def", {}))
    own = inner | referred(inner) | {define(ref, "alter", "type")}
    return Uses(uses=own, links=linked(ref, inner))


def _hidden(node: Node) -> Uses:
    """A cast, an operator or the like: statements use it without naming it."""
    inner = set(collect(node))
    for use in list(inner):
        # A function may stand where the grammar has a type (function = f).
        inner.add(Use(ref=use.ref, kind="function", guess=True))
    uses = {
        use._replace(call=False, mode=Mode.READ) if use.mode is Mode.REFER else use for use in inner
    }
    for name in ("defnames", "funcname"):
        if name in node:
            uses.add(Use(ref=ref_of(node[name]), kind="function", guess=True))
    own = referred(uses) | {SESSION_CHANGED}
    return Uses(uses=own, links=linked(SESSION, uses))


def _defined(node: Node) -> Uses:
    if node["kind"] != "OBJECT_AGGREGATE":
        return _hidden(node)
    ref = ref_of(node["defnames"])
    inner = set(collect({k: v for k, v in node.items() if k != "defnames"}))
    inner |= {Use(ref=use.ref, kind="function", guess=True) for use in inner}
    return made(ref, frozenset(inner), "function")


def _schema(node: Node) -> Uses:
    if node.get("schemaElts"):
        return OPAQUE
    role = node.get("authrole", {}).get("rolename", "")
    name = node.get("schemaname") or role
    if not name:
        return OPAQUE
    own = {define(Ref(name=name), "create", "other")}
    if role:
        own.add(Use(ref=Ref(name=role), mode=Mode.REFER, kind="other"))
    return Uses(uses=frozenset(own))


def _altered(node: Node) -> Uses:
    """ALTER of an object that is named in one of the usual members."""
    if "func" in node:
        return Uses(uses=frozenset({define(ref_of(node["func"]["objname"]), "alter", "function")}))
    kind = node["objectType"].removeprefix("OBJECT_")
    if kind not in _DROPPED:
        return OPAQUE
    ref = relation(node["relation"]) if "relation" in node else _object(node["object"])
    return Uses(uses=frozenset({define(ref, "alter", _DROPPED[kind])}))


def _drop(node: Node) -> Uses:
    kind = node["removeType"].removeprefix("OBJECT_")
    if kind in ("TRIGGER", "RULE", "POLICY"):
        tables = [ref_of(item["List"]["items"][:-1]) for item in node["objects"]]
        return Uses(uses=frozenset(define(table, "alter") for table in tables))
    if kind not in _DROPPED:
        return OPAQUE
    refs = [_object(item) for item in node["objects"]]
    named = {define(ref, "drop", _DROPPED[kind]) for ref in refs}
    return Uses(uses=frozenset(named).union(*map(in_schema, refs)))


def _object(item: Node) -> Ref:
    """The name of an object in DROP, GRANT, RENAME and the like. Raises KeyError for others."""
    if "ObjectWithArgs" in item:
        return ref_of(item["ObjectWithArgs"]["objname"])
    if "TypeName" in item:
        return ref_of(item["TypeName"]["names"])
    if "RangeVar" in item:
        return relation(item["RangeVar"])
    return ref_of(item["List"]["items"])


def _rename(node: Node) -> Uses:
    kind = node["renameType"].removeprefix("OBJECT_")
    if kind in ("COLUMN", "ATTRIBUTE", "TABCONSTRAINT", "TRIGGER", "RULE", "POLICY"):
        return Uses(uses=frozenset({define(relation(node["relation"]), "alter")}))
    if kind not in _DROPPED:
        return OPAQUE
    old = relation(node["relation"]) if "relation" in node else _object(node["object"])
    new = Ref(schema=old.schema, name=node["newname"])
    own = {define(old, "alter", _DROPPED[kind]), define(new, "create", _DROPPED[kind])}
    return Uses(uses=frozenset(own), links=alias(old, new, _DROPPED[kind]))


def _set_schema(node: Node) -> Uses:
    kind = node["objectType"].removeprefix("OBJECT_")
    if kind not in _DROPPED:
        return OPAQUE
    old = relation(node["relation"]) if "relation" in node else _object(node["object"])
    new = Ref(schema=node["newschema"], name=old.name)
    own = {
        define(old, "alter", _DROPPED[kind]),
        define(new, "create", _DROPPED[kind]),
        *in_schema(new),
    }
    return Uses(uses=frozenset(own), links=alias(old, new, _DROPPED[kind]))


def _grant(node: Node) -> Uses:
    kind = node["objtype"].removeprefix("OBJECT_")
    if node.get("targtype") != "ACL_TARGET_OBJECT" or kind not in _DROPPED:
        return OPAQUE
    own = {define(_object(item), "alter", _DROPPED[kind]) for item in node["objects"]}
    return Uses(uses=referred(collect(node.get("grantees", []))) | own)


def _comment(node: Node) -> Uses:
    """A comment shows in the catalog alone."""
    names = {part.get("sval", "") for part in found_in(node["object"], "String")} - {""}
    if not names:
        return OPAQUE
    return Uses(
        uses=frozenset(Use(ref=Ref(name=name), mode=Mode.REFER, guess=True) for name in names)
    )


HANDLERS: dict[str, Handler] = {
    "AlterDomainStmt": _type_altered,
    "AlterEnumStmt": _type_altered,
    "AlterFunctionStmt": _altered,
    "AlterObjectSchemaStmt": _set_schema,
    "AlterOwnerStmt": _altered,
    "CommentStmt": _comment,
    "CompositeTypeStmt": _type_made,
    "CreateCastStmt": _hidden,
    "CreateDomainStmt": _type_made,
    "CreateEnumStmt": _type_made,
    "CreateEventTrigStmt": _hidden,
    "CreateOpClassStmt": _hidden,
    "CreateRangeStmt": _type_made,
    "CreateSchemaStmt": _schema,
    "CreateTableAsStmt": _create_table_as,
    "DefineStmt": _defined,
    "DropStmt": _drop,
    "GrantStmt": _grant,
    "RenameStmt": _rename,
    "ViewStmt": _view,
}
