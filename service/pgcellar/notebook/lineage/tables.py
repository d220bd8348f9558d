"""Tables and what hangs on them: columns, keys, sequences, indexes, triggers, rules, policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pgcellar.notebook.lineage.objects import (
    ANYTHING,
    Handler,
    Link,
    Mode,
    Node,
    Ref,
    Use,
    Uses,
    Verb,
    alias,
    define,
    found_in,
    in_schema,
    linked,
    ref_of,
    referred,
    relation,
    strings,
)
from pgcellar.notebook.lineage.queries import SERIAL, collect

#: An identifier is cut after this many bytes, and so the name made of two would be another.
_MAX_NAME = 63
#: ON DELETE or ON UPDATE: CASCADE, SET NULL, SET DEFAULT.
_FK_WRITES = frozenset({"c", "n", "d"})


def _create_table(node: Node) -> Uses:
    ref = relation(node["relation"])
    elements = node.get("tableElts") or []
    rest = {k: v for k, v in node.items() if k not in ("relation", "inhRelations")}
    parts = _table_parts(ref, elements, rest)
    parents = [relation(parent["RangeVar"]) for parent in node.get("inhRelations") or ()]
    own = {define(ref, "create"), *in_schema(ref), *referred(parts.uses)}
    own |= {use for use in parts.uses if use.mode is Mode.DEFINE}
    own |= {Use(ref=parent, mode=Mode.REFER) for parent in parents}
    links = [link for parent in parents for link in linked(parent, [Use(ref=ref)], same=True)]
    names = tuple(e["ColumnDef"]["colname"] for e in elements if "ColumnDef" in e)
    known = not parents and not any("TableLikeClause" in e for e in elements)
    return Uses(
        uses=frozenset(own),
        links=(*links, *parts.links),
        columns=((ref, names),) if known else (),
    )


def _table_parts(ref: Ref, elements: Iterable[Node], rest: Any) -> Uses:
    """Columns and constraints of a table: what they use when rows are written."""
    uses = set(collect(rest))
    links: list[Link] = []
    for constraint in found_in(rest, "Constraint"):
        if constraint.get("contype") == "CONSTR_FOREIGN":
            links += _foreign_key(ref, constraint)
            uses.discard(Use(ref=relation(constraint["pktable"])))
            uses.add(Use(ref=relation(constraint["pktable"]), mode=Mode.REFER))
    for use in uses:
        if use.mode is not Mode.REFER:
            links.append(Link(of=ref, to=use, low=Mode.INSERT))
        if use.kind in ("type", "function") or use.ref == ANYTHING:
            # Reading shows the values of a type; a function that goes may take its column along.
            links += linked(ref, [use] if use.kind == "type" else referred([use]))
    for column in [e["ColumnDef"] for e in elements if "ColumnDef" in e]:
        for sequence in _sequences(ref, column):
            uses.add(define(sequence, "create"))
            links.append(Link(of=ref, to=Use(ref=sequence, mode=Mode.CHANGE), low=Mode.INSERT))
            links.append(Link(of=sequence, to=Use(ref=ref, mode=Mode.REFER)))
    return Uses(uses=frozenset(uses), links=tuple(links))


def _foreign_key(ref: Ref, constraint: Node) -> Iterator[Link]:
    target = relation(constraint["pktable"])
    actions = {constraint.get("fk_del_action"), constraint.get("fk_upd_action")}
    mode = Mode.CHANGE if actions & _FK_WRITES else Mode.READ
    yield Link(of=ref, to=Use(ref=target), low=Mode.INSERT)
    yield Link(of=target, to=Use(ref=ref, mode=mode), low=Mode.CHANGE)


def _sequences(table: Ref, column: Node) -> Iterator[Ref]:
    """The sequences that a serial or identity column brings."""
    kinds = [c["Constraint"] for c in column.get("constraints") or () if "Constraint" in c]
    identity = [c for c in kinds if c.get("contype") == "CONSTR_IDENTITY"]
    serial = ref_of(column["typeName"]["names"]).name in SERIAL if "typeName" in column else False
    if not identity and not serial:
        return
    for option in found_in(identity, "DefElem"):
        if option.get("defname") == "sequence_name":
            yield ref_of(option["arg"]["List"]["items"])
    name = f"{table.name}_{column['colname']}_seq"
    if len(name.encode()) <= _MAX_NAME:
        yield Ref(schema=table.schema, name=name)


def _alter_table(node: Node) -> Uses:
    ref = relation(node["relation"])
    commands = [command["AlterTableCmd"] for command in node["cmds"]]
    elements = [c["def"] for c in commands if "def" in c]
    parts = _table_parts(ref, elements, commands)
    own = {
        *parts.uses,
        *referred(parts.uses),
        define(ref, "alter"),
        Use(ref=ref, mode=Mode.CHANGE),
        *in_schema(ref),
    }
    links = list(parts.links)
    for command in commands:
        other = command.get("def", {})
        other = other.get("PartitionCmd", {}).get("name") or other.get("RangeVar")
        if other:
            # A partition or a child comes or goes.
            links += alias(ref, relation(other))
            own.add(define(relation(other), "alter"))
    return Uses(uses=frozenset(own), links=tuple(links))


def _index(node: Node) -> Uses:
    table = relation(node["relation"])
    inner = collect({k: v for k, v in node.items() if k != "relation"})
    own = {define(table, None), *referred(inner), *in_schema(table)}
    links = linked(table, inner, Mode.INSERT)
    if "idxname" in node:
        index = Ref(schema=table.schema, name=node["idxname"])
        own.add(define(index, "create"))
        links += linked(index, [Use(ref=table, mode=Mode.REFER)])
    return Uses(uses=frozenset(own), links=links)


def _trigger(node: Node) -> Uses:
    table = relation(node["relation"])
    inner = {
        *collect({k: v for k, v in node.items() if k not in ("relation", "funcname")}),
        Use(ref=ref_of(node["funcname"]), kind="function", call=True),
    }
    own = {define(table, "alter"), *referred(inner)}
    return Uses(uses=frozenset(own), links=linked(table, inner, Mode.INSERT))


def _rule(node: Node) -> Uses:
    table = relation(node["relation"])
    # OLD and NEW stand for the row.
    inner = {
        use
        for use in collect({k: v for k, v in node.items() if k != "relation"})
        if use.ref.name not in ("old", "new")
    }
    low = Mode.READ if node.get("event") == "CMD_SELECT" else Mode.INSERT
    own = {define(table, "alter"), *referred(inner)}
    return Uses(uses=frozenset(own), links=linked(table, inner, low))


def _policy(node: Node) -> Uses:
    table = relation(node["table"])
    inner = collect({k: v for k, v in node.items() if k != "table"})
    own = referred(inner) | {define(table, "alter")}
    return Uses(uses=own, links=linked(table, inner))


def _create_sequence(node: Node) -> Uses:
    return _sequence(node, "create")


def _alter_sequence(node: Node) -> Uses:
    return _sequence(node, "alter")


def _sequence(node: Node, verb: Verb) -> Uses:
    ref = relation(node["sequence"])
    own = {define(ref, verb), Use(ref=ref, mode=Mode.CHANGE), *in_schema(ref)}
    links: list[Link] = []
    for option in found_in(node.get("options", []), "DefElem"):
        if option.get("defname") == "owned_by":
            *table, _ = strings(option["arg"]["List"]["items"])
            if table:
                owner = Ref(schema=table[-2] if len(table) > 1 else "", name=table[-1])
                own.add(Use(ref=owner, mode=Mode.REFER))
                links.append(Link(of=ref, to=Use(ref=owner, mode=Mode.REFER)))
    return Uses(uses=frozenset(own), links=tuple(links))


HANDLERS: dict[str, Handler] = {
    "AlterPolicyStmt": _policy,
    "AlterSeqStmt": _alter_sequence,
    "AlterTableStmt": _alter_table,
    "CreatePolicyStmt": _policy,
    "CreateSeqStmt": _create_sequence,
    "CreateStmt": _create_table,
    "CreateTrigStmt": _trigger,
    "IndexStmt": _index,
    "RuleStmt": _rule,
}
