"""Statements that move content, or change the session, roles or transactions."""

from __future__ import annotations

from pgcellar.notebook.lineage.objects import (
    CASCADING,
    OPAQUE,
    SESSION_CHANGED,
    Handler,
    Mode,
    Node,
    Ref,
    Use,
    Uses,
    Verb,
    define,
    in_schema,
    linked,
    made,
    relation,
    relations,
)
from pgcellar.notebook.lineage.queries import collect, setting

_TRANSACTION = {
    "TRANS_STMT_BEGIN": True,
    "TRANS_STMT_START": True,
    "TRANS_STMT_COMMIT": False,
    "TRANS_STMT_ROLLBACK": False,
}


def _copy(node: Node) -> Uses:
    if node.get("filename") or node.get("is_program"):
        return OPAQUE
    rest = {k: v for k, v in node.items() if k != "relation"}
    uses = set(collect(rest))
    if "relation" in node:
        ref = relation(node["relation"])
        uses |= {Use(ref=ref, mode=Mode.INSERT if node.get("is_from") else Mode.READ)}
        uses |= in_schema(ref)
    return Uses(uses=frozenset(uses))


def _truncate(node: Node) -> Uses:
    if node.get("behavior") == "DROP_CASCADE":
        # Which tables refer to it is not known.
        return CASCADING
    refs = [relation(item["RangeVar"]) for item in node["relations"]]
    # A foreign key of another table forbids it, even of an empty one.
    return Uses(
        uses=frozenset(Use(ref=ref, mode=Mode.CHANGE) for ref in refs)
        | {define(ref, None) for ref in refs}
    )


def _changed(node: Node) -> Uses:
    """Statements that rearrange the relations they name, or fill them again."""
    refs = {relation(value) for value in relations(node)}
    if not refs:
        return OPAQUE
    return Uses(uses=frozenset(Use(ref=ref, mode=Mode.CHANGE) for ref in refs))


def _session(node: Node) -> Uses:
    return Uses(uses=frozenset({SESSION_CHANGED}))


def _transaction(node: Node) -> Uses:
    kind = node["kind"]
    if kind == "TRANS_STMT_PREPARE" or kind.endswith("_PREPARED"):
        return OPAQUE
    if node.get("chain"):
        return Uses(transaction=True)
    return Uses(transaction=_TRANSACTION.get(kind))


def _prepare(node: Node) -> Uses:
    return made(Ref(name=node["name"]), collect(node["query"]), "function")


def _deallocate(node: Node) -> Uses:
    if "name" not in node:
        return OPAQUE
    return Uses(uses=frozenset({define(Ref(name=node["name"]), "drop", "other")}))


def _cursor(node: Node) -> Uses:
    ref = Ref(name=node["portalname"])
    inner = collect(node.get("query", {}))
    verb: Verb = "create" if "query" in node else "drop"
    return Uses(uses=inner | {define(ref, verb, "other")}, links=linked(ref, inner))


def _fetch(node: Node) -> Uses:
    ref = Ref(name=node["portalname"])
    return Uses(uses=frozenset({Use(ref=ref, mode=Mode.CHANGE, kind="other")}))


def _role_made(node: Node) -> Uses:
    if node.get("options"):
        # It may be given to, or have, other roles.
        return OPAQUE
    return Uses(uses=frozenset({define(Ref(name=node["role"]), "create", "other")}))


def _role_dropped(node: Node) -> Uses:
    names = [role["RoleSpec"]["rolename"] for role in node["roles"]]
    return Uses(uses=frozenset(define(Ref(name=name), "drop", "other") for name in names))


def _read(node: Node) -> Uses:
    return Uses(uses=collect(node))


HANDLERS: dict[str, Handler] = {
    "CallStmt": _read,
    "ClosePortalStmt": _cursor,
    "ClusterStmt": _changed,
    "ConstraintsSetStmt": _session,
    "CopyStmt": _copy,
    "CreateRoleStmt": _role_made,
    "CreateStatsStmt": _changed,
    "DeallocateStmt": _deallocate,
    "DeclareCursorStmt": _cursor,
    "DropRoleStmt": _role_dropped,
    "FetchStmt": _fetch,
    "ListenStmt": _session,
    "LockStmt": _read,
    "NotifyStmt": _session,
    "PrepareStmt": _prepare,
    "RefreshMatViewStmt": _changed,
    "TransactionStmt": _transaction,
    "TruncateStmt": _truncate,
    "UnlistenStmt": _session,
    "VacuumStmt": _changed,
    "VariableSetStmt": setting,
}
